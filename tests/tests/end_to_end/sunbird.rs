//! The documented example over its own bill and a Prometheus server, with the sums worked out by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proto::money::{Amount, ExactSum};
use tests::output::{contents, rows};
use tests::prometheus::Prometheus;
use tests::stand::Stand;

use crate::{day, of};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/sunbird")
}

/// Bytes of three principals on the two days of the bill, as a quarter-hourly counter: 24, 18 and 8 of 50. A regular
/// expression, a pattern and a row of the example's table turn them into teams.
fn samples() -> String {
    const MOVED: [(&str, i64); 3] =
        [("User:svc-checkout-orders", 24), ("User:connect-s3", 18), ("User:legacy-indexer", 8)];
    let first = day("2026-10-13").start().0;
    let mut text = "# TYPE kafka_bytes counter\n".to_owned();
    for (principal, parts) in MOVED {
        for quarter in -4..=192 {
            let (bytes, at) = (parts * 1_000_000 * (quarter + 4), first + quarter * 900);
            text.push_str(&format!(
                "kafka_bytes_total{{principal=\"{principal}\"}} {bytes} {at}\n"
            ));
        }
    }
    text
}

#[test]
fn the_six_cases_of_the_example_run_as_they_stand() {
    let prometheus = Prometheus::start(&samples()).unwrap();
    let stand = Stand::new("sunbird");
    let names = ["owners.csv", "accounts.csv", "principals.csv", "network-2026h2.csv"];
    for name in names.into_iter().chain(["tenants/sunbird.yaml", "bills/2026-10.csv.gz"]) {
        stand.write(name, fs::read(example().join(name)).unwrap());
    }
    let kafka = fs::read_to_string(example().join("kafka.yaml")).unwrap();
    let there = "http://prometheus.sunbird.example:9090";
    assert!(kafka.contains(there), "{kafka}");
    stand.write("kafka.yaml", kafka.replace(there, &prometheus.url()));

    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (0, &0.into()), "{}\n{}", run.summary, run.said);
    let found = of(&run, "sunbird");
    assert_eq!((&found["lines"], &found["quarantined"]), (&16.into(), &0.into()), "{found}");
    assert_eq!(found["totals"]["USD"]["difference"], "0", "{found}");
    // Weights came, spend was added up, and all is as it will be.
    let again = stand.run_once(&[]);
    assert_eq!((again.code, &again.summary["units"]), (0, &0.into()), "{}", again.summary);

    let focus = contents(&stand.config().join("out/focus")).unwrap();
    assert_eq!(focus.len(), 2, "{:?}", focus.keys());

    let mut sums: BTreeMap<String, ExactSum> = BTreeMap::new();
    for row in rows(&stand.csv()).unwrap() {
        let amount = Amount::parse(&row["amount"]).unwrap();
        sums.entry(row["owner_id"].clone()).or_default().add(amount);
    }
    let sums: BTreeMap<&str, String> =
        sums.iter().map(|(owner, sum)| (owner.as_str(), sum.to_string())).collect();
    let wanted = [
        // Each of two days: machines 187.20 + 93.60, half of the network's 41.30, and of the cluster's 64.80 24 of 50
        // parts of 70 %, a third of 30 %: 659.4056 of the month's spend of 1091.430246. So much of support's 120 and of
        // the tax of 55.55 comes with it.
        ("checkout", "765.4670304068"),
        // Its storage by account, a quarter, 18 of 50 parts and a third: 103.819446, and its part of both.
        ("data-platform", "120.5181803553"),
        // Its machine 140.04, a quarter, 8 of 50 parts and a third: 328.2052, and its part of both.
        ("search", "380.9950352379"),
        // The sandbox, 3.10 a day.
        ("UNALLOCATED", "6.2"),
    ];
    assert_eq!(sums, wanted.map(|(owner, sum)| (owner, sum.to_owned())).into());
}
