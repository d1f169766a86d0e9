//! `BillingLineItem`: one row of a bill, and the columnar batch that carries many.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::{
    AmountColumn, ColumnError, IntColumn, TextBuilder, TextColumn, check_items, decode_numbered,
};
use crate::currency::Currency;
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::money::Amount;
use crate::time::{BillingPeriod, UtcSeconds};

/// 128-bit content hash of (tenant, source, text cells, ordinal among equals). Text form: 32 hex digits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct LineId(pub Hash128);

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The four costs of FOCUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// What is on the invoice.
    Billed,
    /// Amortised: the usual basis of chargeback.
    Effective,
    /// At negotiated prices.
    Contracted,
    /// At list prices.
    List,
}

impl Measure {
    /// All, in the order of every `[_; 4]` of measures.
    pub const ALL: [Self; 4] = [Self::Billed, Self::Effective, Self::Contracted, Self::List];
    /// The FOCUS column.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::Billed => "BilledCost",
            Self::Effective => "EffectiveCost",
            Self::Contracted => "ContractedCost",
            Self::List => "ListCost",
        }
    }
    /// `billed`, `effective`, `contracted`, `list`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::Effective => "effective",
            Self::Contracted => "contracted",
            Self::List => "list",
        }
    }
}

/// Names of cells that every source fills where it can; the rest of a line's cells keep the provider's names.
pub mod cell {
    /// What cost money.
    pub const RESOURCE_ID: &str = "ResourceId";
    /// Coarse kind of product.
    pub const PRODUCT_CATEGORY: &str = "ServiceCategory";
    /// Kind of product that chooses the chain; FOCUS has none of its own, so `ServiceName` stands in.
    pub const PRODUCT_TYPE: &str = "x_ProductType";
    /// FOCUS service.
    pub const SERVICE: &str = "ServiceName";
    /// FOCUS provider.
    pub const PROVIDER: &str = "ProviderName";
    /// Payer's account.
    pub const BILLING_ACCOUNT: &str = "BillingAccountId";
    /// Account, subscription or project.
    pub const SUB_ACCOUNT: &str = "SubAccountId";
    /// Usage, Purchase, Tax, Credit, Adjustment.
    pub const CHARGE_CATEGORY: &str = "ChargeCategory";
    /// Absent or Correction.
    pub const CHARGE_CLASS: &str = "ChargeClass";
    /// Provider's invoice.
    pub const INVOICE: &str = "InvoiceId";
    /// Unit of the pricing quantity.
    pub const PRICING_UNIT: &str = "PricingUnit";
    /// Unit of the consumed quantity.
    pub const CONSUMED_UNIT: &str = "ConsumedUnit";
    /// JSON object of tags, raw.
    pub const TAGS: &str = "Tags";
}

/// One row of a bill. Amounts are exact; a measure of `None` equals `amount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingLineItem {
    /// Identity of the line.
    pub id: LineId,
    /// Start of the charge period, inclusive; its UTC day is the unit's date.
    pub charge_start: UtcSeconds,
    /// End of the charge period, exclusive.
    pub charge_end: UtcSeconds,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Currency of all amounts.
    pub currency: Currency,
    /// The measure that the source's `cost` names.
    pub amount: Amount,
    /// In the order of [`Measure::ALL`]; `None` equals `amount`.
    pub measures: [Option<Amount>; 4],
    /// Pricing and consumed quantity, where the bill has them.
    pub quantities: [Option<Amount>; 2],
    /// Which resolution speaks of this line, where its source makes any.
    pub resolution_key: Option<String>,
    /// Every other cell that is not null: column name and raw text, sorted by name.
    pub cells: Vec<(String, String)>,
}

impl BillingLineItem {
    /// The text of a cell.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&str> {
        let at = self.cells.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        Some(self.cells[at].1.as_str())
    }
    /// A measure, with `None` resolved.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> Amount {
        self.measures[measure as usize].unwrap_or(self.amount)
    }
    /// Hash over everything in the line: what the hash of a generation sums up.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let mut hasher = blake3::Hasher::new();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        self.cells.iter().for_each(|(name, value)| {
            text(name);
            text(value);
        });
        text(self.resolution_key.as_deref().unwrap_or("\u{0}"));
        text(self.currency.as_str());
        text(&self.billing_period.to_string());
        hasher.update(&self.id.0.0);
        hasher.update(&self.charge_start.0.to_le_bytes());
        hasher.update(&self.charge_end.0.to_le_bytes());
        hash_amount(&mut hasher, Some(self.amount));
        for amount in self.measures.iter().chain(&self.quantities) {
            hash_amount(&mut hasher, *amount);
        }
        Hash128::finish(&hasher.finalize())
    }
}

