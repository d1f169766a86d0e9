//! `config check --lint`: one of everything that does nothing is seeded, and is found where it stands with the money that
//! it concerns, to the last decimal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proto::money::{Amount, ExactSum};
use serde_json::Value;
use tests::output::rows;
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::day;

const TENANT: &str = "tenants/acme.yaml";
/// What nobody needs: after the rule that takes their lines, or as if somebody had.
const RULES: &str = "  - id: proven
    match: { vtag.team: serch }
    chain: [ { even: cluster_users } ]
  - id: late
    match: { ServiceName: \"Seed*\" }
    chain: [ { even: cluster_users } ]
  - id: never
    match: { ServiceName: Nothing like it }
    chain: [ { even: cluster_users } ]
";

/// A warning as far as it can be known beforehand: kind, place, lines and money.
type Known = (String, String, u64, BTreeMap<String, String>);

fn known(warning: &Value) -> Known {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let place = format!("{}:{}:{}", text(&warning["file"]), warning["line"], warning["column"]);
    let money = warning["money"].as_array().expect("a list").iter();
    let money = money.map(|sum| (text(&sum["currency"]), text(&sum["amount"]))).collect();
    (text(&warning["kind"]), place, warning["lines"].as_u64().expect("a number"), money)
}

/// The demo's first company, with what does nothing.
fn company() -> Stand {
    let stand = Stand::new("lint");
    apportion::demo::write(&stand.config(), 7).expect("the company");
    for name in ["nordwind", "pixelforge"] {
        stand.remove(&format!("tenants/{name}.yaml"));
    }
    let text = fs::read_to_string(stand.config().join(TENANT)).expect("the company's file");
    let text = text
        .replace("tests:\n", &format!("{RULES}tests:\n"))
        .replace("tables:\n", "  idle: { from: [tag.idle] }\ntables:\n  spare: { file: acme/accounts.csv, key: [SubAccountId], value: team }\n")
        .replace("groups:\n", "groups:\n  nobody: [search]\n");
    stand.write(TENANT, text);
    let accounts = fs::read_to_string(stand.config().join("acme/accounts.csv")).expect("a table");
    stand.write("acme/accounts.csv", format!("{accounts}aws-999999999999,acme-closed,search\n"));
    let line = |cost: &str| Line::new(day("2026-09-09"), "USD", cost);
    let seeded = |cost: &str| line(cost).set("ServiceName", "Seedlings");
    let lines = [
        line("2.125").team("serch"),
        line("-0.0000000000000001").team("Serch"),
        seeded("3.3").team("search"),
        seeded("0.7").team("checkout"),
        seeded("0.01").set("ChargeCategory", "Tax"),
        line("5.5").set("SubAccountId", "444444444444"),
        line("1e-7").set("SubAccountId", "444444444444"),
    ];
    stand.write("bills/acme/marketplace-extra.csv", world::csv(&lines));
    stand
}

/// Where a text stands in a file of the company.
fn place(stand: &Stand, name: &str, wanted: &str) -> String {
    let text = fs::read_to_string(stand.config().join(name)).expect("the company's file");
    let line = text.lines().position(|line| line.contains(wanted)).expect("it is there");
    let column = text.lines().nth(line).and_then(|text| text.find(wanted)).unwrap_or_default();
    format!("{name}:{}:{}", line + 1, column + 1)
}

/// `config check` over the files alone.
fn check(stand: &Stand, more: &[&str]) -> (Option<i32>, String) {
    let mut command = assert_cmd::Command::new(tests::program::apportion());
    command.args(["config", "check"]).args(more).arg("--config").arg(stand.config());
    let output = command.output().expect("the program starts");
    (output.status.code(), String::from_utf8(output.stdout).expect("it speaks UTF-8"))
}

#[test]
fn what_does_nothing_is_found_with_its_place_and_its_money() {
    let stand = company();
    let at = |wanted: &str| place(&stand, TENANT, wanted);
    let nothing = |kind: &str, place: String| (kind.to_owned(), place, 0, BTreeMap::new());
    let names = [
        nothing("unused", at("idle:")),
        nothing("unused", at("spare:")),
        nothing("unused", at("nobody:")),
    ];
    // Without lines: names, and what is proven. Nothing runs and nothing is made.
    let proven = nothing("shadowed_rule", at("id: proven"));
    let (code, said) = check(&stand, &["--json"]);
    let told: Value = serde_json::from_str(&said).expect("one document");
    let found: BTreeSet<Known> = told["warnings"].as_array().unwrap().iter().map(known).collect();
    assert_eq!((code, &told["sound"]), (Some(0), &true.into()), "{said}");
    assert_eq!(found, names.iter().chain([&proven]).cloned().collect(), "{said}");
    assert_eq!(check(&stand, &["--json", "--deny-warnings"]), (Some(1), said));
    assert!(!stand.data().exists());

    // With the lines of the last run.
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    let (code, told) = stand.ask_json(&["config", "check", "--json"]);
    assert_eq!((code, &told["sound"], &told["notes"]), (0, &true.into(), &Value::Array(vec![])));
    let with = |kind: &str, place: String, lines: u64, dollars: &str| {
        (kind.to_owned(), place, lines, [("USD".to_owned(), dollars.to_owned())].into())
    };
    // Of those whom the strict directory refuses, everything but the seeded typo is a team that left.
    let (mut left, mut lines) = (ExactSum::ZERO, 0);
    for row in rows(&stand.csv()).expect("files that can be read") {
        if row["owner_id"] == "UNALLOCATED" && row["rule"] == "tagged" {
            left.add(Amount::parse(&row["amount"]).expect("an amount"));
            lines += 1;
        }
    }
    let typo = "2.1249999999999999";
    let left = left.difference(&ExactSum::parse(typo).expect("a sum")).to_string();
    let wanted = [
        with("shadowed_rule", at("id: proven"), 2, typo),
        with("shadowed_rule", at("id: late"), 3, "4.01"),
        nothing("unmatched_rule", at("id: never")),
        nothing("unmatched_key", place(&stand, "acme/accounts.csv", "aws-999999999999")),
        with("unknown_value", at("accounts:"), 2, "5.5000001"),
        with("unknown_owner", at("owners:"), 2, typo),
        with("unknown_owner", at("owners:"), lines - 2, &left),
    ];
    let all = told["warnings"].as_array().unwrap();
    let found: BTreeSet<Known> = all.iter().map(known).collect();
    assert_eq!(found, names.into_iter().chain(wanted).collect(), "{told}");
    assert_eq!(all.len(), found.len(), "{told}");

    // For people: as problems are told, with line and caret.
    let (code, said) = stand.ask(&["config", "check", "--deny-warnings"]);
    assert_eq!(code, 1, "{said}");
    let tagged = at("id: tagged").split(':').nth(1).unwrap_or_default().to_owned();
    let tax = at("id: tax").split(':').nth(1).unwrap_or_default().to_owned();
    for part in [
        format!(
            "warning: {}: rule `late` took nothing in the last run: of what it matches, `tagged` (line {tagged}) took 2 lines \
             with 4 USD, `tax` (line {tax}) took 1 line with 0.01 USD (put it before, or remove it)\n",
            at("id: late")
        ),
        " | aws-999999999999,acme-closed,search\n".to_owned(),
        "`serch` is not in the owner directory: 2 lines with 2.1249999999999999 USD would have gone there, were the \
         directory not strict (did you mean `search`? Then add it to the aliases there)\n"
            .to_owned(),
        "table `accounts` has no row for `444444444444`, which 2 lines with 5.5000001 USD ask it for".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}\nis not in\n{said}");
    }
    assert!(said.ends_with(": sound, 10 warnings\n") && said.contains("    ^\n"), "{said}");
}
