//! Resolutions of units: when they are made, made again, and when they change nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::Published;
use proto::time::UnitDate;

use super::unit::RESTORABLE;
use super::units::texts;
use super::{StateError, StateStore, execute, pack, parsed, plain, query, unit_key};

type Source<'a> = (&'a TenantId, &'a SourceId);

/// Of resolutions that lack something: how often that happened, and after what pause they are made again, if they are.
type Lacking = Option<(i32, Option<Duration>)>;

impl StateStore {
    /// Stores resolutions for the lines in force of units.
    pub(crate) async fn units_resolved_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        units: &[(Published, Lacking)],
    ) -> Result<(), StateError> {
        if units.is_empty() {
            return Ok(());
        }
        let sql = "update pipeline_state p set resolution_generation = u.generation, resolution_hash = u.hash,
                     resolution_manifest = u.manifest, resolution_lines_hash = lines_hash, resolve_lacking = u.lacking,
                     resolve_attempts = u.attempts, resolved_at = now(),
                     resolve_again_at = now() + make_interval(secs => u.again)
                   from unnest($3::text[]::date[], $4::int8[], $5::bytea[], $6::bytea[], $7::text[], $8::int4[], $9::float8[])
                     as u (date, generation, hash, manifest, lacking, attempts, again)
                   where p.tenant = $1 and p.source = $2 and p.date = u.date";
        let manifests = || units.iter().map(|(done, _)| &done.manifest);
        let dates = texts(units.iter().map(|(done, _)| &done.date));
        let generations: Vec<i64> = manifests().map(|rows| rows.generation.0).collect();
        let hashes: Vec<&[u8]> = manifests().map(|rows| rows.hash.0.as_slice()).collect();
        let packed = manifests().map(pack::<Manifest>).collect::<Result<Vec<_>, _>>()?;
        let reasons: Vec<_> =
            units.iter().map(|(done, _)| done.lacking.as_deref().map(plain)).collect();
        let attempts: Vec<i32> =
            units.iter().map(|(_, lacking)| lacking.map_or(0, |l| l.0)).collect();
        let again = |pause: Duration| pause.as_secs_f64();
        let again: Vec<Option<f64>> =
            units.iter().map(|(_, lacking)| lacking.and_then(|l| l.1).map(again)).collect();
        let values: [&(dyn ToSql + Sync); 9] = [
            &tenant.as_str(),
            &source.as_str(),
            &dates,
            &generations,
            &hashes,
            &packed,
            &reasons,
            &attempts,
            &again,
        ];
        execute(txn, "store resolutions", sql, &values).await?;
        Ok(())
    }

    /// Up to `limit` visible units whose resolutions lack something and are to be made again: their time has come, or,
    /// for a single run, they were made before it.
    pub(crate) async fn units_to_resolve_again_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
        (run, single): (&str, bool),
    ) -> Result<Vec<UnitKey>, StateError> {
        let sql = "select tenant, source, date::text from pipeline_state p
                   where state = 'visible' and (resolve_again_at <= now() or $3 and resolve_again_at is not null
                       and resolved_at < (select started_at from pipeline_runs where run_id = $2))
                     and exists (select 1 from source_state s where s.tenant = p.tenant and s.source = p.source and s.in_force)
                   order by tenant, source, date limit $1 for update";
        let what = "list what is to be resolved again";
        let rows = query(txn, what, sql, &[&limit, &run, &single]).await?;
        rows.iter().map(unit_key).collect()
    }

    /// Forgets the resolutions of a unit: their batches are gone, or they are to be made again. `anew`: as if it had never
    /// been tried.
    pub(crate) async fn unit_forget_resolutions_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        anew: bool,
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set resolution_lines_hash = null,
                     resolve_attempts = case when $4 then 0 else resolve_attempts end
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        execute(txn, "forget resolutions", sql, &[&tenant, &source, &date, &anew]).await?;
        Ok(())
    }

    /// Leaves the resolutions in force that what is visible was made with, where they lack nothing: those of `attempt`
    /// lack something, and could not be had better. They are made again after `again`, if at all. False: there are none
    /// that could be left.
    pub(crate) async fn unit_keeps_resolutions_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
        attempt: i32,
        again: Option<Duration>,
    ) -> Result<bool, StateError> {
        let sql = format!(
            "update pipeline_state p set resolution_lines_hash = lines_hash, resolve_attempts = $4, resolved_at = now(),
               resolve_again_at = now() + make_interval(secs => $5)
             where tenant = $1 and source = $2 and date = $3::text::date and resolve_lacking is null and {RESTORABLE}
               and exists (select from commits c where c.tenant = $1 and c.source = $2 and c.date = p.date
                 and c.generation = p.visible_generation and c.resolution_hash = p.resolution_hash)"
        );
        let (tenant, source, date) =
            (key.tenant.as_str(), key.source.as_str(), key.date.to_string());
        let again = again.map(|pause| pause.as_secs_f64());
        let parameters: [&(dyn ToSql + Sync); 5] = [&tenant, &source, &date, &attempt, &again];
        Ok(execute(txn, "keep resolutions", &sql, &parameters).await? > 0)
    }

    /// Those of some dates whose visible rows are those that would be calculated now: they were made from the lines and
    /// by the rules in force, and with resolutions equal to those in force. (Drivers that changed are found by themselves.)
    pub(crate) async fn units_as_visible_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
    ) -> Result<BTreeSet<UnitDate>, StateError> {
        let sql = "select p.date::text from pipeline_state p
                   join commits c using (tenant, source, date)
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[])
                     and c.generation = p.visible_generation
                     and p.visible_lines_hash = p.lines_hash and p.visible_rules = p.rules_hash
                     and c.resolution_hash = p.resolution_hash and not p.visible_archive_damaged";
        let values: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &texts(dates)];
        let rows = query(txn, "compare with what is visible", sql, &values).await?;
        rows.iter().map(|row| parsed("date", row.get(0))).collect()
    }

    /// Notes the settings that the units of a source are resolved with from now on. Others than before have what was
    /// resolved with those resolved again, by the sweep. What was resolved before anybody noted them counts as resolved
    /// with these.
    pub(super) async fn resolve_settings_put_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        settings: Option<Hash128>,
    ) -> Result<(), StateError> {
        let Some(settings) = settings else { return Ok(()) };
        let parameters: [&(dyn ToSql + Sync); 3] =
            [&tenant.as_str(), &source.as_str(), &settings.0.as_slice()];
        let sql = "update pipeline_state p set resolve_settings = $3 from source_state s
                   where p.tenant = $1 and p.source = $2 and s.tenant = $1 and s.source = $2
                     and s.resolve_settings is null and p.resolution_generation is not null";
        execute(txn, "note how dates were resolved", sql, &parameters).await?;
        let sql = "update source_state set resolve_settings = $3, resolve_changed = resolve_settings is not null
                   where tenant = $1 and source = $2 and resolve_settings is distinct from $3";
        execute(txn, "note how a source is resolved", sql, &parameters).await?;
        Ok(())
    }

    /// Sources in force whose settings changed since some of their units were resolved. Where they also change what is
    /// gathered, the next gather comes first: its inventory is what is resolved from.
    pub(crate) async fn sources_resolved_otherwise_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<(TenantId, SourceId)>, StateError> {
        let sql = "select tenant, source from source_state
                   where resolve_changed and in_force and settled_run is not null order by tenant, source for update";
        let rows = query(txn, "list sources that are resolved otherwise", sql, &[]).await?;
        rows.iter()
            .map(|row| Ok((parsed("tenant", row.get(0))?, parsed("source", row.get(1))?)))
            .collect()
    }

    /// Up to `limit` units of a source whose resolutions were made, or could not be made, with other settings than those
    /// in force.
    pub(crate) async fn units_resolved_otherwise_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        limit: i64,
    ) -> Result<Vec<UnitKey>, StateError> {
        let sql = "select p.tenant, p.source, p.date::text from pipeline_state p join source_state s using (tenant, source)
                   where tenant = $1 and source = $2 and p.resolve_settings <> s.resolve_settings
                     and (p.resolution_lines_hash = p.lines_hash or p.state in ('resolving', 'quarantined'))
                   order by p.date limit $3 for update of p";
        let what = "list what was resolved otherwise";
        let rows = query(txn, what, sql, &[&tenant.as_str(), &source.as_str(), &limit]).await?;
        rows.iter().map(unit_key).collect()
    }

    /// No unit of the source has resolutions of other settings any more.
    pub(crate) async fn source_is_resolved_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<(), StateError> {
        let sql =
            "update source_state set resolve_changed = false where tenant = $1 and source = $2";
        execute(txn, "end resolving otherwise", sql, &[&tenant.as_str(), &source.as_str()]).await?;
        Ok(())
    }
}
