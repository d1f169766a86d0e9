//! Metrics: who used how much of what, in numbers. Facts only; what they are worth is decided elsewhere.
//!
//! | module | what |
//! |---|---|
//! | [`query`] | what is asked, and at which moments (pure) |
//! | [`table`] | what was answered, and sums of it (pure) |
//! | [`outcome`] | that it was answered, or why not |
//! | [`prometheus`] | Prometheus and what speaks its language |
//! | [`cache`] | what was asked before |
//!
//! One query speaks of all resources of a source in a window: labels are matched here, so the number of questions
//! does not grow with the number of resources.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use proto::config::{MetricsConfig, MetricsKind};

pub mod cache;
pub mod outcome;
pub mod prometheus;
pub mod query;
pub mod table;
#[cfg(test)]
mod tests;

pub use outcome::{MetricsError, MetricsOutcome};
pub use query::{MetricQuery, Sampling, Shape, Window};
pub use table::{MetricTable, Sample, Series, amounts};

/// Answers queries.
pub trait MetricsSource: Send + Sync {
    /// Asks for a number that every server knows, with the usual patience.
    ///
    /// # Errors
    /// When there is no answer.
    fn available(&self) -> BoxFuture<'_, Result<(), Arc<MetricsError>>>;
    /// Asks all queries about a window, several at a time; an outcome for each, in their order. That one of them
    /// fails is no reason for another to.
    fn fetch<'a>(
        &'a self,
        queries: &'a [MetricQuery],
        window: Window,
    ) -> BoxFuture<'a, Vec<MetricsOutcome>>;
}

/// Sources that are kept: who asks the same server shares its limits and its cache.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());
/// Most of them.
const KNOWN_MAX: usize = 32;
/// How long one is kept: secrets change.
const KNOWN_FOR: Duration = Duration::from_secs(600);

struct Known {
    config: MetricsConfig,
    since: Instant,
    source: Arc<dyn MetricsSource>,
}

/// The source of metrics that is configured; the same one for the same configuration, for a while.
///
/// # Errors
/// When its configuration cannot be used: an address that is none, a secret that is not there.
pub fn source(config: &MetricsConfig) -> Result<Arc<dyn MetricsSource>, Arc<MetricsError>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|known| known.since.elapsed() < KNOWN_FOR);
    if let Some(found) = known.iter().find(|known| known.config == *config) {
        return Ok(Arc::clone(&found.source));
    }
    let source: Arc<dyn MetricsSource> = match config.kind {
        MetricsKind::Prometheus => Arc::new(prometheus::Prometheus::new(config)?),
    };
    if known.len() >= KNOWN_MAX {
        known.remove(0);
    }
    let (config, since) = (config.clone(), Instant::now());
    known.push(Known { config, since, source: Arc::clone(&source) });
    Ok(source)
}
