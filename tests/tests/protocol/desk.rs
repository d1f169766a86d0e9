//! A leading coordinator at its desk, with real servers; the test answers its tasks.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use apportion::servers::{EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions};
use bytes::Bytes;
use coordinator::leader::Leader;
use coordinator::post::Post;
use coordinator::store::StateStore;
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::manifest::{Manifest, ManifestBuilder};
use proto::report::Report;
use proto::subject::{self, Stream, UnitAddress};
use proto::task::Task;
use runtime::bus::Bus;
use runtime::settings::Settings;
use runtime::store::Store;
use tempfile::TempDir;

/// One Postgres for all tests of this program, a database for each.
fn postgres() -> &'static (EmbeddedPostgres, TempDir) {
    static POSTGRES: OnceLock<(EmbeddedPostgres, TempDir)> = OnceLock::new();
    POSTGRES.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        (EmbeddedPostgres::start(dir.path(), PostgresOptions::default()).unwrap(), dir)
    })
}

pub struct Desk {
    pub leader: Post,
    pub state: StateStore,
    settings: Settings,
    bus: Bus,
    store: Store,
    jetstream: async_nats::jetstream::Context,
    tenant: TenantId,
    source: SourceId,
    _nats: EmbeddedNats,
    _folders: (TempDir, TempDir),
}

impl Desk {
    pub async fn start() -> Self {
        Self::start_with(Settings::load().unwrap().stream_bytes_max).await
    }

    /// With streams that hold so many bytes.
    pub async fn start_with(stream_bytes_max: i64) -> Self {
        let (folder, config) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let nats_dir = folder.path().to_owned();
        let nats = tokio::task::spawn_blocking(move || {
            EmbeddedNats::start(&nats_dir, NatsOptions::default())
        });
        let nats = nats.await.unwrap().unwrap();
        let name = format!("desk_{:016x}", rand::random::<u64>());
        let database = tokio::task::spawn_blocking(move || {
            let url = postgres().0.ensure_database(&name).unwrap();
            coordinator::migrate::migrate(&url).unwrap();
            url
        });
        let database = database.await.unwrap();
        let bus = Bus::connect(&nats.url(), "test").await.unwrap();
        let store = Store::open(&database, "test", 4).unwrap();
        let state =
            StateStore::lead_take(&store, "test").await.unwrap().expect("nobody else leads");
        state.run_start("run", "manual").await.unwrap();
        let settings = Settings {
            nats_url: nats.url(),
            database_url: database,
            stream_bytes_max,
            ..Settings::load().unwrap()
        };
        write(config.path(), "csv: { dir: out }");
        let leader = lead(&bus, &settings, &state, config.path(), "run").await;
        let jetstream = async_nats::jetstream::new(client(&nats.url()).await);
        let (tenant, source) =
            (TenantId::parse("acme").unwrap(), SourceId::parse("cloud").unwrap());
        Self {
            leader,
            state,
            settings,
            bus,
            store,
            jetstream,
            tenant,
            source,
            _nats: nats,
            _folders: (folder, config),
        }
    }

    /// Another run starts over the same state.
    pub async fn run_again(&mut self, run: &str) {
        self.state.run_start(run, "manual").await.unwrap();
        let config = self._folders.1.path();
        self.leader = lead(&self.bus, &self.settings, &self.state, config, run).await;
    }

    /// Another run starts over the same state, with a file per month.
    pub async fn run_monthly(&mut self, run: &str) {
        self.run_with(run, "csv: { dir: out, file: \"{tenant}_{source}_{month}.csv\" }").await;
    }

    /// Another run starts over the same state, with other emitters.
    pub async fn run_with(&mut self, run: &str, emitters: &str) {
        write(self._folders.1.path(), emitters);
        self.run_again(run).await;
    }

    /// Another run starts over the same state, with another kind of source.
    pub async fn run_source(&mut self, run: &str, source: &str) {
        write_source(self._folders.1.path(), source, "csv: { dir: out }");
        self.run_again(run).await;
    }

