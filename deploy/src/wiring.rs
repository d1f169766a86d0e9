//! The only place where the binary meets the roles' crates.

use std::path::Path;

use anyhow::{Result, bail};

use crate::cli::{Coordinator, Worker};

/// Runs the coordinator until it is done or asked to stop; its exit code.
pub fn coordinator(_args: Coordinator) -> Result<u8> {
    bail!("the coordinator is not part of this build")
}

/// Runs a gatherer until asked to stop.
pub fn gatherer(_args: Worker) -> Result<u8> {
    bail!("the gatherer is not part of this build")
}

/// Runs an allocator until asked to stop.
pub fn allocator() -> Result<u8> {
    bail!("the allocator is not part of this build")
}

/// Runs an emitter until asked to stop.
pub fn emitter(_args: Worker) -> Result<u8> {
    bail!("the emitter is not part of this build")
}

/// Brings the database to this version's tables; called once before any role starts.
pub fn migrate(_database_url: &str) -> Result<()> {
    Ok(())
}

/// What `run --once` knows at its end, while the servers still run.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The database.
    pub database_url: &'a str,
    /// The configuration folder.
    pub config: &'a Path,
    /// The coordinator's exit code, 0 or 1.
    pub code: u8,
    /// Print one JSON document on stdout instead of text.
    pub json: bool,
    /// Quarantined lines are accepted.
    pub allow_quarantine: bool,
}

/// Prints the summary of a finished run; the exit code of the whole.
pub fn summarise(finished: &Finished<'_>) -> Result<u8> {
    Ok(finished.code)
}
