//! Ledger drivers: what lines of a window cost each owner, added up over visible rows and published.
//!
//! Postgres adds up one unit at a time, by what lines and owners have in common; which lines count, and in which group,
//! is judged here, once for each dimension of lines.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use deadpool_postgres::tokio_postgres::{IsolationLevel, Row, Transaction};
use proto::config::ledger::{LEDGER_FIELDS, LedgerTable, WITHIN_SEPARATOR, ledger_field};
use proto::config::ledger_match::counts;
use proto::currency::Currency;
use proto::driver::{BATCH_WEIGHTS, DriverBatch, DriverWeight, DriverWindow, WEIGHTS_MAX};
use proto::money::ExactSum;
use proto::report::{ComputedDriver, Report};
use proto::task::ComputeDriver;
use runtime::data::BatchWriter;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError};

use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Distinct combinations of what lines of one window have in common: some 100 MiB.
const DIMENSIONS_MAX: usize = 4_000_000;

/// Computes one driver over one window and publishes its weights.
///
/// # Errors
/// When Postgres or NATS fails, or the configuration has no such driver.
pub async fn compute(
    store: &Store,
    context: &TaskContext,
    task: &ComputeDriver,
) -> Result<Vec<Report>, WorkError> {
    let config = context.configs.get(context.tenant(), task.config).await?;
    let tables = config.ledger_tables().map_err(|cycle| WorkError::data(cycle.to_string()))?;
    let Some(table) = tables.get(&task.driver) else {
        return Err(WorkError::data(format!("the configuration has no driver {}", task.driver)));
    };
    let (driver, from, until) = (task.driver.clone(), task.from, task.until);
    let window = DriverWindow { driver, from, until };
    let (seen, sums) = add_up(store, context, table, &window).await?;
    let weights = weights(&window, sums)?;
    let (tenant, source) = (context.tenant(), context.source());
    let generation = context.header.generation;
    let at = (tenant, source);
    let mut writer = BatchWriter::of_driver(&context.bus, at, &window, generation, context.attempt);
    for batch in weights.chunks(BATCH_WEIGHTS) {
        batch.iter().for_each(|weight| writer.manifest.add_item(weight.hash()));
        writer.write(&DriverBatch::new(batch), batch.len()).await?;
        context.progress.tick();
    }
    let manifest = writer.finish().await?;
    keep(store, context, &window, &weights).await?;
    tracing::info!(%tenant, driver = table.name, %from, %until, weights = manifest.items, "computed a driver");
    Ok(vec![Report::Driver(ComputedDriver { window, manifest, seen, lacking: None })])
}

/// Keeps weights in the database, for who asks why.
async fn keep(
    store: &Store,
    context: &TaskContext,
    window: &DriverWindow,
    weights: &[DriverWeight],
) -> Result<(), EmitterError> {
    let failed = || EmitterError::sql("keep the weights of a driver");
    let mut client = store.client().await?;
    let transaction = client.transaction().await.map_err(failed())?;
    let (tenant, driver) = (context.tenant().as_str(), window.driver.as_str());
    let (from, until) = (PgDate(window.from), PgDate(window.until));
    let generation = context.header.generation.0;
    let key: [(&(dyn ToSql + Sync), Type); 5] = [
        (&tenant, Type::TEXT),
        (&driver, Type::TEXT),
        (&from, Type::DATE),
        (&until, Type::DATE),
        (&generation, Type::INT8),
    ];
    transaction.execute_typed(sql::DROP_DRIVER_WEIGHTS, &key).await.map_err(failed())?;
    for batch in weights.chunks(BATCH_WEIGHTS) {
        let within: Vec<&str> = batch.iter().map(|weight| weight.within.as_str()).collect();
        let party: Vec<&str> = batch.iter().map(|weight| weight.party.as_str()).collect();
        let currency: Vec<String> = batch
            .iter()
            .map(|weight| weight.currency.map(|code| code.to_string()).unwrap_or_default())
            .collect();
        let numbers: Vec<String> = batch.iter().map(|weight| weight.weight.to_string()).collect();
        let columns: [(&(dyn ToSql + Sync), Type); 4] = [
            (&within, Type::TEXT_ARRAY),
            (&party, Type::TEXT_ARRAY),
            (&currency, Type::TEXT_ARRAY),
            (&numbers, Type::TEXT_ARRAY),
        ];
        let all: Vec<_> = key.iter().cloned().chain(columns).collect();
        transaction.execute_typed(sql::PUT_DRIVER_WEIGHTS, &all).await.map_err(failed())?;
    }
    transaction.commit().await.map_err(failed())?;
    Ok(())
}

