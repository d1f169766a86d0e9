//! A live emitter with real servers; the test is the coordinator and the allocator.

use std::path::Path;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use apportion::servers::{EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions};
use bytes::Bytes;
use deadpool_postgres::Object;
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, EmitterId, Generation, SourceId, TenantId};
use proto::manifest::Manifest;
use proto::report::{Emitted, Report};
use proto::subject::{self, Lane, Step};
use proto::task::{Commit, CommitUnit, Content, Emit, EmitUnit, Restore, RestoreUnit, Task};
use proto::time::UnitDate;
use runtime::bus::Bus;
use runtime::data::Configs;
use runtime::process::{Process, Shutdown};
use runtime::settings::Settings;
use runtime::store::Store;
use tempfile::TempDir;

pub const DAY: &str = "2026-05-01";

/// One Postgres for all tests of this program, a database for each.
fn postgres() -> &'static (EmbeddedPostgres, TempDir) {
    static POSTGRES: OnceLock<(EmbeddedPostgres, TempDir)> = OnceLock::new();
    POSTGRES.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        (EmbeddedPostgres::start(dir.path(), PostgresOptions::default()).unwrap(), dir)
    })
}

pub fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

pub struct Desk {
    pub bus: Bus,
    pub store: Store,
    pub tenant: TenantId,
    pub source: SourceId,
    pub out: TempDir,
    pub settings: Settings,
    emitters: Vec<(tokio::sync::watch::Sender<bool>, JoinHandle<()>)>,
    _nats: EmbeddedNats,
    _folder: TempDir,
}

