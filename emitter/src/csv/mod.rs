//! CSV: one row of the ledger is one row of the file.

mod layout;

use proto::config::{Aggregation, EmitterConfig};

use crate::emission::{Draft, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Format, NewFile, refused};
use layout::Layout;

/// The format of CSV files.
pub struct Csv;

impl Csv {
    /// As configured.
    ///
    /// # Errors
    /// When something is asked for that CSV files do not do.
    pub fn new(settings: &EmitterConfig) -> Result<Self, EmitterError> {
        let refused = |what: &str| Err(refused(settings, what));
        if settings.aggregation != Aggregation::None || !settings.group_by.is_empty() {
            return refused(
                "csv writes every row and cannot add up: remove `aggregation` and `group_by`",
            );
        }
        if !settings.columns.is_empty() || settings.version.is_some() {
            return refused("csv has one fixed layout: remove `columns` and `version`");
        }
        Ok(Self)
    }
}

impl Format for Csv {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        Ok(Box::new(Layout::new(file, place)?))
    }
    fn ending(&self) -> &'static str {
        "csv"
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
