//! Reports of gathers: what one reported counts with its end, whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use proto::config::Schedule;
use proto::envelope::Header;
use proto::hash::Hash128;
use proto::ids::{Generation, UnitKey};
use proto::report::{Failed, FailureClass, GatherDone, GatheredDate};
use proto::time::UnitDate;

use super::inventory::{Arrived, Inventories};
use super::{Applied, Source, source_of};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;
use crate::domain::schedule::next_gather;
use crate::domain::unit::UnitEvent;
use crate::leader::Leader;
use crate::store::{ConfigInForce, DEFAULT, SourceRow, StagedDate, StateError, StateStore};

impl Leader {
    /// The source, if that very gather of it is under way; else what is reported of it is late.
    pub(super) async fn gathering(
        txn: &Transaction<'_>,
        at: Source<'_>,
        generation: Generation,
    ) -> Result<Option<SourceRow>, StateError> {
        let row = StateStore::source_lock_in_txn(txn, at).await?;
        Ok(row.filter(|row| row.gather == Some(generation)))
    }

    /// Keeps dates of a gather under way.
    pub(super) async fn staged(
        txn: &Transaction<'_>,
        header: &Header,
        dates: &[GatheredDate],
    ) -> Result<Applied, StateError> {
        let at = source_of(header)?;
        if Self::gathering(txn, at, header.generation).await?.is_some() {
            let by = (header.generation, header.attempt);
            StateStore::staged_add_in_txn(txn, at, by, dates).await?;
        }
        Ok(Applied::Done)
    }

