//! What seeds stand on: one Postgres that nobody minds losing, and a database for each that runs at a time.
//!
//! Time passes there by moving what is stored back; a transaction fails where a trigger says so. The code under test knows
//! of neither.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use apportion::servers::{EmbeddedPostgres, PostgresOptions};
use coordinator::store::StateStore;
use deadpool_postgres::Object;
use proto::config::TenantConfig;
use runtime::store::Store;
use tempfile::TempDir;

/// The tables in which a seed leaves anything behind, and what is to be done with them, as one function: its statements
/// are planned once.
const CLEAN: &str = "
do $do$ declare tables text; begin
  select string_agg(format('delete from apportion.%I;', relname), ' ' order by relname) into tables from pg_class
  where relnamespace = 'apportion'::regnamespace and relkind in ('r', 'p') and not relispartition
    and relname not in ('leader', 'refinery_schema_history');
  execute format($$ create function simulation.clean() returns void language plpgsql as $f$ begin %s
    update apportion.leader set epoch = 0, holder = '', lease_until = 'epoch';
    perform setval('apportion.generation_seq', 1, false), setval('simulation.writes', 1, false);
  end $f$ $$, tables);
end $do$";

/// All that the code under test compares with the clock.
const TIME_PASSES: &str = "
create function simulation.time_passes(t interval) returns void language plpgsql as $$ begin
update leader set lease_until = lease_until - t;
update pipeline_state set next_attempt_at = next_attempt_at - t, dispatched_at = dispatched_at - t,
  due_since = due_since - t, visible_at = visible_at - t, resolved_at = resolved_at - t,
  resolve_again_at = resolve_again_at - t;
update source_state set next_attempt_at = next_attempt_at - t, gather_at = gather_at - t, done_at = done_at - t,
  next_gather_at = next_gather_at - t;
update tasks set sent_at = sent_at - t;
update emission_records set next_attempt_at = next_attempt_at - t, dispatched_at = dispatched_at - t;
update emitted_files set next_attempt_at = next_attempt_at - t, dispatched_at = dispatched_at - t;
end $$";

/// The write at which a transaction fails.
const FAULT_AT: i64 = 1_000_000;
const FAULTS: &str = "
create schema simulation;
create sequence simulation.writes;
create function simulation.fault() returns trigger language plpgsql as $$
begin
  if nextval('simulation.writes') = 1000000 then
    raise exception 'the simulation wants this transaction to fail' using errcode = '40001';
  end if;
  return null;
end $$;
create trigger fault after insert or update or delete on pipeline_state execute function simulation.fault();
create trigger fault after insert or update or delete on source_state execute function simulation.fault();
create trigger fault after insert or update or delete on tasks execute function simulation.fault();
create trigger fault after insert or update or delete on staged_dates execute function simulation.fault();
create trigger fault after insert or update or delete on emission_records execute function simulation.fault();
create trigger fault after insert or update or delete on commits execute function simulation.fault()";

/// The server, and what stands in the configuration folder from time to time.
pub struct Cluster {
    postgres: EmbeddedPostgres,
    folders: TempDir,
    /// By sources (see [`SOURCES`]), then by variant.
    pub configs: Vec<Vec<TenantConfig>>,
}

/// A source that is read, and one whose dates are resolved before they are allocated.
const FILES: &str = "  files: { kind: focus, files: [\"bill.csv\"] }\n";
const SEEDED: &str = "  seeded: { kind: synthetic, dates: 3, resources: 1, products: 1, fanout: 1, identities: 1, start: 2026-05-01 }\n";
/// Which of them a configuration has.
pub const SOURCES: [&[&str]; 3] = [&[FILES], &[SEEDED], &[FILES, SEEDED]];

/// Rules, and how the emitter of dates calls its files. The last variant gives them other names.
const VARIANTS: [(&str, &str); 3] = [
    ("{ a: 50, b: 50 }", "{source}/{date}_{tenant}.csv"),
    ("{ a: 60, b: 40 }", "{source}/{date}_{tenant}.csv"),
    ("{ a: 60, b: 40 }", "{source}/{month}/{date}_{tenant}.csv"),
];

