//! `apportion unallocated`: four seeded typos and a missing mapping are found, and each diff, applied, moves exactly the
//! money that it said.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use proto::money::{Amount, ExactSum};
use serde_json::Value;
use tests::output::rows;
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::day;

/// What nobody pays of a tenant, by currency, as emitted.
fn unallocated(stand: &Stand, tenant: &str) -> BTreeMap<String, ExactSum> {
    let mut sums: BTreeMap<String, ExactSum> = BTreeMap::new();
    for row in rows(&stand.csv()).expect("files that can be read") {
        if row["tenant_id"] == tenant && row["owner_id"] == "UNALLOCATED" {
            let amount = Amount::parse(&row["amount"]).expect("an amount");
            sums.entry(row["currency"].clone()).or_default().add(amount);
        }
    }
    sums
}

/// Takes a text out of a file of the company.
fn without(stand: &Stand, name: &str, text: &str) {
    let path = stand.config().join(name);
    let found = fs::read_to_string(&path).expect("the company's file");
    assert!(found.contains(text), "{name} holds no {text}");
    fs::write(path, found.replace(text, "")).expect("the file is ours");
}

/// The demo's company with four typos that nothing mends any more, and an account that no table knows.
fn company() -> Stand {
    let stand = Stand::new("unallocated");
    apportion::demo::write(&stand.config(), 7).expect("the company");
    let acme =
        "      - { alias: { chekout: checkout, serach: search, data-plattform: data-platform } }\n";
    without(&stand, "tenants/acme.yaml", acme);
    for alias in ["loby", "worls"] {
        without(&stand, "pixelforge/owners.csv", alias);
    }
    // Their own tests of the rules would fail, as they should.
    for name in ["tenants/acme.yaml", "tenants/pixelforge.yaml"] {
        let path = stand.config().join(name);
        let text = fs::read_to_string(&path).expect("the company's file");
        let (rules, _) = text.split_once("\ntests:\n").expect("they test their rules");
        let rules = rules
            .replace("file: pixelforge/owners.csv", "file: pixelforge/owners.csv, strict: true");
        fs::write(path, format!("{rules}\n")).expect("the file is ours");
    }
    let line = |cost: &str| {
        Line::new(day("2026-09-09"), "USD", cost)
            .set("SubAccountId", "444444444444")
            .set("ResourceId", "r-1")
    };
    let tagged = (0..12).map(|number| line(&format!("1.{number}5")).team("search"));
    let lines: Vec<Line> = tagged.chain([line("3.1"), line("0.007"), line("12.25")]).collect();
    stand.write("bills/acme/marketplace-extra.csv", world::csv(&lines));
    stand
}

fn apply(stand: &Stand, diff: &str, reverse: bool) {
    let mut git = Command::new("git");
    git.arg("apply").args(reverse.then_some("--reverse")).current_dir(stand.config());
    let mut git = git.stdin(Stdio::piped()).spawn().expect("git is there");
    std::io::Write::write_all(&mut git.stdin.take().expect("a pipe"), diff.as_bytes())
        .expect("git reads");
    assert!(git.wait().expect("git ends").success(), "{diff}");
}

#[test]
fn typos_and_mappings_are_found_and_their_diffs_move_what_they_said() {
    let stand = company();
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    let mut found = Vec::new();
    for tenant in ["acme", "pixelforge"] {
        let before = unallocated(&stand, tenant);
        let (code, told) = stand.ask_json(&["unallocated", "--json", "--tenant", tenant]);
        assert_eq!(code, 0);
        let mut reasons: BTreeMap<String, ExactSum> = BTreeMap::new();
        for reason in told["reasons"].as_array().unwrap() {
            let sum = ExactSum::parse(reason["amount"].as_str().unwrap()).unwrap();
            reasons.entry(reason["currency"].as_str().unwrap().to_owned()).or_default().merge(&sum);
        }
        assert_eq!(reasons, before, "{told}");
        for suggestion in told["suggestions"].as_array().unwrap() {
            let diff = suggestion["diff"].as_str().unwrap();
            apply(&stand, diff, false);
            let run = stand.run_once(&[]);
            assert_eq!(run.code, 0, "{}", run.said);
            let after = unallocated(&stand, tenant);
            let mut moved: BTreeMap<String, String> = BTreeMap::new();
            for (currency, sum) in &before {
                let delta = sum.difference(&after.get(currency).copied().unwrap_or_default());
                if !delta.is_zero() {
                    moved.insert(currency.clone(), delta.to_string());
                }
            }
            let said = suggestion["moves"].as_array().unwrap().iter();
            let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
            let said: BTreeMap<_, _> =
                said.map(|one| (text(one, "currency"), text(one, "amount"))).collect();
            assert_eq!(moved, said, "{suggestion}");
            apply(&stand, diff, true);
            let change = &suggestion["change"];
            found.push(change["alias"].as_str().or(change["key"].as_str()).unwrap().to_owned());
        }
        // Back, so that the other tenant's numbers are those of before.
        assert_eq!(stand.run_once(&[]).code, 0);
        assert_eq!(unallocated(&stand, tenant), before);
    }
    assert_eq!(found, ["chekout", "data-plattform", "444444444444", "loby", "worls"]);
}
