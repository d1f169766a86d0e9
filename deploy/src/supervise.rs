//! Keeps children running: restarts with backoff, ends in order.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::process::{Process, Recipe, describe};
use crate::shutdown::Shutdown;

/// How often children are looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long roles may finish what they hold.
const ROLE_GRACE: Duration = Duration::from_secs(20);

/// What the exit codes of a role say to its supervisor. Any other end is a crash and is restarted.
pub mod exit {
    /// A one-shot role has done its work.
    pub const DONE: u8 = 0;
    /// A one-shot role has ended with something missing or quarantined.
    pub const INCOMPLETE: u8 = 1;
    /// A command line that cannot be understood (clap's code).
    pub const USAGE: u8 = 2;
    /// Settings that cannot be used: starting again would not help.
    pub const SETTINGS: u8 = runtime::process::EXIT_SETTINGS;
}

/// How a service is asked to end.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// The signal that asks.
    pub signal: Signal,
    /// How long it may take before SIGKILL.
    pub grace: Duration,
}

/// Something that runs as a child process and can be started again.
pub trait Service: Send {
    /// For messages.
    fn name(&self) -> &str;
    /// Starts it without waiting until it is ready. An error is retried with backoff.
    fn respawn(&mut self) -> Result<()>;
    /// The process, running or just ended.
    fn process(&mut self) -> Option<&mut Process>;
    /// Whether it lives and yet cannot come back by itself: it is killed then, and started again.
    fn is_stuck(&mut self) -> bool {
        false
    }
    /// How to end it.
    fn ending(&self) -> Ending;
}

/// A role of the pipeline as a service.
#[derive(Debug)]
pub struct Role {
    recipe: Recipe,
    process: Option<Process>,
}

impl Role {
    /// Not yet started; [`Supervisor::add`] does that.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, process: None }
    }
}

impl Service for Role {
    fn name(&self) -> &str {
        self.recipe.name()
    }

    fn respawn(&mut self) -> Result<()> {
        self.process = Some(self.recipe.spawn()?);
        Ok(())
    }

    fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    fn ending(&self) -> Ending {
        Ending { signal: Signal::SIGTERM, grace: ROLE_GRACE }
    }
}

/// Growing waits between restarts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait.
    pub start: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// Whoever ran this long starts from the first wait again.
    pub healthy: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            start: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            healthy: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The wait after this many ends in a row (from 1).
    fn wait(&self, ends: u32) -> Duration {
        let factor = 2u32.saturating_pow(ends.saturating_sub(1));
        self.start.saturating_mul(factor).min(self.cap)
    }
}

/// The order of stopping: who depends on others goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Roles of the pipeline.
    Role,
    /// NATS.
    Bus,
    /// Postgres.
    Store,
}

const STAGES: [Stage; 3] = [Stage::Role, Stage::Bus, Stage::Store];

/// Why supervision ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The one-shot child ended by itself with this code (0 or 1).
    Finished(u8),
    /// A signal asked to stop.
    Interrupted,
    /// A child cannot work; the text says which, why and what it printed last.
    Failed(String),
}

struct Member {
    service: Box<dyn Service>,
    stage: Stage,
    one_shot: bool,
    /// Started at; none while it waits for a restart.
    since: Option<Instant>,
    restart_at: Instant,
    /// Ends in a row without a healthy time between them.
    ends: u32,
    /// Those of them that nobody else caused by SIGKILL.
    faults: u32,
}

/// Runs children. Dropping it kills them.
pub struct Supervisor {
    members: Vec<Member>,
    backoff: Backoff,
    give_up_after: Option<u32>,
    kills: Option<Receiver<&'static str>>,
}

impl Supervisor {
    /// `give_up_after`: so many failures in a row of one role (kills by SIGKILL not counted) end the
    /// supervision; none: never.
    pub fn new(backoff: Backoff, give_up_after: Option<u32>) -> Self {
        Self { members: Vec::new(), backoff, give_up_after, kills: None }
    }

    /// Kills, with SIGKILL, the children whose names come through `kills`; they are restarted like any other that ends.
    pub fn kill_on(&mut self, kills: Receiver<&'static str>) {
        self.kills = Some(kills);
    }

    /// Takes over a service that already runs, such as a server.
    pub fn adopt(&mut self, stage: Stage, service: impl Service + 'static) {
        self.push(stage, false, Box::new(service));
    }

    /// Starts a role. With `one_shot` its exit code 0 or 1 ends the supervision.
    pub fn add(&mut self, mut role: Role, one_shot: bool) -> Result<()> {
        role.respawn()?;
        self.push(Stage::Role, one_shot, Box::new(role));
        Ok(())
    }

    fn push(&mut self, stage: Stage, one_shot: bool, service: Box<dyn Service>) {
        let now = Instant::now();
        self.members.push(Member {
            service,
            stage,
            one_shot,
            since: Some(now),
            restart_at: now,
            ends: 0,
            faults: 0,
        });
    }

