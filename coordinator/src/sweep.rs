//! The sweep: looks at state and configuration and derives the work that is missing.
//!
//! It takes no input: whatever woke it, it does the same work from the same state. It writes a generation and its task
//! first, then publishes the task.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId};
use proto::report::FailureClass;
use proto::subject::{Lane, Step};
use proto::task::{
    Allocate, AllocateUnit, Emit, Remove, Resolve, ResolveUnit, Restore, RestoreUnit, Task,
    UNITS_MAX,
};
use runtime::faults::crash_point;
use runtime::store::StoreError;

use crate::domain::backoff::STEP_LIMIT;
use crate::domain::budget::Budget;
use crate::domain::pack::pack;
use crate::domain::unit::UnitEvent;
use crate::leader::Leader;
use crate::store::{
    EmissionDue, Outgoing, RemovalDue, StateError, StateStore, UnitRow, lead_check_in_txn,
};

/// Emissions that failed are looked at again this often.
const EMISSIONS_EVERY: Duration = Duration::from_secs(2);
/// Drivers are looked at again this often: a window that failed, or a unit in it that was given up.
const DRIVERS_EVERY: Duration = Duration::from_secs(2);
/// Runs that are forgotten at a time.
const FORGET_MAX: i64 = 20_000;
/// Runs are looked at this often for what no report tells of.
const RUNS_EVERY: Duration = Duration::from_secs(10);
/// What lies outside is compared with what is recorded when a coordinator starts to lead, and then this often.
const COMPARE_EVERY: Duration = Duration::from_secs(10 * 60);
/// Windows of drivers, and weights, that are removed at a time because nothing uses them.
const DRIVERS_TIDY_MAX: i64 = 10_000;
/// Dates that are found at a time not to be emitted any more.
const EMITTED_MAX: i64 = 20_000;
/// Of every emitter, this many of the newest dates are compared.
const COMPARE_MAX: i64 = 400;
/// Units and emissions looked at in one sweep.
const SWEEP_MAX: i64 = 2_048;
/// Months looked at in one sweep, of up to 31 dates each.
const MONTHS_MAX: i64 = 64;
/// How long at most a date waits for others of its month, so that a file of the month is not written for each.
const MONTH_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What a sweep found to do.
#[derive(Debug)]
pub struct Swept {
    /// To be published.
    pub tasks: Vec<Outgoing>,
    /// Tasks that nobody waits for any more.
    pub superseded: Vec<String>,
    /// How much there was to do: where it is nothing, all is done that can be.
    pub count: usize,
    /// Dates are pinned now to configurations of a former time: these have to be there before the tasks.
    pub pinned: bool,
}

