//! Units: their inputs, their state, and the edges between states (see [`crate::domain::unit`]).

use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::Restored;
use proto::subject::Lane;
use proto::time::UnitDate;
use runtime::store::StoreError;

use super::{StateError, StateStore, execute, hash, pack, parsed, plain, query, unit_key, unpack};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;
use crate::domain::unit::{UnitEvent, UnitState};

/// A unit as stored, without what only the ledger needs.
#[derive(Debug, Clone)]
pub struct UnitRow {
    /// Which unit.
    pub key: UnitKey,
    /// Where it stands.
    pub state: UnitState,
    /// The fencing token of the work under way.
    pub wanted: Generation,
    /// Its lines in force.
    pub lines: Manifest,
    /// The gather that brought them; what was restored since lies at an address of its own.
    pub gathered: Generation,
    /// Its resolutions, where they were made for these lines.
    pub resolutions: Option<Manifest>,
    /// Its rows, once allocated.
    pub rows: Option<Manifest>,
    /// The configuration in force.
    pub config: Hash128,
    /// Hash of the rules in force.
    pub rules: Hash128,
    /// The configuration of the work under way.
    pub wanted_config: Option<Hash128>,
    /// Hash of the rules of the work under way.
    pub wanted_rules: Option<Hash128>,
    /// Failed attempts since the last success.
    pub attempts: i32,
    /// Hash of the last error.
    pub error_hash: Option<Vec<u8>>,
    /// How often that error came in a row.
    pub equal_errors: i32,
    /// What readers see; 0 = nothing yet.
    pub visible: i64,
    /// The task that the unit waits for.
    pub task: Option<String>,
    /// Resolutions of its lines, in a row, that lacked something.
    pub resolve_attempts: i32,
    /// It is calculated because of a replay, and gives way to live work.
    pub replay: bool,
    /// Its configuration is the one that it is pinned to, not the one in force.
    pub pinned: bool,
    /// What is visible was made from its lines, and by its rules.
    pub as_visible: bool,
}

impl UnitRow {
    /// The lane of its tasks.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.replay { Lane::Replay } else { Lane::Live }
    }
}

/// Of `pipeline_state p`: the archive of what is visible holds the lines in force, and has not been found damaged.
pub(super) const RESTORABLE: &str =
    "(p.visible_generation > 0 and p.visible_lines_hash = p.lines_hash and p.equal_errors = 0
        and not p.visible_archive_damaged)";

/// Of `pipeline_state p`: a record of the date is quarantined, and its tenant holds such dates. What was on its way when
/// the record came still arrives.
pub(super) const HELD: &str =
    "exists (select from tenants t join quarantined q on q.tenant = t.tenant
    where t.tenant = p.tenant and t.hold_bad_lines and q.source = p.source and q.date = p.date)";

/// Of `pipeline_state`: what [`unit_of`] reads.
pub(super) const COLUMNS: &str = "tenant, source, date::text, state, wanted_generation, lines_manifest,
    case when resolution_lines_hash = lines_hash then resolution_manifest end, rows_manifest, config_hash, rules_hash,
    wanted_config_hash, wanted_rules_hash, attempts, error_hash, equal_errors, visible_generation, task,
    lines_generation, resolve_attempts, replay, pinned,
    coalesce(visible_lines_hash = lines_hash and visible_rules = rules_hash, false)";

pub(super) fn unit_of(row: &Row) -> Result<UnitRow, StateError> {
    let key = unit_key(row)?;
    let manifest = |what, at: usize| -> Result<Option<Manifest>, StateError> {
        row.get::<_, Option<&[u8]>>(at).map(|bytes| unpack(what, &key, bytes)).transpose()
    };
    let digest = |what, at: usize| {
        row.get::<_, Option<&[u8]>>(at).map(|bytes| hash(what, bytes)).transpose()
    };
    let missing =
        || StateError::Stored { what: "lines_manifest", of: key.to_string(), why: "null".into() };
    Ok(UnitRow {
        state: parsed("state", row.get(3))?,
        wanted: Generation(row.get(4)),
        lines: manifest("lines_manifest", 5)?.ok_or_else(missing)?,
        resolutions: manifest("resolution_manifest", 6)?,
        rows: manifest("rows_manifest", 7)?,
        config: hash("config_hash", row.get(8))?,
        rules: hash("rules_hash", row.get(9))?,
        wanted_config: digest("wanted_config_hash", 10)?,
        wanted_rules: digest("wanted_rules_hash", 11)?,
        attempts: row.get(12),
        error_hash: row.get(13),
        equal_errors: row.get(14),
        visible: row.get(15),
        task: row.get(16),
        gathered: Generation(row.get(17)),
        resolve_attempts: row.get(18),
        replay: row.get(19),
        pinned: row.get(20),
        as_visible: row.get(21),
        key,
    })
}

