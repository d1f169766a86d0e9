//! The roles of a case, each a process that is started, armed, tended and counted by itself.
//!
//! ```text
//! <temporary>/config/  tenants/, bills/, out/csv/
//! <temporary>/logs/    what each role said
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use apportion::process::log::Log;
use apportion::process::{Process, Recipe, describe};
use apportion::servers::{EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions};
use nix::sys::signal::Signal;
use postgres::{Client, NoTls};
use tempfile::TempDir;

use super::ground::{self, Database, Ground};
use super::invariants;
use super::oracle::{Bill, COST, Oracle};
use super::reader::Reader;
use super::role::{Role, With};
use crate::program;
use crate::world;

/// What takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Looks for processes that ended, and whether what is waited for came about.
const POLL: Duration = Duration::from_millis(10);

/// See the module.
pub struct Rig {
    // In this order they end: what uses a server before it, and every folder after what is in it.
    roles: Vec<Role>,
    reader: Option<Reader>,
    /// Its nats-server.
    pub nats: EmbeddedNats,
    /// A Postgres of its own, if it has one.
    pub postgres: Option<EmbeddedPostgres>,
    /// Its database.
    pub database: Database,
    /// What its bills must come to.
    pub oracle: Oracle,
    /// Settings of every role.
    pub env: Vec<(&'static str, String)>,
    /// Where processes aborted, and how often.
    pub crashed: BTreeMap<String, u64>,
    /// Faults that were injected, those among them.
    pub injected: u64,
    /// How those ended that were not to come back, since they were last asked for.
    ended: Vec<(String, ExitStatus)>,
    runs: u32,
    is_done: bool,
    root: TempDir,
    _postgres_root: Option<TempDir>,
}

impl Rig {
    /// A case with a database of the common Postgres.
    ///
    /// # Errors
    /// When its servers do not start.
    pub fn new(ground: &Ground, name: &str) -> Result<Self> {
        let database = ground.database()?;
        Self::over(name, database, None)
    }

    /// A case with a Postgres of its own, to be stopped and started.
    ///
    /// # Errors
    /// When its servers do not start.
    pub fn with_postgres(name: &str) -> Result<Self> {
        program::apportion();
        let root = ground::folder(name)?;
        let postgres = EmbeddedPostgres::start(root.path(), PostgresOptions::default())?;
        coordinator::migrate::migrate(&postgres.url())?;
        let (url, socket) = (postgres.url(), postgres.socket());
        let database = Database { url, name: "apportion".to_owned(), socket };
        Self::over(name, database, Some((postgres, root)))
    }

    fn over(
        name: &str,
        database: Database,
        postgres: Option<(EmbeddedPostgres, TempDir)>,
    ) -> Result<Self> {
        let root = ground::folder(name)?;
        let nats = EmbeddedNats::start(&root.path().join("nats"), NatsOptions::default())?;
        let (postgres, postgres_root) = postgres.unzip();
        fs::create_dir_all(root.path().join("config/tenants"))?;
        fs::create_dir_all(root.path().join("config/bills"))?;
        let oracle = Oracle::default();
        let reader = Reader::start(database.url.clone(), oracle.clone());
        Ok(Self {
            root,
            nats,
            postgres,
            database,
            oracle,
            // Waiting is what costs a case its time: a task that is held by the dead comes back soon.
            env: vec![("APPORTION_TASK_PATIENCE_MS", "1500".to_owned())],
            crashed: BTreeMap::new(),
            injected: 0,
            reader: Some(reader),
            roles: Vec::new(),
            ended: Vec::new(),
            runs: 0,
            is_done: false,
            _postgres_root: postgres_root,
        })
    }

    /// The configuration folder.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.path().join("config")
    }

    /// Where the tenants' CSV files go.
    #[must_use]
    pub fn csv(&self) -> PathBuf {
        self.config().join("out/csv")
    }

