//! The documented example over its own bill: all that runs of it today, with the sums worked out by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proto::money::{Amount, ExactSum};
use tests::output::{contents, rows};
use tests::stand::Stand;

use crate::{assert_done, of};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/sunbird")
}

/// The tenant's file without these: sections by key, entries by what their first line starts with.
fn without(text: &str, leave_out: &[&str]) -> String {
    let mut kept = String::new();
    let mut left_out: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        left_out = left_out.filter(|above| indent > *above);
        if left_out.is_none() && leave_out.iter().any(|start| line.trim_start().starts_with(start))
        {
            left_out = Some(indent);
        }
        if left_out.is_none() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn the_example_runs_without_what_is_not_built() {
    let stand = Stand::new("sunbird");
    for name in ["owners.csv", "accounts.csv", "principals.csv", "network-2026h2.csv"] {
        stand.write(name, fs::read(example().join(name)).unwrap());
    }
    let bill = "bills/2026-10.csv.gz";
    stand.write(bill, fs::read(example().join(bill)).unwrap());
    let whole = fs::read_to_string(example().join("tenants/sunbird.yaml")).unwrap();
    let leave_out = ["kafka_bytes:", "kafka:", "tests:"];
    let runs = without(&whole, &leave_out)
        .replace("{ source: kafka }, ", "")
        .replace("{ usage_ratio: kafka_bytes }, ", "");
    stand.write("tenants/sunbird.yaml", runs);

    let run = stand.run_once(&[]);
    // The day of support and tax is calculated again once the month's spend has been added up.
    assert_done(&run, 3);
    let found = of(&run, "sunbird");
    assert_eq!((&found["lines"], &found["quarantined"]), (&16.into(), &0.into()), "{found}");
    assert_eq!(found["totals"]["USD"]["difference"], "0", "{found}");

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
        // Each of two days: machines 187.20 + 93.60, half of the network's 41.30, a third of the cluster's 64.80: 646.10
        // of the month's spend of 1091.430246. So much of support's 120 and of the tax of 55.55 comes with it.
        ("checkout", "750.0213045595"),
        // Its storage by account, a quarter, a third: 101.400246, and its part of both.
        ("data-platform", "117.7098665649"),
        // Its machine 140.04, a quarter, a third: 343.93, and its part of both.
        ("search", "399.2490748756"),
        // The sandbox, 3.10 a day.
        ("UNALLOCATED", "6.2"),
    ];
    assert_eq!(sums, wanted.map(|(owner, sum)| (owner, sum.to_owned())).into());
}
