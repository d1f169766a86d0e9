//! What visible rows were made from: lines and resolutions as the ledger archived them, and the configuration.

use anyhow::{Context, Result, ensure};
use postgres::{Row, Transaction};
use proto::config::TenantConfig;
use proto::envelope::{self, Body, MESSAGE_BYTES_MAX};
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::{LineBatch, Lines};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::time::UnitDate;

/// Archived messages that are read at a time.
const PIECE: i32 = 8;

/// A visible generation of a unit, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleUnit {
    /// Whose.
    pub tenant: TenantId,
    /// Of which source.
    pub source: SourceId,
    /// Which day.
    pub date: UnitDate,
    /// The visible generation: that of its facts.
    pub generation: i64,
    /// Generation of its lines in `billing` and in the archive.
    pub lines_generation: i64,
    /// Generation of its resolutions in the archive, if it has any.
    pub resolution_generation: Option<i64>,
    /// Its lines.
    pub lines: i64,
    /// Its rows.
    pub rows: i64,
    /// Hash of its rows.
    pub rows_hash: Hash128,
    /// Hash of the configuration that made it.
    pub config: Hash128,
}

/// The visible units of a tenant with their sources in force, by source and date. `None`: of every source, from the
/// first date, to the last one.
pub fn visible_units(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
    (from, to): (Option<UnitDate>, Option<UnitDate>),
) -> Result<Vec<VisibleUnit>> {
    let sql = "
        select c.source, c.date::text, c.generation, c.lines_generation, c.resolution_generation, c.lines, c.rows,
          c.rows_hash, c.config
        from pipeline_state p
        join source_state s using (tenant, source)
        join commits c on c.tenant = p.tenant and c.source = p.source and c.date = p.date
          and c.generation = p.visible_generation
        where p.tenant = $1 and p.source = coalesce($2, p.source) and s.in_force
          and p.date between coalesce(s.covered_from, p.date) and coalesce(s.covered_to, p.date)
          and p.date >= coalesce($3::text::date, p.date) and p.date <= coalesce($4::text::date, p.date)
        order by c.source, c.date";
    let day = |date: Option<UnitDate>| date.map(|date| date.to_string());
    let source = source.map(SourceId::as_str);
    let rows = txn.query(sql, &[&tenant.as_str(), &source, &day(from), &day(to)]);
    let one = |row: &Row| -> Result<_> {
        Ok(VisibleUnit {
            tenant: tenant.clone(),
            source: SourceId::parse(row.get(0)).context("a stored source id is none")?,
            date: row.get::<_, &str>(1).parse().context("a stored date is none")?,
            generation: row.get(2),
            lines_generation: row.get(3),
            resolution_generation: row.get(4),
            lines: row.get(5),
            rows: row.get(6),
            rows_hash: hash(row.get(7))?,
            config: hash(row.get(8))?,
        })
    };
    rows.context("cannot list visible dates")?.iter().map(one).collect()
}

fn hash(bytes: &[u8]) -> Result<Hash128> {
    Ok(Hash128(bytes.try_into().context("a stored hash is not 128 bits")?))
}

/// A configuration that was in force once.
pub fn config_version(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    version: Hash128,
) -> Result<TenantConfig> {
    let sql = "select message from config_versions where tenant = $1 and hash = $2";
    let row = txn.query_opt(sql, &[&tenant.as_str(), &version.0.as_slice()])?;
    let row = row.with_context(|| format!("configuration {version} of {tenant} is not stored"))?;
    let (_, config) = envelope::decode::<TenantConfig>(row.get(0))?;
    Ok(config)
}

/// Hands over the lines of a visible unit, batch by batch, in their canonical order.
///
/// # Errors
/// When the archive lacks some of them or is damaged; what `take` answers otherwise.
pub fn archived_lines(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    take: &mut dyn FnMut(Lines) -> Result<()>,
) -> Result<()> {
    let mut found = 0;
    each::<LineBatch>(txn, unit, "line", unit.lines_generation, &mut |batch| {
        let lines = batch.open()?;
        found += lines.len() as i64;
        take(lines)
    })?;
    let VisibleUnit { tenant, source, date, lines, .. } = unit;
    ensure!(
        found == *lines,
        "the archive of {tenant}/{source} {date} holds {found} lines instead of {lines}"
    );
    Ok(())
}

/// Hands over the resolutions of a visible unit, batch by batch.
///
/// # Errors
/// When the archive is damaged; what `take` answers otherwise.
pub fn archived_resolutions(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    take: &mut dyn FnMut(Vec<IdentityResolution>) -> Result<()>,
) -> Result<()> {
    let Some(generation) = unit.resolution_generation else { return Ok(()) };
    each::<ResolutionBatch>(txn, unit, "resolution", generation, &mut |batch| take(batch.open()?))
}

fn each<B: Body>(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    kind: &str,
    generation: i64,
    take: &mut dyn FnMut(B) -> Result<()>,
) -> Result<()> {
    let VisibleUnit { tenant, source, date, .. } = unit;
    let sql = "select payload from line_archive where tenant = $1 and source = $2 and date = $3::text::date
               and kind = $4 and generation = $5 order by batch";
    let key = (tenant.as_str(), source.as_str(), date.to_string());
    let portal = txn.bind(sql, &[&key.0, &key.1, &key.2, &kind, &generation])?;
    loop {
        let rows = txn.query_portal(&portal, PIECE)?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let damaged =
                || format!("an archived {kind} message of {tenant}/{source} {date} is damaged");
            let message = zstd::bulk::decompress(row.get(0), MESSAGE_BYTES_MAX);
            let message = message.with_context(damaged)?;
            take(envelope::decode::<B>(&message).with_context(damaged)?.1)?;
        }
    }
}
