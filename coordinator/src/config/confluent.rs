//! Sources of kind `confluent_cloud`.

use proto::config::{ConfluentSettings, FlinkRegion, HttpAuth, HttpServer};

use super::metrics;
use super::read::{self, Cx, Map};
use super::scalar;
use super::yaml::Node;

/// Keys of the kind.
pub const CONFLUENT_KEYS: [&str; 13] = [
    "schedule",
    "sla",
    "kind",
    "metrics",
    "flink",
    "api_key",
    "api_secret",
    "url",
    "days_per_query",
    "timeout",
    "attempts",
    "concurrency",
    "response_max",
];
/// Keys of an entry of `flink`.
pub const FLINK_KEYS: [&str; 5] = ["cloud", "region", "api_key", "api_secret", "url"];
/// Reads a source.
pub fn confluent(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<ConfluentSettings> {
    let map = Map::read(node, what, &CONFLUENT_KEYS, cx.report)?;
    let auth = api_key(&map, what, cx);
    let url = map.get("url").map_or(Some(ConfluentSettings::URL.to_owned()), |node| {
        read::parsed(node, "`url`", cx.report, scalar::web_address)
    });
    let days = map.get("days_per_query").map_or(Some(ConfluentSettings::DAYS_PER_QUERY), |node| {
        let days = read::number::<u32>(node, "`days_per_query`", 1, cx.report)?;
        if days > ConfluentSettings::DAYS_PER_QUERY_MAX {
            let text = format!("`days_per_query` is {days}: the API answers for a month at most");
            let mend = format!("write at most {}", ConfluentSettings::DAYS_PER_QUERY_MAX);
            cx.report.at(&node.at, text, mend);
        }
        Some(days)
    });
    let server = metrics::server(&map, url, auth, cx)?;
    let mut flink: Vec<FlinkRegion> = Vec::new();
    if let Some(node) = map.get("flink") {
        for node in read::list(node, "`flink`", cx.report).unwrap_or_default() {
            let Some(region) = flink_region(node, &server, cx) else { continue };
            let same =
                |one: &FlinkRegion| (&one.cloud, &one.region) == (&region.cloud, &region.region);
            if flink.iter().any(same) {
                let text = format!("`flink` names {} {} twice", region.cloud, region.region);
                cx.report.at(&node.at, text, "keep one of the two");
            }
            flink.push(region);
        }
    }
    flink.sort_by(|a, b| (&a.cloud, &a.region).cmp(&(&b.cloud, &b.region)));
    Some(ConfluentSettings { server, days_per_query: days?, flink })
}

fn flink_region(node: &Node, like: &HttpServer, cx: &mut Cx<'_>) -> Option<FlinkRegion> {
    let what = "an entry of `flink`";
    let map = Map::read(node, what, &FLINK_KEYS, cx.report)?;
    let mut word = |key: &str| {
        let node = map.need(key, what, cx.report)?;
        read::parsed(node, &format!("`{key}`"), cx.report, |text| {
            let text = text.to_lowercase();
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
            match !text.is_empty() && text.chars().all(legal) {
                true => Ok(text),
                false => Err("write letters, digits and hyphens, such as `eu-west-1`".to_owned()),
            }
        })
    };
    let (cloud, region) = (word("cloud"), word("region"));
    let auth = api_key(&map, what, cx);
    let url =
        map.get("url").map(|node| read::parsed(node, "`url`", cx.report, scalar::web_address));
    let (cloud, region) = (cloud?, region?);
    let url = url.unwrap_or_else(|| Some(FlinkRegion::url(&cloud, &region)))?;
    let server = HttpServer { url, auth: auth?, ..like.clone() };
    Some(FlinkRegion { cloud, region, server })
}

fn api_key(map: &Map<'_>, what: &str, cx: &mut Cx<'_>) -> Option<HttpAuth> {
    let username = map
        .need("api_key", what, cx.report)
        .and_then(|node| read::text(node, "`api_key`", cx.report))
        .map(str::to_owned);
    let password = map
        .need("api_secret", what, cx.report)
        .and_then(|node| metrics::secret(node, "`api_secret`", cx));
    let auth = username.zip(password);
    auth.map(|(username, password)| HttpAuth::Basic { username, password })
}
