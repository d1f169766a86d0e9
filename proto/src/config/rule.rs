//! Rules: a match and a chain of tiers. The first rule that matches wins, the first tier that applies wins.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Validity;
use super::driver::{CostWindow, SourceScope};
use super::field::Field;
use super::matching::Match;
use crate::ids::SourceId;
use crate::money::Amount;
use crate::row::CostType;
use crate::time::UnitDate;

/// Who gets the cost of which lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id, printed on every row. Several rules may share one when their days neither overlap nor leave a gap.
    pub id: String,
    /// For lines of these sources only, sorted. Empty: of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceId>,
    /// Which lines.
    pub matcher: Match,
    /// On which charge dates.
    #[serde(default)]
    pub valid: Validity,
    /// Tried in order. Never empty; the last tier always applies.
    pub chain: Vec<Tier>,
}

impl Rule {
    /// Whether the rule is there for lines of that source on that date.
    #[must_use]
    pub fn holds(&self, source: &SourceId, date: UnitDate) -> bool {
        (self.sources.is_empty() || self.sources.contains(source)) && self.valid.contains(date)
    }
}

/// One way to find who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The first of these fields with a value names the identity. Empty: the source's `owner` fields.
    Direct {
        /// Looked at in order.
        fields: Vec<Field>,
    },
    /// The same share for each.
    Even(Receivers),
    /// Shares in proportion to weights.
    UsageRatio(Usage),
    /// Stated percents; always applies when its owners are accepted.
    Fixed(FixedShares),
    /// Shares in proportion to cost.
    InProportionToCost(CostShare),
    /// The amount in parts, each with a chain of its own. Always applies.
    Composition(Vec<Part>),
    /// The line's resource is the identity; the owner is UNALLOCATED. Applies when the line has a resource.
    Resource,
    /// Nobody; always applies.
    Unallocated(Reason),
    /// Another tier whose rows say what is stated here.
    Stated(Box<StatedTier>),
}

impl Tier {
    /// The tier, whatever its rows say.
    #[must_use]
    pub fn plain(&self) -> &Self {
        self.stated().map_or(self, |stated| stated.tier.plain())
    }

    /// What its rows say instead of what they would.
    #[must_use]
    pub fn stated(&self) -> Option<&StatedTier> {
        if let Self::Stated(stated) = self { Some(stated) } else { None }
    }
}

/// A tier, and what its rows say instead of what they would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedTier {
    /// What it does: never a composition, `unallocated` or another stated tier.
    pub tier: Tier,
    /// Only identities of these types of a resolution's set share, sorted: `service_account`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_types: Vec<String>,
    /// Usage or shared. `None`: as the tier has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_type: Option<CostType>,
    /// The method of its rows. `None`: the tier's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The detail of its rows. `None`: what was tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Who shares evenly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receivers {
    /// The owners of a group of the configuration.
    Group(String),
    /// Identities of the line's resolution; none: the tier does not apply.
    Set(ResolutionSet),
}

/// A set of identities in a resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionSet {
    /// Tied to the resource in the window.
    ResourceActive,
    /// Seen in the metrics of the window.
    MetricsDerived,
    /// Both of these together.
    MergedActive,
    /// Alive in the tenant in the window.
    TenantPeriod,
}

impl ResolutionSet {
    /// All sets.
    pub const ALL: [Self; 4] =
        [Self::ResourceActive, Self::MetricsDerived, Self::MergedActive, Self::TenantPeriod];

    /// The name that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResourceActive => "resource_active",
            Self::MetricsDerived => "metrics_derived",
            Self::MergedActive => "merged_active",
            Self::TenantPeriod => "tenant_period",
        }
    }
}

/// Weights of `usage_ratio`. Missing, all zero or negative in total: the tier does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// A driver of the configuration.
    Driver(String),
    /// Usage per identity that the line's resolution holds, summed over these metrics. Sorted, never empty.
    Metric(Vec<String>),
}

/// Percents of `fixed`; they add to exactly 100 on every day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixedShares {
    /// By owner, none below 0.
    Inline(BTreeMap<String, Amount>),
    /// A table of the configuration with one key column (the owner) and percents as values; the rows of the date.
    Table(String),
}

/// Weights of `in_proportion_to_cost`: sums per owner over what `direct` or an earlier stage gave. A sum below 0
/// counts 0; nothing above 0, or several currencies: the tier does not apply. A line of which a `within` field is
/// absent has no equals: the tier does not apply to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostShare {
    /// A ledger driver of the configuration.
    Driver {
        /// Its name.
        driver: String,
        /// Fields that must be equal on both sides, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        within: Vec<Field>,
    },
    /// Stated here.
    Ledger {
        /// Which lines count. `None`: those with ChargeCategory `Usage`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Match>,
        /// Fields that must be equal on both sides, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        within: Vec<Field>,
        /// Only owners of this group share. `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Lines of which sources count.
        #[serde(default)]
        sources: SourceScope,
        /// Lines of which days count.
        #[serde(default)]
        window: CostWindow,
    },
}

/// One part of a composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Above 0; the parts of a composition add to exactly 100.
    pub percent: Amount,
    /// Like a rule's chain: never empty, the last tier always applies.
    pub chain: Vec<Tier>,
}

/// Why nobody was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No field that names an owner has a value.
    Untagged,
    /// The value names nobody in the owner directory.
    UnknownOwner,
    /// No weights.
    NoDriver,
    /// The weights are not there yet.
    DriverPending,
    /// No rule says who.
    NoRule,
    /// The allocation failed; the row's detail says why.
    AllocationFailed,
    /// A commitment that was paid and not used.
    UnusedCommitment,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Untagged,
        Self::UnknownOwner,
        Self::NoDriver,
        Self::DriverPending,
        Self::NoRule,
        Self::AllocationFailed,
        Self::UnusedCommitment,
    ];

    /// The name that users write and rows carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untagged => "untagged",
            Self::UnknownOwner => "unknown_owner",
            Self::NoDriver => "no_driver",
            Self::DriverPending => "driver_pending",
            Self::NoRule => "no_rule",
            Self::AllocationFailed => "allocation_failed",
            Self::UnusedCommitment => "unused_commitment",
        }
    }

    /// The reason of a bare `unallocated` after these tiers.
    #[must_use]
    pub fn after(tier: Option<&Tier>) -> Self {
        match tier {
            None => Self::NoRule,
            Some(Tier::Direct { .. }) => Self::Untagged,
            Some(Tier::Even(_) | Tier::UsageRatio(_) | Tier::InProportionToCost(_)) => {
                Self::NoDriver
            }
            Some(Tier::Resource) => Self::NoRule,
            // An owner that the strict directory does not list: the one way in which these do not apply.
            Some(Tier::Fixed(_)) => Self::UnknownOwner,
            Some(Tier::Composition(_)) => Self::NoRule,
            Some(Tier::Unallocated(reason)) => *reason,
            Some(Tier::Stated(stated)) => Self::after(Some(&stated.tier)),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
