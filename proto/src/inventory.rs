//! Inventory: resources and identities as a gather saw them. Lifetimes are kept by the coordinator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::envelope::{Body, MessageKind};
use crate::time::UtcSeconds;

/// Something that costs money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Provider's id.
    pub id: String,
    /// `kafka_cluster`, `connector`, …: the population that the deletion guard counts.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name for people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The resource that it belongs to.
    #[serde(default)]
    pub parent: Option<String>,
    /// The identity that owns it.
    #[serde(default)]
    pub owner: Option<String>,
    /// When the provider says it began.
    #[serde(default)]
    pub created_at: Option<UtcSeconds>,
    /// When the provider says it ended.
    #[serde(default)]
    pub deleted_at: Option<UtcSeconds>,
    /// Everything else.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Someone who can cause cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Typed id: `service_account:sa-1`, `principal:User:x`.
    pub id: String,
    /// `service_account`, `user`, `principal`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Name for people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// When the provider says it began.
    #[serde(default)]
    pub created_at: Option<UtcSeconds>,
    /// When the provider says it ended.
    #[serde(default)]
    pub deleted_at: Option<UtcSeconds>,
    /// Everything else.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A part of what one gather found; the gather's end says which types were scanned completely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InventoryBatch {
    /// Resources.
    pub resources: Vec<Resource>,
    /// Identities.
    pub identities: Vec<Identity>,
}

impl Body for InventoryBatch {
    const KIND: MessageKind = MessageKind::Inventory;
}