/// By group, owner and currency.
type OwnerSums = BTreeMap<(String, String, Currency), ExactSum>;

fn weights(window: &DriverWindow, sums: OwnerSums) -> Result<Vec<DriverWeight>, EmitterError> {
    let (window_start, window_end) = (window.from.start(), window.until.start());
    let weight = |((within, party, currency), sum): ((String, String, Currency), ExactSum)| {
        let weight = sum.to_amount().ok_or_else(|| {
            EmitterError::Integrity(format!("the cost of {party}, {sum}, has too many digits"))
        })?;
        let currency = Some(currency);
        Ok(DriverWeight { window_start, window_end, within, party, weight, currency })
    };
    sums.into_iter().map(weight).collect()
}

/// A digest of the visible generations that were looked at, and what they cost whom.
async fn add_up(
    store: &Store,
    context: &TaskContext,
    table: &LedgerTable,
    window: &DriverWindow,
) -> Result<(String, OwnerSums), EmitterError> {
    let failed = || EmitterError::sql("add a driver up");
    let mut client = store.client().await?;
    // One view of all units.
    let view = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let transaction = view.read_only(true).start().await.map_err(failed())?;
    transaction.batch_execute(sql::EMIT_BOUNDS).await.map_err(failed())?;
    let tenant = context.tenant().as_str();
    let sources: Vec<&str> = table.sources.iter().map(|source| source.as_str()).collect();
    let (from, until) = (PgDate(window.from), PgDate(window.until));
    let key: [(&(dyn ToSql + Sync), Type); 4] = [
        (&tenant, Type::TEXT),
        (&sources, Type::TEXT_ARRAY),
        (&from, Type::DATE),
        (&until, Type::DATE),
    ];
    let basis = transaction.query_typed(sql::DRIVER_BASIS, &key).await.map_err(failed())?;
    let seen = basis.first().map(|row| row.get(0)).unwrap_or_default();
    let units = transaction.query_typed(sql::DRIVER_UNITS, &key).await.map_err(failed())?;
    let (mut groups, mut sums) = (Groups::default(), OwnerSums::new());
    for row in &units {
        let unit = Unit { date: row.get(0), rows: row.get(1), lines: row.get(2) };
        groups.learn(&transaction, tenant, table, &unit).await?;
        bounded(table, window, "combinations of fields", (groups.of.len(), DIMENSIONS_MAX))?;
        add_unit(&transaction, tenant, table, (&groups, &unit), &mut sums).await?;
        bounded(table, window, "weights", (sums.len(), WEIGHTS_MAX))?;
        context.progress.tick();
    }
    Ok((seen, sums))
}

/// Whether there are no more of something than memory is meant for.
fn bounded(
    table: &LedgerTable,
    window: &DriverWindow,
    what: &str,
    (count, max): (usize, usize),
) -> Result<(), EmitterError> {
    if count <= max {
        return Ok(());
    }
    let DriverWindow { from, until, .. } = window;
    let name = &table.name;
    Err(EmitterError::Settings(format!(
        "driver {name} has more than {max} {what} from {from} until {until}: narrow its `of`, name fewer fields in \
         `within`, or take a shorter `window`"
    )))
}

/// A visible unit.
struct Unit {
    date: PgDate,
    rows: i64,
    lines: i64,
}

/// The group of every dimension of lines that was met: lines agree in the `within` fields.
#[derive(Default)]
struct Groups {
    of: HashMap<i64, Option<i32>>,
    names: Vec<String>,
    places: HashMap<String, i32>,
}

impl Groups {
    /// Judges the dimensions of a unit's lines that are new.
    async fn learn(
        &mut self,
        transaction: &Transaction<'_>,
        tenant: &str,
        table: &LedgerTable,
        unit: &Unit,
    ) -> Result<(), EmitterError> {
        let key: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant, Type::TEXT), (&unit.date, Type::DATE), (&unit.lines, Type::INT8)];
        let rows = transaction.query_typed(sql::DRIVER_DIMENSIONS, &key).await;
        for row in rows.map_err(EmitterError::sql("read what lines have in common"))? {
            let id: i64 = row.get(0);
            if self.of.contains_key(&id) {
                continue;
            }
            let group = within(table, &row)?.map(|name| self.place(name));
            self.of.insert(id, group);
        }
        Ok(())
    }

    fn place(&mut self, name: String) -> i32 {
        if let Some(place) = self.places.get(&name) {
            return *place;
        }
        let place = self.names.len() as i32;
        self.names.push(name.clone());
        self.places.insert(name, place);
        place
    }
}

