//! What was, what would be, and the difference. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use proto::money::ExactSum;
use proto::row::UNALLOCATED;

use crate::store::RowKey;

/// Combinations that are held at most: some hundred bytes each.
const KEYS_MAX: usize = 1_000_000;

/// A sum before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// What is visible.
    pub before: ExactSum,
    /// What would be.
    pub after: ExactSum,
}

impl Moved {
    /// After less before.
    #[must_use]
    pub fn delta(&self) -> ExactSum {
        self.after.difference(&self.before)
    }

    fn merge(&mut self, other: &Self) {
        self.before.merge(&other.before);
        self.after.merge(&other.after);
    }
}

/// Everything of one tenant.
#[derive(Debug, Default)]
pub struct Difference(BTreeMap<RowKey, Moved>);

/// A name, a currency, and what moves.
pub type Line<'a> = ((&'a str, &'a str), Moved);

impl Difference {
    /// Where to count a sum in.
    ///
    /// # Errors
    /// When there are too many combinations to hold.
    pub fn of(&mut self, key: RowKey) -> Result<&mut Moved> {
        ensure!(
            self.0.len() < KEYS_MAX,
            "there are more than {KEYS_MAX} combinations of owner, identity, product and rule: plan fewer dates with \
             --from and --to"
        );
        Ok(self.0.entry(key).or_default())
    }

    /// What moves by owner, identity, product and currency, in the same order.
    #[must_use]
    pub fn moved(&self) -> Vec<([String; 4], [ExactSum; 2])> {
        let mut sums: BTreeMap<[&String; 4], Moved> = BTreeMap::new();
        for (key, moved) in &self.0 {
            let RowKey { owner, identity, product, currency, .. } = key;
            sums.entry([owner, identity, product, currency]).or_default().merge(moved);
        }
        let mut some = Vec::from_iter(sums);
        some.retain(|(_, moved)| !moved.delta().is_zero());
        some.sort_by_cached_key(|(key, moved)| (key[3], Reverse(moved.delta().size()), *key));
        let some = some.into_iter();
        some.map(|(key, moved)| (key.map(Clone::clone), [moved.before, moved.after])).collect()
    }

    /// By owner; of each currency, the largest difference first. Who neither had nor would have anything is left out.
    #[must_use]
    pub fn owners(&self) -> Vec<Line<'_>> {
        self.lines(|key| &key.owner)
    }

    /// By rule, in the same order.
    #[must_use]
    pub fn rules(&self) -> Vec<Line<'_>> {
        self.lines(|key| &key.rule)
    }

    fn lines(&self, by: impl Fn(&RowKey) -> &String) -> Vec<Line<'_>> {
        let mut sums: BTreeMap<(&str, &str), Moved> = BTreeMap::new();
        for (key, moved) in &self.0 {
            sums.entry((by(key), &key.currency)).or_default().merge(moved);
        }
        let mut lines: Vec<Line<'_>> = sums.into_iter().collect();
        lines.retain(|(_, moved)| !(moved.before.is_zero() && moved.after.is_zero()));
        lines.sort_by_cached_key(|((name, currency), moved)| {
            (*currency, Reverse(moved.delta().size()), *name)
        });
        lines
    }

    /// All money and the allocated part of it, by currency.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<&str, (Moved, Moved)> {
        let mut totals: BTreeMap<&str, (Moved, Moved)> = BTreeMap::new();
        for (key, moved) in &self.0 {
            let (all, allocated) = totals.entry(&key.currency).or_default();
            all.merge(moved);
            if key.owner != UNALLOCATED {
                allocated.merge(moved);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(text: &str) -> ExactSum {
        ExactSum::parse(text).unwrap()
    }

    fn difference(rows: &[(&str, &str, &str, &str)]) -> Difference {
        let mut difference = Difference::default();
        for (owner, rule, before, after) in rows {
            let key = RowKey {
                owner: (*owner).into(),
                identity: format!("tag:{owner}"),
                product: "S3".into(),
                rule: (*rule).into(),
                currency: "USD".into(),
            };
            let moved = difference.of(key).unwrap();
            moved.before.merge(&sum(before));
            moved.after.merge(&sum(after));
        }
        difference
    }

    #[test]
    fn what_moves_is_told_by_owner_and_by_rule_and_adds_up_to_nothing() {
        let difference = difference(&[
            ("a", "old", "10", "0"),
            ("a", "new", "0", "7.5"),
            ("b", "new", "0", "2.6"),
            (UNALLOCATED, "rest", "5", "4.9"),
            ("c", "same", "1", "1"),
        ]);
        let owners: Vec<_> =
            difference.owners().iter().map(|(k, m)| (k.0, m.delta().to_string())).collect();
        let deltas = [("b", "2.6"), ("a", "-2.5"), (UNALLOCATED, "-0.1"), ("c", "0")];
        assert_eq!(owners, deltas.map(|(owner, delta)| (owner, delta.to_owned())));
        let rules: Vec<_> = difference.rules().iter().map(|(k, _)| k.0).collect();
        assert_eq!(rules, ["new", "old", "rest", "same"]);
        let (all, allocated) = difference.totals()["USD"];
        assert!(all.delta().is_zero());
        let shown = [allocated.before, allocated.after].map(|sum| sum.to_string());
        assert_eq!(shown, ["11", "11.1"]);
        let mut difference = difference;
        let key = RowKey { currency: "EUR".into(), owner: "z".into(), ..Default::default() };
        difference.of(key).unwrap().after.merge(&sum("0.01"));
        assert_eq!(difference.owners()[0].0, ("z", "EUR"), "currencies stay together");
        assert_eq!(difference.moved()[0].0[3], "EUR");
        let moved = difference.moved();
        let deltas: Vec<_> = moved[1..]
            .iter()
            .map(|(key, [before, after])| (&*key[0], after.difference(before).to_string()))
            .collect();
        assert_eq!(
            deltas,
            [("b", "2.6"), ("a", "-2.5"), (UNALLOCATED, "-0.1")].map(|(o, d)| (o, d.to_owned()))
        );
        // One owner keeps the product under another rule: only sums that differ move.
        assert_eq!(moved.len(), 4);
    }
}
