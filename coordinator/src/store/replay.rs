//! Replays: what persons ask to have calculated again from what was gathered, by the rules in force or by older ones.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::config::TenantConfig;
use proto::envelope;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId, UnitKey};
use runtime::store::StoreError;

use super::unit::{COLUMNS, HELD, RESTORABLE, UnitRow, unit_of};
use super::{StateError, StateStore, execute, hash, parsed, plain, query, unit_key};
use crate::domain::unit::UnitState;

/// What a person asked for, as far as its dates are not on their way yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayAsked {
    /// Its run.
    pub run: String,
    /// Whose.
    pub tenant: TenantId,
    /// By which rules.
    pub rules: ReplayRules,
}

/// By which rules dates are calculated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayRules {
    /// Those in force for the date: of one that is pinned, the pinned ones.
    InForce,
    /// Those that were in force at the end of each date, or at a moment: the date is pinned to them.
    AsOf,
    /// Those of the configuration in force: the date is pinned no more.
    Unpinned,
}

/// A date that a replay has still to put on its way.
#[derive(Debug, Clone)]
pub struct ReplayUnit {
    /// Which.
    pub key: UnitKey,
    /// Where it stands.
    pub state: UnitState,
    /// What is visible of it; 0 = nothing yet.
    pub visible: i64,
    /// A record of it is quarantined, and its tenant holds such dates.
    pub held: bool,
    /// Hash of the rules that it is to be calculated by.
    pub rules: Hash128,
    /// Of [`ReplayRules::AsOf`]: the configuration that was in force then.
    pub as_of: Option<Hash128>,
}

/// Which rules a date has from now on: configuration, hash of the rules, and whether it keeps them.
pub(crate) type RulesPut = (Hash128, Hash128, bool);

impl StateStore {
    /// Replays whose dates are not all on their way yet, the oldest first.
    pub(crate) async fn replays_open_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<ReplayAsked>, StateError> {
        let sql = "select run_id, tenant, kind, rules from pipeline_runs
                   where kind in ('replay', 'unpin') and ended_at is null and gathered_at is null
                   order by started_at, run_id for update";
        let of = |row: &Row| {
            let rules = match (row.get::<_, &str>(2), row.get::<_, Option<&str>>(3)) {
                ("unpin", _) => ReplayRules::Unpinned,
                (_, Some("as-of")) => ReplayRules::AsOf,
                _ => ReplayRules::InForce,
            };
            Ok(ReplayAsked { run: row.get(0), tenant: parsed("tenant", row.get(1))?, rules })
        };
        query(txn, "list replays", sql, &[]).await?.iter().map(of).collect()
    }

