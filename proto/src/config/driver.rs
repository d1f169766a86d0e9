//! Drivers: weights per identity or owner that come from outside a unit.

use serde::{Deserialize, Serialize};

use super::matching::Match;
use crate::ids::SourceId;
use crate::line::Measure;

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// A metrics query at a source, usable for the cost of any.
    Metric {
        /// The query, in the source's language.
        metric: String,
        /// The source that is asked.
        source: SourceId,
        /// How a series' labels become an owner. `None`: they stay an identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<MetricOwner>,
    },
    /// A table of the configuration: owner to weight.
    Table {
        /// Its name.
        table: String,
    },
    /// Cost that the ledger already holds, per owner.
    Ledger {
        /// Lines of which sources count.
        #[serde(default)]
        sources: SourceScope,
        /// Which measure. `None`: each source's own `cost`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Measure>,
        /// Which lines count. `None`: those with ChargeCategory `Usage`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Match>,
        /// Lines of which days count.
        #[serde(default)]
        window: CostWindow,
    },
}

/// Turns a label of a metric into an owner through a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricOwner {
    /// A table of the configuration with one key column.
    pub table: String,
    /// The label that holds the key.
    pub key: String,
}

/// Lines of which sources count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceScope {
    /// Of the line's own source.
    #[default]
    Own,
    /// Of all sources of the tenant.
    All,
    /// Of these, sorted, never empty.
    These(Vec<SourceId>),
}

/// Lines of which days count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostWindow {
    /// The line's charge period: a month's tax is shared by its month.
    #[default]
    ChargePeriod,
    /// The line's date.
    Date,
    /// The line's billing period.
    BillingPeriod,
    /// So many days up to and including the line's date.
    TrailingDays(u32),
}
