//! What the services list.

use std::collections::BTreeMap;

use proto::config::FlinkRegion;
use proto::inventory::InventoryBatch;

use super::*;
use crate::ports::EcosystemPlugin;

/// An organization with something of everything.
fn everything(asked: &Asked) -> Act {
    let list = |items: &[Value]| {
        Act::ok(json!({"metadata": {"total_size": items.len()}, "data": items}).to_string())
    };
    let created = json!({"created_at": "2026-01-02T03:04:05Z"});
    let of = |id: &str, spec: Value| json!({"id": id, "metadata": created, "spec": spec});
    let environment = json!({"id": "env-1"});
    match asked.path() {
        "/org/v2/environments" => {
            list(&[json!({"id": "env-1", "display_name": "prod", "metadata": created})])
        }
        "/cmk/v2/clusters" => list(&[of(
            "lkc-1",
            json!({"display_name": "orders", "cloud": "AWS", "region": "eu-west-1", "environment": environment}),
        )]),
        "/srcm/v3/clusters" => list(&[of("lsrc-1", json!({"environment": environment}))]),
        "/ksqldbcm/v2/clusters" => list(&[of(
            "lksqlc-1",
            json!({"kafka_cluster": {"id": "lkc-1"}, "credential_identity": {"id": "sa-1"}}),
        )]),
        "/fcpm/v2/compute-pools" => list(&[of("lfcp-1", json!({"environment": environment}))]),
        "/connect/v1/environments/env-1/clusters/lkc-1/connectors" => Act::ok(
            json!({"sink": {
                "id": {"id": "lcc-1"},
                "info": {"config": {"kafka.auth.mode": "SERVICE_ACCOUNT", "kafka.service.account.id": "sa-1"}},
                "status": {"connector": {"state": "RUNNING"}},
            }})
            .to_string(),
        ),
        "/iam/v2/service-accounts" => list(&[json!({"id": "sa-1", "display_name": "checkout"})]),
        "/iam/v2/users" => list(&[json!({"id": "u-1", "full_name": "Ada"})]),
        "/iam/v2/api-keys" => list(&[of(
            "KEY1",
            json!({"owner": {"id": "sa-1"}, "resource": {"id": "lkc-1", "kind": "Cluster"}}),
        )]),
        "/iam/v2/identity-providers" => list(&[json!({"id": "op-1", "display_name": "okta"})]),
        "/iam/v2/identity-providers/op-1/identity-pools" => {
            list(&[json!({"id": "pool-1", "display_name": "devs"})])
        }
        other => Act::Reply(404, Vec::new(), other.to_owned()),
    }
}

/// What each service answers.
async fn listed(url: &str) -> BTreeMap<String, Result<InventoryBatch, String>> {
    let organization = Organization::new(url, "2026-10-01", "2026-10-01");
    let (plugin, request) = (organization.plugin(), organization.request());
    let mut all = BTreeMap::new();
    for handler in plugin.service_handlers() {
        let found = handler.inventory(&request).await;
        let found = found.map_err(|error| proto::fault::chain(&error));
        all.insert(handler.name().to_owned(), found);
    }
    all
}

