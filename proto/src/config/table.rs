//! Tables, the owner directory and virtual tags: how a value becomes an owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Validity;
use super::field::Field;

/// A table with its contents: key columns to one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Names of the key columns, in order; never empty. As `table.NAME` in a rule each names a [`Field`].
    pub key: Vec<String>,
    /// Name of the value column.
    pub value: String,
    /// Sorted by key, then validity. Equal keys never overlap in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<TableRow>,
    /// Tried in order after no row fits; only with one key column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<TablePattern>,
}

/// One row of a table. Cells are trimmed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRow {
    /// One cell per key column, none empty.
    pub key: Vec<String>,
    /// When the row holds (`valid_from`, and `valid_to` as the first day after).
    #[serde(default)]
    pub valid: Validity,
    /// The value cell, not empty.
    pub value: String,
}

/// A pattern over the key, with the value that it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePattern {
    /// What the key must look like.
    pub pattern: KeyPattern,
    /// The value; after a regular expression `$1`, `$name` and `${name}` stand for what its groups found (users write
    /// `$${name}` for the last, as `${name}` is a variable of the environment).
    pub value: String,
}

/// What a key must look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPattern {
    /// A regular expression that is found in the key.
    Regex(String),
    /// `*` and `?` as in a match.
    Glob(String),
}

/// The owner directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// An owner that is not listed makes a tier not apply; else it stays itself, with a warning.
    pub strict: bool,
    /// Sorted by id, then validity. Equal ids (or aliases) never overlap in time.
    pub rows: Vec<OwnerRow>,
}

/// One owner for some days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnerRow {
    /// Who pays; never `UNALLOCATED`.
    pub id: String,
    /// When this row holds (`valid_from`, and `valid_to` as the first day after).
    #[serde(default)]
    pub valid: Validity,
    /// Other values that mean this owner, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `team`, `department`, … in the user's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The owner above, if any: an id of the directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// Cost centre.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cost_center: String,
    /// Account in the general ledger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gl_code: String,
    /// Where statements go.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
}

/// A tag made from others: the first field that has a value, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualTag {
    /// Looked at in order; never empty.
    pub from: Vec<Field>,
    /// Applied in order to what was found. An empty result counts as absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Normaliser>,
}

/// One step of normalising a tag's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normaliser {
    /// White space at both ends goes.
    Trim,
    /// Lower case.
    Lowercase,
    /// The prefix goes, where the value has it.
    StripPrefix(String),
    /// The whole value is replaced where it is listed.
    Alias(BTreeMap<String, String>),
    /// Every find of `regex` is replaced by `to` (`$1`, `$name` and `${name}` stand for groups).
    Regex {
        /// What to find.
        regex: String,
        /// What stands there instead.
        to: String,
    },
}
