//! Reports in: applied in groups, a savepoint each; one bad report is refused, the rest commit.

mod after;
mod failed;
mod gather;
mod group;
mod inventory;
mod resolved;
mod weights;
mod withdraw;

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use proto::envelope::Header;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::{Committed, FailureClass, Published, Report, Restored};
use proto::subject::{self, Step, Stream, UnitAddress};
use proto::task::{Commit, CommitUnit, Task};
use proto::time::UnitDate;
use runtime::faults::crash_point;
use runtime::store::StoreError;

pub use self::after::After;
use self::group::{Piece, Said, pieces};
pub use self::inventory::Decoded;
use self::inventory::Inventories;
use self::weights::Measured;
use crate::domain::pack::pack;
use crate::domain::unit::{UnitEvent, UnitState};
use crate::leader::Leader;
use crate::observe::reconcile;
use crate::snapshot;
use crate::store::{StateError, StateStore, StepDone, UnitRow, lead_check_in_txn};

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is done with, also where it is late and changed nothing.
    Done,
    /// It speaks of others that have not arrived yet.
    Later,
    /// It makes no sense, for this reason.
    Refused(String),
}

/// What reports tell of and was read before their transaction; nothing, where they name nothing by address.
#[derive(Default)]
pub struct Read {
    pub(crate) inventories: Inventories,
    pub(crate) measured: Measured,
}

type Source<'a> = (&'a TenantId, &'a SourceId);

/// Whose report it is.
fn source_of(header: &Header) -> Result<Source<'_>, StateError> {
    let why = || "the header names no source".to_owned();
    let of = || header.tenant.to_string();
    let source = header.source.as_ref();
    let source =
        source.ok_or_else(|| StateError::Stored { what: "report", of: of(), why: why() })?;
    Ok((&header.tenant, source))
}

impl Leader {
    /// Applies a group of reports in one transaction. Gives what became of each, and what is to be done now that the
    /// transaction has committed.
    ///
    /// # Errors
    /// When Postgres cannot be used or another coordinator leads: the reports are to be delivered again.
    pub async fn apply(
        &mut self,
        reports: Vec<Decoded>,
        read: Read,
    ) -> Result<(Vec<Applied>, After), StateError> {
        let mut after = After::default();
        let outcomes = self.apply_group(reports, read, &mut after).await?;
        self.metrics.units_visible(after.visible);
        let moved = after.visible > 0 || after.removed;
        self.emissions_hinted |= moved;
        self.drivers_hinted |= moved || after.driven || after.settled;
        Ok((outcomes, after))
    }

    /// Makes the ledger's partitions of the months that were met, before the tasks of their commits are published.
    ///
    /// # Errors
    /// When Postgres cannot be used.
    pub async fn months_ensure(&mut self, after: &After) -> Result<(), StateError> {
        for date in &after.months {
            self.month_ensure(*date).await?;
        }
        Ok(())
    }

