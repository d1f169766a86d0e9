//! The audit trail: gathers and what persons asked for as runs, with their units and steps.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::{EmitterId, Generation, SourceId, TenantId, UnitKey};
use proto::report::GatherDone;
use proto::subject::Step;
use proto::time::UnitDate;

use super::emit::IN_LOOKBACK;
use super::unit::HELD;
use super::{StateError, StateStore, execute, parsed, plain, query};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;

type Source<'a> = (&'a TenantId, &'a SourceId);

/// A run of one gather.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatherRun {
    /// Its id.
    pub id: String,
    /// First and last date that a person asked for; `None`: the source's own window.
    pub range: Option<(UnitDate, UnitDate)>,
}

impl GatherRun {
    /// Of a row with the id, the first and the last date as text.
    pub(super) fn of(row: &Row, at: usize) -> Result<Self, StateError> {
        let date = |at: usize| -> Result<Option<UnitDate>, StateError> {
            row.get::<_, Option<&str>>(at).map(|date| parsed("date", date)).transpose()
        };
        Ok(Self { id: row.get(at), range: date(at + 1)?.zip(date(at + 2)?) })
    }
}

/// How many dates, and how much of them, a report speaks of.
#[derive(Debug, Default)]
pub struct StepDone {
    dates: Vec<String>,
    items: Vec<i64>,
    worker: Option<String>,
}

impl StepDone {
    /// Nothing yet, by this process.
    #[must_use]
    pub fn by(worker: Option<&str>) -> Self {
        Self { worker: worker.map(plain), ..Self::default() }
    }
    /// Counts a date in, with so many items.
    pub fn add(&mut self, date: UnitDate, items: u64) {
        self.dates.push(date.to_string());
        self.items.push(i64::try_from(items).unwrap_or(i64::MAX));
    }
    /// The dates.
    #[must_use]
    pub fn dates(&self) -> &[String] {
        &self.dates
    }
}

/// Of `run_units u`: every emitter in force has carried outside what became visible, or something newer. Asked for each
/// of the few rows: as a join, a server without statistics reads all dates of a source for each of them.
const EMITTED: &str = "(select true from pipeline_state p join source_state s using (tenant, source)
    join emitters e using (tenant) left join emission_records r using (tenant, source, date, emitter)
    where p.tenant = u.tenant and p.source = u.source and p.date = u.date and s.in_force
      and in_lookback(p.date, e.lookback_days, e.monthly)
      and (r.generation is null or r.generation < u.generation or r.emitter_hash is distinct from e.hash) limit 1) is null";

