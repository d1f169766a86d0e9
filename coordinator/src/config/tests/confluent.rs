//! Reading sources of kind `confluent_cloud`.

use proto::config::{ConfluentSettings, HttpAuth, HttpServer, SecretPlace, SourceSettings};

use super::*;

fn tenant(source: &str) -> String {
    format!("sources:\n  cloud: {source}\n")
}

fn read(source: &str) -> ConfluentSettings {
    let folder = folder(&[("tenants/acme.yaml", &tenant(source))]);
    let config = load(folder.path(), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    let tenant = config.tenants.into_values().next().unwrap();
    let SourceSettings::ConfluentCloud(settings) = &tenant.sources[0].settings else {
        panic!("{:?}", tenant.sources[0])
    };
    settings.clone()
}

#[test]
fn an_organization_needs_a_key_and_where_its_secret_is() {
    let settings = read("{ kind: confluent_cloud, api_key: KEY1, api_secret: \"${CC_SECRET}\" }");
    let password = SecretPlace::parse("${CC_SECRET}").unwrap();
    let auth = HttpAuth::Basic { username: "KEY1".into(), password };
    let server = HttpServer { auth, ..HttpServer::new("https://api.confluent.cloud") };
    assert_eq!(settings, ConfluentSettings { server, days_per_query: 15, flink: Vec::new() });
}

#[test]
fn regions_of_flink_have_keys_of_their_own_and_servers_by_their_names() {
    let settings = read(
        "{ kind: confluent_cloud, api_key: K, api_secret: \"${S}\", timeout: 7s, flink: [
           { cloud: GCP, region: europe-west1, api_key: F, api_secret: \"${F}\" },
           { cloud: aws, region: eu-west-1, api_key: G, api_secret: \"${G}\", url: \"http://here:1\" } ] }",
    );
    let told: Vec<_> = settings
        .flink
        .iter()
        .map(|one| (one.cloud.as_str(), one.region.as_str(), one.server.url.as_str()))
        .collect();
    let google = "https://flink.europe-west1.gcp.confluent.cloud";
    assert_eq!(
        told,
        [("aws", "eu-west-1", "http://here:1"), ("gcp", "europe-west1", google)],
        "sorted, whatever the order"
    );
    assert_eq!(settings.flink[0].server.timeout_seconds, 7);
    let twice = "{ kind: confluent_cloud, api_key: K, api_secret: \"${S}\", flink: [
           { cloud: aws, region: a, api_key: F, api_secret: \"${F}\" },
           { cloud: AWS, region: a, api_key: F, api_secret: \"${F}\" },
           { cloud: aws, region: \"evil.example/\", api_key: F, api_secret: hunter2 } ] }";
    let found = problems(&[("tenants/acme.yaml", &tenant(twice))]);
    assert!(found.contains("names aws a twice"), "{found}");
    assert!(found.contains("write letters, digits and hyphens"), "{found}");
    assert!(found.contains("`api_secret` holds the secret itself"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn metrics_may_come_from_a_server_of_prometheus() {
    let source = "{ kind: confluent_cloud, api_key: K, api_secret: \"${S}\", metrics: { kind: prometheus, url: \"http://p:9090\" } }";
    let folder = folder(&[("tenants/acme.yaml", &tenant(source))]);
    let config = load(folder.path(), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    let tenant = config.tenants.into_values().next().unwrap();
    assert_eq!(tenant.sources[0].metrics.as_ref().unwrap().server.url, "http://p:9090");
}

#[test]
fn what_is_wrong_is_told_without_the_secret() {
    for (source, expected) in [
        ("{ kind: confluent_cloud, api_secret: \"${S}\" }", "lacks `api_key`"),
        ("{ kind: confluent_cloud, api_key: K }", "lacks `api_secret`"),
        (
            "{ kind: confluent_cloud, api_key: K, api_secret: hunter2 }",
            "`api_secret` holds the secret itself",
        ),
        (
            "{ kind: confluent_cloud, api_key: K, api_secret: \"${S}\", days_per_query: 31 }",
            "`days_per_query` is 31: the API answers for a month at most (write at most 28)",
        ),
    ] {
        let found = problems(&[("tenants/acme.yaml", &tenant(source))]);
        assert!(found.contains(expected), "{source}: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}
