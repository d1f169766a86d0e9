//! Pieces on their way into `chargeback_pieces`: those of one split share a tuple, with whole numbers of one scale.
//!
//! A piece with a number that does not fit in 63 bits has a tuple of its own, with numbers of any width.

use std::ops::Range;

use proto::line::LineId;
use proto::money::Amount;
use proto::row::{OTHERS, PartsMoney};
use proto::time::UnitDate;

use crate::wire::Tuples;

/// Columns of `chargeback_pieces`.
const COLUMNS: i16 = 22;
/// Columns of [`PartsMoney::others`] that are measures; the rest are quantities.
const MEASURES: usize = 4;
/// Bytes of a tuple at most, unless one line alone has more: beyond 2,032, Postgres puts a tuple's arrays aside.
const TUPLE_BYTES: usize = 1_900;
/// Bytes of a tuple apart from its arrays, and of an array apart from its elements.
const TUPLE_HEAD: usize = 64;
const ARRAY_HEAD: usize = 32;
/// Bytes of a line's id in an array, and of a number.
const LINE_BYTES: usize = 20;
const UNIT_BYTES: usize = 8;

/// Whose pieces they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Of which generation.
    pub generation: i64,
    /// Of which day.
    pub date: UnitDate,
    /// Of which tenant.
    pub tenant: &'a str,
}

/// A scale, and the largest number of that scale; both 0 for no number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Width {
    scale: u32,
    most: u64,
}

impl Width {
    fn of(amount: Amount) -> Option<Self> {
        let most = u64::try_from(amount.mantissa().unsigned_abs()).ok()?;
        Self { scale: amount.scale(), most }.at(amount.scale())
    }

    /// The same at a scale that is no smaller.
    fn at(self, scale: u32) -> Option<Self> {
        let most = match self.most {
            0 => 0,
            most => most.checked_mul(10_u64.checked_pow(scale - self.scale)?)?,
        };
        (most <= i64::MAX as u64).then_some(Self { scale, most })
    }

    /// What holds both, if 63 bits do.
    fn with(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (one, other) = (self.at(scale)?, other.at(scale)?);
        Some(if one.most < other.most { other } else { one })
    }
}

fn width(mut amounts: impl Iterator<Item = Amount>) -> Option<Width> {
    amounts.try_fold(Width::default(), |width, amount| width.with(Width::of(amount)?))
}

/// `amount` times 10 to the power of `scale`. One that does not fit is null, which no verification lets pass.
fn units(amount: Amount, scale: u32) -> Option<i64> {
    let by = 10_i128.checked_pow(scale.checked_sub(amount.scale())?);
    match amount.mantissa() {
        0 => Some(0),
        units => i64::try_from(units.checked_mul(by?)?).ok(),
    }
}

struct Piece {
    split: i32,
    /// Which of the other columns it has numbers in: a bit for each.
    others: u8,
    /// Of its amounts and measures, and of its quantities; none where it needs a tuple of its own.
    widths: Option<[Width; 2]>,
    line: LineId,
    start: u32,
    parts: u32,
}

impl Piece {
    fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.parts as usize
    }

    /// Bytes that it adds to a tuple.
    fn bytes(&self) -> usize {
        let columns = 1 + self.others.count_ones() as usize;
        LINE_BYTES + columns * self.parts as usize * UNIT_BYTES
    }
}

/// Pieces of one unit that wait until more of their splits have come.
#[derive(Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    amounts: Vec<Amount>,
    others: [Vec<Option<Amount>>; OTHERS],
    /// How many of the pieces have been given, once they are sorted.
    given: usize,
}

impl Pieces {
    /// Takes in a piece whose parts are these of `money`.
    pub fn add(&mut self, split: i32, line: LineId, money: &PartsMoney, parts: Range<usize>) {
        let start = self.amounts.len();
        self.amounts.extend_from_slice(&money.amounts[parts.clone()]);
        let mut others = 0;
        for (at, (held, column)) in self.others.iter_mut().zip(&money.others).enumerate() {
            let column = column.get(parts.clone()).unwrap_or_default();
            if column.iter().any(Option::is_some) {
                held.resize(start, None);
                held.extend_from_slice(column);
                others |= 1 << at;
            }
        }
        let mut piece = Piece {
            split,
            others,
            widths: None,
            line,
            start: start as u32,
            parts: parts.len() as u32,
        };
        piece.widths = self.widths(&piece);
        self.pieces.push(piece);
    }

    fn widths(&self, piece: &Piece) -> Option<[Width; 2]> {
        let others = |columns: Range<usize>| {
            let has = move |at: &usize| piece.others & (1 << at) != 0;
            columns.filter(has).flat_map(|at| self.others[at][piece.range()].iter().flatten())
        };
        let money = self.amounts[piece.range()].iter().chain(others(0..MEASURES));
        Some([width(money.copied())?, width(others(MEASURES..OTHERS).copied())?])
    }

