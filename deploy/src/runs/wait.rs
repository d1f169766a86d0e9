//! Waiting for a run that somebody asked for. What goes on is told on stderr, now and then.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::Client;

use crate::store::{self, WholeRun};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Nobody has led for so long: nobody will take the run up.
const LEADERLESS_MAX: Duration = Duration::from_secs(60);

/// Waits until the run has ended.
///
/// # Errors
/// When the database cannot be read, or no coordinator leads any more.
pub fn wait(client: &mut Client, id: &str) -> Result<()> {
    let (mut led, mut said) = (Instant::now(), None::<(String, Instant)>);
    loop {
        let mut view = store::view(client)?;
        let whole = store::run_whole(&mut view, id)?;
        let whole = whole.with_context(|| format!("the run {id} is gone"))?;
        let leads = store::leader(&mut view)?.is_some_and(|leader| leader.alive);
        view.commit()?;
        if whole.0.ended_at.is_some() {
            return Ok(());
        }
        if leads {
            led = Instant::now();
        } else if led.elapsed() > LEADERLESS_MAX {
            bail!("no coordinator has led for a minute: the run {id} goes on once one does");
        }
        let now = line(&whole);
        let due =
            said.as_ref().is_none_or(|(before, at)| *before != now && at.elapsed() >= SAY_EVERY);
        if due {
            eprintln!("{now}");
            said = Some((now, Instant::now()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn line((run, steps, units): &WholeRun) -> String {
    let visible = units.iter().filter(|unit| unit.generation.is_some()).count();
    let settled = units.iter().filter(|unit| unit.settled).count();
    match steps.last() {
        None => format!("{}: {}", run.run, run.status),
        Some(_) if units.is_empty() => {
            let error = run.error.as_ref().map(|error| format!(" again: {error}"));
            format!("{}: gathers{}", run.run, error.unwrap_or_default())
        }
        Some(_) => {
            let all = units.len();
            format!("{}: visible {visible}/{all} dates, done {settled}/{all}", run.run)
        }
    }
}
