//! Settings of a process: embedded defaults, then environment. Values, never statics.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Config, File, FileFormat};
use proto::subject::PARTITIONS;
use serde::Deserialize;

/// The complete defaults, every key with its reason.
const DEFAULTS: &str = include_str!("defaults.yaml");

/// What a worker or coordinator process needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of NATS, with token or user in it; `NATS_URL`.
    pub nats_url: String,
    /// Address of Postgres; `DATABASE_URL`. Empty for the allocator.
    pub database_url: String,
    /// Units (gathers, commits, …) that one process works on at a time, per queue.
    pub slots: usize,
    /// Connections of the Postgres pool.
    pub pool_max: usize,
    /// Number of task shards; divides 64.
    pub shards: u32,
    /// The partitions of tenants (0 to 63) that this process serves, as `0-31` or `0-15,48-63`: whole shards; empty = all.
    pub partitions: String,
    /// Where `/metrics` and `/health` are served, as `host:port`; empty = nowhere.
    pub metrics: String,
    /// What reports and connections call this process; empty = its role, process id and host.
    pub name: String,
    /// Logs as JSON lines.
    pub log_json: bool,
    /// What failed is tried again after so many milliseconds, and twice as many each time, up to a minute.
    pub retry_pause_ms: u64,
    /// A task that shows no sign of life for so many milliseconds goes to another worker.
    pub task_patience_ms: u64,
    /// Bytes that one data stream may hold.
    pub stream_bytes_max: i64,
    /// Every visible unit's stored facts are compared again within so many seconds; 0: never.
    pub reconcile_every: u64,
    /// How long lines, resolutions, drivers and configurations stay replayable, in days.
    pub replay_horizon_days: u64,
}

/// Settings that make no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is of the wrong form.
    #[error("failed to read the settings from the environment: {0}")]
    Read(#[from] config::ConfigError),
    /// Shards do not divide the partitions.
    #[error("APPORTION_SHARDS is {0}: it must divide 64 (1, 2, 4, 8, 16, 32 or 64)")]
    Shards(u32),
    /// Partitions that do not exist.
    #[error(
        "--partitions (APPORTION_PARTITIONS) is {0:?}: name partitions 0 to 63, such as 0-31 or 0-15,48-63"
    )]
    Partitions(String),
    /// Partitions that are no whole shards.
    #[error(
        "--partitions (APPORTION_PARTITIONS) {partitions} are no whole shards of {shards}: set workers.shards of apportion.yaml, and APPORTION_SHARDS of every process that is started by itself, to {needed}"
    )]
    Shares {
        /// As given.
        partitions: String,
        /// How many there are.
        shards: u32,
        /// How many there have to be.
        needed: u32,
    },
    /// Nothing can listen there.
    #[error(
        "cannot serve metrics at {address}: {error}; choose another address with --metrics (APPORTION_METRICS), or leave it out"
    )]
    Metrics {
        /// As given.
        address: String,
        /// The system's words.
        error: String,
    },
}

/// What the command line sets; it goes before the environment.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// See [`Settings::partitions`].
    pub partitions: Option<String>,
    /// See [`Settings::metrics`].
    pub metrics: Option<String>,
}

impl Settings {
    /// Defaults, overlaid by `NATS_URL`, `DATABASE_URL` and `APPORTION_<KEY>`.
    ///
    /// # Errors
    /// When a value is of the wrong form.
    pub fn load() -> Result<Self, SettingsError> {
        Self::load_with(Given::default())
    }

    /// The same, overlaid by the command line.
    ///
    /// # Errors
    /// When a value is of the wrong form.
    pub fn load_with(given: Given) -> Result<Self, SettingsError> {
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Yaml));
        for key in KEYS {
            let own = std::env::var(format!("APPORTION_{}", key.to_uppercase())).ok();
            builder = builder.set_override_option(key, own)?;
        }
        for (name, key) in [("NATS_URL", "nats_url"), ("DATABASE_URL", "database_url")] {
            builder = builder.set_override_option(key, std::env::var(name).ok())?;
        }
        builder = builder.set_override_option("partitions", given.partitions)?;
        builder = builder.set_override_option("metrics", given.metrics)?;
        let settings: Self = builder.build()?.try_deserialize()?;
        if settings.shards == 0 || !PARTITIONS.is_multiple_of(settings.shards) {
            return Err(SettingsError::Shards(settings.shards));
        }
        settings.served_shards()?;
        Ok(settings)
    }

    /// A task that shows no sign of life for this long goes to another worker.
    #[must_use]
    pub fn task_patience(&self) -> Duration {
        Duration::from_millis(self.task_patience_ms)
    }

    /// The shards that this process serves.
    ///
    /// # Errors
    /// When the text names no partitions, ones that do not exist, or parts of shards.
    pub fn served_shards(&self) -> Result<Vec<u32>, SettingsError> {
        if self.partitions.trim().is_empty() {
            return Ok((0..self.shards).collect());
        }
        let served = self.served_partitions()?;
        let whole = |shards: u32| -> Option<Vec<u32>> {
            let size = PARTITIONS / shards;
            let of = |partition: &u32| partition / size;
            let named: BTreeSet<u32> = served.iter().map(of).collect();
            let all = named.iter().flat_map(|shard| shard * size..(shard + 1) * size);
            all.eq(served.iter().copied()).then(|| named.into_iter().collect())
        };
        whole(self.shards).ok_or_else(|| {
            let more = (1..=PARTITIONS).filter(|n| PARTITIONS.is_multiple_of(*n));
            SettingsError::Shares {
                partitions: self.partitions.clone(),
                shards: self.shards,
                // With a shard per partition any are whole.
                needed: more.into_iter().find(|n| whole(*n).is_some()).unwrap_or(PARTITIONS),
            }
        })
    }

    fn served_partitions(&self) -> Result<BTreeSet<u32>, SettingsError> {
        let error = || SettingsError::Partitions(self.partitions.clone());
        let mut served = BTreeSet::new();
        for part in self.partitions.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let from: u32 = from.trim().parse().map_err(|_| error())?;
            let to: u32 = to.trim().parse().map_err(|_| error())?;
            if from > to || to >= PARTITIONS {
                return Err(error());
            }
            served.extend(from..=to);
        }
        Ok(served)
    }
}

const KEYS: [&str; 12] = [
    "slots",
    "pool_max",
    "shards",
    "partitions",
    "metrics",
    "name",
    "log_json",
    "retry_pause_ms",
    "task_patience_ms",
    "stream_bytes_max",
    "replay_horizon_days",
    "reconcile_every",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_complete_and_shards_are_checked() {
        let mut settings = Settings::load().unwrap();
        assert_eq!(settings.served_shards().unwrap(), [0]);
        settings.shards = 4;
        settings.partitions = "0-31, 48-63".into();
        assert_eq!(settings.served_shards().unwrap(), [0, 1, 3]);
        settings.partitions = "0-7".into();
        let error = settings.served_shards().unwrap_err().to_string();
        assert!(error.contains("no whole shards of 4") && error.ends_with("to 8"), "{error}");
        settings.partitions = "5".into();
        assert!(settings.served_shards().unwrap_err().to_string().ends_with("to 64"));
        for wrong in ["64", "7-3", "x", "1,,2", "-"] {
            settings.partitions = wrong.into();
            assert!(settings.served_shards().unwrap_err().to_string().contains("0 to 63"));
        }
    }
}
