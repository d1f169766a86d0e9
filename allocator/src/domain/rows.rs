//! Rows on their way out: dimensions and splits once per batch, batches near the size that messages aim at.

use std::ops::Range;

use foldhash::HashMap;
use proto::column::ITEMS_MAX;
use proto::currency::Currency;
use proto::envelope::BATCH_BYTES;
use proto::hash::{Hash128, SetHash};
use proto::line::LineId;
use proto::manifest::Totals;
use proto::row::{PARTS_MAX, PartsMoney, RowBatch, RowBuilder};
use proto::time::BillingPeriod;

use super::face::Face;
use super::line_money::LineMoney;
use super::party::Party;

/// A batch that is ready to be published.
#[derive(Debug)]
pub struct Packed {
    /// The rows.
    pub batch: RowBatch,
    /// Hashes of its pieces, added up.
    pub hash: SetHash,
    /// What was [counted](RowWriter::count) since the batch before.
    pub totals: Totals,
}

/// Collects rows in their order and cuts batches.
#[derive(Debug, Default)]
pub struct RowWriter {
    /// The batch under way, to name dimensions and splits in.
    pub batch: RowBuilder,
    /// Places of dimensions, by the content of their face and where the texts of their party lie. Those are kept
    /// alive, so that no others come to lie there.
    known: HashMap<(Hash128, [usize; 2]), (u32, Party)>,
    hash: SetHash,
    totals: Totals,
    epoch: u64,
    ready: Vec<Packed>,
}

impl RowWriter {
    /// Changes with every batch: places of dimensions and splits hold as long as it stays.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The place of the dimension of a party. `hash`: content of the face.
    pub fn dimension(&mut self, hash: Hash128, face: &Face, party: &Party) -> u32 {
        let lie = [&party.identity, &party.owner].map(|text| text.as_ptr().addr());
        let Self { known, batch, .. } = self;
        let place = || (batch.dimension(face.with(party)), party.clone());
        known.entry((hash, lie)).or_insert_with(place).0
    }

    /// Counts the money of rows that come next.
    pub fn count(&mut self, money: &LineMoney, currency: Currency, period: BillingPeriod) {
        self.totals.add(currency, period, money.amount, &money.measures);
    }

    /// Appends a piece, some parts of `money`. May end the batch, and with it all places.
    pub fn push(&mut self, line: LineId, split: u32, money: &PartsMoney, parts: Range<usize>) {
        self.hash.add(self.batch.push(line, split, money, parts));
        if self.batch.size() >= BATCH_BYTES || self.batch.len() + PARTS_MAX > ITEMS_MAX {
            self.cut();
        }
    }

    /// Batches that are full.
    pub fn ready(&mut self) -> Vec<Packed> {
        std::mem::take(&mut self.ready)
    }

    /// Ends the batch under way, if it holds anything.
    pub fn cut(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let (hash, totals) = (std::mem::take(&mut self.hash), std::mem::take(&mut self.totals));
        self.ready.push(Packed { batch: self.batch.finish(), hash, totals });
        self.known.clear();
        self.epoch += 1;
    }
}
