//! FOCUS 1.2 Cost and Usage as CSV or Parquet.
//!
//! | file | what |
//! |---|---|
//! | [`columns`] | the 57 columns, what fills them, and what stands for a cell that a bill lacks |
//! | [`cells`] | a line's cells, as FOCUS wants them |
//! | [`split`] | parts of numbers that facts do not carry |
//! | [`layout`] | rows as records |
//! | `kinds` | what columns hold, for Parquet |

mod cells;
mod columns;
#[cfg(feature = "parquet")]
mod kinds;
mod layout;
mod split;

use proto::config::{Aggregation, EmitterConfig, FileFormat};

use crate::emission::{Draft, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
#[cfg(feature = "parquet")]
use crate::files::Parquet;
use crate::files::{Format, NewFile, Table, csv_writer, refused};
use layout::Layout;

/// The only version that is written.
const VERSION: &str = "1.2";

/// Decimals of the numbers in Parquet files where nothing else is asked for: the type that readers take for numbers
/// without one, with room for sums.
#[cfg(feature = "parquet")]
const DECIMALS: u32 = 18;

/// The format of FOCUS files.
pub struct Focus {
    format: FileFormat,
    #[cfg(feature = "parquet")]
    decimals: u32,
}

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
        #[cfg(not(feature = "parquet"))]
        if settings.format == FileFormat::Parquet {
            return refused(
                "this program was built without Parquet: write `format: csv`, or build with the feature `parquet`",
            );
        }
        Ok(Self {
            format: settings.format,
            #[cfg(feature = "parquet")]
            decimals: settings.decimals.unwrap_or(DECIMALS),
        })
    }
}

impl Format for Focus {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        #[cfg(feature = "parquet")]
        if self.format == FileFormat::Parquet {
            let table = Parquet::new(file, kinds::kind, self.decimals);
            return Ok(Box::new(Layout::new(table, place)?));
        }
        Ok(Box::new(Layout::new(csv_writer(file), place)?))
    }
    fn ending(&self) -> &'static str {
        self.format.ending()
    }
    fn needs_cells(&self) -> bool {
        true
    }
}

impl<T: Table<Out = NewFile>> Draft for Layout<T> {
    fn write(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError> {
        rows.chunk_by(|a, b| a.line == b.line).try_for_each(|rows| self.line(rows))
    }
    fn seal(self: Box<Self>) -> Result<Box<dyn Sealed>, EmitterError> {
        Ok(Box::new(self.finish()?.seal()?))
    }
}
