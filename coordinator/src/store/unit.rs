//! Units: their inputs, their state, and the edges between states (see [`crate::domain::unit`]).

use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::{Published, Restored};
use proto::subject::Lane;
use proto::time::UnitDate;
use runtime::store::StoreError;

use super::{
    StateError, StateStore, execute, hash, pack, parsed, plain, query, unit_key, unpack,
    warnings_json,
};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;
use crate::domain::unit::{UnitEvent, UnitState, step};

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
        let sql = "select state from pipeline_state where tenant = $1 and source = $2 and date = $3::text::date for update";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let rows = query(txn, "lock a unit", sql, &[&tenant, &source, &date]).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let Some(next) = step(parsed("state", row.get(0))?, event) else { return Ok(false) };
        // Fresh inputs or a person's word start the count of attempts anew. A republish does only where the unit had been
        // given up: batches that are gone again each time must not go round through their source without a pause.
        let republished = event == UnitEvent::Republished;
        let fresh = republished || matches!(event, UnitEvent::InputsChanged | UnitEvent::Requeued);
        // What is new is live work.
        let live = event == UnitEvent::ReplayGivenUp || fresh && !republished;
        let sql = "update pipeline_state set state = $4, task = null,
                     due_since = case when state = 'visible' then now() else due_since end,
                     attempts = case when $5 and not ($6 and attempts < $7) then 0 else attempts end,
                     equal_errors = case when $5 then 0 else equal_errors end,
                     next_attempt_at = case when $5 then now() else next_attempt_at end, replay = replay and not $8
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let word = next.word();
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 8] =
            [&tenant, &source, &date, &word, &fresh, &republished, &ATTEMPTS_OF_A_RUN, &live];
        execute(txn, "move a unit", sql, &parameters).await?;
        Ok(true)
    }

    /// Fixes the inputs of a dispatch under the row's lock.
    pub(crate) async fn unit_dispatch_in_txn(
        txn: &Transaction<'_>,
        unit: &UnitRow,
        event: UnitEvent,
        generation: Generation,
        task: &str,
    ) -> Result<bool, StateError> {
        let Some(next) = step(unit.state, event) else { return Ok(false) };
        let sql = "update pipeline_state set state = $4, wanted_generation = $5, wanted_lines_hash = lines_hash,
                     wanted_rules_hash = rules_hash, wanted_config_hash = config_hash, rows_manifest = null, task = $6,
                     dispatched_at = now(),
                     resolve_settings = case when $7 then (select resolve_settings from source_state
                       where tenant = $1 and source = $2) else resolve_settings end
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (unit.key.tenant.as_str(), unit.key.source.as_str(), unit.key.date.to_string());
        let resolves = event == UnitEvent::ResolveSent;
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 7] =
            [&tenant, &source, &date, &next.word(), &generation.0, &task, &resolves];
        Ok(execute(txn, "dispatch a unit", sql, &parameters).await? == 1)
    }

    /// Stores the rows of the wanted generation and hands the unit to the commit task.
    pub(crate) async fn unit_allocated_in_txn(
        txn: &Transaction<'_>,
        unit: &UnitRow,
        done: &Published,
        task: &str,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set state = 'committing', rows_manifest = $4, task = $5, dispatched_at = now(),
                     warnings = $6::text::jsonb
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (unit.key.tenant.as_str(), unit.key.source.as_str(), unit.key.date.to_string());
        let (rows, warnings) = (pack(&done.manifest)?, warnings_json(&done.warnings));
        execute(txn, "store rows", sql, &[&tenant, &source, &date, &rows, &task, &warnings])
            .await?;
        Ok(())
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

    /// Ends a unit's work well: the wanted generation is visible.
    pub(crate) async fn unit_settled_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set attempts = 0, equal_errors = 0, error_hash = null, last_error = null,
                     rows_manifest = null
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        execute(txn, "settle a unit", sql, &[&tenant, &source, &date]).await?;
        Ok(())
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

    /// Puts a new or changed date in force. True when its content differs from what was there.
    pub(crate) async fn unit_gathered_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        lines: &Manifest,
        received: &[u8],
        (config, rules): (Hash128, Hash128),
    ) -> Result<bool, StateError> {
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let sql = "select lines_hash, lines_generation from pipeline_state
                   where tenant = $1 and source = $2 and date = $3::text::date for update";
        let rows = query(txn, "look at a date", sql, &[&tenant, &source, &date]).await?;
        let same =
            rows.first().map(|row| hash("lines_hash", row.get(0))).transpose()? == Some(lines.hash);
        // Manifests in force only grow.
        if rows.first().is_some_and(|row| row.get::<_, i64>(1) > lines.generation.0) {
            return Ok(false);
        }
        let sql = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
                     lines_manifest, received, withdrawn, config_hash, rules_hash, state)
                   values ($1, $2, $3::text::date, $4, $5, $6, $7, $8, $9, $10, $11, 'gathered')
                   on conflict (tenant, source, date) do update set lines_generation = $4, lines_hash = $5,
                     lines_items = $6, lines_manifest = $7, received = $8, withdrawn = $9,
                     resolve_attempts = case when pipeline_state.lines_hash = $5 then pipeline_state.resolve_attempts
                       else 0 end";
        let items = i64::try_from(lines.items).unwrap_or(i64::MAX);
        let (digest, manifest) = (lines.hash.0.as_slice(), pack(lines)?);
        let (config, rules) = (config.0.as_slice(), rules.0.as_slice());
        let withdrawn = lines.items == 0;
        let parameters: [&(dyn deadpool_postgres::tokio_postgres::types::ToSql + Sync); 11] = [
            &tenant,
            &source,
            &date,
            &lines.generation.0,
            &digest,
            &items,
            &manifest,
            &received,
            &withdrawn,
            &config,
            &rules,
        ];
        execute(txn, "put a date in force", sql, &parameters).await?;
        if rows.is_empty() {
            Self::date_is_back_in_txn(txn, key).await?;
        }
        Ok(!same)
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
