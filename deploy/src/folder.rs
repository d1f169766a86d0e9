//! The data folder: one `apportion` at a time, and where everything in it lies.
//!
//! ```text
//! <data>/lock        held while an apportion uses the folder; names its process id
//! <data>/run.json    while it runs: process id and the servers' URLs (secret, 0600)
//! <data>/nats/       embedded nats-server      <data>/postgres/  embedded Postgres
//! <data>/logs/       one file per child, and its predecessor
//! ```

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::process::account::{make_folder, write_private};
use crate::process::guard::open_lock;
use crate::process::log::{Log, rotate};

/// Where to reach a running pipeline.
#[derive(Debug, Serialize, Deserialize)]
pub struct Running {
    /// Process id of the supervising parent.
    pub pid: u32,
    /// `NATS_URL` of its roles.
    pub nats_url: String,
    /// `DATABASE_URL` of its roles.
    pub database_url: String,
}

/// A data folder that this process has for itself, until dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Has the folder (made when missing) for itself.
    pub fn hold(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make data folder {}", path.display()))?;
        let path = path.canonicalize()?;
        let lock = Self::lock(&path)?;
        let folder = Self { path, _lock: lock };
        // One that was killed still announces servers that are gone.
        folder.silence()?;
        Ok(folder)
    }

    /// The same, and moves the logs of the run before aside.
    pub fn take(path: &Path) -> Result<Self> {
        let folder = Self::hold(path)?;
        make_folder(&folder.logs(), 0o700, None)?;
        for entry in fs::read_dir(folder.logs())? {
            let log = entry?.path();
            if log.extension().is_some_and(|extension| extension == "log") {
                rotate(&log).with_context(|| format!("cannot move {} aside", log.display()))?;
            }
        }
        Ok(folder)
    }

    fn lock(path: &Path) -> Result<File> {
        let mut lock = open_lock(&path.join("lock"))?;
        // Somebody who only looks whether the folder is in use holds it for a moment.
        let deadline = Instant::now() + Duration::from_millis(300);
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    lock.read_to_string(&mut holder)?;
                    bail!(
                        "data folder {} is in use by pid {}: stop that apportion first, or choose another folder with \
                         --data-dir",
                        path.display(),
                        if holder.trim().is_empty() { "unknown" } else { holder.trim() }
                    );
                }
                Err(fs::TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("cannot lock data folder {}", path.display()));
                }
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        write!(lock, "{}", std::process::id())?;
        Ok(lock)
    }

    /// The folder itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of the embedded nats-server.
    pub fn nats(&self) -> PathBuf {
        self.path.join("nats")
    }

    /// Of the embedded Postgres.
    pub fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The log of one child.
    pub fn log(&self, child: &str, echo: bool) -> Log {
        Log { file: Some(self.logs().join(format!("{child}.log"))), echo }
    }

    /// Tells others where the pipeline can be reached.
    pub fn announce(&self, running: &Running) -> Result<()> {
        write_private(&self.path.join("run.json"), &serde_json::to_string_pretty(running)?, None)
    }

    fn silence(&self) -> Result<()> {
        let file = self.path.join("run.json");
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The pipeline that runs over `path`, if one does.
    pub fn running(path: &Path) -> Result<Option<Running>> {
        if !path.join("lock").is_file() {
            return Ok(None);
        }
        let free = match open_lock(&path.join("lock"))?.try_lock() {
            Ok(()) => true,
            Err(fs::TryLockError::WouldBlock) => false,
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).context("cannot try the lock");
            }
        };
        let file = path.join("run.json");
        if free || !file.is_file() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{} is damaged", file.display()))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Err(error) = self.silence() {
            tracing::warn!("{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_names_its_holder_and_is_free_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/data");
        let held = DataFolder::take(&path).unwrap();
        let message = format!("{:#}", DataFolder::take(&path).unwrap_err());
        assert!(message.contains(&format!("is in use by pid {}", std::process::id())), "{message}");
        assert!(message.contains("data folder ") && message.contains("--data-dir"), "{message}");
        drop(held);
        DataFolder::take(&path).unwrap();
    }

    #[test]
    fn who_runs_is_announced_while_it_runs_only() {
        let root = tempfile::tempdir().unwrap();
        assert!(DataFolder::running(root.path()).unwrap().is_none());
        let held = DataFolder::take(root.path()).unwrap();
        let running =
            Running { pid: 1, nats_url: "nats://x".into(), database_url: "postgresql://y".into() };
        held.announce(&running).unwrap();
        assert_eq!(DataFolder::running(root.path()).unwrap().unwrap().nats_url, "nats://x");
        drop(held);
        assert!(DataFolder::running(root.path()).unwrap().is_none());
        // What a killed one left is not believed of the next one, which announces nothing.
        let left = serde_json::to_string(&running).unwrap();
        fs::write(root.path().join("run.json"), left).unwrap();
        let _held = DataFolder::hold(root.path()).unwrap();
        assert!(DataFolder::running(root.path()).unwrap().is_none());
    }

    #[test]
    fn logs_of_the_run_before_are_kept_once() {
        let root = tempfile::tempdir().unwrap();
        drop(DataFolder::take(root.path()).unwrap());
        fs::write(root.path().join("logs/nats.log"), "old").unwrap();
        drop(DataFolder::take(root.path()).unwrap());
        assert_eq!(fs::read_to_string(root.path().join("logs/nats.log.1")).unwrap(), "old");
        assert!(!root.path().join("logs/nats.log").exists());
    }
}
