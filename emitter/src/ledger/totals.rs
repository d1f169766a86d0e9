//! Comparing exact sums. Pure.

use std::collections::BTreeMap;

use proto::currency::Currency;
use proto::line::Measure;
use proto::manifest::{Sums, Totals};
use proto::task::CommitUnit;
use proto::time::BillingPeriod;

/// What Postgres counted and added up, per currency and billing period.
pub type Stored = BTreeMap<(Currency, BillingPeriod), (u64, Sums)>;

/// Whether rows add up to lines, per currency, period and measure.
///
/// # Errors
/// The first difference.
pub fn conserves(unit: &CommitUnit) -> Result<(), String> {
    let (lines, rows) = (&unit.lines.totals, &unit.rows.totals);
    let rows_of: BTreeMap<_, _> =
        rows.iter().map(|(currency, period, sums)| ((currency, period), sums)).collect();
    for (currency, period, sums) in lines.iter() {
        let found = rows_of.get(&(currency, period)).copied().cloned().unwrap_or_default();
        differ(currency, period, ("lines", sums), ("rows", &found))?;
    }
    for (currency, period, sums) in rows.iter() {
        if lines.iter().all(|(c, p, _)| (c, p) != (currency, period)) {
            differ(currency, period, ("lines", &Sums::default()), ("rows", sums))?;
        }
    }
    Ok(())
}

/// Whether what is stored is what a manifest says.
///
/// # Errors
/// The first difference.
pub fn as_stored(items: u64, totals: &Totals, stored: &Stored) -> Result<(), String> {
    let count: u64 = stored.values().map(|(items, _)| items).sum();
    if count != items {
        return Err(format!(
            "{count} are stored with their dimensions where the manifest says {items}"
        ));
    }
    let expected: BTreeMap<_, _> =
        totals.iter().map(|(currency, period, sums)| ((currency, period), sums)).collect();
    let none = Sums::default();
    for ((currency, period), (_, sums)) in stored {
        let expected = expected.get(&(*currency, *period)).copied().unwrap_or(&none);
        differ(*currency, *period, ("the manifest", expected), ("what is stored", sums))?;
    }
    for (currency, period, sums) in totals.iter() {
        if !stored.contains_key(&(currency, period)) {
            differ(currency, period, ("the manifest", sums), ("what is stored", &none))?;
        }
    }
    Ok(())
}

fn differ(
    currency: Currency,
    period: BillingPeriod,
    (left, expected): (&str, &Sums),
    (right, found): (&str, &Sums),
) -> Result<(), String> {
    let measures = Measure::ALL.map(|m| (m.word(), expected.measure(m), found.measure(m)));
    let all = [("amount", &expected.amount, &found.amount)].into_iter().chain(measures);
    for (word, expected, found) in all {
        if expected != found {
            let by = found.difference(expected);
            return Err(format!(
                "{word} in {currency} of {period}: {left} {expected}, {right} {found}, difference {by}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::hash::Hash128;
    use proto::ids::{Attempt, Generation};
    use proto::manifest::Manifest;
    use proto::money::{Amount, ExactSum};

    fn totals(entries: &[(&str, &str, &str)]) -> Totals {
        let mut totals = Totals::default();
        for (currency, period, amount) in entries {
            let none = [None; 4];
            totals.add(
                currency.parse().unwrap(),
                period.parse().unwrap(),
                Amount::parse(amount).unwrap(),
                &none,
            );
        }
        totals
    }

    fn stored(entries: &[(&str, &str, &str)]) -> Stored {
        let sums = totals(entries);
        sums.iter()
            .map(|(currency, period, sums)| ((currency, period), (1, sums.clone())))
            .collect()
    }

    #[test]
    fn the_smallest_difference_shows() {
        let manifest = totals(&[
            ("USD", "2026-05", "0.0000000000000000000000000001"),
            ("EUR", "2026-05", "2"),
        ]);
        let same = stored(&[
            ("USD", "2026-05", "0.0000000000000000000000000001"),
            ("EUR", "2026-05", "2"),
        ]);
        assert_eq!(as_stored(2, &manifest, &same), Ok(()));
        let text =
            as_stored(2, &manifest, &stored(&[("USD", "2026-05", "0"), ("EUR", "2026-05", "2")]))
                .unwrap_err();
        assert!(
            text.starts_with("amount in USD of 2026-05")
                && text.ends_with("-0.0000000000000000000000000001"),
            "{text}"
        );
        let text = as_stored(1, &manifest, &stored(&[("USD", "2026-05", "1")])).unwrap_err();
        assert!(text.starts_with("amount in USD"), "{text}");
        assert!(as_stored(3, &manifest, &same).unwrap_err().contains("2 are stored"));
        let mut other = same;
        if let Some((_, sums)) =
            other.get_mut(&("EUR".parse().unwrap(), "2026-05".parse().unwrap()))
        {
            sums.measures[3] = ExactSum::ZERO;
        }
        assert!(as_stored(2, &manifest, &other).unwrap_err().starts_with("list in EUR"));
        let moved = stored(&[
            ("USD", "2026-06", "0.0000000000000000000000000001"),
            ("EUR", "2026-05", "2"),
        ]);
        assert!(as_stored(2, &manifest, &moved).is_err());
    }
    #[test]
    fn rows_that_lose_a_currency_do_not_conserve() {
        let unit = |lines: Totals, rows: Totals| {
            let manifest = |totals| Manifest {
                generation: Generation(1),
                attempt: Attempt(1),
                batches: Vec::new(),
                items: 0,
                hash: Hash128::default(),
                totals,
            };
            CommitUnit {
                date: "2026-05-01".parse().unwrap(),
                generation: Generation(1),
                lines: manifest(lines),
                resolutions: None,
                rows: manifest(rows),
                config: Hash128::default(),
                rules: Hash128::default(),
            }
        };
        let (usd, eur) = (("USD", "2026-05", "1"), ("EUR", "2026-05", "-2"));
        assert_eq!(conserves(&unit(totals(&[usd, eur]), totals(&[eur, usd]))), Ok(()));
        let text = conserves(&unit(totals(&[usd, eur]), totals(&[usd]))).unwrap_err();
        assert_eq!(text, "amount in EUR of 2026-05: lines -2, rows 0, difference 2");
        let text = conserves(&unit(totals(&[usd]), totals(&[usd, eur]))).unwrap_err();
        assert_eq!(text, "amount in EUR of 2026-05: lines 0, rows -2, difference -2");
        assert_eq!(conserves(&unit(Totals::default(), Totals::default())), Ok(()));
    }
}
