//! `apportion status`: where everything stands.

mod look;
#[cfg(test)]
mod tests;
mod text;

use anyhow::{Result, ensure};
use clap::Args;

use crate::reach::{Found, Reach};
use crate::say::say;

pub use look::{
    DriverStatus, FileLeft, Finding, Problem, SourceStatus, Standing, StreamStatus, Warning,
};

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Status {
    /// Prints it; the exit code: 1 when nothing runs.
    ///
    /// # Errors
    /// When a database is there and cannot be read.
    pub fn run(self) -> Result<u8> {
        let Found { data_dir, database, nats, pid } = self.reach.find()?;
        // What a run left behind can be looked at, though nothing runs.
        let served = (database.is_none() && data_dir.join("postgres").exists())
            .then(|| self.reach.served())
            .transpose()?;
        let runs = database.is_some();
        let (said, code) = match database.or_else(|| Some(served.as_ref()?.url.clone())) {
            None => (text::nothing(&data_dir, self.json), 1),
            Some(url) => {
                let mut standing = look::look(&url, nats.as_deref(), pid)?;
                if !runs {
                    // Its server ends with this command.
                    standing.database = None;
                }
                ensure!(
                    standing.migrated,
                    "the database has no tables of ours yet: `apportion migrate` makes them, and so do `up` and `run`"
                );
                let said = if self.json {
                    format!("{}\n", serde_json::to_string(&standing)?)
                } else {
                    text::standing(&standing)
                };
                (said, u8::from(!runs))
            }
        };
        say(&said)?;
        Ok(code)
    }
}
