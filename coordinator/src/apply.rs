//! Reports in: applied in groups, a savepoint each; one bad report is refused, the rest commit.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::{Manifest, Totals};
use proto::report::{Committed, Failed, FailureClass, GatherDone, Published, Report};
use proto::subject::{self, Step, Stream, UnitAddress};
use proto::task::{Commit, CommitUnit, Task};
use proto::time::UnitDate;
use runtime::inbox::Delivery;
use runtime::store::StoreError;

use crate::core::Core;
use crate::domain::backoff::{ATTEMPTS_OF_A_RUN, EQUAL_ERRORS_MAX, pause};
use crate::domain::unit::{UnitEvent, UnitState};
use crate::store::{Outgoing, StateError, StateStore, UnitRow, execute, lead_check_in_txn, pack};

/// What is to be done once the transaction has committed.
#[derive(Default)]
struct After {
    tasks: Vec<Outgoing>,
    purges: Vec<String>,
    months: Vec<UnitDate>,
}

/// What became of a report.
enum Applied {
    Done,
    /// It speaks of others that have not arrived yet.
    Later,
}

type Source<'a> = (&'a TenantId, &'a SourceId);

impl Core {
    /// Applies a group of reports in one transaction and acknowledges them after its commit.
    ///
    /// # Errors
    /// When Postgres cannot be used or another coordinator leads: the reports are delivered again.
    pub async fn apply(&mut self, deliveries: Vec<Delivery>) -> Result<(), StateError> {
        let mut after = After::default();
        let (mut done, mut later, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut client = self.state.store.client().await?;
        let mut txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.state.epoch).await?;
        for delivery in deliveries {
            let (header, report) = match envelope::decode::<Report>(delivery.payload()) {
                Ok(decoded) => decoded,
                Err(error) => {
                    refused.push((delivery, error.to_string()));
                    continue;
                }
            };
            let savepoint =
                txn.savepoint("report").await.map_err(StoreError::sql("set a savepoint"))?;
            let mut more = After::default();
            match self.apply_one(&savepoint, &header, report, &mut more).await {
                Ok(applied) => {
                    savepoint.commit().await.map_err(StoreError::sql("release a savepoint"))?;
                    after.tasks.append(&mut more.tasks);
                    after.purges.append(&mut more.purges);
                    match applied {
                        Applied::Done => done.push(delivery),
                        Applied::Later => later.push(delivery),
                    }
                }
                Err(error) if error.is_transient() || matches!(error, StateError::LostLead) => {
                    return Err(error);
                }
                Err(error) => {
                    savepoint
                        .rollback()
                        .await
                        .map_err(StoreError::sql("roll back to a savepoint"))?;
                    refused.push((delivery, proto::fault::chain(&error)));
                }
            }
        }
        StateStore::tasks_settle_in_txn(&txn).await?;
        txn.commit().await.map_err(StoreError::sql("commit"))?;
        drop(client);
        for delivery in done {
            delivery.done().await;
        }
        for delivery in later {
            delivery.later(Duration::from_millis(300)).await;
        }
        for (delivery, reason) in refused {
            self.refuse(delivery, &reason).await;
        }
        for date in after.months {
            self.month_ensure(date).await?;
        }
        self.tasks_send(after.tasks).await?;
        let bus = self.bus.clone();
        tokio::spawn(async move {
            for subject in after.purges {
                if let Err(error) = bus.purge(Stream::Row, &subject).await {
                    tracing::debug!(
                        error = proto::fault::chain(&error),
                        "failed to purge rows; they age out"
                    );
                }
            }
        });
        Ok(())
    }

    async fn refuse(&self, delivery: Delivery, reason: &str) {
        tracing::error!(subject = delivery.subject(), reason, "refused a report");
        let step = Step::Commit;
        let subject = match envelope::decode_header(delivery.payload()) {
            Ok((header, _)) => subject::refused(&step, &header.tenant),
            Err(_) => subject::refused_unreadable(&step),
        };
        let kept =
            self.bus.refuse(&subject, delivery.subject(), reason, delivery.payload().clone()).await;
        match kept {
            Ok(()) => delivery.done().await,
            Err(error) => {
                tracing::warn!(
                    error = proto::fault::chain(&error),
                    "failed to keep a refused report"
                );
                delivery.later(Duration::from_secs(5)).await;
            }
        }
    }

