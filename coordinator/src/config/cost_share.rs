//! `in_proportion_to_cost`, and what it shares with ledger drivers: which lines of which sources and days count.

use proto::config::{CostShare, CostWindow, SourceScope};

use super::matching;
use super::read::{self, Cx, Map};
use super::rule::source_ids;
use super::scalar;
use super::yaml::{Node, Value};

/// Keys of `in_proportion_to_cost`.
pub const COST_SHARE_KEYS: [&str; 6] = ["driver", "within", "of", "to", "sources", "window"];

/// Reads the settings of `in_proportion_to_cost`.
pub fn cost_share(node: &Node, cx: &mut Cx<'_>) -> Option<CostShare> {
    let map = Map::read(node, "`in_proportion_to_cost`", &COST_SHARE_KEYS, cx.report)?;
    let within =
        map.get("within").map(|node| read::fields(node, "`within`", cx)).unwrap_or_default();
    if let Some(driver) = map.get("driver") {
        if let Some(other) = ["of", "to", "sources", "window"].iter().find_map(|key| map.get(key)) {
            let mend = "with `driver` only `within` may stand here; the driver says the rest";
            cx.report.at(&other.at, "the driver already says which cost counts", mend);
        }
        let name = read::text(driver, "`driver`", cx.report)?;
        read::known(name, &driver.at, "driver", cx.names.drivers.as_ref(), cx.report);
        return Some(CostShare::Driver { driver: name.to_owned(), within });
    }
    let of = match map.get("of") {
        Some(node) => Some(matching::matcher(node, cx)?),
        None => None,
    };
    let to = map.get("to").and_then(|node| {
        let name = read::text(node, "`to`", cx.report)?;
        read::known(name, &node.at, "group", cx.names.groups.as_ref(), cx.report);
        Some(name.to_owned())
    });
    let sources = map.get("sources").map_or(Some(SourceScope::Own), |node| scope(node, cx));
    let window = map.get("window").map_or(Some(CostWindow::default()), |node| window(node, cx));
    Some(CostShare::Ledger { of, within, to, sources: sources?, window: window? })
}

/// Reads `sources`: `all`, or ids.
pub fn scope(node: &Node, cx: &mut Cx<'_>) -> Option<SourceScope> {
    match &node.value {
        Value::Text { text, .. } if text == "all" => Some(SourceScope::All),
        Value::Null | Value::Text { .. } | Value::List(_) | Value::Map(_) => {
            source_ids(node, "`sources`", cx).map(SourceScope::These)
        }
    }
}

/// Reads `window`.
pub fn window(node: &Node, cx: &mut Cx<'_>) -> Option<CostWindow> {
    read::parsed(node, "`window`", cx.report, |text| match text {
        "charge_period" => Ok(CostWindow::ChargePeriod),
        "date" => Ok(CostWindow::Date),
        "billing_period" => Ok(CostWindow::BillingPeriod),
        _ => match text.strip_prefix("trailing ").map(|days| scalar::days(days.trim())) {
            Some(Ok(days)) if days > 0 => Ok(CostWindow::TrailingDays(days)),
            _ => Err(
                "write charge_period, date, billing_period, or trailing and days, such as trailing 30d",
            ),
        },
    })
}