    async fn apply_group(
        &self,
        reports: Vec<Decoded>,
        mut read: Read,
        after: &mut After,
    ) -> Result<Vec<Applied>, StateError> {
        let mut outcomes = vec![Applied::Done; reports.len()];
        let mut answered = HashSet::new();
        let mut client = self.state.store.client().await?;
        let mut txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.state.epoch).await?;
        for Piece { places, header, said } in pieces(reports, &mut outcomes) {
            answered.insert(header.generation);
            let savepoint =
                txn.savepoint("report").await.map_err(StoreError::sql("set a savepoint"))?;
            let mut more = After::default();
            let applied = match said {
                Said::Dates(dates) => Self::staged(&savepoint, &header, &dates).await,
                Said::Other(report) => {
                    self.apply_one(&savepoint, &header, *report, (&mut read, &mut more)).await
                }
            };
            let outcome = match applied {
                Ok(applied) => {
                    savepoint.commit().await.map_err(StoreError::sql("release a savepoint"))?;
                    after.merge(more);
                    applied
                }
                Err(error) if error.is_transient() || matches!(error, StateError::LostLead) => {
                    return Err(error);
                }
                Err(error) => {
                    let rolled = savepoint.rollback().await;
                    rolled.map_err(StoreError::sql("roll back to a savepoint"))?;
                    Applied::Refused(proto::fault::chain(&error))
                }
            };
            for place in places {
                outcomes[place] = outcome.clone();
            }
        }
        let mut settled = StateStore::tasks_settle_in_txn(&txn).await?;
        settled.retain(|task| subject::generation_of(task).is_none_or(|g| !answered.contains(&g)));
        after.superseded = settled;
        crash_point("coordinator.applying");
        txn.commit().await.map_err(StoreError::sql("commit"))?;
        Ok(outcomes)
    }

    async fn apply_one(
        &self,
        txn: &Transaction<'_>,
        header: &Header,
        report: Report,
        (read, after): (&mut Read, &mut After),
    ) -> Result<Applied, StateError> {
        let (at, by) = (source_of(header)?, header.worker.as_deref());
        match report {
            Report::GatheredDate(gathered) => return Self::staged(txn, header, &[gathered]).await,
            Report::Quarantined(records) => {
                if Self::gathering(txn, at, header.generation).await?.is_some() {
                    StateStore::staged_quarantine_in_txn(
                        txn,
                        at,
                        (header.generation, header.attempt),
                        &records,
                    )
                    .await?;
                }
            }
            Report::GatherDone(done) => {
                return self.gather_done(txn, at, header, &done, &mut read.inventories).await;
            }
            Report::Resolved(units) => {
                let counted = self.resolved(txn, (at, by), units, after).await?;
                StateStore::run_step_in_txn(txn, at, &Step::Resolve, &counted).await?;
                if self.reads_inventory(at.0, at.1) {
                    let address = snapshot::address(at, header.generation);
                    after.purges.push((Stream::Inventory, address));
                }
            }
            Report::Restored(units) => {
                let mut counted = StepDone::by(by);
                for unit in &units {
                    if self.restored(txn, at, unit).await? {
                        counted.add(unit.date, unit.lines.items);
                    }
                }
                StateStore::run_step_in_txn(txn, at, &Step::Restore, &counted).await?;
            }
            Report::Driver(done) => {
                after.driven = true;
                let of = (at.0, header.generation);
                let key = (header.generation, header.attempt);
                let measured =
                    done.lacking.is_none() && self.is_measured(of.0, &done.window.driver);
                match read.measured.remove(&key).filter(|_| measured) {
                    Some(Ok(weights)) => {
                        self.driver_computed(txn, of, &done, Some(&weights)).await?;
                    }
                    Some(Err(error)) => {
                        self.driver_failed(txn, of.0, of.1, &weights::unread(&error)).await?;
                    }
                    None if measured => return Ok(Applied::Later),
                    None => self.driver_computed(txn, of, &done, None).await?,
                }
            }
            Report::Allocated(units) => self.allocated(txn, (at, by), units, after).await?,
            Report::Committed(units) => self.committed_all(txn, (at, by), units, after).await?,
            Report::Emitted(units) => {
                for unit in &units {
                    StateStore::emission_done_in_txn(txn, at, header.generation, unit).await?;
                }
                let dates: Vec<String> = units.iter().map(|unit| unit.date.to_string()).collect();
                StateStore::units_emitted_in_txn(txn, at, &dates).await?;
                for of_one in units.chunk_by(|a, b| a.emitter == b.emitter) {
                    let Some(first) = of_one.first() else { continue };
                    let mut counted = StepDone::by(by);
                    of_one.iter().for_each(|unit| counted.add(unit.date, unit.rows));
                    StateStore::run_emitted_in_txn(txn, at, &first.emitter, &counted).await?;
                }
            }
            Report::Removed(files) => {
                for file in &files {
                    StateStore::removal_done_in_txn(txn, at, header.generation, file).await?;
                }
                after.removed = true;
            }
            Report::Failed(failed) => {
                after.config_doubted |= failed.class != FailureClass::Data;
                self.failed(txn, at, header, &failed).await?;
            }
        }
        Ok(Applied::Done)
    }

    /// The unit, if it is in `state` with this very generation; else the report is late and changes nothing.
    pub(super) async fn unit_in(
        txn: &Transaction<'_>,
        at: Source<'_>,
        (date, generation): (UnitDate, Generation),
        state: UnitState,
    ) -> Result<Option<UnitRow>, StateError> {
        let key = UnitKey { tenant: at.0.clone(), source: at.1.clone(), date };
        let unit = StateStore::unit_lock_in_txn(txn, &key).await?;
        Ok(unit.filter(|unit| unit.wanted == generation && unit.state == state))
    }

    /// What the archive gave back is read at its new address; the unit is due again. False: the report is late.
    async fn restored(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &Restored,
    ) -> Result<bool, StateError> {
        let wanted = (done.date, done.generation);
        if let Some(unit) = Self::unit_in(txn, at, wanted, UnitState::Restoring).await?
            && StateStore::unit_restored_in_txn(txn, &unit.key, done).await?
        {
            StateStore::run_unit_restored_in_txn(txn, &unit.key).await?;
            return StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::Restored).await;
        }
        Ok(false)
    }

    /// Rows are published: their commit is dispatched at once.
    async fn allocated(
        &self,
        txn: &Transaction<'_>,
        (at, by): (Source<'_>, Option<&str>),
        units: Vec<Published>,
        after: &mut After,
    ) -> Result<(), StateError> {
        let mut commits = Vec::new();
        let mut counted = StepDone::by(by);
        let dates: Vec<_> = units.iter().map(|done| done.date).collect();
        let mut known = StateStore::units_lock_in_txn(txn, at, &dates).await?;
        for done in units {
            let wanted = (done.generation, UnitState::Allocating);
            let unit = known.remove(&done.date);
            let Some(unit) = unit.filter(|unit| (unit.wanted, unit.state) == wanted) else {
                continue;
            };
            reconcile(&self.metrics, &unit.lines.totals, &done.manifest.totals);
            counted.add(done.date, done.manifest.items);
            commits.push((unit, done));
        }
        StateStore::run_step_in_txn(txn, at, &Step::Allocate, &counted).await?;
        let size = |(unit, Published { manifest: rows, .. }): &(UnitRow, Published)| {
            let resolutions = unit.resolutions.as_ref().map_or(0, |r| r.batches.len());
            let batches = unit.lines.batches.len() + resolutions + rows.batches.len();
            (rows.items, batches as u64)
        };
        // Of one task, all are live or none.
        let (replays, live): (Vec<_>, Vec<_>) =
            commits.into_iter().partition(|(unit, _)| unit.replay);
        for group in [live, replays].into_iter().flat_map(|commits| pack(commits, size)) {
            let unit = |(unit, done): &(UnitRow, Published)| CommitUnit {
                date: unit.key.date,
                generation: unit.wanted,
                lines: unit.lines.clone(),
                resolutions: unit.resolutions.clone(),
                rows: done.manifest.clone(),
                config: unit.wanted_config.unwrap_or(unit.config),
                rules: unit.wanted_rules.unwrap_or(unit.rules),
            };
            let task = Task::Commit(Commit { units: group.iter().map(unit).collect() });
            let Some((first, _)) = group.first() else { continue };
            let (date, generation) = (first.key.date, (first.wanted, first.gathered));
            let step = (&Step::Commit, first.lane());
            let out =
                StateStore::task_add_in_txn(txn, step, at, Some(date), generation, &task).await;
            let out = match out {
                // No task can carry it: the unit fails, and the rest goes on.
                Err(StateError::Envelope(error)) => {
                    for (unit, _) in &group {
                        let reason = format!("it is too large to be committed: {error}");
                        self.unit_failed(txn, unit, FailureClass::Data, &reason).await?;
                    }
                    continue;
                }
                out => out?,
            };
            StateStore::units_allocated_in_txn(txn, at, &group, &out.subject).await?;
            self.units_drivers_put(txn, at, &group).await?;
            after.months.extend(group.iter().map(|(unit, _)| unit.key.date));
            after.tasks.push(out);
        }
        Ok(())
    }

    async fn committed_all(
        &self,
        txn: &Transaction<'_>,
        (at, by): (Source<'_>, Option<&str>),
        units: Vec<Committed>,
        after: &mut After,
    ) -> Result<(), StateError> {
        let (mut counted, mut generations) = (StepDone::by(by), Vec::new());
        let dates: Vec<_> = units.iter().map(|done| done.date).collect();
        let mut known = StateStore::units_lock_in_txn(txn, at, &dates).await?;
        let mut visible = Vec::new();
        for done in units {
            let wanted = (done.generation, UnitState::Committing);
            let unit = known.remove(&done.date);
            let Some(unit) = unit.filter(|unit| (unit.wanted, unit.state) == wanted) else {
                continue;
            };
            if let Some(rows) = self.committed(txn, at, &done, &unit, after).await? {
                counted.add(done.date, rows);
                generations.push(done.generation.0);
                visible.push(done.date);
            }
        }
        if generations.is_empty() {
            return Ok(());
        }
        StateStore::units_event_in_txn(txn, at, &visible, UnitEvent::Committed).await?;
        StateStore::units_settled_in_txn(txn, at, &visible).await?;
        Self::sla_came(txn, at, &visible).await?;
        after.visible += generations.len() as u64;
        StateStore::units_emitted_in_txn(txn, at, counted.dates()).await?;
        StateStore::run_units_in_txn(txn, &self.run, generations.len()).await?;
        StateStore::run_step_in_txn(txn, at, &Step::Commit, &counted).await?;
        StateStore::run_visible_in_txn(txn, at, &counted, &generations).await
    }

    /// Gives the number of rows where the unit, which waits for it, became visible.
    async fn committed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &Committed,
        unit: &UnitRow,
        after: &mut After,
    ) -> Result<Option<u64>, StateError> {
        if unit.visible != done.generation.0 {
            // The ledger found it superseded, though nothing newer is wanted: it is calculated again.
            let reason = "the ledger found the generation superseded";
            self.unit_failed(txn, unit, FailureClass::Transient, reason).await?;
            return Ok(None);
        }
        let mut purge = |stream, Manifest { generation, attempt, .. }: &Manifest| {
            let address = UnitAddress::new(stream, at.0, at.1, done.date, *generation, *attempt);
            after.purges.push((stream, address.all()));
        };
        unit.rows.iter().for_each(|rows| purge(Stream::Row, rows));
        // What was restored has served. Kept until it ages out, a long history would fill the stream and wait for room.
        let restored = unit.lines.generation;
        if restored != unit.gathered {
            purge(Stream::Line, &unit.lines);
            let resolutions = unit.resolutions.iter().filter(|r| r.generation == restored);
            resolutions.for_each(|resolutions| purge(Stream::Resolution, resolutions));
        }
        Ok(Some(unit.rows.as_ref().map_or(0, |rows| rows.items)))
    }
}
