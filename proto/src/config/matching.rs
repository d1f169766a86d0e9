//! Which lines a rule takes.

use serde::{Deserialize, Serialize};

use super::field::Field;
use crate::money::Amount;

/// A tree of conditions on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// All must hold. Empty: every line.
    All(Vec<Match>),
    /// One must hold. Never empty.
    Any(Vec<Match>),
    /// The field's value must fit.
    Field(Field, Pattern),
}

impl Match {
    /// Matches every line.
    #[must_use]
    pub fn every_line() -> Self {
        Self::All(Vec::new())
    }

    /// Whether every line matches, whatever it holds.
    #[must_use]
    pub fn is_every_line(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(Self::is_every_line),
            Self::Any(parts) => parts.iter().any(Self::is_every_line),
            Self::Field(..) => false,
        }
    }
}

/// What a value must be. A value is *absent* when it is missing, empty after trimming, or `NULL`; only
/// [`Pattern::Absent`] and [`Pattern::Not`] can hold for an absent value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Equal to this text, case and all.
    Exact(String),
    /// A text with `*` (any characters, `/` too) and `?` (one character).
    Glob(String),
    /// One of these. Never empty.
    AnyOf(Vec<Pattern>),
    /// There is a value.
    Present,
    /// There is none.
    Absent,
    /// The regular expression is found in the value (anchors are the writer's).
    Regex(String),
    /// The pattern does not hold.
    Not(Box<Pattern>),
    /// The value is a decimal number within these bounds (both not included); at least one is set.
    Compare {
        /// Greater than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gt: Option<Amount>,
        /// Less than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lt: Option<Amount>,
    },
}

impl Pattern {
    /// The pattern of a bare text: a glob if it holds `*` or `?`, else exact.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        if text.contains(['*', '?']) {
            Self::Glob(text.to_owned())
        } else {
            Self::Exact(text.to_owned())
        }
    }
}
