//! `apportion guard -- CMD…`: what every child is started through.
//!
//! Drops root's rights, takes the child's lock, makes the kernel signal the child when its parent dies, and
//! becomes the command (same process id). So nothing that we start outlives us, even after `kill -9`.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, getppid};

/// The exit code of a guard that could not become its command.
pub const CANNOT_START: u8 = 127;

/// Arguments of the hidden subcommand.
#[derive(Debug, clap::Args)]
pub struct Guard {
    /// Process id that must be our parent
    #[arg(long)]
    parent: i32,
    /// Signal for the command when the parent dies
    #[arg(long)]
    death: Signal,
    /// User id to run as
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// Group id to run as
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// File that stays locked while the command or a descendant lives
    #[arg(long)]
    lock: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, num_args = 1..)]
    command: Vec<OsString>,
}

impl Guard {
    /// Becomes the command; returns only with an error.
    pub fn run(self) -> Result<Infallible> {
        let lock = self.lock.as_deref().map(open_lock).transpose()?;
        let (program, args) = self.command.split_first().context("no command given")?;
        let mut command = Command::new(program);
        command.args(args);
        self.drop_rights(&mut command)?;
        self.follow_parent()?;
        // Asked after the signal is armed: a parent that died before that is seen here.
        ensure!(
            getppid() == Pid::from_raw(self.parent),
            "parent {} has died: {} is not started",
            self.parent,
            program.display()
        );
        if let Some(file) = &lock {
            file.lock().context("cannot lock")?;
            fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot hand on the lock")?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
            .context("cannot unblock signals")?;
        let error = command.exec();
        Err(error).with_context(|| format!("cannot execute {}", program.display()))
    }

    /// On Linux at once, because changing the user disarms the parent-death signal.
    #[cfg(target_os = "linux")]
    fn drop_rights(&self, _command: &mut Command) -> Result<()> {
        use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            let gid = Gid::from_raw(gid);
            setgroups(&[gid])
                .and_then(|()| setgid(gid))
                .and_then(|()| setuid(Uid::from_raw(uid)))
                .with_context(|| format!("cannot become user {uid}"))?;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn drop_rights(&self, command: &mut Command) -> Result<()> {
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            command.gid(gid).uid(uid);
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn follow_parent(&self) -> Result<()> {
        nix::sys::prctl::set_pdeathsig(self.death).context("cannot set the parent-death signal")
    }

    /// Without a parent-death signal a small watching child does the kernel's work.
    #[cfg(not(target_os = "linux"))]
    fn follow_parent(&self) -> Result<()> {
        super::watchdog::start(Pid::from_raw(self.parent), self.death)
    }
}

/// Opens (creates) a lock file.
pub fn open_lock(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open lock file {}", path.display()))
}
