//! Shape of what says where metrics come from.

use schemars::JsonSchema;

use super::rules::Text;

/// A server of metrics.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Metrics {
    /// `prometheus`: Prometheus, and what speaks its HTTP API.
    pub kind: MetricsKind,
    /// Address without credentials and query, such as `http://prometheus:9090`.
    pub url: String,
    /// Who asks, together with `password`.
    pub username: Option<String>,
    /// Where the password is found: `${VAR}` or `file:/path`. The secret itself may not stand here.
    pub password: Option<String>,
    /// Where a token is found, instead of a name and a password: `${VAR}` or `file:/path`.
    pub bearer_token: Option<String>,
    /// For one attempt; left out: `30s`.
    pub timeout: Option<String>,
    /// Attempts for one question, the first one included; left out: 5.
    pub attempts: Option<Text>,
    /// Questions at a time; left out: 4.
    pub concurrency: Option<Text>,
    /// The largest answer that is read; left out: `64MiB`.
    pub response_max: Option<String>,
    /// Time between two samples; left out: `1h`.
    pub step: Option<String>,
    /// Samples that are kept for questions that are asked again; left out: 2000000.
    pub cache_samples: Option<Text>,
    /// How often a date is resolved before it does without what cannot be had; left out: 3.
    pub resolve_attempts: Option<Text>,
}

/// Kinds of servers of metrics.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum MetricsKind {
    /// Prometheus.
    Prometheus,
}
