//! Rules, and the days on which rules with one id hold.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{Match, Rule, Validity};
use proto::ids::SourceId;

use super::matching;
use super::problem::{Place, Report};
use super::read::{self, Cx, Map};
use super::tier;
use super::yaml::Node;

/// Keys of a rule.
pub const RULE_KEYS: [&str; 5] = ["id", "source", "match", "valid", "chain"];
/// Keys of `valid`.
pub const VALID_KEYS: [&str; 2] = ["from", "until"];

/// Reads `allocation`. `built_in`: ids that users may not take.
pub fn rules(node: &Node, built_in: &BTreeSet<String>, cx: &mut Cx<'_>) -> Vec<Rule> {
    let nodes = read::list(node, "`allocation`", cx.report).unwrap_or_default();
    let mut rules = Vec::new();
    for node in nodes {
        let Some((rule, at)) = rule(node, cx) else { continue };
        if built_in.contains(&rule.id) {
            let what = format!("`{}` is the id of a built-in rule", rule.id);
            cx.report.at(&at, what, "choose another id; your rules come before the built-in ones");
        }
        rules.push((rule, at));
    }
    check_days(&rules, cx.report);
    rules.into_iter().map(|(rule, _)| rule).collect()
}

/// Reads one rule; gives the place of its id too.
pub fn rule(node: &Node, cx: &mut Cx<'_>) -> Option<(Rule, Place)> {
    let map = Map::read(node, "a rule", &RULE_KEYS, cx.report)?;
    let id_node = map.need("id", "the rule", cx.report);
    let id = id_node.and_then(|node| read::parsed(node, "the rule's `id`", cx.report, rule_id));
    let sources =
        map.get("source").map_or(Some(Vec::new()), |node| source_ids(node, "`source`", cx));
    let matcher =
        map.get("match").map_or(Some(Match::every_line()), |node| matching::matcher(node, cx));
    let valid = map.get("valid").map_or(Some(Validity::default()), |node| validity(node, cx));
    let chain = map.need("chain", "the rule", cx.report).and_then(|node| tier::chain(node, cx));
    let rule = Rule { id: id?, sources: sources?, matcher: matcher?, valid: valid?, chain: chain? };
    Some((rule, id_node?.at.clone()))
}

fn rule_id(text: &str) -> Result<String, &'static str> {
    if text.len() > 120 || text.chars().any(char::is_control) {
        return Err("write one line of at most 120 bytes");
    }
    Ok(text.to_owned())
}

/// Ids of sources that exist, sorted.
pub fn source_ids(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Vec<SourceId>> {
    let mut ids = BTreeSet::new();
    let mut good = true;
    for node in read::one_or_many(node, what, cx.report) {
        match read::parsed(node, what, cx.report, SourceId::parse) {
            Some(id) => {
                read::known(id.as_str(), &node.at, "source", cx.names.sources.as_ref(), cx.report);
                ids.insert(id);
            }
            None => good = false,
        }
    }
    (good && !ids.is_empty()).then(|| ids.into_iter().collect())
}

fn validity(node: &Node, cx: &mut Cx<'_>) -> Option<Validity> {
    let map = Map::read(node, "`valid`", &VALID_KEYS, cx.report)?;
    let from = map.get("from").map(|node| read::date(node, "`from`", cx.report));
    let until = map.get("until").map(|node| read::date(node, "`until`", cx.report));
    let valid = Validity {
        from: from.map_or(Some(None), |d| d.map(Some))?,
        until: until.map_or(Some(None), |d| d.map(Some))?,
    };
    match (valid.from, valid.until) {
        (None, None) => {
            cx.report.at(
                map.at,
                "`valid` has neither `from` nor `until`",
                "write one of them, or remove `valid`",
            );
            None
        }
        (Some(from), Some(until)) if until <= from => {
            let what = format!("the rule ends ({until}) before it begins ({from})");
            cx.report.at(map.at, what, "`until` is the first day on which it no longer holds");
            None
        }
        _ => Some(valid),
    }
}

/// Rules with one id must follow each other day by day.
fn check_days(rules: &[(Rule, Place)], report: &mut Report) {
    let mut by_id: BTreeMap<&str, Vec<(&Validity, &Place)>> = BTreeMap::new();
    for (rule, at) in rules {
        by_id.entry(&rule.id).or_default().push((&rule.valid, at));
    }
    for (id, mut versions) in by_id {
        versions.sort_by_key(|(valid, at)| (**valid, at.line));
        for pair in versions.windows(2) {
            let [(first, first_at), (second, second_at)] = pair else { continue };
            let later = if first_at.line > second_at.line { first_at } else { second_at };
            if first.overlaps(second) {
                let (a, b) = (first_at.line.min(second_at.line), days(first, second));
                let what = format!("two rules have the id `{id}`{b}, first in line {a}");
                let free = free_id(id, rules);
                let mend = format!(
                    "give one another id, for instance this one `{free}`, or days that do not overlap: valid: {{ from: …, until: … }}"
                );
                report.at(later, what, mend);
            } else if first.until != second.from
                && let (Some(until), Some(from)) = (first.until, second.from)
            {
                let what = format!("no rule `{id}` holds from {until} until {from}");
                report.at(later, what, "close the gap: let `until` of one be `from` of the next");
            }
        }
    }
}

/// An id that no rule has: `id-2`, `id-3`, …
fn free_id(id: &str, rules: &[(Rule, Place)]) -> String {
    let mut ids = (2..=rules.len() + 2).map(|number| format!("{id}-{number}"));
    let free = ids.find(|new| rules.iter().all(|(rule, _)| rule.id != *new));
    free.unwrap_or_default()
}

/// The days on which both hold, for a message.
fn days(first: &Validity, second: &Validity) -> String {
    let until = match (first.until, second.until) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    };
    match (first.from.max(second.from), until) {
        (None, None) => String::new(),
        (Some(from), None) => format!(" from {from} on"),
        (None, Some(until)) => format!(" until {until}"),
        (Some(from), Some(until)) => format!(" from {from} until {until}"),
    }
}