impl StateStore {
    /// One unit, its row locked; `None` when it was never gathered.
    pub(crate) async fn unit_lock_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
    ) -> Result<Option<UnitRow>, StateError> {
        let sql = format!(
            "select {COLUMNS} from pipeline_state where tenant = $1 and source = $2 and date = $3::text::date for update"
        );
        let date = key.date.to_string();
        let rows =
            query(txn, "lock a unit", &sql, &[&key.tenant.as_str(), &key.source.as_str(), &date])
                .await?;
        rows.first().map(unit_of).transpose()
    }

    /// Up to `limit` units of sources in force whose calculation is due, in a lane, locked, in order; none of the tenants
    /// `busy`.
    pub(crate) async fn units_due_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        (lane, busy): (Lane, &[String]),
    ) -> Result<Vec<UnitRow>, StateError> {
        let sql = format!(
            "select {COLUMNS} from pipeline_state p where state = 'gathered' and next_attempt_at <= now()
               and replay = $3 and tenant <> all($2) and not {HELD}
               and exists (select 1 from source_state s where s.tenant = p.tenant and s.source = p.source and s.in_force)
             order by tenant, source, date limit $1 for update"
        );
        let replay = lane == Lane::Replay;
        let rows = query(txn, "list due units", &sql, &[&limit, &busy, &replay]).await?;
        rows.iter().map(unit_of).collect()
    }

    /// Up to `limit` units of sources in force whose batches are gone and lie in the archive, in a lane, locked, in order;
    /// none of the tenants `busy`.
    pub(crate) async fn units_restorable_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        (lane, busy): (Lane, &[String]),
    ) -> Result<Vec<UnitRow>, StateError> {
        let sql = format!(
            "select {COLUMNS} from pipeline_state p where state = 'waiting' and next_attempt_at <= now() and {RESTORABLE}
               and replay = $3 and tenant <> all($2)
               and exists (select 1 from source_state s where s.tenant = p.tenant and s.source = p.source and s.in_force)
             order by tenant, source, date limit $1 for update"
        );
        let replay = lane == Lane::Replay;
        let rows = query(txn, "list units to restore", &sql, &[&limit, &busy, &replay]).await?;
        rows.iter().map(unit_of).collect()
    }

    /// Puts an event to a unit. False when that is no edge from its state: the event is late and changes nothing.
    pub(crate) async fn unit_event_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        event: UnitEvent,
    ) -> Result<bool, StateError> {
        let at = (&key.tenant, &key.source);
        Ok(Self::units_event_in_txn(txn, at, &[key.date], event).await? > 0)
    }

    /// Stores where the lines in force lie now, and the resolutions in force if it was those that were restored. False
    /// when other lines are in force.
    ///
    /// The lines stay those of the gather that brought them (`lines_generation`): a gather that began before the restore
    /// and ends after it brings what is newer.
    pub(crate) async fn unit_restored_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        restored: &Restored,
    ) -> Result<bool, StateError> {
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let lines = &restored.lines;
        let sql = "update pipeline_state set lines_manifest = $5
                   where tenant = $1 and source = $2 and date = $3::text::date and lines_hash = $4";
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 5] =
            [&tenant, &source, &date, &lines.hash.0.as_slice(), &pack(lines)?];
        if execute(txn, "store restored lines", sql, &parameters).await? == 0 {
            return Ok(false);
        }
        let Some(resolutions) = &restored.resolutions else { return Ok(true) };
        let sql = "update pipeline_state set resolution_generation = $4, resolution_manifest = $6,
                     resolution_lines_hash = lines_hash
                   where tenant = $1 and source = $2 and date = $3::text::date and resolution_hash = $5
                     and resolve_settings = (select resolve_settings from source_state where tenant = $1 and source = $2)";
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 6] = [
            &tenant,
            &source,
            &date,
            &resolutions.generation.0,
            &resolutions.hash.0.as_slice(),
            &pack(resolutions)?,
        ];
        execute(txn, "store restored resolutions", sql, &parameters).await?;
        Ok(true)
    }

    /// Notes a failure, the hash that tells whether it is the same again, and when the next attempt may be.
    pub(crate) async fn unit_failed_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        reason: &str,
        (error, equal_errors): (Hash128, i32),
        pause: Duration,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set attempts = attempts + 1, last_error = $4, error_hash = $5, equal_errors = $6,
                     next_attempt_at = now() + make_interval(secs => $7)
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let (reason, pause) = (plain(reason), pause.as_secs_f64());
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 7] =
            [&tenant, &source, &date, &reason, &error.0.as_slice(), &equal_errors, &pause];
        execute(txn, "note a failure", sql, &parameters).await?;
        Ok(())
    }

    /// Dates of a source that wait for their batches from the source itself, with their number of lines.
    pub(crate) async fn units_waiting_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
    ) -> Result<Vec<(UnitDate, i64)>, StateError> {
        let sql = format!(
            "select date::text, lines_items from pipeline_state p
             where tenant = $1 and source = $2 and state = 'waiting' and not {RESTORABLE} order by date"
        );
        let rows =
            query(txn, "list waiting dates", &sql, &[&tenant.as_str(), &source.as_str()]).await?;
        rows.iter().map(|row| Ok((parsed("date", row.get(0))?, row.get(1)))).collect()
    }

    /// A waiting unit whose batches the source does not bring back as it is asked now: it waits on, and no gather is
    /// due for its sake alone. The run gives it up.
    pub(crate) async fn unit_forsaken_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        reason: &str,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set attempts = greatest(attempts, $4), last_error = $5,
                     next_attempt_at = now() + interval '100 years'
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 5] =
            [&tenant, &source, &date, &ATTEMPTS_OF_A_RUN, &reason];
        execute(txn, "give a waiting unit up", sql, &parameters).await?;
        Ok(())
    }

    /// Units of sources in force that a step has held longer than `limit`.
    pub(crate) async fn units_overdue_in_txn(
        txn: &Transaction<'_>,
        limit: Duration,
    ) -> Result<Vec<UnitKey>, StateError> {
        let sql = "select tenant, source, date::text from pipeline_state
                   where state in ('resolving', 'allocating', 'committing', 'restoring')
                     and dispatched_at < now() - make_interval(secs => $1)";
        let rows = query(txn, "list overdue units", sql, &[&limit.as_secs_f64()]).await?;
        rows.iter().map(unit_key).collect()
    }

    /// Dates of a source in force with the content that they have, and those whose batches are gone.
    pub(crate) async fn units_known_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
    ) -> Result<Vec<(UnitDate, Hash128, bool)>, StateError> {
        let sql = "select date::text, lines_hash, state = 'waiting' from pipeline_state
                   where tenant = $1 and source = $2 and not withdrawn order by date";
        let rows =
            query(txn, "list known dates", sql, &[&tenant.as_str(), &source.as_str()]).await?;
        rows.iter()
            .map(|row| {
                Ok((parsed("date", row.get(0))?, hash("lines_hash", row.get(1))?, row.get(2)))
            })
            .collect()
    }

    /// Makes sure that the ledger's partition of a month exists, before its first commit is dispatched.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn month_ensure(&self, date: UnitDate) -> Result<(), StateError> {
        let client = self.store.client().await?;
        let sql = "select ensure_month_partition($1::text::date)";
        client
            .execute(sql, &[&date.to_string()])
            .await
            .map_err(StoreError::sql("make the partition of a month"))?;
        Ok(())
    }
}