    /// Parts of all that wait.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.amounts.len()
    }

    /// Before the first [`Pieces::put`]: brings the pieces of a split together, in the order in which they came.
    pub fn sort(&mut self) {
        self.pieces.sort_by_key(|piece| (piece.split, piece.others));
    }

    /// Appends one tuple, or forgets all pieces when there is none left.
    pub fn put(&mut self, owner: Owner<'_>, out: &mut Tuples) -> bool {
        let Some(first) = self.pieces.get(self.given) else {
            self.pieces.clear();
            self.amounts.clear();
            self.others.iter_mut().for_each(Vec::clear);
            self.given = 0;
            return false;
        };
        out.start(COLUMNS);
        out.int8(owner.generation);
        out.int4(first.split);
        out.date(owner.date);
        out.text(owner.tenant);
        self.given += match first.widths {
            Some(widths) => self.together(first, widths, out),
            None => self.alone(first, out),
        };
        true
    }

    /// Appends the numbers of a piece as they are.
    fn alone(&self, piece: &Piece, out: &mut Tuples) -> usize {
        out.bytes(&piece.line.0.0);
        out.amounts(&self.amounts[piece.range()]);
        for column in &self.others {
            out.amounts_or_null(column.get(piece.range()).unwrap_or_default());
        }
        out.nulls(10);
        1
    }

    /// Appends whole numbers of as many pieces as fit in a tuple; returns how many.
    fn together(&self, first: &Piece, widths: [Width; 2], out: &mut Tuples) -> usize {
        let ([mut money, mut quantities], mut bytes) = (widths, TUPLE_HEAD + first.bytes());
        bytes += (2 + first.others.count_ones() as usize) * ARRAY_HEAD;
        let following = self.pieces[self.given + 1..].iter().take_while(|piece| {
            bytes += piece.bytes();
            let same = (piece.split, piece.others) == (first.split, first.others);
            let joined =
                piece.widths.and_then(|[m, q]| Some((money.with(m)?, quantities.with(q)?)));
            let Some(joined) = joined.filter(|_| same && bytes <= TUPLE_BYTES) else {
                return false;
            };
            (money, quantities) = joined;
            true
        });
        let count = 1 + following.count();
        let pieces = &self.pieces[self.given..self.given + count];
        let parts = pieces.iter().map(|piece| piece.parts as usize).sum();
        out.nulls(8);
        out.int2(money.scale as i16);
        match quantities.scale as i16 {
            _ if first.others >> MEASURES == 0 => out.nulls(1),
            scale => out.int2(scale),
        }
        out.byte_strings(pieces.iter().map(|piece| piece.line.0.0.as_slice()));
        out.units(
            parts,
            pieces
                .iter()
                .flat_map(|piece| &self.amounts[piece.range()])
                .map(|amount| units(*amount, money.scale)),
        );
        for (at, column) in self.others.iter().enumerate() {
            if first.others & (1 << at) == 0 {
                out.nulls(1);
                continue;
            }
            let scale = if at < MEASURES { money.scale } else { quantities.scale };
            let column = pieces.iter().flat_map(|piece| &column[piece.range()]);
            out.units(parts, column.map(|amount| amount.and_then(|amount| units(amount, scale))));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width_of(texts: &[&str]) -> Option<(u32, u64)> {
        let amounts = texts.iter().map(|text| Amount::parse(text).unwrap());
        width(amounts).map(|width| (width.scale, width.most))
    }

    #[test]
    fn numbers_share_a_scale_as_long_as_63_bits_hold_them() {
        assert_eq!(width_of(&[]), Some((0, 0)));
        assert_eq!(width_of(&["0", "0"]), Some((0, 0)));
        assert_eq!(width_of(&["1.5", "-20", "0.25"]), Some((2, 2000)));
        assert_eq!(width_of(&["9223372036854775807"]), Some((0, i64::MAX as u64)));
        assert_eq!(width_of(&["-9223372036854775807", "0.1"]), None);
        assert_eq!(width_of(&["9223372036854775808"]), None);
        assert_eq!(width_of(&["79228162514264337593543950335"]), None);
        assert_eq!(width_of(&["0", "1e-28"]), Some((28, 1)));
        assert_eq!(width_of(&["1", "1e-28"]), None);
        assert_eq!(width_of(&["1", "1e-18"]), Some((18, 1_000_000_000_000_000_000)));
    }

    #[test]
    fn units_are_whole_numbers_of_a_scale() {
        let of = |text, scale| units(Amount::parse(text).unwrap(), scale);
        assert_eq!(of("-1.25", 4), Some(-12_500));
        assert_eq!(of("0", 28), Some(0));
        assert_eq!(of("9223372036854775807", 0), Some(i64::MAX));
        assert_eq!((of("9223372036854775807", 1), of("1", 28), of("0.1", 0)), (None, None, None));
        assert_eq!(of("79228162514264337593543950335", 28), None);
    }
}
