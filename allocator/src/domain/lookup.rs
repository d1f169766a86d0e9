//! Tables, compiled: key cells to values in force on a date, then patterns.

use std::collections::HashMap;

use proto::config::{KeyPattern, Table, Validity};
use proto::time::UnitDate;
use regex::Regex;

use super::error::CompileError;
use super::normalise::{compile_glob, compile_regex};

/// Stands between the cells of a key: no cell holds it in any sensible bill.
pub const KEY_SEPARATOR: char = '\u{1f}';

/// A table whose keys are looked up on lines.
#[derive(Debug)]
pub struct Lookup {
    rows: HashMap<String, Vec<(Validity, String)>>,
    patterns: Vec<(Regex, Filled)>,
}

/// A value, and what gives it.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'l> {
    /// The row that holds on these days.
    Row(&'l Validity, &'l str),
    /// The pattern at that place.
    Pattern(usize, String),
}

/// The value of a pattern.
#[derive(Debug)]
enum Filled {
    /// As it stands.
    Plain(String),
    /// With what the groups of the regular expression found.
    Template(String),
}

impl Lookup {
    /// Compiles the table `name`.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn compile(table: &Table, name: &str) -> Result<Self, CompileError> {
        let place = || format!("table {name}");
        let mut rows: HashMap<String, Vec<(Validity, String)>> = HashMap::new();
        for row in &table.rows {
            rows.entry(join(&row.key)).or_default().push((row.valid, row.value.clone()));
        }
        let pattern = |p: &proto::config::TablePattern| match &p.pattern {
            KeyPattern::Regex(regex) => {
                Ok((compile_regex(regex, place)?, Filled::Template(p.value.clone())))
            }
            KeyPattern::Glob(glob) => {
                Ok((compile_glob(glob, place)?, Filled::Plain(p.value.clone())))
            }
        };
        let patterns = table.patterns.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { rows, patterns })
    }

    /// The value for a key (see [`join`]) on a date; `None` when neither row nor pattern fits.
    pub fn get(&self, key: &str, date: UnitDate) -> Option<String> {
        self.find(key, date).map(|found| match found {
            Found::Row(_, value) => value.to_owned(),
            Found::Pattern(_, value) => value,
        })
    }

    /// The same, and where it comes from.
    pub fn find(&self, key: &str, date: UnitDate) -> Option<Found<'_>> {
        let row = self.rows.get(key).into_iter().flatten().find(|(valid, _)| valid.contains(date));
        if let Some((valid, value)) = row {
            return Some(Found::Row(valid, value));
        }
        self.patterns.iter().enumerate().find_map(|(place, (regex, value))| {
            let value = match value {
                Filled::Plain(value) => regex.is_match(key).then(|| value.clone()),
                Filled::Template(template) => regex.captures(key).map(|found| {
                    let mut value = String::new();
                    found.expand(template, &mut value);
                    value
                }),
            };
            value.map(|value| Found::Pattern(place, value))
        })
    }
}

/// One text of the cells of a key.
pub fn join<S: AsRef<str>>(cells: &[S]) -> String {
    let mut key = String::new();
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            key.push(KEY_SEPARATOR);
        }
        key.push_str(cell.as_ref());
    }
    key
}

#[cfg(test)]
mod tests {
    use proto::config::{TablePattern, TableRow};

    use super::*;

    #[test]
    fn rows_of_the_date_come_before_patterns() {
        let row = |key: &str, from: Option<&str>, until: Option<&str>, value: &str| TableRow {
            key: vec![key.to_owned()],
            valid: Validity {
                from: from.map(|d| d.parse().unwrap()),
                until: until.map(|d| d.parse().unwrap()),
            },
            value: value.to_owned(),
        };
        let pattern = |pattern, value: &str| TablePattern { pattern, value: value.to_owned() };
        let table = Table {
            key: vec!["principal".to_owned()],
            value: "team".to_owned(),
            rows: vec![
                row("User:svc-old-1", None, Some("2026-07-01"), "first"),
                row("User:svc-old-1", Some("2026-07-01"), Some("2026-08-01"), "second"),
            ],
            patterns: vec![
                pattern(
                    KeyPattern::Regex("^User:svc-(?P<team>[a-z]+)-[a-z0-9-]+$".to_owned()),
                    "$team",
                ),
                pattern(KeyPattern::Glob("User:connect-*".to_owned()), "data-$platform"),
            ],
        };
        let lookup = Lookup::compile(&table, "principals").unwrap();
        let get = |key, date: &str| lookup.get(key, date.parse().unwrap());
        assert_eq!(get("User:svc-old-1", "2026-06-30").as_deref(), Some("first"));
        assert_eq!(get("User:svc-old-1", "2026-07-01").as_deref(), Some("second"));
        assert_eq!(get("User:svc-old-1", "2026-08-01").as_deref(), Some("old"));
        assert_eq!(get("User:connect-x", "2026-01-01").as_deref(), Some("data-$platform"));
        assert_eq!(get("User:x", "2026-01-01"), None);
        assert_eq!(join(&["a", "b"]), "a\u{1f}b");
    }
}