impl StateStore {
    /// The run that the next gather of a source is part of: what a person asked for, else the one whose last attempt
    /// failed, else a new one with this id.
    pub(crate) async fn gather_run_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (new, trigger): (&str, &str),
        config: Hash128,
    ) -> Result<GatherRun, StateError> {
        let sql = "update pipeline_runs set status = 'running', config_hash = coalesce(config_hash, $3)
                   where run_id = (select run_id from pipeline_runs
                     where tenant = $1 and source = $2 and kind = 'gather' and ended_at is null and gathered_at is null
                     order by from_date is null, started_at, run_id limit 1)
                   returning run_id, from_date::text, to_date::text";
        let (tenant, source, config) = (tenant.as_str(), source.as_str(), config.0.as_slice());
        let rows = query(txn, "look for a run", sql, &[&tenant, &source, &config]).await?;
        let run = match rows.first() {
            Some(row) => GatherRun::of(row, 0)?,
            None => {
                let sql =
                    "insert into pipeline_runs (run_id, trigger, kind, tenant, source, config_hash)
                           values ($1, $2, 'gather', $3, $4, $5)";
                execute(txn, "start a run", sql, &[&new, &trigger, &tenant, &source, &config])
                    .await?;
                GatherRun { id: new.to_owned(), range: None }
            }
        };
        let sql = "insert into run_steps (run_id, step, started_at) values ($1, 'gather', now()) on conflict do nothing";
        execute(txn, "start a step", sql, &[&run.id]).await?;
        Ok(run)
    }

    /// The gather of a run ended well: the run waits for the dates that came into force with it.
    pub(crate) async fn run_gathered_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (run, generation): (&str, Generation),
        done: &GatherDone,
        worker: Option<&str>,
    ) -> Result<(), StateError> {
        let sql = format!(
            "insert into run_units (run_id, tenant, source, date, before_generation)
             select $1, tenant, source, date, visible_generation from pipeline_state p
             where tenant = $2 and source = $3 and lines_generation = $4 and state <> 'visible' and not {HELD}
             on conflict do nothing"
        );
        let (tenant, source) = (tenant.as_str(), source.as_str());
        execute(txn, "note a run's dates", &sql, &[&run, &tenant, &source, &generation.0]).await?;
        let sql = "update run_steps set ended_at = now(), units = $2, items = $3,
                     workers = also_named(workers, named($4))
                   where run_id = $1 and step = 'gather'";
        let units = i64::try_from(done.dates.len()).unwrap_or(i64::MAX);
        let records = i64::try_from(done.records).unwrap_or(i64::MAX);
        let worker = worker.map(plain);
        execute(txn, "end a gather's step", sql, &[&run, &units, &records, &worker]).await?;
        let sql = "update pipeline_runs set gathered_at = now(), error = null where run_id = $1";
        execute(txn, "note that a run gathered", sql, &[&run]).await?;
        Ok(())
    }

    /// An attempt of a run's gather failed; `given_up`: there is no other.
    pub(crate) async fn run_gather_failed_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        reason: &str,
        given_up: bool,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_runs set error = $2,
                     status = case when $3 then 'failed' else status end, failed = case when $3 then 1 else failed end,
                     ended_at = case when $3 then now() end
                   where run_id = $1 and ended_at is null";
        execute(txn, "note a run's failure", sql, &[&run, &plain(reason), &given_up]).await?;
        Ok(())
    }

    /// Counts what a step did for the runs that wait for these dates. To be called before the next step is sent out.
    pub(crate) async fn run_step_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        step: &Step,
        done: &StepDone,
    ) -> Result<(), StateError> {
        if done.dates.is_empty() {
            return Ok(());
        }
        let sql = "insert into run_steps as s (run_id, step, started_at, ended_at, units, items, workers)
                   select u.run_id, $3, coalesce(min(p.dispatched_at), now()), now(), count(*), sum(d.items)::int8,
                     named($6)
                   from unnest($4::text[]::date[], $5::int8[]) as d (date, items)
                   join run_units u on u.tenant = $1 and u.source = $2 and u.date = d.date
                     and u.visible_at is null and u.settled_at is null
                   join pipeline_state p on p.tenant = $1 and p.source = $2 and p.date = d.date
                   group by u.run_id order by u.run_id
                   on conflict (run_id, step) do update set started_at = least(s.started_at, excluded.started_at),
                     ended_at = excluded.ended_at, units = s.units + excluded.units, items = s.items + excluded.items,
                     workers = also_named(s.workers, excluded.workers)";
        let (tenant, source, step) = (tenant.as_str(), source.as_str(), step.to_string());
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant, &source, &step, &done.dates, &done.items, &done.worker];
        execute(txn, "count a step", sql, &values).await?;
        Ok(())
    }

    /// These dates are visible now as they should be, under these generations.
    pub(crate) async fn run_visible_in_txn(
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &StepDone,
        generations: &[i64],
    ) -> Result<(), StateError> {
        let sql = "update run_units u set visible_at = now(), generation = d.generation
                   from unnest($3::text[]::date[], $4::int8[]) as d (date, generation)
                   where u.tenant = $1 and u.source = $2 and u.date = d.date
                     and u.visible_at is null and u.settled_at is null";
        let (tenant, source) = (at.0.as_str(), at.1.as_str());
        let values: [&(dyn ToSql + Sync); 4] = [&tenant, &source, &done.dates, &generations];
        if execute(txn, "note visible dates of runs", sql, &values).await? > 0 {
            Self::run_units_settle_in_txn(txn, at, done).await?;
        }
        Ok(())
    }

    /// An emitter carried these dates outside.
    pub(crate) async fn run_emitted_in_txn(
        txn: &Transaction<'_>,
        at: Source<'_>,
        emitter: &EmitterId,
        done: &StepDone,
    ) -> Result<(), StateError> {
        let sql = "insert into run_steps as s (run_id, step, started_at, ended_at, units, items, workers)
                   select u.run_id, 'emit', coalesce(min(r.dispatched_at), now()), now(), count(*), sum(d.items)::int8,
                     named($6)
                   from unnest($4::text[]::date[], $5::int8[]) as d (date, items)
                   join run_units u on u.tenant = $1 and u.source = $2 and u.date = d.date
                     and u.visible_at is not null and u.settled_at is null
                   join emission_records r on r.tenant = $1 and r.source = $2 and r.date = d.date and r.emitter = $3
                     and r.generation >= u.generation
                   group by u.run_id order by u.run_id
                   on conflict (run_id, step) do update set started_at = least(s.started_at, excluded.started_at),
                     ended_at = excluded.ended_at, units = s.units + excluded.units, items = s.items + excluded.items,
                     workers = also_named(s.workers, excluded.workers)";
        let (tenant, source, emitter) = (at.0.as_str(), at.1.as_str(), emitter.as_str());
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant, &source, &emitter, &done.dates, &done.items, &done.worker];
        if execute(txn, "count emissions of runs", sql, &values).await? > 0 {
            Self::run_units_settle_in_txn(txn, at, done).await?;
        }
        Ok(())
    }

    /// Of these dates, those that are visible and emitted are done.
    async fn run_units_settle_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        done: &StepDone,
    ) -> Result<(), StateError> {
        let sql = format!(
            "update run_units u set settled_at = now()
             where u.tenant = $1 and u.source = $2 and u.date = any($3::text[]::date[])
               and u.settled_at is null and u.visible_at is not null and {EMITTED}"
        );
        let (tenant, source) = (tenant.as_str(), source.as_str());
        execute(txn, "settle dates of runs", &sql, &[&tenant, &source, &done.dates]).await?;
        Ok(())
    }

    /// The runs that wait for a unit no longer do: it failed for good.
    pub(crate) async fn run_unit_failed_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        reason: &str,
    ) -> Result<(), StateError> {
        let sql = "update run_units set settled_at = now(), error = $4
                   where tenant = $1 and source = $2 and date = $3::text::date and settled_at is null";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        execute(txn, "give a run's date up", sql, &[&tenant, &source, &date, &plain(reason)])
            .await?;
        Ok(())
    }

    /// Settles whatever no report settles: emitters that went, dates that are too old for them now, sources that are
    /// out of force.
    pub(crate) async fn run_units_sweep_in_txn(txn: &Transaction<'_>) -> Result<(), StateError> {
        let sql = format!(
            "update run_units u set settled_at = now()
             where u.settled_at is null and u.visible_at is not null and {EMITTED}"
        );
        execute(txn, "settle dates of runs", &sql, &[]).await?;
        let sql = "with gone as (
                     select r.run_id from pipeline_runs r
                     where r.ended_at is null and r.kind <> 'session' and not exists (select from source_state s
                       where s.tenant = r.tenant and s.source = coalesce(r.source, s.source) and s.in_force)),
                   units as (
                     update run_units u set settled_at = now(), error = 'its source is out of force' from gone g
                     where u.run_id = g.run_id and u.settled_at is null)
                   update pipeline_runs r set ended_at = now(), status = 'failed', error = 'its source is out of force'
                   from gone g where r.run_id = g.run_id";
        execute(txn, "end runs of sources that are gone", sql, &[]).await?;
        Ok(())
    }

    /// Forgets up to `limit` old runs, the oldest first. Most gathers find nothing new: they need not be remembered for long.
    pub(crate) async fn runs_forget_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<u64, StateError> {
        let sql = format!(
            "delete from pipeline_runs where run_id = any(array(select run_id from pipeline_runs
               where started_at < now() - interval '7 days' and ended_at is not null
                 and (started_at < now() - interval '400 days'
                   or kind = 'gather' and trigger = 'schedule' and status = 'done' and units = 0)
               order by started_at limit {limit}))"
        );
        execute(txn, "forget old runs", &sql, &[]).await
    }

    /// Ends the runs that wait for nothing any more.
    pub(crate) async fn runs_end_in_txn(txn: &Transaction<'_>) -> Result<u64, StateError> {
        let sql = "with ended as materialized (
                     select o.run_id from pipeline_runs o
                     where o.ended_at is null and o.kind <> 'session' and o.gathered_at is not null
                       and (select true from run_units u where u.run_id = o.run_id and u.settled_at is null limit 1) is null)
                   update pipeline_runs r set ended_at = now(), units = c.done, failed = c.failed,
                     status = case when c.failed = 0 then 'done' else 'failed' end, error = c.error
                   from ended o cross join lateral (
                     select count(*) filter (where error is null) as done, count(error) as failed,
                       (array_agg(u.date || ': ' || error order by u.date) filter (where error is not null))[1] as error
                     from run_units u where u.run_id = o.run_id) c
                   where o.run_id = r.run_id";
        execute(txn, "end runs", sql, &[]).await
    }

    /// A single run ends, and nothing goes on after it: what its gathers still wait for was given up.
    pub(crate) async fn runs_give_up_in_txn(txn: &Transaction<'_>) -> Result<(), StateError> {
        let sql = format!(
            "update run_units u set settled_at = now(), error = coalesce(
                 (select p.last_error from pipeline_state p where u.visible_at is null
                    and p.tenant = u.tenant and p.source = u.source and p.date = u.date),
                 (select max(r.last_error) from emission_records r join emitters e using (tenant, emitter)
                  join pipeline_state p using (tenant, source, date)
                  where r.tenant = u.tenant and r.source = u.source and r.date = u.date
                    and {IN_LOOKBACK} and r.attempts >= $1),
                 'it was not done when the run ended')
             where u.settled_at is null and not (u.visible_at is not null and {EMITTED})"
        );
        execute(txn, "give dates of runs up", &sql, &[&ATTEMPTS_OF_A_RUN]).await?;
        Ok(())
    }
}
