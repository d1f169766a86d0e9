//! What was stored is read again and compared with the manifests, before anybody can see it.

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::manifest::{Sums, Totals};
use proto::money::ExactSum;
use proto::task::CommitUnit;
use proto::time::UnitDate;
use runtime::worker::TaskContext;

use super::plan::Work;
use super::totals::{self, Stored};
use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Whether lines and rows lie in the database as their manifests say: number, and exact sums per currency, period and
/// measure, each joined with its dimension.
///
/// # Errors
/// The first difference.
pub async fn verify(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
) -> Result<(), EmitterError> {
    // Sent together, answered in order: one round trip for a group of small units.
    let checks = works.iter().map(|work| async move {
        let (unit, lines) = (work.unit, &work.unit.lines);
        if work.store_lines {
            let stored =
                sums(context, transaction, sql::SUM_BILLING, unit.date, work.lines_generation)
                    .await?;
            agree(unit, "lines", lines.items, &lines.totals, &stored)?;
        }
        let stored =
            sums(context, transaction, sql::SUM_FACTS, unit.date, unit.generation.0).await?;
        agree(unit, "rows", unit.rows.items, &unit.rows.totals, &stored)
    });
    futures_util::future::try_join_all(checks).await.map(|_| ())
}

fn agree(
    unit: &CommitUnit,
    what: &str,
    items: u64,
    totals: &Totals,
    stored: &Stored,
) -> Result<(), EmitterError> {
    let failed = |why| {
        EmitterError::Integrity(format!(
            "{what} of {}, generation {}: {why}",
            unit.date, unit.generation
        ))
    };
    totals::as_stored(items, totals, stored).map_err(failed)
}

async fn sums(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    statement: &str,
    date: UnitDate,
    generation: i64,
) -> Result<Stored, EmitterError> {
    let (tenant, source, date) =
        (context.tenant().as_str(), context.source().as_str(), PgDate(date));
    let key = [
        (&tenant as _, Type::TEXT),
        (&source as _, Type::TEXT),
        (&date as _, Type::DATE),
        (&generation as _, Type::INT8),
    ];
    let rows = transaction
        .query_typed(statement, &key)
        .await
        .map_err(EmitterError::sql("add up what is stored"))?;
    let read = |row: &Row| {
        let sum = |at| ExactSum::parse(row.get(at)).map_err(|e| e.to_string());
        let key = (row.get::<_, &str>(0).parse(), row.get::<_, &str>(1).parse());
        let (Ok(currency), Ok(period)) = key else {
            return Err("a stored dimension has no currency or period".into());
        };
        let items = u64::try_from(row.get::<_, i64>(2)).map_err(|e| e.to_string())?;
        Ok((
            (currency, period),
            (items, Sums { amount: sum(3)?, measures: [sum(4)?, sum(5)?, sum(6)?, sum(7)?] }),
        ))
    };
    rows.iter().map(read).collect::<Result<Stored, String>>().map_err(EmitterError::Integrity)
}