/// Adds an optional amount to a hash: scale (255 for none), then mantissa.
pub(crate) fn hash_amount(hasher: &mut blake3::Hasher, amount: Option<Amount>) {
    let Some(amount) = amount else {
        hasher.update(&[255]);
        return;
    };
    hasher.update(&amount.scale().to_le_bytes()[..1]);
    hasher.update(&amount.mantissa().to_le_bytes());
}

/// Lines of one unit and generation as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineBatch {
    len: u32,
    #[serde(with = "serde_bytes")]
    ids: Vec<u8>,
    charge_start: IntColumn,
    charge_end: IntColumn,
    billing_period: TextColumn,
    currency: TextColumn,
    amount: AmountColumn,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    measures: Vec<(u8, AmountColumn)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quantities: Vec<(u8, AmountColumn)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution_key: Option<TextColumn>,
    cells: Vec<(String, TextColumn)>,
}

impl Body for LineBatch {
    const KIND: MessageKind = MessageKind::Line;
}

/// Lines of a batch, decoded into arrays; text stays in its dictionaries.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// Ids.
    pub id: Vec<LineId>,
    /// Starts of the charge periods, seconds since 1970.
    pub charge_start: Vec<i64>,
    /// Ends of the charge periods, seconds since 1970.
    pub charge_end: Vec<i64>,
    /// Billing periods as text.
    pub billing_period: TextColumn,
    /// Currency codes.
    pub currency: TextColumn,
    /// Amounts.
    pub amount: Vec<Amount>,
    /// Measures, empty where the whole batch equals `amount`.
    pub measures: [Vec<Option<Amount>>; 4],
    /// Quantities, empty where the whole batch has none.
    pub quantities: [Vec<Option<Amount>>; 2],
    /// Resolution keys.
    pub resolution_key: Option<TextColumn>,
    /// Cells by name, sorted by name.
    pub cells: Vec<(String, TextColumn)>,
}

impl Lines {
    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.id.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }
    /// The column of a cell, if any line of the batch has it.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&TextColumn> {
        let at = self.cells.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        Some(&self.cells[at].1)
    }
    /// The measure of line `i` as sent: `None` equals the amount.
    #[must_use]
    pub fn measure(&self, measure: usize, i: usize) -> Option<Amount> {
        self.measures[measure].get(i).copied().flatten()
    }
    /// The pricing (0) or consumed (1) quantity of line `i`.
    #[must_use]
    pub fn quantity(&self, quantity: usize, i: usize) -> Option<Amount> {
        self.quantities[quantity].get(i).copied().flatten()
    }
    /// Line `i` on its own. `i < len`.
    ///
    /// # Errors
    /// When its currency or billing period is none.
    pub fn item(&self, i: usize) -> Result<BillingLineItem, ColumnError> {
        let damaged = |column, what| ColumnError::Damaged { column, what };
        let currency = self.currency.get(i).and_then(|c| c.parse().ok());
        let period = self.billing_period.get(i).and_then(|p| p.parse().ok());
        Ok(BillingLineItem {
            id: self.id[i],
            charge_start: UtcSeconds(self.charge_start[i]),
            charge_end: UtcSeconds(self.charge_end[i]),
            billing_period: period.ok_or(damaged("billing_period", "no month"))?,
            currency: currency.ok_or(damaged("currency", "no currency"))?,
            amount: self.amount[i],
            measures: [0, 1, 2, 3].map(|m| self.measure(m, i)),
            quantities: [0, 1].map(|q| self.quantity(q, i)),
            resolution_key: self.resolution_key.as_ref().and_then(|c| c.get(i)).map(str::to_owned),
            cells: self
                .cells
                .iter()
                .filter_map(|(n, c)| Some((n.clone(), c.get(i)?.to_owned())))
                .collect(),
        })
    }
}

