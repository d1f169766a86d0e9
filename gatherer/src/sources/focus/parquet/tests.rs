//! Files that are written here, read as records.

use std::path::Path;
use std::sync::Arc;

use num_bigint::BigInt;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::super::files::{self, Listed};
use super::super::input::Input;
use super::*;

mod hostile;

/// Writes the next column of a row group: its values, and the levels of each place.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    defs: &[i16],
    reps: &[i16],
) {
    let mut writer = group.next_column().unwrap().expect("the schema has another column");
    let levels = |levels: &'_ [i16]| (!levels.is_empty()).then(|| levels.to_vec());
    let (defs, reps) = (levels(defs), levels(reps));
    writer.typed::<T>().write_batch(values, defs.as_deref(), reps.as_deref()).unwrap();
    writer.close().unwrap();
}

/// Writes a file of `groups` row groups, each of which `fill` writes.
fn write(
    path: &Path,
    schema: &str,
    compression: Compression,
    groups: usize,
    fill: &dyn Fn(usize, &mut SerializedRowGroupWriter<'_, File>),
) {
    let schema = Arc::new(parse_message_type(&format!("message bill {{ {schema} }}")).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(700)
        .set_write_batch_size(100);
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    for at in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        fill(at, &mut group);
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn listed(path: &Path) -> Listed {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
    files::list(path.parent().unwrap(), &[name]).unwrap().remove(0)
}

/// All records, the header first.
fn records(path: &Path) -> Result<Vec<Vec<String>>, String> {
    let listed = listed(path);
    let chain = |error: FocusError| proto::fault::chain(&error);
    let mut input = Input::open(&listed).map_err(chain)?;
    assert_eq!(input.format(), "Parquet");
    let mut found = Vec::new();
    loop {
        match input.read() {
            Ok(Some(record)) => {
                assert_eq!(record.line, found.len() as u64);
                let text = |at| String::from_utf8_lossy(record.field(at)).into_owned();
                found.push((0..record.fields()).map(text).collect());
            }
            Ok(None) => break,
            Err(error) => return Err(chain(input.damaged(&listed, error))),
        }
    }
    let hash = input.close(&listed).map_err(chain)?;
    assert_eq!(hash, Hash128::of(&std::fs::read(path).unwrap()));
    Ok(found)
}

fn bytes(texts: &[&str]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(*text)).collect()
}

#[test]
fn every_type_becomes_the_text_of_csv() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let schema = "
        optional int32 d9 (DECIMAL(9,2)); required int64 d18 (DECIMAL(18,4));
        optional fixed_len_byte_array(16) d38 (DECIMAL(38,28)); optional binary db (DECIMAL(76,10));
        optional double f64; optional float f32; optional boolean yes; optional binary text (UTF8);
        optional binary raw; optional int64 ms (TIMESTAMP(MILLIS,true));
        optional int64 us (TIMESTAMP_MICROS); optional int64 ns (TIMESTAMP(NANOS,false));
        optional int96 old; optional int32 day (DATE); optional int32 u32 (UINT_32);
        optional int64 i64; optional fixed_len_byte_array(16) id (UUID);";
    let at = 1_726_696_800_i64;
    let fill = |_: usize, group: &mut SerializedRowGroupWriter<'_, File>| {
        let one = &[1, 0][..];
        column::<Int32Type>(group, &[-150], one, &[]);
        column::<Int64Type>(group, &[12_345_678, -1], &[], &[]);
        let d38 = (-12_i128 - 10_i128.pow(28)).to_be_bytes().to_vec();
        column::<FixedLenByteArrayType>(group, &[FixedLenByteArray::from(d38)], one, &[]);
        let wide = BigInt::from(7_u8) * BigInt::from(10_u8).pow(50) + BigInt::from(5_u8);
        let wide = wide.to_signed_bytes_be();
        column::<ByteArrayType>(group, &[ByteArray::from(wide)], one, &[]);
        column::<DoubleType>(group, &[0.1], one, &[]);
        column::<FloatType>(group, &[-2.5], one, &[]);
        column::<BoolType>(group, &[true], one, &[]);
        column::<ByteArrayType>(group, &bytes(&["a \"b\", c"]), one, &[]);
        column::<ByteArrayType>(group, &[ByteArray::from(vec![b'r', 0xff])], one, &[]);
        column::<Int64Type>(group, &[at * 1_000], one, &[]);
        column::<Int64Type>(group, &[at * 1_000_000 + 250_000], one, &[]);
        column::<Int64Type>(group, &[at * 1_000_000_000], one, &[]);
        let (mut old, nanos) = (Int96::new(), 79_200_000_000_000_u64);
        old.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588 + 19_984);
        column::<Int96Type>(group, &[old], one, &[]);
        column::<Int32Type>(group, &[19_984], one, &[]);
        column::<Int32Type>(group, &[-1], one, &[]);
        column::<Int64Type>(group, &[-7], one, &[]);
        let id = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
        column::<FixedLenByteArrayType>(group, &[id], one, &[]);
    };
    let codecs =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())];
    let newer = [Compression::LZ4, Compression::LZ4_RAW, Compression::ZSTD(ZstdLevel::default())];
    for codec in codecs.into_iter().chain(newer) {
        write(&path, schema, codec, 1, &fill);
        let found = records(&path).unwrap();
        let want = [
            ["d9", "-1.5", ""],
            ["d18", "1234.5678", "-0.0001"],
            ["d38", "-1.0000000000000000000000000012", ""],
            ["db", "70000000000000000000000000000000000000000.0000000005", ""],
            ["f64", "0.1", ""],
            ["f32", "-2.5", ""],
            ["yes", "true", ""],
            ["text", "a \"b\", c", ""],
            ["raw", "r\u{fffd}", ""],
            ["ms", "2024-09-18T22:00:00Z", ""],
            ["us", "2024-09-18T22:00:00.25Z", ""],
            ["ns", "2024-09-18T22:00:00Z", ""],
            ["old", "2024-09-18T22:00:00Z", ""],
            ["day", "2024-09-18", ""],
            ["u32", "4294967295", ""],
            ["i64", "-7", ""],
            ["id", "00010203-0405-0607-0809-0a0b0c0d0e0f", ""],
        ];
        assert_eq!(found.len(), 3);
        for (at, want) in want.iter().enumerate() {
            assert_eq!([0, 1, 2].map(|row: usize| found[row][at].as_str()), *want);
        }
    }
}