    async fn apply_one(
        &self,
        txn: &Transaction<'_>,
        header: &Header,
        report: Report,
        after: &mut After,
    ) -> Result<Applied, StateError> {
        let Some(source) = &header.source else {
            let why = "the header names no source".to_owned();
            return Err(StateError::Stored { what: "report", of: header.tenant.to_string(), why });
        };
        let at = (&header.tenant, source);
        match report {
            Report::GatheredDate(gathered) => {
                if self.is_gathering(txn, at, header.generation).await? {
                    StateStore::staged_add_in_txn(
                        txn,
                        at,
                        (header.generation, header.attempt),
                        &gathered,
                    )
                    .await?;
                }
            }
            Report::Quarantined(records) => {
                if self.is_gathering(txn, at, header.generation).await? {
                    StateStore::staged_quarantine_in_txn(
                        txn,
                        at,
                        (header.generation, header.attempt),
                        &records,
                    )
                    .await?;
                }
            }
            Report::GatherDone(done) => return self.gather_done(txn, at, header, &done).await,
            Report::Resolved(units) => {
                for unit in &units {
                    self.resolved(txn, at, unit).await?;
                }
            }
            Report::Allocated(units) => self.allocated(txn, at, units, after).await?,
            Report::Committed(units) => {
                for unit in units {
                    self.committed(txn, at, unit, after).await?;
                }
            }
            Report::Emitted(units) => {
                for unit in &units {
                    StateStore::emission_done_in_txn(txn, at, unit).await?;
                }
            }
            Report::Failed(failed) => self.failed(txn, at, header, &failed).await?,
        }
        Ok(Applied::Done)
    }

    async fn is_gathering(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        generation: Generation,
    ) -> Result<bool, StateError> {
        let row = StateStore::source_lock_in_txn(txn, at).await?;
        Ok(row.is_some_and(|row| row.gather == Some(generation)))
    }

    /// Everything that a gather reported counts now, or nothing of it.
    async fn gather_done(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        header: &Header,
        done: &GatherDone,
    ) -> Result<Applied, StateError> {
        let Some(entry) = self.config(at.0) else { return Ok(Applied::Done) };
        if !self.is_gathering(txn, at, header.generation).await? {
            return Ok(Applied::Done);
        }
        let stage = (header.generation, header.attempt);
        let (staged, quarantined) = StateStore::staged_list_in_txn(txn, at, stage).await?;
        let staged_by_date: BTreeMap<UnitDate, _> = staged.into_iter().collect();
        let arrived = done.dates.iter().filter(|d| !d.unchanged);
        let complete = arrived
            .clone()
            .all(|d| staged_by_date.get(&d.date).is_some_and(|s| s.lines.hash == d.hash))
            && staged_by_date.len() == arrived.count()
            && quarantined == done.quarantined;
        if !complete {
            return Ok(Applied::Later);
        }
        let known = StateStore::units_known_in_txn(txn, at).await?;
        let in_force: BTreeMap<UnitDate, Hash128> =
            known.iter().map(|(date, hash, _)| (*date, *hash)).collect();
        if let Some(wrong) =
            done.dates.iter().find(|d| d.unchanged && in_force.get(&d.date) != Some(&d.hash))
        {
            let reason = format!(
                "{} was reported unchanged, but other lines are in force: it is gathered again",
                wrong.date
            );
            StateStore::gather_failed_in_txn(txn, at, &reason, Duration::ZERO, None).await?;
            return Ok(Applied::Done);
        }
        let key = |date| UnitKey { tenant: at.0.clone(), source: at.1.clone(), date };
        for (date, staged) in &staged_by_date {
            let rules = entry.config.rules_hash(at.1, *date)?;
            self.date_in_force(
                txn,
                &key(*date),
                &staged.lines,
                &staged.received,
                (entry.hash, rules),
            )
            .await?;
        }
        let found: std::collections::BTreeSet<UnitDate> =
            done.dates.iter().map(|d| d.date).collect();
        for date in in_force.into_keys().filter(|d| !found.contains(d)) {
            if (done.covered_from..=done.covered_to).contains(&date) {
                tracing::info!(tenant = %at.0, source = %at.1, %date, "the source no longer has this date: withdrawn");
                let empty = empty_manifest(header);
                let rules = entry.config.rules_hash(at.1, date)?;
                self.date_in_force(
                    txn,
                    &key(date),
                    &empty,
                    &pack(&Totals::default())?,
                    (entry.hash, rules),
                )
                .await?;
            }
        }
        StateStore::quarantine_apply_in_txn(txn, at, stage, done).await?;
        let reading = entry.config.gather_hash(at.1)?;
        StateStore::gather_done_in_txn(txn, at, header.generation, done, (&self.run, reading))
            .await?;
        tracing::info!(tenant = %at.0, source = %at.1, generation = header.generation.0, dates = done.dates.len(),
            changed = staged_by_date.len(), quarantined, "gather applied");
        Ok(Applied::Done)
    }

