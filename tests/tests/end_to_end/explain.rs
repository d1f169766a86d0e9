//! `apportion explain`: from the archive alone, by the engine's own steps, and just what is stored.

use std::collections::BTreeSet;

use proto::line::Measure;
use proto::money::{Amount, ExactSum};
use tests::output::{Row, rows};
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, day};

/// `explain` of a line of acme's first day.
fn explain(stand: &Stand, which: &[&str]) -> (i32, serde_json::Value) {
    let whose = ["explain", "--json", "--tenant", "acme", "--date", "2026-05-01"];
    stand.ask_json(&[&whose, which].concat())
}

#[test]
fn every_line_is_explained_from_the_archive_as_it_is_stored() {
    let mut stand = Stand::with_servers("explain", None).expect("servers");
    let lines = world::bill(31, "USD", day("2026-05-01"), 2, 20);
    let tenant = world::tenant("USD", "bill.csv", Measure::Effective);
    let more = "sources:\n  more: { kind: focus, files: [more.csv] }\n";
    stand.write("tenants/acme.yaml", tenant.replace("sources:\n", more));
    stand.write("bill.csv", world::csv(&lines));
    stand.write("more.csv", world::csv(&world::bill(32, "USD", day("2026-05-01"), 1, 0)));
    assert_done(&stand.run_once(&[]), 3);
    // Neither the stream nor the source is needed.
    stand.wipe_nats().unwrap();
    stand.remove("bill.csv");

    let all = rows(&stand.csv()).unwrap();
    let of_day: Vec<&Row> =
        all.iter().filter(|row| row["timestamp"].starts_with("2026-05-01")).collect();
    let mut ids: Vec<&str> = of_day.iter().map(|row| row["line_id"].as_str()).collect();
    ids.dedup();
    assert!(ids.len() > 20, "{}", ids.len());
    for id in &ids {
        let (code, told) = explain(&stand, &["--line", &id[..16]]);
        assert_eq!((code, &told["stored"]["same"]), (0, &true.into()), "{told}");
        let emitted = of_day.iter().filter(|row| row["line_id"] == *id);
        let emitted: Vec<[&str; 4]> = emitted
            .map(|row| ["rule", "identity_id", "amount", "list"].map(|name| row[name].as_str()))
            .collect();
        let row = |one: &'_ serde_json::Value| {
            let row = &one["row"];
            let costs = [&row["costs"][0], &row["costs"][4]];
            [&row["rule"], &row["identity"], costs[0], costs[1]]
                .map(|v| v.as_str().unwrap().to_owned())
        };
        let rows: Vec<[String; 4]> = told["rows"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, emitted, "{told}");
        // The parts that the steps name add up to the line, where its allocation did not fail.
        let mut sum = ExactSum::ZERO;
        for step in told["steps"].as_array().unwrap().iter().filter(|s| s["outcome"] == "applies") {
            for part in step["received"].as_array().unwrap() {
                sum.add(Amount::parse(part["part"].as_str().unwrap()).unwrap());
            }
        }
        let failed = !told["failed"].is_null();
        assert!(failed || told["line"]["amount"] == sum.to_string(), "{told}");
    }

    // By resource and by identity: the largest first; a row by its key; the rule where people wrote it.
    let (_, told) = explain(&stand, &["--resource", "i-3"]);
    let listed = told["listed"]["lines"].as_array().unwrap();
    assert!(!listed.is_empty() && listed[0]["line"]["line"] == told["line"]["id"], "{told}");
    let (_, told) = explain(&stand, &["--identity", "tag:search"]);
    assert!(told["listed"]["all"].as_i64().unwrap() > 0, "{told}");
    let key = told["rows"][0]["key"].as_str().unwrap().to_owned();
    let (code, of_row) = explain(&stand, &["--row", &key]);
    assert_eq!((code, &of_row["rows"][0]["wanted"]), (0, &true.into()), "{of_row}");
    assert_eq!(of_row["configuration"]["place"], "tenants/acme.yaml:26:5", "{of_row}");

    // For people: no line above 100 columns, every rule with its verdict, and what a person must multiply.
    let shared = of_day.iter().find(|row| row["rule"] == "shared-cluster").unwrap();
    let whose = ["explain", "--tenant", "acme", "--date", "2026-05-01", "--line"];
    let (_, text) = stand.ask(&[&whose[..], &[&shared["line_id"]]].concat());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("\n  tax: no, ChargeCategory is \"Usage\", wanted \"Tax\"\n"), "{text}");
    assert!(
        text.contains(" × 7/10 = ") && text.contains("\nrows (the same are stored, "),
        "{text}"
    );

    // What is not there says so.
    let refused = |which: &[&str]| {
        let mut run = stand.start(&[&whose[..5], which].concat());
        assert_eq!(run.end(tests::stand::PATIENCE).unwrap().code(), Some(64));
        run.said()
    };
    assert!(refused(&["--line", "ffffffffffffffffffff"]).contains("cloud/2026-05-01"));
    // What is there, on another date or under a name like it, is named.
    let of_next = all.iter().find(|row| row["timestamp"].starts_with("2026-05-02")).unwrap();
    let said = refused(&["--line", &of_next["line_id"]]);
    assert!(said.contains(": it is of cloud/2026-05-02"), "{said}");
    let mistyped = format!("{}00", &shared["line_id"][..14]);
    let said = refused(&["--line", &mistyped]);
    assert!(said.contains(&format!("did you mean {}", shared["line_id"])), "{said}");
    let said = refused(&["--identity", "tag:serch"]);
    assert!(said.contains("nor on any other date: did you mean tag:search?"), "{said}");
    let said = refused(&["--identity", "search"]);
    assert!(said.contains("did you mean owner:search or tag:search?"), "{said}");
    let said = refused(&["--resource", "i-3x"]);
    assert!(said.contains("nor on any other date: did you mean i-3?"), "{said}");
    let here: BTreeSet<&str> = of_day.iter().map(|row| row["resource_id"].as_str()).collect();
    let elsewhere = all.iter().map(|row| row["resource_id"].as_str()).find(|id| !here.contains(id));
    if let Some(resource) = elsewhere {
        let said = refused(&["--resource", resource]);
        assert!(said.contains("; there are rows on cloud/2026-05-02"), "{said}");
    }
    let never = ["explain", "--tenant", "acme", "--date", "2026-06-01", "--line", "00"];
    let mut run = stand.start(&never);
    assert_eq!(run.end(tests::stand::PATIENCE).unwrap().code(), Some(64));
    let said = run.said();
    assert!(
        said.contains("is visible on 2026-06-01: 2 dates from 2026-05-01 to 2026-05-02 are"),
        "{said}"
    );
    // The start of an id that lines of two sources have names none of them.
    let of = |source: &str| {
        let rows = of_day.iter().filter(|row| row["source"] == source);
        rows.map(|row| row["line_id"].clone()).collect::<BTreeSet<String>>()
    };
    let (cloud, more) = (of("cloud"), of("more"));
    let start = more.iter().map(|id| &id[..1]).find(|s| cloud.iter().any(|id| id.starts_with(s)));
    let start = start.expect("two ids that start alike");
    let mut run = stand.start(&[&whose[..5], &["--line", start]].concat());
    assert_eq!(run.end(tests::stand::PATIENCE).unwrap().code(), Some(2));
    let said = run.said();
    assert!(said.contains(&format!("several lines have an id that starts with {start}")), "{said}");
    for (source, ids) in [("cloud", &cloud), ("more", &more)] {
        for id in ids.iter().filter(|id| id.starts_with(start)) {
            assert!(said.contains(&format!("\n  {source} 2026-05-01 {id}")), "{said}");
        }
    }
    assert!(
        refused(&["--identity", "tag:nobody"]).contains("identity tag:nobody has no row of acme")
    );
}
