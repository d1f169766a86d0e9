//! The same bill as CSV and as Parquet: the same lines, and the same words about bad records.

use std::fs::File;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;
use proto::report::QuarantinedRecord;

const SCHEMA: &str = "message bill {
    required int64 BilledCost (DECIMAL(18,6)); optional double EffectiveCost;
    optional binary BillingCurrency (UTF8); required int64 BillingPeriodStart (TIMESTAMP(MILLIS,true));
    required int64 ChargePeriodStart (TIMESTAMP(MICROS,false)); required int64 ChargePeriodEnd (TIMESTAMP(NANOS,true));
    optional binary ChargeCategory (UTF8); optional binary ResourceId (UTF8); required binary ServiceName (UTF8);
    optional int64 PricingQuantity;
    optional group Tags (MAP) { repeated group key_value { required binary key (UTF8); optional binary value (UTF8); } }
    required int64 BillingPeriodEnd (TIMESTAMP(MILLIS,true)); required int64 ListUnitPrice (DECIMAL(18,6));
}";
/// 2024-09-01, and the hour of the charges.
const MONTH: i64 = 1_725_148_800;
const HOUR: i64 = 1_726_696_800;

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    defs: Option<&[i16]>,
    reps: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().expect("the schema has another column");
    column.typed::<T>().write_batch(values, defs, reps).unwrap();
    column.close().unwrap();
}

fn texts(texts: &[&str]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(*text)).collect()
}

/// Three rows: sound, of no currency, and without one.
fn write(tenant: &Tenant, name: &str) {
    let path = tenant.folder.path().join(name);
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let three = |at: i64| vec![at; 3];
    put::<Int64Type>(&mut group, &[1_500_000, -20, 0], None, None);
    put::<DoubleType>(&mut group, &[1.25, 0.1], Some(&[1, 1, 0]), None);
    put::<ByteArrayType>(&mut group, &texts(&["USD", "ZZZ"]), Some(&[1, 1, 0]), None);
    put::<Int64Type>(&mut group, &three(MONTH * 1_000), None, None);
    put::<Int64Type>(&mut group, &three(HOUR * 1_000_000), None, None);
    put::<Int64Type>(&mut group, &three((HOUR + 3_600) * 1_000_000_000), None, None);
    put::<ByteArrayType>(&mut group, &texts(&["usage"]), Some(&[1, 0, 0]), None);
    put::<ByteArrayType>(&mut group, &texts(&["r-1"]), Some(&[1, 0, 0]), None);
    put::<ByteArrayType>(&mut group, &texts(&["Com,pute"; 3]), None, None);
    put::<Int64Type>(&mut group, &[2], Some(&[1, 0, 0]), None);
    let reps = Some(&[0, 1, 0, 0][..]);
    put::<ByteArrayType>(&mut group, &texts(&["team", "b"]), Some(&[2, 2, 0, 0]), reps);
    put::<ByteArrayType>(&mut group, &texts(&["blue", "x\"y"]), Some(&[3, 3, 0, 0]), reps);
    put::<Int64Type>(&mut group, &three((MONTH + 30 * 86_400) * 1_000), None, None);
    put::<Int64Type>(&mut group, &three(1_500_000), None, None);
    group.close().unwrap();
    writer.close().unwrap();
    tenant.age(name, 3_600);
}

/// The same in the one form that lines have, and in forms of the wild: of times, numbers and tags.
const FORMS: [&str; 2] = [
    r#"1.5,1.25,USD,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,Usage,r-1,"Com,pute",2,"{""b"":""x\""y"",""team"":""blue""}",2024-10-01T00:00:00Z,1.5
-0.00002,0.1,ZZZ,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,,,"Com,pute",,,2024-10-01T00:00:00Z,1.5
0,,,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,,,"Com,pute",,,2024-10-01T00:00:00Z,1.5
"#,
    r#"1.50,1.25e0,USD,2024-09-01,2024-09-18 22:00:00,2024-09-19T01:00:00+02:00,usage,r-1,"Com,pute",2.000,"{ ""team"": ""blue"", ""b"": ""x\u0022y"" }",2024-10-01,1.500000
-0.00002,0.10,ZZZ,2024-09-01T00:00Z,2024-09-18T22:00:00.000Z,2024-09-18T23:00Z,,,"Com,pute",,NULL,2024-10-01 00:00:00.000,1.50
0,,,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,,,"Com,pute",,,2024-10-01T00:00:00Z,1.5
"#,
];

#[test]
fn parquet_gives_the_lines_of_csv() {
    let tenant = Tenant::new(Measure::Billed, &["bill.*"]);
    write(&tenant, "bill.snappy");
    let found = tenant.gather();
    assert_eq!((found.all().len(), found.records), (1, 3));
    let header = HEADER.trim_end();
    let csv = FORMS.map(|lines| {
        Tenant::of(format!("{header},BillingPeriodEnd,ListUnitPrice\n{lines}")).gather()
    });
    for csv in &csv {
        assert_eq!((&found.batches, &found.lines), (&csv.batches, &csv.lines), "ids included");
        assert_eq!(found.dates, csv.dates);
    }
    let line = &found.all()[0];
    assert_eq!(line.cell("Tags"), Some(r#"{"b":"x\"y","team":"blue"}"#));
    assert_eq!(line.cell("BillingPeriodEnd"), Some("2024-10-01T00:00:00Z"));
    assert_eq!(line.cell("ListUnitPrice"), Some("1.5"));
    // Records that are quarantined are told as the file writes them.
    let (found, [csv, _]) = (found.quarantined, csv.map(|csv| csv.quarantined));
    assert_eq!((found.len(), csv.len()), (2, 2));
    for (at, (found, csv)) in found.iter().zip(&csv).enumerate() {
        assert_eq!((found.file.as_str(), found.line), ("bill.snappy", at as u64 + 2));
        assert_eq!(found.column.as_deref(), Some("BillingCurrency"));
        // The header is no row.
        let moved =
            QuarantinedRecord { line: csv.line - 1, file: found.file.clone(), ..csv.clone() };
        assert_eq!(*found, moved);
    }
}

#[test]
fn parquet_files_are_told_apart_and_missed_like_others() {
    let mut tenant = Tenant::new(Measure::Billed, &["*.parquet"]);
    write(&tenant, "a.parquet");
    write(&tenant, "b.parquet");
    assert!(tenant.error().contains("files a.parquet and b.parquet have the same bytes"));
    tenant.settings.duplicates = Duplicates::Allow;
    assert_eq!(tenant.gather_on().sum(Measure::Billed), "3");
    let again = tenant.gather_on();
    assert_eq!((again.files_read.len(), again.unchanged()), (0, 1));
    tenant.settings.cost = Measure::List;
    assert!(tenant.error().contains("a.parquet has no column ListCost"));
}
