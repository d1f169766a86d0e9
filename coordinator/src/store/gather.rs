//! Sources and their gathers.

use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use jiff::Timestamp;
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::{GatherDone, GatheredDate, QuarantinedRecord};
use proto::time::UnitDate;

use super::timing::moment;
use super::unit::RESTORABLE;
use super::{
    GatherRun, StateError, StateStore, execute, pack, parsed, plain, query, unpack, warnings_json,
};

/// A source whose gather is due.
#[derive(Debug, Clone)]
pub struct GatherDue {
    /// Tenant.
    pub tenant: TenantId,
    /// Source.
    pub source: SourceId,
    /// What the last good gather left.
    pub cursor: Option<Vec<u8>>,
}

/// A source with its gather under way.
#[derive(Debug, Clone)]
pub struct SourceRow {
    /// Fencing token of the gather under way.
    pub gather: Option<Generation>,
    /// Failed attempts since the last good gather.
    pub attempts: i32,
    /// The run that the gather under way is part of.
    pub run: Option<GatherRun>,
    /// When the gather under way was sent out.
    pub sent_at: Option<Timestamp>,
    /// The database's time.
    pub now: Timestamp,
}

/// A date as a gather under way reported it.
#[derive(Debug, Clone)]
pub struct StagedDate {
    /// Its lines.
    pub lines: Manifest,
    /// Packed totals, counted when the records were read.
    pub received: Vec<u8>,
}

type Source<'a> = (&'a TenantId, &'a SourceId);

