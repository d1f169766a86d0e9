//! Tags of a line: a flat JSON object in one text cell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Tags that cannot be read; the line is kept without tags and counted as a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagsError {
    /// Not JSON at all.
    #[error("tags are not JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("tags are JSON, but not an object of key and value")]
    NotAnObject,
}

/// Key and value of each tag, by key; null values are left out, nested ones kept as JSON text.
///
/// # Errors
/// When the text is no JSON object.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, TagsError> {
    let value: Value = serde_json::from_str(text).map_err(|e| TagsError::Json(e.to_string()))?;
    let Value::Object(map) = value else { return Err(TagsError::NotAnObject) };
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    };
    Ok(map.into_iter().filter_map(|(k, v)| Some((k, text(v)?))).collect())
}

/// The one text of tags, however a bill writes them: keys in order, nothing between, of equal keys the last one.
///
/// # Errors
/// When the text is no JSON object.
pub fn canonical(text: &str) -> Result<String, TagsError> {
    let json = |error: serde_json::Error| TagsError::Json(error.to_string());
    match serde_json::from_str(text).map_err(json)? {
        // Sorted here, whatever order its maps keep.
        Value::Object(map) => {
            serde_json::to_string(&map.iter().collect::<BTreeMap<_, _>>()).map_err(json)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(TagsError::NotAnObject)
        }
    }
}

/// The value of the tag `key`: keys compare trimmed and without case, an exact match first, empty values last.
#[must_use]
pub fn get<'t>(tags: &'t [(String, String)], key: &str) -> Option<&'t str> {
    let exact = tags.iter().filter(|(k, _)| k == key);
    let wanted = key.trim().to_lowercase();
    let loose = tags.iter().filter(|(k, _)| k != key && k.trim().to_lowercase() == wanted);
    exact.chain(loose).map(|(_, v)| v.trim()).find(|v| !v.is_empty())
}

/// The text as FOCUS wants key and value: an object without nesting whose keys differ. One that is so comes back to the
/// letter; else nested values become texts of their JSON, and of equal keys the last one counts.
///
/// # Errors
/// When the text is no JSON object.
pub fn flat(text: &str) -> Result<Cow<'_, str>, TagsError> {
    let json = |error: serde_json::Error| TagsError::Json(error.to_string());
    let Ok(Entries(entries)) = serde_json::from_str(text) else {
        serde_json::from_str::<Value>(text).map_err(json)?;
        return Err(TagsError::NotAnObject);
    };
    let (count, mut nested) = (entries.len(), false);
    let flatten = |(key, value): (String, Value)| match value {
        deep @ (Value::Array(_) | Value::Object(_)) => {
            nested = true;
            (key, Value::String(deep.to_string()))
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            (key, plain)
        }
    };
    let map: Map<String, Value> = entries.into_iter().map(flatten).collect();
    if !nested && map.len() == count {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(Value::Object(map).to_string()))
}

/// An object's entries, equal keys included.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_as_people_write_them() {
        let tags = parse(r#"{" team":"b","Team":"","team":"a","n":5,"none":null,"deep":{"x":1}}"#)
            .unwrap();
        assert_eq!(get(&tags, "team"), Some("a"));
        assert_eq!(get(&tags, " team"), Some("b"));
        assert_eq!(get(&tags, "TEAM"), Some("b"));
        assert_eq!(get(&tags, "n"), Some("5"));
        assert_eq!(get(&tags, "deep"), Some(r#"{"x":1}"#));
        assert_eq!(get(&tags, "none"), None);
        assert!(matches!(parse("{oops"), Err(TagsError::Json(_))));
        assert_eq!(parse("[1]"), Err(TagsError::NotAnObject));
    }

    #[test]
    fn tags_have_one_text() {
        for (text, want) in [
            (r#" { "b": 1.10, "a":"\u00e9\/" }"#, r#"{"a":"é/","b":1.10}"#),
            (r#"{"a":1,"b":null,"a":{"d":1,"c":[ ]}}"#, r#"{"a":{"c":[],"d":1},"b":null}"#),
            ("{ }", "{}"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(want));
        }
        assert!(matches!(canonical("{oops"), Err(TagsError::Json(_))));
        assert_eq!(canonical("[1]"), Err(TagsError::NotAnObject));
    }

    #[test]
    fn only_what_is_not_flat_is_rewritten() {
        for same in [r#"{ "b":1.10,"a":null,"c":true }"#, "{}", r#"{"a":"{}"}"#] {
            assert_eq!(flat(same), Ok(Cow::Borrowed(same)));
        }
        let mended = [
            (r#"{"b":[1, 2],"a":{"x":1}}"#, r#"{"a":"{\"x\":1}","b":"[1,2]"}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ];
        for (text, want) in mended {
            assert_eq!(flat(text).unwrap(), want);
        }
        assert!(matches!(flat("{oops"), Err(TagsError::Json(_))));
        assert_eq!(flat("[1]"), Err(TagsError::NotAnObject));
    }
}
