//! That a query was answered, or why not.

use std::sync::Arc;

use proto::report::FailureClass;

use super::table::MetricTable;
use crate::http::HttpError;

/// What became of one query. What follows from it is decided elsewhere; that it happened is always visible.
#[derive(Debug, Clone)]
pub enum MetricsOutcome {
    /// Answered in full, with one sample or more.
    Fetched(Arc<MetricTable>),
    /// Answered in full: nothing was measured in the window.
    NoSamples(Arc<MetricTable>),
    /// Not answered, not in full, or with what cannot be used: nothing of it counts.
    Failed(Arc<MetricsError>),
}

impl MetricsOutcome {
    /// The outcome of an answer.
    #[must_use]
    pub fn of(answer: Result<Arc<MetricTable>, MetricsError>) -> Self {
        match answer {
            Ok(table) if table.series.is_empty() => Self::NoSamples(table),
            Ok(table) => Self::Fetched(table),
            Err(error) => Self::Failed(Arc::new(error)),
        }
    }

    /// The word for it that rows and people see; `None`: all is well.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Fetched(_) => None,
            Self::NoSamples(_) => Some("no_metrics_located"),
            Self::Failed(_) => Some("metrics_fetch_failed"),
        }
    }

    /// The answer, if there is one.
    #[must_use]
    pub fn table(&self) -> Option<&MetricTable> {
        match self {
            Self::Fetched(table) | Self::NoSamples(table) => Some(table),
            Self::Failed(_) => None,
        }
    }

    /// The answer, or why there is none.
    ///
    /// # Errors
    /// When there is none.
    pub fn whole(self) -> Result<Arc<MetricTable>, Arc<MetricsError>> {
        match self {
            Self::Fetched(table) | Self::NoSamples(table) => Ok(table),
            Self::Failed(error) => Err(error),
        }
    }

    /// Why there is no answer.
    #[must_use]
    pub fn error(&self) -> Option<&MetricsError> {
        match self {
            Self::Fetched(_) | Self::NoSamples(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}

/// Why a query has no answer that can be used. `query` is its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// The server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What the server answered is not what such a server answers.
    #[error(
        "query {query}: the answer cannot be read: {what}: check that the address is that of a Prometheus server"
    )]
    Malformed {
        /// Which query.
        query: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server says itself that something is missing.
    #[error(
        "query {query}: the server answered in part only: {what}: nothing of it counts, it is asked for again later"
    )]
    Partial {
        /// Which query.
        query: String,
        /// What the server says.
        what: String,
    },
    /// A value that no exact number can be made of.
    #[error("query {query}: the value {value} of {series} at {at} is no usable number: {mend}")]
    Value {
        /// Which query.
        query: String,
        /// The value's text, cut to 60 characters.
        value: String,
        /// The labels of its series.
        series: String,
        /// When.
        at: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// Something else than numbers by time.
    #[error("query {query} gives {what}")]
    Kind {
        /// Which query.
        query: String,
        /// What it gives, and what to do about it.
        what: String,
    },
    /// A label that no series carries.
    #[error(
        "query {query}: none of its {series} series carries the label {label}; there are: {found}: change the query's `by (…)`, or the label"
    )]
    Label {
        /// Which query.
        query: String,
        /// Which label.
        label: String,
        /// Number of series.
        series: usize,
        /// The labels that there are.
        found: String,
    },
    /// More samples than are kept.
    #[error(
        "query {query} gives more than {max} samples in one window: add series up (`sum by (…)`), or make `step` longer"
    )]
    TooMany {
        /// Which query.
        query: String,
        /// The limit.
        max: u64,
    },
    /// A background thread ended without an answer.
    #[error("a background thread ended early: {0}")]
    Thread(String),
}

impl MetricsError {
    /// Whose fault it is: what the server holds may change, so only a configuration fails again for certain.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        if let Self::Http(error) = self { error.class() } else { FailureClass::Transient }
    }
}
