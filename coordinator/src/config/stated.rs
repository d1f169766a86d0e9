//! What the rows of a tier say instead of what they would, and which identities it takes.

use proto::config::{Receivers, StatedTier, Tier};
use proto::row::CostType;

use super::problem::Report;
use super::read::{self, Cx, Map};
use super::yaml::Node;

/// Keys that may stand beside a tier's own.
pub const STATED_KEYS: [&str; 4] = ["cost_type", "method", "detail", "identity_types"];

/// Reads what stands beside a tier.
pub fn stated(map: &Map<'_>, tier: Tier, cx: &mut Cx<'_>) -> Option<Tier> {
    if let Tier::Composition(_) | Tier::Unallocated(_) = tier {
        let (what, mend) = if let Tier::Composition(_) = tier {
            ("a composition has no rows of its own", "its chains")
        } else {
            ("`unallocated` always says its reason", "the tier before")
        };
        let mend =
            format!("move {} to {mend}", STATED_KEYS.map(|key| format!("`{key}`")).join(", "));
        cx.report.at(map.at, what, mend);
        return None;
    }
    let types = map.get("identity_types");
    if let Some(node) = types
        && !matches!(tier, Tier::Even(Receivers::Set(_)))
    {
        let what = "`identity_types` stands beside `even` of a resolution's set only";
        cx.report.at(&node.at, what, "remove it, or write `even: tenant_period` or another set");
        return None;
    }
    let words = [CostType::Usage, CostType::Shared].map(|kind| (kind.word(), kind));
    let cost_type = map.get("cost_type");
    let cost_type = cost_type.map(|node| read::word(node, "`cost_type`", &words, cx.report));
    let mut text = |key: &str| {
        map.get(key).map(|node| read::parsed(node, &format!("`{key}`"), cx.report, word))
    };
    let (method, detail) = (text("method"), text("detail"));
    let types = types.map(|node| identity_types(node, cx.report));
    Some(Tier::Stated(Box::new(StatedTier {
        tier,
        identity_types: types.map_or(Some(Vec::new()), |types| types)?,
        cost_type: cost_type.map_or(Some(None), |kind| kind.map(Some))?,
        method: method.map_or(Some(None), |text| text.map(Some))?,
        detail: detail.map_or(Some(None), |text| text.map(Some))?,
    })))
}

fn identity_types(node: &Node, report: &mut Report) -> Option<Vec<String>> {
    let nodes = read::one_or_many(node, "`identity_types`", report);
    let types = nodes.iter().map(|node| read::parsed(node, "`identity_types`", report, word));
    let mut types = types.collect::<Option<Vec<String>>>()?;
    types.sort();
    types.dedup();
    (!types.is_empty()).then_some(types)
}

/// Words that programs read: rows are counted by them.
fn word(text: &str) -> Result<String, &'static str> {
    let of_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(of_word)
        && text.len() <= 64
    {
        Ok(text.to_owned())
    } else {
        Err("write a word of at most 64 small letters, digits and _, such as no_metrics_located")
    }
}
