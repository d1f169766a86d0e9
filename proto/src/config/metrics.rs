//! Where a source's metrics come from.

use serde::{Deserialize, Serialize};

use super::http::HttpServer;

/// A server of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MetricsConfig {
    /// What kind of server it is.
    pub kind: MetricsKind,
    /// The server.
    pub server: HttpServer,
    /// Seconds between two samples of a range, 1 or more.
    pub step_seconds: u32,
    /// Samples that are kept for questions that are asked again; 0: none.
    pub cache_samples: u64,
    /// How often a date is resolved, the first time included, before it does without what cannot be had; 1 or more.
    #[serde(default = "resolve_attempts")]
    pub resolve_attempts: u32,
}

fn resolve_attempts() -> u32 {
    MetricsConfig::RESOLVE_ATTEMPTS
}

impl MetricsConfig {
    /// Seconds between two samples where nothing is configured: an hour.
    pub const STEP_SECONDS: u32 = 3_600;
    /// Samples that are kept where nothing is configured: about 50 MB.
    pub const CACHE_SAMPLES: u64 = 2_000_000;

    /// Attempts at a date where nothing is configured.
    pub const RESOLVE_ATTEMPTS: u32 = 3;

    /// A Prometheus server with all limits as where nothing is configured.
    #[must_use]
    pub fn prometheus(server: HttpServer) -> Self {
        Self {
            kind: MetricsKind::Prometheus,
            server,
            step_seconds: Self::STEP_SECONDS,
            cache_samples: Self::CACHE_SAMPLES,
            resolve_attempts: Self::RESOLVE_ATTEMPTS,
        }
    }
}

/// Kinds of servers of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsKind {
    /// Whatever speaks Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics.
    Prometheus,
}
