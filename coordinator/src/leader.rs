//! What the leading coordinator holds: the state, the configurations in force, and how it sends.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::config::{SourceSettings, TenantConfig};
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::subject::{self, Stream};
use proto::time::{BillingPeriod, UnitDate, UtcSeconds};
use runtime::bus::{Bus, BusError};
use runtime::observe::Metrics;
use runtime::settings::Settings;

use crate::store::{ConfigInForce, Outgoing, StateError, StateStore};

/// Configurations in force are published again this often.
const CONFIGS_EVERY: Duration = Duration::from_secs(600);

/// The state of a leading coordinator. Everything in it can be thrown away and read again from Postgres.
pub struct Leader {
    pub(crate) bus: Bus,
    pub(crate) settings: Settings,
    pub(crate) state: StateStore,
    /// Folder of the configuration, absolute.
    pub(crate) folder: PathBuf,
    /// The run that work is counted for.
    pub(crate) run: String,
    /// Gathers of a standing run are due this often; `None` for a single run.
    pub(crate) every: Option<Duration>,
    pub(crate) tenants: BTreeMap<TenantId, ConfigInForce>,
    pub(crate) months: HashSet<BillingPeriod>,
    /// Something became visible since emissions were last looked at.
    pub(crate) emissions_hinted: bool,
    pub(crate) emissions_looked: Instant,
    /// Something happened since drivers were last looked at.
    pub(crate) drivers_hinted: bool,
    pub(crate) drivers_looked: Instant,
    /// When what lies outside was last to be compared with what is recorded; not yet by this leader.
    pub(crate) emissions_compared: Option<Instant>,
    /// When runs were last looked at for what no report tells of; not yet by this leader.
    pub(crate) runs_looked: Option<Instant>,
    /// A stream is nearly full: a standing run gathers nothing meanwhile, while commits go on.
    pub(crate) streams_filling: bool,
    /// When the configurations in force were last published.
    pub(crate) configs_published: Option<Instant>,
    pub(crate) metrics: Metrics,
}

impl Leader {
    /// A leader under the epoch of `state`, for the configuration in `folder` and the run `run`; a standing run gathers
    /// its sources again `every` so often.
    #[must_use]
    pub fn new(
        (bus, settings): (Bus, Settings),
        state: StateStore,
        folder: PathBuf,
        run: String,
        every: Option<Duration>,
    ) -> Self {
        Self {
            bus,
            settings,
            state,
            folder,
            run,
            every,
            tenants: BTreeMap::new(),
            months: HashSet::new(),
            emissions_hinted: true,
            emissions_looked: Instant::now(),
            drivers_hinted: true,
            drivers_looked: Instant::now(),
            configs_published: None,
            streams_filling: false,
            emissions_compared: None,
            runs_looked: None,
            metrics: Metrics::default(),
        }
    }

