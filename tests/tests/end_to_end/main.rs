//! Bills in, rows in Postgres and CSV files out: the real program, servers and processes, exact to the last decimal.

use std::collections::{BTreeMap, BTreeSet};

use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::ExactSum;
use proto::time::UnitDate;
use serde_json::Value;
use tests::output::{csv_sums, rows};
use tests::stand::{Finished, Stand};
use tests::world::{self, Line};

mod backup;
mod bench;
mod bytes;
mod changes;
mod columnar;
mod compare;
mod confluent;
mod drivers;
mod explain;
mod fleet;
mod focus;
mod health;
mod hold;
mod inventory;
mod isolation;
mod kills;
mod lint;
mod measured;
mod metric_drivers;
mod months;
mod observed;
mod old_files;
mod plan;
mod provider_columns;
mod reconcile;
mod refused;
mod replay;
mod restore;
mod retention;
mod runs;
mod schedule;
mod shared;
mod stages;
mod storm;
mod sunbird;
mod try_bill;
mod unallocated;
mod unchanged;
mod why;

fn day(text: &str) -> UnitDate {
    text.parse().expect("a date")
}

/// What the summary says about a tenant's only source.
fn of<'a>(finished: &'a Finished, tenant: &str) -> &'a Value {
    let tenants = finished.summary["tenants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = tenants.iter().find(|each| each["tenant"] == tenant);
    found.unwrap_or_else(|| {
        panic!("no {tenant} in {}; it said:\n{}", finished.summary, finished.said)
    })
}

/// The run did all that was due, and made `units` units visible.
fn assert_done(finished: &Finished, units: usize) {
    assert_eq!(finished.code, 0, "{}\n{}", finished.summary, finished.said);
    assert_eq!(finished.summary["failed"], 0, "{}", finished.summary);
    assert_eq!(finished.summary["units"], units, "{}", finished.summary);
}

/// Summary and CSV files hold exactly these lines of the tenant, and not a unit of money more or less.
fn assert_holds(stand: &Stand, finished: &Finished, tenant: &str, lines: &[Line], cost: Measure) {
    let found = of(finished, tenant);
    let dates: BTreeSet<UnitDate> = lines.iter().map(|line| line.date).collect();
    assert_eq!(found["lines"], lines.len(), "{found}");
    assert_eq!(found["dates"], dates.len(), "{found}");
    assert_eq!(found["quarantined"], 0, "{found}");
    let csv = csv_sums(&stand.csv()).expect("files that can be read");
    let mut in_csv = 0;
    let expected: BTreeMap<String, Sums> = world::sums(lines, cost);
    for (currency, sums) in &expected {
        let totals = &found["totals"][currency];
        let emitted = &csv[&(tenant.to_owned(), "cloud".to_owned(), currency.clone())];
        let is = |field: &str, sum: &ExactSum| {
            assert_eq!(totals[field], sum.to_string(), "{field} in {found}")
        };
        is("received", &sums.amount);
        is("amount", &sums.amount);
        is("unallocated", &emitted.unallocated);
        is("allocated", &sums.amount.difference(&emitted.unallocated));
        is("quarantined", &ExactSum::ZERO);
        is("difference", &ExactSum::ZERO);
        for measure in Measure::ALL {
            let of_measure = &totals["measures"][measure.word()];
            assert_eq!(*of_measure, sums.measure(measure).to_string(), "{measure:?} in {found}");
        }
        assert_eq!(emitted.sums, *sums, "{tenant} {currency}");
        in_csv += emitted.rows;
    }
    let currencies = csv.keys().filter(|(of, ..)| of == tenant).count();
    assert_eq!(currencies, expected.len(), "a currency that nobody sent");
    assert_eq!(found["rows"], in_csv, "{found}");
}

/// The generated bills reach every tier, so that what holds for them means something.
#[test]
fn bills_become_rows_of_every_tier() {
    let stand = Stand::new("tiers");
    let first = day("2026-05-30");
    let dollars = world::bill(1, "USD", first, 3, 30);
    let both = [world::bill(2, "EUR", first, 2, 15), world::bill(3, "USD", first, 1, 15)].concat();
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/acme*.csv", Measure::Effective));
    stand.write("tenants/nord.yaml", world::tenant("EUR, USD", "bills/nord.csv", Measure::Billed));
    stand.write("bills/acme-1.csv", world::csv(&dollars));
    stand.write("bills/nord.csv", world::csv(&both));
    let run = stand.run_once(&[]);
    assert_done(&run, 5);
    assert_holds(&stand, &run, "acme", &dollars, Measure::Effective);
    assert_holds(&stand, &run, "nord", &both, Measure::Billed);

    let rows = rows(&stand.csv()).unwrap();
    let seen = |column: &str| rows.iter().map(|row| row[column].as_str()).collect::<BTreeSet<_>>();
    for method in ["direct", "fixed", "even", "in_proportion_to_cost", "unallocated"] {
        assert!(seen("allocation_method").contains(method), "{:?}", seen("allocation_method"));
    }
    for reason in ["untagged", "unused_commitment"] {
        assert!(seen("allocation_detail").contains(reason), "{:?}", seen("allocation_detail"));
    }
    for owner in ["checkout", "data-platform", "growth", "search", "UNALLOCATED"] {
        assert!(seen("owner_id").contains(owner), "{:?}", seen("owner_id"));
    }
    // Stored rows are the emitted ones: in number, and in money to the last decimal.
    let stored = stand.database(|client| {
        let sql = "select count(*), sum(f.amount)::text from apportion.chargeback_facts f
                   join apportion.pipeline_state p on p.visible_generation = f.generation and p.date = f.date
                   where p.tenant = 'acme' and f.tenant = 'acme'";
        let row = client.query_one(sql, &[])?;
        Ok((row.get::<_, i64>(0), row.get::<_, String>(1)))
    });
    let (count, sum) = stored.unwrap();
    let emitted = &csv_sums(&stand.csv()).unwrap()[&("acme".into(), "cloud".into(), "USD".into())];
    assert_eq!(usize::try_from(count).unwrap(), emitted.rows);
    assert_eq!(ExactSum::parse(&sum).unwrap(), emitted.sums.amount);
}
