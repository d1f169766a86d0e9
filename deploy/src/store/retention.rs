//! What was removed because it is older than its tenant keeps.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

/// What a tenant keeps, and what of it was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Tenant.
    pub tenant: String,
    /// Dates before it are removed once nothing of them is to be done; `None`: all are kept.
    pub from: Option<String>,
    /// Dates that were removed, of all sources.
    pub removed: i64,
    /// The last of them.
    pub last: Option<String>,
    /// When dates were removed last.
    pub at: Option<String>,
}

/// A database that an earlier build made removed nothing.
fn is_there(txn: &mut Transaction<'_>) -> Result<bool> {
    let sql = "select to_regclass('apportion.removed_dates') is not null";
    Ok(txn.query_one(sql, &[])?.get(0))
}

/// The tenants that keep their dates for a time, or kept them so.
pub fn kept(txn: &mut Transaction<'_>) -> Result<Vec<Kept>> {
    if !is_there(txn)? {
        return Ok(Vec::new());
    }
    let sql = "select t.tenant, t.kept_from::text, count(r.date), max(r.date)::text,
                 to_char(max(r.removed_at) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
               from tenants t left join removed_dates r using (tenant)
               group by 1, 2 having t.kept_from is not null or count(r.date) > 0 order by 1";
    let rows = txn.query(sql, &[]).context("cannot list what is kept")?;
    let kept = |row: &Row| Kept {
        tenant: row.get(0),
        from: row.get(1),
        removed: row.get(2),
        last: row.get(3),
        at: row.get(4),
    };
    Ok(rows.iter().map(kept).collect())
}

/// The day on which a date was removed, of this source or of any.
pub fn removed_on(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
    date: UnitDate,
) -> Result<Option<String>> {
    if !is_there(txn)? {
        return Ok(None);
    }
    let sql = "select (max(removed_at) at time zone 'UTC')::date::text from removed_dates
               where tenant = $1 and ($2::text is null or source = $2) and date = $3::text::date";
    let (source, date) = (source.map(SourceId::as_str), date.to_string());
    let row = txn.query_one(sql, &[&tenant.as_str(), &source, &date]);
    Ok(row.context("cannot look for removed dates")?.get(0))
}