    /// Up to `limit` dates of a replay that are not on their way yet, locked, in order.
    pub(crate) async fn replay_units_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        limit: i64,
    ) -> Result<Vec<ReplayUnit>, StateError> {
        let sql = format!(
            "select p.tenant, p.source, p.date::text, p.state, p.visible_generation, {HELD}, p.rules_hash,
               case when r.rules = 'as-of' then coalesce(
                 (select h.config_hash from config_history h where h.tenant = p.tenant
                    and h.since < coalesce(r.rules_at, (p.date + 1)::timestamp at time zone 'UTC')
                  order by h.since desc limit 1),
                 (select h.config_hash from config_history h where h.tenant = p.tenant order by h.since limit 1)) end
             from pipeline_runs r join pipeline_state p on p.tenant = r.tenant and p.source = coalesce(r.source, p.source)
               and p.date between r.from_date and r.to_date
             join source_state s on s.tenant = p.tenant and s.source = p.source and s.in_force
             where r.run_id = $1 and (r.kind <> 'unpin' or p.pinned)
               and not exists (select from run_units u where u.run_id = r.run_id and u.tenant = p.tenant
                 and u.source = p.source and u.date = p.date)
             order by p.source, p.date limit $2 for update of p"
        );
        let of = |row: &Row| {
            Ok(ReplayUnit {
                key: unit_key(row)?,
                state: parsed("state", row.get(3))?,
                visible: row.get(4),
                held: row.get(5),
                rules: hash("rules_hash", row.get(6))?,
                as_of: row
                    .get::<_, Option<&[u8]>>(7)
                    .map(|h| hash("config_hash", h))
                    .transpose()?,
            })
        };
        let rows = query(txn, "list a replay's dates", &sql, &[&run, &limit]).await?;
        rows.iter().map(of).collect()
    }

    /// A date of a replay: it is waited for, or cannot be replayed for a reason.
    pub(crate) async fn replay_unit_add_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        unit: &ReplayUnit,
        error: Option<&str>,
    ) -> Result<(), StateError> {
        let sql = "insert into run_units (run_id, tenant, source, date, before_generation, error, settled_at)
                   values ($1, $2, $3, $4::text::date, $5, $6, case when $6::text is not null then now() end)";
        let (tenant, source, date) = key_texts(&unit.key);
        let error = error.map(plain);
        let values: [&(dyn ToSql + Sync); 6] =
            [&run, &tenant, &source, &date, &unit.visible, &error];
        execute(txn, "note a replay's date", sql, &values).await?;
        Ok(())
    }

    /// Has a date give way to live work, and its rules be others from now on, if any are given.
    pub(crate) async fn replay_unit_put_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        rules: Option<RulesPut>,
    ) -> Result<(), StateError> {
        let (tenant, source, date) = key_texts(key);
        let (config, hash) = (rules.map(|(config, ..)| config), rules.map(|(_, rules, _)| rules));
        let bytes = |hash: &Option<Hash128>| hash.map(|hash| hash.0.to_vec());
        let pinned = rules.map(|(.., pinned)| pinned);
        let sql =
            "update pipeline_state set replay = true, config_hash = coalesce($4, config_hash),
                     rules_hash = coalesce($5, rules_hash), pinned = coalesce($6, pinned)
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let values: [&(dyn ToSql + Sync); 6] =
            [&tenant, &source, &date, &bytes(&config), &bytes(&hash), &pinned];
        execute(txn, "have a date replayed", sql, &values).await?;
        Ok(())
    }

    /// All dates of a replay are on their way.
    pub(crate) async fn replay_taken_up_in_txn(
        txn: &Transaction<'_>,
        run: &str,
        config: Hash128,
        all: bool,
    ) -> Result<(), StateError> {
        let sql =
            "update pipeline_runs set status = 'running', config_hash = coalesce(config_hash, $2),
                     gathered_at = case when $3 then now() end where run_id = $1";
        execute(txn, "take a replay up", sql, &[&run, &config.0.as_slice(), &all]).await?;
        Ok(())
    }

    /// A configuration that is or was in force.
    pub(crate) async fn config_version_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        version: Hash128,
    ) -> Result<TenantConfig, StateError> {
        let sql = "select message from config_versions where tenant = $1 and hash = $2";
        let of = || format!("{tenant} {version}");
        let rows =
            query(txn, "read a configuration", sql, &[&tenant.as_str(), &version.0.as_slice()])
                .await?;
        let stored = |why| StateError::Stored { what: "configuration", of: of(), why };
        let row = rows.first().ok_or_else(|| stored("it is not there".to_owned()))?;
        let decoded = envelope::decode::<TenantConfig>(row.get(0));
        Ok(decoded.map_err(|error| stored(error.to_string()))?.1)
    }

    /// Messages of configurations that dates are pinned to: tenant, hash, message.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub(crate) async fn configs_pinned(
        &self,
    ) -> Result<Vec<(TenantId, Hash128, Vec<u8>)>, StateError> {
        let client = self.store.client().await?;
        let sql = "select v.tenant, v.hash, v.message from config_versions v
                   join (select distinct tenant, config_hash from pipeline_state where pinned) p
                     on p.tenant = v.tenant and p.config_hash = v.hash";
        let rows = client.query(sql, &[]).await;
        let rows = rows.map_err(StoreError::sql("list pinned configurations"))?;
        let of = |row: &Row| {
            Ok((parsed("tenant", row.get(0))?, hash("config_hash", row.get(1))?, row.get(2)))
        };
        rows.iter().map(of).collect()
    }

    /// Up to `limit` dates of replays whose batches are neither on their stream nor whole in the archive.
    pub(crate) async fn replays_without_input_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<Vec<UnitRow>, StateError> {
        let sql = format!(
            "select {COLUMNS} from pipeline_state p where replay and state = 'waiting' and visible_lines_hash = lines_hash
               and visible_rules = rules_hash and not {RESTORABLE}
             order by tenant, source, date limit $1 for update"
        );
        let rows = query(txn, "list replays without input", &sql, &[&limit]).await?;
        rows.iter().map(unit_of).collect()
    }

    /// The runs that wait for a date know that the archive served it.
    pub(crate) async fn run_unit_restored_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
    ) -> Result<(), StateError> {
        let sql = "update run_units set restored = true
                   where tenant = $1 and source = $2 and date = $3::text::date
                     and visible_at is null and settled_at is null";
        let (tenant, source, date) = key_texts(key);
        execute(txn, "note what served a date", sql, &[&tenant, &source, &date]).await?;
        Ok(())
    }

    /// Notes that a configuration is in force from now on, unless it has been so already.
    pub(super) async fn config_history_put_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        config: Hash128,
    ) -> Result<(), StateError> {
        let sql = "insert into config_history (tenant, config_hash) select $1, $2
                   where $2 is distinct from (select config_hash from config_history
                     where tenant = $1 order by since desc limit 1)";
        let values: [&(dyn ToSql + Sync); 2] = [&tenant.as_str(), &config.0.as_slice()];
        execute(txn, "remember when a configuration came", sql, &values).await?;
        Ok(())
    }
}

fn key_texts(key: &UnitKey) -> (&str, &str, String) {
    (key.tenant.as_str(), SourceId::as_str(&key.source), key.date.to_string())
}
