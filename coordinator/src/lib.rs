//! The coordinator: decides what should be done, from Postgres state and configuration alone.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what users write, read and checked |
//! | [`domain`] | pure rules: unit states, backoff, packing |
//! | [`store`] | the SQL of the state |
//! | [`leader`] | what the leader holds; it knows no NATS |
//! | [`post`] | how reports come to it and tasks go from it |
//! | [`apply`] | reports in |
//! | [`sweep`] | tasks out |
//! | `gathers` | gathers out, when their time has come |
//! | `sla` | which dates were not visible in time |
//! | `replay` | dates that are calculated again from what was gathered |
//! | `drive` | weights that the ledger adds up, and who is calculated again because of them |
//! | `snapshot` | the inventory of a time, for who resolves |
//! | [`keeper`] | the actor that owns the core |
//! | [`life`] | lead, loop, drain |
//! | `observe` | what metrics show of the state |
//! | [`migrate`] | the schema |
//! | [`incarnation`] | a restored backup and the streams that outlived it |

pub mod apply;
pub mod config;
pub mod domain;
mod drive;
mod gathers;
pub mod incarnation;
pub mod keeper;
pub mod leader;
pub mod life;
pub mod migrate;
mod observe;
pub mod post;
mod replay;
mod retain;
mod sla;
mod snapshot;
pub mod store;
pub mod sweep;

pub use life::{Options, live};

use proto::config::CanonicalError;
use runtime::bus::BusError;
use runtime::keeper::Gone;

/// Why the coordinator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The configuration has problems.
    #[error("the configuration has problems")]
    Problems(#[from] config::Problems),
    /// Postgres.
    #[error(transparent)]
    State(store::StateError),
    /// NATS.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A configuration cannot be hashed.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The streams are ahead of the database.
    #[error(transparent)]
    Ahead(#[from] incarnation::Ahead),
    /// The state keeper is gone.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The state keeper is at work: it is asked one thing at a time.
    #[error("the state keeper was asked two things at once")]
    Busy,
}

impl CoordinatorError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::State(error) => error.is_transient(),
            Self::Bus(error) => !matches!(error, BusError::Conflict(_) | BusError::Version(_)),
            Self::Problems(_)
            | Self::Canonical(_)
            | Self::Ahead(_)
            | Self::Gone(_)
            | Self::Busy => false,
        }
    }
}
