//! Rows on their way out: dimensions once per batch, batches near the size that messages aim at.

use std::collections::HashMap;

use proto::column::ITEMS_MAX;
use proto::currency::Currency;
use proto::envelope::BATCH_BYTES;
use proto::hash::Hash128;
use proto::line::LineId;
use proto::manifest::Totals;
use proto::money::{Amount, Share};
use proto::row::{RowBatch, RowDimension, RowMoney, Rows};
use proto::time::BillingPeriod;

/// A batch that is ready to be published.
#[derive(Debug)]
pub struct Packed {
    /// The rows.
    pub batch: RowBatch,
    /// Hash of each row.
    pub hashes: Vec<Hash128>,
    /// What they add up to.
    pub totals: Totals,
}

/// Collects rows in their order and cuts batches.
#[derive(Debug, Default)]
pub struct RowWriter {
    rows: Rows,
    places: HashMap<Hash128, u32>,
    dimensions: Vec<Hash128>,
    hashes: Vec<Hash128>,
    totals: Totals,
    size: usize,
    last: Option<LineId>,
    epoch: u64,
    ready: Vec<Packed>,
}

impl RowWriter {
    /// Changes with every batch: places of dimensions hold as long as it stays.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The place of a dimension in the batch under way.
    pub fn dimension(&mut self, dimension: RowDimension) -> u32 {
        let hash = dimension.hash();
        if let Some(place) = self.places.get(&hash) {
            return *place;
        }
        let place = self.rows.dimensions.len() as u32;
        let texts = [&dimension.rule, &dimension.identity, &dimension.owner, &dimension.method];
        let detail = dimension.detail.as_ref().map_or(0, String::len);
        self.size += texts.iter().map(|text| text.len() + 3).sum::<usize>() + detail + 8;
        self.rows.dimensions.push(dimension);
        self.dimensions.push(hash);
        self.places.insert(hash, place);
        place
    }

    /// Appends a row. May end the batch, and with it the places of dimensions.
    pub fn push(
        &mut self,
        money: RowMoney,
        dimension: u32,
        currency: Currency,
        period: BillingPeriod,
    ) {
        if self.last != Some(money.line) {
            self.size += 17;
            self.last = Some(money.line);
        }
        self.size += 2 + share_size(&money.share) + amount_size(Some(money.amount));
        let others = money.measures.iter().chain(&money.quantities);
        self.size += others.map(|amount| amount_size(*amount)).sum::<usize>();
        self.hashes.push(money.hash(self.dimensions[dimension as usize]));
        self.totals.add(currency, period, money.amount, &money.measures);
        self.rows.rows.push((money, dimension));
        if self.size >= BATCH_BYTES || self.rows.rows.len() >= ITEMS_MAX {
            self.cut();
        }
    }

    /// Batches that are full.
    pub fn ready(&mut self) -> Vec<Packed> {
        std::mem::take(&mut self.ready)
    }

    /// Ends the batch under way, if it holds anything.
    pub fn cut(&mut self) {
        if self.rows.rows.is_empty() {
            return;
        }
        let batch = self.rows.pack();
        self.rows.rows.clear();
        self.rows.dimensions.clear();
        self.places.clear();
        self.dimensions.clear();
        self.size = 0;
        self.last = None;
        self.epoch += 1;
        let (hashes, totals) = (std::mem::take(&mut self.hashes), std::mem::take(&mut self.totals));
        self.ready.push(Packed { batch, hashes, totals });
    }
}

/// Bytes of a number as LEB128.
fn varint_size(n: u128) -> usize {
    (128 - n.leading_zeros() as usize).div_ceil(7).max(1)
}

/// Bytes of an amount in its column; null takes one, in the worst case that the column is there at all.
fn amount_size(amount: Option<Amount>) -> usize {
    amount.map_or(1, |amount| 1 + varint_size(amount.mantissa().unsigned_abs() << 1))
}

fn share_size(share: &Share) -> usize {
    match share.narrow() {
        Some((num, den)) => varint_size(num) + varint_size(den),
        None => 160,
    }
}
