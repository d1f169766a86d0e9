//! When sources are gathered next, and which dates were not visible in time.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postgres::{Row, Transaction};

use super::{Given, SourceKey};

/// When a source is gathered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// The schedule that it names.
    pub schedule: Option<String>,
    /// When it is gathered next, or tried again.
    pub next: Option<String>,
    /// Since when no gather ended well.
    pub failing_since: Option<String>,
}

/// A date that was not visible in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Tenant and source.
    pub key: SourceKey,
    /// The date.
    pub date: String,
    /// When it was to be visible.
    pub due: String,
    /// When it became so.
    pub visible: Option<String>,
    /// How many seconds later that was.
    pub late_seconds: Option<i64>,
}

/// A database that an earlier build made knows of neither.
fn is_there(txn: &mut Transaction<'_>) -> Result<bool> {
    let sql = "select to_regclass('apportion.sla_breaches') is not null";
    Ok(txn.query_one(sql, &[])?.get(0))
}

/// When the sources in force are gathered.
pub fn times(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, Times>> {
    if !is_there(txn)? {
        return Ok(BTreeMap::new());
    }
    let sql = "select tenant, source, schedule,
                 to_char(greatest(case when settled_run is not null then next_gather_at end, next_attempt_at)
                   at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                 to_char(failing_since at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
               from source_state where in_force";
    let rows = txn.query(sql, &[]).context("cannot look at schedules")?;
    let times = |row: &Row| {
        let (schedule, next, failing_since) = (row.get(2), row.get(3), row.get(4));
        ((row.get(0), row.get(1)), Times { schedule, next, failing_since })
    };
    Ok(rows.iter().map(times).collect())
}

/// Up to `limit` dates that were to be visible in the last seven days and were not, those that still are not and the
/// newest first.
pub fn breaches(txn: &mut Transaction<'_>, limit: i64) -> Result<Given<Breach>> {
    if !is_there(txn)? {
        return Ok(Given { first: Vec::new(), all: 0 });
    }
    let sql = "select b.tenant, b.source, b.date::text,
                 to_char(b.due_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                 to_char(b.visible_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                 extract(epoch from b.late)::int8, count(*) over ()
               from sla_breaches b join source_state s using (tenant, source)
               where b.recorded_at > now() - interval '7 days' and s.in_force
               order by b.visible_at is not null, b.date desc, b.tenant, b.source limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list dates that came late")?;
    let breach = |row: &Row| Breach {
        key: (row.get(0), row.get(1)),
        date: row.get(2),
        due: row.get(3),
        visible: row.get(4),
        late_seconds: row.get(5),
    };
    let all = rows.first().map_or(0, |row| row.get(6));
    Ok(Given { first: rows.iter().map(breach).collect(), all })
}
