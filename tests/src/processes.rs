//! Who runs below a process (Linux: read from `/proc`), and how to kill it.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its command line, parts joined by blanks.
    pub command: String,
}

impl Process {
    /// Which of ours it is: `coordinator`, `gatherer`, `allocator`, `emitter`, `nats-server`, `postgres` (the
    /// postmaster; its own children have no name here).
    #[must_use]
    pub fn role(&self) -> Option<&'static str> {
        let mut parts = self.command.split(' ');
        let program = Path::new(parts.next()?).file_name()?.to_str()?;
        let first = parts.next().unwrap_or_default();
        let roles = ["coordinator", "gatherer", "allocator", "emitter"];
        match program {
            "nats-server" => Some("nats-server"),
            "postgres" if !first.is_empty() => Some("postgres"),
            _ => roles.into_iter().find(|role| *role == first),
        }
    }
}

/// Every living process; dead ones that nobody has waited for are left out.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries.filter_map(|entry| look(&entry.ok()?.path())).collect()
}

/// `None` for what is no process, or has gone meanwhile.
fn look(path: &Path) -> Option<Process> {
    let pid = path.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // The name before `)` may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    if matches!(state, "Z" | "X") {
        return None;
    }
    let command = fs::read(path.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    Some(Process { pid, parent, command })
}

/// Every living process below `pid`, children of children too.
#[must_use]
pub fn below(pid: u32) -> Vec<Process> {
    let all = all();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![i32::try_from(pid).unwrap_or(i32::MAX)];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|process| process.parent == parent);
        for child in children {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

/// Whether that very process still lives (its id may have been given to another).
#[must_use]
pub fn is_alive(process: &Process) -> bool {
    let now = look(&Path::new("/proc").join(process.pid.to_string()));
    now.is_some_and(|now| now.command == process.command)
}

/// Its environment, as `NAME=value`; empty where it has gone.
#[must_use]
pub fn environment(process: &Process) -> Vec<String> {
    let bytes = fs::read(Path::new("/proc").join(process.pid.to_string()).join("environ"));
    let bytes = bytes.unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned()).collect()
}

/// Sends a signal. Whether there was somebody to get it.
#[must_use]
pub fn signal(pid: i32, signal: Signal) -> bool {
    kill(Pid::from_raw(pid), signal).is_ok()
}

/// Kills without a chance to clean up. Whether there was somebody to kill.
#[must_use]
pub fn kill9(pid: i32) -> bool {
    signal(pid, Signal::SIGKILL)
}
