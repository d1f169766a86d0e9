//! Reading nodes: every reader notes what is wrong and goes on, so that one run reports everything.

use std::collections::BTreeSet;
use std::path::Path;

use proto::config::field::{FIELD_WORDS, FOCUS_COLUMNS};
use proto::config::{Field, FieldError};
use proto::money::Amount;
use proto::time::UnitDate;

use super::names::Names;
use super::problem::{Place, Report, suggest};
use super::scalar;
use super::yaml::{Entry, Node, Value};

/// What readers share while one tenant is read.
pub struct Cx<'a> {
    /// The configuration folder.
    pub dir: &'a Path,
    /// What is wrong so far.
    pub report: &'a mut Report,
    /// What can be referred to.
    pub names: Names,
}

/// A map with known keys.
#[derive(Debug, Clone, Copy)]
pub struct Map<'n> {
    /// Where it starts.
    pub at: &'n Place,
    entries: &'n [Entry],
}

impl<'n> Map<'n> {
    /// Reads a map, naming unknown keys and keys without value. `what` stands in messages: "unknown key `x` in {what}".
    pub fn read(node: &'n Node, what: &str, keys: &[&str], report: &mut Report) -> Option<Self> {
        let map = Self { at: &node.at, entries: entries(node, what, report)? };
        for entry in map.entries {
            if !keys.contains(&entry.key.as_str()) {
                let mend = suggest(&entry.key, keys.iter().copied());
                report.at(&entry.key_at, format!("unknown key `{}` in {what}", entry.key), mend);
            } else if matches!(entry.value.value, Value::Null) {
                let key = &entry.key;
                report.at(
                    &entry.key_at,
                    format!("`{key}` has no value"),
                    "write one, or remove the key",
                );
            }
        }
        Some(map)
    }

    /// The value of a key; `None` when it is left out or empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!matches!(entry.value.value, Value::Null)).then_some(&entry.value)
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, what: &str, report: &mut Report) -> Option<&'n Node> {
        if !self.entries.iter().any(|entry| entry.key == key) {
            report.at(self.at, format!("{what} lacks `{key}`"), format!("add `{key}: …`"));
        }
        self.get(key)
    }
}

/// The entries of a map whose keys are names that users choose.
pub fn entries<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Null | Value::Text { .. } | Value::List(_) => {
            report.at(
                &node.at,
                format!("{what} is {}", node.shape()),
                "write a map: `key: value` lines, or { key: value }",
            );
            None
        }
    }
}

/// A text, trimmed, not empty.
pub fn text<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n str> {
    match &node.value {
        Value::Text { text, .. } if text.trim().is_empty() => {
            report.at(&node.at, format!("{what} is empty"), "write a value, or remove the key");
            None
        }
        Value::Text { text, .. } => Some(text.trim()),
        Value::Null | Value::List(_) | Value::Map(_) => {
            let mend = if matches!(node.value, Value::Null) {
                "write a text, in quotes if it is `null`"
            } else {
                "write a text"
            };
            report.at(&node.at, format!("{what} is {}", node.shape()), mend);
            None
        }
    }
}

/// One thing, or a list of them. A list may not be empty.
pub fn one_or_many<'n>(node: &'n Node, what: &str, report: &mut Report) -> &'n [Node] {
    match &node.value {
        Value::List(items) => {
            if items.is_empty() {
                report.at(
                    &node.at,
                    format!("{what} is an empty list"),
                    "write at least one entry, or remove the key",
                );
            }
            items
        }
        Value::Null | Value::Text { .. } | Value::Map(_) => std::slice::from_ref(node),
    }
}

/// A list; it may not be empty.
pub fn list<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            report.at(
                &node.at,
                format!("{what} is an empty list"),
                "write at least one entry, or remove the key",
            );
            None
        }
        Value::List(items) => Some(items),
        Value::Null | Value::Text { .. } | Value::Map(_) => {
            report.at(
                &node.at,
                format!("{what} is {}", node.shape()),
                "write a list: `- entry` lines, or [ entry ]",
            );
            None
        }
    }
}

