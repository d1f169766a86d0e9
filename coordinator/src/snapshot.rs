//! The inventory of a time, as it is stored, on its way to who resolves: workers know no database.
//!
//! It goes out with its task, and is purged once the task is answered: what is replayed are the resolutions.

use bytes::Bytes;
use deadpool_postgres::Transaction;
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::inventory::InventoryBatch;
use proto::manifest::{Manifest, ManifestBuilder};
use proto::subject::{Stream, UnitAddress};
use runtime::bus::BusError;

use crate::leader::Leader;
use crate::post::Post;
use crate::store::{StateError, StateStore, UnitRow};

/// One is made of a generation, ever.
const ATTEMPT: Attempt = Attempt(0);
/// Days behind the last date that its lines' charge periods may reach into: a month.
const REACH_DAYS: i64 = 31;

/// Subjects of the inventory that went out with a task.
pub(crate) fn address(at: (&TenantId, &SourceId), generation: Generation) -> String {
    UnitAddress::inventory(at.0, at.1, generation, ATTEMPT).all()
}

impl Leader {
    /// The inventory of the time of some units, and the messages that carry it; nothing for sources that are resolved
    /// without.
    pub(crate) async fn inventory_of(
        &self,
        txn: &Transaction<'_>,
        at: (&TenantId, &SourceId),
        units: &[UnitRow],
        generations: &[Generation],
    ) -> Result<(Option<Manifest>, Vec<(String, Bytes)>), StateError> {
        let dates = || units.iter().map(|unit| unit.key.date);
        let (Some(first), Some(last), Some(generation)) =
            (dates().min(), dates().max(), generations.first().copied())
        else {
            return Ok((None, Vec::new()));
        };
        if !self.reads_inventory(at.0, at.1) {
            return Ok((None, Vec::new()));
        }
        let until = last.plus_days(REACH_DAYS).unwrap_or(last);
        let time = (first.start(), until.start());
        let resources = StateStore::resources_in_txn(txn, at, time).await?;
        let identities = StateStore::identities_in_txn(txn, at, time).await?;
        let address = UnitAddress::inventory(at.0, at.1, generation, ATTEMPT);
        let (mut manifest, mut messages) = (ManifestBuilder::default(), Vec::new());
        resources.iter().for_each(|resource| manifest.add_item(resource.hash()));
        identities.iter().for_each(|identity| manifest.add_item(identity.hash()));
        for batch in InventoryBatch::cut(resources, identities) {
            let header = Header::new::<InventoryBatch>(at.0.clone(), generation, ATTEMPT)
                .of_source(at.1.clone())
                .of_batch(manifest.next_batch());
            let message = envelope::encode(&header, &batch)?;
            let items = u32::try_from(batch.items()).unwrap_or(u32::MAX);
            let number = manifest.add_batch(items, &message);
            messages.push((address.batch(number), message.into()));
        }
        Ok((Some(manifest.finish(generation, ATTEMPT)), messages))
    }
}

impl Post {
    /// Publishes the batches that go before a task.
    pub(crate) async fn inventory_send(
        &self,
        messages: &[(String, Bytes)],
    ) -> Result<(), BusError> {
        for (subject, message) in messages {
            self.bus.put(Stream::Inventory, subject, message.clone()).await?;
        }
        Ok(())
    }
}
