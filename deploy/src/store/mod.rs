//! What the commands read in Postgres: all of their SQL. Only `plan`, `guard`, `runs` and `restored` write: what was found
//! out, what persons decided or ask for, and what a restored database is told.

mod archive;
mod bench;
mod changes;
mod driver;
mod explain;
mod guard;
mod near;
mod plan;
mod progress;
mod replay;
mod restored;
mod retention;
mod runs;
mod sources;
mod timing;
mod totals;
mod trouble;
mod unit;
mod why;

pub use archive::{LinesLike, archived_lines, archived_resolutions, config_version, lines_like};
pub use bench::{Sizes, Timings, is_in_use, sizes, timings, wall};
pub use changes::{Change, changes};
pub use driver::{UnsettledDriver, UsedWeights, provisional, unsettled_drivers, used_weights};
pub use explain::{
    EmittedTo, FoundLine, Of, StoredRow, commit_of, emitted_to, lines_of, stored_rows,
};
pub use guard::{MissingItem, Population, decide, missing, populations};
pub use near::{dates_of, dates_of_line, names_of};
pub use plan::{PlanRow, PlannedUnit, PlannedVisible, planned, plans_like, save_plan};
pub use progress::{Progress, progress};
pub use replay::{Replayed, pinned, replayed};
pub use restored::{begin_another_life, drop_empty_schema, is_empty, server_major};
pub use retention::{Kept, kept, removed_on};
pub use runs::{Asked, Run, RunStep, RunUnit, WholeRun, ask, run_whole, runs, sources_of};
pub use sources::{
    Leader, RunRow, SourceRow, Work, config_in_force, leader, run, sources, tasks, work,
};
pub use timing::{Breach, Times, breaches, times};
pub use totals::{
    SourceKey, Stored, UnitCount, allocated, counts, lines, quarantined_amounts, received,
};
pub use trouble::{
    Emission, Finding, Given, Left, Quarantined, Stuck, emissions, findings, left, quarantined,
    stuck,
};
pub use unit::{Range, RowKey, VisibleUnit, unit_sums, visible_units};
pub use why::{Payer, Restated, Revised, owners_of, pieces, removed, restated, tenants_of};

use std::time::Duration;

use anyhow::{Context, Result};
use postgres::{Client, IsolationLevel, NoTls, Transaction};

/// How long a server may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Visible dates in the range that each source in force speaks for. `fresh`: made from the lines in force.
const VISIBLE: &str = "visible as (
  select p.tenant, p.source, p.date, p.visible_generation, p.visible_lines_generation, p.received, p.withdrawn,
    coalesce(p.visible_rows, 0) as visible_rows, p.lines_hash is not distinct from p.visible_lines_hash as fresh
  from pipeline_state p join source_state s using (tenant, source)
  where s.in_force and p.visible_generation > 0
    and p.date between coalesce(s.covered_from, p.date) and coalesce(s.covered_to, p.date))";

/// Of `pipeline_state p`, `emitters e` and `emission_records r`: what is visible does not lie outside yet, or is
/// to be compared with what does.
const EMISSION_DUE: &str = "p.visible_generation > 0 and in_lookback(p.date, e.lookback_days, e.monthly)
  and (coalesce(r.generation, 0) < p.visible_generation or r.emitter_hash is distinct from e.hash or r.compare)";

/// Connects to a database of ours. Must not be called on a runtime's thread.
pub fn connect(url: &str) -> Result<Client> {
    let mut config: postgres::Config = url.parse().context("DATABASE_URL is no Postgres URL")?;
    let mut client = config
        .connect_timeout(CONNECT_LIMIT)
        .application_name("apportion")
        .connect(NoTls)
        .context("no database answers: is it running, and is DATABASE_URL right?")?;
    // Without statistics, which fresh tables lack, the planner would read months where ranges of blocks say which few are
    // needed.
    client.batch_execute(
        "set search_path = apportion; set timezone = 'UTC'; set jit = off; set enable_seqscan = off",
    )?;
    Ok(client)
}

/// One view of everything: what is read in it belongs together.
pub fn view(client: &mut Client) -> Result<Transaction<'_>> {
    let level = IsolationLevel::RepeatableRead;
    client
        .build_transaction()
        .isolation_level(level)
        .read_only(true)
        .start()
        .context("the database takes no transaction")
}

/// Are our tables there?
pub fn is_migrated(txn: &mut Transaction<'_>) -> Result<bool> {
    let sql = "select to_regclass('apportion.commits') is not null";
    Ok(txn.query_one(sql, &[])?.get(0))
}

/// Version of the newest migration that ran there; 0 without our tables.
pub fn schema_version(txn: &mut Transaction<'_>) -> Result<i32> {
    if !is_migrated(txn)? {
        return Ok(0);
    }
    let sql = "select coalesce(max(version), 0)::int4 from refinery_schema_history";
    Ok(txn.query_one(sql, &[])?.get(0))
}
