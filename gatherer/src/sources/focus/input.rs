//! The records of a file, whatever its format.

use std::fs::File;
use std::os::unix::fs::FileExt;

use proto::hash::Hash128;
use proto::line::Measure;

use super::error::FocusError;
use super::files::Listed;
use super::header::{ColumnNames, Layout};
use super::open::{self, Opened};
#[cfg(feature = "parquet")]
use super::parquet::Rows;
use super::records::{Record, Records, RecordsError};

/// What a Parquet file begins with.
const PARQUET: &[u8; 4] = b"PAR1";

/// What an encrypted one begins with.
const ENCRYPTED: &[u8; 4] = b"PARE";

/// Reads records one after the other.
pub enum Input {
    /// Lines of CSV.
    Csv(Box<Records<Opened>>),
    /// Rows of Parquet.
    #[cfg(feature = "parquet")]
    Parquet(Box<Rows>),
}

impl Input {
    /// Opens a listed file: its content tells the format, not its name.
    ///
    /// # Errors
    /// When it cannot be read, has changed since it was listed, is empty or of a format that is not read here.
    pub fn open(listed: &Listed) -> Result<Self, FocusError> {
        let file = open::file(listed)?;
        let mut first = [0; PARQUET.len()];
        let read = file.read_at(&mut first, 0);
        let io = |source| FocusError::Io { path: listed.name.clone(), source };
        if read.map_err(io)? == PARQUET.len() && first == *PARQUET {
            return Self::parquet(listed, file);
        }
        if first == *ENCRYPTED {
            let path = listed.name.clone();
            return Err(FocusError::Format { path, what: "encrypted Parquet, without its key" });
        }
        Ok(Self::Csv(Box::new(Records::new(Opened::of(listed, file)?))))
    }

    #[cfg(feature = "parquet")]
    fn parquet(listed: &Listed, file: File) -> Result<Self, FocusError> {
        Ok(Self::Parquet(Box::new(Rows::open(listed, file)?)))
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(listed: &Listed, _: File) -> Result<Self, FocusError> {
        Err(FocusError::NoParquet(listed.name.clone()))
    }

    /// What the format is called.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self {
            Self::Csv(records) => match records.input() {
                Opened::Plain(_) => "CSV",
                Opened::Gzip(_) => "CSV in gzip",
                Opened::Zstd(_) => "CSV in zstd",
            },
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => "Parquet",
        }
    }

    /// The next record; `None` at the end. The first one is the header.
    ///
    /// # Errors
    /// When the file cannot be read on, or has no sound record here.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, RecordsError> {
        match self {
            Self::Csv(records) => records.read(),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.read(),
        }
    }

    /// The layout of a file whose header comes next.
    ///
    /// # Errors
    /// When it has none, or one that lacks a column that is needed.
    pub fn header(
        &mut self,
        file: &Listed,
        cost: Measure,
        names: &mut ColumnNames,
    ) -> Result<Layout, FocusError> {
        match self.read() {
            Ok(Some(header)) => Layout::read(&file.name, &header, cost, names),
            Ok(None) => Err(FocusError::Empty(file.name.clone())),
            Err(error) => Err(self.damaged(file, error)),
        }
    }

    /// What it means that the file's records cannot be read on.
    #[must_use]
    pub fn damaged(&self, file: &Listed, error: RecordsError) -> FocusError {
        match self {
            Self::Csv(records) => FocusError::of_records(file, "line", records.line(), error),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => FocusError::of_records(file, "row", rows.row(), error),
        }
    }

    /// The hash of the file's bytes, once everything was read.
    ///
    /// # Errors
    /// When the file is not what it was when it was listed.
    pub fn close(self, listed: &Listed) -> Result<Hash128, FocusError> {
        match self {
            Self::Csv(records) => records.into_inner().close(listed),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.close(listed),
        }
    }
}
