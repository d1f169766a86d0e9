//! Many units of a source at once, with a statement for all of them: a report or task speaks of up to 64.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::Published;
use proto::time::UnitDate;

use super::unit::{COLUMNS, unit_of};
use super::{
    StagedDate, StateError, StateStore, UnitRow, execute, hash, pack, parsed, query, warnings_json,
};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;
use crate::domain::unit::{UnitEvent, UnitState, step};

type Source<'a> = (&'a TenantId, &'a SourceId);

/// Dates as Postgres reads them.
pub(super) fn texts<'a>(dates: impl IntoIterator<Item = &'a UnitDate>) -> Vec<String> {
    dates.into_iter().map(ToString::to_string).collect()
}

impl StateStore {
    /// Those of some dates that were ever gathered, their rows locked in order.
    pub(crate) async fn units_lock_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
    ) -> Result<BTreeMap<UnitDate, UnitRow>, StateError> {
        let sql = format!(
            "select {COLUMNS} from pipeline_state
             where tenant = $1 and source = $2 and date = any($3::text[]::date[]) order by date for update"
        );
        let values: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &texts(dates)];
        let rows = query(txn, "lock units", &sql, &values).await?;
        let unit = |row| unit_of(row).map(|unit| (unit.key.date, unit));
        rows.iter().map(unit).collect()
    }

    /// Puts an event to units. It is late for those from whose states it is no edge, and changes nothing of them. Gives
    /// the number of the others.
    pub(crate) async fn units_event_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
        event: UnitEvent,
    ) -> Result<u64, StateError> {
        if dates.is_empty() {
            return Ok(0);
        }
        let sql = "select date::text, state from pipeline_state
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[]) order by date for update";
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let values: [&(dyn ToSql + Sync); 3] = [&tenant, &source, &texts(dates)];
        let rows = query(txn, "lock units", sql, &values).await?;
        let mut moved = BTreeMap::<&str, Vec<String>>::new();
        for row in &rows {
            let state: UnitState = parsed("state", row.get(1))?;
            if let Some(next) = step(state, event) {
                moved.entry(next.word()).or_default().push(row.get(0));
            }
        }
        let mut count = 0;
        for (word, dates) in moved {
            count += Self::units_move_in_txn(txn, (tenant, source), &dates, (word, event)).await?;
        }
        Ok(count)
    }

    /// Moves units to the state to which an event leads.
    async fn units_move_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&str, &str),
        dates: &[String],
        (word, event): (&str, UnitEvent),
    ) -> Result<u64, StateError> {
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
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[])";
        let values: [&(dyn ToSql + Sync); 8] =
            [&tenant, &source, &dates, &word, &fresh, &republished, &ATTEMPTS_OF_A_RUN, &live];
        execute(txn, "move units", sql, &values).await
    }

    /// Fixes the inputs of what one task carries, under the rows' locks.
    pub(crate) async fn units_dispatch_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        units: &[(&UnitRow, Generation)],
        (event, task): (UnitEvent, &str),
    ) -> Result<(), StateError> {
        let mut moved = BTreeMap::<&str, (Vec<String>, Vec<i64>)>::new();
        for (unit, generation) in units {
            if let Some(next) = step(unit.state, event) {
                let (dates, generations) = moved.entry(next.word()).or_default();
                dates.push(unit.key.date.to_string());
                generations.push(generation.0);
            }
        }
        let sql = "update pipeline_state p set state = $3, wanted_generation = u.generation,
                     wanted_lines_hash = p.lines_hash, wanted_rules_hash = p.rules_hash, wanted_config_hash = p.config_hash,
                     rows_manifest = null, task = $4, dispatched_at = now(),
                     resolve_settings = case when $5 then s.resolve_settings else p.resolve_settings end
                   from unnest($6::text[]::date[], $7::int8[]) as u (date, generation), source_state s
                   where p.tenant = $1 and p.source = $2 and p.date = u.date and s.tenant = $1 and s.source = $2";
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let resolves = event == UnitEvent::ResolveSent;
        for (word, (dates, generations)) in moved {
            let values: [&(dyn ToSql + Sync); 7] =
                [&tenant, &source, &word, &task, &resolves, &dates, &generations];
            execute(txn, "dispatch units", sql, &values).await?;
        }
        Ok(())
    }

    /// Stores the rows of the wanted generations of units and hands them to a commit task.
    pub(crate) async fn units_allocated_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        units: &[(UnitRow, Published)],
        task: &str,
    ) -> Result<(), StateError> {
        let dates = texts(units.iter().map(|(unit, _)| &unit.key.date));
        let rows = units.iter().map(|(_, done)| pack(&done.manifest));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let warnings: Vec<String> =
            units.iter().map(|(_, done)| warnings_json(&done.warnings)).collect();
        let sql = "update pipeline_state p set state = 'committing', rows_manifest = u.rows, task = $3,
                     dispatched_at = now(), warnings = u.warnings::jsonb
                   from unnest($4::text[]::date[], $5::bytea[], $6::text[]) as u (date, rows, warnings)
                   where p.tenant = $1 and p.source = $2 and p.date = u.date";
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant.as_str(), &source.as_str(), &task, &dates, &rows, &warnings];
        execute(txn, "store rows", sql, &values).await?;
        Ok(())
    }

    /// Ends the work of units well: their wanted generations are visible.
    pub(crate) async fn units_settled_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set attempts = 0, equal_errors = 0, error_hash = null, last_error = null,
                     rows_manifest = null
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[])";
        let values: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &texts(dates)];
        execute(txn, "settle units", sql, &values).await?;
        Ok(())
    }

    /// Puts new and changed dates in force, each with the hash of its rules. Gives those whose content differs from what
    /// was there.
    pub(crate) async fn units_gathered_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        staged: &BTreeMap<UnitDate, (StagedDate, Hash128)>,
        config: Hash128,
    ) -> Result<Vec<UnitDate>, StateError> {
        let names = (tenant.as_str(), source.as_str());
        let all = texts(staged.keys());
        let sql = "select date::text, lines_hash, lines_generation from pipeline_state
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[]) order by date for update";
        let rows = query(txn, "look at dates", sql, &[&names.0, &names.1, &all]).await?;
        let mut known = BTreeMap::<UnitDate, (Hash128, i64)>::new();
        for row in &rows {
            known
                .insert(parsed("date", row.get(0))?, (hash("lines_hash", row.get(1))?, row.get(2)));
        }
        // Manifests in force only grow.
        let newer: Vec<(&UnitDate, &StagedDate, &Hash128)> = staged
            .iter()
            .filter(|(date, (of, _))| {
                known.get(date).is_none_or(|(_, generation)| *generation <= of.lines.generation.0)
            })
            .map(|(date, (of, rules))| (date, of, rules))
            .collect();
        let hash_of = |date: &UnitDate| known.get(date).map(|(hash, _)| *hash);
        let changed = newer.iter().filter(|(date, of, _)| hash_of(date) != Some(of.lines.hash));
        let changed = changed.map(|(date, ..)| **date).collect();
        let lines = |of: &StagedDate| pack::<Manifest>(&of.lines);
        let manifests = newer.iter().map(|(_, of, _)| lines(of)).collect::<Result<Vec<_>, _>>()?;
        let dates = texts(newer.iter().map(|(date, ..)| *date));
        let generations: Vec<i64> = newer.iter().map(|(_, of, _)| of.lines.generation.0).collect();
        let hashes: Vec<&[u8]> =
            newer.iter().map(|(_, of, _)| of.lines.hash.0.as_slice()).collect();
        let items: Vec<i64> = newer
            .iter()
            .map(|(_, of, _)| i64::try_from(of.lines.items).unwrap_or(i64::MAX))
            .collect();
        let received: Vec<&[u8]> = newer.iter().map(|(_, of, _)| of.received.as_slice()).collect();
        let rules: Vec<&[u8]> = newer.iter().map(|(.., rules)| rules.0.as_slice()).collect();
        let sql = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
                     lines_manifest, received, withdrawn, config_hash, rules_hash, state)
                   select $1, $2, u.date, u.generation, u.hash, u.items, u.manifest, u.received, u.items = 0, $3, u.rules,
                     'gathered'
                   from unnest($4::text[]::date[], $5::int8[], $6::bytea[], $7::int8[], $8::bytea[], $9::bytea[], $10::bytea[])
                     as u (date, generation, hash, items, manifest, received, rules)
                   order by u.date
                   on conflict (tenant, source, date) do update set lines_generation = excluded.lines_generation,
                     lines_hash = excluded.lines_hash, lines_items = excluded.lines_items,
                     lines_manifest = excluded.lines_manifest, received = excluded.received,
                     withdrawn = excluded.withdrawn,
                     resolve_attempts = case when pipeline_state.lines_hash = excluded.lines_hash
                       then pipeline_state.resolve_attempts else 0 end";
        let digest = config.0.as_slice();
        let values: [&(dyn ToSql + Sync); 10] = [
            &names.0,
            &names.1,
            &digest,
            &dates,
            &generations,
            &hashes,
            &items,
            &manifests,
            &received,
            &rules,
        ];
        execute(txn, "put dates in force", sql, &values).await?;
        for date in staged.keys().filter(|date| !known.contains_key(date)) {
            let key = UnitKey { tenant: tenant.clone(), source: source.clone(), date: *date };
            Self::date_is_back_in_txn(txn, &key).await?;
        }
        Ok(changed)
    }
}
