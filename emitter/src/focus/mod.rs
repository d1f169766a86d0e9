//! FOCUS 1.2 or 1.3 Cost and Usage as CSV or Parquet.
//!
//! | file | what |
//! |---|---|
//! | [`columns`] | the columns, what fills them, and what stands for a cell that a bill lacks |
//! | [`cells`] | a line's cells, as FOCUS wants them |
//! | [`allocated`] | what FOCUS 1.3 says of a part of a split line |
//! | [`split`] | parts of numbers that facts do not carry |
//! | [`layout`] | rows as records |
//! | `kinds` | what columns hold, for Parquet |

mod allocated;
mod cells;
mod columns;
#[cfg(feature = "parquet")]
mod kinds;
mod layout;
#[cfg(test)]
mod speed;
mod split;

use proto::config::{Aggregation, EmitterConfig, FileFormat};

use crate::emission::{Draft, Place, Sealed, VisibleRow};
use crate::error::EmitterError;
#[cfg(feature = "parquet")]
use crate::files::Parquet;
use crate::files::{Format, NewFile, Table, csv_writer, refused};
use columns::Version;
use layout::Layout;

/// Decimals of the numbers in Parquet files where nothing else is asked for: the type that readers take for numbers
/// without one, with room for sums.
#[cfg(feature = "parquet")]
const DECIMALS: u32 = 18;

/// The format of FOCUS files.
pub struct Focus {
    version: Version,
    /// Decimals of the numbers in Parquet files; `None`: CSV.
    #[cfg(feature = "parquet")]
    parquet: Option<u32>,
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
        #[cfg(not(feature = "parquet"))]
        if settings.format == FileFormat::Parquet {
            return refused(
                "this program was built without Parquet: write `format: csv`, or build with the feature `parquet`",
            );
        }
        let Some(version) = Version::of(settings.version.as_deref()) else {
            return refused("focus writes version 1.2 or 1.3: write `version: \"1.2\"`");
        };
        Ok(Self {
            version,
            #[cfg(feature = "parquet")]
            parquet: (settings.format == FileFormat::Parquet)
                .then(|| settings.decimals.unwrap_or(DECIMALS)),
        })
    }
}

impl Format for Focus {
    fn begin(&self, file: NewFile, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        #[cfg(feature = "parquet")]
        if let Some(decimals) = self.parquet {
            let table = Parquet::new(file, kinds::kind, decimals);
            return Ok(Box::new(Layout::new(table, place, self.version)));
        }
        Ok(Box::new(Layout::new(csv_writer(file), place, self.version)))
    }
    fn needs_cells(&self) -> bool {
        true
    }
}

impl<T: Table<Out = NewFile>> Draft for Layout<T> {
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
