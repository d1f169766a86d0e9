//! CSV: one file per date, `{dir}/{tenant}_{source}_{date}.csv`, replaced as a whole.

mod columns;
pub mod file;
#[cfg(test)]
mod fixture;
mod layout;
#[cfg(test)]
pub mod speed;
mod totals;

use std::path::{Path, PathBuf};

use proto::config::EmitterConfig;
use proto::task::Content;

use crate::emission::{Draft, Emitter, Place, Published, Sealed, VisibleRow};
use crate::error::EmitterError;
use file::{NewFile, holds};
use layout::{Layout, Shape};

/// The CSV emitter.
pub struct Csv {
    dir: PathBuf,
    shape: Shape,
}

impl Csv {
    /// As configured; a relative `dir` starts at `folder`.
    ///
    /// # Errors
    /// When `dir` is missing, or something is asked for that CSV files do not do.
    pub fn new(settings: &EmitterConfig, folder: &str) -> Result<Self, EmitterError> {
        let id = &settings.id;
        let refused = |what: &str| Err(EmitterError::Settings(format!("emitter {id}: {what}")));
        let Some(dir) = &settings.dir else {
            return refused("csv needs `dir`, the folder of its files");
        };
        if settings.version.is_some() {
            return refused("csv has no versions: remove `version`");
        }
        match Shape::of(settings) {
            Ok(shape) => Ok(Self { dir: Path::new(folder).join(dir), shape }),
            Err(what) => refused(&what),
        }
    }
}

/// What the file of a date is called.
pub fn name(place: &Place) -> String {
    format!("{}_{}_{}.csv", place.tenant, place.source, place.date)
}

impl Emitter for Csv {
    fn open(&self, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        let layout = Layout::new(NewFile::create(&self.dir, &name(place))?, place, &self.shape)?;
        Ok(Box::new(layout))
    }
    fn find(&self, place: &Place, recorded: Content) -> Result<Option<Published>, EmitterError> {
        let path = self.dir.join(name(place));
        Ok(holds(&path, recorded)?.then(|| Published::at(&path, recorded)))
    }
    fn needs_cells(&self) -> bool {
        false
    }
}

impl Draft for Layout<NewFile> {
    fn write(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError> {
        rows.iter().try_for_each(|row| self.row(row))
    }
    fn seal(self: Box<Self>) -> Result<Box<dyn Sealed>, EmitterError> {
        Ok(Box::new(self.finish()?.seal()?))
    }
}
