//! What does not go on by itself.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};

use super::{EMISSION_DUE, SourceKey};

/// A list of which only the first few were fetched.
#[derive(Debug, Clone)]
pub struct Given<T> {
    /// The first of them.
    pub first: Vec<T>,
    /// How many there are.
    pub all: i64,
}

/// A date that is not visible as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Tenant and source.
    pub key: SourceKey,
    /// The date.
    pub date: String,
    /// Its state, or `held`.
    pub state: String,
    /// Failed attempts.
    pub attempts: i32,
    /// The last error.
    pub error: Option<String>,
}

/// A visible date that an emitter has not carried outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Tenant and source.
    pub key: SourceKey,
    /// The date.
    pub date: String,
    /// The emitter.
    pub emitter: String,
    /// The last error.
    pub error: Option<String>,
}

/// A record that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Tenant and source.
    pub key: SourceKey,
    /// File, and line in it.
    pub place: (String, i64),
    /// The column at fault.
    pub column: Option<String>,
    /// What is wrong and how to mend it.
    pub reason: String,
    /// The cell or record.
    pub text: String,
}

fn given<T>(rows: &[Row], all: usize, one: impl Fn(&Row) -> T) -> Given<T> {
    Given { first: rows.iter().map(one).collect(), all: rows.first().map_or(0, |row| row.get(all)) }
}

/// Up to `limit` dates that are not visible as they should be; with `failed`, only those with an error, a wait or a
/// quarantine.
pub fn stuck(txn: &mut Transaction<'_>, limit: i64, failed: bool) -> Result<Given<Stuck>> {
    let sql = "select p.tenant, p.source, p.date::text, case when h.records > 0 then 'held' else p.state end, p.attempts,
                 case when h.records > 0 then 'on_bad_line: hold, and ' || h.records || ' of its records quarantined'
                      else p.last_error end,
                 count(*) over ()
               from pipeline_state p join source_state s using (tenant, source) join tenants t using (tenant)
               cross join lateral (select count(*) as records from quarantined q where t.hold_bad_lines
                 and p.state = 'gathered' and q.tenant = p.tenant and q.source = p.source and q.date = p.date) h
               where s.in_force and p.state <> 'visible'
                 and (not $2 or p.state in ('waiting', 'quarantined') or p.attempts > 0 or h.records > 0)
               order by p.state <> 'quarantined', p.tenant, p.source, p.date limit $1";
    let rows = txn.query(sql, &[&limit, &failed]).context("cannot list dates that wait")?;
    Ok(given(&rows, 6, |row| Stuck {
        key: (row.get(0), row.get(1)),
        date: row.get(2),
        state: row.get(3),
        attempts: row.get(4),
        error: row.get(5),
    }))
}

/// Up to `limit` emissions that are due; with `failed`, only those that failed before.
pub fn emissions(txn: &mut Transaction<'_>, limit: i64, failed: bool) -> Result<Given<Emission>> {
    let sql = format!(
        "select p.tenant, p.source, p.date::text, e.emitter, r.last_error, count(*) over ()
         from pipeline_state p join source_state s using (tenant, source) join emitters e using (tenant)
         left join emission_records r using (tenant, source, date, emitter)
         where s.in_force and {EMISSION_DUE} and (not $2 or r.attempts > 0)
         order by p.tenant, p.source, e.emitter, p.date limit $1"
    );
    let rows = txn.query(&sql, &[&limit, &failed]).context("cannot list emissions")?;
    Ok(given(&rows, 5, |row| Emission {
        key: (row.get(0), row.get(1)),
        date: row.get(2),
        emitter: row.get(3),
        error: row.get(4),
    }))
}

/// A file that no emitter writes any more and that is not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Tenant and source.
    pub key: SourceKey,
    /// Where it lies.
    pub target: String,
    /// The emitter that wrote it.
    pub emitter: String,
    /// Why it was kept, or could not be removed.
    pub why: String,
}

/// Up to `limit` files that no emitter writes any more and that were kept or cannot be removed.
pub fn left(txn: &mut Transaction<'_>, limit: i64) -> Result<Given<Left>> {
    // A database that an earlier build made has no such files yet.
    let sql = "select to_regclass('apportion.stale_files') is not null";
    if !txn.query_one(sql, &[])?.get::<_, bool>(0) {
        return Ok(Given { first: Vec::new(), all: 0 });
    }
    let sql = "select f.tenant, f.source, f.target, f.emitter, why.text, count(*) over ()
               from stale_files f
               cross join lateral (select case when f.only_here > 0 then 'it holds dates that no other file holds: '
                   || f.only_here || ' of them, out of the lookback' else coalesce(f.kept, f.last_error) end as text) why
               where why.text is not null
               order by f.tenant, f.source, f.target limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list stale files")?;
    Ok(given(&rows, 5, |row| Left {
        key: (row.get(0), row.get(1)),
        target: row.get(2),
        emitter: row.get(3),
        why: row.get(4),
    }))
}

/// A visible date whose stored facts are not what they were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Tenant and source.
    pub key: SourceKey,
    /// The date.
    pub date: String,
    /// What differs.
    pub what: String,
    /// As it was made.
    pub expected: String,
    /// As it is stored.
    pub found: String,
    /// Since when it is known.
    pub since: String,
}

/// Up to `limit` differences that the reconciler found, one per date, the oldest dates first; all are counted by date.
pub fn findings(txn: &mut Transaction<'_>, limit: i64) -> Result<Given<Finding>> {
    // A database that an earlier build made has none yet.
    let sql = "select to_regclass('apportion.findings') is not null";
    if !txn.query_one(sql, &[])?.get::<_, bool>(0) {
        return Ok(Given { first: Vec::new(), all: 0 });
    }
    let sql = "select tenant, source, date::text, what, expected, found,
                 to_char(found_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), count(*) over ()
               from (select distinct on (tenant, source, date) * from findings order by tenant, source, date, what) f
               order by tenant, source, date limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list findings")?;
    Ok(given(&rows, 7, |row| Finding {
        key: (row.get(0), row.get(1)),
        date: row.get(2),
        what: row.get(3),
        expected: row.get(4),
        found: row.get(5),
        since: row.get(6),
    }))
}

/// Up to `limit` quarantined records in force, in the order of files and lines.
pub fn quarantined(txn: &mut Transaction<'_>, limit: i64) -> Result<Given<Quarantined>> {
    let sql = "select q.tenant, q.source, q.file, q.line, q.column_name, q.reason, q.text, count(*) over ()
               from quarantined q join source_state s using (tenant, source) where s.in_force
               order by q.tenant, q.source, q.file collate \"C\", q.line limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list quarantined records")?;
    Ok(given(&rows, 7, |row| Quarantined {
        key: (row.get(0), row.get(1)),
        place: (row.get(2), row.get(3)),
        column: row.get(4),
        reason: row.get(5),
        text: row.get(6),
    }))
}
