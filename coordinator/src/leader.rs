//! What the leading coordinator holds: the state and the configurations in force. It knows no NATS: reports come in and
//! tasks go out as values, and [`crate::post`] carries them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proto::config::{SourceSettings, TenantConfig};
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::time::{BillingPeriod, UnitDate, UtcSeconds};
use runtime::observe::Metrics;

use crate::domain::backoff::pause;
use crate::store::{ConfigInForce, Outgoing, StateError, StateStore};

/// What is tried again first waits so long.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The state of a leading coordinator. Everything in it can be thrown away and read again from Postgres.
pub struct Leader {
    pub(crate) state: StateStore,
    /// Folder of the configuration, absolute.
    pub(crate) folder: PathBuf,
    /// The run that work is counted for.
    pub(crate) run: String,
    /// Gathers of a standing run are due this often, unless a source has a schedule; `None` for a single run.
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
    /// When it was last looked at which dates were to be visible by now; not yet by this leader.
    pub(crate) sla_looked: Option<Instant>,
    /// A stream is nearly full: a standing run gathers nothing meanwhile, while commits go on.
    pub(crate) streams_filling: bool,
    /// Days that the streams hold.
    pub(crate) replay_horizon_days: u64,
    /// The pause after the first failed attempt at something.
    pub(crate) retry_pause: Duration,
    pub(crate) metrics: Metrics,
}

impl Leader {
    /// A leader under the epoch of `state`, for the configuration in `folder` and the run `run`; a standing run gathers
    /// sources without a schedule again `every` so often. Streams hold what is `replay_horizon_days` old.
    #[must_use]
    pub fn new(
        state: StateStore,
        folder: PathBuf,
        run: String,
        every: Option<Duration>,
        replay_horizon_days: u64,
    ) -> Self {
        Self {
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
            replay_horizon_days,
            retry_pause: RETRY_PAUSE,
            streams_filling: false,
            emissions_compared: None,
            runs_looked: None,
            sla_looked: None,
            metrics: Metrics::default(),
        }
    }

    /// Pauses so long after the first failed attempt at something; longer after the next ones.
    #[must_use]
    pub fn pausing(mut self, first: Duration) -> Self {
        self.retry_pause = first;
        self
    }

    /// The pause after so many failed attempts.
    pub(crate) fn pause(&self, attempts: i32) -> Duration {
        pause(self.retry_pause, attempts)
    }

    /// Counts in `metrics` from now on.
    #[must_use]
    pub fn counting(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// As if `time` had passed for this leader: what it looks at only from time to time is due the sooner.
    pub fn time_passed(&mut self, time: Duration) {
        let sooner = |at: Instant| at.checked_sub(time);
        // Before this machine was started is as good as never.
        (self.emissions_hinted, self.drivers_hinted) = (
            self.emissions_hinted || sooner(self.emissions_looked).is_none(),
            self.drivers_hinted || sooner(self.drivers_looked).is_none(),
        );
        self.emissions_looked = sooner(self.emissions_looked).unwrap_or(self.emissions_looked);
        self.drivers_looked = sooner(self.drivers_looked).unwrap_or(self.drivers_looked);
        self.emissions_compared = self.emissions_compared.and_then(sooner);
        self.runs_looked = self.runs_looked.and_then(sooner);
        self.sla_looked = self.sla_looked.and_then(sooner);
    }

    /// Puts configurations in force. Gives the number of units that became due.
    ///
    /// # Errors
    /// When Postgres cannot be used, or another coordinator leads.
    pub async fn configs_apply(
        &mut self,
        configs: Vec<TenantConfig>,
        commit: Option<&str>,
    ) -> Result<u64, StateError> {
        let mut entries = Vec::with_capacity(configs.len());
        for config in configs {
            let hash = config.config_hash()?;
            let header =
                Header::new::<TenantConfig>(config.tenant.clone(), Generation(0), Attempt(0));
            let message = envelope::encode(&header, &config)?;
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
        self.tenants = entries.into_iter().map(|e| (e.config.tenant.clone(), e)).collect();
        Ok(due)
    }

    /// What is to be published again: what was never noted as sent, or sent longer ago than `seconds`.
    ///
    /// # Errors
    /// When Postgres cannot be used.
    pub async fn tasks_unanswered(&self, seconds: u64) -> Result<Vec<Outgoing>, StateError> {
        self.state.tasks_unanswered(seconds).await
    }

    /// Notes that tasks were published.
    ///
    /// # Errors
    /// When Postgres cannot be used.
    pub async fn tasks_sent(&self, subjects: &[String]) -> Result<(), StateError> {
        if subjects.is_empty() { Ok(()) } else { self.state.tasks_sent(subjects).await }
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
