//! What goes wrong here, and whose fault it is.

use proto::report::FailureClass;
use runtime::data::DataError;
use runtime::keeper::Gone;
use runtime::store::StoreError;
use runtime::worker::WorkError;

/// Why a unit could not be committed, emitted or restored.
#[derive(Debug, thiserror::Error)]
pub enum EmitterError {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// NATS, or a batch that is missing, different or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file or folder.
    #[error("failed to {what} {path}")]
    File {
        /// The operation.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's words.
        #[source]
        error: std::io::Error,
    },
    /// What is stored, or what a manifest says, contradicts itself: nothing was made visible or put in place.
    #[error("integrity: {0}")]
    Integrity(String),
    /// A setting that cannot be obeyed.
    #[error("{0}")]
    Settings(String),
    /// Somebody else is at it, or was faster.
    #[error("{0}")]
    Busy(String),
    /// The process is ending.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl EmitterError {
    /// Whose fault it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Store(error) if error.is_transient() => FailureClass::Transient,
            Self::Data(error) => error.class(),
            Self::Store(_) | Self::Integrity(_) | Self::Settings(_) => FailureClass::Data,
            // A full disk or a missing right heals without us; the same task then works.
            Self::File { .. } | Self::Busy(_) | Self::Gone(_) => FailureClass::Transient,
        }
    }

    /// For `map_err` of Postgres' errors: names the operation.
    pub fn sql(
        what: &'static str,
    ) -> impl FnOnce(deadpool_postgres::tokio_postgres::Error) -> Self {
        move |error| Self::Store(StoreError::Sql { what, error })
    }
}

impl From<EmitterError> for WorkError {
    fn from(error: EmitterError) -> Self {
        Self { class: error.class(), units: Vec::new(), reason: proto::fault::chain(&error) }
    }
}
