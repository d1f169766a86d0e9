//! A running child.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::log::Pump;

/// How often the state of a child is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A running (or just ended) child. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pump: Pump,
}

impl Process {
    pub(super) fn new(name: String, child: Child, pump: Pump) -> Self {
        Self { name, child, pump }
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status once it has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Sends a signal; no error when it has ended meanwhile.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Not reaped yet means that the process id is still ours.
        if self.exited()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).context("process id out of range")?;
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error)
                .with_context(|| format!("cannot send {signal} to {} (pid {pid})", self.name)),
        }
    }

    /// Waits until it ends, at most `limit`; `None` when it still runs then.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exited()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(POLL.min(left));
        }
    }

    /// Kills it with SIGKILL and reaps it.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Asks it to end with `signal`, and kills it when it still runs after `grace`.
    pub fn stop(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        match self.wait(grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// The last lines of its output.
    pub fn tail(&self) -> String {
        self.pump.tail()
    }

    /// The last lines of the output of a process that has ended, complete.
    pub fn last_words(&self) -> String {
        // Descendants may hold the pipe open, so this waits only a moment for its end.
        self.pump.settle(Duration::from_millis(200));
        self.pump.tail()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(process = %self.name, "{error:#}");
        }
    }
}

/// `exit code 3` or `killed by SIGKILL`.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}
