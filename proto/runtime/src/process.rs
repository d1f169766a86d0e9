//! The life of a process: settings → telemetry → connect → run → drain → exit code.

use std::future::Future;
use std::time::Duration;

use proto::fault::chain;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::bus::{Bus, BusError};
use crate::data::Configs;
use crate::observe::{Observe, server};
use crate::settings::{Given, Settings, SettingsError};
use crate::store::{Store, StoreError};
use crate::trace;

/// Settings are wrong.
pub const EXIT_SETTINGS: u8 = 64;
/// NATS or Postgres cannot be reached, or is not fit.
pub const EXIT_DEPENDENCY: u8 = 69;
/// A defect of ours: a panic or a broken invariant.
pub const EXIT_BUG: u8 = 70;

/// How long the last words may take to reach NATS.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Why a process ends other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// NATS.
    #[error("failed to use NATS")]
    Bus(#[from] BusError),
    /// Postgres.
    #[error("failed to use Postgres")]
    Store(#[from] StoreError),
    /// What the role's own code says cannot be gone on with.
    #[error("{0}")]
    Fatal(String),
    /// The role ended with its own exit code.
    #[error("ended with exit code {0}")]
    Exit(u8),
}

impl ProcessError {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) => EXIT_SETTINGS,
            Self::Bus(_) | Self::Store(_) => EXIT_DEPENDENCY,
            Self::Fatal(_) => EXIT_BUG,
            Self::Exit(code) => *code,
        }
    }
}

/// Tells that the process is to drain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Whether draining was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
    /// Returns once draining is asked for.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        // An error means that the sender is gone: the process is ending.
        if receiver.wait_for(|asked| *asked).await.is_err() {
            tracing::debug!("the shutdown signal's sender is gone");
        }
    }
    /// A signal and the switch that sets it, for tests and embedders.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }
}

/// What a role's life is given.
#[derive(Clone)]
pub struct Process {
    /// `coordinator`, `gatherer`, `allocator`, `emitter`.
    pub role: &'static str,
    /// Settings.
    pub settings: Settings,
    /// NATS.
    pub bus: Bus,
    /// Tenant configurations by hash.
    pub configs: Configs,
    /// When to drain.
    pub shutdown: Shutdown,
    /// What it shows of itself.
    pub observe: Observe,
}

impl Process {
    /// A pool of at most `max` connections, whose usage is shown as that of `name`; the process is ready only while
    /// Postgres answers.
    ///
    /// # Errors
    /// When the address is missing or cannot be read.
    pub fn store(&self, name: &'static str, max: usize) -> Result<Store, StoreError> {
        let store = Store::open(&self.settings.database_url, self.role, max)?;
        self.observe.metrics.pool(name, store.clone());
        self.observe.health.store_is(Store::open(&self.settings.database_url, "health", 1)?);
        Ok(store)
    }
}

/// Runs a role to its end and gives the exit code: 0 drained, else see the `EXIT_*` constants.
pub fn run<F, Fut>(role: &'static str, given: Given, life: F) -> u8
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), ProcessError>>,
{
    let settings = match Settings::load_with(given) {
        Ok(settings) => settings,
        Err(error) => return failed(&error.into()),
    };
    telemetry(settings.log_json);
    let traces = trace::start(role);
    crate::panics::end_process();
    let system = actix::System::with_tokio_rt(|| {
        let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        built.expect("a runtime of threads and a poller can be built, or nothing can run")
    });
    crate::keeper::prepare();
    let (switch, shutdown) = Shutdown::channel();
    let ended = system.block_on(async move {
        tokio::spawn(signals(switch));
        let observe = Observe::default();
        observe.metrics.build(role);
        observe.health.drains_by(&shutdown);
        if !settings.metrics.is_empty() {
            // Before anything is connected: it is alive, and says what it still lacks.
            let at = server::start(&settings.metrics, observe.clone()).await?;
            tracing::info!(%at, "serves metrics and health");
        }
        let bus = Bus::connect(&settings.nats_url, &name(role, &settings)).await?;
        observe.health.bus_is(&bus);
        if !settings.metrics.is_empty() {
            tokio::spawn(bus.clone().leader_watch(observe.clone()));
        }
        let configs = Configs::new(bus.clone());
        tracing::info!(role, "started");
        let process = Process { role, settings, bus: bus.clone(), configs, shutdown, observe };
        let ended = life(process).await;
        // The last acknowledgements lie in the client's buffer.
        if tokio::time::timeout(FLUSH_LIMIT, bus.flush()).await.is_err() {
            tracing::debug!("NATS took none of the last words");
        }
        ended
    });
    traces.end();
    // Threads may still be at work that was given up, such as reading a file: dropped, the runtime would wait for them.
    std::mem::forget(system);
    match ended {
        Ok(()) => {
            tracing::info!(role, "drained");
            0
        }
        Err(error) => failed(&error),
    }
}

/// What the process is called: as it is told, else so that another one is called otherwise.
fn name(role: &str, settings: &Settings) -> String {
    if !settings.name.trim().is_empty() {
        return settings.name.trim().to_owned();
    }
    let host = std::env::var("HOSTNAME").map(|host| format!("@{host}")).unwrap_or_default();
    format!("{role}-{}{host}", std::process::id())
}

fn failed(error: &ProcessError) -> u8 {
    if !matches!(error, ProcessError::Exit(_)) {
        tracing::error!(error = chain(error), "process ends");
    }
    error.code()
}

fn telemetry(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("info,async_nats=warn,tokio_postgres=warn,refinery_core=warn")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let set = if json { builder.json().try_init() } else { builder.try_init() };
    if let Err(error) = set {
        tracing::debug!(%error, "telemetry was set up before");
    }
}

async fn signals(switch: watch::Sender<bool>) {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("failed to listen for signals");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("asked to drain");
    if switch.send(true).is_err() {
        tracing::debug!("nobody listens for the shutdown any more");
    }
    // The sender lives until the process ends, so that late listeners still see the signal.
    std::future::pending::<()>().await;
}
