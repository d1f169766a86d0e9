//! Rows of a Parquet file as records, with the text that CSV would have in each cell.
//!
//! | file | what |
//! |---|---|
//! | [`text`] | values as text (pure) |
//! | [`schema`] | what nests in what (pure) |
//! | [`leaf`], [`nested`] | values and their levels to cells |
//! | [`pages`], [`thrift`] | what a file says of its sizes, looked at before memory is taken for it |
//!
//! Null is an empty cell. Decimals are written exactly, without zeros at their end; doubles as the shortest decimal
//! that reads back as the same double, which is all that is left of what was meant. Times without a zone are UTC.
//! Maps, lists and structs become JSON, in the order of the file.
//!
//! Read row group by row group, some rows of each column at a time: memory follows the size of a page, not of a file.

mod leaf;
mod nested;
mod pages;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod thrift;

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use proto::hash::Hash128;
use runtime::panics::{self, Panicked};

use super::error::FocusError;
use super::files::Listed;
use super::open::{self, BUFFER_BYTES};
use super::records::{Assembled, Record, RecordsError};
use leaf::Leaf;
use nested::Broken;
use pages::{Bounds, Source};
use schema::Node;
use text::Meaning;

/// Values that a row may have in one column, on average over a row group: the entries of a map or list.
const VALUES_PER_ROW: i64 = 1_000;
/// Rows that are taken up at a time.
const BATCH_ROWS: usize = 1_024;

/// Reads rows one after the other. The first record is the header.
pub struct Rows {
    file: File,
    content: Hash128,
    source: Arc<Source>,
    metadata: ParquetMetaData,
    bounds: Arc<Bounds>,
    columns: Vec<Node>,
    meanings: Vec<Meaning>,
    leaves: Vec<Box<dyn Leaf>>,
    /// The row group that comes next.
    group: usize,
    /// Rows of the group at hand that were not taken up, and of the batch at hand that were not handed out.
    left: (usize, usize),
    begun: bool,
    row: u64,
    record: Assembled,
}

impl Rows {
    /// Opens a listed file.
    ///
    /// # Errors
    /// When it cannot be read, has no sound footer, or has a column that is not read.
    pub fn open(listed: &Listed, file: File) -> Result<Self, FocusError> {
        let io = |source| FocusError::Io { path: listed.name.clone(), source };
        let content = hash(&file).map_err(io)?;
        let shared = file.try_clone().map_err(io)?;
        let source = Arc::new(Source::new(shared).map_err(io)?);
        let open = guarded(|| source.metadata());
        let metadata = open.map_err(|error| FocusError::of_records(listed, "row", 0, error))?;
        let refused =
            |(column, what)| FocusError::Column { path: listed.name.clone(), column, what };
        let schema = metadata.file_metadata().schema();
        let (columns, meanings) = schema::columns(schema).map_err(refused)?;
        compressed(&metadata).map_err(refused)?;
        Ok(Self {
            file,
            content,
            source,
            metadata,
            bounds: Arc::default(),
            columns,
            meanings,
            leaves: Vec::new(),
            group: 0,
            left: (0, 0),
            begun: false,
            row: 0,
            record: Assembled::default(),
        })
    }

