//! The fence of a commit. At its start: is the generation still wanted? At its end: remember what the generations were
//! made from, and make them visible if they still are.

use std::collections::BTreeMap;

use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use deadpool_postgres::tokio_postgres::{Client, Row, Transaction};
use proto::currency::Currency;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::manifest::Totals;
use proto::money::ExactSum;
use proto::task::CommitUnit;
use proto::time::UnitDate;

use super::plan::{State, Work};
use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Whose units.
type Source<'a> = (&'a TenantId, &'a SourceId);
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

/// What the database says of some units, without a lock.
///
/// # Errors
/// When Postgres fails.
pub async fn states(
    client: &Client,
    (tenant, source): Source<'_>,
    units: &[&CommitUnit],
) -> Result<BTreeMap<UnitDate, State>, EmitterError> {
    let (tenant, source) = (tenant.as_str(), source.as_str());
    let dates: Vec<PgDate> = units.iter().map(|unit| PgDate(unit.date)).collect();
    let key =
        [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT), (&dates as _, Type::DATE_ARRAY)];
    let rows = client
        .query_typed(sql::STATES, &key)
        .await
        .map_err(EmitterError::sql("read what is wanted"))?;
    let pair = |row: &Row, at: usize| -> Option<(i64, Hash128)> {
        let generation: Option<i64> = row.get(at);
        let hash: Option<&[u8]> = row.get(at + 1);
        Some((generation?, Hash128(hash?.try_into().ok()?)))
    };
    let state = |row: &Row| {
        let PgDate(date) = row.get(0);
        // A damaged archive holds nothing: what was stored is stored again beside it.
        let held = |at| if row.get(7) { None } else { pair(row, at) };
        let (wanted, visible) = (row.get(1), row.get(2));
        (date, State { wanted, visible, lines: held(3), resolutions: held(5) })
    };
    Ok(rows.iter().map(state).collect())
}

/// Says whether every unit is visible once the transaction commits; no statement but that may follow. If not, a newer
/// generation is wanted or visible, and the transaction must be rolled back.
///
/// # Errors
/// When Postgres fails.
pub async fn flip(
    (tenant, source): Source<'_>,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
) -> Result<bool, EmitterError> {
    let (tenant, source) = (tenant.as_str(), source.as_str());
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
