//! The port of emitters: what a kind of output has to be able to do.

use std::path::Path;
use std::sync::Arc;

use proto::ids::{SourceId, TenantId};
use proto::line::{LineId, Lines};
use proto::money::{Amount, Share};
use proto::task::Content;
use proto::time::{UnitDate, UtcSeconds};

use super::texts::{LineText, RowText};
use crate::error::EmitterError;

/// Where visible dates go. One implementation per kind.
pub trait Emitter: Send + Sync {
    /// Begins the new content of a date, or of its month. Nothing of it is seen outside before [`Sealed::publish`].
    ///
    /// # Errors
    /// When there is no place for it.
    fn open(&self, place: &Place) -> Result<Box<dyn Draft>, EmitterError>;
    /// What lies there, if it is just the `recorded` content; `None` if it is gone or another. It may block.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn find(&self, place: &Place, recorded: Content) -> Result<Option<Published>, EmitterError>;
    /// Whether rows have to come with [`VisibleRow::origin`], which costs two passes over the archive.
    fn needs_cells(&self) -> bool;
    /// The folder that its outputs never leave, if they are files.
    fn dir(&self) -> Option<&Path>;
    /// Whether an output holds a whole month, instead of a date.
    fn is_monthly(&self) -> bool;
}

/// Content under way, on a thread where it may block. Dropped, it leaves nothing behind.
pub trait Draft: Send {
    /// Tells, before any row and only where cells are needed, which columns of the provider's own (`x_`) the lines of
    /// the source have, on this date or another; sorted.
    ///
    /// # Errors
    /// When what follows from it cannot be written.
    fn provider_columns(&mut self, _names: &[String]) -> Result<(), EmitterError> {
        Ok(())
    }
    /// Appends rows, of whole lines. They come by charge start, line, tier, part, identity; where cells are needed, by
    /// the line's place in the bill instead of the first two.
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError>;
    /// Makes what was written complete and durable, still out of sight.
    ///
    /// # Errors
    /// When it cannot be written.
    fn seal(self: Box<Self>) -> Result<Box<dyn Sealed>, EmitterError>;
}

/// Complete content. Dropped, it leaves nothing behind.
pub trait Sealed: Send {
    /// Puts it in place of the date's earlier content, all at once. Equal content is left as it lies.
    ///
    /// # Errors
    /// When it cannot be put there; the earlier content stays.
    fn publish(self: Box<Self>) -> Result<Published, EmitterError>;
}

/// A date of a source, as outputs call it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose.
    pub tenant: TenantId,
    /// Of which source.
    pub source: SourceId,
    /// Which day.
    pub date: UnitDate,
    /// The source's kind; `None` when the source is no longer configured.
    pub ecosystem: Option<String>,
}

/// What lies outside now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// For people: a path or URL.
    pub target: String,
    /// Size and hash.
    pub content: Content,
}

/// A visible row with its line; measures are resolved.
#[derive(Debug, Clone)]
pub struct VisibleRow {
    /// Start of the charge period, inclusive.
    pub charge_start: UtcSeconds,
    /// End of the charge period, exclusive.
    pub charge_end: UtcSeconds,
    /// The line that it is a part of.
    pub line: LineId,
    /// Its part of the measure that the source's `cost` names.
    pub amount: Amount,
    /// Its parts of the four measures, in the order of [`proto::line::Measure::ALL`].
    pub measures: [Amount; 4],
    /// Its part of the pricing and consumed quantity.
    pub quantities: [Option<Amount>; 2],
    /// Texts of the line.
    pub of: Arc<LineText>,
    /// Texts of the row.
    pub why: Arc<RowText>,
    /// The line as billed, for emitters that need its cells.
    pub origin: Option<Origin>,
}

/// A line as the archive keeps it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its place in the date's bill, from 0.
    pub place: i64,
    /// The row's share of it (of the part, in a composition).
    pub share: Share,
    /// The lines that it came with.
    pub lines: Arc<Lines>,
    /// Which of them it is.
    pub at: usize,
}

impl VisibleRow {
    /// Quantity and unit: the pricing quantity, else the consumed one, else none.
    #[must_use]
    pub fn quantity(&self) -> Option<(Amount, &str)> {
        let [pricing, consumed] = self.quantities;
        let pricing = pricing.map(|quantity| (quantity, &self.of.pricing_unit));
        let (quantity, unit) =
            pricing.or_else(|| consumed.map(|quantity| (quantity, &self.of.consumed_unit)))?;
        Some((quantity, unit.as_deref().unwrap_or_default()))
    }
}
