//! Rows of one unit and generation as columns, and what they are once decoded.

use serde::{Deserialize, Serialize};

use super::dimensions::Dimensions;
use super::{OTHERS, PARTS_MAX, PartsMoney, RowDimension, RowMoney};
use crate::column::{
    AmountColumn, ColumnError, IntColumn, check_items, put_varint, take_numbered, take_varint,
};
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::line::LineId;
use crate::money::Share;

/// Rows of one unit and generation as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowBatch {
    pub(super) len: u32,
    pub(super) dimensions: Dimensions,
    /// Parts of each split.
    pub(super) parts: IntColumn,
    /// Dimension of each part of each split.
    pub(super) dimension: IntColumn,
    /// Share of each part of each split.
    #[serde(with = "serde_bytes")]
    pub(super) shares: Vec<u8>,
    /// Line of each piece.
    #[serde(with = "serde_bytes")]
    pub(super) lines: Vec<u8>,
    /// Split of each piece.
    pub(super) split: IntColumn,
    /// Amounts of the parts of each piece.
    pub(super) amount: AmountColumn,
    /// By their place in [`PartsMoney::others`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<(u8, AmountColumn)>,
}

impl Body for RowBatch {
    const KIND: MessageKind = MessageKind::Row;
}

/// Who takes part, with which share, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Place of the dimension, and share, of each part: 1 to [`PARTS_MAX`].
    pub parts: Vec<(u32, Share)>,
    /// Hash of the content.
    pub hash: Hash128,
}

/// A line, or a part of it, as it was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The line.
    pub line: LineId,
    /// Place of its split.
    pub split: u32,
    /// Place of its first part among all parts' money.
    pub start: u32,
    /// Hash of the content, the split's included.
    pub hash: Hash128,
}

/// Rows of a batch, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Distinct dimensions.
    pub dimensions: Vec<RowDimension>,
    /// Distinct splits.
    pub splits: Vec<Split>,
    /// Pieces in the allocator's order.
    pub pieces: Vec<Piece>,
    /// Money of the parts of all pieces.
    pub money: PartsMoney,
}

impl Rows {
    /// Every row, in the allocator's order.
    pub fn iter(&self) -> impl Iterator<Item = (&RowDimension, RowMoney)> {
        self.pieces.iter().flat_map(|piece| {
            let parts = self.splits[piece.split as usize].parts.iter();
            (piece.start as usize..).zip(parts).map(|(at, (dimension, share))| {
                let money = RowMoney {
                    line: piece.line,
                    share: *share,
                    amount: self.money.amounts[at],
                    measures: [0, 1, 2, 3].map(|which| self.money.other(which, at)),
                    quantities: [4, 5].map(|which| self.money.other(which, at)),
                };
                (&self.dimensions[*dimension as usize], money)
            })
        })
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
        let damaged = |column, what| ColumnError::Damaged { column, what };
        let dimensions = self.dimensions.open()?;
        let splits = self.splits(&dimensions)?;
        if !self.lines.len().is_multiple_of(16) {
            return Err(damaged("lines", "a cut line id"));
        }
        let split = self.split.decode("split", self.lines.len() / 16)?;
        let mut amount = self.amount.reader("amount");
        let mut others = take_numbered::<OTHERS>(&self.others, "others")?;
        let mut pieces = Vec::with_capacity(split.len());
        let mut money = PartsMoney::default();
        let mut hasher = PieceHasher::default();
        for (id, split) in self.lines.chunks_exact(16).zip(split) {
            let found = usize::try_from(split).ok().and_then(|at| splits.get(at));
            let found = found.ok_or(damaged("split", "out of range"))?;
            let (start, parts) = (money.len(), found.parts.len());
            if start + parts > len {
                return Err(ColumnError::Length {
                    column: "amount",
                    got: start + parts,
                    want: len,
                });
            }
            let line = LineId(Hash128(std::array::from_fn(|i| id[i])));
            hasher.start(line, found.hash);
            hasher.amounts(amount.take_all(parts, &mut money.amounts)?);
            for (which, reader) in others.iter_mut().enumerate() {
                let Some(reader) = reader else { continue };
                let column = &mut money.others[which];
                let bytes = reader.take(parts, column)?;
                if column[start..].iter().any(Option::is_some) {
                    hasher.other(which, bytes);
                }
            }
            pieces.push(Piece {
                line,
                split: split as u32,
                start: start as u32,
                hash: hasher.finish(),
            });
        }
        if money.len() != len {
            return Err(ColumnError::Length { column: "amount", got: money.len(), want: len });
        }
        amount.end()?;
        others.iter().flatten().try_for_each(|reader| reader.end())?;
        Ok(Rows { dimensions, splits, pieces, money })
    }