impl Desk {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let nats_dir = folder.path().to_owned();
        let nats = tokio::task::spawn_blocking(move || {
            EmbeddedNats::start(&nats_dir, NatsOptions::default())
        });
        let nats = nats.await.unwrap().unwrap();
        let name = format!("ledger_{:016x}", rand::random::<u64>());
        let database = tokio::task::spawn_blocking(move || {
            let url = postgres().0.ensure_database(&name).unwrap();
            coordinator::migrate::migrate(&url).unwrap();
            url
        });
        let database = database.await.unwrap();
        let bus = Bus::connect(&nats.url(), "test").await.unwrap();
        let settings =
            Settings { nats_url: nats.url(), database_url: database, ..Settings::load().unwrap() };
        let csv = [EmitterId::parse("csv").unwrap()];
        bus.ensure_streams(&settings, &csv).await.unwrap();
        let store = Store::open(&settings.database_url, "test", 4).unwrap();
        let (tenant, source) =
            (TenantId::parse("acme").unwrap(), SourceId::parse("cloud").unwrap());
        let out = TempDir::new().unwrap();
        let mut desk = Self {
            bus,
            store,
            tenant,
            source,
            out,
            settings,
            emitters: vec![],
            _nats: nats,
            _folder: folder,
        };
        desk.hire();
        desk
    }

    /// Another emitter process, on a thread with an actor system of its own.
    pub fn hire(&mut self) {
        let settings = self.settings.clone();
        let (switch, shutdown) = Shutdown::channel();
        let life = std::thread::spawn(move || {
            let runtime =
                || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            actix::System::with_tokio_rt(runtime).block_on(async move {
                let bus = Bus::connect(&settings.nats_url, "emitter").await.unwrap();
                let configs = Configs::new(bus.clone());
                let observe = Default::default();
                emitter::live(Process {
                    role: "emitter",
                    settings,
                    bus,
                    configs,
                    shutdown,
                    observe,
                })
                .await
                .unwrap();
            });
        });
        self.emitters.push((switch, life));
    }

    /// All emitters drain and end.
    pub fn fire(&mut self) {
        for (switch, life) in self.emitters.drain(..) {
            let ended = switch.send(true).is_ok() && life.join().is_ok();
            assert!(ended || std::thread::panicking(), "the emitter drains");
        }
    }

    pub async fn client(&self) -> Object {
        self.store.client().await.unwrap()
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        self.client().await.execute(sql, &[]).await.unwrap()
    }

    /// One value as text.
    pub async fn text(&self, sql: &str) -> String {
        let row =
            self.client().await.query_one(&format!("select ({sql})::text"), &[]).await.unwrap();
        row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".into())
    }

    /// All rows of one statement, each as the text of a record.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self
            .client()
            .await
            .query(&format!("select r::text from ({sql}) r"), &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The coordinator wants a generation of a date.
    pub async fn want(&self, date: &str, generation: i64) {
        let sql = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
                lines_manifest, received, config_hash, rules_hash, state, wanted_generation)
            values ($1, $2, $3::text::date, 1, '', 0, '', '', '', '', 'committing', $4)
            on conflict (tenant, source, date) do update set wanted_generation = $4";
        let client = self.client().await;
        client
            .execute(sql, &[&self.tenant.as_str(), &self.source.as_str(), &date, &generation])
            .await
            .unwrap();
    }

    async fn send(&self, step: &Step, generation: Generation, task: &Task) {
        let header = Header::new::<Task>(self.tenant.clone(), generation, Attempt(0))
            .of_source(self.source.clone());
        let payload = envelope::encode(&header, task).unwrap();
        // Unlike the coordinator's subjects, unique per sending: a test sends one task twice.
        let unique = Generation(rand::random::<i64>().abs());
        let subject = subject::task(step, Lane::Live, &self.tenant, &self.source, None, unique);
        self.bus.send_task(&subject, Bytes::from(payload)).await.unwrap();
    }

    /// Waits for the next report.
    pub async fn report(&self) -> Report {
        let until = Instant::now() + Duration::from_secs(90);
        while Instant::now() < until {
            let found = self.bus.reports(1, Duration::from_secs(5)).await.unwrap();
            if let Some(delivery) = found.first() {
                delivery.done().await;
                return envelope::decode::<Report>(delivery.payload()).unwrap().1;
            }
        }
        panic!("no report came");
    }

    /// Sends a commit and waits for its first report.
    pub async fn commit(&self, units: Vec<CommitUnit>) -> Report {
        let generation = units[0].generation;
        self.send(&Step::Commit, generation, &Task::Commit(Commit { units })).await;
        self.report().await
    }

    /// Wants and commits one unit; it must become visible.
    pub async fn make_visible(&self, unit: CommitUnit) {
        self.want(&unit.date.to_string(), unit.generation.0).await;
        let report = self.commit(vec![unit]).await;
        let Report::Committed(done) = report else { panic!("{report:?}") };
        assert!(done.iter().all(|c| c.visible), "{done:?}");
    }

    /// Asks for the archived batches of a unit and gives what the ledger reports.
    pub async fn restore(&self, unit: RestoreUnit) -> Report {
        let task = Task::Restore(Restore { units: vec![unit] });
        self.send(&Step::Restore, unit.generation, &task).await;
        self.report().await
    }

    /// Publishes a configuration whose CSV files go to [`Desk::out`].
    pub async fn configure(&self) -> Hash128 {
        let folder = TempDir::new().unwrap();
        write_config(folder.path());
        let loaded = coordinator::config::load(folder.path(), &|_| None).unwrap();
        let (_, config) = loaded.tenants.into_iter().next().unwrap();
        let header = Header::new::<proto::config::TenantConfig>(
            self.tenant.clone(),
            Generation(1),
            Attempt(0),
        );
        let payload = envelope::encode(&header, &config).unwrap();
        let hash = config.config_hash().unwrap();
        let subject = subject::config(&self.tenant, hash);
        self.bus.put(subject::Stream::Config, &subject, Bytes::from(payload)).await.unwrap();
        hash
    }

    /// Sends an emission of one unit.
    pub async fn send_emit(&self, config: Hash128, date: &str, generation: i64) {
        let generation = Generation(generation);
        let unit = EmitUnit { date: day(date), generation, replaces: None, recorded: None };
        self.send_emission(config, unit).await;
    }

    async fn send_emission(&self, config: Hash128, unit: EmitUnit) {
        let (emitter, generation) = (EmitterId::parse("csv").unwrap(), unit.generation);
        let folder = self.out.path().display().to_string();
        let task = Emit { config, folder, emitter: emitter.clone(), units: vec![unit] };
        self.send(&Step::Emit(emitter), generation, &Task::Emit(task)).await;
    }

    /// Has what was emitted compared with what lies there, and waits for the report.
    pub async fn compare(&self, config: Hash128, done: &Emitted) -> Report {
        let recorded = Some(Content { bytes: done.bytes, hash: done.hash });
        let (date, generation) = (done.date, done.generation);
        self.send_emission(config, EmitUnit { date, generation, replaces: None, recorded }).await;
        self.report().await
    }

    /// Emits one unit and waits for the report.
    pub async fn emit(&self, config: Hash128, date: &str, generation: i64) -> Report {
        self.send_emit(config, date, generation).await;
        self.report().await
    }

    pub fn unit(
        &self,
        date: &str,
        generation: i64,
        lines: &Manifest,
        rows: Manifest,
    ) -> CommitUnit {
        CommitUnit {
            date: day(date),
            generation: Generation(generation),
            lines: lines.clone(),
            resolutions: None,
            rows,
            config: Hash128::of(b"config"),
            rules: Hash128::of(b"rules"),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.fire();
    }
}

fn write_config(folder: &Path) {
    std::fs::create_dir_all(folder.join("tenants")).unwrap();
    let text = "sources:\n  cloud: { kind: focus, files: [\"bill.csv\"] }\nemitters:\n  csv: { dir: out/csv }\n";
    std::fs::write(folder.join("tenants/acme.yaml"), text).unwrap();
}
