//! Virtual tags.

use std::collections::BTreeMap;

use proto::config::{Normaliser, VirtualTag};

use super::matching;
use super::problem::Place;
use super::read::{self, Cx, Map};
use super::yaml::{Node, Value};

/// Keys of a virtual tag.
pub const TAG_KEYS: [&str; 2] = ["from", "values"];
/// Keys of a normaliser that is a map.
pub const NORMALISER_KEYS: [&str; 4] = ["strip_prefix", "alias", "regex", "to"];

/// Reads `tags`; gives the places of their names too.
pub fn tags(node: &Node, cx: &mut Cx<'_>) -> (BTreeMap<String, VirtualTag>, Vec<(String, Place)>) {
    let mut tags = BTreeMap::new();
    let mut places = Vec::new();
    for entry in read::entries(node, "`tags`", cx.report).unwrap_or_default() {
        let what = format!("virtual tag `{}`", entry.key);
        places.push((format!("vtag.{}", entry.key), entry.key_at.clone()));
        let Some(map) = Map::read(&entry.value, &what, &TAG_KEYS, cx.report) else { continue };
        let from = map.need("from", &what, cx.report).map(|node| read::fields(node, "`from`", cx));
        let values = map.get("values").and_then(|node| read::list(node, "`values`", cx.report));
        let values =
            values.unwrap_or_default().iter().filter_map(|node| normaliser(node, cx)).collect();
        if let Some(from) = from {
            tags.insert(entry.key.clone(), VirtualTag { from, values });
        }
    }
    (tags, places)
}

fn normaliser(node: &Node, cx: &mut Cx<'_>) -> Option<Normaliser> {
    if let Value::Text { .. } = &node.value {
        let words = [("trim", Normaliser::Trim), ("lowercase", Normaliser::Lowercase)];
        return read::word(node, "a normaliser", &words, cx.report);
    }
    let map = Map::read(node, "a normaliser", &NORMALISER_KEYS, cx.report)?;
    let parts = (map.get("strip_prefix"), map.get("alias"), map.get("regex"), map.get("to"));
    match parts {
        (Some(prefix), None, None, None) => {
            let Value::Text { text, .. } = &prefix.value else {
                read::text(prefix, "`strip_prefix`", cx.report)?;
                return None;
            };
            Some(Normaliser::StripPrefix(text.clone()))
        }
        (None, Some(alias), None, None) => {
            let entries = read::entries(alias, "`alias`", cx.report)?;
            let pair = |entry: &super::yaml::Entry, cx: &mut Cx<'_>| {
                read::text(&entry.value, "an alias", cx.report)
                    .map(|to| (entry.key.trim().to_owned(), to.to_owned()))
            };
            Some(Normaliser::Alias(entries.iter().filter_map(|entry| pair(entry, cx)).collect()))
        }
        (None, None, Some(regex), Some(to)) => {
            let compiled = matching::regex(regex, cx.report)?;
            let Value::Text { text, .. } = &to.value else {
                read::text(to, "`to`", cx.report)?;
                return None;
            };
            matching::replacement(text, &compiled, &to.at, cx.report);
            Some(Normaliser::Regex { regex: compiled.as_str().to_owned(), to: text.clone() })
        }
        _ => {
            let mend = "write trim, lowercase, { strip_prefix: TEXT }, { alias: { FROM: TO } } or { regex: R, to: T }";
            cx.report.at(map.at, "this is not one normaliser", mend);
            None
        }
    }
}
