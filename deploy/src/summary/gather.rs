//! From the database to a [`Summary`].

use anyhow::Result;
use postgres::Transaction;
use proto::manifest::Sums;

use super::model::{Money, Source, Summary};
use crate::store::{self, SourceKey, Stored};

/// What is visible after `run`.
pub fn summary(txn: &mut Transaction<'_>, run: &str) -> Result<Summary> {
    let run = store::run(txn, run)?;
    let mut summary = Summary::default();
    if let Some(run) = run {
        (summary.units, summary.failed, summary.seconds) = (run.units, run.failed, run.seconds);
    }
    for row in store::sources(txn)? {
        let (cost, quarantined, warnings) = (row.cost, row.quarantined, row.warnings);
        let source = Source { cost, quarantined, warnings, ..Source::default() };
        summary.sources.insert(row.key, source);
    }
    for (key, count) in store::counts(txn)? {
        summary.sources.entry(key).or_default().dates = count.dates;
    }
    for (key, totals) in store::received(txn)? {
        for (currency, _, sums) in totals.iter() {
            money(&mut summary, &key, currency.as_str()).received.merge(sums);
        }
    }
    for Stored { key, currency, which: fresh, items, sums } in store::lines(txn)? {
        summary.sources.entry(key.clone()).or_default().lines += items;
        let money = money(&mut summary, &key, &currency);
        money.stored.merge(&sums);
        if !fresh {
            // What was counted when these lines were read has made way for the count of newer ones.
            money.received.merge(&sums);
        }
    }
    for Stored { key, currency, which: reason, items, sums } in store::allocated(txn)? {
        summary.sources.entry(key.clone()).or_default().rows += items;
        let money = money(&mut summary, &key, &currency);
        let into: &mut Sums = match reason {
            Some(reason) => money.unallocated.entry(reason).or_default(),
            None => &mut money.allocated,
        };
        into.merge(&sums);
    }
    for (key, currency, amount) in store::quarantined_amounts(txn)? {
        money(&mut summary, &key, &currency).quarantined.merge(&amount);
    }
    Ok(summary)
}

fn money<'a>(summary: &'a mut Summary, key: &SourceKey, currency: &str) -> &'a mut Money {
    let source = summary.sources.entry(key.clone()).or_default();
    source.money.entry(currency.to_owned()).or_default()
}
