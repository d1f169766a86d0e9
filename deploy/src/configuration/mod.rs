//! `apportion config check|schema` and `apportion rules show`.

mod check;
mod lint;
#[cfg(test)]
mod mends;
mod print;
#[cfg(test)]
mod sunbird;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use coordinator::config::{self, Config};
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

pub use check::{Checked, Found, check};
pub use lint::{Kind, Warned};
pub use print::rules;

use crate::reach::Reach;
use crate::say::say;
use crate::store;

/// `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every problem of every file, run the tests of the rules, and warn of what is of no use
    Check(Check),
    /// Print the JSON Schema of both files
    Schema,
}

/// `config check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Where.
    #[command(flatten)]
    pub folder: Folder,
    /// Warn, too, of rules, table keys and owners that do nothing with the lines of the last run
    #[arg(long)]
    pub lint: bool,
    /// Folder of the embedded servers' data, where the last run is; means --lint [default: the configuration's, else
    /// ./.apportion]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Exit with 1 when there are warnings
    #[arg(long)]
    pub deny_warnings: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Where a configuration is.
#[derive(Debug, Args)]
pub struct Folder {
    /// Folder with `apportion.yaml` and `tenants/`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub config: PathBuf,
}

/// `rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Print the chains in force, first to last: yours, the built-in ones, the default
    Show(Show),
}

/// `rules show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Where.
    #[command(flatten)]
    pub folder: Folder,
    /// The tenant
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// Only of this source [default: all]
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// The charge date that they are for [default: today, UTC]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<UnitDate>,
}

impl ConfigCommand {
    /// Runs it; the exit code: 1 when there are problems, or warnings that are denied.
    ///
    /// # Errors
    /// When the lines of the last run cannot be read, or nobody listens on stdout.
    pub fn run(self) -> Result<u8> {
        let (text, code) = match self {
            Self::Check(check) => check.run()?,
            Self::Schema => (format!("{:#}\n", config::json_schema()), 0),
        };
        say(&text)?;
        Ok(code)
    }
}

impl Check {
    /// What to say, and the exit code.
    fn run(self) -> Result<(String, u8)> {
        let mut found = Found::of(&self.folder.config, &environment);
        let lint = self.lint || self.data_dir.is_some();
        if let Some(config) = found.config.as_ref().filter(|_| lint) {
            let reach = Reach { config: Some(self.folder.config), data_dir: self.data_dir };
            // What the files alone say is said in any case.
            match reach.database() {
                Ok(mut database) => {
                    let of_lines =
                        lint::of_last_run(&mut store::view(&mut database.client)?, config)?;
                    found.add(of_lines);
                }
                Err(error) => {
                    match self.json {
                        true => eprint!("{}", found.text()),
                        false => say(&found.text())?,
                    }
                    return Err(error);
                }
            }
        }
        let text = if self.json { found.document()? } else { found.text() };
        let denied = self.deny_warnings && !found.warned.is_empty();
        Ok((text, u8::from(!found.sound() || denied)))
    }
}

impl RulesCommand {
    /// Runs it.
    ///
    /// # Errors
    /// When the configuration has problems, or no such tenant or source.
    pub fn run(self) -> Result<u8> {
        let Self::Show(show) = self;
        let config = load(&show.folder.config)?;
        let known =
            || config.tenants.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let Some(tenant) = config.tenants.get(&show.tenant) else {
            bail!("there is no tenant {}: known are {}", show.tenant, known());
        };
        if let Some(source) = show.source.as_ref().filter(|source| tenant.source(source).is_none())
        {
            let known: Vec<&str> = tenant.sources.iter().map(|source| source.id.as_str()).collect();
            bail!("tenant {} has no source {source}: known are {}", show.tenant, known.join(", "));
        }
        let date = show.date.unwrap_or_else(today);
        let wanted =
            tenant.sources.iter().filter(|s| show.source.as_ref().is_none_or(|id| *id == s.id));
        let texts: Vec<String> = wanted.map(|source| rules(tenant, source, date)).collect();
        say(&texts.join("\n"))?;
        Ok(0)
    }
}

/// Reads a folder; every problem of it is the error.
///
/// # Errors
/// See there.
pub fn load(folder: &Path) -> Result<Config> {
    config::load(folder, &environment)
        .map_err(|problems| anyhow::anyhow!("the configuration has problems\n{problems}"))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn today() -> UnitDate {
    UnitDate::new(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
}
