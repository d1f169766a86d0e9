//! The coordinator's life: take the lead, put the configuration in force, then reports in, sweeps out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::config::Schedule;
use proto::fault::chain;
use runtime::process::{EXIT_SETTINGS, Process, ProcessError, Shutdown};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::CoordinatorError;
use crate::config::{self, Config, Problems};
use crate::domain::backoff::RESEND_AFTER;
use crate::incarnation;
use crate::keeper::{Order, StateHandle};
use crate::leader::Leader;
use crate::observe;
use crate::post::Post;
use crate::store::{StateError, StateStore};

/// How a coordinator runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the configuration.
    pub folder: PathBuf,
    /// The run that work is counted for; the same over restarts of one session.
    pub run: String,
    /// End once every due unit is visible and emitted: exit code 0, or 1 when something failed.
    pub once: bool,
    /// Who holds the lead: the same over restarts of one supervised process, another for any other.
    pub holder: String,
}

/// Reports applied in one transaction.
const GROUP_MAX: usize = 256;
/// A standing run gathers sources this often that name no schedule.
const GATHER_EVERY: Duration = Duration::from_secs(Schedule::DEFAULT_SECONDS as u64);
const SWEEP_EVERY: Duration = Duration::from_millis(500);
const RENEW_EVERY: Duration = Duration::from_secs(5);
const RESEND_EVERY: Duration = Duration::from_secs(10);
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Runs until asked to drain or, with `once`, until everything is settled.
///
/// # Errors
/// When the configuration is wrong, a dependency is unfit, or (exit code 1) the run failed.
pub async fn live(process: Process, options: Options) -> Result<(), ProcessError> {
    let store = process.store("state", 4)?;
    let metrics = &process.observe.metrics;
    metrics.leads(false);
    while !process.shutdown.is_asked() {
        let lead = match StateStore::lead_take(&store, &options.holder).await {
            Ok(Some(lead)) => lead,
            Ok(None) => {
                pause(&process.shutdown, Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to take the lead");
                pause(&process.shutdown, Duration::from_millis(500)).await;
                continue;
            }
        };
        tracing::info!(epoch = lead.epoch, "leads");
        metrics.leads(true);
        let ended = observed(&process, &options, &lead).await;
        metrics.leads(false);
        match ended {
            Ok(Ended::Drained) => {
                if let Err(error) = lead.lead_release().await {
                    tracing::warn!(
                        error = chain(&error),
                        "failed to release the lead; its lease runs out"
                    );
                }
                return Ok(());
            }
            Ok(Ended::Settled { failed }) => {
                return if failed == 0 { Ok(()) } else { Err(ProcessError::Exit(1)) };
            }
            Err(CoordinatorError::Problems(problems)) => {
                tracing::error!("the configuration cannot run");
                eprintln!("{problems}");
                return Err(ProcessError::Exit(EXIT_SETTINGS));
            }
            Err(CoordinatorError::Ahead(ahead)) => {
                lead.lead_release().await.unwrap_or_else(|error| {
                    tracing::warn!(error = chain(&error), "failed to release the lead");
                });
                eprintln!("{ahead}");
                return Err(ProcessError::Exit(EXIT_SETTINGS));
            }
            // Forget everything and start again from what Postgres holds.
            Err(error) => {
                tracing::warn!(error = chain(&error), "starts over");
                pause(&process.shutdown, Duration::from_millis(250)).await;
            }
        }
    }
    Ok(())
}

enum Ended {
    Drained,
    Settled { failed: i64 },
}

async fn pause(shutdown: &Shutdown, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.asked() => {}
    }
}

/// Something to be done every so often.
struct Every {
    period: Duration,
    next: Instant,
}

impl Every {
    fn new(period: Duration) -> Self {
        Self { period, next: Instant::now() + period }
    }
    fn is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next = Instant::now() + self.period;
        }
        due
    }
}

/// Leads, and shows meanwhile how everything stands.
async fn observed(
    process: &Process,
    options: &Options,
    lead: &StateStore,
) -> Result<Ended, CoordinatorError> {
    let mut watching = JoinSet::new();
    if !process.settings.metrics.is_empty() {
        let (bus, metrics) = (process.bus.clone(), process.observe.metrics.clone());
        watching.spawn(observe::watch(lead.clone(), bus, process.settings.clone(), metrics));
    }
    let ended = lead_on(process, options, lead.clone()).await;
    watching.shutdown().await;
    ended
}

