//! FOCUS 1.2 or 1.3 Cost and Usage as CSV.
//!
//! | file | what |
//! |---|---|
//! | [`columns`] | the columns, what fills them, and what stands for a cell that a bill lacks |
//! | [`cells`] | a line's cells, as FOCUS wants them |
//! | [`allocated`] | what FOCUS 1.3 says of a part of a split line |
//! | [`split`] | parts of numbers that facts do not carry |
//! | [`layout`] | rows as CSV |

mod allocated;
mod cells;
mod columns;
mod layout;
mod split;

use proto::config::{Aggregation, EmitterConfig};

use crate::emission::{Draft, Emitter, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
use crate::files::{FileEmitter, Format, NewFile};
use columns::Version;
use layout::Layout;

/// The FOCUS emitter as configured; a relative `dir` starts at `folder`.
///
/// # Errors
/// When `dir` is missing, or something is asked for that FOCUS files do not do.
pub fn files(settings: &EmitterConfig, folder: &str) -> Result<Box<dyn Emitter>, EmitterError> {
    Ok(Box::new(FileEmitter::new(settings, folder, version(settings))?))
}

fn version(settings: &EmitterConfig) -> Result<Version, String> {
    if settings.aggregation != Aggregation::None || !settings.group_by.is_empty() {
        return Err(
            "focus writes every row and cannot add up: remove `aggregation` and `group_by`"
                .to_owned(),
        );
    }
    if !settings.columns.is_empty() {
        return Err("focus has the columns of its version: remove `columns`".to_owned());
    }
    Version::of(settings.version.as_deref())
        .ok_or_else(|| "focus writes version 1.2 or 1.3: write `version: \"1.2\"`".to_owned())
}

impl Format for Version {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        Ok(Box::new(Layout::new(file, place, *self)))
    }
    fn needs_cells(&self) -> bool {
        true
    }
}

impl Draft for Layout<NewFile> {
    fn provider_columns(&mut self, names: &[String]) -> Result<(), EmitterError> {
        self.head(names)
    }
    fn write(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError> {
        rows.chunk_by(|a, b| a.line == b.line).try_for_each(|rows| self.line(rows))
    }
    fn seal(self: Box<Self>) -> Result<Box<dyn Sealed>, EmitterError> {
        Ok(Box::new(self.finish()?.seal()?))
    }
}
