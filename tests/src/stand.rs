//! A folder of its own for each test, and runs of the program over it.
//!
//! ```text
//! <temporary>/config/           apportion.yaml, tenants/, bills/, out/csv/
//! <temporary>/data/             the data folder: servers' data, logs
//! <temporary>/output-N, said-N  what the runs wrote to stdout and stderr
//! ```
//!
//! A test that passes leaves nothing; one that fails keeps the folder and says where it is.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apportion::folder::DataFolder;
use apportion::servers::{EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions};
use nix::sys::signal::Signal;
use postgres::{Client, NoTls};
use serde_json::Value;
use tempfile::TempDir;

use crate::{processes, program};

/// A run that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// See the module.
pub struct Stand {
    root: TempDir,
    servers: Option<Servers>,
    impatient: bool,
}

struct Servers {
    nats: EmbeddedNats,
    postgres: EmbeddedPostgres,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// The JSON document on stdout; null where there is none.
    pub summary: Value,
    /// What it wrote to stderr.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

impl Stand {
    /// An empty one; runs use servers of their own, embedded in the data folder.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix(&format!("apportion-{name}-")).tempdir();
        let root = root.expect("a temporary folder");
        // Open to the account that Postgres runs as when we are root, so that all data stay in here.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.path(), open).expect("the folder is ours");
        let stand = Self { root, servers: None, impatient: false };
        fs::create_dir_all(stand.config().join("tenants")).expect("the folder is ours");
        stand
    }

    /// An empty one whose runs are given servers that outlive them: a nats-server, and a Postgres of that major
    /// (`None`: the one that embedding prefers).
    ///
    /// # Errors
    /// When a server cannot be started, for example because that major is not on this machine.
    pub fn with_servers(name: &str, major: Option<u64>) -> Result<Self> {
        let mut stand = Self::new(name);
        // The servers' guard is the program, too.
        program::apportion();
        let folder = stand.root.path().join("servers");
        fs::create_dir(&folder)?;
        let nats = EmbeddedNats::start(&folder.join("nats"), NatsOptions::default())?;
        let options = PostgresOptions { major, ..PostgresOptions::default() };
        let postgres = EmbeddedPostgres::start(&folder.join("postgres"), options)?;
        stand.servers = Some(Servers { nats, postgres });
        Ok(stand)
    }

    /// Its runs try again at once what failed, and so give up in a second what is away.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    /// The configuration folder.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.path().join("config")
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Where the tenants' CSV files go, when their emitter's `dir` is `out/csv`.
    #[must_use]
    pub fn csv(&self) -> PathBuf {
        self.config().join("out/csv")
    }

