//! Drivers: weights (window, values of the `within` fields) → identity or owner, stored like lines with a manifest.

use serde::{Deserialize, Serialize};

use crate::column::{AmountColumn, ColumnError, IntColumn, TextColumn, check_items};
use crate::currency::Currency;
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::ids::DriverId;
use crate::money::Amount;
use crate::time::{UnitDate, UtcSeconds};

/// Most weights of one window: some 40 MiB with who makes them and with each allocator.
pub const WEIGHTS_MAX: usize = 200_000;
/// Weights in one message: some 60 KiB.
pub const BATCH_WEIGHTS: usize = 1_000;

/// One driver's weights over one stretch of days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DriverWindow {
    /// Which driver; of a ledger driver the id of its table.
    pub driver: DriverId,
    /// First day.
    pub from: UnitDate,
    /// First day after.
    pub until: UnitDate,
}

/// What an allocation asked a driver for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverUse {
    /// Which weights.
    pub window: DriverWindow,
    /// Hash of those that were used; `None`: they are still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash128>,
    /// Whether they were named and are no longer in the stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// The hash that weights are known by that could not be had: rows do without them.
#[must_use]
pub fn lacking_hash() -> Hash128 {
    Hash128::of(b"metrics_fetch_failed")
}

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
    /// Of a sum of cost: its currency.
    pub currency: Option<Currency>,
}

impl DriverWeight {
    /// Hash of all that it says.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let weight = self.weight.to_string();
        let window = format!("{} {}", self.window_start.0, self.window_end.0);
        let currency = self.currency.map(|currency| currency.to_string()).unwrap_or_default();
        Hash128::of_texts([&*window, &*self.within, &*self.party, &*weight, &*currency])
    }
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
    /// Left out where no weight has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<TextColumn>,
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
            currency: items.iter().any(|w| w.currency.is_some()).then(|| {
                let texts: Vec<Option<String>> =
                    items.iter().map(|w| w.currency.map(|code| code.to_string())).collect();
                texts.iter().map(Option::as_deref).collect()
            }),
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
        if let Some(currency) = &self.currency {
            currency.check("currency", len)?;
        }
        let currency = |i: usize| match self.currency.as_ref().and_then(|codes| codes.get(i)) {
            None => Some(None),
            Some(code) => code.parse::<Currency>().ok().map(Some),
        };
        let weight = |i: usize| {
            Some(DriverWeight {
                window_start: UtcSeconds(starts[i]),
                window_end: UtcSeconds(ends[i]),
                within: self.within.get(i).unwrap_or_default().to_owned(),
                party: self.party.get(i)?.to_owned(),
                weight: weights[i]?,
                currency: currency(i)?,
            })
        };
        let damaged = ColumnError::Damaged { column: "weight", what: "a weight without value" };
        (0..len).map(weight).collect::<Option<Vec<_>>>().ok_or(damaged)
    }
}
