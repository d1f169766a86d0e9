//! FOCUS 1.2 Cost and Usage as CSV.
//!
//! | file | what |
//! |---|---|
//! | [`columns`] | the 57 columns, what fills them, and what stands for a cell that a bill lacks |
//! | [`cells`] | a line's cells, as FOCUS wants them |
//! | [`split`] | parts of numbers that facts do not carry |
//! | [`layout`] | rows as CSV |

mod cells;
mod columns;
mod layout;
mod split;

use proto::config::{Aggregation, EmitterConfig};

use crate::emission::{Draft, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Format, NewFile, refused};
use layout::Layout;

/// The only version that is written.
const VERSION: &str = "1.2";

/// The format of FOCUS files.
pub struct Focus;

impl Focus {
    /// As configured.
    ///
    /// # Errors
    /// When something is asked for that FOCUS files do not do.
    pub fn new(settings: &EmitterConfig) -> Result<Self, EmitterError> {
        let refused = |what: &str| Err(refused(settings, what));
        if settings.aggregation != Aggregation::None || !settings.group_by.is_empty() {
            return refused(
                "focus writes every row and cannot add up: remove `aggregation` and `group_by`",
            );
        }
        if !settings.columns.is_empty() {
            return refused("focus has the columns of its version: remove `columns`");
        }
        if settings.version.as_deref().is_some_and(|version| version != VERSION) {
            return refused("focus writes version 1.2 only: write `version: \"1.2\"`");
        }
        Ok(Self)
    }
}

impl Format for Focus {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        Ok(Box::new(Layout::new(file, place)?))
    }
    fn needs_cells(&self) -> bool {
        true
    }
}

impl Draft for Layout<NewFile> {
    fn write(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError> {
        rows.chunk_by(|a, b| a.line == b.line).try_for_each(|rows| self.line(rows))
    }
    fn seal(self: Box<Self>) -> Result<Box<dyn Sealed>, EmitterError> {
        Ok(Box::new(self.finish()?.seal()?))
    }
}
