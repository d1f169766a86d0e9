//! Deletes facts of generations that nobody can see any more: all but the visible one and the one before it.

use deadpool_postgres::tokio_postgres::types::Type;
use runtime::store::Store;

use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Generations per call, one short transaction each.
const AT_ONCE: usize = 16;

/// Deletes what may go, oldest first; returns how many generations went.
///
/// # Errors
/// When Postgres fails; what was deleted before stays deleted.
pub async fn purge(store: Store) -> Result<usize, EmitterError> {
    let mut client = store.client().await?;
    for done in 0..AT_ONCE {
        let failed = EmitterError::sql;
        let transaction = client.transaction().await.map_err(failed("begin a deletion"))?;
        let next = transaction
            .query_typed(sql::NEXT_TO_PURGE, &[])
            .await
            .map_err(failed("look for superseded facts"))?;
        let Some(row) = next.first() else { return Ok(done) };
        let (tenant, source): (&str, &str) = (row.get(0), row.get(1));
        let (date, generation, lines): (PgDate, i64, i64) = (row.get(2), row.get(3), row.get(4));
        let resolutions: Option<i64> = row.get(5);
        let unit =
            [(&tenant as _, Type::TEXT), (&date as _, Type::DATE), (&generation as _, Type::INT8)];
        let pieces = transaction
            .execute_typed(sql::PURGE_PIECES, &unit)
            .await
            .map_err(failed("delete facts"))?;
        transaction
            .execute_typed(sql::PURGE_SPLITS, &unit)
            .await
            .map_err(failed("delete facts"))?;
        let inputs = [
            (&tenant as _, Type::TEXT),
            (&date as _, Type::DATE),
            (&lines as _, Type::INT8),
            (&source as _, Type::TEXT),
            (&generation as _, Type::INT8),
            (&resolutions as _, Type::INT8),
        ];
        transaction
            .execute_typed(sql::PURGE_BILLING, &inputs[..5])
            .await
            .map_err(failed("delete lines"))?;
        transaction
            .execute_typed(sql::PURGE_ARCHIVE, &inputs)
            .await
            .map_err(failed("delete archived lines"))?;
        let commit = [
            (&tenant as _, Type::TEXT),
            (&source as _, Type::TEXT),
            (&date as _, Type::DATE),
            (&generation as _, Type::INT8),
        ];
        transaction.execute_typed(sql::PURGED, &commit).await.map_err(failed("mark a deletion"))?;
        transaction.commit().await.map_err(failed("commit a deletion"))?;
        tracing::debug!(tenant, source, date = %date.0, generation, pieces, "deleted superseded facts");
    }
    Ok(AT_ONCE)
}
