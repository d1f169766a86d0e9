//! The reconciler: reads what is stored of visible units again and compares it with what they were made of.
//!
//! | file | what |
//! |---|---|
//! | [`bill`] | the archive: what lines and resolutions were |
//! | [`lines`], [`rows`] | what `billing`, splits and pieces hold by now |
//! | [`dimensions`] | what lines and rows share, compared with its hash |
//! | [`judge`] | expected and found (pure) |
//! | [`schedule`] | which unit is next, and how much rest live work is left |
//!
//! A unit is right when the archive has the lines and resolutions that its commit names, when `billing` holds just these
//! lines, and when splits and pieces make just the rows whose hash was committed, adding up to the lines. One view is
//! looked at, so a unit that is replaced meanwhile is no difference. Nothing is mended here.

mod bill;
mod dimensions;
mod judge;
mod lines;
mod rows;
mod schedule;

pub use judge::Difference;
pub use schedule::watch;

use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use deadpool_postgres::tokio_postgres::{IsolationLevel, Row, Transaction};
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Totals;
use proto::money::ExactSum;
use proto::time::UnitDate;
use runtime::store::Store;

use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;
use judge::Differences;

/// Units that are listed at a time.
const LISTED: i64 = 500;

/// A visible unit that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its visible generation then.
    pub generation: Generation,
    /// Lines that are stored.
    pub lines: u64,
    /// Rows that are stored.
    pub rows: u64,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
}

/// Which units; `None`: all.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this source.
    pub source: Option<SourceId>,
    /// From this date on.
    pub from: Option<UnitDate>,
    /// Until this date, inclusive.
    pub to: Option<UnitDate>,
}

/// The next visible units of a scope, by key; empty: there are no more.
///
/// # Errors
/// When Postgres fails.
pub async fn units(
    store: &Store,
    scope: &Scope,
    after: Option<&UnitKey>,
) -> Result<Vec<UnitKey>, EmitterError> {
    let client = store.client().await?;
    let tenant = scope.tenant.as_ref().map(TenantId::as_str);
    let source = scope.source.as_ref().map(SourceId::as_str);
    let (from, to) = (scope.from.map(PgDate), scope.to.map(PgDate));
    let after = (
        after.map(|key| key.tenant.as_str()),
        after.map(|key| key.source.as_str()),
        after.map(|key| PgDate(key.date)),
    );
    let key: [(&(dyn ToSql + Sync), Type); 8] = [
        (&tenant, Type::TEXT),
        (&source, Type::TEXT),
        (&from, Type::DATE),
        (&to, Type::DATE),
        (&after.0, Type::TEXT),
        (&after.1, Type::TEXT),
        (&after.2, Type::DATE),
        (&LISTED, Type::INT8),
    ];
    let rows = client.query_typed(sql::RECONCILE_SCOPE, &key).await;
    rows.map_err(EmitterError::sql("list visible units"))?.iter().map(unit).collect()
}

/// The unit that the first columns of a row name.
fn unit(row: &Row) -> Result<UnitKey, EmitterError> {
    let damaged = |what: &str| EmitterError::Integrity(format!("a stored {what} is none"));
    let PgDate(date) = row.get(2);
    Ok(UnitKey {
        tenant: TenantId::parse(row.get(0)).map_err(|_| damaged("tenant"))?,
        source: SourceId::parse(row.get(1)).map_err(|_| damaged("source"))?,
        date,
    })
}

/// Compares what is stored of a unit with what it was made of; `None`: nothing of it is visible.
///
/// # Errors
/// When Postgres fails.
pub async fn check(store: &Store, unit: &UnitKey) -> Result<Option<Checked>, EmitterError> {
    let failed = || EmitterError::sql("compare what is stored");
    let mut client = store.client().await?;
    let view = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let transaction = view.read_only(true).start().await.map_err(failed())?;
    transaction.batch_execute(sql::RECONCILE_BOUNDS).await.map_err(failed())?;
    let date = PgDate(unit.date);
    let (tenant, source) = (unit.tenant.as_str(), unit.source.as_str());
    let key = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT), (&date as _, Type::DATE)];
    let row = transaction.query_typed_opt(sql::RECONCILE_UNIT, &key).await.map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let generation = row.get(0);
    let mut checked =
        Checked { generation: Generation(generation), lines: 0, rows: 0, differences: Vec::new() };
    let mut differences = Differences::default();
    if row.get(1) {
        let commit = Commit::read(&row)?;
        commit.is_visible(&row, &mut differences);
        let (lines, rows) =
            commit.compare(&transaction, unit, generation, &mut differences).await?;
        (checked.lines, checked.rows) = (lines, rows);
    } else {
        differences.put("commit", "a record of what the generation was made of", "none");
    }
    checked.differences = differences.told();
    Ok(Some(checked))
}

/// What a generation was made of, and what was made.
struct Commit {
    lines_generation: i64,
    lines_hash: Hash128,
    lines: u64,
    resolutions: Option<Hash128>,
    rows_hash: Hash128,
    rows: u64,
    /// What lines add up to; earlier builds did not record it.
    amounts: Option<Vec<(String, ExactSum)>>,
}

