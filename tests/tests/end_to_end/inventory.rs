//! A source whose API forgets most of what it has: nothing is deleted or withdrawn before a person says so.

use serde_json::Value;
use tests::stand::Stand;

fn source(dates: u32, resources: u32) -> String {
    format!(
        "currency: USD
sources:
  s: {{ kind: synthetic, seed: 5, start: 2026-05-01, dates: {dates}, resources: {resources}, products: 2, fanout: 3, identities: 40 }}
emitters:
  csv: {{ dir: out/csv }}
"
    )
}

fn number(stand: &Stand, sql: &str) -> i64 {
    stand.database(|client| Ok(client.query_one(sql, &[])?.get::<_, i64>(0))).expect("a number")
}

/// The population of that class that is listed.
fn population<'a>(document: &'a Value, class: &str) -> &'a Value {
    let all = document["populations"].as_array().expect("populations");
    all.iter().find(|one| one["class"] == class).unwrap_or_else(|| panic!("{class}: {document}"))
}

#[test]
fn what_an_api_forgets_waits_until_a_person_decides() {
    let stand = Stand::with_servers("inventory", None).unwrap();
    stand.write("tenants/syn.yaml", source(10, 30));
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    let running = "select count(*) from apportion.resources where valid_to = 'infinity'";
    let visible = "select count(*) from apportion.pipeline_state where visible_rows > 0";
    let all = "select count(*) from apportion.identities where valid_to = 'infinity'";
    assert_eq!((number(&stand, running), number(&stand, visible)), (30, 10));
    assert_eq!(number(&stand, all), 41, "and UNALLOCATED");

    // Most of it is gone, and so are most of its dates.
    stand.write("tenants/syn.yaml", source(4, 10));
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(run.said.contains("20 of 30: resource synthetic of syn/s"), "{}", run.said);
    assert!(run.said.contains("6 of 10: dates of syn/s"), "{}", run.said);
    assert_eq!((number(&stand, running), number(&stand, visible)), (30, 10));
    let (_, status) = stand.ask_json(&["status", "--json"]);
    let clusters = population(&status, "resource");
    assert_eq!((clusters["waiting"].as_i64(), clusters["streak"].as_i64()), (Some(20), Some(1)));
    assert!(clusters["waits_for"].as_str().unwrap().starts_with("a person, or for the next 2"));
    assert_eq!(population(&status, "identity")["waits_for"], Value::Null);
    let (code, listed) = stand.ask_json(&["deletions", "list", "--json"]);
    let items = population(&listed, "resource")["items"].as_array().unwrap();
    assert_eq!((code, items.len(), items[0]["id"].as_str()), (0, 20, Some("resource-0000000010")));
    let (code, listed) = stand.ask(&["withdrawals", "list"]);
    assert!(code == 0 && listed.contains("missing dates of syn/s (6):\n  2026-05-05"), "{listed}");

    // A person says that the resources are gone indeed, and the dates are not.
    let by = ["--by", "ana", "--json"];
    let (code, _) =
        stand.ask_json(&[&["deletions", "confirm", "--type", "synthetic"], &by[..]].concat());
    assert_eq!(code, 0);
    let (code, _) = stand.ask_json(&[&["withdrawals", "reject"], &by[..]].concat());
    assert_eq!(code, 0);
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!((number(&stand, running), number(&stand, visible)), (10, 10));
    let decided =
        "select count(*) from apportion.guard_decisions where decided_by = 'ana' and affected > 0";
    assert_eq!(number(&stand, decided), 2);
    let (_, listed) = stand.ask_json(&["withdrawals", "list", "--json"]);
    let dates = population(&listed, "date");
    assert_eq!((dates["waiting"].as_i64(), dates["kept"].as_i64()), (Some(0), Some(6)));

    // After all they are: their rows go, and what was emitted is replaced.
    let (code, _) = stand.ask(&["withdrawals", "confirm"]);
    assert_eq!(code, 0);
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    assert_eq!(number(&stand, visible), 4);
    let file = std::fs::read_to_string(stand.csv().join("syn_s_2026-05-05.csv")).unwrap();
    assert_eq!(file.lines().count(), 1, "a header and no row: {file}");
    let (code, nothing) = stand.ask_json(&["withdrawals", "confirm", "--json"]);
    assert!(code == 1 && nothing["error"].as_str().unwrap().contains("no such withdrawals wait"));
}
