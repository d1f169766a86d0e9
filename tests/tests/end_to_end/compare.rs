//! `apportion compare`: another tool's rows against what is visible.

use proto::line::Measure;
use serde_json::Value;
use tests::output::contents;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, day};

/// The exit code and the document of a comparison with these rows.
fn compare(stand: &Stand, theirs: &[String]) -> (i32, Value) {
    stand.write("theirs.csv", theirs.join("\n"));
    let path = stand.config().join("theirs.csv");
    let csv = path.to_str().expect("a path of ours");
    stand.ask_json(&["compare", "--tenant", "acme", "--json", "--csv", csv])
}

/// The pairs that differ: owner and cause.
fn causes(document: &Value) -> Vec<(&str, &str)> {
    let pairs = document["pairs"].as_array().expect("a list");
    let text = |pair: &'_ Value, name: &str| pair[name].as_str().map(str::len);
    assert!(pairs.iter().all(|pair| text(pair, "owner").is_some_and(|length| length > 0)));
    let different = pairs.iter().filter(|pair| pair["cause"] != "equal");
    different.filter_map(|p| p["owner"].as_str().zip(p["cause"].as_str())).collect()
}

#[test]
fn rows_of_another_tool_are_compared_and_each_difference_has_its_cause() {
    let stand = Stand::new("compare");
    let lines = world::bill(16, "USD", day("2026-05-01"), 2, 20);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Effective));
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 2);
    let mut own = Vec::new();
    for text in contents(&stand.csv()).expect("files").values() {
        own.extend(text.lines().skip(usize::from(!own.is_empty())).map(str::to_owned));
    }
    let (code, document) = compare(&stand, &own);
    assert_eq!((code, causes(&document)), (0, vec![]), "{document}");
    assert_eq!(document["totals"]["USD"]["difference"], "0");
    assert_ne!(document["totals"]["USD"]["ours"], "0");

    // A row goes to another owner of the same product; and a product is not theirs at all.
    let at =
        own.iter().position(|row| row.contains(",tag:checkout,usage,")).expect("a row of checkout");
    let mut moved = own.clone();
    moved[at] = moved[at].replace("checkout", "nobody");
    let (code, document) = compare(&stand, &moved);
    assert_eq!(code, 1);
    let mut found = causes(&document);
    found.sort_unstable();
    assert_eq!(found, [("checkout", "rule"), ("nobody", "rule")], "{document}");
    assert_eq!(document["totals"]["USD"]["difference"], "0");
    let (code, document) = compare(&stand, &own[..1]);
    assert_eq!(code, 1);
    assert!(causes(&document).iter().all(|(_, cause)| *cause == "missing_theirs"), "{document}");
    assert_eq!(document["totals"]["USD"]["theirs"], "0");
}
