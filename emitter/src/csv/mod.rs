//! CSV: one row of the ledger is one row of the file, or rows with equal cells are added up.
//!
//! | file | what |
//! |---|---|
//! | [`columns`] | the columns, and what stands in them |
//! | [`layout`] | which columns an emitter's files have; rows as CSV |
//! | [`totals`] | rows that are added up |

mod columns;
#[cfg(test)]
pub mod fixture;
mod layout;
#[cfg(test)]
pub mod speed;
mod totals;

use proto::config::EmitterConfig;

use crate::emission::{Draft, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Format, NewFile, refused};
use layout::{Layout, Shape};

/// The format of CSV files.
pub struct Csv {
    shape: Shape,
}

impl Csv {
    /// As configured.
    ///
    /// # Errors
    /// When something is asked for that CSV files do not do.
    pub fn new(settings: &EmitterConfig) -> Result<Self, EmitterError> {
        if settings.version.is_some() {
            return Err(refused(settings, "csv has no versions: remove `version`"));
        }
        Ok(Self { shape: Shape::of(settings).map_err(|what| refused(settings, &what))? })
    }
}

impl Format for Csv {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        Ok(Box::new(Layout::new(file, place, &self.shape)?))
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
