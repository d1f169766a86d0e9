//! `up` and `run --once`: data folder, servers, tables, roles, in this order; and back.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use ::coordinator::config::Settings;
use anyhow::{Context, Result, bail, ensure};
use backon::{BlockingRetryable, ConstantBuilder};

use crate::cli::Launch;
use crate::drill::Drill;
use crate::fleet::Fleet;
use crate::folder::{DataFolder, Running};
use crate::progress;
use crate::servers::find::Program;
use crate::servers::{
    self, EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions, forsaken,
};
use crate::shutdown::Shutdown;
use crate::summary::{Summary, Told};
use crate::supervise::{Backoff, Outcome, Role, Stage, Supervisor};
use crate::wiring::{self, Finished};

/// A run that must end gives up on a role that fails this often in a row.
const GIVE_UP_AFTER: u32 = 10;

/// Looks at the database of this URL, of whose run this is the summary.
pub type Look<'a> = &'a (dyn Fn(&str, &Summary) -> Result<()> + Sync);

/// How a `run --once` ends.
#[derive(Clone, Copy)]
pub struct Once<'a> {
    /// What is printed on stdout.
    pub told: Told,
    /// Accept quarantined lines.
    pub allow_quarantine: bool,
    /// A fault on purpose.
    pub drill: Option<&'a Drill>,
    /// Called when all is done, while the servers still run; once more where the database went away meanwhile.
    pub then: Option<Look<'a>>,
}

/// Runs everything; with `once` until the work is done, else until asked to stop. Returns the exit code.
pub fn launch(options: &Launch, once: Option<Once<'_>>) -> Result<u8> {
    let shutdown = Shutdown::on_signals()?;
    let config = config_folder(&options.config)?;
    // Before any server starts: most mistakes are made here.
    let settings = wiring::check(&config)?;
    let data_dir = options.data_dir.clone().or_else(|| settings.data_dir.clone());
    let folder = DataFolder::take(&data_dir.unwrap_or_else(|| PathBuf::from("./.apportion")))?;
    let echo = once.is_none();
    let servers = Servers::start(options, &settings, &folder)?;
    let urls = servers.urls();
    folder.announce(&urls)?;
    let run = wiring::new_run();
    let mut supervisor = Supervisor::new(Backoff::default(), once.map(|_| GIVE_UP_AFTER));
    servers.supervise(&mut supervisor);
    let migrated = supervisor.during(|| patiently(|| wiring::migrate(&urls.database_url)));
    migrated.context("cannot prepare the database")?;
    let fleet =
        Fleet { options, settings: &settings, config: &config, folder: &folder, urls: &urls };
    for recipe in fleet.recipes(&run, once.is_some())? {
        let coordinates = recipe.name().starts_with("coordinator");
        supervisor.add(Role::new(recipe), once.is_some() && coordinates)?;
    }
    if echo {
        eprintln!("running; Ctrl-C stops");
    }
    let watching = once.map(|_| progress::watch(&urls.database_url, &run));
    let outcome = match once.and_then(|once| once.drill) {
        None => supervisor.run_until(&shutdown)?,
        Some(drill) => std::thread::scope(|scope| {
            let (kill, kills) = channel();
            supervisor.kill_on(kills);
            let _watch = drill.watch(scope, (urls.database_url.clone(), run.clone()), kill);
            supervisor.run_until(&shutdown)
        })?,
    };
    drop(watching);
    let code = match (outcome, once) {
        (Outcome::Finished(code), Some(once)) => {
            let finished = Finished {
                database_url: &urls.database_url,
                config: &config,
                run: &run,
                code,
                told: once.told,
                allow_quarantine: once.allow_quarantine,
            };
            let told = supervisor.during(|| {
                let (code, summary) = patiently(|| wiring::summarise(&finished))?;
                let look = |look: Look<'_>| patiently(|| look(&urls.database_url, &summary));
                once.then.map_or(Ok(()), look)?;
                Ok(code)
            });
            told.context("cannot summarise the run")
        }
        (Outcome::Finished(code), None) => Ok(code),
        (Outcome::Interrupted, None) => Ok(0),
        // Asked to stop before the work was done.
        (Outcome::Interrupted, Some(_)) => Ok(130),
        (Outcome::Failed(why), _) => {
            Err(anyhow::anyhow!("{why}\n(logs: {})", folder.path().join("logs").display()))
        }
    };
    if shutdown.requested() {
        eprintln!("stopping; once more stops at once");
    }
    supervisor.stop(&shutdown)?;
    code
}

/// Tries again while the database restarts; what does not heal in half a minute is an error.
fn patiently<T>(work: impl FnMut() -> Result<T>) -> Result<T> {
    let pauses =
        ConstantBuilder::default().with_delay(Duration::from_millis(250)).with_max_times(120);
    work.retry(pauses).when(is_transient).call()
}

