//! Sources.

use proto::config::{
    Duplicates, FocusSettings, MetricsConfig, SourceConfig, SourceSettings, SyntheticSettings,
    Timing,
};
use proto::ids::SourceId;
use proto::line::Measure;

use super::built_in;
use super::confluent::confluent;
use super::driver::measure;
use super::measured;
use super::metrics;
use super::problem::Report;
use super::read::{self, Cx, Map};
use super::timing;
use super::yaml::{Node, Value};

/// Kinds whose costs are measured, and whose settings may stand in a file of their own.
pub const MEASURED_KINDS: [&str; 2] = ["generic_metrics", "self_managed_kafka"];
/// Keys of kind `focus`.
pub const FOCUS_KEYS: [&str; 7] =
    ["kind", "files", "cost", "owner", "duplicates", "schedule", "sla"];
/// Keys of kind `synthetic`.
pub const SYNTHETIC_KEYS: [&str; 10] = [
    "kind",
    "seed",
    "start",
    "dates",
    "resources",
    "products",
    "fanout",
    "identities",
    "schedule",
    "sla",
];
/// Reads `sources`, sorted by id. What one does not say of its time is as the tenant says.
pub fn sources(node: &Node, tenant: &Timing, cx: &mut Cx<'_>) -> Vec<SourceConfig> {
    let entries = read::entries(node, "`sources`", cx.report).unwrap_or_default();
    if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        cx.report.at(
            &node.at,
            "`sources` is empty",
            "add a source: `ID: { kind: focus, files: [GLOB] }`",
        );
    }
    let mut sources = Vec::new();
    for entry in entries {
        let id = match SourceId::parse(&entry.key) {
            Ok(id) => Some(id),
            Err(error) => {
                cx.report.at(&entry.key_at, error.to_string(), "rename the source");
                None
            }
        };
        let metrics = metrics_of(&entry.value, cx);
        let timing = timing::timing(&entry.value, tenant, cx.report);
        let what = format!("source `{}`", entry.key);
        let settings = settings(&entry.value, &what, metrics.as_ref(), cx);
        if let (Some(id), Some(settings)) = (id, settings) {
            let source = built_in::complete(id, settings, cx.report);
            sources.extend(source.map(|source| SourceConfig { metrics, timing, ..source }));
        }
    }
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    sources
}

fn settings(
    node: &Node,
    what: &str,
    metrics: Option<&MetricsConfig>,
    cx: &mut Cx<'_>,
) -> Option<SourceSettings> {
    let entries = read::entries(node, what, cx.report)?;
    let Some(kind) = entries.iter().find(|entry| entry.key == "kind") else {
        cx.report.at(&node.at, format!("{what} lacks `kind`"), "add `kind: focus`");
        return None;
    };
    let kinds = ["confluent_cloud", "focus", "synthetic"].into_iter().chain(MEASURED_KINDS);
    let kinds = kinds.map(|kind| (kind, kind));
    let kind = read::word(&kind.value, "`kind`", &kinds.collect::<Vec<_>>(), cx.report)?;
    match kind {
        "focus" => focus(node, what, cx).map(SourceSettings::Focus),
        "confluent_cloud" => confluent(node, what, cx).map(SourceSettings::ConfluentCloud),
        "synthetic" => synthetic(node, what, cx).map(SourceSettings::Synthetic),
        "self_managed_kafka" => {
            measured::kafka(node, what, metrics, cx).map(SourceSettings::SelfManagedKafka)
        }
        _ => measured::generic(node, what, cx).map(SourceSettings::GenericMetrics),
    }
}

fn focus(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<FocusSettings> {
    let map = Map::read(node, what, &FOCUS_KEYS, cx.report)?;
    let files = map
        .need("files", what, cx.report)
        .map(|node| read::one_or_many(node, "`files`", cx.report));
    let files: Vec<String> = files
        .unwrap_or_default()
        .iter()
        .filter_map(|node| {
            read::parsed(node, "an entry of `files`", cx.report, |text| {
                match glob::Pattern::new(text) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(error) => Err(format!("this is no glob: {error}")),
                }
            })
        })
        .collect();
    let cost = map.get("cost").map_or(Some(Measure::Effective), |node| measure(node, cx));
    let owner = map.get("owner").map(|node| read::fields(node, "`owner`", cx)).unwrap_or_default();
    let words = [("error", Duplicates::Error), ("allow", Duplicates::Allow)];
    let duplicates = map.get("duplicates").map_or(Some(Duplicates::Error), |node| {
        if let Value::Text { .. } = node.value {
            read::word(node, "`duplicates`", &words, cx.report)
        } else {
            read::text(node, "`duplicates`", cx.report).and(None)
        }
    });
    (!files.is_empty()).then_some(FocusSettings {
        files,
        cost: cost?,
        owner,
        duplicates: duplicates?,
    })
}

