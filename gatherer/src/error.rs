//! Why a gather or resolve did not end well, and whose fault that is.

use proto::fault::chain;
use proto::report::FailureClass;
use runtime::data::DataError;
use runtime::worker::WorkError;

use crate::sources::focus::FocusError;
use crate::spool::SpoolError;

/// What stops a gather or resolve as a whole. Single bad records do not: they are quarantined.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The files of a `focus` source.
    #[error(transparent)]
    Focus(#[from] FocusError),
    /// A server that was asked.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
    /// Metrics.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Metrics(#[from] std::sync::Arc<crate::metrics::MetricsError>),
    /// Temporary storage.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// NATS, or a message that cannot be made.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The inventory that came with a resolve task.
    #[error("the inventory to resolve with cannot be read: {0}: it is sent anew")]
    Inventory(String),
    /// The tenant's configuration does not fit the task.
    #[error("{0}")]
    Config(String),
    /// What was published is not what was received: a defect of ours, so nothing of it may count.
    #[error(
        "received and published differ for {0}: this is a defect of the gatherer, nothing of it counts"
    )]
    Unbalanced(String),
    /// It was looked whether the source can be read, and it cannot: nothing of the gather was begun.
    #[error("the source is not available")]
    Unavailable(#[source] Box<GatherError>),
    /// The task was given up: the process drains, or a newer task of the same source came.
    #[error("the gather was given up: the process ends, or a newer task for this source came")]
    Stopped,
    /// A background thread ended without an answer.
    #[error("a background thread ended early: {0}")]
    Thread(String),
}

impl GatherError {
    /// Whose fault it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Focus(error) => error.class(),
            #[cfg(feature = "http")]
            Self::Http(error) => error.class(),
            #[cfg(feature = "http")]
            Self::Metrics(error) => error.class(),
            Self::Data(error) => error.class(),
            Self::Unavailable(error) => error.class(),
            Self::Spool(_) | Self::Stopped | Self::Thread(_) | Self::Inventory(_) => {
                FailureClass::Transient
            }
            Self::Config(_) | Self::Unbalanced(_) => FailureClass::Data,
        }
    }
}

impl From<GatherError> for WorkError {
    fn from(error: GatherError) -> Self {
        Self { class: error.class(), units: Vec::new(), reason: chain(&error) }
    }
}
