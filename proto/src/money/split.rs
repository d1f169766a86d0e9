//! The exact split: largest remainder, on integers.
//!
//! The amount becomes whole units of 10^-scale, scale = max(its own, 10), lowered only so far as
//! its mantissa must fit 96 bits. Each party gets the floor of units × share; the units that are
//! left, fewer than there are parties, go one each to the largest remainders, the bytewise smaller
//! id first among equal ones. A negative amount mirrors the positive one. Percentages, usage, cost
//! and even shares all come through here.
//!
//! **Cost.** With units = a·den + b (one division per amount), units·num = (a·num)·den + b·num, so
//! only b·num < b·den has to be divided: in 64 bits for most bills, in 128 bits nearly always, in
//! 512 bits for the rest. About 70 million parts per second and core, even shares several times
//! that, the 512 bits a seventh.

use bnum::cast::As;
use bnum::types::U512;

use super::amount::Amount;
use super::digits::{MAX_MANTISSA, power_of_ten};
use super::share::Wide;
use super::shares::{Fractions, Shares};

/// Decimals of a split at least, where the amount leaves room for them.
pub const MIN_SPLIT_SCALE: u32 = 10;

/// Scratch space of splits. Keep one per thread; it holds nothing between calls.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Units of each party.
    units: Vec<u128>,
    /// Remainders below 2^96 as keys, see [`key`].
    narrow: Vec<u128>,
    /// Other remainders, with the place of their party.
    wide: Vec<(Wide, usize)>,
}

impl<K> Shares<K> {
    /// Splits `amount` into one part per party, in the order of [`ids`](Shares::ids). `parts` is
    /// cleared first. The parts add up to the amount exactly: asserted, in release too.
    pub fn split(&self, amount: Amount, splitter: &mut Splitter, parts: &mut Vec<Amount>) {
        parts.clear();
        let (units, scale) = fine_units(amount);
        let negative = amount.is_negative();
        match &self.fractions {
            Fractions::Even => split_even(units, self.len(), negative, scale, parts),
            Fractions::Narrow { nums, den } => {
                let (a, b) = (units / den, units % den);
                if is_narrow(b, *den, nums.len()) {
                    splitter.split_narrow(a, b, nums, *den);
                } else {
                    splitter.split_wide(units, nums.iter().map(|num| (*num).as_()), (*den).as_());
                }
                splitter.finish(units, negative, scale, parts);
            }
            Fractions::Wide { nums, den } => {
                splitter.split_wide(units, nums.iter().copied(), *den);
                splitter.finish(units, negative, scale, parts);
            }
        }
    }
}

/// Magnitude of the amount in units of 10^-scale, and that scale.
pub(super) fn fine_units(amount: Amount) -> (u128, u32) {
    let (units, scale) = (amount.units(), amount.scale());
    // 96 bits times 10^10 stay below 2^130: the product may overflow, hence checked.
    let mut finer = MIN_SPLIT_SCALE.saturating_sub(scale);
    loop {
        match units.checked_mul(power_of_ten(finer)) {
            Some(fine) if fine <= MAX_MANTISSA => return (fine, scale + finer),
            Some(_) | None => finer -= 1,
        }
    }
}

/// Two different parts at most: no remainders to compare.
fn split_even(units: u128, parties: usize, negative: bool, scale: u32, parts: &mut Vec<Amount>) {
    let (floor, left) = (units / parties as u128, units % parties as u128);
    assert!(
        floor * parties as u128 + left == units,
        "even split of {units} units among {parties} lost some"
    );
    // A remainder is below the divisor.
    let left = left as usize;
    parts.resize(left, Amount::from_units(negative, floor + u128::from(left > 0), scale));
    parts.resize(parties, Amount::from_units(negative, floor, scale));
}

impl Splitter {
    /// Shares out a·den + b where [`is_narrow`].
    fn split_narrow(&mut self, a: u128, b: u128, nums: &[u128], den: u128) {
        self.units.clear();
        self.narrow.clear();
        let mut floors = 0;
        for (index, num) in nums.iter().enumerate() {
            let (floor, remainder) = div_rem(b * num, den);
            floors += floor;
            self.units.push(a * num + floor);
            self.narrow.push(key(remainder, index));
        }
        // The shares add up to 1, so the floors of b·num/den fall short of b by what is left over,
        // which is less than one unit per party.
        let left = (b - floors) as usize;
        if left > 0 {
            // Keys are all different: which ones are chosen does not depend on how.
            self.narrow.select_nth_unstable_by(left - 1, |a, b| b.cmp(a));
        }
        for key in &self.narrow[..left] {
            self.units[index_of(*key)] += 1;
        }
    }

    /// The same for any weights: units < 2^96 and num < 2^256, so the products fit 512 bits.
    fn split_wide(&mut self, units: u128, nums: impl Iterator<Item = Wide>, den: Wide) {
        self.units.clear();
        self.wide.clear();
        let (wide_units, wide_den) = (units.as_::<U512>(), den.as_::<U512>());
        let mut floors = 0;
        for (index, num) in nums.enumerate() {
            let product = wide_units * num.as_::<U512>();
            let floor = product / wide_den;
            let remainder = product - floor * wide_den;
            // The floor is at most the units, the remainder below the denominator.
            let floor: u128 = floor.as_();
            floors += floor;
            self.units.push(floor);
            self.wide.push((remainder.as_(), index));
        }
        let left = (units - floors) as usize;
        if left > 0 {
            // A total order, for the same reason.
            self.wide.select_nth_unstable_by(left - 1, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        for (_, index) in &self.wide[..left] {
            self.units[*index] += 1;
        }
    }

    /// The parts as amounts, after a last look at their sum.
    fn finish(&self, units: u128, negative: bool, scale: u32, parts: &mut Vec<Amount>) {
        // At most 2^96 each, and fewer than 2^32 of them fit in memory beside their ids.
        let sum: u128 = self.units.iter().sum();
        assert!(sum == units, "split of {units} units gave {sum}");
        parts.extend(self.units.iter().map(|units| Amount::from_units(negative, *units, scale)));
    }
}

/// Does everything fit 128 bits: the products b·num, and the keys of remainders and parties?
fn is_narrow(b: u128, den: u128, parties: usize) -> bool {
    b.checked_mul(den).is_some()
        && den <= 1 << (u128::BITS - u32::BITS)
        && u32::try_from(parties).is_ok()
}

/// Orders like the remainder and, among equal ones, the earlier party first, as one integer: much
/// faster to select by than a pair.
fn key(remainder: u128, index: usize) -> u128 {
    (remainder << u32::BITS) | u128::from(u32::MAX - index as u32)
}

fn index_of(key: u128) -> usize {
    (u32::MAX - key as u32) as usize
}

/// Quotient and remainder, by one hardware division where both numbers fit 64 bits.
fn div_rem(number: u128, den: u128) -> (u128, u128) {
    match (u64::try_from(number), u64::try_from(den)) {
        (Ok(number), Ok(den)) => (u128::from(number / den), u128::from(number % den)),
        _ => {
            let quotient = number / den;
            (quotient, number - quotient * den)
        }
    }
}
