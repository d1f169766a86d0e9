//! What was stored is read again and compared with the manifests, before anybody can see it.

use std::collections::BTreeMap;

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

/// What a manifest says of a unit's lines or rows.
struct Expected<'a> {
    unit: &'a CommitUnit,
    what: &'static str,
    generation: i64,
    items: u64,
    totals: &'a Totals,
}

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
    let lines: Vec<_> = works
        .iter()
        .filter(|work| work.store_lines)
        .map(|work| Expected {
            unit: work.unit,
            what: "lines",
            generation: work.lines_generation,
            items: work.unit.lines.items,
            totals: &work.unit.lines.totals,
        })
        .collect();
    let rows: Vec<_> = works
        .iter()
        .map(|work| Expected {
            unit: work.unit,
            what: "rows",
            generation: work.unit.generation.0,
            items: work.unit.rows.items,
            totals: &work.unit.rows.totals,
        })
        .collect();
    all_agree(context, transaction, sql::SUM_BILLING, &lines).await?;
    all_agree(context, transaction, sql::SUM_FACTS, &rows).await
}

async fn all_agree(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    statement: &str,
    all: &[Expected<'_>],
) -> Result<(), EmitterError> {
    if all.is_empty() {
        return Ok(());
    }
    agree(all, &sums(context, transaction, statement, all).await?)
}

fn agree(all: &[Expected<'_>], stored: &ByUnit) -> Result<(), EmitterError> {
    let nothing = Stored::default();
    all.iter().try_for_each(|expected| {
        let Expected { unit, what, generation, items, totals } = expected;
        let found = stored.get(&(unit.date, *generation)).unwrap_or(&nothing);
        totals::as_stored(*items, totals, found).map_err(|why| {
            EmitterError::Integrity(format!(
                "{what} of {}, generation {}: {why}",
                unit.date, unit.generation
            ))
        })
    })
}

/// What is stored, by date and generation.
type ByUnit = BTreeMap<(UnitDate, i64), Stored>;

async fn sums(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    statement: &str,
    all: &[Expected<'_>],
) -> Result<ByUnit, EmitterError> {
    let (tenant, source) = (context.tenant().as_str(), context.source().as_str());
    let dates: Vec<PgDate> = all.iter().map(|expected| PgDate(expected.unit.date)).collect();
    let generations: Vec<i64> = all.iter().map(|expected| expected.generation).collect();
    let key = [
        (&tenant as _, Type::TEXT),
        (&source as _, Type::TEXT),
        (&dates as _, Type::DATE_ARRAY),
        (&generations as _, Type::INT8_ARRAY),
    ];
    let rows = transaction
        .query_typed(statement, &key)
        .await
        .map_err(EmitterError::sql("add up what is stored"))?;
    let mut stored = ByUnit::new();
    for row in &rows {
        let PgDate(date) = row.get(0);
        let (key, sums) = read(row).map_err(EmitterError::Integrity)?;
        stored.entry((date, row.get(1))).or_default().insert(key, sums);
    }
    Ok(stored)
}

fn read(row: &Row) -> Result<<Stored as IntoIterator>::Item, String> {
    let sum = |at| ExactSum::parse(row.get(at)).map_err(|e| e.to_string());
    let text = |at| row.get::<_, Option<&str>>(at).unwrap_or_default();
    let (Ok(currency), Ok(period)) = (text(2).parse(), text(3).parse()) else {
        return Err("a dimension is not stored, or has no currency or period".into());
    };
    let items = u64::try_from(row.get::<_, i64>(4)).map_err(|e| e.to_string())?;
    let measures = [sum(6)?, sum(7)?, sum(8)?, sum(9)?];
    Ok(((currency, period), (items, Sums { amount: sum(5)?, measures })))
}