impl Leader {
    /// One sweep. Gives what is to be published now that its transaction has committed.
    ///
    /// # Errors
    /// When Postgres cannot be used or another coordinator leads.
    pub async fn sweep(&mut self) -> Result<Swept, StateError> {
        let mut client = self.state.store.client().await?;
        let txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.state.epoch).await?;
        let mut tasks = Vec::new();
        let mut budget = Budget::new(StateStore::tasks_count_in_txn(&txn).await?);
        self.take_overdue_back(&txn).await?;
        self.decisions_apply(&txn).await?;
        let pinned = self.plan_replays(&txn).await?;
        // What was restored goes on before more is restored, and new lines do not wait for a long history.
        self.plan_units(&txn, &mut budget, &mut tasks).await?;
        self.plan_restores(&txn, &mut budget, &mut tasks).await?;
        self.plan_gathers(&txn, &mut tasks).await?;
        let compare = self.emissions_compared.is_none_or(|at| at.elapsed() > COMPARE_EVERY);
        if compare {
            self.retain(&txn).await?;
            StateStore::emissions_compare_in_txn(&txn, COMPARE_MAX).await?;
            StateStore::units_emitted_sweep_in_txn(&txn, EMITTED_MAX).await?;
            StateStore::removals_compare_in_txn(&txn).await?;
            StateStore::runs_forget_in_txn(&txn, FORGET_MAX).await?;
            StateStore::drivers_tidy_in_txn(&txn, DRIVERS_TIDY_MAX).await?;
        }
        // Every visible date is looked at: only after something became visible, or a while has passed (retries).
        let look =
            compare || self.emissions_hinted || self.emissions_looked.elapsed() > EMISSIONS_EVERY;
        let emissions = match look {
            true => {
                self.plan_emissions(&txn, &mut budget, &mut tasks).await?
                    + self.plan_removals(&txn, &mut budget, &mut tasks).await?
            }
            false => 0,
        };
        // As with emissions: every window that is asked for is looked at.
        let drive = self.drivers_hinted || self.drivers_looked.elapsed() > DRIVERS_EVERY;
        let drivers = match drive {
            true => self.plan_drivers(&txn, &mut tasks).await?,
            false => 0,
        };
        StateStore::runs_end_in_txn(&txn).await?;
        let runs = self.runs_looked.is_none_or(|at| at.elapsed() > RUNS_EVERY);
        if runs {
            StateStore::run_units_sweep_in_txn(&txn).await?;
        }
        self.sla_watch(&txn).await?;
        let superseded = StateStore::tasks_settle_in_txn(&txn).await?;
        if !tasks.is_empty() {
            crash_point("coordinator.planned");
        }
        txn.commit().await.map_err(StoreError::sql("commit"))?;
        if !tasks.is_empty() {
            crash_point("coordinator.written");
        }
        drop(client);
        if compare {
            self.emissions_compared = Some(std::time::Instant::now());
        }
        if runs {
            self.runs_looked = Some(std::time::Instant::now());
        }
        if look {
            self.emissions_looked = std::time::Instant::now();
            // As many as were looked at: there may be more.
            self.emissions_hinted = emissions > 0;
        }
        if drive {
            self.drivers_looked = std::time::Instant::now();
            self.drivers_hinted = drivers > 0;
        }
        let count = tasks.len() + drivers;
        Ok(Swept { tasks, superseded, pinned, count })
    }

    /// What a step has held for too long gets a new generation.
    async fn take_overdue_back(&self, txn: &Transaction<'_>) -> Result<(), StateError> {
        for key in StateStore::units_overdue_in_txn(txn, STEP_LIMIT).await? {
            if let Some(unit) = StateStore::unit_lock_in_txn(txn, &key).await? {
                let reason = format!(
                    "{} took longer than {} minutes",
                    unit.state,
                    STEP_LIMIT.as_secs() / 60
                );
                self.unit_failed(txn, &unit, FailureClass::Transient, &reason).await?;
            }
        }
        for (tenant, source) in StateStore::gathers_overdue_in_txn(txn, STEP_LIMIT).await? {
            let reason =
                format!("the gather took longer than {} minutes", STEP_LIMIT.as_secs() / 60);
            StateStore::gather_failed_in_txn(
                txn,
                (&tenant, &source),
                &reason,
                Duration::ZERO,
                None,
            )
            .await?;
        }
        StateStore::emissions_overdue_in_txn(txn, STEP_LIMIT).await?;
        StateStore::removals_overdue_in_txn(txn, STEP_LIMIT).await?;
        StateStore::drivers_overdue_in_txn(txn, STEP_LIMIT).await?;
        Ok(())
    }

    /// What is gone from the stream and lies in the archive needs nobody outside.
    async fn plan_restores(
        &self,
        txn: &Transaction<'_>,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<(), StateError> {
        // As with gathers: what is published goes to the same streams.
        if self.streams_filling && self.every.is_some() {
            return Ok(());
        }
        for lane in Lane::ALL {
            let mut groups = Groups::new();
            let from = (lane, &budget.spent(lane)[..]);
            for unit in StateStore::units_restorable_in_txn(txn, SWEEP_MAX, from).await? {
                groups.entry(group_of(&unit)).or_default().push(unit);
            }
            self.dispatch_all(txn, (Work::Restore, lane), groups, budget, tasks).await?;
        }
        Ok(())
    }

    async fn plan_units(
        &self,
        txn: &Transaction<'_>,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<(), StateError> {
        self.resolve_again(txn, SWEEP_MAX).await?;
        self.plan_lane(txn, Lane::Live, budget, tasks).await?;
        // As with gathers: what is calculated goes through the same streams.
        if self.streams_filling && self.every.is_some() {
            return Ok(());
        }
        self.plan_lane(txn, Lane::Replay, budget, tasks).await
    }

    async fn plan_lane(
        &self,
        txn: &Transaction<'_>,
        lane: Lane,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<(), StateError> {
        let (mut allocates, mut resolves) = (Groups::new(), Groups::new());
        let from = (lane, &budget.spent(lane)[..]);
        for unit in StateStore::units_due_in_txn(txn, SWEEP_MAX, from).await? {
            // A unit of a configuration that is not loaded waits for it.
            let entry = self.config(&unit.key.tenant);
            if entry.is_none_or(|entry| entry.hash != unit.config && !unit.pinned) {
                continue;
            }
            let resolve = unit.lines.items > 0
                && unit.resolutions.is_none()
                && self.resolves(&unit.key.tenant, &unit.key.source);
            if resolve && unit.replay && unit.as_visible {
                let reason = "its resolutions are neither on the stream nor whole in the archive";
                self.replay_give_up(txn, &unit, reason).await?;
                continue;
            }
            let groups = if resolve { &mut resolves } else { &mut allocates };
            groups.entry(group_of(&unit)).or_default().push(unit);
        }
        self.dispatch_all(txn, (Work::Resolve, lane), resolves, budget, tasks).await?;
        self.dispatch_all(txn, (Work::Allocate, lane), allocates, budget, tasks).await
    }

    async fn dispatch_all(
        &self,
        txn: &Transaction<'_>,
        (work, lane): (Work, Lane),
        groups: Groups,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<(), StateError> {
        for ((tenant, source, _), units) in groups {
            let size = |unit: &UnitRow| (unit.lines.items, unit.lines.batches.len() as u64);
            for group in pack(units, size) {
                if !budget.take(&tenant, lane) {
                    break;
                }
                tasks.extend(self.dispatch(txn, (&tenant, &source), (work, lane), group).await?);
            }
        }
        Ok(())
    }

    async fn dispatch(
        &self,
        txn: &Transaction<'_>,
        at: (&TenantId, &SourceId),
        (work, lane): (Work, Lane),
        units: Vec<UnitRow>,
    ) -> Result<Option<Outgoing>, StateError> {
        let generations = StateStore::generations_draw_in_txn(txn, units.len()).await?;
        let numbered = || units.iter().zip(generations.iter().copied());
        let config = units.first().map(|unit| unit.config).unwrap_or_default();
        let mut messages = Vec::new();
        let (step, event, task) = match work {
            Work::Resolve => {
                let inventory = StateStore::inventory_in_force_in_txn(txn, at).await?;
                let inventory = inventory.map(|(generation, _)| generation);
                let unit = |(unit, generation): (&UnitRow, Generation)| ResolveUnit {
                    date: unit.key.date,
                    generation,
                    lines: unit.lines.clone(),
                    inventory,
                };
                let (inventory, batches) = self.inventory_of(txn, at, &units, &generations).await?;
                messages = batches;
                let units = numbered().map(unit).collect();
                let task = Task::Resolve(Resolve { config, units, inventory });
                (Step::Resolve, UnitEvent::ResolveSent, task)
            }
            Work::Allocate => {
                // Of tenants whose rules use none nothing is asked.
                let mut drivers = match self.drives(at.0) {
                    true => {
                        let dates: Vec<_> = units.iter().map(|unit| unit.key.date).collect();
                        StateStore::unit_drivers_in_txn(txn, at, &dates).await?
                    }
                    false => BTreeMap::new(),
                };
                let mut unit = |(unit, generation): (&UnitRow, Generation)| AllocateUnit {
                    date: unit.key.date,
                    generation,
                    lines: unit.lines.clone(),
                    resolutions: unit.resolutions.clone(),
                    drivers: drivers.remove(&unit.key.date).unwrap_or_default(),
                };
                let units = numbered().map(&mut unit).collect();
                let task = Task::Allocate(Allocate { config, units });
                (Step::Allocate, UnitEvent::AllocateSent, task)
            }
            Work::Restore => {
                let unit = |(unit, generation): (&UnitRow, Generation)| RestoreUnit {
                    date: unit.key.date,
                    generation,
                    lines: unit.lines.hash,
                };
                let task = Task::Restore(Restore { units: numbered().map(unit).collect() });
                (Step::Restore, UnitEvent::RestoreSent, task)
            }
        };
        let date = units.first().map(|unit| unit.key.date);
        let gathered = units.first().map_or(Generation(0), |unit| unit.gathered);
        let first = (one(generations.clone())?, gathered);
        let out =
            match StateStore::task_add_in_txn(txn, (&step, lane), at, date, first, &task).await {
                // No task can carry it: the unit is set aside, and the rest goes on.
                Err(StateError::Envelope(error)) => {
                    for unit in &units {
                        let reason = format!("it is too large to be calculated: {error}");
                        self.unit_failed(txn, unit, FailureClass::Data, &reason).await?;
                    }
                    return Ok(None);
                }
                out => out?,
            };
        let sent: Vec<_> = numbered().collect();
        StateStore::units_dispatch_in_txn(txn, at, &sent, (event, &out.subject)).await?;
        Ok(Some(Outgoing { inventory: messages, ..out }))
    }

    async fn plan_emissions(
        &self,
        txn: &Transaction<'_>,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<usize, StateError> {
        let spent = budget.spent(Lane::Live);
        let days = StateStore::emissions_due_in_txn(txn, SWEEP_MAX, &spent).await?;
        let months = StateStore::months_due_in_txn(txn, MONTHS_MAX, &spent, MONTH_PATIENCE).await?;
        let same = |a: &EmissionDue, b: &EmissionDue| {
            (&a.tenant, &a.source, &a.emitter, a.config, a.lane)
                == (&b.tenant, &b.source, &b.emitter, b.config, b.lane)
        };
        let days_of_one = days.chunk_by(same).flat_map(|days| days.chunks(UNITS_MAX.min(16)));
        for units in days_of_one.chain(months.chunk_by(EmissionDue::is_of_same_month)) {
            let Some(first) = units.first() else { continue };
            let live = units.iter().any(|due| due.lane == Lane::Live);
            let lane = if live { Lane::Live } else { Lane::Replay };
            if !budget.take(&first.tenant, lane) {
                continue;
            }
            let task = Task::Emit(Emit {
                config: first.config,
                folder: self.folder.to_string_lossy().into_owned(),
                emitter: first.emitter.clone(),
                units: units.iter().map(|due| due.unit).collect(),
            });
            let generation = one(StateStore::generations_draw_in_txn(txn, 1).await?)?;
            let (step, at) = (Step::Emit(first.emitter.clone()), (&first.tenant, &first.source));
            let out = StateStore::task_add_in_txn(
                txn,
                (&step, lane),
                at,
                Some(first.unit.date),
                (generation, first.gathered),
                &task,
            )
            .await?;
            for due in units {
                StateStore::emission_dispatch_in_txn(txn, due, &out.subject).await?;
            }
            tasks.push(out);
        }
        Ok(days.len() + months.len())
    }

    /// Files that no emitter writes any more would be added up with those that took their place.
    async fn plan_removals(
        &self,
        txn: &Transaction<'_>,
        budget: &mut Budget,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<usize, StateError> {
        let due =
            StateStore::removals_due_in_txn(txn, SWEEP_MAX, &budget.spent(Lane::Live)).await?;
        let same =
            |a: &RemovalDue, b: &RemovalDue| (&a.tenant, &a.source) == (&b.tenant, &b.source);
        for files in due.chunk_by(same).flat_map(|files| files.chunks(UNITS_MAX)) {
            let Some(first) = files.first() else { continue };
            if !budget.take(&first.tenant, Lane::Live) {
                continue;
            }
            let task =
                Task::Remove(Remove { files: files.iter().map(|due| due.file.clone()).collect() });
            let generation = one(StateStore::generations_draw_in_txn(txn, 1).await?)?;
            let at = (&first.tenant, &first.source);
            let out = StateStore::task_add_in_txn(
                txn,
                (&Step::Remove, Lane::Live),
                at,
                None,
                (generation, generation),
                &task,
            )
            .await?;
            StateStore::removals_dispatch_in_txn(txn, files, &out.subject).await?;
            tasks.push(out);
        }
        Ok(due.len())
    }
}

/// The first of the generations that were drawn.
pub(crate) fn one(generations: Vec<Generation>) -> Result<Generation, StateError> {
    let why = || StateError::Stored {
        what: "generation_seq",
        of: "a draw".into(),
        why: "no number came".into(),
    };
    generations.into_iter().next().ok_or_else(why)
}

/// What is asked for of whole units.
#[derive(Debug, Clone, Copy)]
enum Work {
    Resolve,
    Allocate,
    Restore,
}

/// Units of one source, by rules of one configuration: what one task can carry.
type Groups = BTreeMap<(TenantId, SourceId, Hash128), Vec<UnitRow>>;

fn group_of(unit: &UnitRow) -> (TenantId, SourceId, Hash128) {
    (unit.key.tenant.clone(), unit.key.source.clone(), unit.config)
}
