//! Building a batch of rows.

use std::ops::Range;

use foldhash::HashMap;

use super::batch::{PieceHasher, RowBatch, SplitHasher, put_share};
use super::dimensions::DimensionsBuilder;
use super::{DimensionRef, OTHERS, PARTS_MAX, PartsMoney, RowDimension, RowMoney};
use crate::column::AmountColumn;
use crate::hash::Hash128;
use crate::line::LineId;
use crate::money::{Amount, Share};

/// Collects pieces into a [`RowBatch`].
#[derive(Debug, Default)]
pub struct RowBuilder {
    len: usize,
    dimensions: DimensionsBuilder,
    dimension_hashes: Vec<Hash128>,
    dimension_places: HashMap<Hash128, u32>,
    parts: Vec<u8>,
    part_dimensions: Vec<u32>,
    shares: Vec<u8>,
    split_hashes: Vec<Hash128>,
    split_places: HashMap<Hash128, u32>,
    lines: Vec<u8>,
    splits: Vec<u32>,
    amount: AmountColumn,
    others: [AmountColumn; OTHERS],
    hasher: PieceHasher,
    scratch: Vec<u8>,
}

impl RowBuilder {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// About as many bytes as the batch will have.
    #[must_use]
    pub fn size(&self) -> usize {
        let others = self.others.iter().map(AmountColumn::size).sum::<usize>();
        let splits = self.parts.len() + 2 * self.part_dimensions.len() + self.shares.len();
        self.dimensions.size()
            + splits
            + self.lines.len()
            + 2 * self.splits.len()
            + self.amount.size()
            + others
    }

    /// The place of a dimension.
    pub fn dimension(&mut self, dimension: DimensionRef<'_>) -> u32 {
        let hash = dimension.hash(&mut self.scratch);
        if let Some(place) = self.dimension_places.get(&hash) {
            return *place;
        }
        let place = self.dimensions.push(dimension);
        self.dimension_hashes.push(hash);
        self.dimension_places.insert(hash, place);
        place
    }

    /// The place of a split of 1 to [`PARTS_MAX`] parts: the place of each one's dimension, and its share.
    pub fn split(&mut self, parts: impl Iterator<Item = (u32, Share)> + Clone) -> u32 {
        let mut hasher = SplitHasher::default();
        for (dimension, share) in parts.clone() {
            hasher.part(self.dimension_hashes[dimension as usize], &share);
        }
        let hash = hasher.finish();
        if let Some(place) = self.split_places.get(&hash) {
            return *place;
        }
        let (place, before) = (self.split_hashes.len() as u32, self.part_dimensions.len());
        for (dimension, share) in parts {
            self.part_dimensions.push(dimension);
            put_share(&mut self.shares, &share);
        }
        let parts = self.part_dimensions.len() - before;
        assert!((1..=PARTS_MAX).contains(&parts), "a split of {parts} parts");
        self.parts.push(parts as u8);
        self.split_hashes.push(hash);
        self.split_places.insert(hash, place);
        place
    }

    /// Appends a piece: some of `money`, in the order of its split's parts. Its hash.
    pub fn push(
        &mut self,
        line: LineId,
        split: u32,
        money: &PartsMoney,
        parts: Range<usize>,
    ) -> Hash128 {
        let hash = self.split_hashes[split as usize];
        assert!(
            parts.len() == usize::from(self.parts[split as usize]),
            "line {line} has {} parts for a split of other size",
            parts.len()
        );
        self.lines.extend_from_slice(&line.0.0);
        self.splits.push(split);
        self.hasher.start(line, hash);
        let start = self.amount.size();
        money.amounts[parts.clone()].iter().for_each(|amount| self.amount.push(Some(*amount)));
        self.hasher.amounts(&self.amount.bytes()[start..]);
        for (which, column) in self.others.iter_mut().enumerate() {
            let found = money.others[which].get(parts.clone()).unwrap_or_default();
            if found.iter().all(Option::is_none) {
                // A column that is there has a value or null for each row.
                if column.size() > 0 {
                    column.nulls(parts.len());
                }
                continue;
            }
            if column.size() == 0 {
                column.nulls(self.len);
            }
            let start = column.size();
            found.iter().for_each(|amount| column.push(*amount));
            self.hasher.other(which, &column.bytes()[start..]);
        }
        self.len += parts.len();
        self.hasher.finish()
    }

    /// The batch; a new one begins.
    pub fn finish(&mut self) -> RowBatch {
        let done = std::mem::take(self);
        let others = (0..).zip(done.others).filter(|(_, column)| column.size() > 0);
        RowBatch {
            len: done.len as u32,
            dimensions: done.dimensions.finish(),
            parts: done.parts.into_iter().map(i64::from).collect(),
            dimension: done.part_dimensions.into_iter().map(i64::from).collect(),
            shares: done.shares,
            lines: done.lines,
            split: done.splits.into_iter().map(i64::from).collect(),
            amount: done.amount,
            others: others.collect(),
        }
    }
}

/// Single rows as a batch, with the hash and the number of rows of each piece: rows of one line that follow each other
/// are one. For small numbers.
#[must_use]
pub fn batch_of(rows: &[(RowDimension, RowMoney)]) -> (RowBatch, Vec<(Hash128, usize)>) {
    let (mut builder, mut hashes) = (RowBuilder::default(), Vec::new());
    let of_one_line = |a: &(_, RowMoney), b: &(_, RowMoney)| a.1.line == b.1.line;
    for piece in rows.chunk_by(of_one_line).flat_map(|rows| rows.chunks(PARTS_MAX)) {
        let mut money = PartsMoney::default();
        let mut parts = Vec::with_capacity(piece.len());
        for (dimension, row) in piece {
            parts.push((builder.dimension(dimension.borrowed()), row.share));
            let [billed, effective, contracted, list] = row.measures;
            let [priced, consumed] = row.quantities;
            let others: [Option<Amount>; OTHERS] =
                [billed, effective, contracted, list, priced, consumed];
            money.push(row.amount, others);
        }
        let split = builder.split(parts.iter().copied());
        let hash = builder.push(piece[0].1.line, split, &money, 0..piece.len());
        hashes.push((hash, piece.len()));
    }
    (builder.finish(), hashes)
}
