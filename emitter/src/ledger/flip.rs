//! The end of a commit: remember what the generations were made from, and make them visible under the fence.

use std::collections::BTreeMap;

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use proto::currency::Currency;
use proto::manifest::Totals;
use proto::money::ExactSum;
use runtime::worker::TaskContext;

use super::plan::Work;
use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Columns of some units, as `unnest` takes them.
struct Columns<'a> {
    dates: Vec<PgDate>,
    generations: Vec<i64>,
    previous: Vec<i64>,
    lines_generations: Vec<i64>,
    lines_hashes: Vec<&'a [u8]>,
    lines: Vec<i64>,
    resolution_generations: Vec<Option<i64>>,
    resolution_hashes: Vec<Option<&'a [u8]>>,
    rows_hashes: Vec<&'a [u8]>,
    rows: Vec<i64>,
    rules: Vec<&'a [u8]>,
    configs: Vec<&'a [u8]>,
    /// What the lines add up to: the texts of an array of currencies and one of amounts.
    currencies: Vec<String>,
    amounts: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(works: &'a [Work<'a>]) -> Self {
        let (currencies, amounts) = works.iter().map(|w| sums(&w.unit.lines.totals)).unzip();
        Self {
            currencies,
            amounts,
            dates: works.iter().map(|w| PgDate(w.unit.date)).collect(),
            generations: works.iter().map(|w| w.unit.generation.0).collect(),
            previous: works.iter().map(|w| w.previous).collect(),
            lines_generations: works.iter().map(|w| w.lines_generation).collect(),
            lines_hashes: works.iter().map(|w| w.unit.lines.hash.0.as_slice()).collect(),
            lines: works.iter().map(|w| w.unit.lines.items as i64).collect(),
            resolution_generations: works.iter().map(|w| w.resolutions.map(|(g, _)| g)).collect(),
            resolution_hashes: works
                .iter()
                .map(|w| w.resolutions.as_ref().map(|(_, h)| h.0.as_slice()))
                .collect(),
            rows_hashes: works.iter().map(|w| w.unit.rows.hash.0.as_slice()).collect(),
            rows: works.iter().map(|w| w.unit.rows.items as i64).collect(),
            rules: works.iter().map(|w| w.unit.rules.0.as_slice()).collect(),
            configs: works.iter().map(|w| w.unit.config.0.as_slice()).collect(),
        }
    }
}

/// Currencies and their sums over all billing periods, as the texts of two arrays.
fn sums(totals: &Totals) -> (String, String) {
    let mut sums = BTreeMap::<Currency, ExactSum>::new();
    for (currency, _, of_period) in totals.iter() {
        sums.entry(currency).or_default().merge(&of_period.amount);
    }
    let array = |texts: Vec<String>| format!("{{{}}}", texts.join(","));
    let currencies = sums.keys().map(ToString::to_string).collect();
    (array(currencies), array(sums.values().map(ToString::to_string).collect()))
}

fn with<'a>(unit: &[Parameter<'a>; 2], columns: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    unit.iter().chain(columns).cloned().collect()
}

/// Says whether every unit is visible once the transaction commits; no statement but that may follow. If not, a newer
/// generation is wanted or visible, and the transaction must be rolled back.
///
/// # Errors
/// When Postgres fails.
pub async fn flip(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
) -> Result<bool, EmitterError> {
    let (tenant, source) = (context.tenant().as_str(), context.source().as_str());
    let unit = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT)];
    let c = Columns::of(works);
    let commits = with(
        &unit,
        &[
            (&c.dates, Type::DATE_ARRAY),
            (&c.generations, Type::INT8_ARRAY),
            (&c.lines_generations, Type::INT8_ARRAY),
            (&c.lines_hashes, Type::BYTEA_ARRAY),
            (&c.lines, Type::INT8_ARRAY),
            (&c.resolution_generations, Type::INT8_ARRAY),
            (&c.resolution_hashes, Type::BYTEA_ARRAY),
            (&c.rows_hashes, Type::BYTEA_ARRAY),
            (&c.rows, Type::INT8_ARRAY),
            (&c.rules, Type::BYTEA_ARRAY),
            (&c.configs, Type::BYTEA_ARRAY),
            (&c.previous, Type::INT8_ARRAY),
            (&c.currencies, Type::TEXT_ARRAY),
            (&c.amounts, Type::TEXT_ARRAY),
        ],
    );
    transaction
        .execute_typed(sql::PUT_COMMITS, &commits)
        .await
        .map_err(EmitterError::sql("record a commit"))?;
    let older = with(&unit, &[(&c.dates, Type::DATE_ARRAY), (&c.previous, Type::INT8_ARRAY)]);
    let freed = transaction.execute_typed(sql::SUPERSEDE_COMMITS, &older).await;
    freed.map_err(EmitterError::sql("give older generations free"))?;

    let dates = with(&unit, &[(&c.dates, Type::DATE_ARRAY)]);
    transaction
        .query_typed(sql::LOCK_UNITS, &dates)
        .await
        .map_err(EmitterError::sql("lock units"))?;
    let units = with(
        &unit,
        &[
            (&c.dates, Type::DATE_ARRAY),
            (&c.generations, Type::INT8_ARRAY),
            (&c.lines_generations, Type::INT8_ARRAY),
            (&c.lines_hashes, Type::BYTEA_ARRAY),
            (&c.rows, Type::INT8_ARRAY),
            (&c.rules, Type::BYTEA_ARRAY),
            (&c.configs, Type::BYTEA_ARRAY),
        ],
    );
    let visible = transaction.execute_typed(sql::MAKE_VISIBLE, &units).await;
    Ok(visible.map_err(EmitterError::sql("make units visible"))? == works.len() as u64)
}
