//! Who could have caused what: over inventories, without metrics and with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::MetricsConfig;
use proto::inventory::{Identity, InventoryBatch, MADE_UP, Resource};
use proto::resolution::IdentityResolution;
use proto::time::{UnitDate, UtcSeconds};

use super::*;
use crate::ports::{ResolveRequest, Resolved, Wanted};
use crate::sources::confluent::resolver::{self, Asked as Measured};

fn day() -> UnitDate {
    "2026-10-02".parse().unwrap()
}

/// Hours after the day's start.
fn hour(hours: i64) -> Option<UtcSeconds> {
    Some(UtcSeconds(day().start().0 + hours * 3_600))
}

fn identity(id: &str, attributes: &[(&str, &str)]) -> Identity {
    let pairs = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Identity {
        id: id.to_owned(),
        kind: id.split(':').next().unwrap().to_owned(),
        display_name: None,
        created_at: None,
        deleted_at: None,
        attributes: pairs.collect(),
    }
}

fn key(id: &str, owner: &str, resource: &str) -> Identity {
    identity(&format!("api_key:{id}"), &[("owner", owner), ("resource", resource)])
}

fn resource(kind: &str, id: &str, owner: Option<&str>, attributes: &[(&str, &str)]) -> Resource {
    let pairs = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Resource {
        id: id.to_owned(),
        kind: kind.to_owned(),
        display_name: Some(id.to_owned()),
        parent: None,
        owner: owner.map(str::to_owned),
        created_at: None,
        deleted_at: None,
        attributes: pairs.collect(),
    }
}

fn request(inventory: InventoryBatch, wanted: &[(&str, &str)]) -> ResolveRequest {
    let wanted = wanted.iter().map(|(key, product)| Wanted {
        start: day().start(),
        end: hour(24).unwrap(),
        key: (*key).to_owned(),
        product_type: (*product).to_owned(),
    });
    let wanted = wanted.collect();
    ResolveRequest { date: day(), wanted, inventory: Arc::new(inventory) }
}

async fn resolve(
    metrics: Option<&Measured>,
    request: &ResolveRequest,
) -> (BTreeMap<String, IdentityResolution>, Resolved) {
    let mut all = BTreeMap::new();
    let mut take = |item: IdentityResolution| {
        all.insert(item.key.clone(), item);
        Ok(())
    };
    let resolved = resolver::resolve(metrics, request, &mut take).await.unwrap();
    (all, resolved)
}

#[tokio::test]
async fn keys_of_the_window_count_by_their_owners() {
    let mut gone = key("GONE", "user:u-1", "lkc-1");
    gone.deleted_at = hour(0);
    let mut late = key("LATE", "user:u-2", "lkc-1");
    late.created_at = hour(24);
    let mut last = key("LAST", "user:u-3", "lkc-1");
    last.created_at = hour(23);
    let inventory = InventoryBatch {
        identities: vec![
            key("A", "service_account:sa-1", "lkc-1"),
            key("B", "service_account:sa-1", "lkc-1"),
            key("C", "service_account:sa-2", "lkc-2"),
            gone,
            late,
            last,
            identity("service_account:sa-1", &[]),
            identity("user:u-3", &[]),
            identity("identity_provider:op-1", &[]),
        ],
        ..InventoryBatch::default()
    };
    let wanted = [("lkc-1", "KAFKA_STORAGE"), ("lkc-2", "KAFKA_BASE"), ("organization", "SUPPORT")];
    let (all, resolved) = resolve(None, &request(inventory, &wanted)).await;
    assert_eq!(all["lkc-1"].resource_active, ["service_account:sa-1", "user:u-3"]);
    // Its owner is in no list any more: known by a word, so that nobody else pays.
    assert_eq!(all["lkc-2"].resource_active, ["service_account:sa-2"]);
    let made: Vec<_> =
        resolved.identities.iter().map(|i| (i.id.as_str(), i.kind.as_str())).collect();
    assert_eq!(made, [("service_account:sa-2", MADE_UP)]);
    assert_eq!(resolved.identities[0].display_name.as_deref(), Some("Unknown service_account"));
    // What owns nothing shares nothing.
    let everybody = ["service_account:sa-1", "user:u-3"];
    assert!(all.values().all(|one| one.tenant_period == everybody), "{all:?}");
    assert!(all["organization"].resource_active.is_empty() && resolved.lacking.is_empty());
}