impl Commit {
    fn read(row: &Row) -> Result<Self, EmitterError> {
        let damaged = |what: &str| EmitterError::Integrity(format!("a commit's {what} is none"));
        let hash = |bytes: &[u8]| bytes.try_into().map(Hash128).map_err(|_| damaged("hash"));
        let count = |at| u64::try_from(row.get::<_, i64>(at)).map_err(|_| damaged("count"));
        let resolutions: Option<&[u8]> = row.get(8);
        let amounts = match (row.get::<_, Option<Vec<String>>>(11), row.get(12)) {
            (Some(currencies), Some(amounts)) => {
                let amounts: Vec<&str> = amounts;
                let sums = amounts.into_iter().map(ExactSum::parse);
                let sums: Vec<ExactSum> =
                    sums.collect::<Result<_, _>>().map_err(|_| damaged("amount"))?;
                Some(currencies.into_iter().zip(sums).collect())
            }
            _ => None,
        };
        Ok(Self {
            lines_generation: row.get(5),
            lines_hash: hash(row.get(6))?,
            lines: count(7)?,
            resolutions: resolutions.map(hash).transpose()?,
            rows_hash: hash(row.get(9))?,
            rows: count(10)?,
            amounts,
        })
    }

    /// What is said of the visible generation is what its commit says.
    fn is_visible(&self, row: &Row, differences: &mut Differences) {
        let text =
            |number: Option<i64>| number.map_or_else(|| "none".to_owned(), |n| n.to_string());
        let hash: Option<&[u8]> = row.get(3);
        let hash = hash.and_then(|bytes| bytes.try_into().ok()).map(Hash128);
        let hash = hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
        let lines = self.lines_generation.to_string();
        differences.compare("visible generation of the lines", &lines, &text(row.get(2)));
        differences.compare("visible hash of the lines", &self.lines_hash.to_string(), &hash);
        let rows = self.rows.to_string();
        differences.compare("visible number of rows", &rows, &text(row.get(4)));
    }

    /// Compares all that is stored; gives the number of lines and rows.
    async fn compare(
        &self,
        transaction: &Transaction<'_>,
        unit: &UnitKey,
        generation: i64,
        differences: &mut Differences,
    ) -> Result<(u64, u64), EmitterError> {
        let bill = bill::read(transaction, unit).await?;
        let archived = match bill {
            Ok(bill) => {
                differences.compare("archived lines", &self.lines, &bill.lines);
                differences.compare(
                    "hash of the archived lines",
                    &self.lines_hash,
                    &bill.hash.value(),
                );
                if let Some(amounts) = &self.amounts {
                    differences.amounts("the archived lines", amounts, &bill.totals);
                }
                let resolutions = self.resolutions.unwrap_or_default();
                differences.compare(
                    "hash of the archived resolutions",
                    &resolutions,
                    &bill.resolutions.value(),
                );
                // Lines are measured by it only where it is what was committed.
                (bill.hash.value() == self.lines_hash && bill.lines == self.lines).then_some(bill)
            }
            Err(why) => {
                differences.put("archive", "lines and resolutions", why);
                None
            }
        };
        let lines = lines::read(transaction, unit, self.lines_generation).await?;
        differences.compare("lines", &self.lines, &lines.items);
        if let Some(why) = lines.damaged {
            differences.put("readable lines", "all", why);
        }
        let made_of: &Totals = match &archived {
            Some(bill) => {
                differences.totals("the lines", &bill.totals, &lines.totals);
                let (expected, found) = (bill.stored.value(), lines.stored.value());
                differences.compare("hash of the lines", &expected, &found);
                &bill.totals
            }
            None => {
                if let Some(amounts) = &self.amounts {
                    differences.amounts("the lines", amounts, &lines.totals);
                }
                &lines.totals
            }
        };
        let rows = rows::read(transaction, unit, generation).await?;
        differences.compare("rows", &self.rows, &rows.items);
        if let Some(why) = rows.damaged {
            differences.put("readable rows", "all", why);
        }
        differences.totals("the rows", made_of, &rows.totals);
        differences.compare("hash of the rows", &self.rows_hash, &rows.hash.value());
        Ok((lines.items, rows.items))
    }
}

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

fn with<'a>(key: &[Parameter<'a>], more: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    key.iter().chain(more).cloned().collect()
}

/// Remembers what was found, unless another generation is visible by now.
///
/// # Errors
/// When Postgres fails.
pub async fn record(store: &Store, unit: &UnitKey, checked: &Checked) -> Result<(), EmitterError> {
    let failed = || EmitterError::sql("remember a comparison");
    let mut client = store.client().await?;
    let transaction = client.transaction().await.map_err(failed())?;
    transaction.batch_execute(sql::RECONCILE_BOUNDS).await.map_err(failed())?;
    let date = PgDate(unit.date);
    let (tenant, source, generation) =
        (unit.tenant.as_str(), unit.source.as_str(), checked.generation.0);
    let key: [Parameter<'_>; 4] = [
        (&tenant, Type::TEXT),
        (&source, Type::TEXT),
        (&date, Type::DATE),
        (&generation, Type::INT8),
    ];
    let marked = transaction.execute_typed(sql::RECONCILE_MARK, &key).await.map_err(failed())?;
    if marked == 0 {
        return Ok(());
    }
    let column = |of: fn(&Difference) -> &str| -> Vec<String> {
        // Postgres takes no NUL in text.
        checked.differences.iter().map(|difference| of(difference).replace('\0', "")).collect()
    };
    let (what, expected, found) =
        (column(|d| &d.what), column(|d| &d.expected), column(|d| &d.found));
    let clear = with(&key[..3], &[(&what, Type::TEXT_ARRAY)]);
    transaction.execute_typed(sql::RECONCILE_CLEAR, &clear).await.map_err(failed())?;
    if !what.is_empty() {
        let columns: [Parameter<'_>; 3] =
            [(&what, Type::TEXT_ARRAY), (&expected, Type::TEXT_ARRAY), (&found, Type::TEXT_ARRAY)];
        let put = with(&key, &columns);
        transaction.execute_typed(sql::RECONCILE_PUT, &put).await.map_err(failed())?;
    }
    transaction.commit().await.map_err(failed())
}
