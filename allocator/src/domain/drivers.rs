//! Weights of drivers, as the unit under way is given them.

use std::collections::BTreeMap;

use proto::config::TableRow;
use proto::money::Amount;
use proto::time::UnitDate;

use super::prepare::rows_of;
use super::trace::Input;

/// Weights of drivers, by name and owner. A driver that is a table needs none: the program holds its rows.
#[derive(Debug, Clone, Default)]
pub struct DriverWeights {
    /// What there is.
    pub given: BTreeMap<String, BTreeMap<String, Amount>>,
    /// Whether what is not there is still to come; else it is missing.
    pub pending: bool,
}

impl DriverWeights {
    /// The weights of a driver on a date, for who asks why. `table`: its rows, where the configuration holds them.
    pub fn listed(&self, name: &str, table: Option<&[TableRow]>, date: UnitDate) -> Vec<Input> {
        let weight = |(owner, weight): (&str, Amount)| {
            (format!("weight of {owner}"), Some(weight.to_string()))
        };
        match (self.given.get(name), table) {
            (Some(given), _) => {
                given.iter().map(|(owner, of)| weight((owner.as_str(), *of))).collect()
            }
            // What is no number fails the line, and says so there.
            (None, Some(rows)) => {
                rows_of(rows, date, "").unwrap_or_default().into_iter().map(weight).collect()
            }
            (None, None) => Vec::new(),
        }
    }
}
