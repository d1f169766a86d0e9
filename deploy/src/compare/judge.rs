//! Theirs against ours, and the cause of each difference where it can be told. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proto::money::{Amount, ExactSum};
use serde::Serialize;

use super::theirs::{File, Key, Theirs};

/// Why two numbers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// They do not.
    Equal,
    /// No more than their rounding of each record can make.
    Rounding,
    /// The product's total agrees: it was shared otherwise.
    Rule,
    /// They have nothing of this product.
    MissingTheirs,
    /// We have nothing of this product.
    MissingOurs,
    /// The product's total differs: other lines, or another cost.
    Lines,
}

impl Cause {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Rounding => "rounding",
            Self::Rule => "rule: the product's total agrees, shared otherwise",
            Self::MissingTheirs => "missing line: they have nothing of this product",
            Self::MissingOurs => "missing line: nothing of this product is visible here",
            Self::Lines => "missing line or other cost: the product's total differs",
        }
    }
}

/// One owner and product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Owner, product and currency.
    pub key: Key,
    /// Their sum.
    pub theirs: ExactSum,
    /// Our sum.
    pub ours: ExactSum,
    /// Ours less theirs.
    pub difference: ExactSum,
    /// Why.
    pub cause: Cause,
}

/// Compares every owner and product that either side has; of each currency, the largest difference first.
#[must_use]
pub fn compare(theirs: &File, ours: &BTreeMap<Key, ExactSum>) -> Vec<Pair> {
    let (none, keys) = (Theirs::default(), theirs.sums.keys().chain(ours.keys()));
    let keys: BTreeSet<&Key> = keys.collect();
    let product = |key: &Key| (key.1.clone(), key.2.clone());
    let mut products: BTreeMap<(String, String), (Theirs, ExactSum, bool)> = BTreeMap::new();
    for (key, sums) in &theirs.sums {
        let (of_product, ..) = products.entry(product(key)).or_default();
        of_product.records += sums.records;
        of_product.amount.merge(&sums.amount);
    }
    for (key, sum) in ours {
        let (_, of_product, here) = products.entry(product(key)).or_default();
        of_product.merge(sum);
        *here = true;
    }
    let pair = |key: &Key| {
        let (them, us) =
            (theirs.sums.get(key).unwrap_or(&none), ours.get(key).copied().unwrap_or_default());
        let decimals = theirs.decimals.get(&key.2).copied().unwrap_or_default();
        let (all_theirs, all_ours, here) = &products[&product(key)];
        let cause = if us.difference(&them.amount).is_zero() {
            Cause::Equal
        } else if all_theirs.records == 0 {
            Cause::MissingTheirs
        } else if !here {
            Cause::MissingOurs
        } else if is_rounding(them, us, decimals) {
            Cause::Rounding
        } else if is_rounding(all_theirs, *all_ours, decimals) {
            Cause::Rule
        } else {
            Cause::Lines
        };
        let (theirs, difference) = (them.amount, us.difference(&them.amount));
        Pair { key: key.clone(), theirs, ours: us, difference, cause }
    };
    let mut pairs: Vec<Pair> = keys.into_iter().map(pair).collect();
    pairs.sort_by_cached_key(|pair| {
        (pair.key.2.clone(), Reverse(pair.difference.size()), pair.key.clone())
    });
    pairs
}

/// Whether rounding each record to so many decimals can have made the difference: half a unit each.
fn is_rounding(theirs: &Theirs, ours: ExactSum, decimals: u32) -> bool {
    let difference = ours.difference(&theirs.amount);
    let size = difference.size();
    let mut twice = size;
    twice.merge(&size);
    let units = Amount::from_parts(i128::from(theirs.records), decimals);
    let bound = units.map(ExactSum::from).unwrap_or_default();
    !bound.difference(&twice).is_negative()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(owner: &str, product: &str) -> Key {
        (owner.into(), product.into(), "USD".into())
    }

    fn sum(text: &str) -> ExactSum {
        ExactSum::parse(text).unwrap()
    }

    fn causes(theirs: &[(&str, &str, u64, &str)], ours: &[(&str, &str, &str)]) -> Vec<Cause> {
        let mut file = File::default();
        for (owner, product, records, amount) in theirs {
            file.sums
                .insert(key(owner, product), Theirs { records: *records, amount: sum(amount) });
        }
        file.decimals.insert("USD".into(), 2);
        let ours = ours.iter().map(|(owner, product, amount)| (key(owner, product), sum(amount)));
        let pairs = compare(&file, &ours.collect());
        for pair in &pairs {
            assert_eq!(pair.ours.difference(&pair.theirs), pair.difference);
        }
        pairs.into_iter().map(|pair| pair.cause).collect()
    }

    #[test]
    fn currencies_stay_together_the_largest_difference_first() {
        let of =
            |owner: &str, currency: &str| (owner.to_owned(), "p".to_owned(), currency.to_owned());
        let ours = [("a", "USD", "1"), ("b", "USD", "-9"), ("c", "EUR", "0.1"), ("d", "USD", "5")];
        let ours = ours.map(|(owner, currency, amount)| (of(owner, currency), sum(amount)));
        let pairs = compare(&File::default(), &ours.into_iter().collect());
        let owners: Vec<&str> = pairs.iter().map(|pair| pair.key.0.as_str()).collect();
        assert_eq!(owners, ["c", "b", "d", "a"]);
    }

    #[test]
    fn causes_are_told_apart() {
        use Cause as C;
        assert_eq!(causes(&[("a", "p", 1, "1.00")], &[("a", "p", "1")]), [C::Equal]);
        // Three records may be half a cent off each; a hair more is no rounding.
        assert_eq!(causes(&[("a", "p", 3, "1.00")], &[("a", "p", "1.015")]), [C::Rounding]);
        assert_eq!(causes(&[("a", "p", 3, "1.00")], &[("a", "p", "0.985")]), [C::Rounding]);
        assert_eq!(causes(&[("a", "p", 3, "1.00")], &[("a", "p", "1.0150001")]), [C::Lines]);
        let moved = causes(
            &[("a", "p", 1, "7.00"), ("b", "p", 1, "3.00")],
            &[("a", "p", "5"), ("b", "p", "5")],
        );
        assert_eq!(moved, [C::Rule, C::Rule]);
        let gone = causes(&[("a", "p", 1, "1.00")], &[("a", "q", "1")]);
        assert_eq!(gone, [C::MissingOurs, C::MissingTheirs]);
    }
}
