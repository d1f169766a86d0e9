//! The only place where the binary meets the roles' crates.

use std::path::Path;

use ::coordinator::config::Settings;
use anyhow::{Result, bail};
use runtime::process::run;
use runtime::settings::Given;

use crate::cli::{Coordinator, Migrate, Worker};
use crate::summary::{Request, Summary, Told, summarise as summarise_run};

/// Runs the coordinator until it is done or asked to stop.
#[must_use]
pub fn coordinator(args: Coordinator) -> u8 {
    let options = ::coordinator::Options {
        folder: args.config,
        run: args.run.unwrap_or_else(new_run),
        once: args.once,
        holder: args.holder.unwrap_or_else(new_run),
    };
    run("coordinator", Given { partitions: None, metrics: args.metrics }, |process| {
        ::coordinator::live(process, options)
    })
}

/// Runs a gatherer until asked to stop.
#[must_use]
pub fn gatherer(args: Worker) -> u8 {
    run("gatherer", given(args), ::gatherer::live)
}

/// Runs an allocator until asked to stop.
#[must_use]
pub fn allocator(args: Worker) -> u8 {
    run("allocator", given(args), ::allocator::live)
}

/// Runs an emitter until asked to stop.
#[must_use]
pub fn emitter(args: Worker) -> u8 {
    run("emitter", given(args), ::emitter::live)
}

fn given(args: Worker) -> Given {
    Given { partitions: args.partitions, metrics: args.metrics }
}

/// A name that no other run has.
#[must_use]
pub fn new_run() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// What `apportion.yaml` says. A configuration that cannot run is refused, with every problem of it.
pub fn check(folder: &Path) -> Result<Settings> {
    match ::coordinator::life::load(folder) {
        Ok(config) => Ok(config.settings),
        Err(::coordinator::CoordinatorError::Problems(problems)) => {
            bail!("the configuration cannot run\n{problems}")
        }
        Err(error) => Err(error.into()),
    }
}

/// Brings the database to this version's tables; called once before any role starts.
pub fn migrate(database_url: &str) -> Result<()> {
    for migration in ::coordinator::migrate::migrate(database_url)? {
        tracing::debug!(migration, "ran");
    }
    Ok(())
}

/// `migrate`: the same for the database that is named, or a data folder's own, and says what it did.
pub fn migrate_given(asked: &Migrate) -> Result<()> {
    let served = asked.reach.served()?;
    let ran = ::coordinator::migrate::migrate(&served.url)?;
    if ran.is_empty() {
        println!("the tables are up to date");
    }
    ran.iter().for_each(|migration| println!("{migration}"));
    if asked.raise_incarnation {
        println!("incarnation {}", ::coordinator::migrate::raise_incarnation(&served.url)?);
    }
    Ok(())
}

/// What `run --once` knows at its end, while the servers still run.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The database.
    pub database_url: &'a str,
    /// The configuration folder.
    pub config: &'a Path,
    /// The run's id.
    pub run: &'a str,
    /// The coordinator's exit code, 0 or 1.
    pub code: u8,
    /// What is printed on stdout.
    pub told: Told,
    /// Quarantined lines are accepted.
    pub allow_quarantine: bool,
}

/// Prints the summary of a finished run; the exit code of the whole, and what was summarised.
pub fn summarise(finished: &Finished<'_>) -> Result<(u8, Summary)> {
    let Finished { database_url, run, code, told, allow_quarantine, .. } = *finished;
    summarise_run(&Request { database_url, run, code, told, allow_quarantine })
}
