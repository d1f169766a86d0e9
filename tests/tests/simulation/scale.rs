//! However many dates there are, the coordinator reads those that something is to be done with.
//!
//! Dates are made in SQL: 30,000 every day, `APPORTION_UNITS=10000000` as many as the issue of a large installation has.
//! Then a leader starts and does what is due, and Postgres explains every statement that it prepared, for parameters that
//! nobody knows: none may read a growing table whole.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use coordinator::apply::{Applied, Read};
use coordinator::leader::Leader;
use coordinator::store::{Outgoing, StateStore};
use proto::config::{Sla, TenantConfig};
use proto::ids::TenantId;

use crate::ground::{Cluster, Ground};
use crate::worker::{self, Job, Luck};
use crate::world::World;

/// Dates of the everyday suite.
const UNITS_EVERYDAY: u64 = 30_000;
/// Who share them: what is gathered and compared goes by tenant. (Of few dates here it is known what lies outside: else it
/// would be most of them that are compared.)
const TENANTS: u64 = 30;
/// Sweeps, each with the reports of what the one before sent.
const EXCHANGES: u64 = 4;
/// Emissions that are carried out.
const EMITTED_MAX: usize = 4;
/// Dates that are due.
const DUE: i64 = 40;
/// Tables with rows for every date, run, file or record.
const GROWING: [&str; 10] = [
    "pipeline_state",
    "emission_records",
    "emitted_files",
    "commits",
    "run_units",
    "run_steps",
    "pipeline_runs",
    "quarantined",
    "config_versions",
    "sla_breaches",
];
/// What every tenant has: dates that are visible and emitted, and the runs that brought them.
const MANY: &str = "
insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items, lines_manifest, received,
  config_hash, rules_hash, state, wanted_generation, visible_generation, visible_lines_generation, visible_lines_hash,
  visible_rows, visible_rules, visible_config, visible_at, emitted_generation)
select t.tenant, s.source, date '2018-03-01' + n, 1, l.hash, 1, $1, $2, t.config_hash, t.config_hash, 'visible', 1, 1, 1,
  l.hash, 1, t.config_hash, t.config_hash, now(), 1
from tenants t join source_state s using (tenant) cross join generate_series(0, $4::int - 1) n
  cross join (select $3::bytea as hash) l;
insert into emission_records (tenant, source, date, emitter, generation, emitter_hash, target, rows, bytes, hash, wanted_hash)
select p.tenant, p.source, p.date, e.emitter, 1, e.hash, e.emitter || '/' || p.source || '/' || p.tenant || '_' ||
  to_char(p.date, case when e.monthly then 'YYYY-MM' else 'YYYY-MM-DD' end), 1, 1,
  case when p.date - date '2018-03-01' < 10 then p.lines_hash end, e.hash
from pipeline_state p join emitters e using (tenant);
insert into emitted_files (tenant, source, date, target, emitter, dir, bytes, hash, doubtful)
select tenant, source, date, target, emitter, emitter, 1, emitter_hash, false from emission_records;
insert into commits (tenant, source, date, generation, lines_generation, lines_hash, lines, rows_hash, rows, rules, config,
  previous, currencies, amounts)
select tenant, source, date, 1, 1, lines_hash, 1, lines_hash, 1, rules_hash, config_hash, 0, '{}', '{}' from pipeline_state;
insert into pipeline_runs (run_id, trigger, kind, tenant, source, started_at, ended_at, status, units, gathered_at)
select tenant || to_char(date, '-YYYYMMDD'), 'schedule', 'gather', tenant, source, date, date, 'done', 1, date
from pipeline_state;
insert into run_steps (run_id, step, started_at, ended_at) select run_id, 'gather', started_at, ended_at from pipeline_runs
where kind = 'gather';
insert into run_units (run_id, tenant, source, date, before_generation, generation, visible_at, settled_at)
select tenant || to_char(date, '-YYYYMMDD'), tenant, source, date, 0, 1, date, date from pipeline_state;
insert into quarantined (tenant, source, generation, file, line, reason, text)
select tenant, source, 1, 'bill.csv', row_number() over (), 'unreadable', '' from pipeline_state;
insert into sla_breaches (tenant, source, date, due_at, recorded_at, visible_at)
select tenant, source, date, date, date, date + 1 from pipeline_state;
update source_state set settled_run = 'run', done_at = now(), done_generation = 1,
  sla_date = date '2017-01-01', sla_due_at = now();
