//! Outputs that are files: named by a template, replaced as a whole.

mod file;

pub use file::NewFile;

use std::io::Write;
use std::path::{Path, PathBuf};

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use proto::config::EmitterConfig;
use proto::config::file_name::FileName;
use proto::task::Content;

use crate::emission::{Draft, Emitter, Place, Published};
use crate::error::EmitterError;
use file::holds;

/// What is in a kind's files.
pub trait Format: Send + Sync {
    /// Begins the content of a file.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError>;
    /// As [`Emitter::needs_cells`].
    fn needs_cells(&self) -> bool;
}

/// The emitter of a kind of files.
pub struct FileEmitter<F> {
    dir: PathBuf,
    name: FileName,
    format: F,
}

impl<F: Format> FileEmitter<F> {
    /// As configured; a relative `dir` starts at `folder`.
    ///
    /// # Errors
    /// When `dir` is missing, or `format` says that something is asked for that its files do not do.
    pub fn new(
        settings: &EmitterConfig,
        folder: &str,
        format: Result<F, String>,
    ) -> Result<Self, EmitterError> {
        let id = &settings.id;
        let refused = |what: String| EmitterError::Settings(format!("emitter {id}: {what}"));
        let dir = settings.dir.as_ref();
        let dir =
            dir.ok_or_else(|| refused("`dir`, the folder of its files, is missing".into()))?;
        let dir = Path::new(folder).join(dir);
        Ok(Self { dir, name: settings.file_name(), format: format.map_err(refused)? })
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
    fn is_monthly(&self) -> bool {
        self.name.is_monthly()
    }
}

/// Writes CSV: LF, RFC 4180.
pub fn csv_writer<W: Write>(out: W) -> Writer<W> {
    let mut builder = WriterBuilder::new();
    builder
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(64 * 1024);
    builder.from_writer(out)
}
