//! What a dead Postgres leaves behind.
//!
//! After `kill -9` of the postmaster a busy backend runs on until its query ends; it can commit nothing any
//! more, and would keep the next server waiting. After `kill -9` of everything, files name process ids that may
//! be other programs' by now, which Postgres would take for a running server.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use super::cluster::Home;

/// Ends the processes over `home` whose postmaster has died. They are recognised by PGDATA as their working
/// folder. A living postmaster and its backends are left alone.
#[cfg(target_os = "linux")]
pub fn end(home: &Home) -> Result<()> {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let data = home.data();
    let mut found: Vec<i32> = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry.context("cannot read /proc")?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Unreadable or gone meanwhile: not ours.
        if fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == data) {
            found.push(pid);
        }
    }
    if postmaster(&data)?.is_some_and(|pid| found.contains(&pid)) {
        return Ok(());
    }
    for pid in found {
        tracing::info!(pid, "ends a Postgres process whose postmaster has died");
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot end process {pid}")),
        }
    }
    Ok(())
}

/// Without `/proc` they are waited for.
#[cfg(not(target_os = "linux"))]
pub fn end(_home: &Home) -> Result<()> {
    Ok(())
}

/// The process id in `postmaster.pid`.
#[cfg(target_os = "linux")]
fn postmaster(data: &Path) -> Result<Option<i32>> {
    let path = data.join("postmaster.pid");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().next().and_then(|line| line.trim().parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Removes the files that name a dead server; only while the home's lock is free, which says that it is dead.
pub fn remove_files(home: &Home, socket: &Path, port: u16) -> Result<()> {
    for path in [home.data().join("postmaster.pid"), socket.join(format!(".s.PGSQL.{port}.lock"))] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("cannot remove stale {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
