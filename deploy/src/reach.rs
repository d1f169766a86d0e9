//! Which database and NATS a command speaks to.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use postgres::Client;

use crate::configuration;
use crate::folder::DataFolder;
use crate::servers::{EmbeddedPostgres, PostgresOptions};
use crate::store;

/// How a command finds the database.
#[derive(Debug, Args)]
pub struct Reach {
    /// Folder whose `apportion.yaml` names the database and the data folder
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Folder of the embedded servers' data [default: the configuration's, else ./.apportion]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The data folder that was looked at.
    pub data_dir: PathBuf,
    /// The database, if one is known.
    pub database: Option<String>,
    /// NATS, if it is known.
    pub nats: Option<String>,
    /// Process id of what runs over the data folder.
    pub pid: Option<u32>,
}

/// A database that answers; where nothing ran over the data folder, its Postgres runs as long as this lives.
pub struct Served {
    /// How to connect to it.
    pub url: String,
    // In this order: the server is stopped before somebody else may have the folder.
    _server: Option<EmbeddedPostgres>,
    _folder: Option<DataFolder>,
}

/// A database with our tables.
pub struct Database {
    /// Connected.
    pub client: Client,
    served: Served,
}

impl Database {
    /// How to connect to it once more.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.served.url
    }
}

impl Reach {
    /// `DATABASE_URL` comes first, then what runs over the data folder, then the configuration; NATS likewise.
    ///
    /// # Errors
    /// When the configuration cannot be read, or the data folder not be looked at.
    pub fn find(&self) -> Result<Found> {
        let settings = self.config.as_deref().map(configuration::load).transpose()?;
        let settings = settings.map(|config| config.settings);
        let data_dir = self.data_dir.clone().or_else(|| settings.as_ref()?.data_dir.clone());
        let data_dir = data_dir.unwrap_or_else(|| PathBuf::from("./.apportion"));
        let given = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
        let running = DataFolder::running(&data_dir)?;
        let named =
            |url: Option<&coordinator::config::Secret>| url.map(|url| url.reveal().to_owned());
        let database = given("DATABASE_URL")
            .or_else(|| running.as_ref().map(|running| running.database_url.clone()))
            .or_else(|| named(settings.as_ref()?.postgres.url.as_ref()));
        let nats = given("NATS_URL")
            .or_else(|| running.as_ref().map(|running| running.nats_url.clone()))
            .or_else(|| named(settings.as_ref()?.nats.url.as_ref()));
        Ok(Found { data_dir, database, nats, pid: running.map(|running| running.pid) })
    }

    /// That database; where none is known, the data folder's own Postgres is started for the time.
    ///
    /// # Errors
    /// When there is none, or the folder's own does not start.
    pub fn served(&self) -> Result<Served> {
        let Found { data_dir, database, .. } = self.find()?;
        if let Some(url) = database {
            return Ok(Served { url, _server: None, _folder: None });
        }
        ensure!(
            data_dir.join("postgres").exists(),
            "there is no database: {} holds none. Name the folder of a run with --data-dir, or a database with \
             DATABASE_URL, such as postgresql://USER:PASSWORD@HOST/NAME",
            data_dir.display()
        );
        let folder = DataFolder::hold(&data_dir)?;
        let server = EmbeddedPostgres::start(&folder.postgres(), PostgresOptions::default())
            .with_context(|| format!("the Postgres of {}", data_dir.display()))?;
        Ok(Served { url: server.url(), _server: Some(server), _folder: Some(folder) })
    }

    /// Connects to that database.
    ///
    /// # Errors
    /// When there is none, it does not answer, or it has no tables of ours.
    pub fn database(&self) -> Result<Database> {
        let served = self.served()?;
        let mut client = store::connect(&served.url)?;
        let version = store::schema_version(&mut store::view(&mut client)?)?;
        ensure!(
            version >= coordinator::migrate::newest(),
            "the database lacks tables of this version: `apportion migrate` with its DATABASE_URL or --data-dir makes \
             them, and so does `apportion up` or `apportion run`"
        );
        Ok(Database { client, served })
    }
}
