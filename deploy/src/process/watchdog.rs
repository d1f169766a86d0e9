//! For systems without a parent-death signal: a small process that watches the parent of the guarded command.
//!
//! It is a child of the command (the guard starts it, then becomes the command), so it sees in its own parent
//! id whether the command still lives.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

const POLL: Duration = Duration::from_millis(250);
/// After the signal, before SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// Arguments of the hidden subcommand.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// Process whose death ends our own parent
    #[arg(long)]
    parent: i32,
    /// Signal that our parent gets then
    #[arg(long)]
    death: Signal,
}

/// Starts the watching process; called by the guard before it becomes the command.
pub fn start(parent: Pid, death: Signal) -> Result<()> {
    Command::new(std::env::current_exe()?)
        .args(["watch", "--parent", &parent.to_string(), "--death", death.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the watching process")?;
    Ok(())
}

impl Watch {
    /// Watches until the command has ended.
    pub fn run(self) -> Result<()> {
        let command = getppid();
        let mut since: Option<Instant> = None;
        while getppid() == command {
            match (alive(Pid::from_raw(self.parent))?, since) {
                (true, _) => {}
                (false, None) => {
                    since = Some(Instant::now());
                    send(command, self.death)?;
                }
                (false, Some(since)) if since.elapsed() > GRACE => send(command, Signal::SIGKILL)?,
                (false, Some(_)) => {}
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

fn alive(pid: Pid) -> Result<bool> {
    match kill(pid, None) {
        Ok(()) | Err(Errno::EPERM) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error).context("cannot look for the parent"),
    }
}

fn send(pid: Pid, signal: Signal) -> Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot send {signal}")),
    }
}