    /// Everything that a gather reported counts now, or nothing of it.
    pub(super) async fn gather_done(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        header: &Header,
        done: &GatherDone,
        inventories: &mut Inventories,
    ) -> Result<Applied, StateError> {
        let Some(entry) = self.config(at.0) else { return Ok(Applied::Done) };
        let Some(row) = Self::gathering(txn, at, header.generation).await? else {
            return Ok(Applied::Done);
        };
        let run = &row.run;
        // Of what a person asked for, the lines alone count: it says nothing of other dates, nor of what lives now.
        let asked = run.as_ref().and_then(|run| run.range);
        let is_asked = |date: &UnitDate| asked.is_none_or(|(from, to)| (from..=to).contains(date));
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
        let mut entities = None;
        let inventory = done.inventory.as_ref().filter(|_| asked.is_none());
        if let Some(inventory) = inventory {
            let read = inventories.remove(&stage);
            match self.inventory_arrived(txn, at, inventory, read).await? {
                Arrived::Here(found) => entities = found,
                Arrived::Later => return Ok(Applied::Later),
                Arrived::Unfit(reason) => {
                    let again = Duration::ZERO;
                    StateStore::gather_failed_in_txn(txn, at, &reason, again, None).await?;
                    return Ok(Applied::Done);
                }
            }
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
        let changed = staged_by_date.len();
        Self::dates_in_force(txn, at, entry, staged_by_date).await?;
        let found: BTreeSet<UnitDate> = done.dates.iter().map(|d| d.date).collect();
        let covered = (done.covered_from, done.covered_to);
        let is_gone = |date: &UnitDate| {
            !found.contains(date) && (covered.0..=covered.1).contains(date) && is_asked(date)
        };
        let gone = in_force.into_keys().filter(is_gone).collect();
        self.dates_gone(txn, at, entry, stage, (covered, &found, &gone), asked.is_some()).await?;
        if let Some(inventory) = inventory {
            let by = (header.generation, &entry.config.guards);
            self.inventory_apply(txn, at, by, inventory, entities).await?;
        }
        for (date, lines) in StateStore::units_waiting_in_txn(txn, at).await? {
            if lines == 0 {
                // Nothing of it can be missing.
                StateStore::unit_event_in_txn(txn, &key(date), UnitEvent::Republished).await?;
            } else if !found.contains(&date) && is_asked(&date) {
                let reason = "its batches are gone from the stream, and the source was not asked for this date: let `lookback` and `cutoff` include it";
                tracing::warn!(tenant = %at.0, source = %at.1, %date, reason, "a date cannot be republished");
                StateStore::unit_forsaken_in_txn(txn, &key(date), reason).await?;
            }
        }
        StateStore::quarantine_apply_in_txn(txn, at, stage, done, asked).await?;
        StateStore::provider_columns_add_in_txn(txn, at, &done.provider_columns).await?;
        if let Some(run) = run {
            let gathered = (run.id.as_str(), header.generation);
            let by = header.worker.as_deref();
            StateStore::run_gathered_in_txn(txn, at, gathered, done, by).await?;
        }
        if asked.is_some() {
            StateStore::backfill_ended_in_txn(txn, at).await?;
        } else {
            let next = self.next_gather(at, &row)?;
            let by = (self.run.as_str(), entry.config.gather_hash(at.1)?, next);
            StateStore::gather_done_in_txn(txn, at, header.generation, done, by).await?;
        }
        tracing::info!(tenant = %at.0, source = %at.1, generation = header.generation.0, dates = done.dates.len(),
            changed, quarantined, "gather applied");
        Ok(Applied::Done)
    }

    /// When a source is gathered next whose gather has ended now.
    fn next_gather(&self, at: Source<'_>, row: &SourceRow) -> Result<Timestamp, StateError> {
        let source = self.config(at.0).and_then(|entry| entry.config.source(at.1));
        let own = source.and_then(|source| source.timing.schedule.clone());
        let schedule = own.unwrap_or_else(|| match self.every {
            Some(every) => Schedule::Every(u32::try_from(every.as_secs()).unwrap_or(u32::MAX)),
            None => DEFAULT,
        });
        Ok(next_gather(&schedule, row.sent_at.unwrap_or(row.now), row.now)?)
    }

    pub(super) async fn dates_in_force(
        txn: &Transaction<'_>,
        at: Source<'_>,
        entry: &ConfigInForce,
        dates: BTreeMap<UnitDate, StagedDate>,
    ) -> Result<(), StateError> {
        let ruled = |(date, staged)| {
            let rules = entry.config.rules_hash(at.1, date)?;
            Ok((date, (staged, rules)))
        };
        let dates = dates.into_iter().map(ruled).collect::<Result<BTreeMap<_, _>, StateError>>()?;
        let changed = StateStore::units_gathered_in_txn(txn, at, &dates, entry.hash).await?;
        let same: Vec<UnitDate> =
            dates.into_keys().filter(|date| !changed.contains(date)).collect();
        StateStore::units_event_in_txn(txn, at, &changed, UnitEvent::InputsChanged).await?;
        StateStore::units_event_in_txn(txn, at, &same, UnitEvent::Republished).await?;
        Ok(())
    }

    pub(super) async fn gather_failed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        generation: Generation,
        failed: &Failed,
    ) -> Result<(), StateError> {
        let Some(row) = Self::gathering(txn, at, generation).await? else { return Ok(()) };
        self.metrics.gather_failed();
        let attempts = row.attempts + 1;
        // A single run takes a data error as final: the next run looks again. A standing one keeps trying.
        let hopeless = failed.class == FailureClass::Data || attempts >= ATTEMPTS_OF_A_RUN;
        let reason = &failed.reason;
        let asked = row.run.as_ref().is_some_and(|run| run.range.is_some());
        let given_up = hopeless && (asked || self.every.is_none());
        if let Some(run) = &row.run {
            StateStore::run_gather_failed_in_txn(txn, &run.id, reason, given_up).await?;
        }
        tracing::warn!(tenant = %at.0, source = %at.1, attempts, class = ?failed.class, reason = failed.reason, "a gather failed");
        if asked && given_up {
            return StateStore::backfill_ended_in_txn(txn, at).await;
        }
        let given_up = given_up.then_some(self.run.as_str());
        StateStore::gather_failed_in_txn(txn, at, reason, self.pause(attempts), given_up).await
    }
}
