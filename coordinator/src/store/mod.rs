//! The coordinator's SQL. `noun_verb`; `_in_txn` says that the caller holds a transaction of the leader.

mod audit;
mod config;
mod driver;
mod emit;
mod gather;
mod guard;
mod inventory;
mod lead;
mod observe;
mod remove;
mod replay;
mod resolve;
mod retention;
mod run;
mod snapshot;
mod task;
mod timing;
mod unit;
mod units;

pub use audit::{GatherRun, StepDone};
pub use config::ConfigInForce;
pub use driver::DriverWanted;
pub use emit::EmissionDue;
pub use gather::{GatherDue, SourceRow, StagedDate};
pub use guard::{Counted, Decision, VisibleDate};
pub use remove::RemovalDue;
pub(crate) use replay::RulesPut;
pub use replay::{ReplayAsked, ReplayRules, ReplayUnit};
pub use run::Unsettled;
pub use task::Outgoing;
pub(crate) use timing::DEFAULT;
pub use timing::{CameLate, SlaDue};
pub use unit::UnitRow;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::UnitKey;
use runtime::store::{Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The state in Postgres, written under one epoch of leadership.
#[derive(Clone)]
pub struct StateStore {
    pub(crate) store: Store,
    /// The epoch that every write checks.
    pub epoch: i64,
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another coordinator leads now.
    #[error("another coordinator leads now")]
    LostLead,
    /// A stored value cannot be read: written by a newer build, or by hand.
    #[error("failed to read {what} of {of} as stored: {why}")]
    Stored {
        /// Which value.
        what: &'static str,
        /// Of what.
        of: String,
        /// Why not.
        why: String,
    },
    /// A message could not be made.
    #[error(transparent)]
    Envelope(#[from] proto::envelope::EnvelopeError),
    /// A configuration could not be hashed.
    #[error(transparent)]
    Canonical(#[from] proto::config::CanonicalError),
    /// A schedule names no time: it was not checked when it was read.
    #[error(transparent)]
    Schedule(#[from] crate::domain::schedule::ScheduleError),
}

impl StateError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::LostLead
            | Self::Stored { .. }
            | Self::Envelope(_)
            | Self::Canonical(_)
            | Self::Schedule(_) => false,
        }
    }
}

/// Checks within a transaction that its epoch still leads, and keeps it so until the end of the transaction.
pub(crate) async fn lead_check_in_txn(txn: &Transaction<'_>, epoch: i64) -> Result<(), StateError> {
    let sql = "select 1 from leader where role = 'coordinator' and epoch = $1 for share";
    let rows = query(txn, "check the leader's epoch", sql, &[&epoch]).await?;
    if rows.is_empty() { Err(StateError::LostLead) } else { Ok(()) }
}

/// Runs one statement and gives the number of rows.
pub(crate) async fn execute(
    txn: &Transaction<'_>,
    what: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<u64, StateError> {
    let statement = txn.prepare_cached(sql).await.map_err(StoreError::sql(what))?;
    Ok(txn.execute(&statement, parameters).await.map_err(StoreError::sql(what))?)
}

/// Runs one query and gives its rows.
pub(crate) async fn query(
    txn: &Transaction<'_>,
    what: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StateError> {
    let statement = txn.prepare_cached(sql).await.map_err(StoreError::sql(what))?;
    Ok(txn.query(&statement, parameters).await.map_err(StoreError::sql(what))?)
}

/// A worker's text as Postgres takes it: it may quote a bill, and texts there hold no NUL.
pub(crate) fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Warnings as they are stored.
pub(crate) fn warnings_json(warnings: &[proto::report::Warning]) -> String {
    let one =
        |w: &proto::report::Warning| serde_json::json!({"text": plain(&w.text), "count": w.count});
    serde_json::Value::Array(warnings.iter().map(one).collect()).to_string()
}

/// MessagePack of a stored value.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    let written = rmp_serde::encode::write_named(&mut bytes, value);
    written.map_err(|e| proto::envelope::EnvelopeError::Encode(e.to_string()))?;
    Ok(bytes)
}

/// A stored MessagePack value.
pub(crate) fn unpack<T: DeserializeOwned>(
    what: &'static str,
    of: &UnitKey,
    bytes: &[u8],
) -> Result<T, StateError> {
    rmp_serde::from_slice(bytes).map_err(|e| StateError::Stored {
        what,
        of: of.to_string(),
        why: e.to_string(),
    })
}

/// A stored hash.
pub(crate) fn hash(what: &'static str, bytes: &[u8]) -> Result<Hash128, StateError> {
    let array = <[u8; 16]>::try_from(bytes);
    let why = || StateError::Stored {
        what,
        of: "a row".to_owned(),
        why: format!("{} bytes", bytes.len()),
    };
    array.map(Hash128).map_err(|_| why())
}

/// The unit that a row's first three columns name: tenant, source and date as text.
fn unit_key(row: &Row) -> Result<UnitKey, StateError> {
    Ok(UnitKey {
        tenant: parsed("tenant", row.get(0))?,
        source: parsed("source", row.get(1))?,
        date: parsed("date", row.get(2))?,
    })
}

/// A stored text that has a type.
pub(crate) fn parsed<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, StateError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| StateError::Stored {
        what,
        of: text.to_owned(),
        why: e.to_string(),
    })
}
