//! Runs, sources and the work that is out.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::config::TenantConfig;
use proto::ids::TenantId;
use proto::line::Measure;

use super::{EMISSION_DUE, SourceKey};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Units that it made visible.
    pub units: i64,
    /// Sources, units and emissions that it gave up.
    pub failed: i64,
    /// Seconds that it took, or has taken so far.
    pub seconds: i64,
}

/// The run with that id, if it ever started.
pub fn run(txn: &mut Transaction<'_>, id: &str) -> Result<Option<RunRow>> {
    let sql =
        "select units, failed, extract(epoch from coalesce(ended_at, now()) - started_at)::bigint
               from pipeline_runs where run_id = $1";
    let row = txn.query_opt(sql, &[&id]).context("cannot look at the run")?;
    Ok(row.map(|row| RunRow { units: row.get(0), failed: row.get(1), seconds: row.get(2) }))
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub holder: String,
    /// Does its lease still run?
    pub alive: bool,
}

/// The leading coordinator, if there ever was one.
pub fn leader(txn: &mut Transaction<'_>) -> Result<Option<Leader>> {
    let sql = "select holder, lease_until > now() from leader where role = 'coordinator' and holder <> ''";
    let row = txn.query_opt(sql, &[]).context("cannot look at the leader")?;
    Ok(row.map(|row| Leader { holder: row.get(0), alive: row.get(1) }))
}

/// A source in force.
#[derive(Debug, Clone)]
pub struct SourceRow {
    /// Tenant and source.
    pub key: SourceKey,
    /// Its kind.
    pub kind: String,
    /// The measure that is its amount; `None`: its configuration cannot be read by this build.
    pub cost: Option<Measure>,
    /// When the last good gather ended.
    pub gathered_at: Option<String>,
    /// Records that it read.
    pub records: Option<i64>,
    /// First and last date that it speaks for.
    pub covered: Option<(String, String)>,
    /// Is a gather under way?
    pub gathering: bool,
    /// Failed attempts since the last good gather.
    pub attempts: i32,
    /// The last error.
    pub last_error: Option<String>,
    /// The run that gave its gather up.
    pub failed_run: Option<String>,
    /// What a person should know, and how often.
    pub warnings: Vec<(String, u64)>,
    /// Quarantined records in force.
    pub quarantined: i64,
}

/// All sources in force, in order.
pub fn sources(txn: &mut Transaction<'_>) -> Result<Vec<SourceRow>> {
    let costs = costs(txn)?;
    let sql = "select s.tenant, s.source, s.kind, to_char(s.done_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), s.records,
                 s.covered_from::text, s.covered_to::text, s.gather_generation is not null, s.attempts, s.last_error,
                 s.failed_run, (s.warnings || coalesce((
                   select jsonb_agg(jsonb_build_object('text', w.text, 'count', w.count)) from (
                     select e ->> 'text' as text, sum((e ->> 'count')::bigint)::bigint as count
                     from pipeline_state p, jsonb_array_elements(p.warnings) e
                     where p.tenant = s.tenant and p.source = s.source
                     group by 1 order by 2 desc, 1 limit 20) w), '[]'))::text, (select count(*) from quarantined q
                   where q.tenant = s.tenant and q.source = s.source)
               from source_state s where s.in_force order by s.tenant, s.source";
    let rows = txn.query(sql, &[]).context("cannot list sources")?;
    let one = |row: &Row| -> Result<SourceRow> {
        let key: SourceKey = (row.get(0), row.get(1));
        Ok(SourceRow {
            cost: costs.get(&key).copied(),
            kind: row.get(2),
            gathered_at: row.get(3),
            records: row.get(4),
            covered: row.get::<_, Option<String>>(5).zip(row.get(6)),
            gathering: row.get(7),
            attempts: row.get(8),
            last_error: row.get(9),
            failed_run: row.get(10),
            warnings: warnings(row.get(11))
                .with_context(|| format!("warnings of {}/{} cannot be read", key.0, key.1))?,
            quarantined: row.get(12),
            key,
        })
    };
    rows.iter().map(one).collect()
}

fn warnings(text: &str) -> Result<Vec<(String, u64)>> {
    #[derive(serde::Deserialize)]
    struct Warning {
        text: String,
        count: u64,
    }
    let warnings: Vec<Warning> = serde_json::from_str(text)?;
    Ok(warnings.into_iter().map(|warning| (warning.text, warning.count)).collect())
}

/// The configuration in force of a tenant.
pub fn config_in_force(txn: &mut Transaction<'_>, tenant: &TenantId) -> Result<TenantConfig> {
    let sql = "select config_hash from tenants where tenant = $1";
    let row = txn.query_opt(sql, &[&tenant.as_str()])?;
    let row = row.with_context(|| format!("no configuration of {tenant} is in force"))?;
    super::config_version(txn, tenant, super::unit::hash(row.get(0))?)
}

/// The measure that each source's `cost` names, from the configurations in force.
fn costs(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, Measure>> {
    let sql = "select t.tenant, v.message from tenants t
               join config_versions v on v.tenant = t.tenant and v.hash = t.config_hash";
    let mut costs = BTreeMap::new();
    for row in txn.query(sql, &[]).context("cannot list configurations")? {
        // One that a newer build wrote says nothing to this one; the amounts are there all the same.
        let Ok((_, config)) = proto::envelope::decode::<TenantConfig>(row.get(1)) else { continue };
        let of = |source: &proto::config::SourceConfig| {
            ((row.get(0), source.id.as_str().to_owned()), source.cost())
        };
        costs.extend(config.sources.iter().map(of));
    }
    Ok(costs)
}

/// What the dates of a source wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Number of dates by state.
    pub states: BTreeMap<String, i64>,
    /// First and last visible date.
    pub visible: Option<(String, String)>,
    /// Emissions that are due.
    pub emissions: i64,
}

/// Dates by state, and emissions that are due, of sources in force.
pub fn work(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, Work>> {
    let sql = "select p.tenant, p.source, p.state, count(*), min(p.date) filter (where shown)::text,
                 max(p.date) filter (where shown)::text
               from pipeline_state p join source_state s using (tenant, source),
                 lateral (select p.visible_generation > 0 and (p.visible_rows > 0 or not p.withdrawn) as shown) v
               where s.in_force group by 1, 2, 3";
    let mut all: BTreeMap<SourceKey, Work> = BTreeMap::new();
    for row in txn.query(sql, &[]).context("cannot count dates by state")? {
        let work = all.entry((row.get(0), row.get(1))).or_default();
        work.states.insert(row.get(2), row.get(3));
        if let Some((first, last)) = row.get::<_, Option<String>>(4).zip(row.get(5)) {
            work.visible = Some(match work.visible.take() {
                Some((from, to)) => (from.min(first), to.max(last)),
                None => (first, last),
            });
        }
    }
    let sql = format!(
        "select p.tenant, p.source, count(*)
         from pipeline_state p join source_state s using (tenant, source) join emitters e using (tenant)
         left join emission_records r using (tenant, source, date, emitter)
         where s.in_force and {EMISSION_DUE} group by 1, 2"
    );
    for row in txn.query(&sql, &[]).context("cannot count emissions")? {
        all.entry((row.get(0), row.get(1))).or_default().emissions = row.get(2);
    }
    Ok(all)
}

/// Tasks that are out, by step.
pub fn tasks(txn: &mut Transaction<'_>) -> Result<BTreeMap<String, i64>> {
    let rows = txn
        .query("select step, count(*) from tasks group by 1", &[])
        .context("cannot count tasks")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
