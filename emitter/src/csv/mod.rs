//! CSV: every row, or rows added up.

mod columns;
#[cfg(test)]
mod fixture;
mod layout;
mod totals;

use proto::config::EmitterConfig;

use crate::emission::{Draft, Emitter, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
use crate::files::{FileEmitter, Format, NewFile};
use layout::{Layout, Shape};

/// The CSV emitter as configured; a relative `dir` starts at `folder`.
///
/// # Errors
/// When `dir` is missing, or something is asked for that CSV files do not do.
pub fn files(settings: &EmitterConfig, folder: &str) -> Result<Box<dyn Emitter>, EmitterError> {
    let shape = match settings.version {
        Some(_) => Err("csv has no versions: remove `version`".to_owned()),
        None => Shape::of(settings),
    };
    Ok(Box::new(FileEmitter::new(settings, folder, shape)?))
}

impl Format for Shape {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        Ok(Box::new(Layout::new(file, place, self)?))
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
