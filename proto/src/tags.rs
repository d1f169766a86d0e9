//! Tags of a line: a flat JSON object in one text cell.

use serde_json::Value;

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

/// The value of the tag `key`: keys compare trimmed and without case, an exact match first, empty values last.
#[must_use]
pub fn get<'t>(tags: &'t [(String, String)], key: &str) -> Option<&'t str> {
    let exact = tags.iter().filter(|(k, _)| k == key);
    let wanted = key.trim().to_lowercase();
    let loose = tags.iter().filter(|(k, _)| k != key && k.trim().to_lowercase() == wanted);
    exact.chain(loose).map(|(_, v)| v.trim()).find(|v| !v.is_empty())
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
}
