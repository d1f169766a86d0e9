//! Settings of a process: embedded defaults, then environment. Values, never statics.

use config::{Config, File, FileFormat};
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
    /// The shards that this process serves, as `a-b` or `a,b`; empty = all.
    pub serve_shards: String,
    /// Logs as JSON lines.
    pub log_json: bool,
    /// Bytes that one data stream may hold.
    pub stream_bytes_max: i64,
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
    /// Shards that do not exist.
    #[error(
        "APPORTION_SERVE_SHARDS is {text:?}: name shards 0 to {max}, such as 0-{max} or 0,{max}"
    )]
    Serve {
        /// As given.
        text: String,
        /// Highest shard.
        max: u32,
    },
}

impl Settings {
    /// Defaults, overlaid by `NATS_URL`, `DATABASE_URL` and `APPORTION_<KEY>`.
    ///
    /// # Errors
    /// When a value is of the wrong form.
    pub fn load() -> Result<Self, SettingsError> {
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Yaml));
        for key in KEYS {
            let own = std::env::var(format!("APPORTION_{}", key.to_uppercase())).ok();
            builder = builder.set_override_option(key, own)?;
        }
        for (name, key) in [("NATS_URL", "nats_url"), ("DATABASE_URL", "database_url")] {
            builder = builder.set_override_option(key, std::env::var(name).ok())?;
        }
        let settings: Self = builder.build()?.try_deserialize()?;
        if settings.shards == 0 || !proto::subject::PARTITIONS.is_multiple_of(settings.shards) {
            return Err(SettingsError::Shards(settings.shards));
        }
        settings.served_shards()?;
        Ok(settings)
    }

    /// The shards that this process serves.
    ///
    /// # Errors
    /// When the text names none, or ones that do not exist.
    pub fn served_shards(&self) -> Result<Vec<u32>, SettingsError> {
        let max = self.shards - 1;
        let error = || SettingsError::Serve { text: self.serve_shards.clone(), max };
        if self.serve_shards.trim().is_empty() {
            return Ok((0..=max).collect());
        }
        let mut shards = Vec::new();
        for part in self.serve_shards.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let from: u32 = from.trim().parse().map_err(|_| error())?;
            let to: u32 = to.trim().parse().map_err(|_| error())?;
            shards.extend(from..=to);
        }
        shards.sort_unstable();
        shards.dedup();
        if shards.is_empty() || shards.iter().any(|s| *s > max) { Err(error()) } else { Ok(shards) }
    }
}

const KEYS: [&str; 7] = [
    "slots",
    "pool_max",
    "shards",
    "serve_shards",
    "log_json",
    "stream_bytes_max",
    "replay_horizon_days",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_complete_and_shards_are_checked() {
        let mut settings = Settings::load().unwrap();
        assert_eq!(settings.served_shards().unwrap(), [0]);
        settings.shards = 4;
        settings.serve_shards = "0-1,3".into();
        assert_eq!(settings.served_shards().unwrap(), [0, 1, 3]);
        settings.serve_shards = "4".into();
        assert!(settings.served_shards().unwrap_err().to_string().contains("0 to 3"));
    }
}
