//! Inventory: resources and identities as a gather saw them. Lifetimes are kept by the coordinator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::envelope::{BATCH_BYTES, Body, MessageKind};
use crate::hash::Hash128;
use crate::manifest::Manifest;
use crate::time::UtcSeconds;

/// The type of identities that resolutions name and no inventory lists: an account that is gone, or a word for nobody
/// known. Their ids say of what type they would be. No gather touches them.
pub const MADE_UP: &str = "made_up";

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

impl InventoryBatch {
    /// Items in batches of about [`BATCH_BYTES`], in their order.
    #[must_use]
    pub fn cut(
        resources: impl IntoIterator<Item = Resource>,
        identities: impl IntoIterator<Item = Identity>,
    ) -> Vec<Self> {
        let (mut batches, mut bytes) = (vec![Self::default()], 0);
        let mut room = |size: usize, batches: &mut Vec<Self>| {
            if bytes > 0 && bytes + size > BATCH_BYTES {
                bytes = 0;
                batches.push(Self::default());
            }
            bytes += size;
        };
        let pairs = |attributes: &BTreeMap<String, String>| -> usize {
            attributes.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
        };
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        for resource in resources {
            let Resource { id, kind, display_name, parent, owner, attributes, .. } = &resource;
            let texts = text(display_name) + text(parent) + text(owner);
            room(120 + id.len() + kind.len() + texts + pairs(attributes), &mut batches);
            if let Some(batch) = batches.last_mut() {
                batch.resources.push(resource);
            }
        }
        for identity in identities {
            let Identity { id, kind, display_name, attributes, .. } = &identity;
            let size = 100 + id.len() + kind.len() + text(display_name) + pairs(attributes);
            room(size, &mut batches);
            if let Some(batch) = batches.last_mut() {
                batch.identities.push(identity);
            }
        }
        batches.retain(|batch| batch.items() > 0);
        batches
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.resources.len() + self.identities.len()
    }
}

/// What the end of a gather says of the source's inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatheredInventory {
    /// Everything that was found, published under the gather's generation; without batches where `unchanged`.
    pub found: Manifest,
    /// Not published: counts only while the inventory in force has this [`Self::content`].
    pub unchanged: bool,
    /// Types of resources of which everything was found: each service that has some of them was listed whole. Sorted.
    pub resource_types: Vec<String>,
    /// Whether all identities were found: every service was listed whole.
    pub identities: bool,
}

impl GatheredInventory {
    /// Hash of what was found and of what the gather speaks for.
    #[must_use]
    pub fn content(&self) -> Hash128 {
        let found = self.found.hash.to_string();
        let identities = if self.identities { "all identities" } else { "" };
        let types = self.resource_types.iter().map(String::as_str);
        Hash128::of_texts([found.as_str(), identities].into_iter().chain(types))
    }
}

/// Numbers and optional texts as texts that differ where the values do.
fn optional<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(String::new, |value| format!("={}", value.to_string()))
}

impl Resource {
    /// Hash over everything in it.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let texts = [&self.display_name, &self.parent, &self.owner].map(|t| optional(t.as_ref()));
        let times = [self.created_at, self.deleted_at].map(|t| optional(t.map(|t| t.0).as_ref()));
        let fixed = ["resource", &self.kind, &self.id].into_iter();
        let fixed = fixed.chain(texts.iter().chain(&times).map(String::as_str));
        let pairs = self.attributes.iter().flat_map(|(name, value)| [name.as_str(), value]);
        Hash128::of_texts(fixed.chain(pairs))
    }
}

impl Identity {
    /// Hash over everything in it.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let name = optional(self.display_name.as_ref());
        let times = [self.created_at, self.deleted_at].map(|t| optional(t.map(|t| t.0).as_ref()));
        let fixed = ["identity", &self.kind, &self.id, &name].into_iter();
        let fixed = fixed.chain(times.iter().map(String::as_str));
        let pairs = self.attributes.iter().flat_map(|(name, value)| [name.as_str(), value]);
        Hash128::of_texts(fixed.chain(pairs))
    }
}

impl Body for InventoryBatch {
    const KIND: MessageKind = MessageKind::Inventory;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Attempt, Generation};
    use crate::manifest::ManifestBuilder;

    #[test]
    fn every_field_is_hashed() {
        let plain = Resource {
            id: "r".into(),
            kind: "cluster".into(),
            display_name: None,
            parent: None,
            owner: None,
            created_at: None,
            deleted_at: None,
            attributes: BTreeMap::new(),
        };
        let text = Some(String::new());
        let others = [
            Resource { id: "s".into(), ..plain.clone() },
            Resource { kind: "topic".into(), ..plain.clone() },
            Resource { display_name: text.clone(), ..plain.clone() },
            Resource { parent: text.clone(), ..plain.clone() },
            Resource { owner: text, ..plain.clone() },
            Resource { created_at: Some(UtcSeconds(0)), ..plain.clone() },
            Resource { deleted_at: Some(UtcSeconds(0)), ..plain.clone() },
            Resource { attributes: [("a".into(), "b".into())].into(), ..plain.clone() },
            plain,
        ];
        let hashes: std::collections::BTreeSet<_> = others.iter().map(Resource::hash).collect();
        assert_eq!(hashes.len(), others.len());
    }

    #[test]
    fn the_same_found_by_fewer_services_is_another_content() {
        let found = ManifestBuilder::default().finish(Generation(1), Attempt(1));
        let whole = GatheredInventory {
            found,
            unchanged: false,
            resource_types: vec!["cluster".into()],
            identities: true,
        };
        let later = ManifestBuilder::default().finish(Generation(2), Attempt(2));
        let same = GatheredInventory { found: later, unchanged: true, ..whole.clone() };
        assert_eq!(whole.content(), same.content());
        let part = GatheredInventory { identities: false, ..whole.clone() };
        let less = GatheredInventory { resource_types: Vec::new(), ..whole.clone() };
        assert!(whole.content() != part.content() && whole.content() != less.content());
    }
}
