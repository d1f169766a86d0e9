//! One Postgres for all cases: each gets a database of its own, copied from one that was migrated once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use apportion::servers::{EmbeddedPostgres, PostgresOptions};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::program;

const TEMPLATE: &str = "template_of_cases";

/// See the module.
pub struct Ground {
    /// Cases are to be short: they run every day.
    pub everyday: bool,
    postgres: EmbeddedPostgres,
    number: AtomicU32,
    _root: TempDir,
}

/// A temporary folder, open to the account that Postgres runs as when we are root.
///
/// # Errors
/// When it cannot be made.
pub fn folder(name: &str) -> Result<TempDir> {
    let root = tempfile::Builder::new().prefix(&format!("apportion-fault-{name}-")).tempdir()?;
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
    Ok(root)
}

/// A database and where it is reached.
pub struct Database {
    /// Its URL.
    pub url: String,
    /// Its name.
    pub name: String,
    /// The socket of its server.
    pub socket: PathBuf,
}

impl Ground {
    /// Starts the server and migrates a first database.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(everyday: bool) -> Result<Self> {
        // The servers' guard is the program, too.
        program::apportion();
        let root = folder("ground")?;
        let postgres = EmbeddedPostgres::start(root.path(), PostgresOptions::default())?;
        let url = postgres.ensure_database(TEMPLATE)?;
        coordinator::migrate::migrate(&url)?;
        Ok(Self { everyday, postgres, number: AtomicU32::new(0), _root: root })
    }

    /// A connection to the server, not to a database of a case.
    ///
    /// # Errors
    /// When there is none.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.postgres.url(), NoTls).context("a connection of the test")
    }

    /// A migrated database that nobody used.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self) -> Result<Database> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let name = format!("case_{number}");
        let mut client = Client::connect(&self.postgres.url(), NoTls)?;
        let sql = format!("create database {name} template {TEMPLATE}");
        client.batch_execute(&sql).context("copy the migrated database")?;
        Ok(Database { url: self.postgres.url_of(&name), name, socket: self.postgres.socket() })
    }
}