#[tokio::test]
async fn connectors_and_clusters_belong_to_whoever_they_run_as() {
    let by_key = |id: &str, key: &str| {
        resource("connector", id, None, &[("auth_mode", "KAFKA_API_KEY"), ("api_key", key)])
    };
    let account = "service_account:sa-1";
    let mode = |mode| [("auth_mode", mode)];
    let mut keyless = identity("api_key:FREE", &[]);
    keyless.attributes.clear();
    let inventory = InventoryBatch {
        resources: vec![
            resource("connector", "lcc-1", Some(account), &mode("SERVICE_ACCOUNT")),
            resource("connector", "lcc-2", None, &mode("SERVICE_ACCOUNT")),
            by_key("lcc-3", "MINE"),
            by_key("lcc-4", "****************"),
            by_key("lcc-5", "NOBODYS"),
            by_key("lcc-6", "FREE"),
            resource("connector", "lcc-7", None, &mode("KAFKA_API_KEY")),
            resource("connector", "lcc-8", None, &mode("UNKNOWN")),
            resource("ksqldb_cluster", "lksqlc-1", Some("user:u-1"), &[]),
            resource("ksqldb_cluster", "lksqlc-2", None, &[]),
        ],
        identities: vec![
            identity(account, &[]),
            identity("user:u-1", &[]),
            key("MINE", "user:u-1", "lkc-1"),
            keyless,
        ],
    };
    let cases = [
        ("lcc-1", "CONNECT_CAPACITY", account),
        ("lcc-2", "CONNECT_NUM_TASKS", "connector_credentials:connector_credentials_unknown"),
        ("lcc-3", "CONNECT_NUM_TASKS", "user:u-1"),
        ("lcc-4", "CONNECT_THROUGHPUT", "connector_credentials:connector_api_key_masked"),
        ("lcc-5", "CUSTOM_CONNECT_NUM_TASKS", "connector_credentials:connector_api_key_not_found"),
        ("lcc-6", "CUSTOM_CONNECT_PLUGIN", "connector_credentials:connector_credentials_unknown"),
        ("lcc-7", "CONNECT_CAPACITY", "connector_credentials:connector_credentials_unknown"),
        ("lcc-8", "CONNECT_CAPACITY", "connector:lcc-8"),
        ("lcc-9", "CONNECT_CAPACITY", "connector_credentials:connector_credentials_masked"),
        ("lksqlc-1", "KSQL_NUM_CSU", "user:u-1"),
        ("lksqlc-2", "KSQL_NUM_CSUS", "ksqldb_credentials:ksqldb_owner_unknown"),
        ("lksqlc-3", "KSQL_NUM_CSU", "ksqldb_credentials:ksqldb_deleted_when_calc_started"),
    ];
    let wanted: Vec<_> = cases.iter().map(|(key, product, _)| (*key, *product)).collect();
    let (all, resolved) = resolve(None, &request(inventory, &wanted)).await;
    for (key, _, who) in cases {
        assert_eq!(all[key].resource_active, [who], "{key}");
    }
    let listed = [account, "user:u-1"];
    let made = resolved.identities.iter().map(|one| one.id.as_str());
    assert!(made.clone().is_sorted() && made.clone().all(|id| !listed.contains(&id)));
    assert_eq!(made.count(), 7);
}

/// An answer of Prometheus about the moments that were asked for, the same at each of them.
fn matrix(asked: &Asked, series: &[(Value, &str)]) -> Act {
    let number = |name: &str| asked.value(name).unwrap().parse::<i64>().unwrap();
    let moments = || (number("start")..=number("end")).step_by(number("step") as usize);
    let one = |(metric, value): &(Value, &str)| {
        let values: Vec<Value> = moments().map(|at| json!([at, value])).collect();
        json!({"metric": metric, "values": values})
    };
    let result: Vec<Value> = series.iter().map(one).collect();
    let data = json!({"resultType": "matrix", "result": result});
    Act::ok(json!({"status": "success", "data": data}).to_string())
}

async fn measured(
    script: impl Fn(usize, &Asked) -> Act + Send + Sync + 'static,
) -> (Server, Measured) {
    let server = Server::start(script).await;
    let asked = HttpServer { attempts: 1, ..HttpServer::new(&server.url) };
    let config = MetricsConfig::prometheus(asked);
    let source = crate::metrics::source(&config).unwrap();
    (server, Measured { source, step: config.step_seconds })
}

