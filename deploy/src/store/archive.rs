//! What visible rows were made from: lines and resolutions as the ledger archived them, and the configuration.

use anyhow::{Context, Result, ensure};
use postgres::Transaction;
use proto::config::TenantConfig;
use proto::envelope::{self, Body, MESSAGE_BYTES_MAX};
use proto::hash::Hash128;
use proto::ids::TenantId;
use proto::line::{LineBatch, LineId, Lines};
use proto::resolution::{IdentityResolution, ResolutionBatch};

use super::unit::VisibleUnit;

/// Archived messages that are read at a time.
const PIECE: i32 = 8;

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

/// Lines whose ids start alike.
#[derive(Debug, Default)]
pub struct LinesLike {
    /// Their ids; identical lines have one each.
    pub ids: Vec<LineId>,
    /// The batch that holds the first, and its place there.
    pub first: Option<(Lines, usize)>,
}

/// The archived lines of a visible unit whose ids start with these hex digits; at most `most` are told.
///
/// # Errors
/// When the archive is damaged.
pub fn lines_like(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    start: &str,
    most: usize,
) -> Result<LinesLike> {
    let mut found = LinesLike::default();
    each::<LineBatch>(txn, unit, "line", unit.lines_generation, &mut |batch| {
        let starts = |(_, id): &(usize, LineId)| id.to_string().starts_with(start);
        for (at, id) in batch.ids().enumerate().filter(starts) {
            if found.first.is_none() {
                found.first = Some((batch.clone().open()?, at));
            }
            if found.ids.len() < most {
                found.ids.push(id);
            }
        }
        Ok(())
    })?;
    Ok(found)
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
