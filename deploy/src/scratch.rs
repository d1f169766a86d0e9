//! A temporary folder for commands that run the whole pipeline for one answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A temporary folder for configuration and data, with what Postgres keeps elsewhere.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Makes one for the command `name`.
    ///
    /// # Errors
    /// When the system's temporary folder cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let made = tempfile::Builder::new().prefix(&format!("apportion-{name}-")).tempdir();
        let made = made.context("cannot make a temporary folder")?;
        if nix::unistd::geteuid().is_root() {
            // The account that root's Postgres runs as passes through, and sees nothing on the way.
            fs::set_permissions(made.path(), fs::Permissions::from_mode(0o711))?;
        }
        Ok(Self(made))
    }

    /// For the configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.path().join("config")
    }

    /// For the data: servers, logs.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Leaves it there, since its logs say more; what to tell about it.
    #[must_use]
    pub fn keep(mut self) -> String {
        self.0.disable_cleanup(true);
        format!("{} is kept", self.0.path().display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let home = fs::read_to_string(self.data().join("postgres/location"));
        if let Ok(home) = home
            && self.0.path().exists()
            && let Err(error) = fs::remove_dir_all(home.trim_end())
        {
            eprintln!("{} is left over and can be removed: {error}", home.trim_end());
        }
    }
}