fn synthetic(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<SyntheticSettings> {
    let map = Map::read(node, what, &SYNTHETIC_KEYS, cx.report)?;
    let mut count = |key: &str| {
        let node = map.need(key, what, cx.report)?;
        read::number::<u32>(node, &format!("`{key}`"), 1, cx.report)
    };
    let (dates, resources, products) = (count("dates"), count("resources"), count("products"));
    let (fanout, identities) = (count("fanout"), count("identities"));
    let seed =
        map.get("seed").map_or(Some(0), |node| read::number::<u64>(node, "`seed`", 0, cx.report));
    let start =
        map.need("start", what, cx.report).and_then(|node| read::date(node, "`start`", cx.report));
    if let (Some(fanout), Some(identities)) = (fanout, identities)
        && fanout > identities
    {
        let text = format!("{what} has a fanout of {fanout} over {identities} identities");
        cx.report.at(map.at, text, "make `identities` at least `fanout`");
    }
    Some(SyntheticSettings {
        seed: seed?,
        start: start?,
        dates: dates?,
        resources: resources?,
        products: products?,
        fanout: fanout?,
        identities: identities?,
    })
}

/// The metrics of a source of a kind that has any: other kinds do not know the key, and have said so.
fn metrics_of(node: &Node, cx: &mut Cx<'_>) -> Option<MetricsConfig> {
    let Value::Map(entries) = &node.value else { return None };
    let value = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let kind = match value("kind").map(|node| &node.value) {
        Some(Value::Text { text, .. }) => text.trim(),
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => return None,
    };
    let measured = kind == "confluent_cloud" || MEASURED_KINDS.contains(&kind);
    let node = value("metrics").filter(|_| measured)?;
    if let Value::Null = node.value { None } else { metrics::metrics(node, cx) }
}

/// Puts the keys of settings files where they count: into the sources that name them. A key stands in one of the two.
pub fn add_settings(
    tenant: &mut Node,
    report: &mut Report,
    read: &mut dyn FnMut(&str, &mut Report) -> Option<Node>,
) {
    let Value::Map(entries) = &mut tenant.value else { return };
    let Some(sources) = entries.iter_mut().find(|entry| entry.key == "sources") else { return };
    let Value::Map(sources) = &mut sources.value.value else { return };
    for source in sources {
        let Value::Map(own) = &mut source.value.value else { continue };
        let text = |key: &str| {
            own.iter().find(|entry| entry.key == key).and_then(|entry| match &entry.value.value {
                Value::Text { text, .. } => Some((text.trim().to_owned(), entry.value.at.clone())),
                Value::Null | Value::List(_) | Value::Map(_) => None,
            })
        };
        let Some((name, at)) = text("settings") else { continue };
        if text("kind").is_none_or(|(kind, _)| !MEASURED_KINDS.contains(&kind.as_str())) {
            continue;
        }
        let Some(file) = read(&name, report) else { continue };
        match file.value {
            Value::Map(more) => {
                for entry in more {
                    if matches!(entry.key.as_str(), "kind" | "settings") {
                        let what = format!("`{}` stands in a settings file", entry.key);
                        report.at(&entry.key_at, what, "write it in the tenant's file");
                    } else if own.iter().any(|own| own.key == entry.key) {
                        let what = format!("`{}` stands in the tenant's file, too", entry.key);
                        report.at(&entry.key_at, what, "keep one of the two");
                    } else {
                        own.push(entry);
                    }
                }
            }
            Value::Null => {
                report.at(&at, format!("{name} holds no settings"), "write them, `key: value`");
            }
            Value::Text { .. } | Value::List(_) => {
                report.at(&file.at, format!("the settings are {}", file.shape()), "write a map");
            }
        }
    }
}
