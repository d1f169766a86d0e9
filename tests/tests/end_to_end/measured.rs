//! Sources without a bill, against Prometheus itself: what was measured is priced and shared, exactly.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::time::{UnitDate, UtcSeconds};
use tests::prometheus::Prometheus;
use tests::stand::{Finished, Stand};

const GIB: i64 = 1 << 30;
const DAY: i64 = 86_400;
/// Samples come every quarter of an hour.
const QUARTER: i64 = 900;

fn today() -> UnitDate {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    UtcSeconds(now as i64).date().expect("today is a date")
}

/// Broker, topic, principal, and GiB that they moved on the first day; half of it on the second.
const MOVED: [(&str, &str, &str, i64); 5] = [
    ("1", "orders", "User:alice", 12),
    ("2", "clicks", "User:alice", 12),
    ("2", "orders", "User:bob", 9),
    ("3", "clicks", "User:bob", 9),
    ("3", "orders", "User:carol", 8),
];

/// The two whole days before today, and today until now.
fn samples(today: UnitDate) -> String {
    let first = today.start().0 - 2 * DAY;
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs() as i64;
    let moments = || (first - 3_600..=now).step_by(QUARTER as usize);
    let mut text = String::new();
    for name in ["bytesin", "bytesout"] {
        writeln!(text, "# TYPE kafka_server_brokertopicmetrics_{name} counter")
            .expect("a text takes all");
        for (broker, topic, principal, gib) in MOVED {
            for at in moments() {
                // Bytes since the first midnight; whole ones, so that differences are exact.
                let quarters = |day: i64| ((at - first - day * DAY) / QUARTER).clamp(0, 96);
                let bytes = gib * GIB * quarters(0) / 96 + gib * GIB * quarters(1) / 192;
                writeln!(
                    text,
                    "kafka_server_brokertopicmetrics_{name}_total{{broker=\"{broker}\",topic=\"{topic}\",principal=\"{principal}\"}} {bytes} {at}"
                )
                .expect("a text takes all");
            }
        }
    }
    text.push_str("# TYPE kafka_log_log_size gauge\n");
    for (broker, gib) in [("1", 60), ("2", 40)] {
        for at in moments() {
            let bytes = gib * GIB * if at < first + DAY { 1 } else { 2 };
            writeln!(text, "kafka_log_log_size{{broker=\"{broker}\"}} {bytes} {at}")
                .expect("a text takes all");
        }
    }
    text
}

