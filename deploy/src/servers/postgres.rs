//! The embedded Postgres: unix socket in a private folder, everything synced, one address for life.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use postgres::{Client, NoTls};

use super::cluster::{Home, NAME};
use super::find::{Places, Program};
use super::stuck::Stuck;
use super::{is_free, orphans, require_free, socket};
use crate::process::log::Log;
use crate::process::{Process, Recipe, describe};
use crate::supervise::{Ending, Service};

/// Crash recovery after `kill -9` in the middle of a big load can take a while.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// The port number in the socket's name where no TCP port is wanted.
const SOCKET_PORT: u16 = 5432;

/// Durable (`fsync` and `full_page_writes` stay on, as they are by default), modest in memory, few checkpoints
/// while loading.
const SETTINGS: [&str; 15] = [
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=128MB",
    "max_connections=100",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "work_mem=16MB",
    "maintenance_work_mem=128MB",
    "jit=off",
    // A new database has no statistics, and is planned for as if it stayed empty: for ten seconds, not for a minute.
    "autovacuum_naptime=10s",
    "timezone=UTC",
    "log_timezone=UTC",
    "lc_messages=C",
    "logging_collector=off",
    "log_line_prefix=%m [%p] ",
];

/// Where nobody minds a damaged database after a power loss. A killed process harms it as little as ever.
const THROWAWAY: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// How to start it. The default: the newest major found, unix socket only.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// The folder with `initdb` and `postgres` instead of searching.
    pub programs: Option<PathBuf>,
    /// This major for a new database instead of the newest.
    pub major: Option<u64>,
    /// Also listens on this port of 127.0.0.1, with a password (file `password` in its folder).
    pub port: Option<u16>,
    /// Where its output goes.
    pub log: Log,
    /// What it holds is thrown away soon: a power loss may damage it, which is faster.
    pub throwaway: bool,
}

/// A running Postgres that is ours. It keeps its address for life, over restarts; dropping it stops the server.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    program: Program,
    home: Home,
    socket: PathBuf,
    port: Option<u16>,
    log: Log,
    throwaway: bool,
    process: Option<Process>,
    stuck: Stuck,
}

impl EmbeddedPostgres {
    /// Starts a server over `dir` (made, with database `apportion` in it, when missing) and waits until it
    /// answers.
    pub fn start(dir: &Path, options: PostgresOptions) -> Result<Self> {
        let home = Home::of(dir)?;
        let places = Places::of_system()?.with(None, options.programs.as_deref());
        let program = home.programs(&places, options.major)?;
        if let Some(port) = options.port {
            require_free(port, "--postgres-port")?;
        }
        let socket = socket::folder(&home.folder, home.account.as_ref())?;
        let PostgresOptions { port, log, throwaway, .. } = options;
        let mut server = Self {
            program,
            home,
            socket,
            port,
            log,
            throwaway,
            process: None,
            stuck: Stuck::default(),
        };
        server.await_gone()?;
        server.home.initialise(&server.program, &server.log, throwaway)?;
        server.respawn()?;
        server.await_ready()?;
        server.ensure_database(NAME)?;
        Ok(server)
    }

