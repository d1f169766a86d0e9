//! What can be wrong with the files of a source, so that none of them is read on.

use proto::report::FailureClass;

use super::files::Listed;
use super::records::RecordsError;

/// Why the files of a source cannot be gathered. Nothing is published or withdrawn then.
#[derive(Debug, thiserror::Error)]
pub enum FocusError {
    /// A glob without a file.
    #[error(
        "files entry {entry:?} matches no file in {folder}{found}; nothing is withdrawn: put the files back (is the folder mounted?), or change the entry"
    )]
    NoMatch {
        /// As configured.
        entry: String,
        /// Where it starts from.
        folder: String,
        /// What it matches instead, if anything.
        found: &'static str,
    },
    /// A plain path without a file.
    #[error(
        "file {0} does not exist; nothing is withdrawn: put it back, or change the entry under `files`"
    )]
    Missing(String),
    /// A folder where a file is meant.
    #[error("{0} is a folder, not a file: write a pattern such as {0}/*.csv under `files`")]
    Folder(String),
    /// Neither a file nor a folder.
    #[error("{0} is no ordinary file: name files only under `files`")]
    Special(String),
    /// A pattern that is none.
    #[error("files entry {entry:?} is no pattern: {what}")]
    Pattern {
        /// As configured.
        entry: String,
        /// What is wrong with it.
        what: String,
    },
    /// A name that no report could carry.
    #[error("the name of file {0} is not UTF-8: rename it")]
    Name(String),
    /// It cannot be opened or listed.
    #[error(
        "failed to read {path}: put a file there that this user can read; visible dates stay as they are"
    )]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes it.
    #[error("file {0} changed while it was read; it is read again later")]
    Changed(String),
    /// Not even a header.
    #[error(
        "file {0} is empty, without even a header line: put the whole file there, or remove it"
    )]
    Empty(String),
    /// Some other format.
    #[error(
        "file {path} is {what}: give it as CSV, plain or compressed with gzip or zstd, or as Parquet"
    )]
    Format {
        /// Which file.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Parquet, in a program that was built without it.
    #[error(
        "file {0} is Parquet, which this program was built without: give it as CSV, or build with the feature `parquet`"
    )]
    NoParquet(String),
    /// A column of Parquet that is not read.
    #[error(
        "file {path} has a column {column} that cannot be read: {what}; or leave it out of the export"
    )]
    Column {
        /// Which file.
        path: String,
        /// Which column.
        column: String,
        /// What it is, and what to give instead.
        what: String,
    },
    /// The data ends too early or does not decompress.
    #[error(
        "file {path} breaks off or is damaged near its {unit} {line} ({what}): fetch it again; nothing of it was published"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What the file is made of: `line` or `row`.
        unit: &'static str,
        /// The last one that was begun, from 1.
        line: u64,
        /// In the decoder's words.
        what: String,
    },
    /// A column that nothing can be done without.
    #[error("file {path} has no column {column}{why}: {mend}; its columns are {present}")]
    NoColumn {
        /// Which file.
        path: String,
        /// Which column.
        column: &'static str,
        /// What it is needed for.
        why: &'static str,
        /// What to do.
        mend: &'static str,
        /// What there is.
        present: String,
    },
    /// Two columns of one name.
    #[error(
        "file {path} has the column {column} twice, as column {first} and column {second}: remove or rename one"
    )]
    TwiceColumn {
        /// Which file.
        path: String,
        /// Canonical name.
        column: String,
        /// Place of the first, from 1.
        first: usize,
        /// Place of the second, from 1.
        second: usize,
    },
    /// A header that is no text.
    #[error("the header of file {0} is not UTF-8: save the file as UTF-8")]
    HeaderText(String),
    /// The same bytes twice.
    #[error(
        "files {first} and {second} have the same bytes, so their lines would count twice: remove one, or write `duplicates: allow` if both are meant"
    )]
    Duplicates {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

impl FocusError {
    /// What it means that a file's records cannot be read on behind this `line` or `row`.
    #[must_use]
    pub fn of_records(file: &Listed, unit: &'static str, line: u64, error: RecordsError) -> Self {
        let path = file.name.clone();
        // The operating system's errors carry a number; decoders' do not.
        match error {
            RecordsError::Io(source) if source.raw_os_error().is_some() => {
                Self::Io { path, source }
            }
            other @ (RecordsError::Io(_)
            | RecordsError::TooLong
            | RecordsError::Unclosed
            | RecordsError::Damaged(_)) => {
                Self::Damaged { path, unit, line, what: other.to_string() }
            }
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied};
        match self {
            Self::Io { source, .. }
                if !matches!(source.kind(), PermissionDenied | IsADirectory | NotADirectory) =>
            {
                FailureClass::Transient
            }
            Self::Changed(_) => FailureClass::Transient,
            Self::NoMatch { .. }
            | Self::Missing(_)
            | Self::Folder(_)
            | Self::Special(_)
            | Self::Pattern { .. }
            | Self::Name(_)
            | Self::Io { .. }
            | Self::Empty(_)
            | Self::Format { .. }
            | Self::NoParquet(_)
            | Self::Column { .. }
            | Self::Damaged { .. }
            | Self::NoColumn { .. }
            | Self::TwiceColumn { .. }
            | Self::HeaderText(_)
            | Self::Duplicates { .. } => FailureClass::Data,
        }
    }
}