fn kafka(url: &str) -> String {
    format!(
        "metrics: {{ kind: prometheus, url: \"{url}\", attempts: 1 }}
cluster_id: kafka-eu
region: eu
broker_count: 3
cost_model:
  compute_hourly_rate: \"0.50\"
  storage_per_gib_hourly: \"0.0001\"
  network_ingress_per_gib: \"0.02\"
  network_egress_per_gib: \"0.05\"
  region_overrides: {{ eu: {{ network_ingress_per_gib: \"0.01\" }} }}
identity_source:
  principal_to_team: {{ \"User:alice\": checkout, \"User:bob\": search }}
"
    )
}

/// The chains that the kind brings along are in force.
const EMITTERS: &str = "emitters: { csv: { dir: out/csv } }\n";

/// Key and sum of every group that a query gives, as text.
fn sums(stand: &Stand, sql: &str) -> BTreeMap<String, String> {
    let rows = stand.database(|client| Ok(client.query(sql, &[])?)).expect("an answer");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn good(run: &Finished) {
    assert_eq!(run.code, 0, "{} {}", run.summary, run.said);
}

const FINALITY: &str =
    "select date::text, finality from apportion.units where visible_generation > 0";

#[test]
fn a_kafka_cluster_costs_what_the_formulas_say_to_the_last_decimal() {
    let today = today();
    let mut prometheus = Prometheus::start(&samples(today)).unwrap();
    let stand = Stand::with_servers("kafka", None).unwrap().impatient();
    stand.write("kafka.yaml", kafka(&prometheus.url()));
    let source = "kind: self_managed_kafka, settings: kafka.yaml";
    let tenant = format!("lookback: 2d\nsources: {{ kafka: {{ {source} }} }}\n{EMITTERS}");
    stand.write("tenants/acme.yaml", &tenant);
    let run = stand.run_once(&[]);
    good(&run);

    let (one, two) = (today.plus_days(-2).unwrap(), today.plus_days(-1).unwrap());
    let lines = sums(
        &stand,
        "select date::text || ' ' || product_type, amount::text from apportion.billing_lines",
    );
    let expected = [
        (one, "COMPUTE", "36"),
        (one, "STORAGE", "0.24"),
        (one, "NETWORK_INGRESS", "0.5"),
        (one, "NETWORK_EGRESS", "2.5"),
        (two, "COMPUTE", "36"),
        (two, "STORAGE", "0.48"),
        (two, "NETWORK_INGRESS", "0.25"),
        (two, "NETWORK_EGRESS", "1.25"),
    ]
    .map(|(date, product, cost)| (format!("{date} SELF_KAFKA_{product}"), cost.to_owned()));
    assert_eq!(lines, BTreeMap::from(expected));

    let rows = format!(
        "select substr(product_type, 12) || ' ' || coalesce(identity_id, '-'), trim_scale(sum(amount))::text
         from apportion.chargebacks where date = '{one}' group by 1"
    );
    let shared = sums(&stand, &rows);
    let of = |product: &str, who: &str| {
        let key = format!("{product} principal:User:{who}");
        shared.get(&key).cloned().unwrap_or_else(|| panic!("{key}: {shared:?}"))
    };
    // 24, 18 and 8 of 50 GiB.
    assert_eq!(
        ["alice", "bob", "carol"].map(|who| of("NETWORK_INGRESS", who)),
        ["0.24", "0.18", "0.08"]
    );
    assert_eq!(
        ["alice", "bob", "carol"].map(|who| of("NETWORK_EGRESS", who)),
        ["1.2", "0.9", "0.4"]
    );
    assert_eq!(["alice", "bob", "carol"].map(|who| of("COMPUTE", who)), ["12", "12", "12"]);
    assert_eq!(["alice", "bob", "carol"].map(|who| of("STORAGE", who)), ["0.08", "0.08", "0.08"]);
    assert_eq!(shared.len(), 12, "{shared:?}");
    let inventory = sums(
        &stand,
        "select type, count(*)::text from apportion.resources where valid_to = 'infinity' group by 1",
    );
    assert_eq!(
        inventory,
        BTreeMap::from(
            [("broker", "3"), ("cluster", "1"), ("topic", "2")]
                .map(|(k, n)| (k.to_owned(), n.to_owned()))
        )
    );
    let teams = sums(
        &stand,
        "select id, attributes->>'team' from apportion.identities where type = 'principal'",
    );
    assert_eq!(teams["principal:User:alice"], "checkout");
    assert_eq!((teams["principal:User:carol"].as_str(), teams.len()), ("UNASSIGNED", 3));

    // The same again, at another time of the day: nothing is published, nothing is calculated.
    let before =
        sums(&stand, "select date::text, visible_generation::text from apportion.pipeline_state");
    good(&stand.run_once(&[]));
    let after =
        sums(&stand, "select date::text, visible_generation::text from apportion.pipeline_state");
    assert_eq!(before, after);

    // While Prometheus is away the gather fails and says so, and what is known stays.
    prometheus.stop().unwrap();
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 1, "{}", run.said);
    assert!(run.said.contains("no whole answer"), "{}", run.said);
    let kept =
        sums(&stand, "select date::text, visible_generation::text from apportion.pipeline_state");
    assert_eq!(before, kept);
    prometheus.restart().unwrap();
    good(&stand.run_once(&[]));

    // How patiently it is asked has nothing resolved again; who is charged has every date.
    let generations = "select date::text, wanted_generation::text from apportion.pipeline_state";
    let before = sums(&stand, generations);
    let patient = kafka(&prometheus.url()).replace("attempts: 1", "attempts: 2");
    stand.write("kafka.yaml", &patient);
    good(&stand.run_once(&[]));
    assert_eq!(sums(&stand, generations), before);
    stand.write("kafka.yaml", format!("{patient}  charge: team\n"));
    good(&stand.run_once(&[]));
    let teams = sums(&stand, &rows);
    assert_eq!(teams["NETWORK_INGRESS team:checkout"], "0.24", "{teams:?}");
    assert_eq!(teams["NETWORK_INGRESS team:UNASSIGNED"], "0.08", "{teams:?}");
    let causes = "select date::text, cause from apportion.changes";
    let usage = BTreeMap::from([one, two].map(|date| (date.to_string(), "usage".to_owned())));
    assert_eq!(sums(&stand, causes), usage);
}

#[test]
fn without_metrics_dates_are_provisional_and_become_final_by_themselves() {
    let today = today();
    let mut prometheus = Prometheus::start(&samples(today)).unwrap();
    let stand = Stand::with_servers("provisional", None).unwrap().impatient();
    let url = prometheus.url();
    // What it costs is known without metrics; who caused it is not.
    let usage = "sum by (principal) (increase(kafka_server_brokertopicmetrics_bytesin_total[1h]))";
    let seen = "group by (principal) (kafka_server_brokertopicmetrics_bytesin_total)";
    let tenant = format!(
        "lookback: 2d
sources:
  desk:
    kind: generic_metrics
    metrics: {{ kind: prometheus, url: \"{url}\", attempts: 1 }}
    cluster_id: desk
    identity_source: {{ source: both, discovery_query: '{seen}', static_identities: [ {{ identity_id: \"User:dave\" }} ] }}
    cost_types:
      - {{ name: SEATS, product_category: desk, rate: 1, cost_quantity: {{ type: fixed, count: 5 }}, allocation_strategy: usage_ratio, allocation_query: '{usage}' }}
allocation:
  - {{ id: seats, chain: [ {{ usage_ratio: {{ metric: [SEATS] }} }}, {{ even: merged_active }}, {{ unallocated: no_driver }} ] }}
emitters: {{ csv: {{ dir: out/csv }} }}
"
    );
    stand.write("tenants/acme.yaml", &tenant);
    let (one, two) = (today.plus_days(-2).unwrap(), today.plus_days(-1).unwrap());
    let rows = format!(
        "select coalesce(identity_id, '-'), trim_scale(sum(amount))::text from apportion.chargebacks where date = '{one}' group by 1"
    );
    let dates =
        |word: &str| BTreeMap::from([one, two].map(|date| (date.to_string(), word.to_owned())));

    prometheus.stop().unwrap();
    good(&stand.run_once(&[]));
    assert_eq!(sums(&stand, FINALITY), dates("provisional"));
    // Calculated all the same, by the next tier: the listed one is all that is known.
    let dave = BTreeMap::from([("principal:User:dave".to_owned(), "120".to_owned())]);
    assert_eq!(sums(&stand, &rows), dave);
    let why = sums(
        &stand,
        "select distinct allocation_method, allocation_detail from apportion.chargebacks",
    );
    assert!(why["even"].contains("metrics_fetch_failed"), "{why:?}");
    let lacking = sums(
        &stand,
        "select date::text, resolve_lacking || ' ' || resolve_attempts from apportion.units",
    );
    assert!(lacking[&one.to_string()].contains("no whole answer"), "{lacking:?}");

    prometheus.restart().unwrap();
    good(&stand.run_once(&[]));
    assert_eq!(sums(&stand, FINALITY), dates("final"));
    let shares = [("alice", "57.6"), ("bob", "43.2"), ("carol", "19.2")]
        .map(|(who, share)| (format!("principal:User:{who}"), share.to_owned()));
    assert_eq!(sums(&stand, &rows), BTreeMap::from(shares));

    // What stays away for three attempts is done without, and that is told.
    prometheus.stop().unwrap();
    stand.write("tenants/late.yaml", &tenant);
    let late = "select date::text, finality || ' ' || resolve_attempts from apportion.units where tenant = 'late'";
    for (attempt, finality) in [(1, "provisional"), (2, "provisional"), (3, "final"), (3, "final")]
    {
        good(&stand.run_once(&[]));
        assert_eq!(sums(&stand, late), dates(&format!("{finality} {attempt}")));
    }
}