    /// Keeps all children running until the one-shot child is done, a child cannot work, or `shutdown` is
    /// asked for. The children that are left still run afterwards: see [`Supervisor::stop`].
    pub fn run_until(&mut self, shutdown: &Shutdown) -> Result<Outcome> {
        loop {
            if shutdown.requested() {
                return Ok(Outcome::Interrupted);
            }
            while let Some(name) = self.kills.as_ref().and_then(|kills| kills.try_recv().ok()) {
                let named = self.members.iter_mut().filter(|member| member.service.name() == name);
                for process in named.filter_map(|member| member.service.process()) {
                    process.signal(Signal::SIGKILL)?;
                }
            }
            for member in &mut self.members {
                if let Some(outcome) = member.look(&self.backoff, self.give_up_after)? {
                    return Ok(outcome);
                }
            }
            std::thread::sleep(POLL);
        }
    }

    /// Keeps the servers running while `work` is done on another thread, and gives its result.
    pub fn during<T: Send>(&mut self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                for member in self.members.iter_mut().filter(|member| member.stage != Stage::Role) {
                    member.look(&self.backoff, self.give_up_after)?;
                }
                std::thread::sleep(POLL);
            }
            work.join().unwrap_or_else(|_| bail!("a thread panicked"))
        })
    }

    /// Ends all children: roles first, then NATS, then Postgres; each stage in parallel, with SIGKILL for who
    /// takes too long. A second request of `shutdown` shortens the wait to nothing.
    pub fn stop(&mut self, shutdown: &Shutdown) -> Result<()> {
        for stage in STAGES {
            self.stop_stage(stage, shutdown)?;
        }
        self.members.clear();
        Ok(())
    }

    fn stop_stage(&mut self, stage: Stage, shutdown: &Shutdown) -> Result<()> {
        let asked = Instant::now();
        let mut running: Vec<&mut Member> =
            self.members.iter_mut().filter(|member| member.stage == stage).collect();
        for member in &mut running {
            let Ending { signal, .. } = member.service.ending();
            if let Some(process) = member.service.process() {
                process.signal(signal)?;
            }
        }
        while !running.is_empty() {
            let mut left = Vec::new();
            for member in running {
                let grace = member.service.ending().grace;
                let Some(process) = member.service.process() else { continue };
                if process.exited()?.is_some() {
                    continue;
                }
                // Servers always get their time: they hold data.
                let hurry = stage == Stage::Role && shutdown.impatient();
                if hurry || asked.elapsed() > grace {
                    tracing::warn!(process = %process.name(), "did not stop in time: killed");
                    process.kill()?;
                    continue;
                }
                left.push(member);
            }
            running = left;
            if !running.is_empty() {
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }
}

impl Member {
    fn look(&mut self, backoff: &Backoff, give_up_after: Option<u32>) -> Result<Option<Outcome>> {
        let Some(since) = self.since else {
            if Instant::now() >= self.restart_at {
                self.restart(backoff);
            }
            return Ok(None);
        };
        let stuck = self.service.is_stuck();
        let Some(process) = self.service.process() else {
            bail!("{} was never started", self.service.name())
        };
        if stuck {
            tracing::warn!(process = %process.name(), "cannot come back by itself: killed");
            process.signal(Signal::SIGKILL)?;
        }
        let Some(status) = process.exited()? else { return Ok(None) };
        let words = process.last_words();
        let name = self.service.name().to_owned();
        if let Some(outcome) = self.judge(&name, status, &words) {
            return Ok(Some(outcome));
        }
        if since.elapsed() >= backoff.healthy {
            (self.ends, self.faults) = (0, 0);
        }
        self.ends = self.ends.saturating_add(1);
        // Being killed from outside says nothing about the program.
        if status.signal() != Some(Signal::SIGKILL as i32) {
            self.faults = self.faults.saturating_add(1);
        }
        if self.stage == Stage::Role && give_up_after.is_some_and(|limit| self.faults >= limit) {
            return Ok(Some(Outcome::Failed(format!(
                "{name} failed {} times in a row, last with {}:\n{words}",
                self.faults,
                describe(status)
            ))));
        }
        self.wait(backoff, &describe(status));
        Ok(None)
    }

    /// What the end of a role says about the whole.
    fn judge(&self, name: &str, status: ExitStatus, words: &str) -> Option<Outcome> {
        if self.stage != Stage::Role {
            return None;
        }
        let code = u8::try_from(status.code()?).ok()?;
        match code {
            exit::DONE | exit::INCOMPLETE if self.one_shot => Some(Outcome::Finished(code)),
            exit::USAGE | exit::SETTINGS => {
                Some(Outcome::Failed(format!("{name} cannot work with its settings:\n{words}")))
            }
            _ => None,
        }
    }

    fn wait(&mut self, backoff: &Backoff, why: &str) {
        let wait = backoff.wait(self.ends);
        tracing::warn!(process = %self.service.name(), "ended ({why}); starts again in {} ms", wait.as_millis());
        self.since = None;
        self.restart_at = Instant::now() + wait;
    }

    fn restart(&mut self, backoff: &Backoff) {
        match self.service.respawn() {
            Ok(()) => self.since = Some(Instant::now()),
            Err(error) => {
                self.ends = self.ends.saturating_add(1);
                self.wait(backoff, &format!("{error:#}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let waits: Vec<u128> = (1..9).map(|ends| backoff.wait(ends).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait(u32::MAX), backoff.cap);
    }
}
