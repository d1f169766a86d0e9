//! `apportion backup` and `apportion restore`: the database and the configuration as one file, and back.
//!
//! What streams hold is not in it: lines and resolutions lie in the archive of the database, and the rest is made again.
//! A restored database draws its generations from a new incarnation, so that nothing of the life before, in a stream or
//! in a process that is still at it, can pass for what it asked for.

mod archive;

use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use coordinator::{config, migrate};
use serde_json::json;

use crate::folder::DataFolder;
use crate::reach::Reach;
use crate::say::say;
use crate::servers::find::Places;
use crate::servers::{EmbeddedPostgres, PostgresOptions, dump};
use crate::store;
use archive::{Backup as File, CONFIG, Contents, DATABASE, FORMAT, Writer};

/// Most of a database is messages that are compressed already.
const LEVEL: i32 = 1;

/// `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write, or a folder for it
    #[arg(long, value_name = "FILE|DIR")]
    pub to: PathBuf,
    /// Leave the configuration out
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
    /// Which database, and whose configuration [default: the one in the current folder]
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The file that `apportion backup` wrote
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Folder for the configuration; it may name the database and the data folder [default: it is not unpacked]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// A new folder for the embedded servers' data; with DATABASE_URL an empty database is filled instead [default: the
    /// configuration's, else ./.apportion]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Backup {
    /// Writes it, while everything goes on.
    ///
    /// # Errors
    /// When there is no database or configuration, or the file cannot be written.
    pub fn run(self) -> Result<u8> {
        let target = self.target()?;
        let config = self.config()?;
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let (schema, server) = (store::schema_version(&mut view)?, store::server_major(&mut view)?);
        view.commit()?;
        let program = Places::of_system()?.dump(server)?;
        let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut writer = Writer::new(folder.unwrap_or(Path::new(".")))?;
        let made_at = now("%Y-%m-%dT%H:%M:%SZ");
        writer.add(DATABASE, |to| {
            let mut to = zstd::Encoder::new(to, LEVEL)?;
            dump::dump(&program, database.url(), &mut to)?;
            to.finish()?;
            Ok(())
        })?;
        for (name, bytes) in &config {
            writer.add(&format!("{CONFIG}{name}"), |to| Ok(to.write_all(bytes)?))?;
        }
        let contents = Contents {
            format: FORMAT,
            made_at,
            apportion: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            postgres: program.version.0,
            files: Default::default(),
        };
        let bytes = writer.finish(&target, contents)?;
        let (target, files) = (target.display().to_string(), config.len());
        say(&if self.json {
            format!("{}\n", json!({ "file": target, "bytes": bytes, "config_files": files }))
        } else {
            format!(
                "{target}: {bytes} bytes, the database and {files} files of the configuration\n"
            )
        })?;
        Ok(0)
    }

    fn target(&self) -> Result<PathBuf> {
        let target = match self.to.is_dir() {
            true => self.to.join(now("apportion-%Y%m%dT%H%M%SZ.backup")),
            false => self.to.clone(),
        };
        ensure!(
            !target.exists(),
            "{} is there already: name another file with --to, or a folder, where each backup has a name of its own",
            target.display()
        );
        Ok(target)
    }

    /// The files that the configuration was read from: bills, outputs and secrets of files are none of them.
    fn config(&self) -> Result<Vec<(String, Vec<u8>)>> {
        if self.no_config {
            return Ok(Vec::new());
        }
        let dir = self.reach.config.clone().unwrap_or_else(|| PathBuf::from("."));
        let files = config::files(&dir);
        ensure!(
            !files.is_empty(),
            "there is no configuration in {}: name its folder with --config, or give --no-config",
            dir.display()
        );
        let read = |path: PathBuf| {
            let inside =
                path.strip_prefix(&dir).map(|inside| inside.to_string_lossy().into_owned());
            let plain = |name: &String| {
                !Path::new(name).components().any(|part| part == Component::ParentDir)
            };
            let name = inside.ok().filter(plain).with_context(|| {
                format!(
                    "{} lies outside of {}: move it in, or back it up by other means and give --no-config",
                    path.display(),
                    dir.display()
                )
            })?;
            let bytes = std::fs::read(&path);
            Ok((name, bytes.with_context(|| format!("cannot read {}", path.display()))?))
        };
        files.into_iter().map(read).collect()
    }
}

