//! Files: what every kind of output that lies in a folder shares. A kind says only how rows are written: its [`Format`].

mod file;
#[cfg(feature = "parquet")]
mod parquet;
mod remove;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use proto::config::EmitterConfig;
use proto::config::file_name::FileName;
use proto::task::Content;

use crate::emission::{Draft, Emitter, Place, Published};
use crate::error::EmitterError;
pub use file::NewFile;
use file::holds;
#[cfg(feature = "parquet")]
pub use parquet::{Kind, Parquet};
pub use remove::remove;
pub use table::{Cell, Fault, Table};

/// How the rows of a file are written.
pub trait Format: Send + Sync {
    /// Begins a file, as far as it can be written before its rows are known.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError>;
    /// As [`Emitter::needs_cells`].
    fn needs_cells(&self) -> bool;
}

/// An emitter of files, named by a template and each replaced as a whole.
pub struct FileEmitter<F> {
    dir: PathBuf,
    name: FileName,
    format: F,
}

impl<F: Format> FileEmitter<F> {
    /// As configured; a relative `dir` starts at `folder`.
    ///
    /// # Errors
    /// When `dir` is missing.
    pub fn new(settings: &EmitterConfig, folder: &str, format: F) -> Result<Self, EmitterError> {
        let Some(dir) = &settings.dir else {
            return Err(refused(settings, "it needs `dir`, the folder of its files"));
        };
        Ok(Self { dir: Path::new(folder).join(dir), name: settings.file_name(), format })
    }

    fn path(&self, place: &Place) -> PathBuf {
        self.dir.join(self.name.of(&place.tenant, &place.source, place.date))
    }
}

impl<F: Format> Emitter for FileEmitter<F> {
    fn open(&self, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        self.format.begin(NewFile::create(&self.path(place))?, place)
    }
    fn find(&self, place: &Place, recorded: Content) -> Result<Option<Published>, EmitterError> {
        let path = self.path(place);
        Ok(holds(&path, recorded)?.then(|| Published::at(&path, recorded)))
    }
    fn needs_cells(&self) -> bool {
        self.format.needs_cells()
    }
    fn dir(&self) -> Option<&Path> {
        Some(&self.dir)
    }
    fn is_monthly(&self) -> bool {
        self.name.is_monthly()
    }
}

/// Something that an emitter is asked for and does not do: what it is and how to mend it.
pub fn refused(settings: &EmitterConfig, what: &str) -> EmitterError {
    EmitterError::Settings(format!("emitter {} ({}): {what}", settings.id, settings.kind))
}

/// CSV as every kind writes it: UTF-8, LF, RFC 4180.
pub fn csv_writer<W: Write>(out: W) -> Writer<W> {
    WriterBuilder::new()
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(64 * 1024)
        .from_writer(out)
}
