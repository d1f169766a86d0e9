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
    assert_eq!(settings, ConfluentSettings { server, days_per_query: 15 });
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