async fn lead_on(
    process: &Process,
    options: &Options,
    lead: StateStore,
) -> Result<Ended, CoordinatorError> {
    let config = load(&options.folder)?;
    process.bus.leader_tell(lead.epoch).await;
    if !is_ahead_of_streams(process, &lead).await? {
        return Ok(Ended::Drained);
    }
    let trigger = if options.once { "manual" } else { "schedule" };
    lead.run_start(&options.run, trigger).await?;
    let every = (!options.once).then_some(GATHER_EVERY);
    let horizon = process.settings.replay_horizon_days;
    let leader = Leader::new(lead.clone(), config.dir.clone(), options.run.clone(), every, horizon)
        .pausing(Duration::from_millis(process.settings.retry_pause_ms))
        .counting(process.observe.metrics.clone());
    let post = Post::new(leader, process.bus.clone(), process.settings.clone());
    let state = StateHandle::start(post);
    let mut known = config.tenants.clone();
    state.ask(Order::Configs(config.tenants.into_values().collect(), config.git_commit)).await?;
    state.ask(Order::Resend(0)).await?;
    state.ask(Order::Sweep).await?;
    let (mut sweep, mut renew) = (Every::new(SWEEP_EVERY), Every::new(RENEW_EVERY));
    let (mut resend, mut reload) = (Every::new(RESEND_EVERY), Every::new(RELOAD_EVERY));
    while !process.shutdown.is_asked() {
        let pulled = tokio::select! {
            pulled = process.bus.reports(GROUP_MAX, SWEEP_EVERY) => pulled,
            () = process.shutdown.asked() => break,
        };
        let applied = match pulled {
            Ok(reports) if reports.is_empty() => false,
            Ok(reports) => retried(state.ask(Order::Apply(reports)).await)?.is_some(),
            Err(error) => {
                // The server restarts, or its memory streams are gone: make them again, send again what is out.
                tracing::warn!(error = chain(&error), "failed to pull reports");
                pause(&process.shutdown, Duration::from_millis(200)).await;
                retried(state.ask(Order::Streams).await)?;
                false
            }
        };
        if renew.is_due() {
            renewed(process, &lead).await?;
        }
        if !options.once && reload.is_due() {
            reloaded(options, &mut known, &state).await?;
        }
        if resend.is_due() {
            retried(state.ask(Order::Streams).await)?;
            retried(state.ask(Order::Resend(RESEND_AFTER.as_secs())).await)?;
        }
        if applied || sweep.is_due() {
            let sent = retried(state.ask(Order::Sweep).await)?;
            if options.once && sent == Some(0) && !applied {
                let unsettled = retried(
                    lead.run_unsettled(&options.run).await.map_err(CoordinatorError::from),
                )?;
                if let Some(now) = unsettled
                    && (now.sources, now.units, now.emissions) == (0, 0, 0)
                {
                    lead.run_end(&options.run, now.failed).await?;
                    lead.lead_release().await?;
                    return Ok(Ended::Settled { failed: now.failed });
                }
            }
        }
    }
    Ok(Ended::Drained)
}

/// Looks at all streams, which takes a while where they are large: the lead is kept meanwhile. False: asked to end.
async fn is_ahead_of_streams(
    process: &Process,
    lead: &StateStore,
) -> Result<bool, CoordinatorError> {
    let looked = incarnation::check(&process.bus, lead);
    tokio::pin!(looked);
    let mut renew = tokio::time::interval(RENEW_EVERY);
    loop {
        tokio::select! {
            looked = &mut looked => return looked.map(|()| true),
            () = process.shutdown.asked() => return Ok(false),
            _ = renew.tick() => renewed(process, lead).await?,
        }
    }
}

/// Keeps the lead, and says so to whom it may concern.
async fn renewed(process: &Process, lead: &StateStore) -> Result<(), CoordinatorError> {
    if retried(lead.lead_renew().await.map_err(CoordinatorError::from))?.is_some() {
        process.bus.leader_tell(lead.epoch).await;
    }
    Ok(())
}

/// Trouble that heals is logged and tried again by the next round; anything else ends this lead.
fn retried<T>(done: Result<T, CoordinatorError>) -> Result<Option<T>, CoordinatorError> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_transient() => {
            tracing::warn!(error = chain(&error), "tries again");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads the folder and refuses what cannot run yet.
///
/// # Errors
/// Every problem of every file.
pub fn load(folder: &Path) -> Result<Config, CoordinatorError> {
    let mut config = config::load(folder, &|name| std::env::var(name).ok())?;
    config.dir = config.dir.canonicalize().unwrap_or(config.dir);
    let unbuilt = config.unbuilt();
    if unbuilt.is_empty() { Ok(config) } else { Err(Problems(unbuilt).into()) }
}

/// Saving a file recalculates exactly the dates whose rules differ; a file with problems changes nothing.
async fn reloaded(
    options: &Options,
    known: &mut std::collections::BTreeMap<proto::ids::TenantId, proto::config::TenantConfig>,
    state: &StateHandle,
) -> Result<(), CoordinatorError> {
    match load(&options.folder) {
        Ok(config) if config.tenants == *known => Ok(()),
        Ok(config) => {
            let order =
                Order::Configs(config.tenants.values().cloned().collect(), config.git_commit);
            if let Some(due) = retried(state.ask(order).await)? {
                tracing::info!(due, "a changed configuration is in force");
                *known = config.tenants;
            }
            Ok(())
        }
        Err(CoordinatorError::Problems(problems)) => {
            tracing::error!(%problems, "the changed configuration has problems; the one before stays in force");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

impl From<StateError> for CoordinatorError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}
