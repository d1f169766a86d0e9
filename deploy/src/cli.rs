//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::backup::{Backup, Restore};
use crate::bench::Bench;
use crate::compare::Compare;
use crate::configuration::{ConfigCommand, RulesCommand};
use crate::demo::Demo;
use crate::explain::Explain;
use crate::guard::GuardCommand;
use crate::plan::Plan;
use crate::process::guard::Guard;
use crate::process::watchdog::Watch;
use crate::reach::Reach;
use crate::reconcile::Reconcile;
use crate::refused::RefusedCommand;
use crate::runs::{Backfill, Replay, Runs, Unpin};
use crate::status::Status;
use crate::try_bill::Try;
use crate::unallocated::Unallocated;
use crate::why::Why;

/// Exact chargeback: who caused the cost, who pays.
#[derive(Debug, Parser)]
#[command(name = "apportion", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything until stopped: servers, coordinator and workers as child processes
    Up(Up),
    /// Calculate what is due, print a summary and end
    Run(Run),
    /// Write a company with bills and rules into a folder, and calculate its month
    Demo(Demo),
    /// Show who owes what of a bill, without any configuration
    Try(Try),
    /// Measure how fast this machine calculates seeded lines, beside what its Postgres can write
    Bench(Bench),
    /// Show where everything stands
    Status(Status),
    /// Show why a line's rows are what they are, with the arithmetic
    Explain(Explain),
    /// Show why an owner's cost changed from one period to another, by exact effects
    Why(Why),
    /// Show what nobody pays, why, and what could be done
    Unallocated(Unallocated),
    /// Show what a changed configuration would move, before it is in force
    Plan(Plan),
    /// Gather dates of a source again
    Backfill(Backfill),
    /// Calculate dates again from what was gathered, and show what it moved; --dry-run changes nothing
    Replay(Replay),
    /// Have dates that a replay pinned to former rules follow those in force again
    Unpin(Unpin),
    /// Show what was done, when and for whom
    Runs(Runs),
    /// Compare what is stored with what it was made of
    Reconcile(Reconcile),
    /// Compare what another tool allocated with what is visible
    Compare(Compare),
    /// Messages that no process could use: list, show, requeue
    #[command(subcommand)]
    Refused(RefusedCommand),
    /// Resources and identities that wait to be deleted: list, confirm, reject
    #[command(subcommand)]
    Deletions(GuardCommand),
    /// Visible dates that wait to be withdrawn: list, confirm, reject
    #[command(subcommand)]
    Withdrawals(GuardCommand),
    /// Check a configuration, or print its schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the rules in force
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Write the database and the configuration into one file, while everything goes on
    Backup(Backup),
    /// Fill a new data folder or an empty database from a backup
    Restore(Restore),
    /// Bring a database to this version's tables: the one of DATABASE_URL, or a data folder's own
    Migrate(Migrate),
    /// Run the coordinator: plans work, applies reports
    Coordinator(Coordinator),
    /// Run a gatherer: reads bills
    Gatherer(Worker),
    /// Run an allocator: splits lines by the rules; needs no database
    Allocator(Worker),
    /// Run an emitter: writes the ledger and the outputs
    Emitter(Worker),
    /// Start a command that ends with its parent (used inside)
    #[command(hide = true)]
    Guard(Guard),
    /// Watch over a parent where the system cannot (used inside)
    #[command(hide = true)]
    Watch(Watch),
}

impl Command {
    /// Whether it is asked for one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match self {
            Self::Run(run) => run.json,
            Self::Try(bill) => bill.json,
            Self::Bench(bench) => bench.json,
            Self::Status(status) => status.json,
            Self::Explain(explain) => explain.json,
            Self::Why(why) => why.json,
            Self::Unallocated(unallocated) => unallocated.json,
            Self::Plan(plan) => plan.json,
            Self::Backfill(backfill) => backfill.json,
            Self::Replay(replay) => replay.json,
            Self::Unpin(unpin) => unpin.json,
            Self::Runs(runs) => runs.is_json(),
            Self::Reconcile(reconcile) => reconcile.json,
            Self::Backup(backup) => backup.json,
            Self::Restore(restore) => restore.json,
            Self::Compare(compare) => compare.json,
            Self::Deletions(command) | Self::Withdrawals(command) => command.is_json(),
            Self::Refused(command) => command.is_json(),
            Self::Config(ConfigCommand::Check(check)) => check.json,
            Self::Up(_)
            | Self::Demo(_)
            | Self::Config(ConfigCommand::Schema)
            | Self::Rules(_)
            | Self::Migrate(_)
            | Self::Coordinator(_)
            | Self::Gatherer(_)
            | Self::Allocator(_)
            | Self::Emitter(_)
            | Self::Guard(_)
            | Self::Watch(_) => false,
        }
    }
}

