//! `apportion why`: the change of an owner's cost between two months, by effects that add up to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_done, day};

const TENANT: &str = r#"currency: USD
tags: { team: { from: [tag.team] } }
tables: { accounts: { file: accounts.csv, key: [SubAccountId], value: team } }
groups: { users: [checkout, search] }
sources: { cloud: { kind: focus, files: ["bills/*.csv"], owner: [vtag.team, table.accounts] } }
allocation:
  - id: network
    match: { ServiceCategory: Networking }
    valid: { until: 2026-10-01 }
    chain: [{ fixed: { checkout: 60, search: 40 } }]
  - id: network
    match: { ServiceCategory: Networking }
    valid: { from: 2026-10-01 }
    chain: [{ fixed: { checkout: 50, search: 50 } }]
  - id: shared
    match: { ResourceName: shared }
    chain: [{ in_proportion_to_cost: { to: users, window: date } }, { unallocated: no_driver }]
"#;

/// Who has which account changes with the month.
const ACCOUNTS: &str =
    "SubAccountId,team,valid_from,valid_to\n0001,search,,2026-10-01\n0001,checkout,2026-10-01,\n";

/// A day's bill: what two tagged machines cost, one of an account, a shared one, the network.
fn bill(date: &str, checkout: &str) -> Vec<Line> {
    let line = |cost: &str, resource: &str| {
        Line::new(day(date), "USD", cost).set("ResourceId", resource).set("ServiceName", "EC2")
    };
    vec![
        line(checkout, "i-1").team("checkout"),
        line("10", "i-2").team("search"),
        line("20", "i-9").set("SubAccountId", "0001"),
        line("100", "db").set("ResourceName", "shared"),
        Line::new(day(date), "USD", "100").set("ServiceCategory", "Networking"),
    ]
}

fn why(stand: &Stand, more: &[&str]) -> Value {
    let (code, told) = stand.ask_json(&[&["why", "--json"], more].concat());
    assert_eq!(code, 0, "{told}");
    told["tenants"][0].clone()
}

/// Effect to amount.
fn effects(told: &Value) -> BTreeMap<&str, &str> {
    let of = &told["currencies"]["USD"];
    assert_eq!(of["unexplained"], "0", "{told}");
    let effects = of["effects"].as_array().into_iter().flatten();
    effects
        .filter_map(|effect| Some((effect["effect"].as_str()?, effect["amount"].as_str()?)))
        .collect()
}

#[test]
fn a_change_is_told_by_exact_effects() {
    let stand = Stand::new("why");
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("accounts.csv", ACCOUNTS);
    stand.write("bills/09.csv", world::csv(&bill("2026-09-05", "10")));
    stand.write("bills/10.csv", world::csv(&bill("2026-10-07", "20")));
    assert_done(&stand.run_once(&[]), 2);

    // 10 + 1/4 of 100 + 60, then 20 + 20 + 4/5 of 100 + 50.
    let months = ["--owner", "checkout", "--from", "2026-10", "--vs", "2026-09"];
    let told = why(&stand, &months);
    let sums = &told["currencies"]["USD"];
    assert_eq!(
        [&sums["before"], &sums["after"], &sums["difference"]],
        ["95", "170", "75"],
        "{told}"
    );
    let first = [("bill", "10"), ("mapping", "20"), ("rule", "-10"), ("usage_share", "55")];
    assert_eq!(effects(&told), BTreeMap::from(first), "{told}");
    assert_eq!((&told["tenant"], &told["period"]["dates"]), (&json!("acme"), &json!(1)), "{told}");

    // The other owner's are the same with the other sign, but for the bill; all together there is but the bill.
    let other = why(&stand, &[&months[2..], &["--owner", "search", "--tenant", "acme"]].concat());
    let of_other = [("mapping", "-20"), ("rule", "10"), ("usage_share", "-55")];
    assert_eq!(effects(&other), BTreeMap::from(of_other), "{other}");
    let everybody = why(&stand, &[&months[2..], &["--tenant", "acme"]].concat());
    assert_eq!(effects(&everybody), BTreeMap::from([("bill", "10")]), "{everybody}");
    let days = ["--owner", "checkout", "--from", "2026-09-01..2026-09-30", "--vs", "2026-10-07"];
    let back = first.map(|(effect, amount)| match amount.strip_prefix('-') {
        Some(amount) => (effect, amount.to_owned()),
        None => (effect, format!("-{amount}")),
    });
    let backwards = why(&stand, &days);
    assert_eq!(
        effects(&backwards),
        back.iter().map(|(e, a)| (*e, a.as_str())).collect(),
        "{backwards}"
    );

    // A bill that changes later is told from what it was first.
    stand.write("bills/10.csv", world::csv(&bill("2026-10-07", "70")));
    assert_done(&stand.run_once(&[]), 1);
    let told = why(&stand, &months);
    let restated = [
        ("bill", "10"),
        ("mapping", "20"),
        ("restatement", "50"),
        ("rule", "-10"),
        ("usage_share", "65"),
    ];
    assert_eq!(effects(&told), BTreeMap::from(restated), "{told}");
    assert_eq!(told["notes"], json!([]), "{told}");

    // Once more, and as the ledger does after a while: the rows of the first bill are not stored any more.
    stand.write("bills/10.csv", world::csv(&bill("2026-10-07", "170")));
    assert_done(&stand.run_once(&[]), 1);
    let purge = "update apportion.commits set purged_at = now() where superseded_at is not null";
    stand.database(|client| Ok(client.execute(purge, &[])?)).expect("the database");
    let told = why(&stand, &months);
    assert!(
        told["notes"][0].as_str().is_some_and(|note| note.contains("250 -> 300 USD")),
        "{told}"
    );
    assert_eq!(effects(&told)["restatement"], "100", "{told}");

    let (code, text) = stand.ask(&[&["why"], &months[..]].concat());
    assert!(code == 0 && text.contains("unexplained 0") && text.contains("restatement"), "{text}");
    let (_, markdown) = stand.ask(&[&["why", "--markdown"], &months[..]].concat());
    assert!(markdown.contains("| USD | mapping | 20 |"), "{markdown}");
    let (code, said) =
        stand.ask_json(&[&["why", "--json", "--owner", "chekout"], &months[2..]].concat());
    let said = said["error"].as_str().unwrap_or_default();
    assert!(code == 1 && said.ends_with("did you mean checkout?"), "{said}");
}
