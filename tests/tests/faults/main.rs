//! The fault matrix: real processes, a real nats-server and Postgres, faults on purpose, and one check of what must hold
//! afterwards (`tests::faults`). `deploy/faults` runs all of it.
//!
//! ```text
//! faults            what every day can afford, without crash points
//! faults --all      every case
//! faults 3 14       these
//! ```

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tests::faults::ground::Ground;

mod crashes;
mod input;
mod network;
mod servers;
mod workers;

/// Cases that run at a time: most wait most of the time.
const AT_A_TIME: usize = 3;

/// What became of a case that held.
pub struct Held {
    /// Faults that were injected.
    pub faults: u64,
    /// From the fault, or its end, until all was right again: the longest of them.
    pub recovered: Option<Duration>,
    /// What else is worth a word.
    pub note: String,
}

/// A case of the matrix.
pub struct Case {
    /// Its number there; `T` is none of them.
    pub id: &'static str,
    /// What is done.
    pub what: &'static str,
    /// Every day can afford it, and it needs no crash points.
    pub everyday: bool,
    /// Does it.
    pub run: fn(&Ground) -> Result<Held>,
}

fn cases() -> Vec<Case> {
    crashes::CASES
        .into_iter()
        .chain(workers::CASES)
        .chain(servers::CASES)
        .chain(network::CASES)
        .chain(input::CASES)
        .collect()
}

/// Which cases are asked for; flags of cargo's own tests are none of ours.
fn picked() -> (VecDeque<Case>, bool) {
    let (flags, ids): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let everyday = ids.is_empty() && !flags.iter().any(|flag| flag == "--all");
    let wanted = |case: &Case| match ids.is_empty() {
        true => !everyday || case.everyday,
        false => ids.iter().any(|id| id == case.id),
    };
    (cases().into_iter().filter(wanted).collect(), everyday)
}

struct Done {
    case: Case,
    held: Result<Held>,
    took: Duration,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let (cases, everyday) = picked();
    if cases.is_empty() {
        println!("no such case");
        return ExitCode::FAILURE;
    }
    let ground = match Ground::start(everyday).context("servers for the cases") {
        Ok(ground) => ground,
        Err(error) => {
            println!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let (queue, done) = (Mutex::new(cases), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(case) = next() {
                    let since = Instant::now();
                    let held = (case.run)(&ground);
                    let one = Done { case, held, took: since.elapsed() };
                    eprintln!("{}", told(&one));
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary(done, started.elapsed())
}

/// A line of the table.
fn told(done: &Done) -> String {
    let Done { case: Case { id, what, .. }, held, took } = done;
    let took = took.as_secs_f32();
    match held {
        Ok(Held { faults, recovered, note }) => {
            let recovered =
                recovered.map_or("-".to_owned(), |r| format!("{:.1} s", r.as_secs_f32()));
            format!(
                "{id:>4}  {what:<62} held    {faults:>6}  {recovered:>9}  {took:>6.1} s  {note}"
            )
        }
        Err(error) => {
            format!("{id:>4}  {what:<62} FAILED       -          -  {took:>6.1} s  {error:#}")
        }
    }
}

fn summary(mut done: Vec<Done>, took: Duration) -> ExitCode {
    done.sort_by_key(|one| (one.case.id.parse().unwrap_or(u32::MAX), one.case.id));
    println!("\ncase  what was done{:<49} outcome faults  recovered      took", "");
    done.iter().for_each(|one| println!("{}", told(one)));
    let faults: u64 = done.iter().flat_map(|one| &one.held).map(|held| held.faults).sum();
    let failed = done.iter().filter(|one| one.held.is_err()).count();
    let (cases, seconds) = (done.len(), took.as_secs());
    let became = match failed {
        0 => "nothing lost, nothing doubled, nothing half visible".to_owned(),
        failed => format!("{failed} FAILED"),
    };
    println!("\n{cases} cases, {faults} faults injected, {became}; {seconds} s");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