/// `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// After a backup was restored beside a NATS that went on: what is drawn from now on is above all that came before
    #[arg(long)]
    pub raise_incarnation: bool,
    /// Which database
    #[command(flatten)]
    pub reach: Reach,
}

/// `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Number of coordinators: one leads, another takes over when it is gone
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub coordinators: u32,
    /// The rest.
    #[command(flatten)]
    pub launch: Launch,
}

/// What `up` and `run` share.
#[derive(Debug, Clone, Args)]
pub struct Launch {
    /// Folder with `apportion.yaml` and `tenants/`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub config: PathBuf,
    /// Folder for everything that is kept: servers' data, logs [default: `data_dir` of apportion.yaml, else ./.apportion]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Number of gatherers [default: `workers` of apportion.yaml, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub gatherers: Option<u32>,
    /// Number of allocators [default: `workers` of apportion.yaml, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub allocators: Option<u32>,
    /// Number of emitters [default: `workers` of apportion.yaml, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub emitters: Option<u32>,
    /// Number of coordinators; one where the run is to end.
    #[arg(skip = 1u32)]
    pub coordinators: u32,
    /// Port of 127.0.0.1 for the embedded nats-server [default: any free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub nats_port: Option<u16>,
    /// Port of 127.0.0.1 for the embedded Postgres, beside its unix socket [default: none]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub postgres_port: Option<u16>,
    /// The embedded servers' data are removed when the command ends
    #[arg(skip)]
    pub throwaway: bool,
}

impl Up {
    /// All of it.
    #[must_use]
    pub fn launch(self) -> Launch {
        Launch { coordinators: self.coordinators, ..self.launch }
    }
}

impl Launch {
    /// As many workers as `apportion.yaml` says, embedded servers at any free ports.
    #[must_use]
    pub fn over(config: PathBuf, data_dir: PathBuf) -> Self {
        Self {
            config,
            data_dir: Some(data_dir),
            gatherers: None,
            allocators: None,
            emitters: None,
            coordinators: 1,
            nats_port: None,
            postgres_port: None,
            throwaway: false,
        }
    }
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// End when every due unit is visible and emitted (the only mode so far)
    #[arg(long, required = true)]
    pub once: bool,
    /// Print one JSON document on stdout, and nothing else there
    #[arg(long)]
    pub json: bool,
    /// Quarantined lines do not make the run fail
    #[arg(long)]
    pub allow_quarantine: bool,
    /// The rest.
    #[command(flatten)]
    pub launch: Launch,
}

// Roles learn NATS_URL and DATABASE_URL from their environment: both hold secrets.

/// `coordinator`.
#[derive(Debug, Args)]
pub struct Coordinator {
    /// Folder with `apportion.yaml` and `tenants/`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub config: PathBuf,
    /// End when every due unit is visible and emitted: exit 0, or 1 with what is missing
    #[arg(long)]
    pub once: bool,
    /// The run that work is counted for, the same over restarts [default: a new one]
    #[arg(long, value_name = "ID", env = "APPORTION_RUN")]
    pub run: Option<String>,
    /// Who holds the lead, the same over restarts of one supervised process [default: this process]
    #[arg(long, value_name = "NAME", env = "APPORTION_HOLDER")]
    pub holder: Option<String>,
    /// Serve /metrics, /health/live and /health/ready here, such as 127.0.0.1:9464 [env: APPORTION_METRICS; default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<String>,
}

/// `gatherer`, `allocator`, `emitter`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Serve only the tenants of these partitions, 0 to 63, such as 0-31: whole shards [env: APPORTION_PARTITIONS; default: all]
    #[arg(long, value_name = "RANGES")]
    pub partitions: Option<String>,
    /// Serve /metrics, /health/live and /health/ready here, such as 127.0.0.1:9464 [env: APPORTION_METRICS; default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_wants_once_and_guard_takes_any_command() {
        assert!(Cli::try_parse_from(["apportion", "run"]).is_err());
        assert!(Cli::try_parse_from(["apportion", "run", "--once", "--json"]).is_ok());
        let guard = [
            "apportion",
            "guard",
            "--parent",
            "1",
            "--death",
            "SIGQUIT",
            "--",
            "x",
            "--once",
            "-c",
        ];
        assert!(Cli::try_parse_from(guard).is_ok());
        assert!(Cli::try_parse_from(["apportion", "up", "--allocators", "0"]).is_err());
    }
}
