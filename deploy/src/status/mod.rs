//! `apportion status`: where everything stands.

mod look;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::configuration;
use crate::folder::DataFolder;

pub use look::{Problem, SourceStatus, Standing, StreamStatus, Warning};

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Folder whose `apportion.yaml` names the database and the data folder
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Folder of the embedded servers' data [default: the configuration's, else ./.apportion]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Status {
    /// Prints it; the exit code: 1 when nothing runs. `DATABASE_URL` comes first, then what runs over the data folder,
    /// then the configuration.
    ///
    /// # Errors
    /// When a database is there and cannot be read.
    pub fn run(self) -> Result<u8> {
        let settings = self
            .config
            .as_deref()
            .map(configuration::load)
            .transpose()?
            .map(|config| config.settings);
        let data_dir = self.data_dir.or_else(|| settings.as_ref()?.data_dir.clone());
        let data_dir = data_dir.unwrap_or_else(|| PathBuf::from("./.apportion"));
        let given = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
        let running = DataFolder::running(&data_dir)?;
        let named =
            |url: Option<&coordinator::config::Secret>| url.map(|url| url.reveal().to_owned());
        let database = given("DATABASE_URL")
            .or_else(|| running.as_ref().map(|running| running.database_url.clone()))
            .or_else(|| named(settings.as_ref()?.postgres.url.as_ref()));
        let nats = given("NATS_URL")
            .or_else(|| running.as_ref().map(|running| running.nats_url.clone()))
            .or_else(|| named(settings.as_ref()?.nats.url.as_ref()));
        let pid = running.map(|running| running.pid);
        let (said, code) = match database {
            None => (text::nothing(&data_dir, self.json), 1),
            Some(url) => {
                let standing = look::look(&url, nats.as_deref(), pid)?;
                ensure!(
                    standing.migrated,
                    "the database has no tables of ours yet: `apportion migrate` makes them, and so do `up` and `run`"
                );
                let said = if self.json {
                    format!("{}\n", serde_json::to_string(&standing)?)
                } else {
                    text::standing(&standing)
                };
                (said, 0)
            }
        };
        let mut out = std::io::stdout().lock();
        out.write_all(said.as_bytes())
            .and_then(|()| out.flush())
            .context("nobody listens on stdout")?;
        Ok(code)
    }
}