/// One text, or several.
pub fn texts(node: &Node, what: &str, report: &mut Report) -> Vec<String> {
    let nodes = one_or_many(node, what, report);
    nodes.iter().filter_map(|node| text(node, what, report).map(str::to_owned)).collect()
}

/// A text that `read` understands.
pub fn parsed<T, E: std::fmt::Display>(
    node: &Node,
    what: &str,
    report: &mut Report,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let text = text(node, what, report)?;
    match read(text) {
        Ok(value) => Some(value),
        Err(error) => {
            report.at(&node.at, format!("{what} is {text:?}"), error.to_string());
            None
        }
    }
}

/// `true` or `false`.
pub fn flag(node: &Node, what: &str, report: &mut Report) -> Option<bool> {
    parsed(node, what, report, |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("write true or false"),
    })
}

/// A whole number of at least `least`.
pub fn number<T>(node: &Node, what: &str, least: T, report: &mut Report) -> Option<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    parsed(node, what, report, |text| match text.parse::<T>() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("write a whole number, {least} or more")),
    })
}

/// An amount, exactly.
pub fn amount(node: &Node, what: &str, report: &mut Report) -> Option<Amount> {
    parsed(node, what, report, Amount::parse)
}

/// A percentage, exactly.
pub fn percent(node: &Node, what: &str, report: &mut Report) -> Option<Amount> {
    parsed(node, what, report, scalar::percent)
}

/// A calendar day.
pub fn date(node: &Node, what: &str, report: &mut Report) -> Option<UnitDate> {
    parsed(node, what, report, |text| {
        text.parse::<UnitDate>().map_err(|error| match scalar::date_meant(text) {
            Some(date) => format!("did you mean `{date}`?"),
            None => error.to_string(),
        })
    })
}

/// One of some words, each with its meaning.
pub fn word<T: Clone>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    report: &mut Report,
) -> Option<T> {
    parsed(node, what, report, |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| suggest(text, words.iter().map(|(word, _)| *word)))
    })
}

/// Checks that a name was defined; `kind` is what it names ("group").
pub fn known(
    name: &str,
    at: &Place,
    kind: &str,
    names: Option<&BTreeSet<String>>,
    report: &mut Report,
) {
    if let Some(names) = names
        && !names.contains(name)
    {
        report.at(
            at,
            format!("there is no {kind} `{name}`"),
            suggest(name, names.iter().map(String::as_str)),
        );
    }
}

/// A field of a line, whose names are known.
pub fn field(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Field> {
    let text = text(node, what, cx.report)?;
    field_of(text, &node.at, cx)
}

/// One field, or several.
pub fn fields(node: &Node, what: &str, cx: &mut Cx<'_>) -> Vec<Field> {
    one_or_many(node, what, cx.report).iter().filter_map(|node| field(node, what, cx)).collect()
}

/// A field by its text.
pub fn field_of(text: &str, at: &Place, cx: &mut Cx<'_>) -> Option<Field> {
    let field = match Field::parse(text) {
        Ok(field) => field,
        Err(error) => {
            let known = FOCUS_COLUMNS.iter().chain(&FIELD_WORDS).copied();
            let mend = match (&error, suggest(text, known)) {
                (FieldError::Unknown(_), near) if near.starts_with("did you mean") => near,
                _ => error.to_string(),
            };
            cx.report.at(at, format!("there is no field {text:?}"), mend);
            return None;
        }
    };
    match &field {
        Field::VirtualTag(name) => {
            known(name, at, "virtual tag", cx.names.tags.as_ref(), cx.report)
        }
        Field::Table(name) => {
            known(name, at, "table", cx.names.tables.as_ref(), cx.report);
            let strange = cx
                .names
                .contents
                .get(name)
                .and_then(|table| table.key.iter().find(|key| Field::parse(key).is_err()));
            if let Some(key) = strange {
                let what = format!(
                    "table `{name}` cannot be looked up for a line: its key `{key}` is no field"
                );
                cx.report.at(
                    at,
                    what,
                    "name the key column after a field, such as SubAccountId or tag.team",
                );
            }
        }
        Field::Column(_)
        | Field::Tag(_)
        | Field::Source
        | Field::ProductType
        | Field::ProductCategory
        | Field::ResourceId => {}
    }
    Some(field)
}
