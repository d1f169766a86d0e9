//! `apportion bench`: the real pipeline on seeded lines, beside what the same Postgres can write at best.

mod shape;
mod text;
mod usage;
mod wall;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::cli::Launch;
use crate::launch::{Once, launch};
use crate::say::say;
use crate::scratch::Scratch;
use crate::store::{self, Sizes, Timings};
use crate::summary::{Summary, Told};
use shape::{Planned, Shape};
use usage::{Usages, Watch};
use wall::Wall;

/// `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// How much.
    #[command(flatten)]
    shape: Shape,
    /// Number of gatherers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    gatherers: u32,
    /// Number of allocators
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    allocators: u32,
    /// Number of emitters, which write to Postgres
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    emitters: u32,
    /// Empty folder for the servers' data, on the disk that is to be measured [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON document on stdout, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Debug)]
struct Measured {
    planned: Planned,
    summary: Summary,
    timings: Timings,
    sizes: Sizes,
    usages: Usages,
    wall: Wall,
}

impl Bench {
    /// Runs the pipeline and measures; the exit code: 0 when everything that was made is stored and adds up, else 1.
    ///
    /// # Errors
    /// When the shape is impossible, something is in force where it would run, or the run cannot start.
    pub fn run(self) -> Result<u8> {
        let planned = self.shape.planned()?;
        self.require_empty()?;
        let scratch = Scratch::new("bench")?;
        let tenants = scratch.config().join("tenants");
        fs::create_dir_all(&tenants)
            .with_context(|| format!("cannot make {}", tenants.display()))?;
        for (name, text) in self.shape.files(&planned) {
            let path = tenants.join(format!("{name}.yaml"));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let options = Launch {
            gatherers: Some(self.gatherers),
            allocators: Some(self.allocators),
            emitters: Some(self.emitters),
            ..Launch::over(
                scratch.config(),
                self.data_dir.clone().unwrap_or_else(|| scratch.data()),
            )
        };
        let watch = Mutex::new(Some(Watch::start()?));
        let usages = Mutex::new(Usages::new());
        let found = Mutex::new(None);
        let look = |url: &str, summary: &Summary| -> Result<()> {
            // Before the wall, which is not to be counted. Once only: a second look comes after the first failed.
            if let Some(watch) = locked(&watch).take() {
                *locked(&usages) = watch.end();
            }
            let usages = locked(&usages).clone();
            *locked(&found) = Some(measure(url, planned, summary, usages)?);
            Ok(())
        };
        let once =
            Once { told: Told::Nothing, allow_quarantine: false, drill: None, then: Some(&look) };
        let code = match launch(&options, Some(once)) {
            Ok(code) => code,
            Err(error) => {
                return Err(error.context(format!("nothing was measured; {}", scratch.keep())));
            }
        };
        let Some(measured) = found.into_inner().unwrap_or_else(PoisonError::into_inner) else {
            // Interrupted: it has been told.
            return Ok(code);
        };
        say(&if self.json { text::document(&measured)? } else { text::report(&measured)? })?;
        let stored = measured.rows();
        if stored != planned.rows {
            bail!("{stored} rows are stored, but {} were to be", planned.rows);
        }
        Ok(code)
    }

    /// Its tenants would take the place of those in force.
    fn require_empty(&self) -> Result<()> {
        let url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
        if let Some(url) = url {
            let mut client = store::connect(&url)?;
            ensure!(
                !store::is_in_use(&mut store::view(&mut client)?)?,
                "the database of DATABASE_URL holds a configuration in force, which the measured one would replace: \
                 give another, empty database of the same server"
            );
        }
        let Some(folder) = &self.data_dir else { return Ok(()) };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("cannot look into {}", folder.display()))?,
        };
        ensure!(
            entries.count() == 0,
            "--data-dir {} is not empty: what lies there would be replaced, so name a new folder",
            folder.display()
        );
        Ok(())
    }
}

impl Measured {
    /// Rows that are visible.
    fn rows(&self) -> u64 {
        let rows = self.summary.sources.values().map(|source| source.rows).sum::<i64>();
        u64::try_from(rows).unwrap_or(0)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn measure(url: &str, planned: Planned, summary: &Summary, usages: Usages) -> Result<Measured> {
    let mut client = store::connect(url)?;
    let mut view = store::view(&mut client)?;
    let (timings, sizes) = (store::timings(&mut view)?, store::sizes(&mut view)?);
    drop(view);
    eprintln!("measuring what Postgres writes at best");
    let wall = wall::measure(&mut client, planned.rows, shape::START.parse()?)?;
    Ok(Measured { planned, summary: summary.clone(), timings, sizes, usages, wall })
}