#[test]
fn what_nests_becomes_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let schema = "
        optional group Tags (MAP) { repeated group key_value { required binary key (UTF8); optional binary value (UTF8); } }
        optional group prices (MAP) { repeated group map { required binary key (UTF8); optional int32 value (DECIMAL(5,2)); } }
        optional group credits (LIST) { repeated group list { optional group element { optional binary id (UTF8); required double amount; } } }
        optional group old (LIST) { repeated int32 array; }
        repeated binary bare (UTF8);
        required group pair { optional int64 a; optional int64 t (TIMESTAMP(MILLIS,true)); }";
    write(&path, schema, Compression::SNAPPY, 1, &|_, group| {
        // Rows: two tags, one of them null; no tags; null; one tag.
        let (defs, reps) = (&[3, 2, 1, 0, 3][..], &[0, 1, 0, 0, 0][..]);
        column::<ByteArrayType>(group, &bytes(&["a", "b\"", "c"]), &[2, 2, 1, 0, 2], reps);
        column::<ByteArrayType>(group, &bytes(&["x,y", "é"]), defs, reps);
        column::<ByteArrayType>(group, &bytes(&["p"]), &[2, 0, 0, 0], &[0, 0, 0, 0]);
        column::<Int32Type>(group, &[150], &[3, 0, 0, 0], &[0, 0, 0, 0]);
        // [{id, amount}, null], [], null, [{null, amount}]
        column::<ByteArrayType>(group, &bytes(&["i"]), &[4, 2, 1, 0, 3], &[0, 1, 0, 0, 0]);
        column::<DoubleType>(group, &[0.5, 2.0], &[3, 2, 1, 0, 3], &[0, 1, 0, 0, 0]);
        column::<Int32Type>(group, &[1, 2, 3], &[2, 2, 2, 1, 0, 0], &[0, 1, 1, 0, 0, 0]);
        column::<ByteArrayType>(group, &bytes(&["u", "v"]), &[1, 1, 0, 0, 0], &[0, 1, 0, 0, 0]);
        column::<Int64Type>(group, &[7], &[1, 0, 0, 0], &[]);
        column::<Int64Type>(group, &[1_726_696_800_000], &[1, 0, 0, 0], &[]);
    });
    let found = records(&path).unwrap();
    let want: [[&str; 6]; 5] = [
        ["Tags", "prices", "credits", "old", "bare", "pair"],
        [
            r#"{"a":"x,y","b\"":null}"#,
            r#"{"p":1.5}"#,
            r#"[{"id":"i","amount":0.5},null]"#,
            "[1,2,3]",
            r#"["u","v"]"#,
            r#"{"a":7,"t":"2024-09-18T22:00:00Z"}"#,
        ],
        ["{}", "", "[]", "[]", "[]", r#"{"a":null,"t":null}"#],
        ["", "", "", "", "[]", r#"{"a":null,"t":null}"#],
        [r#"{"c":"é"}"#, "", r#"[{"id":null,"amount":2}]"#, "", "[]", r#"{"a":null,"t":null}"#],
    ];
    assert_eq!(found, want);
}

#[test]
fn few_bytes_that_stand_for_very_many_values_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let of = |values: i16| {
        let schema = "optional group old (LIST) { repeated int32 array; }";
        write(&path, schema, Compression::ZSTD(Default::default()), 1, &|_, group| {
            let reps: Vec<i16> = (0..values).map(|at| at.min(1)).collect();
            let (numbers, defs) = (vec![7; reps.len()], vec![2; reps.len()]);
            column::<Int32Type>(group, &numbers, &defs, &reps);
        });
        records(&path)
    };
    assert_eq!(of(1_000).unwrap().len(), 2);
    let error = of(1_001).unwrap_err();
    assert!(error.contains("column old.array has 1001 values in 1 rows"), "{error}");
}

const TWO: &str = "required int64 n; optional group Tags (MAP) { repeated group key_value
    { required binary key (UTF8); optional binary value (UTF8); } }";

