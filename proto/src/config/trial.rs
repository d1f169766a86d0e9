//! Tests that users write beside their rules: a line, the weights, and who must get what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::field::Field;
use crate::money::Amount;
use crate::time::UnitDate;

/// One test of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTest {
    /// What it is called.
    pub name: String,
    /// The rule that must take the line. `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The line.
    pub line: TestLine,
    /// Weights per driver and owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drivers: BTreeMap<String, BTreeMap<String, Amount>>,
    /// Who must get what; the amounts add to the line's cost. `UNALLOCATED` is an owner here.
    pub expect: BTreeMap<String, Amount>,
}

/// The line of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestLine {
    /// Values of its fields; all others are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Field, String>,
    /// Its amount.
    pub cost: Amount,
    /// Its charge date.
    pub date: UnitDate,
}
