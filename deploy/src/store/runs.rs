//! Runs: what was done when and for whom, and what persons ask for.

use anyhow::{Context, Result};
use postgres::types::ToSql;
use postgres::{Client, Row, Transaction};
use serde::Serialize;

/// Moments as people and programs read them.
const MOMENT: &str = "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'";

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its id.
    pub run: String,
    /// `session`, `gather`, `replay` or `unpin`.
    pub kind: String,
    /// `schedule`, `manual`, `api` or `replay`.
    pub trigger: String,
    /// `requested`, `running`, `done` or `failed`.
    pub status: String,
    /// Whose; `None`: of all tenants.
    pub tenant: Option<String>,
    /// Of which source; `None`: of all.
    pub source: Option<String>,
    /// First date that was asked for.
    pub from: Option<String>,
    /// Last date that was asked for, inclusive.
    pub to: Option<String>,
    /// Who asked for it.
    pub by: Option<String>,
    /// When it started, or was asked for.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Dates that it made visible.
    pub units: i64,
    /// Dates, sources and emissions that it gave up.
    pub failed: i64,
    /// Hash of the configuration in force when its work was first sent out.
    pub config: Option<String>,
    /// Why it failed, or the last attempt of its gather did.
    pub error: Option<String>,
}

/// How long a step of a run took, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStep {
    /// `gather`, `resolve`, `allocate`, `commit` or `emit`.
    pub step: String,
    /// From its first task to its last report; of a gather that is under way: so far.
    pub milliseconds: i64,
    /// Dates; of `emit`: dates, once per emitter.
    pub units: i64,
    /// Records of `gather`, resolutions of `resolve`, rows of the others.
    pub items: i64,
    /// The processes that did it, in order.
    pub workers: Vec<String>,
}

/// A date of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunUnit {
    /// Of which source.
    pub source: String,
    /// Which day.
    pub date: String,
    /// What was visible before; 0 for nothing.
    pub before: i64,
    /// What became visible.
    pub generation: Option<i64>,
    /// Whether nothing is waited for any more: it is visible and emitted, or given up.
    pub settled: bool,
    /// Whether the ledger's archive served it, because the stream holds its batches no more.
    pub restored: bool,
    /// Why it was given up.
    pub error: Option<String>,
}

/// A run with its steps and its dates.
pub type WholeRun = (Run, Vec<RunStep>, Vec<RunUnit>);

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Name of the new run.
    pub run: &'a str,
    /// `gather`, `replay` or `unpin`.
    pub kind: &'a str,
    /// Whose.
    pub tenant: &'a str,
    /// Of which source; `None`: of all.
    pub source: Option<&'a str>,
    /// First and last date.
    pub range: (String, String),
    /// Of a replay: `current` or `as-of`.
    pub rules: Option<&'a str>,
    /// Of a replay as-of: the moment.
    pub rules_at: Option<&'a str>,
    /// Who asks.
    pub by: &'a str,
}

fn run_of(row: &Row) -> Run {
    Run {
        run: row.get(0),
        kind: row.get(1),
        trigger: row.get(2),
        status: row.get(3),
        tenant: row.get(4),
        source: row.get(5),
        from: row.get(6),
        to: row.get(7),
        by: row.get(8),
        started_at: row.get(9),
        ended_at: row.get(10),
        units: row.get(11),
        failed: row.get(12),
        config: row.get(13),
        error: row.get(14),
    }
}

fn columns() -> String {
    format!(
        "run_id, kind, trigger, status, tenant, source, from_date::text, to_date::text, started_by,
         to_char(started_at, {MOMENT}), to_char(ended_at, {MOMENT}), units, failed, encode(config_hash, 'hex'), error"
    )
}

/// The newest runs, at most so many; of one tenant alone where one is named.
pub fn runs(txn: &mut Transaction<'_>, tenant: Option<&str>, limit: i64) -> Result<Vec<Run>> {
    let sql = format!(
        "select {} from pipeline_runs where $1::text is null or tenant = $1
         order by started_at desc, run_id limit $2",
        columns()
    );
    let rows = txn.query(&sql, &[&tenant, &limit]).context("cannot list runs")?;
    Ok(rows.iter().map(run_of).collect())
}

/// A run with its steps, in the order in which they started, and its dates; `None`: there is none with that id.
pub fn run_whole(txn: &mut Transaction<'_>, id: &str) -> Result<Option<WholeRun>> {
    let sql = format!("select {} from pipeline_runs where run_id = $1", columns());
    let Some(row) = txn.query_opt(&sql, &[&id]).context("cannot look at the run")? else {
        return Ok(None);
    };
    let sql = "select step, (extract(epoch from coalesce(ended_at, now()) - started_at) * 1000)::bigint, units, items, workers
               from run_steps where run_id = $1 order by started_at, step";
    let steps = txn.query(sql, &[&id]).context("cannot list the run's steps")?;
    let step = |row: &Row| RunStep {
        step: row.get(0),
        milliseconds: row.get(1),
        units: row.get(2),
        items: row.get(3),
        workers: row.get(4),
    };
    let sql =
        "select source, date::text, before_generation, generation, settled_at is not null, restored, error
               from run_units where run_id = $1 order by source, date";
    let units = txn.query(sql, &[&id]).context("cannot list the run's dates")?;
    let unit = |row: &Row| RunUnit {
        source: row.get(0),
        date: row.get(1),
        before: row.get(2),
        generation: row.get(3),
        settled: row.get(4),
        restored: row.get(5),
        error: row.get(6),
    };
    let (steps, units) = (steps.iter().map(step).collect(), units.iter().map(unit).collect());
    Ok(Some((run_of(&row), steps, units)))
}

/// Sources in force of a tenant, in order.
pub fn sources_of(txn: &mut Transaction<'_>, tenant: &str) -> Result<Vec<String>> {
    let sql = "select source from source_state where tenant = $1 and in_force order by source";
    let rows = txn.query(sql, &[&tenant]).context("cannot list sources")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Writes down what a person wants; the coordinator takes it up.
pub fn ask(client: &mut Client, asked: &Asked<'_>) -> Result<()> {
    let sql = "insert into pipeline_runs (run_id, trigger, kind, status, tenant, source, from_date, to_date, started_by,
                 rules, rules_at)
               values ($1, case when $2 = 'replay' then 'replay' else 'manual' end, $2, 'requested', $3, $4,
                 $5::text::date, $6::text::date, $7, $8, $9::text::timestamptz)";
    let Asked { run, kind, tenant, source, range: (from, to), rules, rules_at, by } = asked;
    let values: [&(dyn ToSql + Sync); 9] =
        [run, kind, tenant, source, from, to, by, rules, rules_at];
    client.execute(sql, &values).context("cannot write the request down")?;
    Ok(())
}
