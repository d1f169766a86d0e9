//! Match trees and patterns.

use proto::config::{Field, Match, Pattern};
use regex::{Regex, RegexBuilder};

use super::problem::{Place, Report};
use super::read::{self, Cx, Map};
use super::yaml::{Node, Value};

/// Keys of a pattern that is a map.
pub const PATTERN_KEYS: [&str; 4] = ["regex", "not", "gt", "lt"];

/// Most bytes of a compiled regular expression.
pub const REGEX_SIZE: usize = 1 << 20;

/// Reads a match: fields with patterns, and `any` / `all` with nested ones.
pub fn matcher(node: &Node, cx: &mut Cx<'_>) -> Option<Match> {
    let entries = read::entries(node, "`match`", cx.report)?;
    if entries.is_empty() {
        cx.report.at(
            &node.at,
            "`match` is empty",
            "name a field and its pattern, or remove `match` to take every line",
        );
        return None;
    }
    let mut parts = Vec::new();
    for entry in entries {
        let part = match entry.key.as_str() {
            "any" => nested(&entry.value, "`any`", cx).map(Match::Any),
            "all" => nested(&entry.value, "`all`", cx).map(Match::All),
            key => {
                let field = read::field_of(key, &entry.key_at, cx);
                let pattern = pattern(&entry.value, cx);
                if let (Some(Field::Source), Some(pattern)) = (&field, &pattern) {
                    known_sources(pattern, &entry.value.at, cx);
                }
                field.zip(pattern).map(|(field, pattern)| Match::Field(field, pattern))
            }
        };
        parts.push((entry.key.as_str(), part));
    }
    // The order of keys means nothing; one order gives one hash.
    parts.sort_by(|a, b| a.0.cmp(b.0));
    let mut parts: Vec<Match> = parts.into_iter().map(|(_, part)| part).collect::<Option<_>>()?;
    if parts.len() == 1 { parts.pop() } else { Some(Match::All(parts)) }
}

fn nested(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Vec<Match>> {
    let nodes = read::list(node, what, cx.report)?;
    let parts: Vec<Option<Match>> = nodes.iter().map(|node| matcher(node, cx)).collect();
    parts.into_iter().collect()
}

/// A misspelt source would match nothing, silently.
fn known_sources(pattern: &Pattern, at: &Place, cx: &mut Cx<'_>) {
    match pattern {
        Pattern::Exact(name) => {
            read::known(name, at, "source", cx.names.sources.as_ref(), cx.report)
        }
        Pattern::AnyOf(parts) => parts.iter().for_each(|part| known_sources(part, at, cx)),
        Pattern::Not(part) => known_sources(part, at, cx),
        Pattern::Glob(_)
        | Pattern::Present
        | Pattern::Absent
        | Pattern::Regex(_)
        | Pattern::Compare { .. } => {}
    }
}

fn pattern(node: &Node, cx: &mut Cx<'_>) -> Option<Pattern> {
    match &node.value {
        Value::Text { text, quoted: false } if text == "present" => Some(Pattern::Present),
        Value::Text { text, quoted: false } if text == "absent" => Some(Pattern::Absent),
        Value::Text { text, .. } if text.trim().is_empty() => {
            cx.report.at(
                &node.at,
                "an empty pattern matches nothing",
                "write `absent` for lines without a value",
            );
            None
        }
        Value::Text { text, .. } => Some(Pattern::of_text(text.trim())),
        Value::Null => {
            cx.report.at(
                &node.at,
                "the pattern is missing",
                "write a text (in quotes if it is `null`), `present` or `absent`",
            );
            None
        }
        Value::List(_) => {
            let nodes = read::list(node, "a list of patterns", cx.report)?;
            let parts: Vec<Option<Pattern>> = nodes.iter().map(|node| pattern(node, cx)).collect();
            Some(Pattern::AnyOf(parts.into_iter().collect::<Option<_>>()?))
        }
        Value::Map(_) => {
            let map = Map::read(node, "a pattern", &PATTERN_KEYS, cx.report)?;
            match (map.get("regex"), map.get("not"), map.get("gt"), map.get("lt")) {
                (Some(node), None, None, None) => {
                    Some(Pattern::Regex(regex(node, cx.report)?.as_str().to_owned()))
                }
                (None, Some(node), None, None) => Some(Pattern::Not(Box::new(pattern(node, cx)?))),
                (None, None, gt, lt) if gt.is_some() || lt.is_some() => {
                    let gt = gt.map(|node| read::amount(node, "`gt`", cx.report));
                    let lt = lt.map(|node| read::amount(node, "`lt`", cx.report));
                    Some(Pattern::Compare {
                        gt: gt.map_or(Some(None), |gt| gt.map(Some))?,
                        lt: lt.map_or(Some(None), |lt| lt.map(Some))?,
                    })
                }
                _ => {
                    cx.report.at(
                        map.at,
                        "this is not one pattern",
                        "write { regex: R }, { not: PATTERN } or { gt: N, lt: N }",
                    );
                    None
                }
            }
        }
    }
}

/// Reads a regular expression.
pub fn regex(node: &Node, report: &mut Report) -> Option<Regex> {
    let text = match &node.value {
        Value::Text { text, .. } if !text.is_empty() => text,
        Value::Text { .. } | Value::Null | Value::List(_) | Value::Map(_) => {
            read::text(node, "`regex`", report)?;
            return None;
        }
    };
    match RegexBuilder::new(text).size_limit(REGEX_SIZE).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            report.at(
                &node.at,
                format!("the regular expression {text:?} is not understood: {last}"),
                mended(text),
            );
            None
        }
    }
}

/// How to mend an expression: closed, where that is what it lacks.
fn mended(text: &str) -> String {
    let closings = [")", "]", "])", "}", "))"].map(|end| format!("{text}{end}"));
    let found = closings
        .iter()
        .find(|closed| RegexBuilder::new(closed).size_limit(REGEX_SIZE).build().is_ok());
    match found {
        Some(closed) => format!("close what was opened, for instance: `{closed}`"),
        None => "mend it (look-around and back-references do not exist here)".to_owned(),
    }
}

/// Checks that a replacement names only groups that the expression has.
pub fn replacement(text: &str, regex: &Regex, at: &Place, report: &mut Report) {
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name = match rest.strip_prefix('{') {
            Some(braced) => braced.split('}').next().unwrap_or_default(),
            None => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                &rest[..end]
            }
        };
        let known = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|group| group == name),
        };
        if !known && !name.is_empty() {
            let what = format!("`${name}` names no group of the regular expression");
            report.at(
                at,
                what,
                "name a group that it has, in braces if letters follow; write $$ for a plain $",
            );
        }
    }
}