/// Rows `from..from + rows` of two columns: a number, and as many tags as it is by four.
fn two(from: i64, rows: i64, group: &mut SerializedRowGroupWriter<'_, File>) {
    let numbers: Vec<i64> = (from..from + rows).collect();
    column::<Int64Type>(group, &numbers, &[], &[]);
    let (mut texts, mut levels, mut reps) = (Vec::new(), Vec::new(), Vec::new());
    for n in &numbers {
        for tag in 0..(n % 4).max(1) {
            reps.push(i16::from(tag > 0));
            levels.push(if n % 4 == 0 { 1 } else { 2 });
            if n % 4 > 0 {
                texts.push(format!("{n}-{tag}"));
            }
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    column::<ByteArrayType>(group, &bytes(&texts), &levels, &reps);
    let levels: Vec<i16> = levels.iter().map(|l| if *l == 2 { 3 } else { *l }).collect();
    column::<ByteArrayType>(group, &bytes(&texts), &levels, &reps);
}

#[test]
fn row_groups_pages_and_batches_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    write(&path, TWO, Compression::SNAPPY, 3, &|at, group| two(at as i64 * 2_500, 2_500, group));
    let found = records(&path).unwrap();
    assert_eq!(found.len(), 7_501);
    for (n, row) in found[1..].iter().enumerate() {
        let tags: Vec<String> =
            (0..n % 4).map(|tag| format!("\"{n}-{tag}\":\"{n}-{tag}\"")).collect();
        assert_eq!(*row, [n.to_string(), format!("{{{}}}", tags.join(","))]);
    }
    write(&path, TWO, Compression::SNAPPY, 0, &|_, _| ());
    assert_eq!(records(&path).unwrap(), [["n", "Tags"]]);
}

#[test]
fn damage_is_told_and_never_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    write(&path, TWO, Compression::SNAPPY, 1, &|_, group| two(0, 1_500, group));
    let whole = std::fs::read(&path).unwrap();
    for keep in [4, 8, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let error = records(&path).unwrap_err();
        assert!(
            error.contains("bill.parquet breaks off or is damaged near its row 0")
                && error.contains("fetch it again"),
            "{error}"
        );
    }
}

#[test]
fn a_column_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    write(
        &path,
        "optional fixed_len_byte_array(2) x_half (FLOAT16);",
        Compression::SNAPPY,
        0,
        &|_, _| (),
    );
    let error = records(&path).unwrap_err();
    assert!(error.contains("column x_half that cannot be read: a float of 16 bits"), "{error}");
}
