//! Sources whose costs are measured and priced: `self_managed_kafka` and `generic_metrics`.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{
    Charge, Discovered, Discovery, ListedIdentity, MeasuredCost, MeasuredIdentities,
    MeasuredQuantity, MeasuredSettings, MetricsConfig, UsageQuery,
};
use proto::currency::Currency;
use proto::money::Amount;

use super::problem::Place;
use super::read::{self, Cx, Map};
use super::yaml::{Node, Value};

/// Keys of kind `self_managed_kafka`, in the tenant's file or the settings file.
pub const KAFKA_KEYS: [&str; 15] = [
    "kind",
    "settings",
    "schedule",
    "sla",
    "metrics",
    "cluster_id",
    "display_name",
    "region",
    "currency",
    "broker_count",
    "cost_model",
    "identity_source",
    "discovery_window",
    "selector",
    "metric_names",
];
/// Keys of kind `generic_metrics`, in the tenant's file or the settings file.
pub const GENERIC_KEYS: [&str; 11] = [
    "kind",
    "settings",
    "schedule",
    "sla",
    "metrics",
    "cluster_id",
    "display_name",
    "region",
    "currency",
    "cost_types",
    "identity_source",
];
/// Prices of a Kafka cluster, with the product type of each.
pub const RATES: [(&str, &str); 4] = [
    ("compute_hourly_rate", "SELF_KAFKA_COMPUTE"),
    ("storage_per_gib_hourly", "SELF_KAFKA_STORAGE"),
    ("network_ingress_per_gib", "SELF_KAFKA_NETWORK_INGRESS"),
    ("network_egress_per_gib", "SELF_KAFKA_NETWORK_EGRESS"),
];
/// Keys of `cost_model`.
pub const COST_MODEL_KEYS: [&str; 5] =
    [RATES[0].0, RATES[1].0, RATES[2].0, RATES[3].0, "region_overrides"];
/// Keys of a region's prices.
pub const REGION_KEYS: [&str; 4] = [RATES[0].0, RATES[1].0, RATES[2].0, RATES[3].0];
/// Keys of `metric_names`, with what Kafka's JMX exporter calls them.
pub const METRIC_NAMES: [(&str, &str); 3] = [
    ("bytes_in", "kafka_server_brokertopicmetrics_bytesin_total"),
    ("bytes_out", "kafka_server_brokertopicmetrics_bytesout_total"),
    ("log_size", "kafka_log_log_size"),
];
/// Keys of `identity_source`.
pub const IDENTITY_KEYS: [&str; 7] = [
    "source",
    "label",
    "discovery_query",
    "principal_to_team",
    "default_team",
    "static_identities",
    "charge",
];
/// Keys of an entry of `static_identities`.
pub const LISTED_KEYS: [&str; 4] = ["identity_id", "identity_type", "display_name", "team"];
/// Keys of an entry of `cost_types`.
pub const COST_KEYS: [&str; 7] = [
    "name",
    "product_category",
    "rate",
    "cost_quantity",
    "allocation_strategy",
    "allocation_query",
    "allocation_label",
];
/// Keys of `cost_quantity`.
pub const QUANTITY_KEYS: [&str; 3] = ["type", "count", "query"];
/// The team of who has none.
const NO_TEAM: &str = "UNASSIGNED";
/// The label that names who moved bytes.
const PRINCIPAL: &str = "principal";

