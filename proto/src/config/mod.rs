//! The canonical, secret-free, resolved configuration of a tenant.
//!
//! What users write (YAML, CSV tables) is read and checked by the coordinator; what every other process sees is
//! this: one value per tenant that holds all contents (tables, owners, the sources' built-in rules) and whose bytes
//! are hashed. Lists without an order of their own are sorted, so equal meaning gives equal bytes; what is not set is
//! left out, so a field that a later version adds changes no hash until it is used.
//!
//! | file | what |
//! |---|---|
//! | [`source`] | sources with the settings of their kind |
//! | [`field`] | what a rule can look at |
//! | [`matching`] | match trees and patterns |
//! | [`rule`] | rules, chains, tiers |
//! | [`table`] | tables, owner directory, virtual tags |
//! | [`driver`] | weights from outside a unit |
//! | [`ledger`] | which cost of other units counts, and the stages of rules that count it |
//! | [`ledger_match`] | which lines that is, by what the ledger keeps of them |
//! | [`emitter`] | where visible dates go |
//! | [`file_name`] | what an emitter's files are called |
//! | [`confluent`] | settings of kind `confluent_cloud` |
//! | [`http`] | servers that are asked over HTTP |
//! | [`metric_driver`] | what is asked for the weights of metric drivers |
//! | [`metrics`] | where metrics come from |
//! | [`measured`] | settings of the kinds whose costs are measured |
//! | [`timing`] | when a source is gathered, and by when its dates are to be visible |
//! | [`trial`] | the tests that users write beside their rules |
//! | [`hashing`] | which hash changes when |
//! | [`resolving`] | which settings resolutions are made with |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::ids::{SourceId, TenantId};
use crate::money::Amount;
use crate::time::UnitDate;

pub mod confluent;
pub mod driver;
pub mod emitter;
pub mod field;
pub mod file_name;
pub mod hashing;
pub mod http;
pub mod ledger;
pub mod ledger_match;
pub mod matching;
pub mod measured;
pub mod metric_driver;
pub mod metrics;
pub mod resolving;
pub mod rule;
pub mod source;
pub mod table;
pub mod timing;
pub mod trial;
mod visible;

#[cfg(test)]
mod tests;

pub use confluent::{ConfluentSettings, FlinkRegion};
pub use driver::{CostWindow, Driver, MetricOwner, SourceScope};
pub use emitter::{Aggregation, EmitterConfig, FileFormat};
pub use field::{Field, FieldError};
pub use hashing::{CanonicalError, ENGINE_VERSION};
pub use http::{HttpAuth, HttpServer, SecretPlace};
pub use matching::{Match, Pattern};
pub use measured::{
    Charge, Discovered, Discovery, ListedIdentity, MeasuredCost, MeasuredIdentities,
    MeasuredQuantity, MeasuredSettings, UsageQuery,
};
pub use metrics::{MetricsConfig, MetricsKind};
pub use rule::{
    CostShare, FixedShares, Part, Reason, Receivers, ResolutionSet, Rule, StatedTier, Tier, Usage,
};
pub use source::{Duplicates, FocusSettings, SourceConfig, SourceSettings, SyntheticSettings};
pub use table::{
    KeyPattern, Normaliser, OwnerRow, Owners, Table, TablePattern, TableRow, VirtualTag,
};
pub use timing::{Schedule, Sla, Timing};
pub use trial::{RuleTest, TestLine};

/// Everything that is configured for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantConfig {
    /// Whose configuration this is.
    pub tenant: TenantId,
    /// Expected currencies, sorted. Empty: any. A line in another one is kept and warned about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub currency: Vec<Currency>,
    /// Only dates of the last so many days (today included) are gathered. `None`: all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback_days: Option<u32>,
    /// The youngest so many days are not gathered yet. `None`: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff_days: Option<u32>,
    /// Months that lie further back than so many days are removed once nothing of them is to be done. `None`: all are
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Dates younger than this are `estimated`. `None`: a unit is final at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_after_days: Option<u32>,
    /// What a quarantined line does to its date.
    #[serde(default)]
    pub on_bad_line: OnBadLine,
    /// Where bills come from, sorted by id. Never empty.
    pub sources: Vec<SourceConfig>,
    /// Who can pay. `None`: the owner is the identity's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Owners>,
    /// Virtual tags by name, used as `vtag.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, VirtualTag>,
    /// Tables by name, with their contents.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Table>,
    /// Groups of owners by name; members sorted, without repetition, never empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Drivers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drivers: BTreeMap<String, Driver>,
    /// The user's rules, in order. The built-in rules stand in each [`SourceConfig`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocation: Vec<Rule>,
    /// The user's tests of the rules, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<RuleTest>,
    /// Where visible dates go, sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emitters: Vec<EmitterConfig>,
    /// When deletions and withdrawals wait for a person.
    #[serde(default)]
    pub guards: Guards,
}

/// What a quarantined line does to its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadLine {
    /// The line is set aside and counted; the rest of the date goes on.
    #[default]
    Quarantine,
    /// The date does not become visible while it has a quarantined line; what is visible of it stays. A line whose date
    /// cannot be read holds no date.
    Hold,
}

/// When deletions and withdrawals wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// So many gathers in a row that find nothing before anything is deleted. `None`: never.
    pub zero_gather_threshold: Option<u32>,
    /// And so many seconds since the first of them.
    pub min_wall_seconds: u64,
    /// A drop of more than this percentage waits likewise. 0 to 100.
    pub max_drop_percent: Amount,
}

impl Default for Guards {
    fn default() -> Self {
        let twenty = Amount::parse("20").expect("20 is a decimal number");
        Self { zero_gather_threshold: Some(3), min_wall_seconds: 86_400, max_drop_percent: twenty }
    }
}

/// Days for which something holds: from `from` (included) to `until` (not included).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Validity {
    /// First day. `None`: since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<UnitDate>,
    /// First day after. `None`: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnitDate>,
}

impl Validity {
    /// Whether it holds on that day.
    #[must_use]
    pub fn contains(&self, date: UnitDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.until.is_none_or(|until| date < until)
    }
    /// Whether some day lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let before = |until: Option<UnitDate>, from: Option<UnitDate>| matches!((until, from), (Some(until), Some(from)) if until <= from);
        !before(self.until, other.from) && !before(other.until, self.from)
    }
}

impl TenantConfig {
    /// The source with that id.
    #[must_use]
    pub fn source(&self, id: &SourceId) -> Option<&SourceConfig> {
        self.sources.iter().find(|source| source.id == *id)
    }

    /// The rules that a line of `source` meets on `date`, in order: the user's, the source's built-in ones, the
    /// source's default chain (which matches every line). The first that matches decides.
    #[must_use]
    pub fn rules_in_force<'a>(&'a self, source: &'a SourceConfig, date: UnitDate) -> Vec<&'a Rule> {
        let user = self.allocation.iter().filter(|rule| rule.holds(&source.id, date));
        user.chain(&source.built_in_rules).chain([&source.default_rule]).collect()
    }
}
