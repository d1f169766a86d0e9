//! The ledger: writes lines and rows into Postgres and makes them visible, a whole unit at a time.
//!
//! | file | what |
//! |---|---|
//! | [`plan`] | which units are stored, and which share a transaction |
//! | [`commit`](mod@commit), [`verify`], [`flip`] | the transaction: store, compare what is stored, make visible under the fence |
//! | [`lines`], [`rows`], [`pieces`] | batches into COPY |
//! | [`archive`], [`restore`] | messages kept, and published again |
//! | [`dimension`], [`feed`], [`known`] | what repeats, by content |
//! | [`totals`] | comparing exact sums |
//! | [`keeper`], [`purge`] | the actor; deleting what nobody can see |

mod archive;
mod commit;
pub(crate) mod dimension;
mod driver;
mod feed;
pub mod flip;
mod keeper;
mod known;
mod lines;
mod pieces;
pub mod plan;
pub mod purge;
mod restore;
mod rows;
mod totals;
mod verify;

pub use driver::compute;
pub use keeper::LedgerKeeper;
pub use restore::restore;

use proto::report::{Committed, Report};
use proto::task::{Commit, CommitUnit};
use runtime::faults::crash_point;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError};

use crate::error::EmitterError;
use crate::worker::reports;

/// Commits the units of a task: small ones together, and each alone where a group fails.
///
/// # Errors
/// When no unit got anywhere and trying again later may help; other failures are reported per unit.
pub async fn commit(
    store: &Store,
    keeper: &LedgerKeeper,
    context: &TaskContext,
    task: &Commit,
) -> Result<Vec<Report>, WorkError> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for group in plan::groups(&task.units) {
        crash_point("ledger.group");
        if group.len() > 1 {
            match commit::commit(store, keeper, context, &group).await {
                Ok(committed) => {
                    done.extend(committed);
                    continue;
                }
                Err(error) => {
                    let (units, error) = (group.len(), proto::fault::chain(&error));
                    tracing::warn!(tenant = %context.tenant(), source = %context.source(), units, error, "units are committed alone");
                }
            }
        }
        for unit in group {
            match alone(store, keeper, context, unit).await {
                Ok(committed) => done.extend(committed),
                Err(error) => failed.push((vec![(unit.date, unit.generation)], error)),
            }
        }
    }
    reports("commit", (!done.is_empty()).then_some(Report::Committed(done)), failed)
}

/// One unit, a second time at once where the world changed under the first.
async fn alone(
    store: &Store,
    keeper: &LedgerKeeper,
    context: &TaskContext,
    unit: &CommitUnit,
) -> Result<Vec<Committed>, EmitterError> {
    match commit::commit(store, keeper, context, &[unit]).await {
        Err(EmitterError::Busy(_)) => commit::commit(store, keeper, context, &[unit]).await,
        outcome => outcome,
    }
}
