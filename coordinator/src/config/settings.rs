//! `apportion.yaml`: servers, workers, telemetry, and defaults of every tenant.

use std::fmt;
use std::path::{Path, PathBuf};

use super::problem::Report;
use super::read::{self, Map};
use super::scalar;
use super::yaml::{Node, Value};

/// Keys of `apportion.yaml`.
pub const SETTINGS_KEYS: [&str; 7] =
    ["data_dir", "nats", "postgres", "workers", "telemetry", "reconcile", "defaults"];
/// Keys of `nats`.
pub const NATS_KEYS: [&str; 3] = ["url", "stream_bytes_max", "replay_horizon"];
/// Keys of `postgres`.
pub const POSTGRES_KEYS: [&str; 2] = ["url", "pool_max"];
/// Keys of `workers`.
pub const WORKERS_KEYS: [&str; 5] = ["gatherers", "allocators", "emitters", "slots", "shards"];
/// Keys of `telemetry`.
pub const TELEMETRY_KEYS: [&str; 2] = ["logs", "metrics_port"];
/// Keys of `reconcile`.
pub const RECONCILE_KEYS: [&str; 1] = ["every"];
/// The highest first port for metrics: each of up to 200 roles takes one.
const METRICS_PORT_MAX: u32 = 65_335;

/// Days for which lines and resolutions stay replayable where nothing is configured.
pub const REPLAY_HORIZON_DAYS: u64 = 35;

/// What `apportion.yaml` says; everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the embedded servers' data; relative ones are taken from the configuration folder.
    pub data_dir: Option<PathBuf>,
    /// The message server.
    pub nats: NatsSettings,
    /// The database.
    pub postgres: PostgresSettings,
    /// How many of which process.
    pub workers: WorkersSettings,
    /// Logs as JSON lines (`logs: json`) or as text.
    pub log_json: Option<bool>,
    /// The first port of 127.0.0.1 where roles of `up` show their metrics; each takes the next. Left out: any free one.
    pub metrics_port: Option<u16>,
    /// Seconds within which what is stored of every visible date is compared again; 0: never.
    pub reconcile_every: Option<u32>,
}

/// The message server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NatsSettings {
    /// Address with credentials. Left out: the embedded server.
    pub url: Option<Secret>,
    /// Bytes that one data stream may hold.
    pub stream_bytes_max: Option<u64>,
    /// Days for which lines and resolutions stay replayable.
    pub replay_horizon_days: Option<u32>,
}

/// The database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Address with credentials. Left out: the embedded server.
    pub url: Option<Secret>,
    /// Connections per process.
    pub pool_max: Option<u32>,
}

