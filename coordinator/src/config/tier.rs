//! Chains and tiers.

use std::collections::BTreeMap;

use proto::config::{FixedShares, Part, Reason, Receivers, ResolutionSet, Tier, Usage};
use proto::money::Amount;

use super::cost_share;
use super::names;
use super::percent_table;
use super::problem::{Place, suggest};
use super::read::{self, Cx, Map};
use super::scalar;
use super::stated::{self, STATED_KEYS};
use super::yaml::{Entry, Node, Value};

/// Tiers that stand alone.
pub const TIER_WORDS: [&str; 3] = ["direct", "resource", "unallocated"];
/// Tiers with settings.
pub const TIER_KEYS: [&str; 8] = [
    "direct",
    "even",
    "usage_ratio",
    "fixed",
    "in_proportion_to_cost",
    "composition",
    "resource",
    "unallocated",
];
/// Keys of a composition's part.
pub const PART_KEYS: [&str; 2] = ["percent", "chain"];

/// Reads a chain. The last tier of what it gives always applies.
pub fn chain(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<Tier>> {
    let nodes = read::list(node, "`chain`", cx.report)?;
    let mut tiers: Vec<Tier> = Vec::new();
    let mut good = true;
    for node in nodes {
        if tiers.last().is_some_and(|last| always_applies(last, cx)) {
            let what = "this tier is never reached: the one before it always applies";
            cx.report.at(&node.at, what, "remove it, or put it before");
        }
        match tier(node, tiers.last(), cx) {
            Some(tier) => tiers.push(tier),
            None => good = false,
        }
    }
    if !tiers.last().is_some_and(|last| always_applies(last, cx)) {
        tiers.push(Tier::Unallocated(Reason::after(tiers.last())));
    }
    good.then_some(tiers)
}

/// Whether a tier takes every line. Owners that a strict directory does not list on a date make their tier not apply.
fn always_applies(tier: &Tier, cx: &Cx<'_>) -> bool {
    match tier {
        Tier::Unallocated(_) | Tier::Composition(_) => true,
        Tier::Even(Receivers::Group(_)) | Tier::Fixed(FixedShares::Inline(_)) => {
            cx.names.strict_owners.is_none()
        }
        Tier::Direct { .. }
        | Tier::Even(Receivers::Set(_))
        | Tier::UsageRatio(_)
        | Tier::Fixed(FixedShares::Table(_))
        | Tier::InProportionToCost(_)
        | Tier::Resource => false,
        Tier::Stated(stated) => always_applies(&stated.tier, cx),
    }
}

fn tier(node: &Node, before: Option<&Tier>, cx: &mut Cx<'_>) -> Option<Tier> {
    if let Value::Text { text, .. } = &node.value {
        return match text.trim() {
            "direct" => Some(Tier::Direct { fields: Vec::new() }),
            "resource" => Some(Tier::Resource),
            "unallocated" => Some(Tier::Unallocated(Reason::after(before))),
            other => {
                let mend = if TIER_KEYS.contains(&other) {
                    format!("`{other}` needs to know more: write {{ {other}: … }}")
                } else {
                    suggest(other, TIER_WORDS.iter().chain(&TIER_KEYS).copied())
                };
                cx.report.at(
                    &node.at,
                    format!("there is no tier `{other}` that stands alone"),
                    mend,
                );
                None
            }
        };
    }
    let keys = [&TIER_KEYS[..], &STATED_KEYS[..]].concat();
    let map = Map::read(node, "a tier", &keys, cx.report)?;
    let all = read::entries(node, "a tier", cx.report)?;
    let (says, tiers): (Vec<&Entry>, Vec<&Entry>) =
        all.iter().partition(|entry| STATED_KEYS.contains(&entry.key.as_str()));
    let [Entry { key, value, .. }] = tiers[..] else {
        let (what, mend) = if tiers.is_empty() && !says.is_empty() {
            ("the tier says what its rows say, but not what it does", "add a tier: `even: SET`")
        } else {
            ("a tier has exactly one key", "put each tier into a list entry of its own")
        };
        cx.report.at(map.at, what, mend);
        return None;
    };
    map.get(key)?;
    let tier = tier_of(key, value, cx);
    if says.is_empty() { tier } else { stated::stated(&map, tier?, cx) }
}

fn tier_of(key: &str, value: &Node, cx: &mut Cx<'_>) -> Option<Tier> {
    match key {
        "direct" => {
            let fields = read::fields(value, "`direct`", cx);
            (!fields.is_empty()).then_some(Tier::Direct { fields })
        }
        "even" => even(value, cx).map(Tier::Even),
        "usage_ratio" => usage(value, cx).map(Tier::UsageRatio),
        "fixed" => fixed(value, cx).map(Tier::Fixed),
        "in_proportion_to_cost" => cost_share::cost_share(value, cx).map(Tier::InProportionToCost),
        "composition" => composition(value, cx).map(Tier::Composition),
        "resource" => read::word(value, "`resource`", &[("true", Tier::Resource)], cx.report),
        "unallocated" => {
            let reasons = Reason::ALL.map(|reason| (reason.as_str(), reason));
            read::word(value, "the reason", &reasons, cx.report).map(Tier::Unallocated)
        }
        _ => None,
    }
}

fn even(node: &Node, cx: &mut Cx<'_>) -> Option<Receivers> {
    let name = read::text(node, "`even`", cx.report)?;
    if let Some(set) = ResolutionSet::ALL.into_iter().find(|set| set.as_str() == name) {
        return Some(Receivers::Set(set));
    }
    if let Some(groups) = &cx.names.groups
        && !groups.contains(name)
    {
        let sets = ResolutionSet::ALL.map(ResolutionSet::as_str);
        let mend = suggest(name, groups.iter().map(String::as_str).chain(sets));
        cx.report.at(&node.at, format!("there is no group or resolution set `{name}`"), mend);
    }
    Some(Receivers::Group(name.to_owned()))
}

fn usage(node: &Node, cx: &mut Cx<'_>) -> Option<Usage> {
    if let Value::Text { .. } = &node.value {
        let name = read::text(node, "`usage_ratio`", cx.report)?;
        read::known(name, &node.at, "driver", cx.names.drivers.as_ref(), cx.report);
        return Some(Usage::Driver(name.to_owned()));
    }
    let map = Map::read(node, "`usage_ratio`", &["metric"], cx.report)?;
    let mut metrics =
        read::texts(map.need("metric", "`usage_ratio`", cx.report)?, "`metric`", cx.report);
    metrics.sort();
    metrics.dedup();
    (!metrics.is_empty()).then_some(Usage::Metric(metrics))
}

fn fixed(node: &Node, cx: &mut Cx<'_>) -> Option<FixedShares> {
    let entries = read::entries(node, "`fixed`", cx.report)?;
    if let [Entry { key, value, .. }] = entries
        && key == "table"
        && let Value::Text { text, .. } = &value.value
        && scalar::percent(text).is_err()
    {
        let name = read::text(value, "`table`", cx.report)?;
        read::known(name, &value.at, "table", cx.names.tables.as_ref(), cx.report);
        percent_table::check(name, &value.at, cx);
        return Some(FixedShares::Table(name.to_owned()));
    }
    let mut shares: BTreeMap<String, Amount> = BTreeMap::new();
    let (mut percents, mut good) = (Vec::new(), true);
    for Entry { key, key_at, value } in entries {
        names::owner(key, key_at, &cx.names, cx.report);
        match read::percent(value, &format!("the percentage of `{key}`"), cx.report) {
            Some(percent) => {
                shares.insert(key.clone(), percent);
                percents.push((percent, &value.at));
            }
            None => good = false,
        }
    }
    if good {
        check_sum("`fixed`", &node.at, &percents, cx);
    }
    good.then_some(FixedShares::Inline(shares))
}

fn composition(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<Part>> {
    let nodes = read::list(node, "`composition`", cx.report)?;
    let mut percents = Vec::new();
    let mut parts = Vec::new();
    for node in nodes {
        let Some(map) = Map::read(node, "a part of a composition", &PART_KEYS, cx.report) else {
            continue;
        };
        let percent_node = map.need("percent", "the part", cx.report);
        let percent = percent_node.and_then(|node| read::percent(node, "`percent`", cx.report));
        let chain = map.need("chain", "the part", cx.report).and_then(|node| chain(node, cx));
        if percent.is_some_and(Amount::is_zero)
            && let Some(node) = percent_node
        {
            cx.report.at(&node.at, "a part of 0 percent gets nothing", "remove the part");
        }
        percents.extend(percent.zip(percent_node.map(|node| &node.at)));
        parts.extend(percent.zip(chain).map(|(percent, chain)| Part { percent, chain }));
    }
    if percents.len() == nodes.len() {
        check_sum("`composition`", &node.at, &percents, cx);
    }
    (parts.len() == nodes.len()).then_some(parts)
}

/// Notes percents that do not add to 100: at the one whose change is enough, where there is one, else at `at`.
fn check_sum(what: &str, at: &Place, percents: &[(Amount, &Place)], cx: &mut Cx<'_>) {
    let all: Vec<Amount> = percents.iter().map(|(percent, _)| *percent).collect();
    let Some(sum) = scalar::sum_not_100(&all) else { return };
    let mend = "change them until they add to exactly 100";
    let (at, mend) = match scalar::change_to_100(&all) {
        Some((index, text)) => {
            (percents[index].1, format!("{mend}, for instance this one to `{text}`"))
        }
        None => (at, mend.to_owned()),
    };
    cx.report.at(at, format!("the percents of {what} add to {sum}, not 100"), mend);
}