/// Whether the database went away or is just coming.
fn is_transient(error: &anyhow::Error) -> bool {
    let database = error.chain().find_map(|cause| cause.downcast_ref::<postgres::Error>());
    // Classes: 08 connection, 53 resources, 57 operator intervention; no code: the connection itself.
    database.is_some_and(|e| e.code().is_none_or(|c| matches!(&c.code()[..2], "08" | "53" | "57")))
}

fn config_folder(path: &Path) -> Result<PathBuf> {
    let found = path
        .canonicalize()
        .with_context(|| format!("configuration folder {} cannot be found", path.display()))?;
    ensure!(
        found.is_dir(),
        "configuration {} is no folder: name the folder with `tenants/`",
        path.display()
    );
    Ok(found)
}

/// The two servers of this run, ours or given.
struct Servers {
    nats: Given<EmbeddedNats>,
    postgres: Given<EmbeddedPostgres>,
}

enum Given<T> {
    Url(String),
    Embedded(Box<T>),
}

impl Servers {
    /// Both at once: the first start of Postgres takes a while.
    fn start(options: &Launch, settings: &Settings, folder: &DataFolder) -> Result<Self> {
        let given = settings.environment();
        std::thread::scope(|scope| {
            let nats = scope.spawn(|| start_nats(options, &given, folder));
            let postgres = start_postgres(options, &given, folder)?;
            match nats.join() {
                Ok(nats) => Ok(Self { nats: nats?, postgres }),
                Err(_) => bail!("starting nats-server panicked"),
            }
        })
    }

    fn urls(&self) -> Running {
        Running {
            pid: std::process::id(),
            nats_url: match &self.nats {
                Given::Url(url) => url.clone(),
                Given::Embedded(server) => server.url(),
            },
            database_url: match &self.postgres {
                Given::Url(url) => url.clone(),
                Given::Embedded(server) => server.url(),
            },
        }
    }

    fn supervise(self, supervisor: &mut Supervisor) {
        if let Given::Embedded(server) = self.postgres {
            supervisor.adopt(Stage::Store, *server);
        }
        if let Given::Embedded(server) = self.nats {
            supervisor.adopt(Stage::Bus, *server);
        }
    }
}

fn start_nats(
    options: &Launch,
    given: &Configured,
    folder: &DataFolder,
) -> Result<Given<EmbeddedNats>> {
    if let Some(url) = given_url("NATS_URL", given)? {
        ensure!(
            options.nats_port.is_none(),
            "--nats-port is for the embedded nats-server, but NATS_URL names another: leave one out"
        );
        eprintln!("{} (NATS_URL)", servers::given::check_nats(&url)?);
        return Ok(Given::Url(url));
    }
    let settings = NatsOptions {
        port: options.nats_port,
        log: folder.log("nats", false),
        throwaway: options.throwaway,
        ..NatsOptions::default()
    };
    let server = EmbeddedNats::start(&folder.nats(), settings).context("embedded nats-server")?;
    say("nats-server", server.program(), &server.address());
    Ok(Given::Embedded(Box::new(server)))
}

fn start_postgres(
    options: &Launch,
    given: &Configured,
    folder: &DataFolder,
) -> Result<Given<EmbeddedPostgres>> {
    if let Some(url) = given_url("DATABASE_URL", given)? {
        ensure!(
            options.postgres_port.is_none(),
            "--postgres-port is for the embedded Postgres, but DATABASE_URL names another: leave one out"
        );
        eprintln!("{} (DATABASE_URL)", servers::given::check_database(&url)?);
        return Ok(Given::Url(url));
    }
    let settings = PostgresOptions {
        port: options.postgres_port,
        log: folder.log("postgres", false),
        throwaway: options.throwaway,
        ..PostgresOptions::default()
    };
    let server =
        EmbeddedPostgres::start(&folder.postgres(), settings).context("embedded Postgres")?;
    say("PostgreSQL", server.program(), &server.address());
    if server.home() != folder.postgres() {
        eprintln!(
            "  its data: {} (its user cannot reach {})",
            server.home().display(),
            folder.path().display()
        );
    }
    for (home, dir) in forsaken() {
        eprintln!(
            "  {} belonged to {}, which has gone: remove it when it is not needed",
            home.display(),
            dir.display()
        );
    }
    Ok(Given::Embedded(Box::new(server)))
}

fn say(name: &str, program: &Program, address: &str) {
    eprintln!(
        "{name} {} at {address} ({}: {})",
        program.version,
        program.origin,
        program.path.display()
    );
}

/// What `apportion.yaml` sets, as environment variables.
type Configured = [(&'static str, String)];

/// The environment goes before `apportion.yaml`.
fn given_url(name: &str, configured: &Configured) -> Result<Option<String>> {
    match env::var(name) {
        Ok(url) if !url.is_empty() => Ok(Some(url)),
        Ok(_) | Err(env::VarError::NotPresent) => {
            Ok(configured.iter().find(|(known, _)| *known == name).map(|(_, url)| url.clone()))
        }
        Err(env::VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
    }
}