select setval('generation_seq', 1000)";

/// Indexes that hold what something is to be done with, and nothing else.
const SMALL: [&str; 12] = [
    "pipeline_state_unsettled",
    "pipeline_state_task",
    "pipeline_state_unemitted",
    "pipeline_state_resolve_again",
    "pipeline_state_missing",
    "emission_records_task",
    "emission_records_compare",
    "emitted_files_task",
    "emitted_files_doubtful",
    "run_units_open",
    "run_units_of_open_run",
    "pipeline_runs_open",
];

#[test]
fn no_statement_of_the_coordinator_reads_a_growing_table_whole() {
    let units = std::env::var("APPORTION_UNITS").ok();
    let units = units.map_or(UNITS_EVERYDAY, |text| text.parse().expect("a number of units"));
    let cluster = Cluster::start().expect("Postgres starts");
    let database = cluster.database(0).expect("a database");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let explained = runtime.block_on(look(&cluster, &database, units)).expect("it works");
    let broken: Vec<String> = explained
        .iter()
        .filter_map(|(text, plan)| Some(format!("{}\n{text}\n{}", whole(plan)?, plan.join("\n"))))
        .collect();
    println!("{} statements are explained", explained.len());
    assert!(explained.len() > 50, "{} statements are explained", explained.len());
    assert!(broken.is_empty(), "statements that read too much:\n{}", broken.join("\n\n"));
}

/// The first line of a plan that reads a growing table whole, or an index of it.
fn whole(plan: &[String]) -> Option<&String> {
    let mut lines = plan.iter().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|other| *other == word)?;
            words.get(at + 1).copied()
        };
        let grows = after("on").is_some_and(|table| GROWING.contains(&table));
        if grows && line.contains("Seq Scan") {
            return Some(line);
        }
        let of_table = grows.then(|| after("using")).flatten();
        let index = of_table.or(after("on").filter(|_| line.contains("Bitmap Index Scan")));
        let Some(index) = index.filter(|_| line.contains("Scan")) else { continue };
        let grows = GROWING.iter().any(|table| index.starts_with(table));
        let bounded = lines.peek().is_some_and(|next| next.contains("Index Cond:"));
        if grows && !bounded && !SMALL.contains(&index) {
            return Some(line);
        }
    }
    None
}