    /// URL of database `apportion`, over the unix socket.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// URL of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        let folder = encode(&self.socket.to_string_lossy());
        format!("postgresql://{NAME}@{folder}:{}/{}", self.socket_port(), encode(database))
    }

    /// The unix socket that it listens at.
    pub fn socket(&self) -> PathBuf {
        self.socket.join(format!(".s.PGSQL.{}", self.socket_port()))
    }

    /// Where people can connect to it.
    pub fn address(&self) -> String {
        match self.port {
            Some(port) => format!("{} and 127.0.0.1:{port}", self.socket.display()),
            None => self.socket.display().to_string(),
        }
    }

    /// Makes an empty UTF8 database if it is missing, and says its URL.
    pub fn ensure_database(&self, name: &str) -> Result<String> {
        self.query(|client| {
            if client.query_opt("select 1 from pg_database where datname = $1", &[&name])?.is_none()
            {
                let quoted = name.replace('"', "\"\"");
                client.batch_execute(&format!(
                    "create database \"{quoted}\" encoding 'UTF8' template template0"
                ))?;
            }
            Ok(())
        })?
        .with_context(|| format!("cannot make database {name}"))?;
        Ok(self.url_of(name))
    }

    /// Which programs run (the folder).
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The process id of the postmaster while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The folder that holds `data`; not below the given folder where the server's user could not reach that.
    pub fn home(&self) -> &Path {
        &self.home.folder
    }

    /// Kills the postmaster with SIGKILL, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts it again (after stopping it where it runs) at the same address, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.await_gone()?;
        self.respawn()?;
        self.await_ready()
    }

    /// Stops it in good order: open sessions are ended, everything is written.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let Ending { signal, grace } = self.ending();
            process.stop(signal, grace)?;
        }
        // Where the postmaster was killed, its backends may still be busy.
        if is_free(&self.home.lock())? { Ok(()) } else { orphans::end(&self.home) }
    }

    fn socket_port(&self) -> u16 {
        self.port.unwrap_or(SOCKET_PORT)
    }

    /// Waits until no process of an earlier server is left over this folder.
    fn await_gone(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !is_free(&self.home.lock())? {
            orphans::end(&self.home)?;
            ensure!(
                Instant::now() < deadline,
                "another Postgres still runs over {}: stop it first",
                self.home.folder.display()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let process = self.process.as_mut().context("Postgres does not run")?;
            if let Some(status) = process.exited()? {
                bail!("Postgres did not start ({}):\n{}", describe(status), process.last_words());
            }
            let Err(error) = self.query(|_| Ok(()))? else { return Ok(()) };
            if Instant::now() > deadline {
                let tail = self.process.as_ref().map(Process::tail).unwrap_or_default();
                return Err(error).with_context(|| {
                    format!("Postgres is not ready after {} s:\n{tail}", READY_LIMIT.as_secs())
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One short session in database `postgres`. On a thread of its own, because this client must not be used
    /// on a thread that already runs async code.
    fn query(
        &self,
        work: impl FnOnce(&mut Client) -> Result<(), postgres::Error> + Send,
    ) -> Result<Result<(), postgres::Error>> {
        let url = self.url_of("postgres");
        std::thread::scope(|scope| {
            let session = || work(&mut Client::connect(&url, NoTls)?);
            scope.spawn(session).join().map_err(|_| anyhow::anyhow!("the Postgres client panicked"))
        })
    }
}

impl Service for EmbeddedPostgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn respawn(&mut self) -> Result<()> {
        self.process = None;
        if !is_free(&self.home.lock())? {
            orphans::end(&self.home)?;
            ensure!(is_free(&self.home.lock())?, "processes of the dead Postgres are still ending");
        }
        orphans::remove_files(&self.home, &self.socket, self.socket_port())?;
        let listen = if self.port.is_some() { "127.0.0.1" } else { "" };
        let mut socket = OsString::from("unix_socket_directories=");
        socket.push(&self.socket);
        let mut recipe = Recipe::new("postgres", self.program.path.join("postgres"))
            .arg("-D")
            .arg(self.home.data())
            .arg("-c")
            .arg(socket)
            .arg("-c")
            .arg(format!("port={}", self.socket_port()))
            .arg("-c")
            .arg(format!("listen_addresses={listen}"));
        // Of one setting given twice the later counts.
        for setting in
            SETTINGS.iter().chain(self.throwaway.then_some(&THROWAWAY).into_iter().flatten())
        {
            recipe = recipe.arg("-c").arg(setting);
        }
        if self.program.version.0 >= 18 {
            // One that is killed while the server starts up again is never replaced, and reads wait for ever.
            recipe = recipe.arg("-c").arg("io_method=sync");
        }
        // Immediate shutdown at our death: SIGINT would wait for a checkpoint that may take long.
        let recipe = recipe
            .account(self.home.account.clone())
            .on_parent_death(Signal::SIGQUIT)
            .lock(self.home.lock())
            .cwd("/")
            .log(self.log.clone());
        self.process = Some(recipe.spawn()?);
        self.stuck = Stuck::default();
        Ok(())
    }

    fn is_stuck(&mut self) -> bool {
        self.pid().is_some_and(|pid| self.stuck.is(pid))
    }

    fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    fn ending(&self) -> Ending {
        Ending { signal: Signal::SIGINT, grace: Duration::from_secs(30) }
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!("cannot stop Postgres: {error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.socket) {
            tracing::warn!(folder = %self.socket.display(), "cannot remove the socket folder: {error}");
        }
    }
}

/// Percent-encodes what may not stand in a URL's host or path.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_encoded_for_the_url() {
        assert_eq!(encode("/tmp/a b-1_c.d"), "%2Ftmp%2Fa%20b-1_c.d");
    }

    #[test]
    fn durability_is_never_switched_off() {
        assert!(SETTINGS.contains(&"fsync=on") && SETTINGS.contains(&"synchronous_commit=on"));
        assert!(!SETTINGS.iter().any(|setting| setting.starts_with("full_page_writes")));
    }
}
