//! The arithmetic of a split, step by step, so that a person can redo it. Not on the way of any row.

use bnum::cast::As;
use bnum::types::U512;

use super::amount::Amount;
use super::share::Share;
use super::shares::Shares;
use super::split::{Splitter, fine_units};

/// How a whole split comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workings {
    /// Parts are whole units of 10^-scale.
    pub scale: u32,
    /// One per party, in the order of their ids.
    pub parts: Vec<Working>,
}

/// How one part comes about: `floor`, and one unit more where `rounded_up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// Amount × share, cut to whole units; with the amount's sign.
    pub floor: Amount,
    /// What was cut off, of one unit: below 1. The largest ones get a unit more, until the parts add up.
    pub remainder: Share,
    /// Whether it did.
    pub rounded_up: bool,
    /// The part.
    pub part: Amount,
}

impl<K> Shares<K> {
    /// The workings of [`split`](Shares::split): the same parts.
    #[must_use]
    pub fn workings(&self, amount: Amount) -> Workings {
        let (units, scale) = fine_units(amount);
        let mut parts = Vec::new();
        self.split(amount, &mut Splitter::default(), &mut parts);
        let working = |(index, part): (usize, &Amount)| {
            let share = self.share(index);
            let den = share.den().as_::<U512>();
            let product = units.as_::<U512>() * share.num().as_::<U512>();
            let floor = product / den;
            let remainder = Share::new((product - floor * den).as_(), share.den());
            let floor = Amount::from_units(amount.is_negative(), floor.as_(), scale);
            let remainder = remainder.expect("a remainder is below its divisor");
            Working { floor, remainder, rounded_up: floor != *part, part: *part }
        };
        Workings { scale, parts: parts.iter().enumerate().map(working).collect() }
    }
}
