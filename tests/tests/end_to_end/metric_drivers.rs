//! A bill shared by what was measured elsewhere: weights that cannot be had are done without and asked for again.

use std::collections::BTreeMap;

use proto::time::{UnitDate, UtcSeconds};
use tests::output::rows;
use tests::prometheus::Prometheus;
use tests::stand::Stand;

use crate::assert_done;
use crate::drivers::{HEADER, Month};

fn today() -> UnitDate {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.expect("the clock is right").as_secs();
    UtcSeconds(seconds as i64).date().expect("today is a date")
}

/// Bytes of two users on a day, as a quarter-hourly counter: 3 to 1. One of a third on the day before.
fn samples(date: UnitDate) -> String {
    let first = date.start().0;
    let mut text = "# TYPE moved counter\n".to_owned();
    for (user, bytes, quarters) in
        [("alice", 3_000, 0..=96), ("bob", 1_000, 0..=96), ("carol", 3_000, -90..=-10)]
    {
        for quarter in quarters {
            let (total, at) = (bytes * (quarter + 90), first + quarter * 900);
            text.push_str(&format!("moved_total{{user=\"{user}\"}} {total} {at}\n"));
        }
    }
    text
}

fn tenant(url: &str) -> String {
    format!(
        "sources:
  cloud: {{ kind: focus, files: [cloud.csv], owner: [tag.team] }}
  desk:
    kind: generic_metrics
    metrics: {{ kind: prometheus, url: \"{url}\", attempts: 1 }}
    cluster_id: desk
    identity_source: {{ source: static, static_identities: [ {{ identity_id: dave }} ] }}
    cost_types: [ {{ name: DISK, product_category: desk, rate: 1, cost_quantity: {{ type: storage_gib, query: 'sum(disk_bytes)' }}, allocation_strategy: even_split }} ]
drivers:
  moved: {{ metric: 'sum by (user) (increase(moved_total[1h]))', source: desk }}
groups: {{ both: [alice, bob] }}
allocation:
  - {{ id: shared, match: {{ ServiceName: Shared }}, chain: [ {{ usage_ratio: moved }}, {{ even: both }} ] }}
emitters: {{ csv: {{ dir: out/csv }} }}
"
    )
}

/// Who pays of the shared line, by identity, and the details of its rows.
fn shares(stand: &Stand, tenant: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let rows = rows(&stand.csv()).expect("rows");
    let of_line = rows.iter().filter(|row| row["rule"] == "shared" && row["tenant_id"] == tenant);
    of_line
        .map(|row| {
            ((row["identity_id"].clone(), row["amount"].clone()), row["allocation_detail"].clone())
        })
        .unzip()
}

#[test]
fn weights_that_cannot_be_had_are_done_without_and_asked_for_again() {
    let date = today().plus_days(-3).unwrap();
    let mut prometheus = Prometheus::start(&samples(date)).unwrap();
    let stand = Stand::with_servers("metric-drivers", None).unwrap().impatient();
    stand.write("tenants/acme.yaml", tenant(&prometheus.url()));
    // One line is shared by what was measured on its day; another one of the day after is not shared at all.
    let bill = Month(date);
    let shared = bill.line((0, 1), "8", ("Usage", "Shared", "A", ""));
    stand.write("cloud.csv", format!("{HEADER}{shared}{}", bill.spend(1, "5", "A", "x")));
    let finality = |tenant: &str| -> BTreeMap<String, String> {
        let sql = format!(
            "select date::text, finality from apportion.units where source = 'cloud' and tenant = '{tenant}'"
        );
        let rows = stand.database(|client| Ok(client.query(&sql, &[])?)).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let next = date.plus_days(1).unwrap();
    let stands = |word: &str| {
        BTreeMap::from([
            (date.to_string(), word.to_owned()),
            (next.to_string(), "final".to_owned()),
        ])
    };
    let two = |alice: (&str, &str), bob: (&str, &str)| {
        BTreeMap::from([alice, bob].map(|(who, share)| (who.to_owned(), share.to_owned())))
    };

    // The server is away: gathering its own source fails, and the bill is shared by the next tier.
    prometheus.stop().unwrap();
    let run = stand.run_once(&[]);
    assert_eq!(run.summary["units"], 3, "{}\n{}", run.summary, run.said);
    assert_eq!(finality("acme"), stands("provisional"), "{}", run.said);
    let (parties, details) = shares(&stand, "acme");
    assert_eq!(parties, two(("owner:alice", "4"), ("owner:bob", "4")));
    assert!(details.iter().all(|detail| detail.contains("metrics_fetch_failed")), "{details:?}");
    let lacking = stand.database(|client| {
        let row = client.query_one("select name, lacking, lacks from apportion.drivers", &[])?;
        Ok((row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, i32>(2)))
    });
    let (name, lacking, lacks) = lacking.unwrap();
    assert_eq!((name.as_str(), lacks), ("moved", 1));
    assert!(lacking.contains("no whole answer"), "{lacking}");
    let emitted = rows(&stand.csv()).unwrap();
    let line = &emitted.iter().find(|row| row["rule"] == "shared").unwrap()["line_id"];
    let date_text = date.to_string();
    let ask = ["explain", "--json", "--tenant", "acme", "--date", &date_text, "--line", line];
    let (code, told) = stand.ask_json(&ask);
    assert_eq!((code, &told["stored"]["same"]), (0, &true.into()), "{told}");
    let (_, status) = stand.ask_json(&["status", "--json"]);
    let driver = &status["drivers"][0];
    assert_eq!((&driver["driver"], &status["drivers_count"]), (&"moved".into(), &1.into()));
    assert!(driver["state"].as_str().unwrap().starts_with("cannot be had: "), "{driver}");
    let sources = status["sources"].as_array().unwrap();
    let cloud = sources.iter().find(|source| source["source"] == "cloud").unwrap();
    assert_eq!(cloud["provisional"], 1, "{cloud}");

    // It is back: that date alone is calculated again, and is final.
    prometheus.restart().unwrap();
    let run = stand.run_once(&[]);
    assert_done(&run, 1);
    assert_eq!(finality("acme"), stands("final"));
    let measured = two(("user:alice", "6"), ("user:bob", "2"));
    assert_eq!(shares(&stand, "acme").0, measured);
    assert_done(&stand.run_once(&[]), 0);
}
