//! Where a source's metrics come from.

use proto::config::{HttpAuth, HttpServer, MetricsConfig, MetricsKind, SecretPlace};

use super::read::{self, Cx, Map};
use super::scalar;
use super::yaml::Node;

/// Keys of `metrics`.
pub const METRICS_KEYS: [&str; 12] = [
    "kind",
    "url",
    "username",
    "password",
    "bearer_token",
    "timeout",
    "attempts",
    "concurrency",
    "response_max",
    "step",
    "cache_samples",
    "resolve_attempts",
];
/// Keys whose values name a secret, wherever they stand: variables in them are looked up by who uses the secret.
pub const SECRET_KEYS: [&str; 3] = ["password", "bearer_token", "api_secret"];

/// Reads `metrics`.
pub fn metrics(node: &Node, cx: &mut Cx<'_>) -> Option<MetricsConfig> {
    let what = "`metrics`";
    let map = Map::read(node, what, &METRICS_KEYS, cx.report)?;
    let kinds = [("prometheus", MetricsKind::Prometheus)];
    let kind = map
        .need("kind", what, cx.report)
        .and_then(|node| read::word(node, "`kind`", &kinds, cx.report));
    let url = map
        .need("url", what, cx.report)
        .and_then(|node| read::parsed(node, "`url`", cx.report, scalar::web_address));
    let auth = auth(&map, what, cx);
    let server = server(&map, url, auth, cx);
    let step = map.get("step").map_or(Some(MetricsConfig::STEP_SECONDS), |node| {
        read::parsed(node, "`step`", cx.report, scalar::some_seconds)
    });
    let cache = map.get("cache_samples").map_or(Some(MetricsConfig::CACHE_SAMPLES), |node| {
        read::number::<u64>(node, "`cache_samples`", 0, cx.report)
    });
    let attempts = map.get("resolve_attempts").map_or(Some(MetricsConfig::RESOLVE_ATTEMPTS), |n| {
        read::number::<u32>(n, "`resolve_attempts`", 1, cx.report)
    });
    Some(MetricsConfig {
        kind: kind?,
        server: server?,
        step_seconds: step?,
        cache_samples: cache?,
        resolve_attempts: attempts?,
    })
}

/// Reads how patiently a server is asked.
pub(super) fn server(
    map: &Map<'_>,
    url: Option<String>,
    auth: Option<HttpAuth>,
    cx: &mut Cx<'_>,
) -> Option<HttpServer> {
    let timeout = map.get("timeout").map_or(Some(HttpServer::TIMEOUT_SECONDS), |node| {
        read::parsed(node, "`timeout`", cx.report, scalar::some_seconds)
    });
    let mut count = |key: &str, default: u32| {
        map.get(key).map_or(Some(default), |node| {
            read::number::<u32>(node, &format!("`{key}`"), 1, cx.report)
        })
    };
    let attempts = count("attempts", HttpServer::ATTEMPTS);
    let concurrency = count("concurrency", HttpServer::CONCURRENCY);
    let size = map.get("response_max").map_or(Some(HttpServer::RESPONSE_BYTES_MAX), |node| {
        read::parsed(node, "`response_max`", cx.report, |text| match scalar::bytes(text)? {
            0 => Err("write at least 1KiB".to_owned()),
            bytes => Ok(bytes),
        })
    });
    Some(HttpServer {
        url: url?,
        auth: auth?,
        timeout_seconds: timeout?,
        attempts: attempts?,
        concurrency: concurrency?,
        response_bytes_max: size?,
    })
}

/// By name and password, by a token, or not at all.
fn auth(map: &Map<'_>, what: &str, cx: &mut Cx<'_>) -> Option<HttpAuth> {
    let (username, password) = (map.get("username"), map.get("password"));
    let token = map.get("bearer_token");
    if let (Some(node), true) = (token, username.is_some() || password.is_some()) {
        let mend = "keep `bearer_token`, or `username` and `password`";
        cx.report.hidden_at(&node.at, format!("{what} says twice who asks"), mend);
        return None;
    }
    if let Some(node) = token {
        return Some(HttpAuth::Bearer { token: secret(node, "`bearer_token`", cx)? });
    }
    match (username, password) {
        (None, None) => Some(HttpAuth::None),
        (Some(username), Some(password)) => {
            let username = read::text(username, "`username`", cx.report).map(str::to_owned);
            let password = secret(password, "`password`", cx);
            Some(HttpAuth::Basic { username: username?, password: password? })
        }
        (Some(_), None) | (None, Some(_)) => {
            let missing = if username.is_none() { "username" } else { "password" };
            let mend = format!("add `{missing}: …`");
            cx.report.hidden_at(map.at, format!("{what} lacks `{missing}`"), mend);
            None
        }
    }
}

/// Where a secret is found. What stands there is never repeated: it may be the secret.
pub(super) fn secret(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<SecretPlace> {
    let text = read::text(node, what, cx.report)?;
    match SecretPlace::parse(text) {
        Ok(place) => Some(place),
        Err(mend) => {
            cx.report.hidden_at(&node.at, format!("{what} holds the secret itself"), mend);
            None
        }
    }
}