    /// Writes a file of the configuration folder, with the folders above it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.config().join(name);
        let folder = path.parent().expect("it lies in the configuration folder");
        fs::create_dir_all(folder).expect("the folder is ours");
        fs::write(&path, contents).expect("the file is ours");
    }

    /// Removes a file of the configuration folder.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.config().join(name)).expect("the file is there");
    }

    /// The given Postgres, to be stopped and started.
    ///
    /// # Errors
    /// When runs use servers of their own.
    pub fn postgres(&mut self) -> Result<&mut EmbeddedPostgres> {
        let servers = self.servers.as_mut().context("no servers are given")?;
        Ok(&mut servers.postgres)
    }

    /// Removes everything that NATS keeps. No run may be under way.
    ///
    /// # Errors
    /// When there is nothing to remove, or the given server does not restart.
    pub fn wipe_nats(&mut self) -> Result<()> {
        match &mut self.servers {
            Some(servers) => {
                servers.nats.stop()?;
                let folder = self.root.path().join("servers/nats");
                fs::remove_dir_all(&folder)?;
                servers.nats = EmbeddedNats::start(&folder, NatsOptions::default())?;
            }
            None => fs::remove_dir_all(self.data().join("nats"))?,
        }
        Ok(())
    }

    /// `apportion run --once --json` with these arguments besides, to its end.
    ///
    /// # Panics
    /// When it hangs, cannot be started, or writes anything but one JSON document to stdout.
    pub fn run_once(&self, more: &[&str]) -> Finished {
        let started = Instant::now();
        let mut run = self.start(&[&["run", "--once", "--json"], more].concat());
        let status = run.end(PATIENCE).expect("the run ends");
        let said = run.said();
        let summary = match run.output().trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("stdout holds one JSON document"),
        };
        Finished { code: status.code().unwrap_or(-1), summary, said, took: started.elapsed() }
    }

    /// Any other command, to its end: its exit code, and what it wrote to stdout.
    ///
    /// # Panics
    /// When it hangs or cannot be started, or fails without a word on stdout.
    #[must_use]
    pub fn ask(&self, args: &[&str]) -> (i32, String) {
        let mut run = self.start(args);
        let status = run.end(PATIENCE).expect("the command ends");
        let output = run.output();
        assert!(status.success() || !output.is_empty(), "{args:?}: {}", run.said());
        (status.code().unwrap_or(-1), output)
    }

    /// The same for a command whose stdout holds one JSON document.
    ///
    /// # Panics
    /// When it holds anything else.
    #[must_use]
    pub fn ask_json(&self, args: &[&str]) -> (i32, Value) {
        let (code, output) = self.ask(args);
        let document = serde_json::from_str(&output);
        (code, document.unwrap_or_else(|error| panic!("{args:?}: {error}: {output}")))
    }

    /// Starts the program in the background.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&self, args: &[&str]) -> Started {
        let number = fs::read_dir(self.root.path()).expect("the folder is ours").count();
        let at = |name: &str| self.root.path().join(format!("{name}-{number}"));
        let file = |name: &str| fs::File::create(at(name)).expect("the folder is ours");
        let mut command = Command::new(program::apportion());
        command
            .args(args)
            .arg("--config")
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data())
            .current_dir(self.root.path())
            .env_remove("APPORTION_EXE")
            .env_remove("NATS_URL")
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(file("output"))
            .stderr(file("said"));
        if self.impatient {
            command.env("APPORTION_RETRY_PAUSE_MS", "5");
        }
        if let Some(servers) = &self.servers {
            command.env("NATS_URL", servers.nats.url());
            command.env("DATABASE_URL", servers.postgres.url());
        }
        let child = command.spawn().expect("the program starts");
        Started { child, output: at("output"), said: at("said"), ended: false }
    }

    /// Asks the database: the one of a run under way, else the given one, else the data folder's own, which is started
    /// for the time.
    ///
    /// # Errors
    /// When there is none, or it fails.
    pub fn database<T>(&self, ask: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
        if let Some(running) = DataFolder::running(&self.data())? {
            return ask(&mut Client::connect(&running.database_url, NoTls)?);
        }
        if let Some(servers) = &self.servers {
            return ask(&mut Client::connect(&servers.postgres.url(), NoTls)?);
        }
        let folder = self.data().join("postgres");
        ensure!(folder.is_dir(), "no run has made a database in {}", self.data().display());
        let mut server = EmbeddedPostgres::start(&folder, PostgresOptions::default())?;
        let answer =
            Client::connect(&server.url(), NoTls).map_err(Into::into).and_then(|mut c| ask(&mut c));
        server.stop()?;
        answer
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // The servers first, whatever becomes of their folders.
        self.servers = None;
        if std::thread::panicking() {
            self.root.disable_cleanup(true);
            eprintln!("the test's files are kept in {}", self.root.path().display());
            return;
        }
        if let Ok(home) = fs::read_to_string(self.data().join("postgres/location")) {
            remove(Path::new(home.trim()));
        }
    }
}

/// Removes a folder of a test that passed, or says that it stays.
fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("cannot remove {}: {error}", folder.display());
    }
}

/// A started program. Killed when dropped before its end.
pub struct Started {
    child: Child,
    output: PathBuf,
    said: PathBuf,
    ended: bool,
}

impl Started {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn said(&self) -> String {
        read(&self.said)
    }

    /// What it wrote to stdout so far.
    #[must_use]
    pub fn output(&self) -> String {
        read(&self.output)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid())?;
        ensure!(!self.ended && processes::signal(pid, signal), "process {pid} has ended");
        Ok(())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it does not, in that time: with what it said.
    pub fn end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().context("it is our child")? {
                self.ended = true;
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("still running after {patience:?}; it said:\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until something holds while it runs.
    ///
    /// # Errors
    /// When it does not come about, or the program ends before: with what it said.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(self) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                bail!("it ended with {status} before {what}; it said:\n{}", self.said());
            }
            ensure!(
                Instant::now() < deadline,
                "waited in vain until {what}; it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            eprintln!("cannot end process {}: {error}", self.child.id());
        }
    }
}

fn read(path: &Path) -> String {
    let mut text = Vec::new();
    let done = fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text));
    if let Err(error) = done {
        return format!("({}: {error})", path.display());
    }
    String::from_utf8_lossy(&text).into_owned()
}
