//! The same bill as CSV and as Parquet: the same lines, and the same words about bad records.

use std::fs::File;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;

const SCHEMA: &str = "message bill {
    required int64 BilledCost (DECIMAL(18,6)); optional double EffectiveCost;
    optional binary BillingCurrency (UTF8); required int64 BillingPeriodStart (TIMESTAMP(MILLIS,true));
    required int64 ChargePeriodStart (TIMESTAMP(MICROS,false)); required int64 ChargePeriodEnd (TIMESTAMP(NANOS,true));
    optional binary ChargeCategory (UTF8); optional binary ResourceId (UTF8); required binary ServiceName (UTF8);
    optional int64 PricingQuantity;
    optional group Tags (MAP) { repeated group key_value { required binary key (UTF8); optional binary value (UTF8); } }
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
    group.close().unwrap();
    writer.close().unwrap();
    tenant.age(name, 3_600);
}

const CSV: &str = r#"1.5,1.25,USD,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,Usage,r-1,"Com,pute",2,"{""team"":""blue"",""b"":""x\""y""}"
-0.00002,0.1,ZZZ,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,,,"Com,pute",,
0,,,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,,,"Com,pute",,
"#;

#[test]
fn parquet_gives_the_lines_of_csv() {
    let tenant = Tenant::new(Measure::Billed, &["bill.*"]);
    write(&tenant, "bill.snappy");
    let (found, csv) = (tenant.gather(), Tenant::of(format!("{HEADER}{CSV}")).gather());
    assert_eq!((found.all().len(), found.records), (1, 3));
    assert_eq!((&found.batches, &found.lines), (&csv.batches, &csv.lines), "ids included");
    assert_eq!(found.dates, csv.dates);
    assert_eq!(found.all()[0].cell("Tags"), Some(r#"{"team":"blue","b":"x\"y"}"#));
    let (found, csv) = (found.quarantined, csv.quarantined);
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