    async fn date_in_force(
        &self,
        txn: &Transaction<'_>,
        key: &UnitKey,
        lines: &Manifest,
        received: &[u8],
        hashes: (Hash128, Hash128),
    ) -> Result<(), StateError> {
        let changed = StateStore::unit_gathered_in_txn(txn, key, lines, received, hashes).await?;
        let event = if changed { UnitEvent::InputsChanged } else { UnitEvent::Republished };
        StateStore::unit_event_in_txn(txn, key, event).await?;
        Ok(())
    }

    /// The unit, if it is in `state` with this very generation; else the report is late and changes nothing.
    async fn unit_in(
        txn: &Transaction<'_>,
        at: Source<'_>,
        (date, generation): (UnitDate, Generation),
        states: &[UnitState],
    ) -> Result<Option<UnitRow>, StateError> {
        let key = UnitKey { tenant: at.0.clone(), source: at.1.clone(), date };
        let unit = StateStore::unit_lock_in_txn(txn, &key).await?;
        Ok(unit.filter(|unit| unit.wanted == generation && states.contains(&unit.state)))
    }

    async fn resolved(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &Published,
    ) -> Result<(), StateError> {
        let wanted = (done.date, done.generation);
        if let Some(unit) = Self::unit_in(txn, at, wanted, &[UnitState::Resolving]).await? {
            StateStore::unit_resolved_in_txn(txn, &unit.key, &done.manifest).await?;
            StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::Resolved).await?;
        }
        Ok(())
    }

    /// Rows are published: their commit is dispatched at once.
    async fn allocated(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        units: Vec<Published>,
        after: &mut After,
    ) -> Result<(), StateError> {
        let mut commits = Vec::new();
        for done in units {
            let wanted = (done.date, done.generation);
            let Some(unit) = Self::unit_in(txn, at, wanted, &[UnitState::Allocating]).await? else {
                continue;
            };
            commits.push((unit, done.manifest));
        }
        let size = |(_, rows): &(UnitRow, Manifest)| (rows.items, rows.batches.len() as u64);
        for group in crate::domain::pack::pack(commits, size) {
            let unit = |(unit, rows): &(UnitRow, Manifest)| CommitUnit {
                date: unit.key.date,
                generation: unit.wanted,
                lines: unit.lines.clone(),
                resolutions: unit.resolutions.clone(),
                rows: rows.clone(),
                config: unit.wanted_config.unwrap_or(unit.config),
                rules: unit.wanted_rules.unwrap_or(unit.rules),
            };
            let task = Task::Commit(Commit { units: group.iter().map(unit).collect() });
            let Some((first, _)) = group.first() else { continue };
            let (date, generation) = (first.key.date, first.wanted);
            let out =
                StateStore::task_add_in_txn(txn, &Step::Commit, at, Some(date), generation, &task)
                    .await?;
            for (unit, rows) in &group {
                StateStore::unit_allocated_in_txn(txn, unit, rows, &out.subject).await?;
                after.months.push(unit.key.date);
            }
            after.tasks.push(out);
        }
        Ok(())
    }

    async fn committed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: Committed,
        after: &mut After,
    ) -> Result<(), StateError> {
        let wanted = (done.date, done.generation);
        let Some(unit) = Self::unit_in(txn, at, wanted, &[UnitState::Committing]).await? else {
            return Ok(());
        };
        if unit.visible != done.generation.0 {
            // The ledger found it superseded, though nothing newer is wanted: it is calculated again.
            let reason = "the ledger found the generation superseded";
            return self.unit_failed(txn, &unit, FailureClass::Transient, reason).await;
        }
        if StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::Committed).await? {
            StateStore::unit_settled_in_txn(txn, &unit.key).await?;
            let sql = "update pipeline_runs set units = units + 1 where run_id = $1";
            execute(txn, "count a unit", sql, &[&self.run]).await?;
        }
        if let Some(rows) = &unit.rows {
            let address =
                UnitAddress::new(Stream::Row, at.0, at.1, done.date, rows.generation, rows.attempt);
            after.purges.push(address.all());
        }
        Ok(())
    }

    async fn failed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        header: &Header,
        failed: &Failed,
    ) -> Result<(), StateError> {
        match failed.step.parse::<Step>() {
            Ok(Step::Gather) => self.gather_failed(txn, at, header.generation, failed).await,
            Ok(Step::Emit(emitter)) => {
                for (date, _) in &failed.units {
                    let key = UnitKey { tenant: at.0.clone(), source: at.1.clone(), date: *date };
                    StateStore::emission_failed_in_txn(txn, &key, &emitter, &failed.reason, pause)
                        .await?;
                }
                Ok(())
            }
            Ok(Step::Resolve | Step::Allocate | Step::Commit) => {
                let working = [UnitState::Resolving, UnitState::Allocating, UnitState::Committing];
                for unit in &failed.units {
                    if let Some(unit) = Self::unit_in(txn, at, *unit, &working).await? {
                        self.unit_failed(txn, &unit, failed.class, &failed.reason).await?;
                    }
                }
                Ok(())
            }
            Ok(Step::Driver | Step::Restore) | Err(_) => {
                let why = format!("step {:?} fails here: {}", failed.step, failed.reason);
                Err(StateError::Stored { what: "report", of: header.tenant.to_string(), why })
            }
        }
    }

    pub(crate) async fn unit_failed(
        &self,
        txn: &Transaction<'_>,
        unit: &UnitRow,
        class: FailureClass,
        reason: &str,
    ) -> Result<(), StateError> {
        let equal = match class {
            FailureClass::Data
                if unit.error_hash.as_deref() == Some(&Hash128::of(reason.as_bytes()).0) =>
            {
                unit.equal_errors + 1
            }
            FailureClass::Data => 1,
            FailureClass::Transient | FailureClass::InputMissing => 0,
        };
        let event = match class {
            FailureClass::Data if equal >= EQUAL_ERRORS_MAX => UnitEvent::Quarantine,
            FailureClass::Data | FailureClass::Transient => UnitEvent::Failed,
            FailureClass::InputMissing => UnitEvent::InputMissing,
        };
        tracing::warn!(unit = %unit.key, state = %unit.state, ?class, equal, reason, "a unit's step failed");
        StateStore::unit_event_in_txn(txn, &unit.key, event).await?;
        StateStore::unit_failed_in_txn(txn, &unit.key, reason, equal, pause(unit.attempts + 1))
            .await?;
        if class == FailureClass::InputMissing {
            StateStore::unit_forget_resolutions_in_txn(txn, &unit.key).await?;
        }
        Ok(())
    }

    async fn gather_failed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        generation: Generation,
        failed: &Failed,
    ) -> Result<(), StateError> {
        let Some(row) = StateStore::source_lock_in_txn(txn, at).await? else { return Ok(()) };
        if row.gather != Some(generation) {
            return Ok(());
        }
        let attempts = row.attempts + 1;
        // A single run takes a data error as final: the next run looks again. A standing one keeps trying.
        let hopeless = failed.class == FailureClass::Data || attempts >= ATTEMPTS_OF_A_RUN;
        let given_up = hopeless.then_some(self.run.as_str());
        tracing::warn!(tenant = %at.0, source = %at.1, attempts, class = ?failed.class, reason = failed.reason, "a gather failed");
        StateStore::gather_failed_in_txn(txn, at, &failed.reason, pause(attempts), given_up).await
    }
}

/// A date without lines: visible as a generation with 0 rows.
fn empty_manifest(header: &Header) -> Manifest {
    proto::manifest::ManifestBuilder::default().finish(header.generation, header.attempt)
}
