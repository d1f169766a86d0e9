//! Configurations in force.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::config::ledger::LedgerTable;
use proto::config::metric_driver::MetricDriver;
use proto::config::{OnBadLine, TenantConfig};
use proto::hash::Hash128;
use proto::ids::{DriverId, SourceId, TenantId};
use proto::time::UnitDate;
use runtime::store::StoreError;

use super::{StateError, StateStore, execute, hash, lead_check_in_txn, pack, parsed, query};
use crate::domain::unit::UnitEvent;

/// A tenant's configuration with its hash and the message that carries it.
#[derive(Debug, Clone)]
pub struct ConfigInForce {
    /// The configuration.
    pub config: TenantConfig,
    /// Its hash.
    pub hash: Hash128,
    /// Envelope of the CONFIG stream.
    pub message: Vec<u8>,
    /// What its rules share by that the ledger adds up.
    pub ledger: BTreeMap<DriverId, LedgerTable>,
    /// What they share by that is measured.
    pub metric: BTreeMap<DriverId, MetricDriver>,
    /// Sources whose units are resolved, with the hash of the settings that decide it.
    pub resolving: BTreeMap<SourceId, Hash128>,
}

impl StateStore {
    /// Puts these configurations in force, whole: tenants, sources and emitters that are not among them are out of
    /// force, and units whose rules differ become due. Gives the number of those.
    ///
    /// # Errors
    /// When Postgres cannot be asked or another coordinator leads.
    pub async fn configs_apply(
        &self,
        configs: &[ConfigInForce],
        commit: Option<&str>,
    ) -> Result<u64, StateError> {
        let mut client = self.store.client().await?;
        let txn = client.transaction().await.map_err(StoreError::sql("begin"))?;
        lead_check_in_txn(&txn, self.epoch).await?;
        execute(&txn, "take sources out of force", "update source_state set in_force = false", &[])
            .await?;
        let tenants: Vec<&str> = configs.iter().map(|entry| entry.config.tenant.as_str()).collect();
        let sql = "delete from emitters where tenant <> all($1)";
        execute(&txn, "take emitters out of force", sql, &[&tenants]).await?;
        let mut due = 0;
        for entry in configs {
            let tenant = &entry.config.tenant;
            let digest = entry.hash.0.as_slice();
            let sql = "insert into config_versions (tenant, hash, message, git_commit) values ($1, $2, $3, $4)
                       on conflict do nothing";
            execute(
                &txn,
                "store a configuration",
                sql,
                &[&tenant.as_str(), &digest, &entry.message, &commit],
            )
            .await?;
            let sql = "insert into tenants (tenant, config_hash, final_after_days, hold_bad_lines) values ($1, $2, $3, $4)
                       on conflict (tenant) do update
                         set config_hash = $2, final_after_days = $3, hold_bad_lines = $4, updated_at = now()";
            let days =
                entry.config.final_after_days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
            let hold = entry.config.on_bad_line == OnBadLine::Hold;
            execute(&txn, "put a tenant in force", sql, &[&tenant.as_str(), &digest, &days, &hold])
                .await?;
            Self::config_history_put_in_txn(&txn, tenant, entry.hash).await?;
            let ids: Vec<&str> = entry.config.emitters.iter().map(|e| e.id.as_str()).collect();
            let sql = "delete from emitters where tenant = $1 and emitter <> all($2)";
            let what = "take emitters out of force";
            let mut otherwise = execute(&txn, what, sql, &[&tenant.as_str(), &ids]).await?;
            for emitter in &entry.config.emitters {
                let digest = Hash128::of(&pack(emitter)?);
                let sql =
                    "insert into emitters as e (tenant, emitter, kind, hash, monthly, lookback_days)
                           values ($1, $2, $3, $4, $5, $6)
                           on conflict (tenant, emitter) do update set kind = $3, hash = $4, monthly = $5, lookback_days = $6
                           where (e.kind, e.hash, e.monthly, e.lookback_days) is distinct from ($3, $4, $5, $6)";
                let (tenant, id, digest) =
                    (tenant.as_str(), emitter.id.as_str(), digest.0.as_slice());
                let monthly = emitter.file_name().is_monthly();
                // Dates are at most 10,000 years apart.
                let lookback = emitter.lookback_days.map(|days| days.min(3_660_000) as i32);
                let parameters: [&(dyn ToSql + Sync); 6] =
                    [&tenant, &id, &emitter.kind, &digest, &monthly, &lookback];
                otherwise += execute(&txn, "put an emitter in force", sql, &parameters).await?;
            }
            if otherwise > 0 {
                Self::emitters_changed_in_txn(&txn, tenant).await?;
            }
            for source in &entry.config.sources {
                let sql = "insert into source_state (tenant, source, kind) values ($1, $2, $3)
                           on conflict (tenant, source) do update set in_force = true, kind = $3";
                let kind = source.kind();
                execute(
                    &txn,
                    "put a source in force",
                    sql,
                    &[&tenant.as_str(), &source.id.as_str(), &kind],
                )
                .await?;
                Self::unallocated_ensure_in_txn(&txn, (tenant, &source.id)).await?;
                let settings = entry.resolving.get(&source.id).copied();
                Self::resolve_settings_put_in_txn(&txn, (tenant, &source.id), settings).await?;
                Self::timing_put_in_txn(&txn, (tenant, &source.id), &source.timing).await?;
                // Another way to read the same files: everything is read again.
                let sql = "update source_state set settled_run = null
                           where tenant = $1 and source = $2 and gather_hash is not null and gather_hash <> $3";
                let reading = entry.config.gather_hash(&source.id)?;
                execute(
                    &txn,
                    "compare how a source is read",
                    sql,
                    &[&tenant.as_str(), &source.id.as_str(), &reading.0.as_slice()],
                )
                .await?;
                // What reads it the other way right now would be taken for this way.
                Self::gather_cancel_in_txn(&txn, (tenant, &source.id), Some(reading)).await?;
                due += Self::rules_apply_in_txn(&txn, entry, tenant, &source.id).await?;
            }
        }
        // Nobody serves the queue of an emitter that is gone.
        let sql = "update emission_records r set task = null where task is not null
                     and not exists (select 1 from emitters e where e.tenant = r.tenant and e.emitter = r.emitter)";
        execute(&txn, "give emissions up", sql, &[]).await?;
        for (tenant, source) in Self::gathers_orphaned_in_txn(&txn).await? {
            Self::gather_cancel_in_txn(&txn, (&tenant, &source), None).await?;
        }
        txn.commit().await.map_err(StoreError::sql("commit"))?;
        Ok(due)
    }

