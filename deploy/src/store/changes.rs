//! What became of the totals of dates that were calculated again.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};

use super::SourceKey;

/// A date whose visible rows were replaced, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Tenant and source.
    pub key: SourceKey,
    /// The date.
    pub date: String,
    /// When the new rows became visible.
    pub at: String,
    /// `withdrawn`, or which of `lines`, `usage` and `rules` differ, or else `drivers`.
    pub cause: String,
    /// Currency; `None` where neither generation has lines.
    pub currency: Option<String>,
    /// What the lines added up to before; `None` where that was not recorded.
    pub before: Option<String>,
    /// What they add up to now.
    pub after: Option<String>,
    /// The second less the first.
    pub difference: Option<String>,
}

/// The newest `limit` changes, the newest first.
pub fn changes(txn: &mut Transaction<'_>, limit: i64) -> Result<Vec<Change>> {
    // A database that an earlier build made has none yet.
    let sql = "select to_regclass('apportion.changes') is not null";
    if !txn.query_one(sql, &[])?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "select tenant, source, date::text,
                 to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), cause, currency,
                 trim_scale(amount_before)::text, trim_scale(amount_after)::text, trim_scale(difference)::text
               from changes order by changed_at desc, tenant, source, date, currency limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list changes")?;
    let change = |row: &Row| Change {
        key: (row.get(0), row.get(1)),
        date: row.get(2),
        at: row.get(3),
        cause: row.get(4),
        currency: row.get(5),
        before: row.get(6),
        after: row.get(7),
        difference: row.get(8),
    };
    Ok(rows.iter().map(change).collect())
}
