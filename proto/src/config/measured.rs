//! Settings of the kinds whose costs are measured and priced: `self_managed_kafka` and `generic_metrics`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::money::Amount;

/// One cluster, or whatever else is measured as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredSettings {
    /// The resource that lines name, and the key of their resolutions.
    pub cluster: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Currency of the prices.
    pub currency: Currency,
    /// What costs money, one line a day each; never empty, no product type twice.
    pub costs: Vec<MeasuredCost>,
    /// Who used how much.
    pub usage: Vec<UsageQuery>,
    /// Who could have.
    pub identities: MeasuredIdentities,
    /// What is found in the metrics besides the cluster itself.
    pub discovery: Vec<Discovery>,
}

/// A price and what it is multiplied by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredCost {
    /// Product type of its lines.
    pub product_type: String,
    /// Their product category.
    pub category: String,
    /// Price of a unit.
    pub rate: Amount,
    /// Number of units.
    pub quantity: MeasuredQuantity,
}

/// How much there was of something on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredQuantity {
    /// So many, all day: hours.
    Fixed {
        /// How many.
        count: Amount,
    },
    /// Mean of a size in bytes, all day: GiB-hours.
    StorageGib {
        /// Gives the size at a moment.
        query: String,
    },
    /// Bytes that were moved: GiB.
    NetworkGib {
        /// Gives the bytes of the step that ends at a moment.
        query: String,
    },
}

impl MeasuredQuantity {
    /// What has to be asked, if anything.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        match self {
            Self::Fixed { .. } => None,
            Self::StorageGib { query } | Self::NetworkGib { query } => Some(query),
        }
    }
    /// The unit of the quantity.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Fixed { .. } => "Hours",
            Self::StorageGib { .. } => "GiB-Hours",
            Self::NetworkGib { .. } => "GiB",
        }
    }
}

/// A query about the usage of each identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageQuery {
    /// The metric that chains name.
    pub metric: String,
    /// Gives the usage of the step that ends at a moment.
    pub query: String,
    /// The label that says whose.
    pub label: String,
}

/// Who could have caused the costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredIdentities {
    /// Whether those count that the metrics name.
    pub measured: bool,
    /// Gives those that were active at a moment, where usage does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The label that names them.
    pub label: String,
    /// Those that are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<ListedIdentity>,
    /// Team of each principal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, String>,
    /// Team of all others.
    pub default_team: String,
    /// Who is charged.
    #[serde(default)]
    pub charge: Charge,
}

/// An identity that the settings name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedIdentity {
    /// Its id, without its type.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its team; `None`: as with all principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// Who is charged: the principal, or the team that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// The principal; its team is an attribute of it.
    #[default]
    Principal,
    /// The team.
    Team,
}

/// What is found in the metrics of the last hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Type of what is found.
    pub kind: Discovered,
    /// Gives one series for each, at the present moment.
    pub query: String,
    /// The label that names it.
    pub label: String,
}

/// Types of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovered {
    /// A broker of the cluster.
    Broker,
    /// A topic of the cluster.
    Topic,
    /// A principal.
    Principal,
}