/// How many of which process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkersSettings {
    /// Gatherer processes, 1 or more.
    pub gatherers: Option<u32>,
    /// Allocator processes, 1 or more.
    pub allocators: Option<u32>,
    /// Emitter processes, 1 or more.
    pub emitters: Option<u32>,
    /// Units that one process works on at a time, per queue; 1 or more.
    pub slots: Option<u32>,
    /// Number of task shards; divides 64.
    pub shards: Option<u32>,
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Settings {
    /// What is set, as environment variables of the processes that use it (some values are secret).
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let secret = |value: &Option<Secret>| value.as_ref().map(|value| value.reveal().to_owned());
        let all = [
            ("NATS_URL", secret(&self.nats.url)),
            ("DATABASE_URL", secret(&self.postgres.url)),
            (
                "APPORTION_STREAM_BYTES_MAX",
                self.nats.stream_bytes_max.map(|bytes| bytes.to_string()),
            ),
            ("APPORTION_REPLAY_HORIZON_DAYS", number(self.nats.replay_horizon_days)),
            ("APPORTION_POOL_MAX", number(self.postgres.pool_max)),
            ("APPORTION_SLOTS", number(self.workers.slots)),
            ("APPORTION_SHARDS", number(self.workers.shards)),
            ("APPORTION_RECONCILE_EVERY", number(self.reconcile_every)),
            ("APPORTION_LOG_JSON", self.log_json.map(|json| json.to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }
}

/// Reads `apportion.yaml`; gives its `defaults` too.
pub fn settings(node: &Node, dir: &Path, report: &mut Report) -> (Settings, Option<Node>) {
    let mut settings = Settings::default();
    if matches!(node.value, Value::Null) {
        return (settings, None);
    }
    let Some(map) = Map::read(node, "apportion.yaml", &SETTINGS_KEYS, report) else {
        return (settings, None);
    };
    settings.data_dir = map
        .get("data_dir")
        .and_then(|node| read::text(node, "`data_dir`", report))
        .map(|path| dir.join(path));
    if let Some(node) = map.get("nats") {
        settings.nats = nats(node, report).unwrap_or_default();
    }
    if let Some(node) = map.get("postgres") {
        settings.postgres = postgres(node, report).unwrap_or_default();
    }
    if let Some(node) = map.get("workers") {
        settings.workers = workers(node, report).unwrap_or_default();
    }
    if let Some(map) = map
        .get("telemetry")
        .and_then(|node| Map::read(node, "`telemetry`", &TELEMETRY_KEYS, report))
    {
        let words = [("text", false), ("json", true)];
        settings.log_json =
            map.get("logs").and_then(|node| read::word(node, "`logs`", &words, report));
        settings.metrics_port = map.get("metrics_port").and_then(|node| metrics_port(node, report));
    }
    if let Some(map) = map
        .get("reconcile")
        .and_then(|node| Map::read(node, "`reconcile`", &RECONCILE_KEYS, report))
    {
        settings.reconcile_every = map
            .get("every")
            .and_then(|node| read::parsed(node, "`every`", report, scalar::seconds_or_never));
    }
    (settings, map.get("defaults").cloned())
}

fn metrics_port(node: &Node, report: &mut Report) -> Option<u16> {
    let port = read::number(node, "`metrics_port`", 1, report)?;
    if port > METRICS_PORT_MAX {
        let mend = format!("write a port of 1 to {METRICS_PORT_MAX}: each role takes the next one");
        report.at(&node.at, format!("`metrics_port` is {port}"), mend);
    }
    u16::try_from(port).ok()
}

/// An address: a bare text, or `url` of a map.
fn url(node: &Node, what: &str, schemes: &[&str], report: &mut Report) -> Option<Secret> {
    let Value::Text { text, .. } = &node.value else {
        report.hidden_at(&node.at, format!("{what} is {}", node.shape()), "write an address");
        return None;
    };
    if !schemes.iter().any(|scheme| text.starts_with(scheme)) {
        let mend = format!("write an address that starts with {}", schemes.join(" or "));
        report.hidden_at(&node.at, format!("{what} is no address"), mend);
        return None;
    }
    Some(Secret(text.clone()))
}

fn nats(node: &Node, report: &mut Report) -> Option<NatsSettings> {
    let schemes = ["nats://", "tls://"];
    if let Value::Text { .. } = node.value {
        return Some(NatsSettings {
            url: url(node, "`nats`", &schemes, report),
            ..NatsSettings::default()
        });
    }
    let map = Map::read(node, "`nats`", &NATS_KEYS, report)?;
    Some(NatsSettings {
        url: map.get("url").and_then(|node| url(node, "`url`", &schemes, report)),
        stream_bytes_max: map
            .get("stream_bytes_max")
            .and_then(|node| read::parsed(node, "`stream_bytes_max`", report, scalar::bytes)),
        replay_horizon_days: map
            .get("replay_horizon")
            .and_then(|node| read::parsed(node, "`replay_horizon`", report, scalar::days)),
    })
}

fn postgres(node: &Node, report: &mut Report) -> Option<PostgresSettings> {
    let schemes = ["postgres://", "postgresql://"];
    if let Value::Text { .. } = node.value {
        return Some(PostgresSettings {
            url: url(node, "`postgres`", &schemes, report),
            pool_max: None,
        });
    }
    let map = Map::read(node, "`postgres`", &POSTGRES_KEYS, report)?;
    Some(PostgresSettings {
        url: map.get("url").and_then(|node| url(node, "`url`", &schemes, report)),
        pool_max: map.get("pool_max").and_then(|node| read::number(node, "`pool_max`", 1, report)),
    })
}

fn workers(node: &Node, report: &mut Report) -> Option<WorkersSettings> {
    let map = Map::read(node, "`workers`", &WORKERS_KEYS, report)?;
    let mut number = |key: &str| {
        map.get(key).and_then(|node| read::number(node, &format!("`{key}`"), 1, report))
    };
    let (gatherers, allocators, emitters) =
        (number("gatherers"), number("allocators"), number("emitters"));
    let (slots, shards) = (number("slots"), number("shards"));
    if let (Some(shards), Some(node)) = (shards, map.get("shards"))
        && !proto::subject::PARTITIONS.is_multiple_of(shards)
    {
        report.at(
            &node.at,
            format!("`shards` is {shards}"),
            "write a divisor of 64: 1, 2, 4, 8, 16, 32 or 64",
        );
    }
    Some(WorkersSettings { gatherers, allocators, emitters, slots, shards })
}
