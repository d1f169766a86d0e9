//! Emissions: what lies outside, and what is to be carried there.

use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::{EmitterId, Generation, SourceId, TenantId, UnitKey};
use proto::report::Emitted;
use proto::subject::Lane;
use proto::task::{Content, EmitUnit};

use super::unit::HELD;
use super::{StateError, StateStore, execute, hash, parsed, plain, query};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;

/// A visible date that an emitter has not carried outside yet.
#[derive(Debug, Clone)]
pub struct EmissionDue {
    /// Tenant.
    pub tenant: TenantId,
    /// Source.
    pub source: SourceId,
    /// Emitter.
    pub emitter: EmitterId,
    /// The tenant's configuration in force.
    pub config: Hash128,
    /// What to emit.
    pub unit: EmitUnit,
    /// Rows of it.
    pub rows: i64,
    /// Whether live work or a replay brought it.
    pub lane: Lane,
    /// The gather that brought its lines.
    pub gathered: Generation,
}

impl EmissionDue {
    /// Whether an emitter with outputs of months puts both into one.
    pub(crate) fn is_of_same_month(&self, other: &Self) -> bool {
        let of = |due: &'_ Self| due.unit.date.period();
        (&self.tenant, &self.source, &self.emitter, of(self))
            == (&other.tenant, &other.source, &other.emitter, of(other))
    }
}

/// What emissions are read from.
const TABLES: &str = "pipeline_state p join source_state s using (tenant, source) join tenants t using (tenant)
    join emitters e using (tenant) left join emission_records r using (tenant, source, date, emitter)";
/// Of [`TABLES`], what [`due`] reads.
const COLUMNS: &str = "p.tenant, p.source, e.emitter, t.config_hash, p.date::text, p.visible_generation,
    coalesce(r.generation, 0), coalesce(p.visible_rows, 0), r.generation = p.visible_generation and r.emitter_hash = e.hash,
    r.bytes, r.hash, p.replay, coalesce(p.visible_lines_generation, 0)";
/// Of `pipeline_state p` and `emitters e`: the emitter carries the date.
pub(super) const IN_LOOKBACK: &str = "in_lookback(p.date, e.lookback_days, e.monthly)";
/// Of `pipeline_state p`: no file of the source is being taken away. One that is written meanwhile would be taken for it.
const UNTOUCHED: &str = "not exists (select from emitted_files f
    where f.tenant = p.tenant and f.source = p.source and f.task is not null)";
/// Of `pipeline_state p`: something may be due of it. Others are not looked at, however many there are.
pub(super) const UNEMITTED: &str = "p.unemitted";
/// Of [`TABLES`]: what is visible does not lie outside yet, or is to be compared with what does.
const DUE: &str = "p.visible_generation > 0 and in_lookback(p.date, e.lookback_days, e.monthly)
    and (r.generation is null or r.generation < p.visible_generation or r.emitter_hash is distinct from e.hash
      or r.compare)";

fn due(row: &Row) -> Result<EmissionDue, StateError> {
    let replaced: i64 = row.get(6);
    let recorded = match (row.get::<_, Option<bool>>(8), row.get::<_, Option<i64>>(9), row.get(10))
    {
        (Some(true), Some(bytes), Some(digest)) => {
            Some(Content { bytes: bytes.unsigned_abs(), hash: hash("hash", digest)? })
        }
        _ => None,
    };
    Ok(EmissionDue {
        tenant: parsed("tenant", row.get(0))?,
        source: parsed("source", row.get(1))?,
        emitter: parsed("emitter", row.get(2))?,
        config: hash("config_hash", row.get(3))?,
        unit: EmitUnit {
            date: parsed("date", row.get(4))?,
            generation: Generation(row.get(5)),
            replaces: (replaced > 0).then_some(Generation(replaced)),
            recorded,
        },
        rows: row.get(7),
        lane: if row.get(11) { Lane::Replay } else { Lane::Live },
        gathered: Generation(row.get(12)),
    })
}

/// Of `pipeline_state p`: no emitter is to carry it outside, as [`DUE`] says it.
const EMITTED: &str = "not exists (select from emitters e
    left join emission_records r on r.tenant = p.tenant and r.source = p.source and r.date = p.date
      and r.emitter = e.emitter
    where e.tenant = p.tenant and p.visible_generation > 0 and in_lookback(p.date, e.lookback_days, e.monthly)
      and (r.generation is null or r.generation < p.visible_generation or r.emitter_hash is distinct from e.hash
        or r.compare))";