    /// Another run starts over the same state, with a rule that gives everything to one owner.
    pub async fn run_rules(&mut self, run: &str, owner: &str) {
        let rule = format!(
            "csv: {{ dir: out }}\nallocation:\n  - {{ id: all, chain: [{{ fixed: {{ {owner}: 100 }} }}] }}"
        );
        self.run_with(run, &rule).await;
    }

    pub async fn sweep(&mut self) {
        self.leader.sweep().await.unwrap();
    }

    pub async fn resend(&self) {
        self.leader.tasks_resend(0).await.unwrap();
    }

    pub async fn report(&self, generation: Generation, attempt: Attempt, report: &Report) {
        let header = Header::new::<Report>(self.tenant.clone(), generation, attempt)
            .of_source(self.source.clone());
        let payload = envelope::encode(&header, report).unwrap();
        self.bus
            .append(&subject::report(&self.tenant, &self.source), Bytes::from(payload))
            .await
            .unwrap();
    }

    /// Puts so many bytes on the LINE stream.
    pub async fn fill(&self, bytes: usize) {
        self.put("1-1", vec![0; bytes]).await;
    }

    /// Puts a batch of that generation and attempt on the LINE stream.
    pub async fn put_line(&self, attempt: &str) {
        self.put(attempt, b"a batch".to_vec()).await;
    }

    /// Puts a batch where a writer of that attempt puts the first one of its lines.
    pub async fn put_batch(&self, date: &str, generation: Generation, attempt: Attempt) {
        let date = date.parse().unwrap();
        let (tenant, source) = (&self.tenant, &self.source);
        let address = UnitAddress::new(Stream::Line, tenant, source, date, generation, attempt);
        let payload = Bytes::from_static(b"a batch");
        self.bus.put(Stream::Line, &address.batch(1), payload).await.unwrap();
    }

    /// Waits until a stream holds so many messages.
    pub async fn until_messages(&self, stream: Stream, wanted: u64) {
        let there = async {
            loop {
                let held = self.jetstream.get_stream(stream.name()).await.unwrap();
                if held.cached_info().state.messages == wanted {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), there).await.expect("it comes to that");
    }

    async fn put(&self, attempt: &str, payload: Vec<u8>) {
        let subject = format!("apportion.v1.line.0.x.y.20260501.{attempt}.0");
        self.bus.put(Stream::Line, &subject, Bytes::from(payload)).await.unwrap();
    }

    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    pub async fn raise_incarnation(&self) -> i64 {
        let url = self.settings.database_url.clone();
        let raised =
            tokio::task::spawn_blocking(move || coordinator::migrate::raise_incarnation(&url));
        raised.await.unwrap().unwrap()
    }

    /// Bytes that are no report.
    pub async fn garbage(&self) {
        let subject = subject::report(&self.tenant, &self.source);
        self.bus.append(&subject, Bytes::from_static(b"\xc1 no message")).await.unwrap();
    }

    /// Applies what was reported.
    pub async fn apply(&mut self) {
        self.apply_all(1).await;
    }

    /// Applies so many reports at least: they need not come in one pull.
    pub async fn apply_all(&mut self, count: usize) {
        let mut applied = 0;
        while applied < count {
            let reports = self.bus.reports(64, Duration::from_secs(5)).await.unwrap();
            assert!(!reports.is_empty(), "a report is there");
            applied += reports.len();
            self.leader.apply(reports).await.unwrap();
        }
    }

    pub async fn apply_until_unit(&mut self, date: &str) {
        for _ in 0..20 {
            self.apply().await;
            if self.has_unit(date).await {
                return;
            }
        }
        panic!("{date} did not come into force");
    }

    /// Generation and subject of the one task of a step that is out.
    pub async fn task(&self, step: &str) -> (Generation, String) {
        let sql = "select generation, subject from tasks where step = $1";
        let rows = self.store.client().await.unwrap().query(sql, &[&step]).await.unwrap();
        assert_eq!(rows.len(), 1, "one {step} task is out");
        (Generation(rows[0].get(0)), rows[0].get(1))
    }

    /// Number of the tasks of a step that are out.
    pub async fn tasks(&self, step: &str) -> i64 {
        let sql = "select count(*) from tasks where step = $1";
        self.store.client().await.unwrap().query_one(sql, &[&step]).await.unwrap().get(0)
    }

    /// As after a change of rules.
    pub async fn calculate_again(&self) {
        assert_eq!(self.execute("update pipeline_state set state = 'gathered'").await, 1);
    }

    pub async fn task_body(&self, step: &str) -> (Generation, Task) {
        let mut bodies = self.task_bodies(step).await;
        assert_eq!(bodies.len(), 1, "one {step} task is out");
        bodies.remove(0)
    }

    /// The tasks of a step that are out, by subject.
    pub async fn task_bodies(&self, step: &str) -> Vec<(Generation, Task)> {
        let sql = "select message from tasks where step = $1 order by subject";
        let rows = self.store.client().await.unwrap().query(sql, &[&step]).await.unwrap();
        let body = |row: &deadpool_postgres::tokio_postgres::Row| {
            let (header, task) = envelope::decode::<Task>(row.get::<_, &[u8]>(0)).unwrap();
            (header.generation, task)
        };
        rows.iter().map(body).collect()
    }

    pub async fn queued(&self) -> Vec<String> {
        self.bus.queued_tasks().await.unwrap().into_iter().collect()
    }

    /// Waits until a superseded task has left its queue.
    pub async fn until_withdrawn(&self, subject: &str) {
        let withdrawn = async {
            while self.queued().await.iter().any(|queued| queued == subject) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), withdrawn).await.expect("it is withdrawn");
    }

