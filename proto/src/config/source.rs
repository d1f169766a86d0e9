//! Sources: where bills come from.

use serde::{Deserialize, Serialize};

use super::confluent::ConfluentSettings;
use super::field::Field;
use super::measured::MeasuredSettings;
use super::metrics::MetricsConfig;
use super::rule::Rule;
use super::timing::Timing;
use crate::ids::SourceId;
use crate::line::Measure;
use crate::time::UnitDate;

/// One configured ecosystem plugin of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceConfig {
    /// Its id, unique in the tenant.
    pub id: SourceId,
    /// Kind and settings.
    pub settings: SourceSettings,
    /// Where its metrics come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// When it is gathered, and by when its dates are to be visible.
    #[serde(default, skip_serializing_if = "Timing::is_empty")]
    pub timing: Timing,
    /// Rules that the kind brings along; they come after the user's. Always valid, for this source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub built_in_rules: Vec<Rule>,
    /// The kind's default chain: the last rule, matches every line, always applies.
    pub default_rule: Rule,
}

/// A kind of source with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSettings {
    /// FOCUS Cost and Usage files.
    Focus(FocusSettings),
    /// Seeded lines and resolutions: the yardstick of benchmarks.
    Synthetic(SyntheticSettings),
    /// A Kafka cluster of one's own, by its metrics.
    SelfManagedKafka(MeasuredSettings),
    /// Anything that has metrics, with a price list.
    GenericMetrics(MeasuredSettings),
    /// An organization at Confluent Cloud.
    ConfluentCloud(ConfluentSettings),
    /// A kind that an earlier build knew but did not run: its versions are still read. Running refuses it.
    Unbuilt {
        /// The kind's name.
        kind: String,
        /// Its settings file, relative to the configuration folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<String>,
    },
}

/// Settings of kind `focus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FocusSettings {
    /// Globs, relative to the configuration folder, in the order written; each must match at least one file.
    pub files: Vec<String>,
    /// Which measure is a line's amount.
    pub cost: Measure,
    /// What a bare `direct` looks at, in order. Empty: a bare `direct` never applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner: Vec<Field>,
    /// What to do about files with the same bytes.
    #[serde(default)]
    pub duplicates: Duplicates,
}

/// Settings of kind `synthetic`: one line per date, resource and product; `fanout` rows for each line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyntheticSettings {
    /// The same seed gives the same lines.
    pub seed: u64,
    /// First date.
    pub start: UnitDate,
    /// Number of dates, 1 or more.
    pub dates: u32,
    /// Resources per date, 1 or more.
    pub resources: u32,
    /// Products per resource, 1 or more.
    pub products: u32,
    /// Identities of each resolution, so rows per line; 1 to `identities`.
    pub fanout: u32,
    /// Identities that exist, 1 or more.
    pub identities: u32,
}

impl SyntheticSettings {
    /// The metric that the usage products are shared by.
    pub const METRIC: &'static str = "usage";

    /// Product type number `index`: even numbers are shared evenly (`even_*`), odd ones by usage (`usage_*`). The
    /// built-in rules of the kind match these names.
    #[must_use]
    pub fn product_type(index: u32) -> String {
        let word = if index.is_multiple_of(2) { "even" } else { "usage" };
        format!("{word}_{index}")
    }
}

/// What to do about files with the same bytes. (One file that two globs match is read once in any case.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The gather fails and names both.
    #[default]
    Error,
    /// Both count.
    Allow,
}

impl SourceSettings {
    /// The settings of a kind whose costs are measured.
    #[must_use]
    pub fn measured(&self) -> Option<&MeasuredSettings> {
        match self {
            Self::SelfManagedKafka(settings) | Self::GenericMetrics(settings) => Some(settings),
            Self::Focus(_)
            | Self::Synthetic(_)
            | Self::ConfluentCloud(_)
            | Self::Unbuilt { .. } => None,
        }
    }
}

impl SourceConfig {
    /// The kind's name, as users write it and as outputs call the ecosystem.
    #[must_use]
    pub fn kind(&self) -> &str {
        match &self.settings {
            SourceSettings::Focus(_) => "focus",
            SourceSettings::Synthetic(_) => "synthetic",
            SourceSettings::SelfManagedKafka(_) => "self_managed_kafka",
            SourceSettings::GenericMetrics(_) => "generic_metrics",
            SourceSettings::ConfluentCloud(_) => "confluent_cloud",
            SourceSettings::Unbuilt { kind, .. } => kind,
        }
    }

    /// Which measure is a line's amount.
    #[must_use]
    pub fn cost(&self) -> Measure {
        match &self.settings {
            SourceSettings::Focus(focus) => focus.cost,
            SourceSettings::Synthetic(_)
            | SourceSettings::SelfManagedKafka(_)
            | SourceSettings::GenericMetrics(_)
            | SourceSettings::ConfluentCloud(_)
            | SourceSettings::Unbuilt { .. } => Measure::Effective,
        }
    }

    /// What a bare `direct` looks at. Empty: it never applies.
    #[must_use]
    pub fn owner_fields(&self) -> &[Field] {
        match &self.settings {
            SourceSettings::Focus(focus) => &focus.owner,
            SourceSettings::Synthetic(_)
            | SourceSettings::SelfManagedKafka(_)
            | SourceSettings::GenericMetrics(_)
            | SourceSettings::ConfluentCloud(_)
            | SourceSettings::Unbuilt { .. } => &[],
        }
    }
}