    /// Number of the row that was handed out last, from 1.
    #[must_use]
    pub fn row(&self) -> u64 {
        self.row
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on, or is damaged.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, RecordsError> {
        if !self.begun {
            self.begun = true;
            self.record.begin(0);
            self.columns.iter().for_each(|c| self.record.field(c.name.as_bytes()));
            return Ok(Some(self.record.record()));
        }
        if self.left.1 == 0 && !self.batch()? {
            return Ok(None);
        }
        self.left.1 -= 1;
        self.row += 1;
        self.record.begin(self.row);
        for column in &self.columns {
            let leaves = &mut self.leaves;
            let cell = self.record.field_with(|out| nested::cell(column, leaves, out));
            cell.map_err(|Broken| damaged(&column.name))?;
        }
        Ok(Some(self.record.record()))
    }

    /// Takes up some rows; false at the end.
    fn batch(&mut self) -> Result<bool, RecordsError> {
        for (leaf, column) in self.leaves.iter().zip(self.reader_columns()) {
            if leaf.next().is_some() {
                return Err(damaged(&column));
            }
        }
        while self.left.0 == 0 {
            if self.group == self.metadata.num_row_groups() {
                return Ok(false);
            }
            self.begin_group()?;
        }
        let want = self.left.0.min(BATCH_ROWS);
        self.bounds.batch();
        let leaves = &mut self.leaves;
        let rows = guarded(|| leaves.iter_mut().map(|leaf| leaf.fill(want)).collect());
        let rows: Vec<usize> = rows?;
        if let Some(at) = rows.iter().position(|rows| *rows != want) {
            let column = self.reader_columns().nth(at).unwrap_or_default();
            return Err(damaged(&column));
        }
        self.left = (self.left.0 - want, want);
        Ok(true)
    }

    fn begin_group(&mut self) -> Result<(), RecordsError> {
        let (at, descriptions) = (self.group, self.metadata.file_metadata().schema_descr());
        self.bounds = Arc::default();
        let leaves = guarded(|| {
            let leaves = self.meanings.iter().enumerate().map(|(column, meaning)| {
                let it = descriptions.column(column);
                let levels = (it.max_def_level(), it.max_rep_level());
                let reader = self.source.column(&self.metadata, (at, column), &self.bounds)?;
                Ok(leaf::leaf(reader, *meaning, levels))
            });
            leaves.collect::<Result<Vec<_>, ParquetError>>()
        });
        self.leaves = leaves?;
        let group = self.metadata.row_group(at);
        // A few bytes can stand for very many values, and those of a batch of rows are in memory together.
        let most = group.num_rows().saturating_mul(VALUES_PER_ROW);
        if let Some(column) = group.columns().iter().find(|column| column.num_values() > most) {
            let (path, values) = (column.column_path().string(), column.num_values());
            return Err(RecordsError::Damaged(format!(
                "column {path} has {values} values in {} rows, more than {VALUES_PER_ROW} for each",
                group.num_rows()
            )));
        }
        let rows = usize::try_from(group.num_rows());
        self.left.0 = rows.map_err(|_| RecordsError::Damaged("a negative count of rows".into()))?;
        self.group += 1;
        Ok(())
    }

    /// The paths of the leaves.
    fn reader_columns(&self) -> impl Iterator<Item = String> {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        columns.iter().map(|column| column.path().string())
    }

    /// The hash of the file's bytes.
    ///
    /// # Errors
    /// When the file is not what it was when it was listed.
    pub fn close(self, listed: &Listed) -> Result<Hash128, FocusError> {
        open::unchanged(&self.file, listed)?;
        Ok(self.content)
    }
}

/// Whether all columns can be decompressed.
///
/// # Errors
/// The one that cannot, and why.
fn compressed(metadata: &ParquetMetaData) -> Result<(), (String, String)> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let codec = match column.compression() {
            Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::LZ4
            | Compression::LZ4_RAW
            | Compression::ZSTD(_) => continue,
            Compression::BROTLI(_) => "BROTLI",
            Compression::LZO => "LZO",
        };
        let what = format!("codec {codec} is not supported, rewrite the file with ZSTD or SNAPPY");
        return Err((column.column_path().string(), what));
    }
    Ok(())
}

/// The hash of all bytes: a reader of columns jumps about in them.
fn hash(file: &File) -> std::io::Result<Hash128> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::io::BufReader::with_capacity(BUFFER_BYTES, file);
    file.rewind()?;
    std::io::copy(&mut file, &mut hasher)?;
    Ok(Hash128::finish(&hasher.finalize()))
}

fn damaged(column: &str) -> RecordsError {
    RecordsError::Damaged(format!("the values of column {column} do not fit its rows"))
}

/// What a reader answers. Some damage makes decoders panic: that too means a damaged file, and no defect of ours.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, RecordsError> {
    match panics::caught(read) {
        Ok(Ok(it)) => Ok(it),
        Ok(Err(ParquetError::External(error))) => Err(match error.downcast::<std::io::Error>() {
            Ok(error) => RecordsError::Io(*error),
            Err(error) => RecordsError::Damaged(error.to_string()),
        }),
        Ok(Err(error)) => Err(RecordsError::Damaged(error.to_string())),
        Err(Panicked) => Err(RecordsError::Damaged("it cannot be decoded".to_owned())),
    }
}
