//! FOCUS 1.2 or 1.3 Cost and Usage as CSV: one file per date, `{dir}/{tenant}_{source}_{date}.csv`, replaced as a whole.
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

use std::path::{Path, PathBuf};

use proto::config::{Aggregation, EmitterConfig};
use proto::task::Content;

use crate::csv::file::{NewFile, holds};
use crate::csv::name;
use crate::emission::{Draft, Emitter, Place, Published, Sealed, VisibleRow};
use crate::error::EmitterError;
use columns::Version;
use layout::Layout;

/// The FOCUS emitter.
pub struct Focus {
    dir: PathBuf,
    version: Version,
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
        let Some(version) = Version::of(settings.version.as_deref()) else {
            return refused("focus writes version 1.2 or 1.3: write `version: \"1.2\"`");
        };
        Ok(Self { dir: Path::new(folder).join(dir), version })
    }
}

impl Emitter for Focus {
    fn open(&self, place: &Place) -> Result<Box<dyn Draft>, EmitterError> {
        let file = NewFile::create(&self.dir, &name(place))?;
        Ok(Box::new(Layout::new(file, place, self.version)))
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