#[tokio::test]
async fn every_service_lists_what_it_has() {
    let server = Server::start(|_, asked| everything(asked)).await;
    let all = listed(&server.url).await;
    let of = |service: &str| all[service].as_ref().unwrap();
    let mut resources: Vec<_> = all
        .values()
        .flat_map(|batch| &batch.as_ref().unwrap().resources)
        .map(|r| (r.kind.as_str(), r.id.as_str(), r.parent.as_deref(), r.owner.as_deref()))
        .collect();
    resources.sort_unstable();
    let (env, lkc) = (Some("env-1"), Some("lkc-1"));
    let account = Some("service_account:sa-1");
    let wanted = [
        ("connector", "lcc-1", lkc, account),
        ("environment", "env-1", None, None),
        ("flink_compute_pool", "lfcp-1", env, None),
        ("kafka_cluster", "lkc-1", env, None),
        ("ksqldb_cluster", "lksqlc-1", lkc, account),
        ("schema_registry", "lsrc-1", env, None),
    ];
    assert_eq!(resources, wanted);
    let identities: Vec<_> = of("kafka").identities.iter().map(|i| i.id.as_str()).collect();
    let wanted = [
        "service_account:sa-1",
        "user:u-1",
        "api_key:KEY1",
        "identity_pool:pool-1",
        "identity_provider:op-1",
    ];
    assert_eq!(identities, wanted);
    let key = of("kafka").identities.iter().find(|i| i.kind == "api_key").unwrap();
    assert_eq!(key.attributes["owner"], "service_account:sa-1");
    assert_eq!(key.attributes["resource"], "lkc-1");
    assert_eq!(key.created_at.unwrap().to_string(), "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn defect_17_17_a_list_that_cannot_be_had_is_not_empty_and_stops_no_other_service() {
    let server = Server::start(|_, asked| match asked.path() {
        "/srcm/v3/clusters" => Act::status(404),
        _ => everything(asked),
    })
    .await;
    let all = listed(&server.url).await;
    let failed: Vec<_> = all.iter().filter(|(_, found)| found.is_err()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let error = all["schema_registry"].as_ref().unwrap_err();
    assert!(error.contains("404") && error.contains("srcm/v3/clusters"), "{error}");
}

#[tokio::test]
async fn an_item_without_an_id_is_an_error() {
    let server = Server::start(|_, asked| match asked.path() {
        "/iam/v2/users" => {
            Act::ok(json!({"metadata": {}, "data": [{"full_name": "Ada"}]}).to_string())
        }
        _ => everything(asked),
    })
    .await;
    let all = listed(&server.url).await;
    let error = all["kafka"].as_ref().unwrap_err();
    assert!(error.contains("an item of type user has no id"), "{error}");
}

/// Pools in two regions, and what the servers of their regions list.
fn flink(asked: &Asked) -> Act {
    let list = |items: &[Value]| {
        Act::ok(json!({"metadata": {"total_size": items.len()}, "data": items}).to_string())
    };
    let pool = |id: &str, region: &str| {
        let name = format!(
            "crn://confluent.cloud/organization=org-1/environment=env-1/flink-region=aws.{region}/compute-pool={id}"
        );
        let spec = json!({"cloud": "AWS", "region": region, "environment": {"id": "env-1"}});
        json!({"id": id, "metadata": {"resource_name": name}, "spec": spec})
    };
    let statement = |name: &str, phase: &str, stopped: bool| {
        json!({
            "name": name,
            "metadata": {"uid": format!("uid-{name}"), "created_at": "2026-01-02T03:04:05Z"},
            "spec": {"compute_pool_id": "lfcp-1", "principal": "sa-1", "stopped": stopped},
            "status": {"phase": phase},
        })
    };
    match asked.path() {
        "/org/v2/environments" => list(&[json!({"id": "env-1"})]),
        "/fcpm/v2/compute-pools" => list(&[
            pool("lfcp-1", "eu-west-1"),
            pool("lfcp-2", "eu-west-1"),
            pool("lfcp-3", "us-east-2"),
        ]),
        "/sql/v1/organizations/org-1/environments/env-1/statements" => list(&[
            statement("joins", "RUNNING", false),
            statement("counts", "COMPLETED", false),
            statement("waits", "RUNNING", true),
        ]),
        other => Act::Reply(404, Vec::new(), other.to_owned()),
    }
}

#[tokio::test]
async fn statements_of_flink_are_listed_once_by_the_server_of_their_region() {
    let api = Server::start(|_, asked| match asked.path().starts_with("/sql/") {
        true => Act::status(404),
        false => flink(asked),
    })
    .await;
    let region = Server::start(|_, asked| flink(asked)).await;
    let mut organization = Organization::new(&api.url, "2026-10-01", "2026-10-01");
    let server = HttpServer { attempts: 1, ..HttpServer::new(&region.url) };
    let (cloud, name) = ("aws".to_owned(), "eu-west-1".to_owned());
    organization.settings.flink = vec![FlinkRegion { cloud, region: name, server }];
    let (plugin, request) = (organization.plugin(), organization.request());
    let handlers = plugin.service_handlers();
    let handler = handlers.iter().find(|one| one.name() == "flink_statements").unwrap();
    assert_eq!(handler.resource_types(), ["flink_statement"]);
    let found = handler.inventory(&request).await.unwrap().resources;
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            let stopped = one.attributes.contains_key("stopped");
            (one.id.as_str(), one.display_name.as_deref(), one.parent.as_deref(), stopped)
        })
        .collect();
    let pool = Some("lfcp-1");
    let wanted = [
        ("uid-joins", Some("joins"), pool, false),
        ("uid-counts", Some("counts"), pool, true),
        ("uid-waits", Some("waits"), pool, true),
    ];
    assert_eq!(told, wanted);
    assert!(found.iter().all(|one| one.owner.as_deref() == Some("service_account:sa-1")));
    // One environment in one region that is known: one question, however many pools.
    assert_eq!(region.asked().len(), 1);
}

#[tokio::test]
async fn without_a_region_nobody_is_asked_for_statements() {
    let plugin = Organization::new("http://nowhere.invalid", "2026-10-01", "2026-10-01").plugin();
    assert!(plugin.service_handlers().iter().all(|one| one.name() != "flink_statements"));
}
