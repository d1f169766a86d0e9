//! `apportion runs`: what was done, when and for whom; and what persons ask for: `apportion backfill`, `replay` and
//! `unpin`.

mod ask;
mod backfill;
mod replay;
mod result;
mod text;
mod unpin;
mod wait;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use proto::ids::TenantId;

use crate::reach::Reach;
use crate::say::say;
use crate::store;
pub use backfill::Backfill;
pub use replay::Replay;
pub use unpin::Unpin;

/// `runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Runs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// What to list.
    #[command(flatten)]
    pub list: Listing,
}

/// What can be done with runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List the newest runs
    List(Listing),
    /// Show one run: its steps with counts and durations, and its dates
    Show(Show),
    /// Print what a replay moved: the difference between what was visible before it and what it made visible
    Difference(Differing),
}

/// `runs list`.
#[derive(Debug, Args)]
pub struct Listing {
    /// Of this tenant alone
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `runs show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Id of the run
    #[arg(value_name = "ID")]
    pub run: String,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `runs difference`.
#[derive(Debug, Args)]
pub struct Differing {
    /// The run.
    #[command(flatten)]
    pub show: Show,
    /// Print Markdown, fit for a pull request
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

impl Runs {
    /// Whether it is asked for one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match &self.command {
            Some(RunsCommand::List(list)) => list.json,
            Some(RunsCommand::Show(show)) => show.json,
            Some(RunsCommand::Difference(differing)) => differing.show.json,
            None => self.list.json,
        }
    }

    /// Prints it; the exit code.
    ///
    /// # Errors
    /// When the database cannot be read, or has no such run.
    pub fn run(self) -> Result<u8> {
        match self.command {
            Some(RunsCommand::List(list)) => list.run(),
            Some(RunsCommand::Show(show)) => show.run(None),
            Some(RunsCommand::Difference(differing)) => {
                differing.show.run(Some(differing.markdown))
            }
            None => self.list.run(),
        }
    }
}

impl Listing {
    fn run(self) -> Result<u8> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let tenant = self.tenant.as_ref().map(TenantId::as_str);
        let runs = store::runs(&mut view, tenant, i64::from(self.limit))?;
        say(&if self.json { text::listed_json(&runs)? } else { text::listed(&runs) })?;
        Ok(0)
    }
}

impl Show {
    /// Prints the run itself, or what it moved, as Markdown or not.
    fn run(self, difference: Option<bool>) -> Result<u8> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let whole = store::run_whole(&mut view, &self.run)?.with_context(|| {
            format!("there is no run {}: `apportion runs list` shows them", self.run)
        })?;
        let said = match (difference, self.json) {
            (Some(markdown), json) => result::told(&mut view, &whole, (json, markdown))?,
            (None, true) => text::shown_json(&whole)?,
            (None, false) => text::shown(&whole),
        };
        say(&said)?;
        Ok(0)
    }
}