impl LineBatch {
    /// Number of lines that it claims.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }
    /// Whether it holds no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Ids of the lines, in order, without decoding anything else.
    pub fn ids(&self) -> impl Iterator<Item = LineId> {
        self.ids.chunks_exact(16).map(|id| LineId(Hash128(std::array::from_fn(|i| id[i]))))
    }
    /// Names of the cells that its lines have, without decoding anything.
    pub fn cell_names(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(|(name, _)| name.as_str())
    }
    /// Decodes and checks every column.
    ///
    /// # Errors
    /// When a column is damaged or its length differs.
    pub fn open(self) -> Result<Lines, ColumnError> {
        let len = self.len as usize;
        check_items(len)?;
        if self.ids.len() != len * 16 {
            return Err(ColumnError::Length { column: "ids", got: self.ids.len() / 16, want: len });
        }
        let mut lines = Lines {
            id: self.ids().collect(),
            charge_start: self.charge_start.decode("charge_start", len)?,
            charge_end: self.charge_end.decode("charge_end", len)?,
            billing_period: self.billing_period,
            currency: self.currency,
            resolution_key: self.resolution_key,
            cells: self.cells,
            ..Lines::default()
        };
        lines.billing_period.check("billing_period", len)?;
        lines.currency.check("currency", len)?;
        if let Some(column) = &lines.resolution_key {
            column.check("resolution_key", len)?;
        }
        lines.cells.iter().try_for_each(|(_, column)| column.check("cells", len))?;
        if !lines.cells.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(ColumnError::Damaged { column: "cells", what: "names out of order" });
        }
        let missing = ColumnError::Damaged { column: "amount", what: "a line without amount" };
        let amounts = self.amount.decode("amount", len)?;
        lines.amount = amounts.into_iter().collect::<Option<Vec<_>>>().ok_or(missing)?;
        lines.measures = decode_numbered(&self.measures, "measures", len)?;
        lines.quantities = decode_numbered(&self.quantities, "quantities", len)?;
        Ok(lines)
    }
}

/// Builds a [`LineBatch`] line by line.
#[derive(Debug, Default)]
pub struct LineBatchBuilder {
    ids: Vec<u8>,
    charge_start: Vec<i64>,
    charge_end: Vec<i64>,
    billing_period: TextBuilder,
    currency: TextBuilder,
    amount: AmountColumn,
    measures: [Vec<Option<Amount>>; 4],
    quantities: [Vec<Option<Amount>>; 2],
    /// Measures and quantities so far.
    numbers: usize,
    resolution_key: TextBuilder,
    cells: std::collections::BTreeMap<String, TextBuilder>,
}

impl LineBatchBuilder {
    /// Number of lines so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.charge_start.len()
    }
    /// Whether there are none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.charge_start.is_empty()
    }
    /// Rough encoded size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts =
            [&self.billing_period, &self.currency, &self.resolution_key].map(TextBuilder::size);
        let cells = self.cells.iter().map(|(name, c)| name.len() + 12 + c.size()).sum::<usize>();
        self.ids.len()
            + 6 * (2 * self.len() + self.numbers)
            + self.amount.size()
            + texts.iter().sum::<usize>()
            + cells
    }
    /// Appends a line.
    pub fn push(&mut self, line: &BillingLineItem) {
        let at = self.len();
        self.ids.extend_from_slice(&line.id.0.0);
        self.charge_start.push(line.charge_start.0);
        self.charge_end.push(line.charge_end.0);
        self.billing_period.push(Some(&line.billing_period.to_string()));
        self.currency.push(Some(line.currency.as_str()));
        self.amount.push(Some(line.amount));
        self.measures
            .iter_mut()
            .zip(line.measures)
            .for_each(|(column, amount)| column.push(amount));
        self.quantities
            .iter_mut()
            .zip(line.quantities)
            .for_each(|(column, amount)| column.push(amount));
        self.numbers += line.measures.iter().chain(&line.quantities).flatten().count();
        self.resolution_key.push(line.resolution_key.as_deref());
        for (name, value) in &line.cells {
            if !self.cells.contains_key(name) {
                self.cells.insert(name.clone(), TextBuilder::default());
            }
            if let Some(column) = self.cells.get_mut(name) {
                column.pad_to(at);
                column.push(Some(value));
            }
        }
    }
    /// The batch of everything pushed; the builder starts anew.
    pub fn take(&mut self) -> LineBatch {
        let built = std::mem::take(self);
        let len = built.len();
        let keep = |columns: &[Vec<Option<Amount>>]| {
            let some = columns.iter().enumerate().filter(|(_, c)| c.iter().any(Option::is_some));
            some.map(|(i, c)| (i as u8, c.iter().copied().collect())).collect()
        };
        let pad = |(name, mut column): (String, TextBuilder)| {
            column.pad_to(len);
            (name, column.finish())
        };
        LineBatch {
            len: len as u32,
            ids: built.ids,
            charge_start: built.charge_start.into_iter().collect(),
            charge_end: built.charge_end.into_iter().collect(),
            billing_period: built.billing_period.finish(),
            currency: built.currency.finish(),
            amount: built.amount,
            measures: keep(&built.measures),
            quantities: keep(&built.quantities),
            resolution_key: (!built.resolution_key.is_null())
                .then(|| built.resolution_key.finish()),
            cells: built.cells.into_iter().map(pad).collect(),
        }
    }
}
