//! `ChargebackRow`: who owes what, and why; and the columnar batch that carries many.
//!
//! A batch holds each line id once per run of its rows and each distinct *why* ([`RowDimension`]) once.

use serde::{Deserialize, Serialize};

use crate::column::{
    AmountColumn, ColumnError, IntColumn, TextColumn, check_items, decode_numbered, put_amount,
    put_varint, take_varint,
};
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::line::LineId;
use crate::money::{Amount, Share};
use crate::time::BillingPeriod;

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

impl RowDimension {
    /// Content hash.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let booking = self.booking_period.map(|p| p.to_string());
        let (tier, part) = (self.tier.to_string(), self.part.to_string());
        let detail = self.detail.as_deref().map_or_else(|| "-".to_owned(), |d| format!("+{d}"));
        Hash128::of_texts([
            self.rule.as_str(),
            &tier,
            &part,
            &self.identity,
            &self.owner,
            self.cost_type.word(),
            &self.method,
            &detail,
            self.entry.word(),
            booking.as_deref().unwrap_or(""),
        ])
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

impl RowMoney {
    /// Hash of the row, given the hash of its dimension.
    #[must_use]
    pub fn hash(&self, dimension: Hash128) -> Hash128 {
        // Most rows fit into one block of the hash function.
        let mut item = Vec::with_capacity(BLOCK);
        item.extend_from_slice(&self.line.0.0);
        item.extend_from_slice(&dimension.0);
        let others = || self.measures.iter().chain(&self.quantities);
        let present = others().fold(0, |bits, amount| bits << 1 | u8::from(amount.is_some()));
        item.push(present);
        put_share(&mut item, &self.share);
        put_amount(&mut item, self.amount);
        others().flatten().for_each(|amount| put_amount(&mut item, *amount));
        Hash128::of(&item)
    }
}

/// Bytes that the hash function takes at a time.
const BLOCK: usize = 64;

/// One row on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargebackRow {
    /// Why.
    pub dimension: RowDimension,
    /// How much.
    pub money: RowMoney,
}

/// Rows of one unit and generation as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowBatch {
    len: u32,
    dimensions: Dimensions,
    #[serde(with = "serde_bytes")]
    lines: Vec<u8>,
    /// Rows per run of one line.
    counts: IntColumn,
    /// Dimension of each row.
    dimension: IntColumn,
    #[serde(with = "serde_bytes")]
    shares: Vec<u8>,
    amount: AmountColumn,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    measures: Vec<(u8, AmountColumn)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quantities: Vec<(u8, AmountColumn)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Dimensions {
    rule: TextColumn,
    tier: IntColumn,
    part: IntColumn,
    identity: TextColumn,
    owner: TextColumn,
    cost_type: IntColumn,
    method: TextColumn,
    detail: TextColumn,
    entry: IntColumn,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking_period: Option<TextColumn>,
}

impl Body for RowBatch {
    const KIND: MessageKind = MessageKind::Row;
}

/// Rows of a batch, decoded: distinct dimensions, and money that points at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Distinct dimensions.
    pub dimensions: Vec<RowDimension>,
    /// Money and the place of its dimension, in the allocator's order.
    pub rows: Vec<(RowMoney, u32)>,
}

impl Dimensions {
    fn new(items: &[RowDimension]) -> Self {
        let booking: Vec<_> =
            items.iter().map(|d| d.booking_period.map(|p| p.to_string())).collect();
        let some = booking.iter().any(Option::is_some);
        Self {
            rule: items.iter().map(|d| Some(d.rule.as_str())).collect(),
            tier: items.iter().map(|d| i64::from(d.tier)).collect(),
            part: items.iter().map(|d| i64::from(d.part)).collect(),
            identity: items.iter().map(|d| Some(d.identity.as_str())).collect(),
            owner: items.iter().map(|d| Some(d.owner.as_str())).collect(),
            cost_type: items.iter().map(|d| d.cost_type as i64).collect(),
            method: items.iter().map(|d| Some(d.method.as_str())).collect(),
            detail: items.iter().map(|d| d.detail.as_deref()).collect(),
            entry: items.iter().map(|d| d.entry as i64).collect(),
            booking_period: some.then(|| booking.iter().map(Option::as_deref).collect()),
        }
    }

    fn open(&self) -> Result<Vec<RowDimension>, ColumnError> {
        let len = self.rule.len();
        check_items(len)?;
        for (name, column) in [
            ("rule", &self.rule),
            ("identity", &self.identity),
            ("owner", &self.owner),
            ("method", &self.method),
            ("detail", &self.detail),
        ] {
            column.check(name, len)?;
        }
        if let Some(column) = &self.booking_period {
            column.check("booking_period", len)?;
        }
        let (tier, part) = (self.tier.decode("tier", len)?, self.part.decode("part", len)?);
        let (cost, entry) =
            (self.cost_type.decode("cost_type", len)?, self.entry.decode("entry", len)?);
        let text = |column: &TextColumn, i| column.get(i).unwrap_or_default().to_owned();
        let dimension = |i: usize| {
            let booking = self
                .booking_period
                .as_ref()
                .and_then(|c| c.get(i))
                .map(str::parse)
                .transpose()
                .ok()?;
            Some(RowDimension {
                rule: text(&self.rule, i),
                tier: u16::try_from(tier[i]).ok()?,
                part: u16::try_from(part[i]).ok()?,
                identity: text(&self.identity, i),
                owner: text(&self.owner, i),
                cost_type: *[CostType::Usage, CostType::Shared]
                    .get(usize::try_from(cost[i]).ok()?)?,
                method: text(&self.method, i),
                detail: self.detail.get(i).map(str::to_owned),
                entry: *Entry::ALL.get(usize::try_from(entry[i]).ok()?)?,
                booking_period: booking,
            })
        };
        let damaged =
            ColumnError::Damaged { column: "dimensions", what: "a value that means nothing" };
        (0..len).map(dimension).collect::<Option<Vec<_>>>().ok_or(damaged)
    }
}

