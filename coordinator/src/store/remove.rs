//! Files that lie outside, and those among them that no emitter writes any more: `stale_files`.

use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::ids::{Generation, SourceId, TenantId};
use proto::report::{Emitted, Removed};
use proto::task::{Content, EmittedFile};

use super::emit::of_task;
use super::{StateError, StateStore, execute, hash, parsed, plain, query};

/// A file to take away.
#[derive(Debug, Clone)]
pub struct RemovalDue {
    /// Tenant.
    pub tenant: TenantId,
    /// Source.
    pub source: SourceId,
    /// The file.
    pub file: EmittedFile,
}

fn due(row: &Row) -> Result<RemovalDue, StateError> {
    let bytes: i64 = row.get(4);
    Ok(RemovalDue {
        tenant: parsed("tenant", row.get(0))?,
        source: parsed("source", row.get(1))?,
        file: EmittedFile {
            target: row.get(2),
            dir: row.get(3),
            content: Content { bytes: bytes.unsigned_abs(), hash: hash("hash", row.get(5))? },
            live: row.get(6),
        },
    })
}

impl StateStore {
    /// Notes a file that was put in place. One that a `late` report tells of is noted only if nothing is known of it.
    pub(crate) async fn file_put_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        emitted: &Emitted,
        late: bool,
    ) -> Result<(), StateError> {
        let Some(dir) = &emitted.dir else { return Ok(()) };
        let sql = "insert into emitted_files (tenant, source, date, target, emitter, dir, bytes, hash, doubtful)
                   values ($1, $2, $3::text::date, $4, $5, $6, $7, $8, not exists (
                     select from emission_records r join emitters e using (tenant, emitter)
                     where r.tenant = $1 and r.source = $2 and r.date = $3::text::date and r.emitter = $5
                       and r.target = $4 and r.emitter_hash = e.hash))
                   on conflict (tenant, source, target, date) do update set emitter = $5, dir = $6, bytes = $7, hash = $8,
                     put_at = now(), task = null, attempts = 0, next_attempt_at = now(), last_error = null, kept = null,
                     doubtful = excluded.doubtful
                   where not $9";
        let date = emitted.date.to_string();
        let (target, dir) = (plain(&emitted.target), plain(dir));
        let bytes = i64::try_from(emitted.bytes).unwrap_or(i64::MAX);
        let digest = emitted.hash.0.as_slice();
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &tenant.as_str(),
            &source.as_str(),
            &date,
            &target,
            &emitted.emitter.as_str(),
            &dir,
            &bytes,
            &digest,
            &late,
        ];
        execute(txn, "note a file", sql, &parameters).await?;
        Ok(())
    }

    /// Where a date was carried until now is doubtful once it is carried elsewhere. Tenant, source, date, emitter, and
    /// where it is carried now.
    pub(super) async fn file_doubt_in_txn(
        txn: &Transaction<'_>,
        moved: &[&(dyn ToSql + Sync); 5],
    ) -> Result<(), StateError> {
        let sql = "update emitted_files f set doubtful = true from emission_records r
                   where r.tenant = $1 and r.source = $2 and r.date = $3::text::date and r.emitter = $4
                     and r.target <> $5 and f.tenant = $1 and f.source = $2 and f.target = r.target and not f.doubtful";
        execute(txn, "doubt a file", sql, moved).await?;
        Ok(())
    }

    /// Up to `limit` files to take away, in order; none of the tenants `busy`.
    pub(crate) async fn removals_due_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        busy: &[String],
    ) -> Result<Vec<RemovalDue>, StateError> {
        let sql = "select f.tenant, f.source, f.target, f.dir, f.bytes, f.hash, array(
                     select distinct r.target from emitted_files o join emission_records r using (tenant, source, date)
                     join emitters e on e.tenant = r.tenant and e.emitter = r.emitter
                     where o.tenant = f.tenant and o.source = f.source and o.target = f.target
                       and r.target is not null and r.emitter_hash = e.hash order by 1)
                   from stale_files f
                   where f.only_here = 0 and f.task is null and f.next_attempt_at <= now() and f.tenant <> all($2)
                   order by f.tenant, f.source, f.target limit $1";
        query(txn, "list stale files", sql, &[&limit, &busy]).await?.iter().map(due).collect()
    }

    /// Notes that the removal of these files is out.
    pub(crate) async fn removals_dispatch_in_txn(
        txn: &Transaction<'_>,
        dues: &[RemovalDue],
        task: &str,
    ) -> Result<(), StateError> {
        let Some(first) = dues.first() else { return Ok(()) };
        let targets: Vec<&str> = dues.iter().map(|due| due.file.target.as_str()).collect();
        let sql = "update emitted_files set task = $4, dispatched_at = now()
                   where tenant = $1 and source = $2 and target = any($3)";
        let (tenant, source) = (first.tenant.as_str(), first.source.as_str());
        execute(txn, "dispatch removals", sql, &[&tenant, &source, &targets, &task]).await?;
        Ok(())
    }

    /// Notes what became of a file. What is gone is recorded of no emission either: who is configured to write it
    /// again has to. A late report, of another task than the one that is out, changes nothing.
    pub(crate) async fn removal_done_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        task: Generation,
        removed: &Removed,
    ) -> Result<(), StateError> {
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let (target, task) = (plain(&removed.target), of_task(task));
        let key: [&(dyn ToSql + Sync); 4] = [&tenant, &source, &target, &task];
        if let Some(why) = &removed.kept {
            let sql =
                "update emitted_files set kept = $5, task = null, attempts = 0, last_error = null,
                         next_attempt_at = 'infinity'
                       where tenant = $1 and source = $2 and target = $3 and task like $4";
            let why = plain(why);
            let parameters = [&key[..], &[&why]].concat();
            execute(txn, "note a file that is kept", sql, &parameters).await?;
            return Ok(());
        }
        let sql = "delete from emitted_files where tenant = $1 and source = $2 and target = $3 and task like $4";
        if execute(txn, "forget a file", sql, &key).await? > 0 {
            let sql = "with gone as (delete from emission_records
                         where tenant = $1 and source = $2 and target = $3 and task is null returning date)
                       update pipeline_state p set emitted_generation = 0 from (select distinct date from gone) g
                       where p.tenant = $1 and p.source = $2 and p.date = g.date";
            execute(txn, "forget emissions", sql, &key[..3]).await?;
        }
        Ok(())
    }

    /// Notes a failed attempt of all that is still out of a task. The pause doubles, to a minute.
    pub(crate) async fn removals_failed_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        task: Generation,
        reason: &str,
        pause: Duration,
    ) -> Result<(), StateError> {
        let sql = "update emitted_files set attempts = attempts + 1, last_error = $4, task = null,
                     next_attempt_at = now() + make_interval(secs => least($5 * 2 ^ least(attempts, 16), 60))
                   where tenant = $1 and source = $2 and task like $3";
        let (task, reason, pause) = (of_task(task), plain(reason), pause.as_secs_f64());
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&tenant.as_str(), &source.as_str(), &task, &reason, &pause];
        execute(txn, "note failed removals", sql, &parameters).await?;
        Ok(())
    }

    /// Takes removals back that have been out longer than `limit`, so that they are due again.
    pub(crate) async fn removals_overdue_in_txn(
        txn: &Transaction<'_>,
        limit: Duration,
    ) -> Result<u64, StateError> {
        let sql = "update emitted_files set task = null, attempts = attempts + 1
                   where task is not null and dispatched_at < now() - make_interval(secs => $1)";
        execute(txn, "take overdue removals back", sql, &[&limit.as_secs_f64()]).await
    }

    /// Files that were kept are looked at again: somebody may have taken them away.
    pub(crate) async fn removals_compare_in_txn(txn: &Transaction<'_>) -> Result<u64, StateError> {
        let sql = "update emitted_files set next_attempt_at = now() where doubtful and kept is not null and task is null";
        execute(txn, "look at kept files", sql, &[]).await
    }
}