/// Reads the settings of a Kafka cluster.
pub fn kafka(
    node: &Node,
    what: &str,
    metrics: Option<&MetricsConfig>,
    cx: &mut Cx<'_>,
) -> Option<MeasuredSettings> {
    let map = Map::read(node, what, &KAFKA_KEYS, cx.report)?;
    let common = Common::read(&map, what, cx);
    map.need("metrics", what, cx.report);
    let brokers = map
        .need("broker_count", what, cx.report)
        .and_then(|node| read::number::<u64>(node, "`broker_count`", 1, cx.report));
    let region = common.as_ref().and_then(|common| common.region.as_deref());
    let rates = map.need("cost_model", what, cx.report).and_then(|node| rates(node, region, cx));
    let names = names(&map, cx);
    let selector = match map.get("selector") {
        Some(node) => read::text(node, "`selector`", cx.report).map(str::to_owned),
        None => Some(String::new()),
    };
    let hours = map.get("discovery_window").map_or(Some(3_600), |node| {
        read::parsed(node, "`discovery_window`", cx.report, super::scalar::some_seconds)
    });
    let identities = identities((map.get("identity_source"), map.at), what, false, cx);
    let (common, names, selector) = (common?, names?, selector?);
    let (identities, hours, mut rates) = (identities?, hours?, rates?.into_iter());
    let step = metrics.map_or(MetricsConfig::STEP_SECONDS, |metrics| metrics.step_seconds);
    let selected = |name: &str| {
        let name = names.get(name).map_or("", String::as_str);
        if selector.is_empty() { name.to_owned() } else { format!("{name}{{{selector}}}") }
    };
    let moved = |name: &str| format!("increase({}[{step}s])", selected(name));
    let quantities = [
        MeasuredQuantity::Fixed { count: Amount::from(brokers?) },
        MeasuredQuantity::StorageGib { query: format!("sum({})", selected("log_size")) },
        MeasuredQuantity::NetworkGib { query: format!("sum({})", moved("bytes_in")) },
        MeasuredQuantity::NetworkGib { query: format!("sum({})", moved("bytes_out")) },
    ];
    let costs = RATES.iter().zip(quantities).filter_map(|((_, product_type), quantity)| {
        Some(MeasuredCost {
            product_type: (*product_type).to_owned(),
            category: "kafka".to_owned(),
            rate: rates.next()?,
            quantity,
        })
    });
    let costs = costs.collect();
    let usage = |name: &str| UsageQuery {
        metric: name.to_owned(),
        query: format!("sum by ({}) ({})", identities.label, moved(name)),
        label: identities.label.clone(),
    };
    let usage =
        if identities.measured { vec![usage("bytes_in"), usage("bytes_out")] } else { Vec::new() };
    let seen = |label: &str| {
        let last = |name: &str| format!("last_over_time({}[{hours}s])", selected(name));
        format!("group by ({label}) ({} or {})", last("bytes_in"), last("bytes_out"))
    };
    let mut discovery: Vec<Discovery> =
        [(Discovered::Broker, "broker"), (Discovered::Topic, "topic")]
            .map(|(kind, label)| Discovery { kind, query: seen(label), label: label.to_owned() })
            .into();
    if identities.measured {
        let (query, label) = (seen(&identities.label), identities.label.clone());
        discovery.push(Discovery { kind: Discovered::Principal, query, label });
    }
    Some(common.with(costs, usage, identities, discovery))
}

