//! Child processes that never outlive their parent.
//!
//! Every child is started through `apportion guard` (see [`guard`]) from one thread that never ends, in a
//! process group of its own, with its output carried by a [`log::Log`].

pub mod account;
mod child;
pub mod guard;
pub mod log;
mod spawner;
pub mod watchdog;

pub use child::{Process, describe};

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use account::Account;
use log::Log;

/// The recipe of a child process: what to run, as whom, and what happens to it when we die.
#[derive(Debug, Clone)]
pub struct Recipe {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    cwd: Option<PathBuf>,
    account: Option<Account>,
    death: Signal,
    lock: Option<PathBuf>,
    log: Log,
}

impl Recipe {
    /// `name` is used in messages and log prefixes. The child dies by SIGKILL with its parent unless
    /// [`Recipe::on_parent_death`] says otherwise.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            account: None,
            death: Signal::SIGKILL,
            lock: None,
            log: Log::default(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    pub fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one environment variable; the rest of our environment is inherited.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), Some(value.into())));
        self
    }

    /// Takes one variable out of the environment that is inherited.
    pub fn without_env(mut self, key: impl Into<OsString>) -> Self {
        self.env.push((key.into(), None));
        self
    }

    /// Working folder of the child.
    pub fn cwd(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// Runs as this account; only root can.
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// The signal that the kernel sends to the child when we die.
    pub fn on_parent_death(mut self, signal: Signal) -> Self {
        self.death = signal;
        self
    }

    /// A file that the child and all its descendants hold locked while any of them lives; the child waits
    /// until an earlier holder has gone.
    pub fn lock(mut self, file: impl Into<PathBuf>) -> Self {
        self.lock = Some(file.into());
        self
    }

    /// Where its output goes.
    pub fn log(mut self, log: Log) -> Self {
        self.log = log;
        self
    }

    /// The child's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts the child. It is not yet ready for anything; a program that cannot be executed shows as exit
    /// code 127 with the reason in its log.
    pub fn spawn(&self) -> Result<Process> {
        let started = || -> Result<Process> {
            let (mut reader, writer) = std::io::pipe()?;
            let mut command = self.guarded()?;
            command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
            let child = spawner::spawn(command)?;
            let pump = self
                .log
                .pump(&self.name, move |buffer| std::io::Read::read(&mut reader, buffer))?;
            Ok(Process::new(self.name.clone(), child, pump))
        };
        started()
            .with_context(|| format!("cannot start {} ({})", self.name, self.program.display()))
    }

    fn guarded(&self) -> Result<Command> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(exe()?);
        command.arg("guard");
        command.arg("--parent").arg(std::process::id().to_string());
        command.arg("--death").arg(self.death.as_str());
        if let Some(account) = &self.account {
            command.arg("--uid").arg(account.uid.to_string());
            command.arg("--gid").arg(account.gid.to_string());
        }
        if let Some(lock) = &self.lock {
            command.arg("--lock").arg(lock);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        // A group of its own: Ctrl-C in a terminal reaches us alone, and we drain in order.
        command.process_group(0);
        Ok(command)
    }
}

/// The `apportion` program: this one, or (from a test program) `APPORTION_EXE` or the one that cargo built
/// beside it. Fixed at the first call, so that a rebuild while we run does not matter.
pub fn exe() -> Result<&'static Path> {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = EXE.get() {
        return Ok(found);
    }
    let found = find_exe()?;
    Ok(EXE.get_or_init(|| found))
}

fn find_exe() -> Result<PathBuf> {
    let name = format!("apportion{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().context("cannot tell the path of this program")?;
    if own.file_name().is_some_and(|file| file == name.as_str()) {
        return Ok(own);
    }
    if let Some(path) = std::env::var_os("APPORTION_EXE") {
        return Ok(path.into());
    }
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file());
    match beside {
        Some(path) => Ok(path),
        None => bail!(
            "program `{name}` not found beside {}: run `cargo build -p apportion`, or set APPORTION_EXE to it",
            own.display()
        ),
    }
}
