//! The cells of one column of a row group.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
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
use crate::files::table::Cell;

/// The digits of a decimal: all that readers know.
const DIGITS: u32 = 38;
/// Bytes of a decimal.
const DECIMAL_BYTES: usize = 16;
/// Cells that are given to the writer at a time.
const BATCH: usize = 1_024;
/// No code.
const NONE: u32 = u32::MAX;
/// Bytes that a cell takes whatever it holds: level and code.
pub const CELL_BYTES: usize = size_of::<i16>() + size_of::<u32>();

/// A column and its cells.
///
/// Most cells are equal to another one shortly before: the rows of one line have most of them in common, and lines many.
/// Such a cell is a code for the value that is there already, which is read, kept and handed on once.
pub struct Column {
    name: String,
    kind: Kind,
    decimals: u32,
    /// 1 for a value, 0 for null.
    levels: Vec<i16>,
    /// Of the cells that are not null, in their order: which value.
    codes: Vec<u32>,
    values: Values,
    recent: Recent,
}

/// The values of a column, by code.
enum Values {
    Text(Texts),
    /// Units of the last decimal, as big-endian bytes.
    Decimal(BytesMut),
    Whole(Vec<i64>),
    /// As text, and microseconds.
    Time(Texts, Vec<i64>),
}

impl Column {
    /// A column without cells.
    pub fn new(name: String, kind: Kind, decimals: u32) -> Self {
        let values = match kind {
            Kind::Text => Values::Text(Texts::default()),
            Kind::Decimal | Kind::Cost => Values::Decimal(BytesMut::new()),
            Kind::Whole => Values::Whole(Vec::new()),
            Kind::Time => Values::Time(Texts::default(), Vec::new()),
        };
        let (levels, codes, recent) = (Vec::new(), Vec::new(), Recent::default());
        Self { name, kind, decimals, levels, codes, values, recent }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its type.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.values {
            Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Values::Decimal(_) => (
                Physical::FIXED_LEN_BYTE_ARRAY,
                Some(LogicalType::decimal(self.decimals.cast_signed(), DIGITS.cast_signed())),
            ),
            Values::Whole(_) => (Physical::INT64, None),
            Values::Time(..) => {
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

    /// Adds a cell and tells how many bytes more the column keeps for its value.
    ///
    /// # Errors
    /// What it is that the column cannot hold, and how to mend it.
    pub fn push(&mut self, cell: Cell<'_>) -> Result<usize, String> {
        if let Cell::Text(b"") = cell {
            self.levels.push(0);
            return Ok(0);
        }
        self.levels.push(1);
        let (name, recent) = (&self.name, &mut self.recent);
        let (code, bytes) = match (&mut self.values, cell) {
            (Values::Text(texts), Cell::Text(text)) => {
                match recent.find(word(text), |code| texts.get(code) == text) {
                    Ok(code) => (code, 0),
                    Err(place) => (recent.put(place, texts.push(text)), text.len()),
                }
            }
            (Values::Time(texts, times), Cell::Text(text)) => {
                match recent.find(word(text), |code| texts.get(code) == text) {
                    Ok(code) => (code, 0),
                    Err(place) => {
                        times.push(micros(name, text)?);
                        (recent.put(place, texts.push(text)), text.len())
                    }
                }
            }
            (Values::Decimal(values), Cell::Text(_) | Cell::Number(_)) => {
                let number = match cell {
                    Cell::Number(number) => number,
                    Cell::Text(text) => parsed(name, text)?,
                    Cell::Whole(_) => return Err(format!("{name} has no whole numbers")),
                };
                let units = units(name, number, self.decimals)?.to_be_bytes();
                let (held, _) = values.as_chunks::<DECIMAL_BYTES>();
                match recent.find(word(&units), |code| held[code] == units) {
                    Ok(code) => (code, 0),
                    Err(place) => {
                        let code = recent.put(place, held.len());
                        values.extend_from_slice(&units);
                        (code, DECIMAL_BYTES)
                    }
                }
            }
            (Values::Whole(values), Cell::Whole(number)) => {
                match recent.find(word(&number.to_le_bytes()), |code| values[code] == number) {
                    Ok(code) => (code, 0),
                    Err(place) => {
                        values.push(number);
                        (recent.put(place, values.len() - 1), size_of::<i64>())
                    }
                }
            }
            (_, cell) => return Err(format!("{name} does not hold such cells: {cell:?}")),
        };
        self.codes.push(code);
        Ok(bytes)
    }

    /// Writes its cells as a column chunk, and forgets them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, mut out: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let cells = (self.levels.as_slice(), self.codes.as_slice());
        match &mut self.values {
            Values::Text(texts) => {
                let bytes = std::mem::take(&mut texts.bytes).freeze();
                let value = |code| ByteArray::from(bytes.slice(texts.place(code)));
                batches::<ByteArrayType>(&mut out, cells, value)?;
                out.close()?;
                texts.clear();
                texts.bytes = emptied(bytes);
            }
            Values::Decimal(values) => {
                let bytes = std::mem::take(values).freeze();
                let value = |code| {
                    let start = code * DECIMAL_BYTES;
                    let bytes = bytes.slice(start..start + DECIMAL_BYTES);
                    FixedLenByteArray::from(ByteArray::from(bytes))
                };
                batches::<FixedLenByteArrayType>(&mut out, cells, value)?;
                out.close()?;
                *values = emptied(bytes);
            }
            Values::Whole(values) => {
                batches::<Int64Type>(&mut out, cells, |code| values[code])?;
                out.close()?;
                values.clear();
            }
            Values::Time(texts, values) => {
                batches::<Int64Type>(&mut out, cells, |code| values[code])?;
                out.close()?;
                texts.clear();
                values.clear();
            }
        }
        self.levels.clear();
        self.codes.clear();
        self.recent = Recent::default();
        Ok(())
    }
}

/// Texts one after the other.
#[derive(Default)]
struct Texts {
    bytes: BytesMut,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Adds one, and tells which it is.
    fn push(&mut self, text: &[u8]) -> usize {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.ends.len() - 1
    }
    fn place(&self, at: usize) -> Range<usize> {
        at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at]
    }
    fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.place(at)]
    }
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The codes of the last values, each at the place that its bytes point to.
struct Recent(Box<[u32; 256]>);