/// The statements of a coordinator, each with Postgres' plan.
async fn look(cluster: &Cluster, database: &str, units: u64) -> Result<Vec<(String, Vec<String>)>> {
    let first = cluster.configs.first().and_then(|configs| configs.first());
    let first = first.context("a configuration")?;
    let configs = (1..=TENANTS).map(|number| {
        let tenant = TenantId::parse(&format!("tenant-{number}"))?;
        let mut config = TenantConfig { tenant, ..first.clone() };
        let sla = Sla { visible_by: 0, time_zone: "UTC".to_owned(), after_days: 1 };
        config.sources.iter_mut().for_each(|source| source.timing.sla = Some(sla.clone()));
        Ok(config)
    });
    let configs = configs.collect::<Result<Vec<_>>>()?;
    // One connection: it knows all statements.
    let mut ground = Ground::open(database, 1).await?;
    let started = Instant::now();
    let state = ground.lead("one").await?;
    state.run_start("run", "schedule").await?;
    leader(cluster, &state).configs_apply(configs.clone(), None).await?;
    make(&ground, units).await?;
    println!("{units} units were made in {:.0} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    work(cluster, &mut ground, &configs).await?;
    println!("everything due was done in {:.1} s", started.elapsed().as_secs_f64());
    let client = ground.store.client().await?;
    let sql = "select name, statement, coalesce(array_length(parameter_types, 1), 0) from pg_prepared_statements
               where statement ~* '^\\s*(select|insert|update|delete|with)' order by statement";
    let mut explained = Vec::new();
    for row in client.query(sql, &[]).await? {
        let (name, text, parameters): (String, String, i32) = (row.get(0), row.get(1), row.get(2));
        let nulls = vec!["null"; usize::try_from(parameters)?].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let plan = client.query(&format!("explain execute \"{name}\" {nulls}"), &[]).await;
        let plan = plan.with_context(|| format!("explain {text}"))?;
        explained.push((text, plan.iter().map(|row| row.get(0)).collect()));
    }
    Ok(explained)
}

fn leader(cluster: &Cluster, state: &StateStore) -> Leader {
    let every = Some(std::time::Duration::from_secs(15 * 60));
    Leader::new(state.clone(), cluster.folder(), "run".to_owned(), every, 35)
}

async fn make(ground: &Ground, units: u64) -> Result<()> {
    let mut empty = proto::manifest::ManifestBuilder::default();
    empty.add_item(proto::hash::Hash128::of(b"lines"));
    let lines = empty.finish(proto::ids::Generation(1), proto::ids::Attempt(1));
    let hex = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("'\\x{digits}'::bytea")
    };
    let packed = |value: &proto::manifest::Manifest| rmp_serde::to_vec_named(value);
    let received = rmp_serde::to_vec_named(&proto::manifest::Totals::default())?;
    let dates = units.div_ceil(TENANTS).to_string();
    let values = [hex(&packed(&lines)?), hex(&received), hex(&lines.hash.0), dates];
    // Ten million take a while.
    let mut sql = format!("set statement_timeout = 0; {MANY}");
    for (number, value) in values.iter().enumerate() {
        sql = sql.replace(&format!("${}", number + 1), value);
    }
    ground.own.batch_execute(&sql).await?;
    let due = format!(
        "update pipeline_state set state = 'gathered' where ctid = any(array(select ctid from pipeline_state limit {DUE}));
         vacuum analyze"
    );
    for statement in due.split(';') {
        ground.own.batch_execute(statement).await?;
    }
    Ok(())
}

/// A coordinator starts over the many dates and does what is due.
async fn work(cluster: &Cluster, ground: &mut Ground, configs: &[TenantConfig]) -> Result<()> {
    let state = ground.lead("other").await?;
    state.run_start("run", "schedule").await?;
    let mut leader = leader(cluster, &state);
    leader.configs_apply(configs.to_vec(), None).await?;
    let known = worker::configs(configs)?;
    let mut emitted = 0;
    let mut world = World::new(configs.first().context("a tenant")?.tenant.clone());
    queue(&mut world, leader.tasks_unanswered(0).await?)?;
    for exchange in 1..=EXCHANGES {
        for subject in world.queue.keys().cloned().collect::<Vec<_>>() {
            world.queue.retain(|queued, _| *queued >= subject);
            // A few of each emitter tell as much as hundreds.
            let emits = subject.contains(".emit-");
            emitted += usize::from(emits);
            if emits && emitted > EMITTED_MAX {
                continue;
            }
            let job = Job::take(&world, &ground.own, &subject, exchange).await?;
            let done = job.end(&mut world, &mut ground.own, &known, Luck::Good).await?;
            world.reports.extend(done);
        }
        world.queue.clear();
        let reports = std::mem::take(&mut world.reports).into_iter().map(Ok).collect();
        let (outcomes, after) = leader.apply(reports, Read::default()).await?;
        ensure!(outcomes.iter().all(|of| *of == Applied::Done), "{outcomes:?}");
        leader.months_ensure(&after).await?;
        queue(&mut world, after.tasks)?;
        let swept = leader.sweep().await?;
        queue(&mut world, swept.tasks)?;
    }
    let flips = i64::try_from(world.counts.flips)?;
    ensure!(flips == DUE, "{flips} units of {DUE} became visible");
    let now = state.run_unsettled("run").await?;
    ensure!((now.sources, now.units, now.failed) == (0, 0, 0), "{now:?}");
    state.observed_units().await?;
    state.observed_tasks().await?;
    state.observed_gathers().await?;
    state.observed_failing().await?;
    state.observed_breaches().await?;
    state.lead_renew().await?;
    Ok(())
}

fn queue(world: &mut World, tasks: Vec<Outgoing>) -> Result<()> {
    tasks.iter().try_for_each(|task| world.queue(&task.subject, &task.message))
}
