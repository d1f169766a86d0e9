//! `apportion plan`: what a changed configuration would move, told before it is in force; and then it comes just so.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::line::Measure;
use proto::money::{Amount, ExactSum};
use serde_json::Value;
use tests::output::{files, rows, touched};
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;

/// Owner to money, as emitted.
fn owners(stand: &Stand) -> BTreeMap<String, ExactSum> {
    let mut owners: BTreeMap<String, ExactSum> = BTreeMap::new();
    for row in rows(&stand.csv()).expect("files that can be read") {
        let amount = Amount::parse(&row["amount"]).expect("an amount");
        owners.entry(row["owner_id"].clone()).or_default().add(amount);
    }
    owners.retain(|_, sum| !sum.is_zero());
    owners
}

/// Owner to money, as a plan says.
fn planned(owners: &Value, which: &str) -> BTreeMap<String, ExactSum> {
    let text = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
    let sum = |line: &Value| ExactSum::parse(&text(line, which)).expect("a sum");
    let lines = owners.as_array().expect("a list").iter();
    let owners = lines.map(|line| (text(line, "owner"), sum(line)));
    owners.filter(|(_, sum)| !sum.is_zero()).collect()
}

/// Everything that is stored of rows, and what is visible.
fn stored(stand: &Stand) -> Result<(i64, String)> {
    stand.database(|client| {
        let sql = "select (select count(*) from apportion.chargeback_facts),
                     (select string_agg(source || date || visible_generation || wanted_generation || state, ' '
                        order by source, date) from apportion.pipeline_state)";
        let row = client.query_one(sql, &[])?;
        Ok((row.get(0), row.get(1)))
    })
}

#[test]
fn what_is_planned_changes_nothing_and_comes_just_so() {
    let stand = Stand::new("plan");
    let lines = world::bill(21, "USD", day("2026-05-01"), 3, 20);
    let tenant = world::tenant("USD", "bills/*.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bills/acme.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 3);
    let (before, emitted, facts) = (owners(&stand), files(&stand.csv()), stored(&stand).unwrap());

    let (code, same) = stand.ask(&["plan"]);
    assert_eq!(
        (code, same.as_str()),
        (0, "acme: none of 3 visible dates would be calculated again\n")
    );

    // Networking goes to search alone from the second day on, and growth is platform's business everywhere.
    let changed = tenant
        .replace("chain: [{ fixed: { checkout: 60, search: 39.5, data-platform: 0.5 } }]",
            "valid: { from: 2026-05-02 }\n    chain: [{ fixed: { search: 100 } }]")
        .replace("allocation:", "allocation:\n  - id: network-may-1\n    match: { ServiceCategory: Networking, vtag.team: absent }\n    valid: { until: 2026-05-02 }\n    chain: [{ fixed: { checkout: 60, search: 39.5, data-platform: 0.5 } }]")
        .replace("values: [trim, lowercase,", "values: [trim, lowercase, { alias: { growth: platform } },");
    stand.write("tenants/acme.yaml", &changed);
    let (code, plan) = stand.ask_json(&["plan", "--json"]);
    assert_eq!(code, 0);
    let plan = &plan["tenants"][0];
    assert_eq!(plan["units"].as_array().map(Vec::len), Some(3), "{plan}");
    assert_eq!(planned(&plan["owners"], "before"), before, "{plan}");
    assert_eq!(plan["totals"]["USD"]["delta"], "0");
    let digest = plan["digest"].as_str().expect("a digest");
    assert_eq!(stored(&stand).unwrap(), facts, "no row was stored, nothing visible changed");
    assert_eq!(touched(&emitted.unwrap(), &files(&stand.csv()).unwrap()), Vec::<String>::new());
    let (code, said) = stand.ask(&["plan", "--published", &digest[..12]]);
    assert_eq!(code, 1, "{said}");
    assert!(said.ends_with("acme: 0 of 3 dates are visible as planned\n"), "{said}");

    // For people: the largest difference first, every sum, coverage, the rules, the digest.
    let (_, table) = stand.ask(&["plan"]);
    assert!(
        table.starts_with(
            "acme: 3 of 3 visible dates would be calculated again, 2026-05-01 to 2026-05-03\n"
        ),
        "{table}"
    );
    assert!(
        table.contains("Σ delta 0; allocated ") && table.ends_with(&format!("digest {digest}\n")),
        "{table}"
    );
    let (_, markdown) = stand.ask(&["plan", "--markdown"]);
    let row = |(owner, sum): (&String, &ExactSum)| format!("| {owner} | USD | {sum} |");
    assert!(before.iter().map(row).all(|row| markdown.contains(&row)), "{markdown}");

    let run = stand.run_once(&[]);
    assert_done(&run, 3);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let visible = owners(&stand);
    assert_eq!(visible, planned(&plan["owners"], "after"));
    assert!(visible.contains_key("platform") && !visible.contains_key("growth"), "{visible:?}");
    let (code, said) = stand.ask(&["plan", "--published", digest]);
    assert_eq!((code, said.as_str()), (0, "acme: 3 of 3 dates are visible as planned\n"));
}

#[test]
fn a_plan_keeps_to_what_it_can_know() {
    let stand = Stand::new("plan-notes");
    let tenant = world::tenant("USD", "bill.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bill.csv", world::csv(&world::bill(22, "USD", day("2026-05-01"), 2, 8)));
    assert_done(&stand.run_once(&[]), 2);

    stand.write("tenants/acme.yaml", tenant.replace("EffectiveCost", "BilledCost"));
    let (_, said) = stand.ask(&["plan"]);
    assert!(
        said.contains("none of 2 visible dates")
            && said.contains("note: source cloud has another `cost`"),
        "{said}"
    );

    let narrow = tenant
        .replace("search: 39.5", "search: 39")
        .replace("data-platform: 0.5", "data-platform: 1");
    stand.write("tenants/acme.yaml", &narrow);
    let (_, document) = stand.ask_json(&["plan", "--json", "--from", "2026-05-02"]);
    let dates = document["tenants"][0]["units"].as_array().cloned().unwrap_or_default();
    assert_eq!(dates.iter().map(|unit| &unit["date"]).collect::<Vec<_>>(), ["2026-05-02"]);
}

#[test]
fn dates_that_are_not_gathered_any_more_are_planned_and_explained_too() {
    let stand = Stand::new("plan-lookback");
    let tenant = world::tenant("USD", "bill.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bill.csv", world::csv(&world::bill(23, "USD", day("2025-05-01"), 2, 8)));
    assert_done(&stand.run_once(&[]), 2);
    let narrow = format!("lookback: 30d\n{tenant}");
    stand.write("tenants/acme.yaml", &narrow);
    assert_done(&stand.run_once(&[]), 0);

    let changed = narrow
        .replace("search: 39.5", "search: 39")
        .replace("data-platform: 0.5", "data-platform: 1");
    stand.write("tenants/acme.yaml", &changed);
    let (_, document) = stand.ask_json(&["plan", "--json"]);
    let plan = &document["tenants"][0];
    assert_eq!(plan["units"].as_array().map(Vec::len), Some(2), "{document}");
    let digest = plan["digest"].as_str().expect("a digest").to_owned();
    assert_done(&stand.run_once(&[]), 2);
    let (code, said) = stand.ask(&["plan", "--published", &digest]);
    assert_eq!((code, said.as_str()), (0, "acme: 2 of 2 dates are visible as planned\n"));
    let (code, said) = stand.ask(&[
        "explain",
        "--tenant",
        "acme",
        "--date",
        "2025-05-01",
        "--identity",
        "tag:search",
    ]);
    assert_eq!(code, 0, "{said}");
}
