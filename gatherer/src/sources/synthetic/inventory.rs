//! The resources and identities of a synthetic source: those that its lines and resolutions name.

use std::collections::BTreeMap;

use proto::config::SyntheticSettings;
use proto::inventory::{Identity, InventoryBatch, Resource};

use super::{identity_id, resource_id};
use crate::error::GatherError;
use crate::ports::Watch;

/// Type of its resources.
pub const RESOURCE_TYPE: &str = "synthetic";
/// Type of its identities.
pub const IDENTITY_TYPE: &str = "service_account";

/// This many of each are listed at most: the source is a yardstick of lines, not of inventories, and may name ten
/// million identities.
const LISTED_MAX: u32 = 100_000;

/// What there is; it has been there since the first date.
///
/// # Errors
/// When the work is to stop.
pub fn inventory(
    settings: &SyntheticSettings,
    watch: &Watch,
) -> Result<InventoryBatch, GatherError> {
    let created_at = Some(settings.start.start());
    let tick = |n: u32| if n.is_multiple_of(4_096) { watch.tick() } else { Ok(()) };
    let resource = |n: u32| {
        tick(n)?;
        Ok(Resource {
            id: resource_id(n),
            kind: RESOURCE_TYPE.to_owned(),
            display_name: None,
            parent: None,
            owner: None,
            created_at,
            deleted_at: None,
            attributes: BTreeMap::new(),
        })
    };
    let identity = |n: u32| {
        tick(n)?;
        Ok(Identity {
            id: identity_id(u64::from(n)),
            kind: IDENTITY_TYPE.to_owned(),
            display_name: None,
            created_at,
            deleted_at: None,
            attributes: BTreeMap::new(),
        })
    };
    Ok(InventoryBatch {
        resources: (0..settings.resources.min(LISTED_MAX))
            .map(resource)
            .collect::<Result<_, GatherError>>()?,
        identities: (0..settings.identities.min(LISTED_MAX))
            .map(identity)
            .collect::<Result<_, GatherError>>()?,
    })
}
