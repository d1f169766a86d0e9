//! Bills as Parquet, and Parquet files read back: by the crate's own rows, not by the code that is tested.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use proto::moment;
use proto::money::Amount;
use proto::time::UtcSeconds;
use serde_json::Value;

use crate::output::{Row, files};

/// Decimals of a bill's numbers.
const SCALE: u32 = 20;
/// Rows of a row group.
const GROUP_ROWS: usize = 40;

fn is_number(column: &str) -> bool {
    ["Cost", "Price", "Quantity"].iter().any(|end| column.ends_with(end))
}

fn is_time(column: &str) -> bool {
    column.ends_with("PeriodStart")
}

/// A column's place in the schema, by its name.
fn declared(column: &str) -> String {
    match column {
        "Tags" => {
            "optional group Tags (MAP) { repeated group key_value { required binary key (UTF8);
            optional binary value (UTF8); } }"
                .to_owned()
        }
        _ if is_number(column) => {
            format!("optional fixed_len_byte_array(16) {column} (DECIMAL(38,{SCALE}));")
        }
        _ if is_time(column) => format!("optional int64 {column} (TIMESTAMP(MICROS,true));"),
        _ => format!("optional binary {column} (UTF8);"),
    }
}

/// Writes a bill: numbers as decimals, starts of periods as timestamps, tags as a map, the rest as text. `NULL` and
/// nothing are null.
///
/// # Errors
/// When a cell is not of its column's type, or the file cannot be written.
pub fn write(path: &Path, records: &[Row]) -> Result<()> {
    let columns: Vec<&str> = records[0].keys().map(String::as_str).collect();
    let declared: String = columns.iter().map(|column| declared(column)).collect();
    let schema = Arc::new(parse_message_type(&format!("message bill {{ {declared} }}"))?);
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema, properties)?;
    for records in records.chunks(GROUP_ROWS) {
        let mut group = writer.next_row_group()?;
        for column in &columns {
            let cells = records.iter().map(|record| record[*column].as_str());
            let cells: Vec<Option<&str>> =
                cells.map(|cell| Some(cell).filter(|cell| !matches!(*cell, "" | "NULL"))).collect();
            chunk(&mut group, column, &cells).with_context(|| (*column).to_owned())?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn chunk(
    group: &mut SerializedRowGroupWriter<'_, File>,
    column: &str,
    cells: &[Option<&str>],
) -> Result<()> {
    let there = || cells.iter().flatten();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    if column == "Tags" {
        let maps = there().map(|text| serde_json::from_str::<BTreeMap<String, Value>>(text));
        let maps = maps.collect::<Result<Vec<_>, _>>()?;
        let texts = |of: fn((&String, &Value)) -> Option<String>| {
            let texts = maps.iter().flatten().map(of).collect::<Option<Vec<String>>>();
            let texts = texts.context("tags hold texts")?;
            Ok::<_, anyhow::Error>(texts.iter().map(|t| ByteArray::from(t.as_str())).collect())
        };
        let keys: Vec<ByteArray> = texts(|(key, _)| Some(key.clone()))?;
        let values: Vec<ByteArray> = texts(|(_, value)| Some(value.as_str()?.to_owned()))?;
        let mut maps = maps.iter().map(BTreeMap::len);
        let (mut reps, mut levels) = (Vec::new(), Vec::new());
        for cell in cells {
            let count = cell.and_then(|_| maps.next());
            let level = count.map_or(0, |count| if count == 0 { 1 } else { 2 });
            let count = count.unwrap_or_default().max(1);
            levels.extend(std::iter::repeat_n(level, count));
            reps.extend((0..count).map(|at| i16::from(at > 0)));
        }
        put::<ByteArrayType>(group, &keys, &levels, Some(&reps))?;
        let levels: Vec<i16> = levels.iter().map(|l| if *l == 2 { 3 } else { *l }).collect();
        return put::<ByteArrayType>(group, &values, &levels, Some(&reps));
    }
    if is_number(column) {
        let units = |text: &&str| {
            let number = Amount::parse(text)?;
            let zeros = SCALE.checked_sub(number.scale()).context("too many decimals")?;
            let units = number.mantissa().checked_mul(10_i128.pow(zeros)).context("too large")?;
            Ok(FixedLenByteArray::from(units.to_be_bytes().to_vec()))
        };
        let values = there().map(units).collect::<Result<Vec<_>>>()?;
        return put::<FixedLenByteArrayType>(group, &values, &levels, None);
    }
    if is_time(column) {
        let micros = |text: &&str| Some(moment::parse(text.as_bytes())?.at.0 * 1_000_000);
        let values = there().map(micros).collect::<Option<Vec<_>>>().context("no time")?;
        return put::<Int64Type>(group, &values, &levels, None);
    }
    let values: Vec<ByteArray> = there().map(|text| ByteArray::from(*text)).collect();
    put::<ByteArrayType>(group, &values, &levels, None)
}

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: &[i16],
    reps: Option<&[i16]>,
) -> Result<()> {
    let mut column = group.next_column()?.context("the schema has another column")?;
    column.typed::<T>().write_batch(values, Some(levels), reps)?;
    Ok(column.close()?)
}

/// Every row of every Parquet file of a folder, by name; null is empty. Numbers have no zeros at their end.
///
/// # Errors
/// When a file cannot be read, or holds what no emitter writes.
pub fn rows(folder: &Path) -> Result<BTreeMap<String, Vec<Row>>> {
    let mut found = BTreeMap::new();
    for name in files(folder)?.into_keys() {
        let reader = SerializedFileReader::new(File::open(folder.join(&name))?)?;
        let mut rows = Vec::new();
        for row in reader.get_row_iter(None)? {
            let cells = row?.into_columns().into_iter();
            rows.push(
                cells.map(|(name, field)| Ok((name, text(field)?))).collect::<Result<Row>>()?,
            );
        }
        found.insert(name, rows);
    }
    Ok(found)
}

fn text(field: Field) -> Result<String> {
    if let Field::Str(text) = field {
        return Ok(text);
    }
    if let Field::Null = field {
        return Ok(String::new());
    }
    if let Field::Long(number) = field {
        return Ok(number.to_string());
    }
    if let Field::TimestampMicros(micros) = field {
        return Ok(UtcSeconds(micros / 1_000_000).to_string());
    }
    let Field::Decimal(decimal) = field else { bail!("a value of another type: {field:?}") };
    let bytes = decimal.data().try_into().context("a decimal of 16 bytes")?;
    let mut units = i128::from_be_bytes(bytes);
    let mut scale = u32::try_from(decimal.scale())?;
    while scale > 0 && units % 10 == 0 {
        (units, scale) = (units / 10, scale - 1);
    }
    Ok(Amount::from_parts(units, scale).context("a number of ours")?.to_text().to_string())
}
