//! Drivers.

use std::collections::BTreeMap;

use proto::config::{CostWindow, Driver, MetricOwner, SourceScope};
use proto::ids::{DriverId, SourceId};
use proto::line::Measure;
use proto::money::Amount;

use super::cost_share::{scope, window};
use super::matching;
use super::problem::Place;
use super::read::{self, Cx, Map};
use super::yaml::Node;

/// Keys of a driver.
pub const DRIVER_KEYS: [&str; 5] = ["metric", "source", "owner", "table", "ledger"];
/// Keys of its `owner`.
pub const METRIC_OWNER_KEYS: [&str; 2] = ["table", "key"];
/// Keys of its `ledger`.
pub const LEDGER_KEYS: [&str; 4] = ["sources", "cost", "of", "window"];

/// Reads `drivers`.
pub fn drivers(node: &Node, cx: &mut Cx<'_>) -> BTreeMap<String, Driver> {
    let mut drivers = BTreeMap::new();
    for entry in read::entries(node, "`drivers`", cx.report).unwrap_or_default() {
        if let Err(error) = DriverId::parse(&entry.key) {
            cx.report.at(&entry.key_at, error.to_string(), "rename the driver");
        }
        if let Some(driver) = driver(&entry.value, &format!("driver `{}`", entry.key), cx) {
            drivers.insert(entry.key.clone(), driver);
        }
    }
    drivers
}

fn driver(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Driver> {
    let map = Map::read(node, what, &DRIVER_KEYS, cx.report)?;
    let metric_only = |cx: &mut Cx<'_>| {
        for key in ["source", "owner"] {
            if let Some(node) = map.get(key) {
                cx.report.at(
                    &node.at,
                    format!("`{key}` belongs to a driver with `metric`"),
                    "remove it",
                );
            }
        }
    };
    match (map.get("metric"), map.get("table"), map.get("ledger")) {
        (Some(metric), None, None) => {
            let metric = read::text(metric, "`metric`", cx.report).map(str::to_owned);
            let source = map.need("source", what, cx.report).and_then(|node| {
                let id = read::parsed(node, "`source`", cx.report, SourceId::parse)?;
                read::known(id.as_str(), &node.at, "source", cx.names.sources.as_ref(), cx.report);
                Some(id)
            });
            let owner = match map.get("owner") {
                Some(node) => Some(metric_owner(node, cx)?),
                None => None,
            };
            Some(Driver::Metric { metric: metric?, source: source?, owner })
        }
        (None, Some(table), None) => {
            metric_only(cx);
            let name = read::text(table, "`table`", cx.report)?;
            read::known(name, &table.at, "table", cx.names.tables.as_ref(), cx.report);
            check_weights(name, &table.at, cx);
            Some(Driver::Table { table: name.to_owned() })
        }
        (None, None, Some(ledger)) => {
            metric_only(cx);
            self::ledger(ledger, cx)
        }
        _ => {
            let what = format!("{what} needs exactly one of `metric`, `table` and `ledger`");
            cx.report.at(map.at, what, "say where its weights come from");
            None
        }
    }
}

fn metric_owner(node: &Node, cx: &mut Cx<'_>) -> Option<MetricOwner> {
    let map = Map::read(node, "`owner`", &METRIC_OWNER_KEYS, cx.report)?;
    let (table_node, key) =
        (map.need("table", "`owner`", cx.report), map.need("key", "`owner`", cx.report));
    let table = read::text(table_node?, "`table`", cx.report)?;
    let at = &table_node?.at;
    read::known(table, at, "table", cx.names.tables.as_ref(), cx.report);
    if cx.names.contents.get(table).is_some_and(|table| table.key.len() != 1) {
        cx.report.at(
            at,
            format!("table `{table}` has several key columns"),
            "use a table with one key column",
        );
    }
    Some(MetricOwner {
        table: table.to_owned(),
        key: read::text(key?, "`key`", cx.report)?.to_owned(),
    })
}

fn ledger(node: &Node, cx: &mut Cx<'_>) -> Option<Driver> {
    let map = Map::read(node, "`ledger`", &LEDGER_KEYS, cx.report)?;
    let sources = map.get("sources").map_or(Some(SourceScope::All), |node| scope(node, cx));
    let cost = map.get("cost").map(|node| measure(node, cx));
    let of = map.get("of").map(|node| matching::matcher(node, cx));
    let window = map.get("window").map_or(Some(CostWindow::default()), |node| window(node, cx));
    Some(Driver::Ledger {
        sources: sources?,
        cost: cost.map_or(Some(None), |cost| cost.map(Some))?,
        of: of.map_or(Some(None), |of| of.map(Some))?,
        window: window?,
    })
}

/// Reads a measure by its FOCUS column.
pub fn measure(node: &Node, cx: &mut Cx<'_>) -> Option<Measure> {
    let words = Measure::ALL.map(|measure| (measure.column(), measure));
    read::word(node, "`cost`", &words, cx.report)
}

fn check_weights(name: &str, at: &Place, cx: &mut Cx<'_>) {
    let Some(table) = cx.names.contents.get(name) else { return };
    if table.key.len() != 1 || !table.patterns.is_empty() {
        let what = format!("table `{name}` cannot give weights");
        cx.report.at(
            at,
            what,
            "a driver needs a table with one key column (the owner) and no patterns",
        );
    }
    for row in &table.rows {
        if !Amount::parse(&row.value).is_ok_and(|weight| !weight.is_negative()) {
            let what =
                format!("table `{name}` gives `{}` the weight {:?}", row.key.concat(), row.value);
            cx.report.at(at, what, "write a decimal number, 0 or more");
        }
    }
}
