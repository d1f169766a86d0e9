//! `ChargebackRow`: who owes what, and why; and the columnar batch that carries many.
//!
//! What a tier gives is the same for many lines: who takes part, with which share, and why. That is a [`Split`], and
//! it travels and is stored once. Of each line there is left the name of its split and the amounts of its parts, a
//! [`Piece`]: a row is one part of a piece. A piece has at most [`PARTS_MAX`] parts; a line that is split further, or
//! by a composition, has several.

mod batch;
mod build;
mod dimensions;

use serde::{Deserialize, Serialize};

use crate::hash::Hash128;
use crate::line::LineId;
use crate::money::{Amount, Share};
use crate::time::BillingPeriod;

pub use batch::{Piece, RowBatch, Rows, Split};
pub use build::{RowBuilder, batch_of};

/// Parts of a piece at most: the arrays of a piece then lie within a block of the database's, not beside it.
pub const PARTS_MAX: usize = 50;

/// The owner of what nobody could be found for.
pub const UNALLOCATED: &str = "UNALLOCATED";
/// The method of a line whose allocation failed.
pub const ALLOCATION_FAILED: &str = "ALLOCATION_FAILED";

/// Caused by measured or direct use, or shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostType {
    /// Caused by the identity.
    Usage,
    /// Shared by a rule.
    Shared,
}

/// What kind of booking a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first booking of a line.
    Original,
    /// Takes an earlier row back.
    Reversal,
    /// Books it anew.
    Correction,
    /// Moves a shared pool.
    Distribution,
    /// An internal surcharge.
    Markup,
}

impl CostType {
    /// `usage` or `shared`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Shared => "shared",
        }
    }
}

impl Entry {
    /// All, in the order of their codes.
    pub const ALL: [Self; 5] =
        [Self::Original, Self::Reversal, Self::Correction, Self::Distribution, Self::Markup];
    /// `original`, `reversal`, `correction`, `distribution`, `markup`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Reversal => "reversal",
            Self::Correction => "correction",
            Self::Distribution => "distribution",
            Self::Markup => "markup",
        }
    }
}

/// Why a row is: everything in it but its line, share and money.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowDimension {
    /// Id of the rule, with version: `by-account`, `focus/default@1`.
    pub rule: String,
    /// Which tier of its chain, from 0.
    pub tier: u16,
    /// Which part of a composition, from 0; 0 without one.
    pub part: u16,
    /// Who caused it; `UNALLOCATED` when nobody was found.
    pub identity: String,
    /// Who pays; `UNALLOCATED` when nobody was found.
    pub owner: String,
    /// Usage or shared.
    pub cost_type: CostType,
    /// The tier's name, or [`ALLOCATION_FAILED`].
    pub method: String,
    /// Reason or detail.
    pub detail: Option<String>,
    /// Kind of booking.
    pub entry: Entry,
    /// The period in which it is booked; `None` = the line's billing period.
    pub booking_period: Option<BillingPeriod>,
}

/// A [`RowDimension`] whose texts lie elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in RowDimension")]
pub struct DimensionRef<'a> {
    pub rule: &'a str,
    pub tier: u16,
    pub part: u16,
    pub identity: &'a str,
    pub owner: &'a str,
    pub cost_type: CostType,
    pub method: &'a str,
    pub detail: Option<&'a str>,
    pub entry: Entry,
    pub booking_period: Option<BillingPeriod>,
}

impl RowDimension {
    /// The same without its own texts.
    #[must_use]
    pub fn borrowed(&self) -> DimensionRef<'_> {
        DimensionRef {
            rule: &self.rule,
            tier: self.tier,
            part: self.part,
            identity: &self.identity,
            owner: &self.owner,
            cost_type: self.cost_type,
            method: &self.method,
            detail: self.detail.as_deref(),
            entry: self.entry,
            booking_period: self.booking_period,
        }
    }
}

impl DimensionRef<'_> {
    /// Content hash. `scratch` spares an allocation.
    #[must_use]
    pub fn hash(&self, scratch: &mut Vec<u8>) -> Hash128 {
        scratch.clear();
        scratch.extend_from_slice(&self.tier.to_le_bytes());
        scratch.extend_from_slice(&self.part.to_le_bytes());
        scratch.extend_from_slice(&[self.cost_type as u8, self.entry as u8]);
        let texts = [
            Some(self.rule),
            Some(self.identity),
            Some(self.owner),
            Some(self.method),
            self.detail,
        ];
        for text in texts {
            // None is no text, not an empty one.
            let len = text.map_or(0, |text| text.len() as u32 + 1);
            scratch.extend_from_slice(&len.to_le_bytes());
            scratch.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        if let Some(period) = self.booking_period {
            scratch.extend_from_slice(period.to_string().as_bytes());
        }
        Hash128::of(scratch)
    }

    /// With texts of its own.
    #[must_use]
    pub fn to_owned(&self) -> RowDimension {
        RowDimension {
            rule: self.rule.to_owned(),
            tier: self.tier,
            part: self.part,
            identity: self.identity.to_owned(),
            owner: self.owner.to_owned(),
            cost_type: self.cost_type,
            method: self.method.to_owned(),
            detail: self.detail.map(str::to_owned),
            entry: self.entry,
            booking_period: self.booking_period,
        }
    }
}

/// A row without its dimension: the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMoney {
    /// The line that it is a part of.
    pub line: LineId,
    /// Its share of the line (of the part, in a composition).
    pub share: Share,
    /// Its part of the line's amount.
    pub amount: Amount,
    /// In the order of [`crate::line::Measure::ALL`]; `None` equals `amount`.
    pub measures: [Option<Amount>; 4],
    /// Its part of the pricing and consumed quantity, where the line has them.
    pub quantities: [Option<Amount>; 2],
}

/// One row on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargebackRow {
    /// Why.
    pub dimension: RowDimension,
    /// How much.
    pub money: RowMoney,
}

/// Money of parts as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartsMoney {
    /// Their amounts.
    pub amounts: Vec<Amount>,
    /// The four measures, in the order of [`crate::line::Measure::ALL`]: `None` equals the amount. Then pricing and
    /// consumed quantity. A column in which there is none may be empty.
    pub others: [Vec<Option<Amount>>; OTHERS],
}

/// Columns of [`PartsMoney`] beside the amounts.
pub const OTHERS: usize = 6;

impl PartsMoney {
    /// Number of parts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.amounts.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }
    /// Forgets all parts.
    pub fn clear(&mut self) {
        self.amounts.clear();
        self.others.iter_mut().for_each(Vec::clear);
    }
    /// Appends a part.
    pub fn push(&mut self, amount: Amount, others: [Option<Amount>; OTHERS]) {
        let before = self.len();
        self.amounts.push(amount);
        for (column, other) in self.others.iter_mut().zip(others) {
            if other.is_some() || !column.is_empty() {
                column.resize(before, None);
                column.push(other);
            }
        }
    }
    /// A part of one column beside the amounts.
    #[must_use]
    pub fn other(&self, which: usize, part: usize) -> Option<Amount> {
        self.others[which].get(part).copied().flatten()
    }
}
