//! Runs: one row per session of `up` and per `run --once`.

use deadpool_postgres::Transaction;
use runtime::store::StoreError;

use super::emit::{IN_LOOKBACK, UNEMITTED};
use super::unit::{HELD, RESTORABLE};
use super::{StateError, StateStore, execute, lead_check_in_txn};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;

/// What a run still waits for, and what failed in it for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// Sources whose gather has not ended in this run, and gathers that persons asked for.
    pub sources: i64,
    /// Units that are neither visible nor given up, and drivers of visible ones that are not up to date.
    pub units: i64,
    /// Emissions, and removals of stale files, that are due and not given up.
    pub emissions: i64,
    /// Sources, units, emissions and removals that are given up in this run.
    pub failed: i64,
}

impl StateStore {
    /// Starts a run, or takes it up again after a restart.
    ///
    /// # Errors
    /// When another coordinator leads now, or Postgres cannot be asked.
    pub async fn run_start(&self, run: &str, trigger: &str) -> Result<(), StateError> {
        let mut client = self.store.client().await?;
        let txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.epoch).await?;
        let sql = "insert into pipeline_runs (run_id, trigger) values ($1, $2) on conflict (run_id) do nothing";
        if execute(&txn, "start the run", sql, &[&run, &trigger]).await? > 0 {
            // What an earlier run gave up gets its chance again.
            let emissions = format!(
                "update emission_records r set attempts = 0, next_attempt_at = now() from pipeline_state p
                 where {UNEMITTED} and r.attempts > 0
                   and (r.tenant, r.source, r.date) = (p.tenant, p.source, p.date)"
            );
            for sql in [
                "update source_state set attempts = 0, next_attempt_at = now() where attempts > 0",
                "update pipeline_state set attempts = 0, next_attempt_at = now() where attempts > 0 and state <> 'visible'",
                &emissions,
                "update drivers set attempts = 0, next_attempt_at = now() where attempts > 0",
                "update drivers set again_at = now() where again_at > now()",
                "update emitted_files set attempts = 0, next_attempt_at = now() where attempts > 0 and doubtful",
            ] {
                execute(&txn, "start the run", sql, &[]).await?;
            }
        }
        Ok(txn.commit().await.map_err(StoreError::sql("start the run"))?)
    }

    /// What the run still waits for.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn run_unsettled(&self, run: &str) -> Result<Unsettled, StateError> {
        let client = self.store.client().await?;
        let sql = format!(
            "with units as (
              select p.state = 'quarantined' or p.attempts >= $2 or (p.state = 'gathered' and {HELD})
                or (p.state = 'waiting' and s.failed_run is not distinct from $1 and not {RESTORABLE}) as given_up
              from pipeline_state p join source_state s using (tenant, source)
              where s.in_force and p.state <> 'visible'),
            emissions as (
              select coalesce(r.attempts, 0) >= $2 as given_up
              from pipeline_state p join source_state s using (tenant, source) join emitters e using (tenant)
              left join emission_records r using (tenant, source, date, emitter)
              where {UNEMITTED} and s.in_force and p.visible_generation > 0 and {IN_LOOKBACK}
                and (coalesce(r.generation, 0) < p.visible_generation or r.emitter_hash is distinct from e.hash
                  or r.compare)
              union all
              select attempts >= $2 from stale_files where only_here = 0 and (kept is null or task is not null)),
            drivers as (
              select attempts >= $2 as given_up from driver_windows where not fresh or task is not null
              union all
              select false from unit_drivers u join drivers d using (tenant, driver, from_date, until_date)
              join source_state s using (tenant, source) join pipeline_state p using (tenant, source, date)
              where s.in_force and p.state = 'visible' and d.hash is not null and u.hash is distinct from d.hash)
            select
              (select count(*) from source_state where in_force and settled_run is distinct from $1)
                + (select count(*) from pipeline_runs r
                   where r.ended_at is null and r.kind <> 'session' and r.from_date is not null and r.gathered_at is null
                     and exists (select from source_state s where s.tenant = r.tenant
                       and s.source = coalesce(r.source, s.source) and s.in_force)),
              (select count(*) from units where not given_up) + (select count(*) from drivers where not given_up),
              (select count(*) from emissions where not given_up),
              (select count(*) from source_state where in_force and failed_run = $1)
                + (select count(*) from units where given_up) + (select count(*) from drivers where given_up)
                + (select count(*) from emissions where given_up)"
        );
        let failed = || StoreError::sql("ask what the run waits for");
        let statement = client.prepare_cached(&sql).await.map_err(failed())?;
        let asked = client.query_one(&statement, &[&run, &ATTEMPTS_OF_A_RUN]).await;
        let row = asked.map_err(failed())?;
        Ok(Unsettled {
            sources: row.get(0),
            units: row.get(1),
            emissions: row.get(2),
            failed: row.get(3),
        })
    }

    /// Counts units that the run made visible.
    pub(crate) async fn run_units_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        units: usize,
    ) -> Result<(), StateError> {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        let sql = "update pipeline_runs set units = units + $2 where run_id = $1";
        execute(txn, "count units", sql, &[&run, &units]).await?;
        Ok(())
    }

    /// Ends a run, and the gathers that were made in it.
    ///
    /// # Errors
    /// When Postgres cannot be asked or another coordinator leads.
    pub async fn run_end(&self, run: &str, failed: i64) -> Result<(), StateError> {
        let mut client = self.store.client().await?;
        let txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.epoch).await?;
        Self::runs_give_up_in_txn(&txn).await?;
        Self::runs_end_in_txn(&txn).await?;
        let sql = "update pipeline_runs set ended_at = now(), failed = $2::bigint,
                   status = case when $2::bigint = 0 then 'done' else 'failed' end where run_id = $1";
        execute(&txn, "end the run", sql, &[&run, &failed]).await?;
        txn.commit().await.map_err(StoreError::sql("end the run"))?;
        Ok(())
    }
}