    /// A folder of the case.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file of the configuration folder, all at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<()> {
        let (path, new) = (self.config().join(name), self.root.path().join("new"));
        fs::write(&new, contents)?;
        fs::rename(&new, &path).with_context(|| path.display().to_string())
    }

    /// Lays a tenant's bill there: generated, of so many dates with so many lines and some more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn bill(&mut self, tenant: &str, seed: u64, dates: u32, per_date: u32) -> Result<()> {
        let lines = world::bill(seed, "USD", "2026-05-01".parse()?, dates, per_date);
        self.lay(tenant, Bill { lines, bad: 0 }, None)
    }

    /// Lays a bill there; `contents` where the file is more than its lines.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn lay(&mut self, tenant: &str, bill: Bill, contents: Option<Vec<u8>>) -> Result<()> {
        let file = format!("bills/{tenant}.csv");
        let contents = contents.unwrap_or_else(|| world::csv(&bill.lines));
        self.oracle.laid(tenant, bill);
        self.write(&file, contents)?;
        let config = format!("tenants/{tenant}.yaml");
        if !self.config().join(&config).exists() {
            self.write(&config, world::tenant("USD", &file, COST))?;
        }
        Ok(())
    }

    /// Starts a gatherer, an allocator and an emitter that come back when they die.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn workers(&mut self) -> Result<()> {
        for kind in ["gatherer", "allocator", "emitter"] {
            self.start(kind, kind, With::default())?;
        }
        Ok(())
    }

    /// Starts a role under a name.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, name: &str, kind: &'static str, with: With) -> Result<()> {
        ensure!(!self.roles.iter().any(|role| role.name == name), "{name} is there already");
        let role = Role { name: name.to_owned(), kind, with, armed: None, process: None };
        self.roles.push(role);
        self.spawn(self.roles.len() - 1)
    }

    fn spawn(&mut self, at: usize) -> Result<()> {
        let nats = self.nats.url();
        let Some(role) = self.roles.get_mut(at) else { bail!("no such role") };
        let log = Log::file(self.root.path().join(format!("logs/{}.log", role.name)));
        fs::create_dir_all(self.root.path().join("logs"))?;
        let mut recipe = Recipe::new(&role.name, program::apportion()).arg(role.kind).log(log);
        recipe = role.with.args.iter().fold(recipe, |recipe, arg| recipe.arg(*arg));
        recipe = recipe.env("NATS_URL", role.with.nats.clone().unwrap_or(nats));
        if role.kind != "allocator" {
            let url = role.with.database.clone().unwrap_or_else(|| self.database.url.clone());
            recipe = recipe.env("DATABASE_URL", url);
        }
        if role.kind == "coordinator" {
            recipe = recipe.arg("--config").arg(self.root.path().join("config"));
            recipe = recipe.env("APPORTION_HOLDER", &role.name);
            if role.with.once {
                recipe = recipe.arg("--once");
            }
        }
        for (key, value) in self.env.iter().chain(&role.with.env) {
            recipe = recipe.env(key, value);
        }
        role.armed = role.with.faults.pop_front();
        recipe = match &role.armed {
            Some(fault) => recipe.env("APPORTION_FAULT", fault),
            None => recipe.without_env("APPORTION_FAULT"),
        };
        role.process = Some(recipe.spawn()?);
        Ok(())
    }

    fn role(&mut self, name: &str) -> Result<&mut Role> {
        let found = self.roles.iter_mut().find(|role| role.name == name);
        found.with_context(|| format!("there is no {name}"))
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&mut self, name: &str) -> Result<u32> {
        let process = self.role(name)?.process.as_ref();
        Ok(process.with_context(|| format!("{name} does not run"))?.id())
    }

    /// Sends a signal, which counts as a fault.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn signal(&mut self, name: &str, signal: Signal) -> Result<()> {
        self.injected += 1;
        match &mut self.role(name)?.process {
            Some(process) => process.signal(signal),
            None => bail!("{name} does not run"),
        }
    }

    /// Ends a role for good, as quietly as may be, and gives how it ended.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn end(&mut self, name: &str, signal: Signal, grace: Duration) -> Result<ExitStatus> {
        let at = self.roles.iter().position(|role| role.name == name);
        let mut role = self.roles.remove(at.with_context(|| format!("there is no {name}"))?);
        match &mut role.process {
            Some(process) => process.stop(signal, grace),
            None => bail!("{name} does not run"),
        }
    }

    /// Whether it is frozen.
    ///
    /// # Errors
    /// When it does not run.
    pub fn is_frozen(&mut self, name: &str) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid(name)?))?;
        // The name before `)` may hold anything.
        Ok(stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
    }

    /// Waits until a role that is armed so has frozen.
    ///
    /// # Errors
    /// When it does not.
    pub fn frozen(&mut self, name: &str) -> Result<()> {
        let what = format!("{name} freezes");
        self.until(&what, PATIENCE, |rig| Ok(rig.is_frozen(name)?.then_some(())))?;
        self.injected += 1;
        Ok(())
    }

    /// Kills every role at once, and starts none again.
    pub fn kill_all(&mut self) {
        self.injected += self.roles.len() as u64;
        self.roles.clear();
    }

    /// Starts what died again, and counts.
    ///
    /// # Errors
    /// When one cannot be started, or the reader saw what must not be seen.
    pub fn tend(&mut self) -> Result<()> {
        if self.reader.as_ref().is_some_and(Reader::is_over)
            && let Some(reader) = self.reader.take()
        {
            reader.end()?;
        }
        for at in 0..self.roles.len() {
            let Some(role) = self.roles.get_mut(at) else { continue };
            let Some(status) = role.process.as_mut().map(Process::exited).transpose()?.flatten()
            else {
                continue;
            };
            role.process = None;
            if status.signal() == Some(Signal::SIGABRT as i32) {
                let point = role.armed.take().unwrap_or_default();
                let point = point.split(':').next().unwrap_or_default().to_owned();
                *self.crashed.entry(point).or_default() += 1;
                self.injected += 1;
            }
            // A coordinator that is to end has ended, unless it was killed.
            if role.with.mortal || role.with.once && status.code().is_some() {
                self.ended.push((role.name.clone(), status));
            } else {
                self.spawn(at)?;
            }
        }
        self.roles.retain(|role| role.process.is_some());
        Ok(())
    }

    /// Waits until something holds, and tends the roles meanwhile.
    ///
    /// # Errors
    /// When it does not come about in that time.
    pub fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut found: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let since = Instant::now();
        loop {
            self.tend()?;
            if let Some(found) = found(self)? {
                return Ok(found);
            }
            ensure!(since.elapsed() < limit, "waited in vain for {limit:?} until {what}");
            std::thread::sleep(POLL);
        }
    }

    /// Runs a coordinator until all is done, again where it dies on the way.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn settle(&mut self, faults: Vec<String>) -> Result<()> {
        self.begin(faults)?;
        self.settled()
    }

    /// Starts a coordinator that ends when all is done.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(&mut self, faults: Vec<String>) -> Result<()> {
        self.lead("coordinator", With { once: true, ..With::faults(faults) })
    }

    /// Whether a role that is not to come back has ended, and nobody asked yet how.
    #[must_use]
    pub fn has_ended(&self, name: &str) -> bool {
        self.ended.iter().any(|(ended, _)| ended == name)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn settled(&mut self) -> Result<()> {
        let since = Instant::now();
        loop {
            self.tend()?;
            if let Some(at) = self.ended.iter().position(|(name, _)| name == "coordinator") {
                let (_, status) = self.ended.remove(at);
                ensure!(status.success(), "the run ended with {}", describe(status));
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "I6: the run does not end");
            std::thread::sleep(POLL);
        }
    }

    /// Starts a coordinator with a run of its own: every source is gathered.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn lead(&mut self, name: &str, mut with: With) -> Result<()> {
        self.runs += 1;
        with.env.push(("APPORTION_RUN", format!("run-{}", self.runs)));
        self.start(name, "coordinator", with)
    }

    /// Runs a command to its end, which must be a good one.
    ///
    /// # Errors
    /// When it is not: with what it said.
    pub fn ask(&self, args: &[&str]) -> Result<()> {
        let done = Command::new(program::apportion())
            .args(args)
            .env("DATABASE_URL", &self.database.url)
            .env("NATS_URL", self.nats.url())
            .current_dir(self.root.path())
            .output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{args:?} ended with {}: {said}", done.status);
        Ok(())
    }

    /// A connection to the database that passes no proxy.
    ///
    /// # Errors
    /// When there is none.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.database.url, NoTls).context("a connection of the test")
    }

    /// Checks I1, I2, I5, I7 and I8 now.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<()> {
        invariants::check(&mut self.client()?, &self.csv(), &self.oracle)
    }

    /// Waits until all of them hold, and gives how long that took.
    ///
    /// # Errors
    /// What still does not hold after that time.
    pub fn until_right(&mut self, limit: Duration) -> Result<Duration> {
        let since = Instant::now();
        loop {
            self.tend()?;
            let Err(error) = self.check() else { return Ok(since.elapsed()) };
            if since.elapsed() > limit {
                return Err(error.context(format!("I6: still after {limit:?}")));
            }
            std::thread::sleep(POLL * 5);
        }
    }

    /// Ends the case: the last check, and what the reader saw. Gives the number of its looks.
    ///
    /// # Errors
    /// What does not hold.
    pub fn finish(self) -> Result<u64> {
        self.check()?;
        self.leave()
    }

    /// Ends a case whose bills are not all laid here. Gives the number of the reader's looks.
    ///
    /// # Errors
    /// What the reader must not have seen.
    pub fn leave(mut self) -> Result<u64> {
        self.roles.clear();
        let reader = self.reader.take().context("the reader ended before")?;
        let looks = reader.end()?;
        self.is_done = true;
        Ok(looks)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !self.is_done {
            self.root.disable_cleanup(true);
            eprintln!("what failed is kept in {}", self.root.path().display());
        }
    }
}
