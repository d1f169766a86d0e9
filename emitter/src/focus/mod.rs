//! FOCUS 1.2 Cost and Usage as CSV: one file per date, `{dir}/{tenant}_{source}_{date}.csv`, replaced as a whole.
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

use std::path::{Path, PathBuf};

use proto::config::{Aggregation, EmitterConfig};
use proto::task::Content;

use crate::csv::file::{NewFile, holds};
use crate::csv::name;
use crate::emission::{Draft, Emitter, Place, Published, Sealed, VisibleRow};
use crate::error::EmitterError;
use layout::Layout;

/// The only version that is written.
const VERSION: &str = "1.2";

/// The FOCUS emitter.
pub struct Focus {
    dir: PathBuf,
}

impl Focus {
    /// As configured; a relative `dir` starts at `folder`.
    ///
    /// # Errors
    /// When `dir` is missing, or something is asked for that FOCUS files do not do.
    pub fn new(settings: &EmitterConfig, folder: &str) -> Result<Self, EmitterError> {
        let id = &settings.id;
        let refused = |what: &str| Err(EmitterError::Settings(format!("emitter {id}: {what}")));
        let Some(dir) = &settings.dir else {
            return refused("focus needs `dir`, the folder of its files");
        };
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
        Ok(Self { dir: Path::new(folder).join(dir) })
    }
}

impl Emitter for Focus {
    fn open(&self, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        let layout = Layout::new(NewFile::create(&self.dir, &name(place))?, place)?;
        Ok(Box::new(layout))
    }
    fn find(&self, place: &Place, recorded: Content) -> Result<Option<Published>, EmitterError> {
        let path = self.dir.join(name(place));
        Ok(holds(&path, recorded)?.then(|| Published::at(&path, recorded)))
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