fn moved(cluster: &str, principal: &str) -> Value {
    json!({"kafka_id": cluster, "principal_id": principal})
}

fn used(pool: &str, statement: &str) -> Value {
    json!({"compute_pool_id": pool, "flink_statement_name": statement})
}

fn statement(name: &str, pool: &str, owner: Option<&str>, stopped: bool) -> Resource {
    let attributes: &[(&str, &str)] = if stopped { &[("stopped", "true")] } else { &[] };
    let one = resource("flink_statement", &format!("uid-{pool}-{name}"), owner, attributes);
    let (parent, display_name) = (Some(pool.to_owned()), Some(name.to_owned()));
    Resource { parent, display_name, ..one }
}

fn usage(one: &IdentityResolution) -> Vec<(&str, &str, String)> {
    let all = one.usage.iter();
    all.map(|(metric, who, value)| (metric.as_str(), who.as_str(), value.to_string())).collect()
}

#[tokio::test]
async fn defect_17_19_a_key_stands_for_its_owner_and_questions_do_not_grow_with_resources() {
    let (server, metrics) = measured(|_, asked| {
        let query = asked.value("query").unwrap();
        if query.contains("request_bytes") {
            let series = [
                (moved("lkc-1", "sa-1"), "1.5"),
                (moved("lkc-1", "MINE"), "0.5"),
                (moved("lkc-1", "FREE"), "2"),
                (moved("lkc-1", "u-9"), "0"),
                (moved("lkc-2", "pool-7"), "1"),
                (moved("lkc-2", ""), "99"),
            ];
            return matrix(asked, &series);
        }
        if query.contains("response_bytes") {
            return matrix(asked, &[(moved("lkc-2", "sa-1"), "0.25")]);
        }
        if query.contains("num_cfu") {
            return matrix(asked, &[]);
        }
        matrix(asked, &[(used("lfcp-1", "a"), "1"), (used("lfcp-1", "b"), "3")])
    })
    .await;
    let inventory = InventoryBatch {
        resources: vec![statement("a", "lfcp-1", Some("user:u-1"), true)],
        identities: vec![
            identity("service_account:sa-1", &[]),
            identity("user:u-1", &[]),
            key("MINE", "service_account:sa-1", "lkc-1"),
            identity("api_key:FREE", &[("resource", "lkc-1")]),
        ],
    };
    let mut wanted: Vec<(String, &str)> =
        (1..=300).map(|n| (format!("lkc-{n}"), "KAFKA_NETWORK_READ")).collect();
    wanted.push(("lfcp-1".to_owned(), "FLINK_NUM_CFU"));
    let wanted: Vec<_> = wanted.iter().map(|(key, product)| (key.as_str(), *product)).collect();
    let (all, resolved) = resolve(Some(&metrics), &request(inventory, &wanted)).await;
    assert_eq!(all.len(), 301);
    // Four metrics: four questions.
    assert_eq!(server.asked().len(), 4);
    // 24 moments of a day.
    let account = "service_account:sa-1";
    assert_eq!(
        usage(&all["lkc-1"]),
        [("bytes_in", "api_key:FREE", "48".into()), ("bytes_in", account, "48".to_owned())]
    );
    // A key that nobody owns has its own share of what was measured, and of nothing else.
    assert_eq!(all["lkc-1"].metrics_derived, [account]);
    assert_eq!(all["lkc-2"].metrics_derived, ["identity_pool:pool-7", account]);
    assert_eq!(
        usage(&all["lkc-2"]),
        [("bytes_in", "identity_pool:pool-7", "24".into()), ("bytes_out", account, "6".to_owned())]
    );
    let unknown = "flink_statement_owner:flink_stmt_owner_unknown";
    assert_eq!(
        usage(&all["lfcp-1"]),
        [("stmt_owner_cfu", unknown, "72".into()), ("stmt_owner_cfu", "user:u-1", "24".to_owned())]
    );
    assert!(all["lfcp-1"].resource_active.is_empty(), "what has stopped is not active");
    let made: Vec<_> = resolved.identities.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(made, [unknown, "identity_pool:pool-7"]);
    assert!(resolved.lacking.is_empty() && all.values().all(|one| one.failed_metrics.is_empty()));
}

