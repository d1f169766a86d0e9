//! What was asked before, bounded in samples and time. Who asks the same at the same time waits for the one answer.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::outcome::MetricsError;
use super::query::{MetricQuery, Moments};
use super::table::MetricTable;

/// How long an answer is good for, and how long a window must be over before its answer is kept: samples come late.
const KEPT: Duration = Duration::from_secs(600);
/// What a series weighs beside its samples: its labels.
const SERIES_WEIGHT: u64 = 8;
/// About how many answers are kept.
const ANSWERS: usize = 256;

/// A question, and the stretch of time in which its answer is good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    expression: String,
    labels: Vec<String>,
    moments: Moments,
    stretch: u64,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<MetricTable>> for Weight {
    fn weight(&self, _: &Key, table: &Arc<MetricTable>) -> u64 {
        1 + table.samples() + SERIES_WEIGHT * table.series.len() as u64
    }
}

/// See the module.
#[derive(Debug)]
pub struct Answers(Cache<Key, Arc<MetricTable>, Weight>);

impl Answers {
    /// Keeps so many samples at most; 0: none.
    ///
    /// # Errors
    /// When memory for so many is not to be had.
    pub fn new(samples: u64) -> Result<Self, String> {
        // One shard: a large answer may take all there is.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(ANSWERS)
            .weight_capacity(samples)
            .shards(1)
            .build()
            .map_err(|error| error.to_string())?;
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Ok(Self(Cache::with_options(options, Weight, hasher, lifecycle)))
    }

    /// The answer that is kept, or `ask`'s. `now`: since 1970. Failures are never kept.
    ///
    /// # Errors
    /// What `ask` answers.
    pub async fn get(
        &self,
        query: &MetricQuery,
        moments: Moments,
        now: Duration,
        ask: impl Future<Output = Result<Arc<MetricTable>, MetricsError>>,
    ) -> Result<Arc<MetricTable>, MetricsError> {
        let last = Duration::from_secs(u64::try_from(moments.last.0).unwrap_or_default());
        if last.saturating_add(KEPT) > now {
            return ask.await;
        }
        let key = Key {
            expression: query.expression.clone(),
            labels: query.labels.clone(),
            moments,
            stretch: now.as_secs() / KEPT.as_secs(),
        };
        self.0.get_or_insert_async(&key, ask).await
    }
}