impl Cluster {
    pub fn start() -> Result<Self> {
        let folders = TempDir::new()?;
        let options = PostgresOptions { throwaway: true, ..PostgresOptions::default() };
        let postgres = EmbeddedPostgres::start(&folders.path().join("postgres"), options)?;
        let mut cluster = Self { postgres, folders, configs: Vec::new() };
        for (number, sources) in SOURCES.iter().enumerate() {
            let of = |(variant, (shares, file)): (usize, &(&str, &str))| {
                let folder = cluster.folder().join(format!("{number}-{variant}"));
                std::fs::create_dir_all(folder.join("tenants"))?;
                let text = format!(
                    "currency: USD\nsources:\n{}allocation:\n  - id: all\n    chain: [ {{ fixed: {shares} }} ]\n\
                     emitters:\n  dates: {{ kind: csv, dir: out, file: \"{file}\" }}\n\
                     \x20 months: {{ kind: csv, dir: sums, file: \"{{source}}_{{month}}_{{tenant}}.csv\" }}\n",
                    sources.concat()
                );
                std::fs::write(folder.join("tenants/acme.yaml"), text)?;
                let loaded = coordinator::config::load(&folder, &|_| None)?;
                loaded.tenants.into_values().next().context("a tenant")
            };
            let variants = VARIANTS.iter().enumerate().map(of).collect::<Result<Vec<_>>>()?;
            cluster.configs.push(variants);
        }
        Ok(cluster)
    }

    pub fn folder(&self) -> PathBuf {
        self.folders.path().join("config")
    }

    /// Makes a database. Must not be called on a runtime's thread.
    pub fn database(&self, number: usize) -> Result<String> {
        let name = format!("simulation_{number}");
        let url = self.postgres.ensure_database(&name)?;
        coordinator::migrate::migrate(&url)?;
        let mut client = postgres::Client::connect(&url, postgres::NoTls)?;
        client.batch_execute("set search_path = apportion")?;
        for sql in [FAULTS, CLEAN, TIME_PASSES] {
            client.batch_execute(sql)?;
        }
        client.batch_execute(&format!(
            "alter database {name} set synchronous_commit = off;
             alter database {name} set statement_timeout = '60s';
             alter database {name} set plan_cache_mode = force_generic_plan"
        ))?;
        Ok(url)
    }
}

/// One database and its connections: the leaders', and the simulation's own.
pub struct Ground {
    pub store: Store,
    pub own: Object,
}

impl Ground {
    /// With so many connections for leaders.
    pub async fn open(url: &str, leaders: usize) -> Result<Self> {
        let store = Store::open(url, "simulation", leaders)?;
        let own = Store::open(url, "simulation", 1)?.client().await?;
        Ok(Self { store, own })
    }

    pub async fn clean(&self) -> Result<()> {
        Ok(self.own.batch_execute("select simulation.clean()").await?)
    }

    /// Seeds leave dead rows behind.
    pub async fn vacuum(&self) -> Result<()> {
        Ok(self.own.batch_execute("vacuum").await?)
    }

    pub async fn time_passes(&self, time: Duration) -> Result<()> {
        let sql = format!("select simulation.time_passes(interval '{} seconds')", time.as_secs());
        Ok(self.own.batch_execute(&sql).await?)
    }

    /// The transaction under way then fails at its write of that number, if it has so many.
    pub async fn fail_at(&self, write: i64) -> Result<()> {
        self.writes(FAULT_AT - write).await
    }

    pub async fn fail_no_more(&self) -> Result<()> {
        self.writes(FAULT_AT + 1).await
    }

    async fn writes(&self, value: i64) -> Result<()> {
        let sql = "select setval('simulation.writes', $1)";
        self.own.query_one(&self.own.prepare_cached(sql).await?, &[&value]).await?;
        Ok(())
    }

    /// Takes the lead, whoever has it.
    pub async fn lead(&self, holder: &str) -> Result<StateStore> {
        self.own.batch_execute("update leader set lease_until = 'epoch'").await?;
        let Some(state) = StateStore::lead_take(&self.store, holder).await? else {
            bail!("{holder} does not get a lead whose lease has run out");
        };
        Ok(state)
    }
}
