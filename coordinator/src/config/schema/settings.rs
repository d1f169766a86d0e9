//! Shape of `apportion.yaml`.

use std::borrow::Cow;

use proto::subject::PARTITIONS;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::rules::one_of;
use super::tenant::Tenant;

/// Either file of a configuration folder.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum File {
    /// `tenants/<tenant>.yaml`.
    Tenant(Box<Tenant>),
    /// `apportion.yaml`.
    Apportion(Box<ApportionFile>),
}

/// Servers, workers, telemetry, and defaults of every tenant. Everything may be left out.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApportionFile {
    /// Folder of the embedded servers' data, relative to the configuration folder.
    pub data_dir: Option<String>,
    /// The message server. Left out: the embedded one.
    pub nats: Option<NatsOrUrl>,
    /// The database. Left out: the embedded one.
    pub postgres: Option<PostgresOrUrl>,
    /// How many of which process.
    pub workers: Option<Workers>,
    /// Logs and metrics.
    pub telemetry: Option<Telemetry>,
    /// How often what is stored is compared with what it was made of.
    pub reconcile: Option<Reconcile>,
    /// Any key of a tenant; a tenant's own key replaces it as a whole.
    pub defaults: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// The message server.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum NatsOrUrl {
    /// `nats://…` or `tls://…`.
    Url(String),
    /// With settings.
    Settings(Nats),
}

/// The message server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Nats {
    /// `nats://…` or `tls://…`; better from `${VAR}` or `file:/path` than written out.
    pub url: Option<String>,
    /// Bytes that one data stream may hold, such as `16GiB`.
    pub stream_bytes_max: Option<String>,
    /// For how long lines and resolutions stay replayable, such as `35d`.
    pub replay_horizon: Option<String>,
}

/// The database.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum PostgresOrUrl {
    /// `postgres://…` or `postgresql://…`.
    Url(String),
    /// With settings.
    Settings(Postgres),
}

/// The database.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://…` or `postgresql://…`; better from `${VAR}` or `file:/path` than written out.
    pub url: Option<String>,
    /// Connections per process.
    pub pool_max: Option<u32>,
}

/// How many of which process.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Workers {
    /// Gatherer processes.
    pub gatherers: Option<u32>,
    /// Allocator processes.
    pub allocators: Option<u32>,
    /// Emitter processes.
    pub emitters: Option<u32>,
    /// Units that one process works on at a time, per queue.
    pub slots: Option<u32>,
    /// Number of task shards; divides 64.
    pub shards: Option<Shards>,
}

/// A number of shards.
pub enum Shards {}

impl JsonSchema for Shards {
    fn schema_name() -> Cow<'static, str> {
        "Shards".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let divisors = (1..=PARTITIONS).filter(|shards| PARTITIONS.is_multiple_of(*shards));
        one_of(divisors.flat_map(|shards| [shards.into(), shards.to_string().into()]))
    }
}

/// Logs and metrics.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Telemetry {
    /// Text, or JSON lines.
    pub logs: Option<Logs>,
    /// The first port of 127.0.0.1 where the roles of `up` show their metrics; each takes the next. Left out: any free one.
    #[schemars(range(min = 1, max = 65335))]
    pub metrics_port: Option<u32>,
}

/// How often what is stored is compared with what it was made of.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Reconcile {
    /// Within how long every visible date is compared, such as `24h`, which is the default; or `never`.
    pub every: Option<String>,
}

/// The form of logs.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Logs {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
