//! What an emitter's files are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::ids::{SourceId, TenantId};
use crate::time::UnitDate;

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Tenant,
    Source,
    /// `2026-05-01`.
    Date,
    /// `2026-05`.
    Month,
}

const PLACEHOLDERS: [(&str, Placeholder); 4] = [
    ("tenant", Placeholder::Tenant),
    ("source", Placeholder::Source),
    ("date", Placeholder::Date),
    ("month", Placeholder::Month),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Of(Placeholder),
}

/// A file's path below the emitter's `dir`, with the placeholders `{tenant}`, `{source}`, `{date}` and `{month}`.
///
/// Without `{date}` a file holds a whole month. Text and serde form: as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    text: String,
    pieces: Vec<Piece>,
}

/// A text that names no files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileNameError {
    /// Something else in braces.
    #[error("`{0}` stands for nothing: there are {{tenant}}, {{source}}, {{date}} and {{month}}")]
    Placeholder(String),
    /// A brace without the other.
    #[error("a `{{` or `}}` stands alone: write placeholders as {{date}}")]
    Brace,
    /// One name for all time.
    #[error("every date would be written to the same file: add {{date}} or {{month}}")]
    Timeless,
    /// Out of the folder, or not a name.
    #[error(
        "write a path below `dir`: no `/` at an end, no `.` or `..` between, no control characters"
    )]
    Path,
}

impl FileName {
    /// `{tenant}_{source}_{date}` or, for months, `{tenant}_{source}_{month}`, with an ending.
    #[must_use]
    pub fn usual(monthly: bool, ending: &str) -> Self {
        let time = if monthly { "month" } else { "date" };
        let usual = format!("{{tenant}}_{{source}}_{{{time}}}.{ending}");
        usual.parse().expect("it has known placeholders and stays in its folder")
    }

    /// Whether a file holds a month instead of a date.
    #[must_use]
    pub fn is_monthly(&self) -> bool {
        !self.pieces.contains(&Piece::Of(Placeholder::Date))
    }

    /// The path of a date's file, or its month's, with `/` between folders.
    #[must_use]
    pub fn of(&self, tenant: &TenantId, source: &SourceId, date: UnitDate) -> String {
        let date = date.to_string();
        let month = date.rsplit_once('-').map_or(date.as_str(), |(month, _)| month).to_owned();
        self.filled(tenant, source, (&date, &month))
    }

    fn filled(&self, tenant: &TenantId, source: &SourceId, (date, month): (&str, &str)) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Of(Placeholder::Tenant) => tenant.to_string(),
            Piece::Of(Placeholder::Source) => source.to_string(),
            Piece::Of(Placeholder::Date) => date.to_owned(),
            Piece::Of(Placeholder::Month) => month.to_owned(),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, placeholder) = rest.split_at(at);
            let inner = placeholder.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) = inner.ok_or(FileNameError::Brace)?;
            let found = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
            let (_, found) =
                found.ok_or_else(|| FileNameError::Placeholder(format!("{{{name}}}")))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Of(*found));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let timed =
            |piece: &Piece| matches!(piece, Piece::Of(Placeholder::Date | Placeholder::Month));
        if !pieces.iter().any(timed) {
            return Err(FileNameError::Timeless);
        }
        // Ids and dates hold neither slashes nor dots, so the template tells.
        let inside = text.split('/').all(|name| !matches!(name, "" | "." | ".."));
        if !inside || text.chars().any(char::is_control) {
            return Err(FileNameError::Path);
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for FileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<(bool, String), String> {
        let name: FileName = text.parse().map_err(|error: FileNameError| error.to_string())?;
        let (tenant, source) = (TenantId::parse("acme").unwrap(), SourceId::parse("aws").unwrap());
        assert_eq!(name.to_string(), text);
        Ok((name.is_monthly(), name.of(&tenant, &source, "2026-05-01".parse().unwrap())))
    }

    #[test]
    fn placeholders_are_filled_and_without_a_date_a_file_is_a_month() {
        let usual = |monthly| named(&FileName::usual(monthly, "csv").to_string()).unwrap();
        assert_eq!(usual(false), (false, "acme_aws_2026-05-01.csv".into()));
        assert_eq!(usual(true), (true, "acme_aws_2026-05.csv".into()));
        let folders = named("{source}/{month}/{tenant}-{date}.csv").unwrap();
        assert_eq!(folders, (false, "aws/2026-05/acme-2026-05-01.csv".into()));
        assert_eq!(named("Kosten {month}.csv").unwrap(), (true, "Kosten 2026-05.csv".into()));
    }

    #[test]
    fn what_names_no_files_is_refused() {
        let refused = |text: &str| named(text).unwrap_err();
        assert!(refused("{day}.csv").starts_with("`{day}` stands for nothing"));
        assert!(refused("{date.csv").starts_with("a `{` or `}` stands alone"));
        assert!(refused("a}{date}").starts_with("a `{` or `}` stands alone"));
        assert!(
            refused("{tenant}.csv").starts_with("every date would be written to the same file")
        );
        for text in ["../{date}", "/{date}", "a/./{date}", "{date}/", "a//{date}", "{date}\n"] {
            assert!(refused(text).starts_with("write a path below `dir`"), "{text}");
        }
    }
}