    fn splits(&self, dimensions: &[RowDimension]) -> Result<Vec<Split>, ColumnError> {
        let damaged = |column, what| ColumnError::Damaged { column, what };
        let mut scratch = Vec::new();
        let hashes: Vec<Hash128> =
            dimensions.iter().map(|dimension| dimension.borrowed().hash(&mut scratch)).collect();
        let counts = self.parts.decode_all("parts")?;
        let allowed = |parts: &i64| (1..=PARTS_MAX as i64).contains(parts);
        if !counts.iter().all(allowed) {
            return Err(damaged("parts", "a split of no part, or of too many"));
        }
        // Each of them is small, and there are no more of them than bytes.
        let all = counts.iter().sum::<i64>() as usize;
        let places = self.dimension.decode("dimension", all)?;
        let mut places = places.iter().map(|place| {
            let place = usize::try_from(*place).ok().filter(|place| *place < hashes.len());
            place.ok_or(damaged("dimension", "out of range"))
        });
        let mut shares = self.shares.as_slice();
        let mut splits = Vec::with_capacity(counts.len());
        for count in counts {
            let mut hasher = SplitHasher::default();
            let mut parts = Vec::with_capacity(count as usize);
            for place in places.by_ref().take(count as usize) {
                let place = place?;
                let share = take_share(&mut shares).ok_or(damaged("shares", "a cut share"))?;
                hasher.part(hashes[place], &share);
                parts.push((place as u32, share));
            }
            splits.push(Split { parts, hash: hasher.finish() });
        }
        if shares.is_empty() {
            Ok(splits)
        } else {
            Err(damaged("shares", "more than there are parts"))
        }
    }
}

/// Hash of a split: of each part's dimension and share.
#[derive(Debug, Default)]
pub(super) struct SplitHasher(Vec<u8>);

impl SplitHasher {
    pub(super) fn part(&mut self, dimension: Hash128, share: &Share) {
        self.0.extend_from_slice(&dimension.0);
        put_share(&mut self.0, share);
    }
    pub(super) fn finish(self) -> Hash128 {
        Hash128::of(&self.0)
    }
}

/// Hash of a piece: of its line, its split, and its money as it lies in the columns. A column in which the piece has
/// nothing does not count.
#[derive(Debug, Default)]
pub(super) struct PieceHasher(Vec<u8>);

impl PieceHasher {
    /// Where the columns that count are told.
    const PRESENT: usize = 32;

    pub(super) fn start(&mut self, line: LineId, split: Hash128) {
        self.0.clear();
        self.0.extend_from_slice(&line.0.0);
        self.0.extend_from_slice(&split.0);
        self.0.push(0);
    }
    pub(super) fn amounts(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    pub(super) fn other(&mut self, which: usize, bytes: &[u8]) {
        self.0[Self::PRESENT] |= 1 << which;
        self.0.extend_from_slice(bytes);
    }
    pub(super) fn finish(&self) -> Hash128 {
        Hash128::of(&self.0)
    }
}

/// A share as two LEB128 numbers; one too wide for that as 0, 0 and its text.
pub(super) fn put_share(out: &mut Vec<u8>, share: &Share) {
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