impl StateStore {
    /// Up to `limit` emissions that are due, by tenant, source and emitter; none of the tenants `busy`.
    pub(crate) async fn emissions_due_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        busy: &[String],
    ) -> Result<Vec<EmissionDue>, StateError> {
        let sql = format!(
            "select {COLUMNS} from {TABLES}
             where {UNEMITTED} and not e.monthly and s.in_force and {DUE} and r.task is null and {UNTOUCHED}
               and coalesce(r.next_attempt_at, now()) <= now() and p.tenant <> all($2)
             order by p.replay, p.tenant, p.source, p.date, e.emitter limit $1"
        );
        let rows = query(txn, "list due emissions", &sql, &[&limit, &busy]).await?;
        let mut dues = rows.iter().map(due).collect::<Result<Vec<_>, _>>()?;
        let place = |due: &EmissionDue| {
            let of = (due.tenant.clone(), due.source.clone(), due.emitter.clone());
            (due.lane == Lane::Replay, of, due.unit.date)
        };
        dues.sort_by_cached_key(place);
        Ok(dues)
    }

    /// The same of emitters whose outputs hold a month: all visible dates of up to `limit` months of which one is due
    /// and none is out. A month is left alone while dates of it are on their way to become visible, but never longer
    /// than `patience` after one became due.
    pub(crate) async fn months_due_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        busy: &[String],
        patience: Duration,
    ) -> Result<Vec<EmissionDue>, StateError> {
        let any = "select 1 from emitters where monthly limit 1";
        if query(txn, "look for emitters of months", any, &[]).await?.is_empty() {
            return Ok(Vec::new());
        }
        // A date that failed is not waited for: what is visible of the month is true without it.
        let sql = format!(
            "with touched as (
               select distinct p.tenant, p.source, e.emitter, date_trunc('month', p.date)::date as month
               from emitters e join pipeline_state p using (tenant)
               where e.monthly and {UNEMITTED} and p.tenant <> all($2)),
             months as (
               select p.tenant, p.source, e.emitter, date_trunc('month', p.date)::date as month,
                 min(p.visible_at) filter (where {DUE}) as since
               from {TABLES}
               join touched m on m.tenant = p.tenant and m.source = p.source and m.emitter = e.emitter
                 and p.date >= m.month and p.date < m.month + interval '1 month'
               where e.monthly and s.in_force and p.visible_generation > 0 and {UNTOUCHED}
               group by 1, 2, 3, 4
               having bool_or({DUE} and coalesce(r.next_attempt_at, now()) <= now()) and bool_and(r.task is null)),
             ready as (
               select tenant, source, emitter, month from months m
               where since < now() - make_interval(secs => $3)
                 or not exists (select from pipeline_state p
                   where p.tenant = m.tenant and p.source = m.source
                     and p.date >= m.month and p.date < m.month + interval '1 month'
                     and p.state not in ('visible', 'quarantined') and p.attempts = 0 and not {HELD})
               order by tenant, source, emitter, month limit $1)
             select {COLUMNS} from {TABLES}
             join ready m on m.tenant = p.tenant and m.source = p.source and m.emitter = e.emitter
               and p.date >= m.month and p.date < m.month + interval '1 month'
             where p.visible_generation > 0
             order by p.tenant, p.source, e.emitter, p.date"
        );
        let parameters: [&(dyn ToSql + Sync); 3] = [&limit, &busy, &patience.as_secs_f64()];
        let rows = query(txn, "list due months", &sql, &parameters).await?;
        let mut dates = rows.iter().map(due).collect::<Result<Vec<_>, _>>()?;
        for month in dates.chunk_by_mut(EmissionDue::is_of_same_month) {
            let whole = month.first().and_then(|first| first.unit.recorded);
            // What lies there is the month's only if it was put there for all of these dates at once.
            if month.iter().any(|due| due.unit.recorded != whole) {
                month.iter_mut().for_each(|due| due.unit.recorded = None);
            }
        }
        Ok(dates)
    }

    /// Makes the newest emissions of every emitter due again, to compare what lies outside with what is recorded: up
    /// to `limit` of each.
    pub(crate) async fn emissions_compare_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<u64, StateError> {
        let sql = format!(
            "with compared as (
                     update emission_records r set compare = true
                     from emitters e cross join lateral (
                       select r.source, r.date from emission_records r join pipeline_state p using (tenant, source, date)
                         join source_state s using (tenant, source)
                       where r.tenant = e.tenant and r.emitter = e.emitter and s.in_force and {IN_LOOKBACK}
                         and r.task is null and r.generation = p.visible_generation
                         and r.emitter_hash = e.hash and r.hash is not null
                       order by r.date desc, r.source limit {limit}) n
                     where not r.compare
                       and (r.tenant, r.source, r.date, r.emitter) = (e.tenant, n.source, n.date, e.emitter)
                     returning r.tenant, r.source, r.date)
                   update pipeline_state p set emitted_generation = 0
                   from (select distinct * from compared) c
                   where (p.tenant, p.source, p.date) = (c.tenant, c.source, c.date)"
        );
        execute(txn, "compare emissions", &sql, &[]).await
    }

    /// The emitters of a tenant are others than before: all of its dates, and of its files, are looked at again.
    pub(super) async fn emitters_changed_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set emitted_generation = 0 where tenant = $1 and emitted_generation <> 0";
        execute(txn, "look at emitted dates again", sql, &[&tenant.as_str()]).await?;
        let sql = "update emitted_files set doubtful = true where tenant = $1 and not doubtful";
        execute(txn, "doubt files", sql, &[&tenant.as_str()]).await?;
        Ok(())
    }

    /// Of these dates, those that lie outside as far as any emitter is to carry them need not be looked at again.
    pub(crate) async fn units_emitted_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        dates: &[String],
    ) -> Result<(), StateError> {
        let sql = format!(
            "update pipeline_state p set emitted_generation = visible_generation
             where p.tenant = $1 and p.source = $2 and p.date = any($3::text[]::date[]) and {UNEMITTED} and {EMITTED}"
        );
        let (tenant, source) = (tenant.as_str(), source.as_str());
        execute(txn, "note emitted dates", &sql, &[&tenant, &source, &dates]).await?;
        Ok(())
    }

    /// The same of whatever no report tells of: what was left to emitters that are gone, or has become too old. Up to
    /// `limit` dates.
    pub(crate) async fn units_emitted_sweep_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<u64, StateError> {
        let sql = format!(
            "update pipeline_state u set emitted_generation = u.visible_generation
             from (select p.tenant, p.source, p.date from pipeline_state p where {UNEMITTED} and {EMITTED} limit {limit}) p
             where (u.tenant, u.source, u.date) = (p.tenant, p.source, p.date)"
        );
        execute(txn, "note what need not be emitted", &sql, &[]).await
    }

    /// Notes that an emission is out, which obeys the emitter's configuration in force.
    pub(crate) async fn emission_dispatch_in_txn(
        txn: &Transaction<'_>,
        due: &EmissionDue,
        task: &str,
    ) -> Result<(), StateError> {
        let sql = "insert into emission_records (tenant, source, date, emitter, wanted_generation, task, dispatched_at,
                     wanted_hash)
                   values ($1, $2, $3::text::date, $4, $5, $6, now(),
                     (select e.hash from emitters e where e.tenant = $1 and e.emitter = $4))
                   on conflict (tenant, source, date, emitter) do update set wanted_generation = $5, task = $6,
                     dispatched_at = now(), wanted_hash = excluded.wanted_hash";
        let date = due.unit.date.to_string();
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &due.tenant.as_str(),
            &due.source.as_str(),
            &date,
            &due.emitter.as_str(),
            &due.unit.generation.0,
            &task,
        ];
        execute(txn, "dispatch an emission", sql, &parameters).await?;
        Ok(())
    }

    /// Notes what lies outside now. A late report, of another task than the one that is out, changes nothing of the
    /// emission: what it speaks of may have been put elsewhere, and the file that it left there is noted as one.
    pub(crate) async fn emission_done_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        task: Generation,
        emitted: &Emitted,
    ) -> Result<(), StateError> {
        let sql = "update emission_records r set generation = $5, target = $6, rows = $7, bytes = $8, hash = $9,
                     replaces = case when generation = $5 then replaces else nullif(generation, 0) end,
                     emitted_at = case when compare and generation = $5 and hash = $9 then emitted_at else now() end,
                     task = null, attempts = 0, last_error = null, compare = false, emitter_hash = wanted_hash
                   where tenant = $1 and source = $2 and date = $3::text::date and emitter = $4 and generation <= $5
                     and task like $10";
        let (rows, bytes) = (
            i64::try_from(emitted.rows).unwrap_or(i64::MAX),
            i64::try_from(emitted.bytes).unwrap_or(i64::MAX),
        );
        let (date, digest) = (emitted.date.to_string(), emitted.hash.0.as_slice());
        let (target, task) = (plain(&emitted.target), of_task(task));
        let key = (tenant.as_str(), source.as_str(), emitted.emitter.as_str());
        let moved: [&(dyn ToSql + Sync); 5] = [&key.0, &key.1, &date, &key.2, &target];
        Self::file_doubt_in_txn(txn, &moved).await?;
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &tenant.as_str(),
            &source.as_str(),
            &date,
            &emitted.emitter.as_str(),
            &emitted.generation.0,
            &target,
            &rows,
            &bytes,
            &digest,
            &task,
        ];
        let late = execute(txn, "note an emission", sql, &parameters).await? == 0;
        Self::file_put_in_txn(txn, (tenant, source), emitted, late).await
    }

    /// Notes a failed attempt of an emission, `hopeless` when it will fail again. A late report, of another task, changes nothing.
    pub(crate) async fn emission_failed_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        emitter: &EmitterId,
        (task, reason, hopeless): (Generation, &str, bool),
        pause: impl Fn(i32) -> Duration,
    ) -> Result<(), StateError> {
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let (task, reason) = (of_task(task), plain(reason));
        let sql = "select attempts from emission_records
                   where tenant = $1 and source = $2 and date = $3::text::date and emitter = $4 and task like $5
                   for update";
        let key: [&(dyn ToSql + Sync); 5] = [&tenant, &source, &date, &emitter.as_str(), &task];
        let rows = query(txn, "lock an emission", sql, &key).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let attempts = row.get::<_, i32>(0) + 1;
        // A single run does not wait for what trying again cannot mend.
        let attempts = if hopeless { attempts.max(ATTEMPTS_OF_A_RUN) } else { attempts };
        let sql = "update emission_records set attempts = $5, last_error = $6, task = null,
                     next_attempt_at = now() + make_interval(secs => $7)
                   where tenant = $1 and source = $2 and date = $3::text::date and emitter = $4";
        let pause = pause(attempts).as_secs_f64();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&tenant, &source, &date, &emitter.as_str(), &attempts, &reason, &pause];
        execute(txn, "note a failed emission", sql, &parameters).await?;
        Ok(())
    }

    /// Remembers columns of a source's provider, which its FOCUS files have for every date from now on: where one is
    /// new, what lies outside without it is due again, and so is what is being written.
    pub(crate) async fn provider_columns_add_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        names: &[String],
    ) -> Result<(), StateError> {
        let sql =
            "insert into provider_columns (tenant, source, name) select $1, $2, unnest($3::text[])
                   on conflict do nothing";
        let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        let parameters: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &names];
        if execute(txn, "remember a provider's columns", sql, &parameters).await? == 0 {
            return Ok(());
        }
        let sql = "update emission_records r set emitter_hash = null, wanted_hash = null
                   from emitters e
                   where r.tenant = $1 and r.source = $2 and e.tenant = r.tenant and e.emitter = r.emitter
                     and e.kind in ('focus', 'parquet')";
        execute(txn, "emit again with new columns", sql, &parameters[..2]).await?;
        let sql = "update pipeline_state set emitted_generation = 0
                   where tenant = $1 and source = $2 and emitted_generation <> 0";
        execute(txn, "look at emitted dates again", sql, &parameters[..2]).await?;
        Ok(())
    }

    /// Takes emissions back that have been out longer than `limit`, so that they are due again.
    pub(crate) async fn emissions_overdue_in_txn(
        txn: &Transaction<'_>,
        limit: Duration,
    ) -> Result<u64, StateError> {
        let sql = "update emission_records set task = null, attempts = attempts + 1
                   where task is not null and dispatched_at < now() - make_interval(secs => $1)";
        execute(txn, "take overdue emissions back", sql, &[&limit.as_secs_f64()]).await
    }
}

/// What the subject of the task with this generation is like: the generation is its last token.
pub(super) fn of_task(generation: Generation) -> String {
    format!("%.{generation}")
}