/// The values of the `within` fields of a dimension of lines; `None`: such lines do not count.
fn within(table: &LedgerTable, row: &Row) -> Result<Option<String>, EmitterError> {
    let mut values = [None; LEDGER_FIELDS.len()];
    for (place, value) in values.iter_mut().enumerate() {
        let text: Option<&str> = row.get(place + 1);
        *value = text.map(str::trim).filter(|text| !text.is_empty() && *text != "NULL");
    }
    let unknown = || {
        EmitterError::Settings(format!(
            "driver {}: it looks at what the ledger does not keep (write `of` and `within` with {})",
            table.name,
            LEDGER_FIELDS.join(", ")
        ))
    };
    if !counts(&table.of, &values).ok_or_else(unknown)? {
        return Ok(None);
    }
    let mut texts = Vec::with_capacity(table.within.len());
    for field in &table.within {
        match values[ledger_field(field).ok_or_else(unknown)?] {
            Some(text) => texts.push(text),
            None => return Ok(None),
        }
    }
    Ok(Some(texts.join(WITHIN_SEPARATOR)))
}

async fn add_unit(
    transaction: &Transaction<'_>,
    tenant: &str,
    table: &LedgerTable,
    (groups, unit): (&Groups, &Unit),
    sums: &mut OwnerSums,
) -> Result<(), EmitterError> {
    let counted = groups.of.iter().filter_map(|(id, group)| group.map(|group| (*id, group)));
    let (ids, places): (Vec<i64>, Vec<i32>) = counted.unzip();
    let measure = table.cost.map_or(0, |measure| measure as i32 + 1);
    let key: [(&(dyn ToSql + Sync), Type); 8] = [
        (&tenant, Type::TEXT),
        (&unit.date, Type::DATE),
        (&unit.rows, Type::INT8),
        (&unit.lines, Type::INT8),
        (&ids, Type::INT8_ARRAY),
        (&places, Type::INT4_ARRAY),
        (&table.without, Type::TEXT_ARRAY),
        (&measure, Type::INT4),
    ];
    let rows = transaction.query_typed(sql::DRIVER_SUMS, &key).await;
    for row in rows.map_err(EmitterError::sql("add a unit up"))? {
        let (place, owner): (i32, String) = (row.get(0), row.get(1));
        let (currency, sum): (&str, &str) = (row.get(2), row.get(3));
        let wrong = |what: String| EmitterError::Integrity(what);
        let currency: Currency =
            currency.parse().map_err(|_| wrong(format!("{currency:?} is no currency")))?;
        let sum = ExactSum::parse(sum).map_err(|error| wrong(error.to_string()))?;
        let within = groups.names.get(place as usize).cloned().unwrap_or_default();
        sums.entry((within, owner, currency)).or_default().merge(&sum);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::config::Match;

    #[test]
    fn what_memory_is_not_meant_for_is_refused_with_driver_window_and_limit() {
        let table = LedgerTable {
            id: "ledger-1".parse().unwrap(),
            name: "spend".to_owned(),
            sources: Vec::new(),
            cost: None,
            of: Match::All(Vec::new()),
            within: Vec::new(),
            stage: 1,
            without: Vec::new(),
        };
        let (from, until) = ("2026-05-01".parse().unwrap(), "2026-06-01".parse().unwrap());
        let window = DriverWindow { driver: table.id.clone(), from, until };
        assert!(bounded(&table, &window, "weights", (5, 5)).is_ok());
        let error = bounded(&table, &window, "weights", (6, 5)).unwrap_err();
        assert!(!matches!(error.class(), proto::report::FailureClass::Transient));
        assert_eq!(
            error.to_string(),
            "driver spend has more than 5 weights from 2026-05-01 until 2026-06-01: narrow its `of`, name fewer fields \
             in `within`, or take a shorter `window`"
        );
    }
}
