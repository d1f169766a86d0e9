//! Drivers: weights (window, values of the `within` fields) → identity or owner, stored like lines with a manifest.

use serde::{Deserialize, Serialize};

use crate::column::{AmountColumn, ColumnError, IntColumn, TextColumn, check_items};
use crate::envelope::{Body, MessageKind};
use crate::money::Amount;
use crate::time::UtcSeconds;

/// One weight of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverWeight {
    /// Start of the window, inclusive.
    pub window_start: UtcSeconds,
    /// End of the window, exclusive.
    pub window_end: UtcSeconds,
    /// Values of the `within` fields, in the driver's order, joined by U+001F; empty without any.
    pub within: String,
    /// Identity or owner that the weight speaks for.
    pub party: String,
    /// The weight: the metric's shortest decimal text, or a sum of cost.
    pub weight: Amount,
}

/// Weights of one driver, window and generation as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriverBatch {
    window_start: IntColumn,
    window_end: IntColumn,
    within: TextColumn,
    party: TextColumn,
    weight: AmountColumn,
}

impl Body for DriverBatch {
    const KIND: MessageKind = MessageKind::Driver;
}

impl DriverBatch {
    /// A batch of these.
    #[must_use]
    pub fn new(items: &[DriverWeight]) -> Self {
        Self {
            window_start: items.iter().map(|w| w.window_start.0).collect(),
            window_end: items.iter().map(|w| w.window_end.0).collect(),
            within: items.iter().map(|w| Some(w.within.as_str())).collect(),
            party: items.iter().map(|w| Some(w.party.as_str())).collect(),
            weight: items.iter().map(|w| Some(w.weight)).collect(),
        }
    }
    /// The weights, every column checked.
    ///
    /// # Errors
    /// When a column is damaged or its length differs.
    pub fn open(self) -> Result<Vec<DriverWeight>, ColumnError> {
        let len = self.party.len();
        check_items(len)?;
        self.party.check("party", len)?;
        self.within.check("within", len)?;
        let starts = self.window_start.decode("window_start", len)?;
        let ends = self.window_end.decode("window_end", len)?;
        let weights = self.weight.decode("weight", len)?;
        let weight = |i: usize| {
            Some(DriverWeight {
                window_start: UtcSeconds(starts[i]),
                window_end: UtcSeconds(ends[i]),
                within: self.within.get(i).unwrap_or_default().to_owned(),
                party: self.party.get(i)?.to_owned(),
                weight: weights[i]?,
            })
        };
        let damaged = ColumnError::Damaged { column: "weight", what: "a weight without value" };
        (0..len).map(weight).collect::<Option<Vec<_>>>().ok_or(damaged)
    }
}
