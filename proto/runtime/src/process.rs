//! The life of a process: settings → telemetry → connect → run → drain → exit code.

use std::future::Future;

use proto::fault::chain;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::bus::{Bus, BusError};
use crate::data::Configs;
use crate::settings::{Settings, SettingsError};
use crate::store::StoreError;

/// Settings are wrong.
pub const EXIT_SETTINGS: u8 = 64;
/// NATS or Postgres cannot be reached, or is not fit.
pub const EXIT_DEPENDENCY: u8 = 69;
/// A defect of ours: a panic or a broken invariant.
pub const EXIT_BUG: u8 = 70;

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
}

/// Runs a role to its end and gives the exit code: 0 drained, else see the `EXIT_*` constants.
pub fn run<F, Fut>(role: &'static str, life: F) -> u8
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = Result<(), ProcessError>>,
{
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(error) => return failed(&error.into()),
    };
    telemetry(settings.log_json);
    crate::panics::end_process();
    let system = actix::System::with_tokio_rt(|| {
        let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        built.expect("a runtime of threads and a poller can be built, or nothing can run")
    });
    crate::keeper::prepare();
    let (switch, shutdown) = Shutdown::channel();
    let ended = system.block_on(async move {
        tokio::spawn(signals(switch));
        let bus = Bus::connect(&settings.nats_url, role).await?;
        let configs = Configs::new(bus.clone());
        tracing::info!(role, "started");
        life(Process { role, settings, bus, configs, shutdown }).await
    });
    match ended {
        Ok(()) => {
            tracing::info!(role, "drained");
            0
        }
        Err(error) => failed(&error),
    }
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
