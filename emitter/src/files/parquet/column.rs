//! The cells of one column of a row group.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::{Type, TypePtr};
use proto::moment;
use proto::money::Amount;

use super::Kind;

/// The digits of a decimal: all that readers know.
const DIGITS: u32 = 38;
/// Bytes of a decimal.
const DECIMAL_BYTES: usize = 16;
/// Cells that are given to the writer at a time.
const BATCH: usize = 1_024;

/// A column and its cells.
pub struct Column {
    name: String,
    decimals: u32,
    /// 1 for a value, 0 for null.
    levels: Vec<i16>,
    /// The last cell that was a value: rows of one line have most of their cells in common, which are read once.
    last: Vec<u8>,
    values: Values,
}

/// The values that are not null.
enum Values {
    /// Texts one after the other, and where each value begins and ends among them.
    Text(Vec<u8>, Vec<Range<usize>>),
    /// Units of the last decimal, as big-endian bytes.
    Decimal(Vec<[u8; DECIMAL_BYTES]>),
    Whole(Vec<i64>),
    Time(Vec<i64>),
}

impl Values {
    /// Adds the last value once more, if there is one.
    fn repeat(&mut self) -> bool {
        match self {
            Self::Text(_, places) => again(places),
            Self::Decimal(values) => again(values),
            Self::Whole(values) | Self::Time(values) => again(values),
        }
    }
}

fn again<T: Clone>(values: &mut Vec<T>) -> bool {
    let last = values.last().cloned();
    let there = last.is_some();
    values.extend(last);
    there
}

impl Column {
    /// A column without cells.
    pub fn new(name: String, kind: Kind, decimals: u32) -> Self {
        let values = match kind {
            Kind::Text => Values::Text(Vec::new(), Vec::new()),
            Kind::Decimal => Values::Decimal(Vec::new()),
            Kind::Whole => Values::Whole(Vec::new()),
            Kind::Time => Values::Time(Vec::new()),
        };
        Self { name, decimals, levels: Vec::new(), last: Vec::new(), values }
    }

    /// Its type.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.values {
            Values::Text(..) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Values::Decimal(_) => (
                Physical::FIXED_LEN_BYTE_ARRAY,
                Some(LogicalType::decimal(self.decimals.cast_signed(), DIGITS.cast_signed())),
            ),
            Values::Whole(_) => (Physical::INT64, None),
            Values::Time(_) => {
                (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            }
        };
        let mut builder = Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        if matches!(self.values, Values::Decimal(_)) {
            builder = builder
                .with_length(DECIMAL_BYTES as i32)
                .with_precision(DIGITS.cast_signed())
                .with_scale(self.decimals.cast_signed());
        }
        Ok(Arc::new(builder.build()?))
    }

    /// Adds a cell; an empty one is null.
    ///
    /// # Errors
    /// What it is that the column cannot hold, and how to mend it.
    pub fn push(&mut self, cell: &[u8]) -> Result<(), String> {
        self.levels.push(i16::from(!cell.is_empty()));
        if cell.is_empty() {
            return Ok(());
        }
        if self.last == cell && self.values.repeat() {
            return Ok(());
        }
        let (name, text) = (&self.name, || shown(cell));
        match &mut self.values {
            Values::Text(bytes, places) => {
                let start = bytes.len();
                bytes.extend_from_slice(cell);
                places.push(start..bytes.len());
            }
            Values::Decimal(values) => {
                values.push(units(name, cell, self.decimals)?.to_be_bytes());
            }
            Values::Whole(values) => {
                let value = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok());
                values.push(value.ok_or_else(|| format!("{name} is no whole number: {}", text()))?);
            }
            Values::Time(values) => {
                let seconds = moment::parse(cell).map(|moment| moment.at.0);
                let micros = seconds.and_then(|seconds| seconds.checked_mul(1_000_000));
                values.push(micros.ok_or_else(|| format!("{name} is no time: {}", text()))?);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(cell);
        Ok(())
    }

    /// Writes its cells as a column chunk, and forgets them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, out: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match &mut self.values {
            Values::Text(bytes, places) => {
                let bytes = Bytes::from(std::mem::take(bytes));
                batches::<ByteArrayType>(out, &self.levels, |at| {
                    ByteArray::from(bytes.slice(places[at].clone()))
                })?;
                places.clear();
            }
            Values::Decimal(values) => {
                let bytes = Bytes::from(values.as_flattened().to_vec());
                batches::<FixedLenByteArrayType>(out, &self.levels, |at| {
                    let start = at * DECIMAL_BYTES;
                    let bytes = bytes.slice(start..start + DECIMAL_BYTES);
                    FixedLenByteArray::from(ByteArray::from(bytes))
                })?;
                values.clear();
            }
            Values::Whole(values) | Values::Time(values) => {
                batches::<Int64Type>(out, &self.levels, |at| values[at])?;
                values.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

/// A cell, as much of it as a message bears.
fn shown(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).chars().take(100).collect()
}

/// Gives cells to the writer; `value` is the one of this place among those that are not null.
fn batches<T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    levels: &[i16],
    value: impl Fn(usize) -> T::T,
) -> Result<(), ParquetError> {
    let mut at = 0;
    for levels in levels.chunks(BATCH) {
        let there = levels.iter().filter(|level| **level == 1).count();
        let values: Vec<T::T> = (at..at + there).map(&value).collect();
        out.typed::<T>().write_batch(&values, Some(levels), None)?;
        at += there;
    }
    Ok(())
}

/// A number as units of the last of so many decimals: exactly, or not at all.
fn units(name: &str, cell: &[u8], decimals: u32) -> Result<i128, String> {
    let (number, text) = (std::str::from_utf8(cell).unwrap_or_default(), || shown(cell));
    let number = Amount::parse(number)
        .map_err(|error| format!("{name} is no number: {}: {error}", text()))?;
    let (mut mantissa, mut scale) = (number.mantissa(), number.scale());
    while scale > decimals && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    let missing = decimals.checked_sub(scale).ok_or_else(|| {
        format!(
            "{name} is {}, which has {scale} decimals where the files of this emitter have {decimals}: write \
             `decimals: {scale}`, or give it as CSV (kind focus, `format: csv`), which has room for all",
            text()
        )
    })?;
    let units = 10_i128.checked_pow(missing).and_then(|factor| mantissa.checked_mul(factor));
    let fits = |units: &i128| units.unsigned_abs() < 10_u128.pow(DIGITS);
    units.filter(fits).ok_or_else(|| {
        format!(
            "{name} is {}, which does not fit into {DIGITS} digits with {decimals} decimals: write fewer \
             `decimals`, or give it as CSV (kind focus, `format: csv`), which has room for all",
            text()
        )
    })
}