#[tokio::test]
async fn what_cannot_be_measured_is_told_of_those_alone_that_need_it() {
    let (_server, metrics) = measured(|_, asked| {
        let query = asked.value("query").unwrap();
        match query.contains("response_bytes") || query.contains("cfu") {
            true => Act::status(503),
            false => matrix(asked, &[(moved("lkc-1", "sa-1"), "1")]),
        }
    })
    .await;
    let inventory = InventoryBatch {
        resources: vec![statement("a", "lfcp-1", Some("user:u-1"), false)],
        identities: vec![identity("service_account:sa-1", &[]), identity("user:u-1", &[])],
    };
    let wanted =
        [("lkc-1", "KAFKA_NUM_CKU"), ("lfcp-1", "FLINK_NUM_CFU"), ("lcc-1", "CONNECT_CAPACITY")];
    let (all, resolved) = resolve(Some(&metrics), &request(inventory, &wanted)).await;
    assert_eq!(all["lkc-1"].failed_metrics, ["bytes_out"]);
    assert_eq!(usage(&all["lkc-1"]).len(), 1, "what could be had counts");
    // Nobody knows that nothing was used: statements do not take the place of what failed.
    assert_eq!(all["lfcp-1"].failed_metrics, ["stmt_owner_cfu"]);
    assert!(all["lfcp-1"].usage.is_empty());
    assert_eq!(all["lfcp-1"].resource_active, ["user:u-1"]);
    assert!(all["lcc-1"].failed_metrics.is_empty());
    assert_eq!(resolved.lacking.len(), 2, "{:?}", resolved.lacking);
}

#[tokio::test]
async fn statements_that_run_weigh_the_same_where_nothing_was_measured() {
    let inventory = InventoryBatch {
        resources: vec![
            statement("a", "lfcp-1", Some("user:u-1"), false),
            statement("b", "lfcp-1", Some("user:u-1"), false),
            statement("c", "lfcp-1", Some("service_account:sa-1"), false),
            statement("d", "lfcp-1", Some("service_account:sa-1"), true),
            statement("a", "lfcp-2", Some("service_account:sa-1"), false),
        ],
        identities: vec![identity("service_account:sa-1", &[]), identity("user:u-1", &[])],
    };
    let wanted = [("lfcp-1", "FLINK_NUM_CFU"), ("lfcp-3", "FLINK_NUM_CFU")];
    let (all, _) = resolve(None, &request(inventory, &wanted)).await;
    let one = [
        ("stmt_owner_cfu", "service_account:sa-1", "1".to_owned()),
        ("stmt_owner_cfu", "user:u-1", "2".to_owned()),
    ];
    assert_eq!(usage(&all["lfcp-1"]), one);
    assert!(all["lfcp-3"].usage.is_empty() && all["lfcp-3"].resource_active.is_empty());
}

#[tokio::test]
async fn the_order_of_inventory_and_metrics_changes_nothing() {
    let script = |turned: bool| {
        move |_: usize, asked: &Asked| {
            let mut series = vec![
                (moved("lkc-1", "sa-1"), "0.1"),
                (moved("lkc-1", "u-1"), "0.2"),
                (moved("lkc-2", "u-1"), "0.7"),
            ];
            if turned {
                series.reverse();
            }
            matrix(asked, &series)
        }
    };
    let mut identities: Vec<Identity> = (0..9)
        .flat_map(|n| {
            [
                identity(&format!("user:u-{n}"), &[]),
                key(&format!("K{n}"), &format!("user:u-{}", n + 1), "lkc-1"),
            ]
        })
        .collect();
    let wanted = [("lkc-1", "KAFKA_NUM_CKU"), ("lkc-2", "KAFKA_STORAGE")];
    let mut hashes = Vec::new();
    for turned in [false, true] {
        let (_server, metrics) = measured(script(turned)).await;
        let inventory =
            InventoryBatch { identities: identities.clone(), ..InventoryBatch::default() };
        let (all, resolved) = resolve(Some(&metrics), &request(inventory, &wanted)).await;
        let of: Vec<_> = all.values().map(IdentityResolution::hash).collect();
        hashes.push((of, resolved));
        identities.reverse();
    }
    assert_eq!(hashes[0], hashes[1]);
}