    async fn rules_apply_in_txn(
        txn: &Transaction<'_>,
        entry: &ConfigInForce,
        tenant: &TenantId,
        source: &SourceId,
    ) -> Result<u64, StateError> {
        let sql = "select date::text, rules_hash from pipeline_state where tenant = $1 and source = $2 and config_hash <> $3
                     and not pinned";
        let digest = entry.hash.0.as_slice();
        let rows =
            query(txn, "list dates", sql, &[&tenant.as_str(), &source.as_str(), &digest]).await?;
        let mut due = 0;
        for row in rows {
            let date: UnitDate = parsed("date", row.get(0))?;
            let rules = entry.config.rules_hash(source, date)?;
            let sql = "update pipeline_state set config_hash = $4, rules_hash = $5
                       where tenant = $1 and source = $2 and date = $3::text::date";
            let (date, rules_bytes) = (date.to_string(), rules.0.as_slice());
            let key = (tenant.as_str(), source.as_str());
            execute(
                txn,
                "update a date's rules",
                sql,
                &[&key.0, &key.1, &date, &digest, &rules_bytes],
            )
            .await?;
            if rules != hash("rules_hash", row.get(1))? {
                let key = proto::ids::UnitKey {
                    tenant: tenant.clone(),
                    source: source.clone(),
                    date: parsed("date", &date)?,
                };
                due +=
                    u64::from(Self::unit_event_in_txn(txn, &key, UnitEvent::InputsChanged).await?);
            }
        }
        Ok(due)
    }
}
