//! Prometheus, and what speaks its HTTP API.
//!
//! A query is asked once per window, in more than one question only where the window has more moments than a server
//! takes, or where an answer is larger than is read. Bounded are: questions at a time, attempts, the size of an
//! answer ([`proto::config::HttpServer`]), samples of one query ([`SAMPLES_MAX`]), and samples that are kept.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use proto::config::MetricsConfig;

use super::MetricsSource;
use super::cache::Answers;
use super::outcome::{MetricsError, MetricsOutcome};
use super::query::{MOMENTS_MAX, MetricQuery, Moments, Window};
use super::table::MetricTable;
use crate::http::patience::Patience;
use crate::http::{HttpClient, HttpError};

mod answer;
mod collect;

use collect::Collected;

/// Most samples that one query may give in one window: about 120 MB.
pub const SAMPLES_MAX: u64 = 5_000_000;

/// A Prometheus server.
#[derive(Debug)]
pub struct Prometheus {
    client: HttpClient,
    timeout: String,
    answers: Answers,
}

impl Prometheus {
    /// The server that is configured.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(config: &MetricsConfig) -> Result<Self, MetricsError> {
        Self::with_patience(config, Patience::default())
    }

    /// The same with other pauses between attempts.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(config: &MetricsConfig, patience: Patience) -> Result<Self, MetricsError> {
        let answers = Answers::new(config.cache_samples).map_err(HttpError::Settings)?;
        Ok(Self {
            client: HttpClient::with_patience(&config.server, patience)?,
            timeout: format!("{}s", config.server.timeout_seconds),
            answers,
        })
    }

    async fn answer(&self, query: &MetricQuery, window: Window) -> MetricsOutcome {
        let answer = match query.moments(window) {
            Some(moments) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let ask = self.table(query, moments);
                self.answers.get(query, moments, now.unwrap_or(Duration::ZERO), ask).await
            }
            None => {
                Ok(Arc::new(MetricTable { labels: query.labels.clone(), ..MetricTable::default() }))
            }
        };
        let outcome = MetricsOutcome::of(answer);
        if let Some(error) = outcome.error() {
            tracing::warn!(query = query.name, %error, "metrics could not be had");
        }
        outcome
    }

    /// Asks about all moments, as many at a time as the server takes.
    async fn table(
        &self,
        query: &MetricQuery,
        moments: Moments,
    ) -> Result<Arc<MetricTable>, MetricsError> {
        let mut collected = Collected::new(SAMPLES_MAX);
        let mut left = vec![moments];
        while let Some(moments) = left.pop() {
            if let Some((head, tail)) = moments.split(MOMENTS_MAX) {
                left.extend([tail, head]);
                continue;
            }
            match self.ask(query, moments).await {
                Ok(body) => {
                    let query = query.clone();
                    // Millions of samples would hold up everybody else on this thread.
                    let read = tokio::task::spawn_blocking(move || {
                        collected.add(&query, moments, &body)?;
                        Ok::<_, MetricsError>(collected)
                    });
                    collected = read.await.map_err(|e| MetricsError::Thread(e.to_string()))??;
                }
                Err(HttpError::TooLarge { at, max }) => {
                    let halves = moments.split(moments.count() / 2);
                    let (head, tail) = halves.ok_or(HttpError::TooLarge { at, max })?;
                    left.extend([tail, head]);
                }
                Err(error) => return Err(error.into()),
            }
        }
        collected.table(query).map(Arc::new)
    }

    async fn ask(&self, query: &MetricQuery, moments: Moments) -> Result<Vec<u8>, HttpError> {
        let (first, last) = (moments.first.0.to_string(), moments.last.0.to_string());
        let (expression, timeout) = (query.expression.as_str(), self.timeout.as_str());
        let question = if moments.count() == 1 {
            let form = [("query", expression), ("time", &first), ("timeout", timeout)];
            self.client.form("api/v1/query", &form)
        } else {
            let step = moments.step.to_string();
            let range = [("start", &*first), ("end", &*last), ("step", &*step)];
            let form = [[("query", expression), ("timeout", timeout)].as_slice(), &range].concat();
            self.client.form("api/v1/query_range", &form)
        };
        self.client.ask(&question).await
    }
}

impl MetricsSource for Prometheus {
    fn available(&self) -> BoxFuture<'_, Result<(), Arc<MetricsError>>> {
        let form = [("query", "vector(1)"), ("timeout", self.timeout.as_str())];
        let question = self.client.form("api/v1/query", &form);
        async move {
            let answer = self.client.ask(&question).await;
            answer.map(|_| ()).map_err(|error| Arc::new(error.into()))
        }
        .boxed()
    }
    fn fetch<'a>(
        &'a self,
        queries: &'a [MetricQuery],
        window: Window,
    ) -> BoxFuture<'a, Vec<MetricsOutcome>> {
        join_all(queries.iter().map(move |query| self.answer(query, window))).boxed()
    }
}
