//! One transaction: store, verify as stored, make visible as the last statement.

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::error::SqlState;
use deadpool_postgres::tokio_postgres::types::Type;
use proto::report::Committed;
use proto::task::CommitUnit;
use runtime::faults::crash_point;
use runtime::store::{Store, StoreError};
use runtime::worker::TaskContext;

use super::dimension::DimensionKind;
use super::feed::Feed;
use super::keeper::LedgerKeeper;
use super::plan::{self, Step, Work};
use super::{flip, lines, rows, totals, verify};
use crate::error::EmitterError;
use crate::sql;
use crate::ticking::ticking;
use crate::wire::PgDate;

/// Commits some units of different dates together: all of them, or none and the reason.
///
/// # Errors
/// When one of them cannot be stored, or Postgres or NATS fails: nothing is visible then.
pub async fn commit(
    store: &Store,
    keeper: &LedgerKeeper,
    context: &TaskContext,
    units: &[&CommitUnit],
) -> Result<Vec<Committed>, EmitterError> {
    let mut client = store.client().await?;
    let at = (context.tenant(), context.source());
    let states = flip::states(&client, at, units).await?;
    let (mut done, mut works) = (Vec::new(), Vec::new());
    for unit in units {
        let committed =
            |visible| Committed { date: unit.date, generation: unit.generation, visible };
        match plan::step(unit, &states) {
            Step::AlreadyVisible => done.push(committed(true)),
            Step::Superseded => done.push(committed(false)),
            Step::Store(work) => works.push(work),
        }
    }
    if works.is_empty() {
        return Ok(done);
    }
    for work in &works {
        totals::conserves(work.unit).map_err(|what| {
            EmitterError::Integrity(format!(
                "{}: rows do not add up to lines: {what}",
                work.unit.date
            ))
        })?;
    }
    let dates: Vec<PgDate> = works.iter().map(|work| PgDate(work.unit.date)).collect();
    let ensured = client.execute_typed(sql::ENSURE_MONTHS, &[(&dates, Type::DATE_ARRAY)]).await;
    ensured.map_err(EmitterError::sql("make month partitions"))?;

    let transaction = client.transaction().await.map_err(EmitterError::sql("begin a commit"))?;
    transaction
        .batch_execute(sql::COMMIT_BOUNDS)
        .await
        .map_err(EmitterError::sql("begin a commit"))?;
    fill(keeper, context, &transaction, &works).await.map_err(overtaken)?;
    crash_point("ledger.copied");
    if !flip::flip(at, &transaction, &works).await.map_err(overtaken)? {
        transaction.rollback().await.map_err(EmitterError::sql("roll a commit back"))?;
        let text = "a newer generation was wanted, or became visible, while this one was stored";
        return Err(EmitterError::Busy(text.into()));
    }
    crash_point("ledger.flipped");
    ticking(&context.progress, transaction.commit()).await.map_err(EmitterError::sql("commit"))?;
    crash_point("ledger.committed");
    done.extend(works.iter().map(|work| Committed {
        date: work.unit.date,
        generation: work.unit.generation,
        visible: true,
    }));
    Ok(done)
}

/// What is to be stored is there already: another commit of the same, or from the same lines, was faster since `states`
/// was read. That is nobody's fault, and a second look tells what is left to do.
fn overtaken(error: EmitterError) -> EmitterError {
    if let EmitterError::Store(StoreError::Sql { what, error }) = &error
        && error.code() == Some(&SqlState::UNIQUE_VIOLATION)
    {
        return EmitterError::Busy(format!("failed to {what}: another commit was faster"));
    }
    error
}

/// Everything but the flip; what is stored is read again and compared.
async fn fill(
    keeper: &LedgerKeeper,
    context: &TaskContext,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
) -> Result<(), EmitterError> {
    let mut billing = Feed::new(keeper, DimensionKind::Billing, context.tenant());
    lines::store(context, transaction, works, &mut billing).await?;
    billing.settle().await?;
    crash_point("ledger.lines");
    let mut chargeback = Feed::new(keeper, DimensionKind::Chargeback, context.tenant());
    rows::store(context, transaction, works, &mut chargeback).await?;
    chargeback.settle().await?;
    let verified = verify::verify(context, transaction, works);
    let verified = ticking(&context.progress, verified).await;
    if let Err(EmitterError::Integrity(_)) = &verified {
        // A keeper that outlived a restored database believes in dimensions that are not there.
        keeper.forget().await?;
    }
    verified
}