impl Default for Recent {
    fn default() -> Self {
        Self(Box::new([NONE; 256]))
    }
}

impl Recent {
    /// The code of a value, or else the place for it: of one with this word, if `is` says so of the code.
    fn find(&self, word: u64, is: impl Fn(usize) -> bool) -> Result<u32, usize> {
        let place = (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize;
        let code = self.0[place];
        if code != NONE && is(code as usize) { Ok(code) } else { Err(place) }
    }
    /// Keeps a new value's code at its place. A row group has far fewer values than there are codes.
    fn put(&mut self, place: usize, code: usize) -> u32 {
        self.0[place] = u32::try_from(code).unwrap_or(NONE);
        self.0[place]
    }
}

/// What tells values apart mostly: their last bytes, as ids and numbers have it.
fn word(bytes: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The room of what nobody reads any more.
fn emptied(bytes: Bytes) -> BytesMut {
    let mut room = bytes.try_into_mut().unwrap_or_default();
    room.clear();
    room
}

/// Gives cells to the writer: levels, and codes of those that are not null.
fn batches<T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    (levels, mut codes): (&[i16], &[u32]),
    value: impl Fn(usize) -> T::T,
) -> Result<(), ParquetError> {
    let (mut values, mut held): (Vec<T::T>, Vec<u32>) = (Vec::new(), Vec::new());
    for levels in levels.chunks(BATCH) {
        let there = levels.iter().filter(|level| **level == 1).count();
        let (these, rest) = codes.split_at(there);
        codes = rest;
        // Where the batch before had the same value, it stays: making and dropping one costs more than all else here.
        for (at, code) in these.iter().enumerate() {
            match held.get_mut(at) {
                Some(held) if held == code => {}
                Some(held) => (*held, values[at]) = (*code, value(*code as usize)),
                None => {
                    held.push(*code);
                    values.push(value(*code as usize));
                }
            }
        }
        out.typed::<T>().write_batch(&values[..there], Some(levels), None)?;
    }
    Ok(())
}

/// A cell, as much of it as a message bears.
fn shown(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).chars().take(100).collect()
}

fn parsed(name: &str, cell: &[u8]) -> Result<Amount, String> {
    Amount::parse(std::str::from_utf8(cell).unwrap_or_default())
        .map_err(|error| format!("{name} is no number: {}: {error}", shown(cell)))
}

fn micros(name: &str, cell: &[u8]) -> Result<i64, String> {
    let seconds = moment::parse(cell).map(|moment| moment.at.0);
    let micros = seconds.and_then(|seconds| seconds.checked_mul(1_000_000));
    micros.ok_or_else(|| format!("{name} is no time: {}", shown(cell)))
}

/// A number as units of the last of so many decimals: exactly, or not at all.
fn units(name: &str, number: Amount, decimals: u32) -> Result<i128, String> {
    let (mut mantissa, mut scale) = (number.mantissa(), number.scale());
    while scale > decimals && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    let missing = decimals.checked_sub(scale).ok_or_else(|| {
        format!(
            "{name} is {number}, which has {scale} decimals where the files of this emitter have {decimals}: write \
             `decimals: {scale}`, or give it as CSV (kind focus, `format: csv`), which has room for all"
        )
    })?;
    let units = 10_i128.checked_pow(missing).and_then(|factor| mantissa.checked_mul(factor));
    let fits = |units: &i128| units.unsigned_abs() < 10_u128.pow(DIGITS);
    units.filter(fits).ok_or_else(|| {
        format!(
            "{name} is {number}, which does not fit into {DIGITS} digits with {decimals} decimals: write fewer \
             `decimals`, or give it as CSV (kind focus, `format: csv`), which has room for all"
        )
    })
}