/// Reads the settings of anything that has metrics.
pub fn generic(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<MeasuredSettings> {
    let map = Map::read(node, what, &GENERIC_KEYS, cx.report)?;
    let common = Common::read(&map, what, cx);
    map.need("metrics", what, cx.report);
    let entries = map
        .need("cost_types", what, cx.report)
        .and_then(|node| read::list(node, "`cost_types`", cx.report))
        .unwrap_or_default();
    let (mut costs, mut usage, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for entry in entries {
        let Some((cost, query)) = cost_type(entry, cx) else { continue };
        if !seen.insert(cost.product_type.clone()) {
            let text = format!("there are two cost types `{}`", cost.product_type);
            cx.report.at(&entry.at, text, "rename one of them");
        }
        costs.push(cost);
        usage.extend(query);
    }
    let identities = identities((map.get("identity_source"), map.at), what, true, cx)?;
    let found = identities.query.clone().filter(|_| identities.measured);
    let found = found.map(|query| Discovery {
        kind: Discovered::Principal,
        query,
        label: identities.label.clone(),
    });
    let discovery = found.into_iter().collect();
    (costs.len() == entries.len() && !costs.is_empty())
        .then_some(common?.with(costs, usage, identities, discovery))
}

/// What both kinds have.
struct Common {
    cluster: String,
    display_name: Option<String>,
    region: Option<String>,
    currency: Currency,
}

impl Common {
    fn read(map: &Map<'_>, what: &str, cx: &mut Cx<'_>) -> Option<Self> {
        let cluster = map
            .need("cluster_id", what, cx.report)
            .and_then(|node| read::text(node, "`cluster_id`", cx.report));
        let mut text = |key: &str| {
            let node = map.get(key)?;
            read::text(node, &format!("`{key}`"), cx.report).map(str::to_owned)
        };
        let (display_name, region) = (text("display_name"), text("region"));
        let currency = match map.get("currency") {
            Some(node) => read::parsed(node, "`currency`", cx.report, str::parse::<Currency>),
            None => "USD".parse().ok(),
        };
        Some(Self { cluster: cluster?.to_owned(), display_name, region, currency: currency? })
    }

    fn with(
        self,
        costs: Vec<MeasuredCost>,
        usage: Vec<UsageQuery>,
        identities: MeasuredIdentities,
        discovery: Vec<Discovery>,
    ) -> MeasuredSettings {
        let Self { cluster, display_name, region, currency } = self;
        MeasuredSettings {
            cluster,
            display_name,
            region,
            currency,
            costs,
            usage,
            identities,
            discovery,
        }
    }
}

fn rate(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Amount> {
    read::parsed(node, what, cx.report, |text| match Amount::parse(text) {
        Ok(rate) if rate.is_negative() => Err("write a price of 0 or more".to_owned()),
        other => other.map_err(|error| error.to_string()),
    })
}

/// The prices that hold in a region, in the order of [`RATES`].
fn rates(node: &Node, region: Option<&str>, cx: &mut Cx<'_>) -> Option<Vec<Amount>> {
    let what = "`cost_model`";
    let map = Map::read(node, what, &COST_MODEL_KEYS, cx.report)?;
    let base: Vec<Option<Amount>> = RATES
        .iter()
        .map(|(key, _)| rate(map.need(key, what, cx.report)?, &format!("`{key}`"), cx))
        .collect();
    let mut over: BTreeMap<String, Vec<Option<Amount>>> = BTreeMap::new();
    if let Some(node) = map.get("region_overrides") {
        for entry in read::entries(node, "`region_overrides`", cx.report).unwrap_or_default() {
            let what = format!("region `{}`", entry.key);
            let map = Map::read(&entry.value, &what, &REGION_KEYS, cx.report)?;
            let own = RATES
                .iter()
                .map(|(key, _)| map.get(key).and_then(|node| rate(node, &format!("`{key}`"), cx)));
            over.insert(entry.key.clone(), own.collect());
        }
    }
    let own = region.and_then(|region| over.remove(region)).unwrap_or_else(|| vec![None; 4]);
    own.into_iter().zip(base).map(|(own, base)| own.or(base)).collect()
}

/// What the metrics are called.
fn names(map: &Map<'_>, cx: &mut Cx<'_>) -> Option<BTreeMap<&'static str, String>> {
    let keys = METRIC_NAMES.map(|(key, _)| key);
    let own = match map.get("metric_names") {
        Some(node) => Some(Map::read(node, "`metric_names`", &keys, cx.report)?),
        None => None,
    };
    let name = |(key, usual): (&'static str, &str)| {
        let node = own.as_ref().and_then(|own| own.get(key));
        let name = node.map_or(Some(usual.to_owned()), |node| {
            read::parsed(node, &format!("`{key}`"), cx.report, |text| {
                let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let legal =
                    text.chars().all(legal) && !text.starts_with(|c: char| c.is_ascii_digit());
                if legal { Ok(text.to_owned()) } else { Err("write the name of a metric") }
            })
        });
        Some((key, name?))
    };
    METRIC_NAMES.into_iter().map(name).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum From {
    Metrics,
    Listed,
    Both,
}

fn identities(
    (node, at): (Option<&Node>, &Place),
    above: &str,
    generic: bool,
    cx: &mut Cx<'_>,
) -> Option<MeasuredIdentities> {
    let what = "`identity_source`";
    let empty = Node { at: at.clone(), value: Value::Map(Vec::new()) };
    let map = Map::read(node.unwrap_or(&empty), what, &IDENTITY_KEYS, cx.report)?;
    let words = [("prometheus", From::Metrics), ("static", From::Listed), ("both", From::Both)];
    let from = map
        .get("source")
        .map_or(Some(From::Metrics), |node| read::word(node, "`source`", &words, cx.report));
    let mut text = |key: &str, usual: &str| match map.get(key) {
        Some(node) => read::text(node, &format!("`{key}`"), cx.report).map(str::to_owned),
        None => Some(usual.to_owned()),
    };
    let label = text("label", PRINCIPAL);
    let default_team = text("default_team", NO_TEAM);
    let query = text("discovery_query", "").map(|text| (!text.is_empty()).then_some(text));
    let charges = [("principal", Charge::Principal), ("team", Charge::Team)];
    let charge = map
        .get("charge")
        .map_or(Some(Charge::Principal), |node| read::word(node, "`charge`", &charges, cx.report));
    let mut teams = BTreeMap::new();
    if let Some(node) = map.get("principal_to_team") {
        for entry in read::entries(node, "`principal_to_team`", cx.report).unwrap_or_default() {
            let team = read::text(&entry.value, &format!("team of `{}`", entry.key), cx.report);
            teams.insert(entry.key.clone(), team?.to_owned());
        }
    }
    let mut listed = Vec::new();
    if let Some(node) = map.get("static_identities") {
        for node in read::list(node, "`static_identities`", cx.report).unwrap_or_default() {
            listed.push(listed_identity(node, cx)?);
        }
    }
    let (from, query) = (from?, query?);
    let measured = from != From::Listed;
    if from != From::Metrics && listed.is_empty() {
        let text = format!("{above} lists no identities");
        cx.report.at(map.at, text, "add `static_identities`, or write `source: prometheus`");
    }
    if from == From::Metrics && !listed.is_empty() {
        let text = "`static_identities` count for nothing with `source: prometheus`";
        cx.report.at(map.at, text, "write `source: both`, or remove them");
    }
    if generic && measured && query.is_none() {
        let text = format!("{above} lacks `discovery_query` in {what}");
        let mend =
            "add one, such as `group by (principal) (requests_total)`, or write `source: static`";
        cx.report.at(map.at, text, mend);
    }
    if !generic && let (Some(_), Some(node)) = (&query, map.get("discovery_query")) {
        let text = "`discovery_query` is not for this kind";
        cx.report.at(&node.at, text, "remove it: who moved bytes is known");
    }
    Some(MeasuredIdentities {
        measured,
        query,
        label: label?,
        listed,
        teams,
        default_team: default_team?,
        charge: charge?,
    })
}

fn listed_identity(node: &Node, cx: &mut Cx<'_>) -> Option<ListedIdentity> {
    let what = "an entry of `static_identities`";
    let map = Map::read(node, what, &LISTED_KEYS, cx.report)?;
    let id = map
        .need("identity_id", what, cx.report)
        .and_then(|node| read::text(node, "`identity_id`", cx.report));
    let mut text =
        |key: &str| map.get(key).and_then(|node| read::text(node, &format!("`{key}`"), cx.report));
    let kind = text("identity_type").unwrap_or(PRINCIPAL).to_owned();
    let (display_name, team) = (text("display_name"), text("team"));
    let (display_name, team) = (display_name.map(str::to_owned), team.map(str::to_owned));
    Some(ListedIdentity { id: id?.to_owned(), kind, display_name, team })
}

fn cost_type(node: &Node, cx: &mut Cx<'_>) -> Option<(MeasuredCost, Option<UsageQuery>)> {
    let what = "an entry of `cost_types`";
    let map = Map::read(node, what, &COST_KEYS, cx.report)?;
    let mut text = |key: &str| {
        let node = map.need(key, what, cx.report)?;
        read::text(node, &format!("`{key}`"), cx.report).map(str::to_owned)
    };
    let (name, category) = (text("name"), text("product_category"));
    let price = map.need("rate", what, cx.report).and_then(|node| rate(node, "`rate`", cx));
    let quantity = map.need("cost_quantity", what, cx.report).and_then(|node| quantity(node, cx));
    let words = [("even_split", false), ("usage_ratio", true)];
    let by_usage = map
        .need("allocation_strategy", what, cx.report)
        .and_then(|node| read::word(node, "`allocation_strategy`", &words, cx.report))?;
    let mut usage = None;
    if by_usage {
        let query = map
            .need("allocation_query", what, cx.report)
            .and_then(|node| read::text(node, "`allocation_query`", cx.report));
        let label = map
            .get("allocation_label")
            .map_or(Some(PRINCIPAL), |node| read::text(node, "`allocation_label`", cx.report));
        let (metric, query) = (name.clone()?, query?.to_owned());
        usage = Some(UsageQuery { metric, query, label: label?.to_owned() });
    } else if let Some(node) = map.get("allocation_query").or(map.get("allocation_label")) {
        let text = "an even split asks for no usage";
        cx.report.at(&node.at, text, "remove it, or write `allocation_strategy: usage_ratio`");
    }
    let (product_type, category) = (name?, category?);
    Some((MeasuredCost { product_type, category, rate: price?, quantity: quantity? }, usage))
}

fn quantity(node: &Node, cx: &mut Cx<'_>) -> Option<MeasuredQuantity> {
    let what = "`cost_quantity`";
    let map = Map::read(node, what, &QUANTITY_KEYS, cx.report)?;
    let words = [("fixed", 0), ("storage_gib", 1), ("network_gib", 2)];
    let kind = map
        .need("type", what, cx.report)
        .and_then(|node| read::word(node, "`type`", &words, cx.report))?;
    let (key, other) = if kind == 0 { ("count", "query") } else { ("query", "count") };
    if let Some(node) = map.get(other) {
        let text = format!("`{other}` is not for this type of quantity");
        cx.report.at(&node.at, text, format!("write `{key}` instead"));
    }
    let node = map.need(key, what, cx.report)?;
    if kind == 0 {
        return rate(node, "`count`", cx).map(|count| MeasuredQuantity::Fixed { count });
    }
    let query = read::text(node, "`query`", cx.report)?.to_owned();
    Some(if kind == 1 {
        MeasuredQuantity::StorageGib { query }
    } else {
        MeasuredQuantity::NetworkGib { query }
    })
}
