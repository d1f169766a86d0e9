//! Values of one leaf, some rows at a time.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;

use super::text::{Meaning, Text};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// As a value of JSON.
    Json,
    /// As a key of JSON.
    Key,
}

/// Levels and values of some rows, taken one after the other.
pub trait Leaf {
    /// Takes up the next so many rows; answers how many there were.
    ///
    /// # Errors
    /// When the column is damaged.
    fn fill(&mut self, rows: usize) -> Result<usize, ParquetError>;
    /// Definition and repetition level of what comes next; `None`: nothing does.
    fn next(&self) -> Option<(i16, i16)>;
    /// Passes over what comes next, which has no value.
    fn skip(&mut self);
    /// Writes what comes next, which has a value. Whether it had.
    #[must_use]
    fn take(&mut self, form: Form, out: &mut Vec<u8>) -> bool;
}

/// The leaf of a column chunk.
pub fn leaf(reader: ColumnReader, meaning: Meaning, levels: (i16, i16)) -> Box<dyn Leaf> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::Int32ColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::Int64ColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::Int96ColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::FloatColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::DoubleColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::ByteArrayColumnReader(reader) => Typed::boxed(reader, meaning, levels),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            Typed::boxed(reader, meaning, levels)
        }
    }
}

struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    meaning: Meaning,
    max_def: i16,
    max_rep: i16,
    values: Vec<T::T>,
    /// Empty where every row has a value.
    defs: Vec<i16>,
    /// Empty where nothing repeats.
    reps: Vec<i16>,
    levels: usize,
    at: usize,
    at_value: usize,
}

impl<T: DataType> Typed<T>
where
    T::T: Text,
{
    fn boxed(
        reader: ColumnReaderImpl<T>,
        meaning: Meaning,
        (max_def, max_rep): (i16, i16),
    ) -> Box<dyn Leaf> {
        Box::new(Self {
            reader,
            meaning,
            max_def,
            max_rep,
            values: Vec::new(),
            defs: Vec::new(),
            reps: Vec::new(),
            levels: 0,
            at: 0,
            at_value: 0,
        })
    }
}

impl<T: DataType> Leaf for Typed<T>
where
    T::T: Text,
{
    fn fill(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.values.clear();
        self.defs.clear();
        self.reps.clear();
        (self.at, self.at_value) = (0, 0);
        let (read, _, levels) = self.reader.read_records(
            rows,
            (self.max_def > 0).then_some(&mut self.defs),
            (self.max_rep > 0).then_some(&mut self.reps),
            &mut self.values,
        )?;
        self.levels = levels;
        Ok(read)
    }

    fn next(&self) -> Option<(i16, i16)> {
        let def = self.defs.get(self.at).copied().unwrap_or(self.max_def);
        let rep = self.reps.get(self.at).copied().unwrap_or(0);
        (self.at < self.levels).then_some((def, rep))
    }

    fn skip(&mut self) {
        self.at += 1;
    }

    fn take(&mut self, form: Form, out: &mut Vec<u8>) -> bool {
        let Some(value) = self.values.get(self.at_value) else { return false };
        (self.at, self.at_value) = (self.at + 1, self.at_value + 1);
        let quoted = form == Form::Key || (form == Form::Json && value.quoted(self.meaning));
        if !quoted {
            value.text(self.meaning, out);
            return true;
        }
        let mut text = Vec::new();
        value.text(self.meaning, &mut text);
        quote(&text, out);
        true
    }
}

/// Writes a text of JSON. One that is no UTF-8 stays none, so that its record is refused for it.
pub fn quote(text: &[u8], out: &mut Vec<u8>) {
    let quoted = std::str::from_utf8(text).ok().and_then(|text| serde_json::to_vec(text).ok());
    out.extend_from_slice(quoted.as_deref().unwrap_or(text));
}
