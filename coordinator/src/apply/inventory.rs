//! What a gather found of resources and identities: read before the transaction, applied in it.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use proto::config::Guards;
use proto::envelope::{EnvelopeError, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::inventory::{GatheredInventory, InventoryBatch};
use proto::report::{FailureClass, Report};
use proto::time::UtcSeconds;
use runtime::data::{BatchReader, DataError};

use super::Source;
use crate::domain::guard::{Census, Class, Streak, Verdict, judge, lasts_until};
use crate::domain::inventory::{Entity, Scanned, merged, plan, recount};
use crate::domain::lifetime::Lifetime;
use crate::domain::unit::UnitEvent;
use crate::leader::Leader;
use crate::post::Post;
use crate::store::{Counted, StateError, StateStore};

/// Everything that a gather found.
#[derive(Default)]
pub(crate) struct Entities {
    resources: Vec<Entity>,
    identities: Vec<Entity>,
}

/// What the gathers that ended found, by generation and attempt.
pub(crate) type Inventories = HashMap<(Generation, Attempt), Result<Entities, DataError>>;

/// A report as it was delivered.
pub type Decoded = Result<(Header, Report), EnvelopeError>;

/// What is to be done about an inventory.
pub(super) enum Arrived {
    /// It is applied: what was found, or `None` where it is the one in force.
    Here(Option<Entities>),
    /// NATS does not answer: the report is delivered again.
    Later,
    /// The gather counts for nothing, for this reason.
    Unfit(String),
}

impl Post {
    /// Reads the inventories that these reports tell of. No transaction waits for NATS.
    pub(crate) async fn inventories_read(&self, reports: &[Decoded]) -> Inventories {
        let mut inventories = Inventories::new();
        for (header, report) in reports.iter().flatten() {
            if let (Some(source), Report::GatherDone(done)) = (&header.source, report)
                && let Some(inventory) = &done.inventory
                && !inventory.unchanged
            {
                let read = self.inventory_read((&header.tenant, source), inventory).await;
                inventories.insert((header.generation, header.attempt), read);
            }
        }
        inventories
    }

    async fn inventory_read(
        &self,
        (tenant, source): (&TenantId, &SourceId),
        inventory: &GatheredInventory,
    ) -> Result<Entities, DataError> {
        let mut reader = BatchReader::of_inventory(&self.bus, tenant, source, &inventory.found);
        let mut entities = Entities::default();
        while let Some(batch) = reader.next().await? {
            let InventoryBatch { resources, identities } = batch;
            entities.resources.extend(resources.into_iter().map(Entity::from));
            entities.identities.extend(identities.into_iter().map(Entity::from));
        }
        Ok(entities)
    }
}

impl Leader {
    /// Whether an inventory can be applied.
    pub(super) async fn inventory_arrived(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        inventory: &GatheredInventory,
        read: Option<Result<Entities, DataError>>,
    ) -> Result<Arrived, StateError> {
        match read {
            _ if inventory.unchanged => {
                let in_force = StateStore::inventory_in_force_in_txn(txn, at).await?;
                if in_force.is_some_and(|(_, content)| content == inventory.content()) {
                    return Ok(Arrived::Here(None));
                }
                let why = "the inventory was reported unchanged, but another one is in force: it is gathered again";
                Ok(Arrived::Unfit(why.to_owned()))
            }
            Some(Ok(entities)) => Ok(Arrived::Here(Some(entities))),
            Some(Err(error)) if error.class() == FailureClass::Transient => {
                tracing::warn!(tenant = %at.0, source = %at.1, error = proto::fault::chain(&error), "failed to read an inventory");
                Ok(Arrived::Later)
            }
            Some(Err(error)) => {
                let error = proto::fault::chain(&error);
                let why = format!("its inventory cannot be read: {error}: it is gathered again");
                Ok(Arrived::Unfit(why))
            }
            None => Ok(Arrived::Later),
        }
    }

    /// Applies an inventory, whole. What is missing ends only as the guard allows. Units whose time it now says
    /// something else of are resolved again.
    pub(super) async fn inventory_apply(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        (generation, guards): (Generation, &Guards),
        inventory: &GatheredInventory,
        entities: Option<Entities>,
    ) -> Result<(), StateError> {
        let by = (generation, StateStore::moment_in_txn(txn).await?);
        let types = inventory.resource_types.iter().cloned().collect();
        let identities =
            if inventory.identities { Scanned::All } else { Scanned::Types([].into()) };
        let changed = entities.is_some();
        let mut touched = Vec::new();
        let Entities { resources: found_resources, identities: found_identities } =
            entities.unwrap_or_default();
        for (class, found, scanned) in [
            (Class::Resource, found_resources, Scanned::Types(types)),
            (Class::Identity, found_identities, identities),
        ] {
            let rows = StateStore::entities_list_in_txn(txn, at, class).await?;
            let censuses = if changed {
                let plan = plan(&rows, found, &scanned, by);
                StateStore::entities_change_in_txn(txn, at, class, generation, &plan).await?;
                touched.extend(plan.touches());
                plan.censuses
            } else {
                recount(&rows, &scanned)
            };
            for (kind, census) in censuses {
                let first =
                    self.population_judge(txn, at, (class, &kind), (guards, census), by).await?;
                touched.extend(first.map(ended_at));
            }
        }
        self.inventory_touched(txn, at, touched).await?;
        if changed {
            let content = inventory.content();
            StateStore::inventory_put_in_txn(txn, at, generation, content).await?;
        }
        Ok(())
    }

    async fn population_judge(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        (class, kind): (Class, &str),
        (guards, census): (&Guards, Census),
        by: (Generation, UtcSeconds),
    ) -> Result<Option<UtcSeconds>, StateError> {
        let before = StateStore::streak_in_txn(txn, at, (class, kind)).await?;
        let (streak, verdict) = judge(guards, class, before, census, by);
        if streak == before {
            return Ok(None);
        }
        let upto = match verdict {
            Verdict::Nothing | Verdict::Wait => None,
            Verdict::All => Some(by.1),
            Verdict::Lasting => Some(lasted_since(guards, by.1)),
        };
        let (ended, first) = match upto {
            None => (0, None),
            Some(since) => {
                let upto = (by.0, since);
                StateStore::entities_end_in_txn(txn, at, (class, kind), upto, false).await?
            }
        };
        if verdict == Verdict::Wait {
            tracing::warn!(tenant = %at.0, source = %at.1, kind, ?census, streak = streak.length,
                "far fewer than before were found: nothing is deleted yet");
        } else if ended > 0 {
            tracing::info!(tenant = %at.0, source = %at.1, kind, ended, "what the source no longer has was deleted");
        }
        let waiting = census.missing.saturating_sub(ended);
        remember(txn, at, (class, kind), (streak, census, waiting), guards, by.1).await?;
        Ok(first)
    }

    /// Puts the units on their way again whose resolutions may be others, now that the inventory says something else of
    /// these times.
    pub(super) async fn inventory_touched(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        times: Vec<Lifetime>,
    ) -> Result<(), StateError> {
        if times.is_empty() || !self.reads_inventory(at.0, at.1) {
            return Ok(());
        }
        for key in StateStore::units_touched_in_txn(txn, at, &merged(times)).await? {
            StateStore::unit_forget_resolutions_in_txn(txn, &key, false).await?;
            StateStore::unit_event_in_txn(txn, &key, UnitEvent::InputsChanged).await?;
        }
        Ok(())
    }
}

/// All time from then on: of it something else is known where something ended then.
pub(super) fn ended_at(moment: UtcSeconds) -> Lifetime {
    Lifetime { from: Some(moment), to: None }
}

/// What has been missing since then has lasted long enough.
pub(super) fn lasted_since(guards: &Guards, at: UtcSeconds) -> UtcSeconds {
    let wall = i64::try_from(guards.min_wall_seconds).unwrap_or(i64::MAX);
    UtcSeconds(at.0.saturating_sub(wall))
}

/// Remembers what was counted; a streak of which nothing waits any more is over.
pub(super) async fn remember(
    txn: &Transaction<'_>,
    at: Source<'_>,
    population: (Class, &str),
    (streak, census, waiting): (Streak, Census, u64),
    guards: &Guards,
    moment: UtcSeconds,
) -> Result<(), StateError> {
    let streak = match waiting {
        0 => Streak { length: 0, first_at: None, ..streak },
        _ => streak,
    };
    let counted = Counted {
        census,
        waiting,
        threshold: guards.zero_gather_threshold,
        lasts_until: streak.first_at.map(|first| lasts_until(guards, first)),
        at: moment,
    };
    StateStore::population_put_in_txn(txn, at, population, streak, &counted).await
}