impl StateStore {
    /// Sources in force whose gather is due and none under way: not yet settled in `run`, unless a standing run keeps to
    /// their schedule; or (standing runs) at their time; or read with other settings now, or with dates that wait for a
    /// republish, or that a person asked for.
    pub(crate) async fn gathers_due_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        once: bool,
    ) -> Result<Vec<GatherDue>, StateError> {
        let sql = format!(
            "select tenant, source, cursor from source_state s
                   where in_force and gather_generation is null and next_attempt_at <= now()
                     and (settled_run is null
                       or settled_run <> $1 and ($2 or schedule is null)
                       or not $2 and next_gather_at <= now()
                       or (failed_run is distinct from $1 and exists (select 1 from pipeline_state p
                             where p.tenant = s.tenant and p.source = s.source and p.state = 'waiting'
                               and p.next_attempt_at <= now() and not {RESTORABLE}))
                       or exists (select from pipeline_runs r where r.tenant = s.tenant and r.source = s.source
                            and r.kind = 'gather' and r.ended_at is null and r.from_date is not null
                            and r.gathered_at is null))
                   order by tenant, source for update"
        );
        let due = |row: &Row| {
            let (tenant, source) = (parsed("tenant", row.get(0))?, parsed("source", row.get(1))?);
            Ok(GatherDue { tenant, source, cursor: row.get(2) })
        };
        query(txn, "list due gathers", &sql, &[&run, &once]).await?.iter().map(due).collect()
    }

    /// Notes that a gather is out, which reads with the settings of that hash and is part of that run.
    pub(crate) async fn gather_dispatch_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (generation, subject): (Generation, &str),
        (reading, run): (Hash128, &str),
    ) -> Result<(), StateError> {
        let sql = "update source_state set gather_generation = $3, gather_subject = $4, gather_at = now(),
                     gather_reading = $5, gather_run = $6
                   where tenant = $1 and source = $2";
        let (tenant, source, reading) = (tenant.as_str(), source.as_str(), reading.0.as_slice());
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant, &source, &generation.0, &subject, &reading, &run];
        execute(txn, "dispatch a gather", sql, &values).await?;
        Ok(())
    }

    /// Gives up the gather under way of a source that is out of force (`None`), or is read with other settings now:
    /// whatever it still reports is late.
    pub(crate) async fn gather_cancel_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        reading: Option<Hash128>,
    ) -> Result<bool, StateError> {
        let sql = "update source_state set gather_generation = null, gather_subject = null, gather_run = null
                   where tenant = $1 and source = $2 and gather_generation is not null
                     and ($3::bytea is null or gather_reading is distinct from $3)";
        let digest = reading.as_ref().map(|reading| reading.0.as_slice());
        let key = (tenant.as_str(), source.as_str());
        if execute(txn, "give a gather up", sql, &[&key.0, &key.1, &digest]).await? == 0 {
            return Ok(false);
        }
        Self::staged_clear_in_txn(txn, (tenant, source)).await?;
        Ok(true)
    }

    /// Sources out of force whose gather is under way.
    pub(crate) async fn gathers_orphaned_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<(TenantId, SourceId)>, StateError> {
        let sql = "select tenant, source from source_state
                   where not in_force and gather_generation is not null order by tenant, source for update";
        let rows = query(txn, "list orphaned gathers", sql, &[]).await?;
        rows.iter()
            .map(|row| Ok((parsed("tenant", row.get(0))?, parsed("source", row.get(1))?)))
            .collect()
    }

    /// A source, its row locked.
    pub(crate) async fn source_lock_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<Option<SourceRow>, StateError> {
        let sql =
            "select s.gather_generation, s.attempts, r.run_id, r.from_date::text, r.to_date::text,
                     (extract(epoch from s.gather_at) * 1000000)::int8, (extract(epoch from now()) * 1000000)::int8
                   from source_state s left join pipeline_runs r on r.run_id = s.gather_run
                   where s.tenant = $1 and s.source = $2 for update of s";
        let rows = query(txn, "lock a source", sql, &[&tenant.as_str(), &source.as_str()]).await?;
        let of = |row: &Row| -> Result<SourceRow, StateError> {
            let known = row.get::<_, Option<&str>>(2).is_some();
            Ok(SourceRow {
                gather: row.get::<_, Option<i64>>(0).map(Generation),
                attempts: row.get(1),
                run: known.then(|| GatherRun::of(row, 2)).transpose()?,
                sent_at: row
                    .get::<_, Option<i64>>(5)
                    .map(|at| moment("gather_at", at))
                    .transpose()?,
                now: moment("now", row.get(6))?,
            })
        };
        rows.first().map(of).transpose()
    }

    /// Keeps dates of a gather under way; one that is reported twice is kept once.
    pub(crate) async fn staged_add_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (generation, attempt): (Generation, Attempt),
        gathered: &[GatheredDate],
    ) -> Result<(), StateError> {
        let sql = "insert into staged_dates (tenant, source, generation, attempt, date, hash, manifest, received)
                   select $1, $2, $3, $4, u.* from unnest($5::text[]::date[], $6::bytea[], $7::bytea[], $8::bytea[]) as u
                   on conflict do nothing";
        let dates: Vec<String> = gathered.iter().map(|of| of.date.to_string()).collect();
        let hashes: Vec<&[u8]> = gathered.iter().map(|of| of.lines.hash.0.as_slice()).collect();
        let manifests = gathered.iter().map(|of| pack(&of.lines)).collect::<Result<Vec<_>, _>>()?;
        let received =
            gathered.iter().map(|of| pack(&of.received)).collect::<Result<Vec<_>, _>>()?;
        let parameters: [&(dyn ToSql + Sync); 8] = [
            &tenant.as_str(),
            &source.as_str(),
            &generation.0,
            &attempt.0.cast_signed(),
            &dates,
            &hashes,
            &manifests,
            &received,
        ];
        execute(txn, "stage dates", sql, &parameters).await?;
        Ok(())
    }

    /// Keeps quarantined records of a gather under way.
    pub(crate) async fn staged_quarantine_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (generation, attempt): (Generation, Attempt),
        records: &[QuarantinedRecord],
    ) -> Result<(), StateError> {
        let sql = "insert into staged_quarantine (tenant, source, generation, attempt, file, line, column_name, reason,
                     text, date, currency, amount)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::date, $11, $12::text::numeric)
                   on conflict do nothing";
        for record in records {
            let line = i64::try_from(record.line).unwrap_or(i64::MAX);
            let (reason, text) = (plain(&record.reason), plain(&record.text));
            let (date, column) =
                (record.date.map(|d| d.to_string()), record.column.as_deref().map(plain));
            let currency = record.amount.map(|(c, _)| c.to_string());
            let amount = record.amount.map(|(_, a)| a.to_string());
            let parameters: [&(dyn ToSql + Sync); 12] = [
                &tenant.as_str(),
                &source.as_str(),
                &generation.0,
                &attempt.0.cast_signed(),
                &record.file,
                &line,
                &column,
                &reason,
                &text,
                &date,
                &currency,
                &amount,
            ];
            execute(txn, "stage a quarantined record", sql, &parameters).await?;
        }
        Ok(())
    }

    /// What a gather attempt staged: dates, and the number of quarantined records.
    pub(crate) async fn staged_list_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (generation, attempt): (Generation, Attempt),
    ) -> Result<(Vec<(UnitDate, StagedDate)>, u64), StateError> {
        let attempt = attempt.0.cast_signed();
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &generation.0, &attempt];
        let sql = "select date::text, manifest, received from staged_dates
                   where tenant = $1 and source = $2 and generation = $3 and attempt = $4 order by date";
        let staged = |row: &Row| {
            let date = parsed("date", row.get(0))?;
            let key = UnitKey { tenant: tenant.clone(), source: source.clone(), date };
            Ok((
                date,
                StagedDate { lines: unpack("manifest", &key, row.get(1))?, received: row.get(2) },
            ))
        };
        let rows = query(txn, "list staged dates", sql, &parameters).await?;
        let dates: Result<Vec<_>, StateError> = rows.iter().map(staged).collect();
        let sql = "select count(*) from staged_quarantine
                   where tenant = $1 and source = $2 and generation = $3 and attempt = $4";
        let rows = query(txn, "count staged records", sql, &parameters).await?;
        let quarantined: i64 = rows.first().map_or(0, |row| row.get(0));
        Ok((dates?, quarantined.unsigned_abs()))
    }

    /// Puts the quarantined records of a gather in force: files that were read whole are replaced, gone files go. Of a
    /// gather of some dates alone, what it says of other dates' records is not known: those stay.
    pub(crate) async fn quarantine_apply_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (generation, attempt): (Generation, Attempt),
        done: &GatherDone,
        range: Option<(UnitDate, UnitDate)>,
    ) -> Result<(), StateError> {
        let sql = "delete from quarantined where tenant = $1 and source = $2
                     and case when $5::text is null then file = any($3) or not file = any($4)
                       else coalesce(date between $5::text::date and $6::text::date, file = any($3)) end";
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let (from, to) = range.map(|(from, to)| (from.to_string(), to.to_string())).unzip();
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant, &source, &done.files_read, &done.files, &from, &to];
        execute(txn, "replace quarantined records", sql, &values).await?;
        let sql = "insert into quarantined (tenant, source, generation, file, line, column_name, reason, text, date,
                     currency, amount)
                   select tenant, source, generation, file, line, column_name, reason, text, date, currency, amount
                   from staged_quarantine where tenant = $1 and source = $2 and generation = $3 and attempt = $4
                   on conflict (tenant, source, file, line) do update set generation = excluded.generation,
                     column_name = excluded.column_name, reason = excluded.reason, text = excluded.text,
                     date = excluded.date, currency = excluded.currency, amount = excluded.amount";
        let attempt = attempt.0.cast_signed();
        execute(txn, "keep quarantined records", sql, &[&tenant, &source, &generation.0, &attempt])
            .await?;
        Ok(())
    }

    /// Ends a gather well.
    pub(crate) async fn gather_done_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        generation: Generation,
        done: &GatherDone,
        (run, gather_hash, next): (&str, Hash128, Timestamp),
    ) -> Result<(), StateError> {
        let sql = "update source_state set gather_generation = null, gather_subject = null, gather_run = null,
                     attempts = 0, last_error = null, settled_run = $3, failed_run = null, done_generation = $4, done_at = now(), gather_hash = $5,
                     covered_from = $6::text::date, covered_to = $7::text::date, records = $8, warnings = $9::text::jsonb,
                     cursor = $10, next_attempt_at = now(), next_gather_at = $11::text::timestamptz, failing_since = null
                   where tenant = $1 and source = $2";
        let warnings = warnings_json(&done.warnings);
        let (from, to) = (done.covered_from.to_string(), done.covered_to.to_string());
        let (digest, records) =
            (gather_hash.0.as_slice(), i64::try_from(done.records).unwrap_or(i64::MAX));
        let cursor = done.cursor.as_ref().map(|c| c.as_slice());
        let next = next.to_string();
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &tenant.as_str(),
            &source.as_str(),
            &run,
            &generation.0,
            &digest,
            &from,
            &to,
            &records,
            &warnings,
            &cursor,
            &next,
        ];
        execute(txn, "end a gather", sql, &parameters).await?;
        Self::staged_clear_in_txn(txn, (tenant, source)).await
    }

    /// Ends a gather of dates that a person asked for: what the source left for its next gather stays.
    pub(crate) async fn backfill_ended_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<(), StateError> {
        let sql = "update source_state set gather_generation = null, gather_subject = null, gather_run = null,
                     attempts = 0, last_error = null, next_attempt_at = now(), failing_since = null
                   where tenant = $1 and source = $2";
        execute(txn, "end a backfill", sql, &[&tenant.as_str(), &source.as_str()]).await?;
        Self::staged_clear_in_txn(txn, (tenant, source)).await
    }

    /// Ends a gather that failed; `given_up` settles the source for the run.
    pub(crate) async fn gather_failed_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        reason: &str,
        pause: Duration,
        given_up_in: Option<&str>,
    ) -> Result<(), StateError> {
        let sql = "update source_state set gather_generation = null, gather_subject = null, gather_run = null,
                     attempts = attempts + 1, last_error = $3, next_attempt_at = now() + make_interval(secs => $4),
                     failing_since = coalesce(failing_since, now()),
                     settled_run = coalesce($5, settled_run), failed_run = coalesce($5, failed_run)
                   where tenant = $1 and source = $2";
        let (pause, reason) = (pause.as_secs_f64(), plain(reason));
        execute(
            txn,
            "note a failed gather",
            sql,
            &[&tenant.as_str(), &source.as_str(), &reason, &pause, &given_up_in],
        )
        .await?;
        Self::staged_clear_in_txn(txn, (tenant, source)).await
    }

    async fn staged_clear_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<(), StateError> {
        for sql in [
            "delete from staged_dates where tenant = $1 and source = $2",
            "delete from staged_quarantine where tenant = $1 and source = $2",
        ] {
            execute(txn, "clear what was staged", sql, &[&tenant.as_str(), &source.as_str()])
                .await?;
        }
        Ok(())
    }

    /// Gathers that have been out longer than `limit`.
    pub(crate) async fn gathers_overdue_in_txn(
        txn: &Transaction<'_>,
        limit: Duration,
    ) -> Result<Vec<(TenantId, SourceId)>, StateError> {
        let sql = "select tenant, source from source_state
                   where gather_generation is not null and gather_at < now() - make_interval(secs => $1) for update";
        let rows = query(txn, "list overdue gathers", sql, &[&limit.as_secs_f64()]).await?;
        rows.iter()
            .map(|row| Ok((parsed("tenant", row.get(0))?, parsed("source", row.get(1))?)))
            .collect()
    }
}