    /// Counts in `metrics` from now on.
    #[must_use]
    pub fn counting(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// How often sources are gathered again; `None`: once.
    pub fn every(&mut self, every: Option<Duration>) {
        self.every = every;
    }

    /// Puts configurations in force and their messages on the CONFIG stream. Gives the number of units that became due.
    ///
    /// # Errors
    /// When Postgres or NATS cannot be used, or another coordinator leads.
    pub async fn configs_apply(
        &mut self,
        configs: Vec<TenantConfig>,
        commit: Option<&str>,
    ) -> Result<u64, crate::CoordinatorError> {
        let mut entries = Vec::with_capacity(configs.len());
        for config in configs {
            let hash = config.config_hash()?;
            let header =
                Header::new::<TenantConfig>(config.tenant.clone(), Generation(0), Attempt(0));
            let message = envelope::encode(&header, &config).map_err(StateError::from)?;
            // Rules in a circle are refused when a configuration is read.
            let ledger = config.ledger_tables().unwrap_or_default();
            let metric = config.metric_drivers();
            let mut resolving = BTreeMap::new();
            for source in &config.sources {
                let settings = config.resolve_hash(&source.id)?;
                resolving.extend(settings.map(|settings| (source.id.clone(), settings)));
            }
            entries.push(ConfigInForce { config, hash, message, ledger, metric, resolving });
        }
        let due = self.state.configs_apply(&entries, commit).await?;
        (self.emissions_hinted, self.drivers_hinted) = (true, true);
        self.configs_published = None;
        self.tenants = entries.into_iter().map(|e| (e.config.tenant.clone(), e)).collect();
        self.streams_ensure().await?;
        Ok(due)
    }

    /// Makes streams and consumers that are missing, and publishes the configurations in force where they may be gone.
    /// When queues were lost, everything that is out is sent again at once.
    ///
    /// # Errors
    /// When NATS or Postgres cannot be used.
    pub async fn streams_ensure(&mut self) -> Result<(), crate::CoordinatorError> {
        let emitters: std::collections::BTreeSet<_> = self
            .tenants
            .values()
            .flat_map(|t| t.config.emitters.iter().map(|e| e.id.clone()))
            .collect();
        let emitters: Vec<_> = emitters.into_iter().collect();
        let found = self.bus.ensure_streams(&self.settings, &emitters).await?;
        for stream in &found.filling {
            tracing::error!(
                stream = stream.name(),
                "a stream is nearly full: gathers pause until it ages out or nats.stream_bytes_max is raised"
            );
        }
        self.streams_filling = !found.filling.is_empty();
        let made = found.made;
        // They also age out while they are in force.
        let published = self.configs_published.is_some_and(|at| at.elapsed() < CONFIGS_EVERY);
        if !published || made.contains(&Stream::Config) {
            for (tenant, entry) in &self.tenants {
                let subject = subject::config(tenant, entry.hash);
                self.bus.put(Stream::Config, &subject, Bytes::from(entry.message.clone())).await?;
            }
            self.configs_published = Some(Instant::now());
        }
        if made.contains(&Stream::Task) || made.contains(&Stream::Report) {
            self.tasks_resend(0).await?;
        }
        Ok(())
    }

    /// Publishes tasks that the state says are out; one that is still queued or held stays as it is.
    ///
    /// # Errors
    /// When Postgres cannot be used.
    pub async fn tasks_resend(&self, seconds: u64) -> Result<usize, StateError> {
        let tasks = self.state.tasks_unanswered(seconds).await?;
        let count = tasks.len();
        self.tasks_send(tasks).await?;
        Ok(count)
    }

    pub(crate) async fn tasks_send(&self, tasks: Vec<Outgoing>) -> Result<(), StateError> {
        let mut sent = Vec::with_capacity(tasks.len());
        for task in tasks {
            if let Err(error) = self.inventory_send(&task.inventory).await {
                tracing::warn!(error = proto::fault::chain(&error), "failed to send an inventory");
                break;
            }
            match self.bus.send_task(&task.subject, task.message).await {
                Ok(_) => sent.push(task.subject),
                // Of another database, before this one was made anew: Postgres alone says what is out.
                Err(BusError::Conflict(_)) => {
                    tracing::warn!(subject = task.subject, "removes a task that is none of ours");
                    if let Err(error) = self.bus.purge(Stream::Task, &task.subject).await {
                        tracing::warn!(
                            error = proto::fault::chain(&error),
                            "failed to remove a task"
                        );
                    }
                }
                // It and the rest stay written down as not sent, and are sent again.
                Err(error) => {
                    tracing::warn!(error = proto::fault::chain(&error), "failed to send a task");
                    break;
                }
            }
        }
        if sent.is_empty() { Ok(()) } else { self.state.tasks_sent(&sent).await }
    }

    /// Takes superseded tasks out of their queues, best effort: who holds one works for a generation that nobody reads.
    pub(crate) fn tasks_withdraw(&self, subjects: Vec<String>) {
        let bus = self.bus.clone();
        tokio::spawn(async move {
            for subject in subjects {
                if let Err(error) = bus.purge(Stream::Task, &subject).await {
                    tracing::debug!(
                        error = proto::fault::chain(&error),
                        "failed to withdraw a superseded task; it is done for nothing"
                    );
                }
            }
        });
    }

    pub(crate) fn config(&self, tenant: &TenantId) -> Option<&ConfigInForce> {
        self.tenants.get(tenant)
    }

    /// Whether units of a source need resolutions before they can be allocated.
    pub(crate) fn resolves(&self, tenant: &TenantId, source: &SourceId) -> bool {
        self.config(tenant).is_some_and(|entry| entry.resolving.contains_key(source))
    }

    /// Whether resolutions of a source are made from its inventory.
    pub(crate) fn reads_inventory(&self, tenant: &TenantId, source: &SourceId) -> bool {
        let source = self.config(tenant).and_then(|entry| entry.config.source(source));
        source.is_some_and(|s| matches!(s.settings, SourceSettings::ConfluentCloud(_)))
    }

    pub(crate) async fn month_ensure(&mut self, date: UnitDate) -> Result<(), StateError> {
        if self.months.insert(date.period()) {
            self.state.month_ensure(date).await?;
        }
        Ok(())
    }
}

/// The UTC day of this process' clock.
pub(crate) fn today() -> UnitDate {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0));
    UtcSeconds(seconds).date().unwrap_or(proto::time::FIRST_DATE)
}
