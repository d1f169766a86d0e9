//! Which weights are to be added up or measured, and who is calculated again because they changed.
//!
//! Units ask for weights when they are allocated: until these are there, their lines are nobody's, as `driver_pending`.
//! A window is added up when something that is visible in it has changed since it last was, and nothing in it is on its
//! way; of stages in one window, the lower first. Weights with another hash have exactly the units calculated again that
//! were made with others.

use deadpool_postgres::Transaction;
use proto::config::MetricsConfig;
use proto::driver::{DriverUse, DriverWeight, DriverWindow};
use proto::ids::{DriverId, Generation, SourceId, TenantId, UnitKey};
use proto::report::{ComputedDriver, Failed, FailureClass, Published};
use proto::subject::{Lane, Step};
use proto::task::{ComputeDriver, Task};
use proto::time::UnitDate;

use crate::domain::backoff::{measure_again, resolve_again};
use crate::domain::unit::UnitEvent;
use crate::leader::Leader;
use crate::store::{DriverWanted, Outgoing, StateError, StateStore, UnitRow};

/// Units that one look at drivers makes due.
const OUTDATED_MAX: i64 = 2_048;

impl Leader {
    /// Whether rules of a tenant may share by weights from elsewhere.
    pub(crate) fn drives(&self, tenant: &TenantId) -> bool {
        let entry = self.config(tenant);
        entry.is_some_and(|entry| !entry.ledger.is_empty() || !entry.metric.is_empty())
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
            // What is measured waits for no unit.
            if !due || *stage > 0 && (moved(wanted) || below(wanted, *stage)) {
                continue;
            }
            let Some(entry) = self.config(&wanted.tenant) else { continue };
            let DriverWindow { driver, from, until } = wanted.window.clone();
            let metric = entry.metric.get(&driver).map(|driver| driver.name.as_str());
            let name = metric.or(entry.ledger.get(&driver).map(|table| table.name.as_str()));
            let name = name.unwrap_or_default();
            let step = if metric.is_some() { Step::Measure } else { Step::Driver };
            let task = Task::Driver(ComputeDriver { config: entry.hash, driver, from, until });
            let drawn = StateStore::generations_draw_in_txn(txn, 1).await?;
            let Some(generation) = drawn.first().copied() else { continue };
            let at = (&wanted.tenant, &wanted.source);
            let out = StateStore::task_add_in_txn(
                txn,
                (&step, Lane::Live),
                at,
                Some(from),
                (generation, generation),
                &task,
            )
            .await?;
            StateStore::driver_dispatch_in_txn(txn, (wanted, name), generation, &out.subject)
                .await?;
            tasks.push(out);
            sent += 1;
        }
        Ok(outdated.len() + sent)
    }

    /// The stage of a window's driver, 0 of what is measured; `None`: no rule in force needs it.
    fn stage_of(&self, wanted: &DriverWanted) -> Option<u32> {
        let entry = self.config(&wanted.tenant)?;
        if entry.metric.contains_key(&wanted.window.driver) {
            return Some(0);
        }
        Some(entry.ledger.get(&wanted.window.driver)?.stage)
    }

    /// Remembers what units' lines asked for.
    pub(crate) async fn units_drivers_put(
        &self,
        txn: &Transaction<'_>,
        at: (&TenantId, &SourceId),
        units: &[(UnitRow, Published)],
    ) -> Result<(), StateError> {
        let dates: Vec<UnitDate> = units.iter().map(|(unit, _)| unit.key.date).collect();
        StateStore::unit_drivers_forget_in_txn(txn, at, &dates).await?;
        for (unit, done) in units {
            self.unit_drivers_put(txn, &unit.key, &done.drivers).await?;
        }
        Ok(())
    }

    /// Of a driver that no rule in force needs nothing is kept: the unit is calculated again anyway.
    async fn unit_drivers_put(
        &self,
        txn: &Transaction<'_>,
        unit: &UnitKey,
        uses: &[DriverUse],
    ) -> Result<(), StateError> {
        let Some(entry) = self.config(&unit.tenant) else { return Ok(()) };
        let known = uses.iter().filter_map(|used| {
            let driver = &used.window.driver;
            let measured = entry.metric.contains_key(driver).then(Vec::<SourceId>::new);
            let sources = measured.or(entry.ledger.get(driver).map(|of| of.sources.clone()))?;
            Some((used.clone(), sources))
        });
        let known: Vec<_> = known.collect();
        StateStore::unit_drivers_put_in_txn(txn, unit, &known).await
    }

    /// Puts weights in force. Those that were measured are kept in the database, too; where they could not be had, rows
    /// do without them for now.
    pub(crate) async fn driver_computed(
        &self,
        txn: &Transaction<'_>,
        (tenant, generation): (&TenantId, Generation),
        done: &ComputedDriver,
        measured: Option<&[DriverWeight]>,
    ) -> Result<(), StateError> {
        if let Some(reason) = &done.lacking {
            let most = self.measure_attempts(tenant, &done.window.driver);
            tracing::warn!(%tenant, driver = %done.window.driver, reason, "weights could not be had");
            let again = |lacks| resolve_again(lacks, most);
            return StateStore::driver_lacks_in_txn(txn, tenant, generation, reason, again).await;
        }
        let again = measured.and_then(|_| measure_again(now(), done.window.until.start().0));
        let in_force =
            StateStore::driver_computed_in_txn(txn, tenant, generation, done, again).await?;
        match measured.filter(|_| in_force) {
            Some(weights) => {
                let of = (&done.window, generation);
                StateStore::driver_weights_put_in_txn(txn, tenant, of, weights).await
            }
            None => Ok(()),
        }
    }

    /// Whether a window's weights are measured.
    pub(crate) fn is_measured(&self, tenant: &TenantId, driver: &DriverId) -> bool {
        self.config(tenant).is_some_and(|entry| entry.metric.contains_key(driver))
    }

    /// How often a server is asked for weights that it does not give, at most.
    fn measure_attempts(&self, tenant: &TenantId, driver: &DriverId) -> u32 {
        let metrics = self.config(tenant).and_then(|entry| {
            let source = &entry.metric.get(driver)?.source;
            entry.config.source(source)?.metrics.as_ref()
        });
        metrics.map_or(MetricsConfig::RESOLVE_ATTEMPTS, |metrics| metrics.resolve_attempts)
    }

    pub(crate) async fn driver_failed(
        &self,
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: Generation,
        failed: &Failed,
    ) -> Result<(), StateError> {
        let reason = &failed.reason;
        tracing::warn!(%tenant, reason, "a driver could not be made");
        let failure = (reason.as_str(), failed.class == FailureClass::Data);
        StateStore::driver_failed_in_txn(txn, tenant, generation, failure, |attempts| {
            self.pause(attempts)
        })
        .await
    }
}

/// Seconds since 1970, by this process' clock.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn meet(a: &DriverWindow, b: &DriverWindow) -> bool {
    a.from < b.until && b.from < a.until
}
