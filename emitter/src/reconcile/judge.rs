//! Comparing what is stored with what it was made of. Pure.

use std::collections::BTreeMap;
use std::fmt::Display;

use proto::line::Measure;
use proto::manifest::{Sums, Totals};
use proto::money::ExactSum;

/// Differences of one unit that are told at most: one is enough to look at it.
const TOLD_MAX: usize = 20;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: once per unit.
    pub what: String,
    /// As it was made.
    pub expected: String,
    /// As it is stored.
    pub found: String,
}

/// What differs in one unit.
#[derive(Debug, Default)]
pub struct Differences(Vec<Difference>);

impl Differences {
    /// Notes one.
    pub fn put(&mut self, what: &str, expected: impl Display, found: impl Display) {
        if self.0.len() < TOLD_MAX {
            let (expected, found) = (expected.to_string(), found.to_string());
            self.0.push(Difference { what: what.to_owned(), expected, found });
        }
    }

    /// Notes one where two values differ.
    pub fn compare<T: PartialEq + Display>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.put(what, expected, found);
        }
    }

    /// Notes each currency, period and measure that differs.
    pub fn totals(&mut self, of: &str, expected: &Totals, found: &Totals) {
        let map = |totals: &'_ Totals| -> BTreeMap<_, Sums> {
            totals
                .iter()
                .map(|(currency, period, sums)| ((currency, period), sums.clone()))
                .collect()
        };
        let (expected, found) = (map(expected), map(found));
        let mut keys: Vec<_> = expected.keys().chain(found.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        for (currency, period) in keys {
            let sums =
                |map: &BTreeMap<_, Sums>| map.get(&(currency, period)).cloned().unwrap_or_default();
            let (expected, found) = (sums(&expected), sums(&found));
            let mut compare = |word: &str, expected: &ExactSum, found: &ExactSum| {
                self.compare(&format!("{word} of {of} in {currency} of {period}"), expected, found);
            };
            compare("amount", &expected.amount, &found.amount);
            for measure in Measure::ALL {
                compare(measure.word(), expected.measure(measure), found.measure(measure));
            }
        }
    }

    /// Notes each currency whose amount differs, over all periods.
    pub fn amounts(&mut self, of: &str, expected: &[(String, ExactSum)], found: &Totals) {
        let mut sums = BTreeMap::<String, ExactSum>::new();
        for (currency, _, of_period) in found.iter() {
            sums.entry(currency.to_string()).or_default().merge(&of_period.amount);
        }
        for (currency, sum) in expected {
            let found = sums.remove(currency).unwrap_or_default();
            self.compare(&format!("amount of {of} in {currency}"), sum, &found);
        }
        for (currency, found) in sums {
            self.put(&format!("amount of {of} in {currency}"), "no such currency", found);
        }
    }

    /// All that was noted, in that order.
    #[must_use]
    pub fn told(self) -> Vec<Difference> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::money::Amount;

    fn totals(entries: &[(&str, &str, &str)]) -> Totals {
        let mut totals = Totals::default();
        for (currency, period, amount) in entries {
            let amount = Amount::parse(amount).unwrap();
            totals.add(currency.parse().unwrap(), period.parse().unwrap(), amount, &[None; 4]);
        }
        totals
    }

    fn texts(differences: Differences) -> Vec<String> {
        let text = |d: Difference| format!("{}: {} {}", d.what, d.expected, d.found);
        differences.told().into_iter().map(text).collect()
    }

    #[test]
    fn every_currency_period_and_measure_counts() {
        let mut differences = Differences::default();
        let expected = totals(&[("USD", "2026-05", "1"), ("EUR", "2026-05", "2")]);
        differences.totals("rows", &expected, &expected);
        assert!(texts(differences).is_empty());
        let mut differences = Differences::default();
        differences.totals(
            "rows",
            &expected,
            &totals(&[("USD", "2026-05", "1"), ("EUR", "2026-04", "2")]),
        );
        let told = texts(differences);
        assert_eq!(told.len(), 10, "{told:?}");
        assert_eq!(told[0], "amount of rows in EUR of 2026-04: 0 2");
        assert_eq!(told[9], "list of rows in EUR of 2026-05: 2 0");
    }

    #[test]
    fn amounts_are_compared_over_periods_and_no_unit_tells_without_end() {
        let mut differences = Differences::default();
        let expected = [("EUR".to_owned(), ExactSum::parse("3").unwrap())];
        let found = totals(&[("EUR", "2026-05", "1"), ("EUR", "2026-04", "2")]);
        differences.amounts("lines", &expected, &found);
        differences.amounts("lines", &[], &found);
        assert_eq!(texts(differences), ["amount of lines in EUR: no such currency 3"]);
        let mut differences = Differences::default();
        (0..100).for_each(|n| differences.compare("n", &n, &-1));
        assert_eq!(differences.told().len(), TOLD_MAX);
    }
}