impl Rows {
    /// These rows as a batch.
    #[must_use]
    pub fn pack(&self) -> RowBatch {
        let (mut lines, mut counts) = (Vec::new(), Vec::<i64>::new());
        let (mut last, mut shares) = (None, Vec::new());
        for (money, _) in &self.rows {
            match counts.last_mut() {
                Some(count) if last == Some(money.line) => *count += 1,
                _ => {
                    lines.extend_from_slice(&money.line.0.0);
                    counts.push(1);
                    last = Some(money.line);
                }
            }
            put_share(&mut shares, &money.share);
        }
        let amounts = |get: &dyn Fn(&RowMoney) -> Option<Amount>| -> Option<AmountColumn> {
            let some = self.rows.iter().any(|(m, _)| get(m).is_some());
            some.then(|| self.rows.iter().map(|(m, _)| get(m)).collect())
        };
        RowBatch {
            len: self.rows.len() as u32,
            dimensions: Dimensions::new(&self.dimensions),
            lines,
            counts: counts.into_iter().collect(),
            dimension: self.rows.iter().map(|(_, d)| i64::from(*d)).collect(),
            shares,
            amount: self.rows.iter().map(|(m, _)| Some(m.amount)).collect(),
            measures: (0..4_u8)
                .filter_map(|w| Some((w, amounts(&|m| m.measures[usize::from(w)])?)))
                .collect(),
            quantities: (0..2_u8)
                .filter_map(|w| Some((w, amounts(&|m| m.quantities[usize::from(w)])?)))
                .collect(),
        }
    }
}

impl RowBatch {
    /// Number of rows that it claims.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }
    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The rows, every column checked.
    ///
    /// # Errors
    /// When a column is damaged or its length differs.
    pub fn open(self) -> Result<Rows, ColumnError> {
        let len = self.len();
        check_items(len)?;
        let dimensions = self.dimensions.open()?;
        let damaged = |column, what| ColumnError::Damaged { column, what };
        if !self.lines.len().is_multiple_of(16) {
            return Err(damaged("lines", "a cut line id"));
        }
        let counts = self.counts.decode("counts", self.lines.len() / 16)?;
        if counts.iter().any(|count| *count < 1) {
            return Err(damaged("counts", "a line without rows"));
        }
        let which = self.dimension.decode("dimension", len)?;
        let amounts = self.amount.decode("amount", len)?;
        let measures: [_; 4] = decode_numbered(&self.measures, "measures", len)?;
        let quantities: [_; 2] = decode_numbered(&self.quantities, "quantities", len)?;
        let mut shares = self.shares.as_slice();
        let mut rows = Vec::with_capacity(len);
        for (id, count) in self.lines.chunks_exact(16).zip(counts) {
            let line = LineId(Hash128(std::array::from_fn(|i| id[i])));
            for _ in 0..count {
                let i = rows.len();
                let place = which.get(i).copied().and_then(|d| usize::try_from(d).ok());
                let place = place
                    .filter(|d| *d < dimensions.len())
                    .ok_or(damaged("dimension", "out of range"))?;
                let money = RowMoney {
                    line,
                    share: take_share(&mut shares).ok_or(damaged("shares", "a cut share"))?,
                    amount: amounts[i].ok_or(damaged("amount", "a row without amount"))?,
                    measures: [0, 1, 2, 3].map(|m| measures[m].get(i).copied().flatten()),
                    quantities: [0, 1].map(|q| quantities[q].get(i).copied().flatten()),
                };
                rows.push((money, place as u32));
            }
        }
        if rows.len() != len || !shares.is_empty() {
            return Err(ColumnError::Length { column: "counts", got: rows.len(), want: len });
        }
        Ok(Rows { dimensions, rows })
    }
}

/// A share as two LEB128 numbers; one too wide for that as 0, 0 and its text.
fn put_share(out: &mut Vec<u8>, share: &Share) {
    if let Some((num, den)) = share.narrow() {
        put_varint(out, num);
        put_varint(out, den);
        return;
    }
    let text = share.to_string();
    out.extend_from_slice(&[0, 0]);
    put_varint(out, text.len() as u128);
    out.extend_from_slice(text.as_bytes());
}

fn take_share(bytes: &mut &[u8]) -> Option<Share> {
    let (num, den) = (take_varint(bytes)?, take_varint(bytes)?);
    if den != 0 {
        return Share::from_narrow(num, den);
    }
    let len = usize::try_from(take_varint(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()?.parse().ok()
}
