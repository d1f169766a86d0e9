//! Sources whose costs are measured: what is read, and every message.

use proto::config::{Charge, Discovered, MeasuredQuantity, MeasuredSettings};
use proto::money::Amount;

use super::*;

const METRICS: &str = "metrics: { kind: prometheus, url: http://p, step: 30m }\n";
const KAFKA: &str = "cluster_id: k1
region: eu
broker_count: 3
cost_model:
  compute_hourly_rate: \"0.50\"
  storage_per_gib_hourly: \"0.0001\"
  network_ingress_per_gib: \"0.01\"
  network_egress_per_gib: \"0.05\"
  region_overrides: { eu: { network_egress_per_gib: \"0.07\" }, us: { compute_hourly_rate: 9 } }
";

fn tenant(kind: &str) -> String {
    format!("sources: {{ k: {{ kind: {kind}, settings: k.yaml }} }}\n")
}

fn read(kind: &str, settings: &str) -> MeasuredSettings {
    let files = [("tenants/a.yaml", tenant(kind)), ("k.yaml", settings.to_owned())];
    let files = [(files[0].0, files[0].1.as_str()), (files[1].0, files[1].1.as_str())];
    let config = load(folder(&files).path(), &no_env).unwrap_or_else(|p| panic!("{p}"));
    let tenant = config.tenants.into_values().next().unwrap();
    assert!(refuse_unbuilt(&tenant).is_empty());
    tenant.sources[0].settings.measured().unwrap().clone()
}

#[test]
fn a_kafka_cluster_is_four_costs() {
    let more = "selector: 'env=\"x\"'\nmetric_names: { log_size: log_bytes }\n";
    let kafka = read("self_managed_kafka", &format!("{METRICS}{KAFKA}{more}"));
    let told: Vec<String> = kafka
        .costs
        .iter()
        .map(|cost| {
            let query = cost.quantity.query().unwrap_or("3");
            format!("{} {} {query}", cost.product_type, cost.rate)
        })
        .collect();
    let moved = |name: &str| {
        format!("increase(kafka_server_brokertopicmetrics_{name}_total{{env=\"x\"}}[1800s])")
    };
    assert_eq!(
        told,
        [
            "SELF_KAFKA_COMPUTE 0.5 3".to_owned(),
            "SELF_KAFKA_STORAGE 0.0001 sum(log_bytes{env=\"x\"})".to_owned(),
            format!("SELF_KAFKA_NETWORK_INGRESS 0.01 sum({})", moved("bytesin")),
            format!("SELF_KAFKA_NETWORK_EGRESS 0.07 sum({})", moved("bytesout")),
        ]
    );
    assert_eq!(kafka.usage[1].metric, "bytes_out");
    assert_eq!(kafka.usage[0].query, format!("sum by (principal) ({})", moved("bytesin")));
    let found: Vec<Discovered> = kafka.discovery.iter().map(|found| found.kind).collect();
    assert_eq!(found, [Discovered::Broker, Discovered::Topic, Discovered::Principal]);
    assert!(kafka.identities.measured && kafka.identities.listed.is_empty());
    assert_eq!(kafka.identities.default_team, "UNASSIGNED");
}

#[test]
fn people_are_listed_and_mapped() {
    let people = "identity_source:
  source: static
  charge: team
  default_team: rest
  principal_to_team: { \"User:a\": checkout }
  static_identities: [ { identity_id: \"User:a\" }, { identity_id: bot, identity_type: service, team: search } ]
";
    let kafka = read("self_managed_kafka", &format!("{METRICS}{KAFKA}{people}"));
    let identities = &kafka.identities;
    assert!(!identities.measured && kafka.usage.is_empty() && kafka.discovery.len() == 2);
    assert_eq!(
        (identities.charge, identities.teams["User:a"].as_str()),
        (Charge::Team, "checkout")
    );
    assert_eq!(identities.listed[1].team.as_deref(), Some("search"));
    assert_eq!(identities.listed[0].kind, "principal");
}

const GENERIC: &str = "cluster_id: g
identity_source: { discovery_query: up, label: user }
cost_types:
  - { name: SEATS, product_category: desk, rate: 2, cost_quantity: { type: fixed, count: \"1.5\" }, allocation_strategy: even_split }
  - { name: CALLS, product_category: api, rate: 1, cost_quantity: { type: network_gib, query: q }, allocation_strategy: usage_ratio, allocation_query: u, allocation_label: user }
";

#[test]
fn anything_with_metrics_has_the_costs_that_are_written() {
    let generic = read("generic_metrics", &format!("{METRICS}{GENERIC}"));
    let count = MeasuredQuantity::Fixed { count: Amount::parse("1.5").unwrap() };
    assert_eq!(generic.costs[0].quantity, count);
    assert_eq!((generic.usage.len(), generic.usage[0].metric.as_str()), (1, "CALLS"));
    assert_eq!(generic.identities.query.as_deref(), Some("up"));
}

#[test]
fn what_is_wrong_with_settings_is_told_with_its_file() {
    let wrong = |kind: &str, settings: &str| {
        let tenant = tenant(kind);
        problems(&[("tenants/a.yaml", &tenant), ("k.yaml", settings)])
    };
    let all = format!("{METRICS}{KAFKA}");
    for (from, to, expected) in [
        ("broker_count: 3\n", "", "source `k` lacks `broker_count`"),
        (METRICS, "", "source `k` lacks `metrics`"),
        ("broker_count: 3", "broker_count: 0", "k.yaml:4:15: `broker_count` is \"0\""),
        ("cluster_id", "cluster", "k.yaml:2:1: unknown key `cluster` in source `k` (did you mean"),
        ("\"0.50\"", "\"-1\"", "k.yaml:6:24: `compute_hourly_rate` is \"-1\" (write a price"),
        ("us: {", "us: { x: 1, ", "unknown key `x` in region `us`"),
        ("region: eu", "kind: focus", "k.yaml:3:1: `kind` stands in a settings file"),
        ("region: eu", "metric_names: { log_size: a-b }", "(write the name of a metric)"),
        ("region: eu", "identity_source: { source: both }", "source `k` lists no identities"),
        (
            "region: eu",
            "identity_source: { static_identities: [ { identity_id: a } ] }",
            "count for nothing",
        ),
        ("region: eu", "identity_source: { discovery_query: x }", "is not for this kind"),
    ] {
        let found = wrong("self_managed_kafka", &all.replacen(from, to, 1));
        assert!(found.contains(expected), "{to}: {found}");
    }
    let all = format!("{METRICS}{GENERIC}");
    for (from, to, expected) in [
        ("discovery_query: up, ", "", "lacks `discovery_query`"),
        ("CALLS", "SEATS", "there are two cost types `SEATS`"),
        ("count: \"1.5\"", "query: x", "`query` is not for this type of quantity"),
        (", allocation_query: u", "", "lacks `allocation_query`"),
        ("even_split", "even_split, allocation_label: x", "an even split asks for no usage"),
        ("network_gib", "network", "`type` is \"network\""),
    ] {
        let found = wrong("generic_metrics", &all.replacen(from, to, 1));
        assert!(found.contains(expected), "{to}: {found}");
    }
    assert!(wrong("generic_metrics", "").contains("k.yaml holds no settings"));
    assert!(wrong("generic_metrics", "[]").contains("the settings are a list"));
}
