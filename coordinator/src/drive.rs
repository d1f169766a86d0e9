//! Which weights are to be added up, and who is calculated again because they changed.
//!
//! Units ask for weights when they are allocated: until these are there, their lines are nobody's, as `driver_pending`.
//! A window is added up when something that is visible in it has changed since it last was, and nothing in it is on its
//! way; of stages in one window, the lower first. Weights with another hash have exactly the units calculated again that
//! were made with others.

use deadpool_postgres::Transaction;
use proto::driver::{DriverUse, DriverWindow};
use proto::ids::{SourceId, TenantId, UnitKey};
use proto::report::{ComputedDriver, Failed, FailureClass};
use proto::subject::Step;
use proto::task::{ComputeDriver, Task};

use crate::domain::backoff::pause;
use crate::domain::unit::UnitEvent;
use crate::leader::Leader;
use crate::store::{DriverWanted, Outgoing, StateError, StateStore};

/// Units that one look at drivers makes due.
const OUTDATED_MAX: i64 = 2_048;

impl Leader {
    /// Whether rules of a tenant share by cost that the ledger adds up.
    pub(crate) fn drives(&self, tenant: &TenantId) -> bool {
        self.config(tenant).is_some_and(|entry| !entry.ledger.is_empty())
    }

    /// Writes the tasks of windows that are due down, and puts units on their way whose weights changed. Gives how much
    /// there was to do.
    pub(crate) async fn plan_drivers(
        &self,
        txn: &Transaction<'_>,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<usize, StateError> {
        if !self.tenants.keys().any(|tenant| self.drives(tenant)) {
            return Ok(0);
        }
        let outdated = StateStore::units_outdated_in_txn(txn, OUTDATED_MAX).await?;
        for unit in &outdated {
            StateStore::unit_event_in_txn(txn, unit, UnitEvent::InputsChanged).await?;
        }
        let wanted = StateStore::drivers_wanted_in_txn(txn).await?;
        let staged: Vec<(&DriverWanted, u32)> =
            wanted.iter().filter_map(|wanted| Some((wanted, self.stage_of(wanted)?))).collect();
        // What was just put on its way counts, too: it is looked at again when it is visible.
        let moved = |wanted: &DriverWanted| {
            let within = |unit: &&UnitKey| {
                unit.tenant == wanted.tenant
                    && wanted.window.from <= unit.date
                    && unit.date < wanted.window.until
            };
            outdated.iter().any(|unit| within(&unit))
        };
        let below = |wanted: &DriverWanted, stage: u32| {
            staged.iter().any(|(other, of)| {
                *of < stage && other.tenant == wanted.tenant && meet(&other.window, &wanted.window)
            })
        };
        let mut sent = 0;
        for (wanted, stage) in &staged {
            let due = !wanted.fresh && !wanted.out && wanted.ready && !wanted.moving;
            if !due || moved(wanted) || below(wanted, *stage) {
                continue;
            }
            let Some(entry) = self.config(&wanted.tenant) else { continue };
            let DriverWindow { driver, from, until } = wanted.window.clone();
            let task = Task::Driver(ComputeDriver { config: entry.hash, driver, from, until });
            let drawn = StateStore::generations_draw_in_txn(txn, 1).await?;
            let Some(generation) = drawn.first().copied() else { continue };
            let at = (&wanted.tenant, &wanted.source);
            let out =
                StateStore::task_add_in_txn(txn, &Step::Driver, at, Some(from), generation, &task)
                    .await?;
            StateStore::driver_dispatch_in_txn(txn, wanted, generation, &out.subject).await?;
            tasks.push(out);
            sent += 1;
        }
        Ok(outdated.len() + sent)
    }

    /// The stage of a window's driver; `None`: no rule in force needs it.
    fn stage_of(&self, wanted: &DriverWanted) -> Option<u32> {
        let entry = self.config(&wanted.tenant)?;
        Some(entry.ledger.get(&wanted.window.driver)?.stage)
    }

    /// Remembers what a unit's lines asked for. Of a driver that no rule in force needs nothing is kept: the unit is
    /// calculated again anyway.
    pub(crate) async fn unit_drivers_put(
        &self,
        txn: &Transaction<'_>,
        unit: &UnitKey,
        uses: &[DriverUse],
    ) -> Result<(), StateError> {
        let Some(entry) = self.config(&unit.tenant) else { return Ok(()) };
        let known = uses.iter().filter_map(|used| {
            let table = entry.ledger.get(&used.window.driver)?;
            let sources: Vec<SourceId> = table.sources.clone();
            Some((used.clone(), sources))
        });
        let known: Vec<_> = known.collect();
        StateStore::unit_drivers_put_in_txn(txn, unit, &known).await
    }

    pub(crate) async fn driver_computed(
        &self,
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: proto::ids::Generation,
        done: &ComputedDriver,
    ) -> Result<(), StateError> {
        StateStore::driver_computed_in_txn(txn, tenant, generation, done).await
    }

    pub(crate) async fn driver_failed(
        &self,
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: proto::ids::Generation,
        failed: &Failed,
    ) -> Result<(), StateError> {
        let reason = &failed.reason;
        tracing::warn!(%tenant, reason, "a driver could not be made");
        let failure = (reason.as_str(), failed.class == FailureClass::Data);
        StateStore::driver_failed_in_txn(txn, tenant, generation, failure, pause).await
    }
}

fn meet(a: &DriverWindow, b: &DriverWindow) -> bool {
    a.from < b.until && b.from < a.until
}
