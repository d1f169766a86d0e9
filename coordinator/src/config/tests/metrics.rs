//! Where metrics come from: what is read, and every message. Secrets are named, and never told.

use proto::config::{HttpAuth, HttpServer, MetricsConfig, SecretPlace};

use super::*;

fn tenant(metrics: &str) -> String {
    let rest = "    cluster_id: c\n    cost_types: [{ name: gpu, product_category: gpu, rate: 1, \
                cost_quantity: { type: fixed, count: 1 }, allocation_strategy: even_split }]\n    identity_source: \
                { source: static, static_identities: [{ identity_id: me }] }\n";
    format!("sources:\n  kafka:\n    kind: generic_metrics\n    metrics: {metrics}\n{rest}")
}

fn read(metrics: &str) -> MetricsConfig {
    let folder = folder(&[("tenants/acme.yaml", &tenant(metrics))]);
    let env = |name: &str| (name == "HOST").then(|| "prometheus".to_owned());
    let config = load(folder.path(), &env).unwrap_or_else(|problems| panic!("{problems}"));
    let tenant = config.tenants.into_values().next().unwrap();
    tenant.sources[0].metrics.clone().unwrap()
}

#[test]
fn metrics_are_read_with_their_defaults() {
    let plain = read("{ kind: prometheus, url: \"http://${HOST}:9090/prefix\" }");
    let server = HttpServer::new("http://prometheus:9090/prefix");
    assert_eq!(plain, MetricsConfig::prometheus(server));
    let all = read(
        "{ kind: prometheus, url: https://p, timeout: 5s, attempts: 2, concurrency: 8, response_max: 1MiB, step: 15m, cache_samples: 0 }",
    );
    assert_eq!((all.step_seconds, all.cache_samples, all.server.timeout_seconds), (900, 0, 5));
    assert_eq!((all.server.attempts, all.server.concurrency), (2, 8));
    assert_eq!((all.server.response_bytes_max, all.server.auth), (1 << 20, HttpAuth::None));
}

#[test]
fn secrets_stay_where_they_are() {
    let basic = read(
        "{ kind: prometheus, url: https://p, username: \"${HOST}\", password: \"${NOT_SET_HERE}\" }",
    );
    let password = SecretPlace::parse("${NOT_SET_HERE}").unwrap();
    assert_eq!(basic.server.auth, HttpAuth::Basic { username: "prometheus".into(), password });
    let bearer =
        read("{ kind: prometheus, url: https://p, bearer_token: \"file:/run/secrets/nowhere\" }");
    let token = SecretPlace::parse("file:/run/secrets/nowhere").unwrap();
    assert_eq!(bearer.server.auth, HttpAuth::Bearer { token });
}

#[test]
fn what_is_wrong_with_metrics_is_told_without_secrets() {
    for (metrics, expected) in [
        ("{ url: http://p }", "4:14: `metrics` lacks `kind` (add `kind: …`)"),
        ("{ kind: promtheus, url: http://p }", "(did you mean `prometheus`?)"),
        ("{ kind: prometheus, url: p:9090 }", "(write http://HOST:PORT or https://HOST)"),
        ("{ kind: prometheus, url: http://me:hunter2@p }", "(write it without credentials"),
        ("{ kind: prometheus, url: \"http://p?x=1\" }", "(write it without a query"),
        ("{ kind: prometheus, url: http://p, step: 0s }", "(write at least 1s)"),
        ("{ kind: prometheus, url: http://p, attempts: 0 }", "`attempts`"),
        ("{ kind: prometheus, url: http://p, response_max: 0B }", "(write at least 1KiB)"),
        ("{ kind: prometheus, url: http://p, username: me }", "`metrics` lacks `password`"),
        ("{ kind: prometheus, url: http://p, password: hunter2 }", "`metrics` lacks `username`"),
        (
            "{ kind: prometheus, url: http://p, username: me, password: hunter2 }",
            "4:73: `password` holds the secret itself",
        ),
        (
            "{ kind: prometheus, url: http://p, bearer_token: hunter2 }",
            "a secret is named, not written",
        ),
        (
            "{ kind: prometheus, url: http://p, bearer_token: \"${A}\", password: hunter2 }",
            "says twice who asks",
        ),
        (
            "{ kind: prometheus, url: http://p, passwrd: 1, password: hunter2, username: me }",
            "unknown key `passwrd` in `metrics` (did you mean `password`?)",
        ),
    ] {
        let found = problems(&[("tenants/acme.yaml", &tenant(metrics))]);
        assert!(found.contains(expected), "{metrics}: {found}");
        assert!(!found.contains("hunter2"), "{metrics}: {found}");
    }
    let focus = "sources: { cloud: { kind: focus, files: [\"*\"], metrics: {} } }";
    let found = problems(&[("tenants/acme.yaml", focus)]);
    assert!(found.contains("unknown key `metrics`"), "{found}");
}