    /// Removes a task from its queue, as an acknowledgement does.
    pub async fn take(&self, subject: &str) {
        self.bus.purge(Stream::Task, subject).await.unwrap();
    }

    /// Queues bytes that are none of ours under the subject of a task.
    pub async fn foreign(&self, subject: &str) {
        self.bus.append(subject, Bytes::from_static(b"of another database")).await.unwrap();
    }

    pub async fn lose_queues(&self) {
        for stream in [Stream::Task, Stream::Report] {
            self.jetstream.delete_stream(stream.name()).await.unwrap();
        }
    }

    pub async fn refused(&self) -> u64 {
        self.jetstream
            .get_stream(Stream::Refused.name())
            .await
            .unwrap()
            .cached_info()
            .state
            .messages
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        self.store.client().await.unwrap().execute(sql, &[]).await.unwrap()
    }

    /// The one number that a query gives.
    pub async fn number(&self, sql: &str) -> i64 {
        self.store.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Postgres' own words where it refuses.
    pub async fn try_execute(&self, sql: &str) -> Result<u64, String> {
        let done = self.store.client().await.unwrap().execute(sql, &[]).await;
        done.map_err(|error| error.as_db_error().unwrap().message().to_owned())
    }

    /// Whose desk it is.
    pub fn at(&self) -> (&TenantId, &SourceId) {
        (&self.tenant, &self.source)
    }

    pub async fn gather_again(&self) {
        assert_eq!(self.execute("update source_state set settled_run = null").await, 1);
    }

    /// Ends the pause before the next attempt.
    pub async fn retry_now(&self) {
        assert_eq!(self.execute("update pipeline_state set next_attempt_at = now()").await, 1);
    }

    /// Another coordinator takes the lead.
    pub async fn usurp(&self) {
        self.execute("update leader set epoch = epoch + 1, holder = 'other'").await;
    }

    /// The ledger's last statement.
    pub async fn flip(&self, date: &str, generation: Generation) -> u64 {
        let sql = "update pipeline_state set visible_generation = $2, visible_rows = 1,
                     visible_lines_hash = lines_hash, visible_rules = wanted_rules_hash
                   where date = $1::text::date and wanted_generation = $2 and visible_generation < $2";
        self.store.client().await.unwrap().execute(sql, &[&date, &generation.0]).await.unwrap()
    }

    /// Of a visible unit, when dates are final after so many days.
    pub async fn finality(&self, final_after: Option<i32>) -> Option<String> {
        let client = self.store.client().await.unwrap();
        client.execute("update tenants set final_after_days = $1", &[&final_after]).await.unwrap();
        client.query_one("select finality from units", &[]).await.unwrap().get(0)
    }

    pub async fn has_unit(&self, date: &str) -> bool {
        let sql = "select 1 from pipeline_state where date = $1::text::date";
        self.store.client().await.unwrap().query_opt(sql, &[&date]).await.unwrap().is_some()
    }

    pub async fn unit(&self, date: &str) -> (String, Generation) {
        let sql = "select state, wanted_generation from pipeline_state where date = $1::text::date";
        let row = self.store.client().await.unwrap().query_one(sql, &[&date]).await.unwrap();
        (row.get(0), Generation(row.get(1)))
    }

    pub async fn attempts(&self, date: &str) -> i32 {
        let sql = "select attempts from pipeline_state where date = $1::text::date";
        self.store.client().await.unwrap().query_one(sql, &[&date]).await.unwrap().get(0)
    }

    pub async fn lines_in_force(&self, date: &str) -> (Generation, Attempt, Hash128) {
        let sql = "select lines_manifest from pipeline_state where date = $1::text::date";
        let row = self.store.client().await.unwrap().query_one(sql, &[&date]).await.unwrap();
        let manifest: Manifest = rmp_serde::from_slice(row.get(0)).unwrap();
        (manifest.generation, manifest.attempt, manifest.hash)
    }
}

async fn lead(
    bus: &Bus,
    settings: &Settings,
    state: &StateStore,
    config: &Path,
    run: &str,
) -> Post {
    let horizon = settings.replay_horizon_days;
    let leader = Leader::new(state.clone(), config.to_owned(), run.to_owned(), None, horizon);
    let mut leader = Post::new(leader, bus.clone(), settings.clone());
    let loaded = coordinator::config::load(config, &|_| None).unwrap();
    leader.configs_apply(loaded.tenants.into_values().collect(), None).await.unwrap();
    leader
}

fn write(config: &Path, emitters: &str) {
    write_source(config, "{ kind: focus, files: [\"bill.csv\"] }", emitters);
}

fn write_source(config: &Path, source: &str, emitters: &str) {
    std::fs::create_dir_all(config.join("tenants")).unwrap();
    std::fs::write(
        config.join("tenants/acme.yaml"),
        format!("sources:\n  cloud: {source}\nemitters:\n  {emitters}\n"),
    )
    .unwrap();
}

pub async fn client(url: &str) -> async_nats::Client {
    let (token, host) = url
        .trim_start_matches("nats://")
        .split_once('@')
        .expect("the embedded server wants a token");
    async_nats::ConnectOptions::with_token(token.into()).connect(host).await.unwrap()
}

fn manifest(generation: Generation, attempt: Attempt, amount: &str) -> Manifest {
    let mut builder = ManifestBuilder::default();
    builder.add_item(Hash128::of(amount.as_bytes()));
    builder.add_batch(1, amount.as_bytes());
    let period = "2026-05".parse().unwrap();
    builder.totals.add("USD".parse().unwrap(), period, amount.parse().unwrap(), &[None; 4]);
    builder.finish(generation, attempt)
}

/// Lines of one date that cost `amount`.
pub fn lines(generation: Generation, attempt: Attempt, amount: &str) -> Manifest {
    manifest(generation, attempt, amount)
}

/// Rows of one date that cost `amount`.
pub fn rows(generation: Generation, attempt: Attempt, amount: &str) -> Manifest {
    manifest(generation, attempt, amount)
}