/// The time in UTC.
fn now(form: &str) -> String {
    jiff::Timestamp::now().strftime(form).to_string()
}

impl Restore {
    /// Fills an empty data folder or database; everything of it, or nothing.
    ///
    /// # Errors
    /// When the backup is damaged or from a newer build, or something lies where it is to go.
    pub fn run(self) -> Result<u8> {
        let backup = File::open(&self.from)?;
        let Contents { schema, apportion, made_at, .. } = &backup.contents;
        ensure!(
            *schema <= migrate::newest(),
            "{} was made by Apportion {apportion}, which is newer than this one: restore it with that version",
            self.from.display()
        );
        let config = backup.config()?;
        if let Some(dir) = &self.config {
            ensure!(
                !config.is_empty(),
                "{} holds no configuration: leave --config out",
                self.from.display()
            );
            archive::unpack(&config, dir)?;
        }
        let (dates, incarnation, place) = self.fill(&backup)?;
        say(&if self.json {
            let document = json!({
                "made_at": made_at, "dates": dates, "incarnation": incarnation, "place": place,
            });
            format!("{document}\n")
        } else {
            let unpacked = match (&self.config, config.len()) {
                (Some(dir), files) => {
                    format!("{files} files of the configuration are in {}", dir.display())
                }
                (None, 0) => "it held no configuration".to_owned(),
                (None, files) => format!(
                    "{files} files of the configuration stay packed: --config DIR unpacks them"
                ),
            };
            format!(
                "restored {dates} visible dates of {made_at} into {place}, incarnation {incarnation}\n{unpacked}\n\
                 `apportion up` or `apportion run --once` goes on from here: dates are compared and emitted again where \
                 they differ, and bills that changed since are gathered again\n"
            )
        })?;
        Ok(0)
    }

    /// Number of visible dates, incarnation, and where it is.
    fn fill(&self, backup: &File) -> Result<(i64, i64, String)> {
        let (config, data_dir) = (self.config.clone(), self.data_dir.clone());
        let found = Reach { config, data_dir }.find()?;
        let given = found.database.filter(|_| found.pid.is_none() || is_given());
        if let Some(url) = given {
            let (dates, incarnation) = fill(backup, &url, "the database")?;
            return Ok((dates, incarnation, "the given database".to_owned()));
        }
        let place = format!("data folder {}", found.data_dir.display());
        let folder = DataFolder::hold(&found.data_dir)?;
        ensure!(
            !folder.nats().exists(),
            "{place} holds streams of another life: name a new folder with --data-dir, or move this one away"
        );
        let server = EmbeddedPostgres::start(&folder.postgres(), PostgresOptions::default())
            .with_context(|| format!("the Postgres of {place}"))?;
        let (dates, incarnation) = fill(backup, &server.url(), &place)?;
        Ok((dates, incarnation, place))
    }
}

/// Whether the environment names a database.
fn is_given() -> bool {
    std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty())
}

/// Fills an empty database and readies it for another life; number of visible dates, and incarnation.
fn fill(backup: &File, url: &str, place: &str) -> Result<(i64, i64)> {
    let mut client = store::connect(url)?;
    let mut view = store::view(&mut client)?;
    let (empty, server) = (store::is_empty(&mut view)?, store::server_major(&mut view)?);
    view.commit()?;
    ensure!(
        empty,
        "{place} holds tables of Apportion already. Restore into a new one (--data-dir NEW, or DATABASE_URL of an empty \
         database: createdb -E UTF8 -T template0 NAME); or, if nobody needs what is in it, drop them first: `drop schema \
         apportion cascade`"
    );
    migrate::check(&mut client)?;
    let made_by = backup.contents.postgres;
    ensure!(
        server >= made_by,
        "the backup comes from PostgreSQL {made_by}, and this server is {server}: restore into {made_by} or newer"
    );
    store::drop_empty_schema(&mut client)?;
    let program = Places::of_system()?.dump(server)?;
    let mut dump = zstd::Decoder::new(BufReader::new(backup.entry(DATABASE)?))?;
    dump::restore(&program, url, &mut dump).context("nothing was restored")?;
    migrate::migrate(url)?;
    let dates = store::begin_another_life(&mut client)?;
    Ok((dates, migrate::raise_incarnation(url)?))
}
