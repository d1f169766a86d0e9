//! Lines as `billing` holds them, added up.

use std::collections::BTreeSet;

use deadpool_postgres::tokio_postgres::types::{FromSql, Type};
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::hash::{Hash128, SetHash};
use proto::ids::UnitKey;
use proto::line::LineId;
use proto::manifest::Totals;

use super::bill::StoredLine;
use super::dimensions::Dimensions;
use crate::error::EmitterError;
use crate::ledger::dimension::DimensionKind;
use crate::sql;
use crate::wire::{PgAmount, PgDate, PgSeconds};

/// Lines that are read at a time.
const PIECE: i32 = 2_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Lines {
    /// Lines.
    pub items: u64,
    /// Of the lines as they are stored.
    pub stored: SetHash,
    /// What they add up to.
    pub totals: Totals,
    /// The first one that makes no sense.
    pub damaged: Option<String>,
}

/// Reads the lines of a generation.
///
/// # Errors
/// When Postgres fails.
pub async fn read(
    transaction: &Transaction<'_>,
    unit: &UnitKey,
    generation: i64,
) -> Result<Lines, EmitterError> {
    let failed = || EmitterError::sql("read stored lines");
    let types = [Type::TEXT, Type::DATE, Type::INT8];
    let statement =
        transaction.prepare_typed(sql::RECONCILE_LINES, &types).await.map_err(failed())?;
    let (tenant, date) = (unit.tenant.as_str(), PgDate(unit.date));
    let portal = transaction.bind(&statement, &[&tenant, &date, &generation]).await;
    let portal = portal.map_err(failed())?;
    let mut dimensions = Dimensions::new(DimensionKind::Billing, &unit.tenant);
    let mut lines = Lines::default();
    loop {
        let rows = transaction.query_portal(&portal, PIECE).await.map_err(failed())?;
        let wanted: BTreeSet<i64> = rows.iter().map(|row| row.get(1)).collect();
        dimensions.fetch(transaction, &wanted).await?;
        for row in &rows {
            lines.items += 1;
            if let Err(why) = lines.add(row, &dimensions) {
                lines.damaged.get_or_insert(why);
            }
        }
        if rows.len() < PIECE as usize {
            return Ok(lines);
        }
    }
}

impl Lines {
    fn add(&mut self, row: &Row, dimensions: &Dimensions<'_>) -> Result<(), String> {
        let id: &[u8] = row.get(0);
        let id = <[u8; 16]>::try_from(id).map_err(|_| "a line's id is not 128 bits".to_owned())?;
        let line = LineId(Hash128(id));
        let mut numbers = [None; 7];
        for (at, number) in (4..).zip(&mut numbers) {
            let stored: Option<PgAmount> =
                get(row, at).map_err(|why| format!("line {line}: {why}"))?;
            *number = stored.map(|PgAmount(amount)| amount);
        }
        let dimension = row.get(1);
        let [PgSeconds(start), PgSeconds(end)] = [row.get(2), row.get(3)];
        let stored = StoredLine { line, dimension, charge: [start.0, end.0], numbers };
        self.stored.add(stored.hash());
        let known = dimensions.get(dimension).map_err(|why| format!("line {line}: {why}"))?;
        let [Some(amount), billed, effective, contracted, list, ..] = numbers else {
            return Err(format!("line {line} has no amount"));
        };
        let (currency, period) = known.pair;
        self.totals.add(currency, period, amount, &[billed, effective, contracted, list]);
        Ok(())
    }
}

/// A value that somebody may have altered.
///
/// # Errors
/// When it is nothing of ours.
pub fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, String> {
    row.try_get(at).map_err(|error| proto::fault::chain(&error))
}
