//! Rows as splits and pieces hold them, added up, and their hash made again as the allocator made it.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::hash::{Hash128, SetHash};
use proto::ids::UnitKey;
use proto::line::LineId;
use proto::manifest::Totals;
use proto::money::{Amount, Share};
use proto::row::{OTHERS, PARTS_MAX, PartsMoney, RowBuilder};

use super::dimensions::{Dimensions, Pair};
use super::lines::get;
use crate::error::EmitterError;
use crate::ledger::dimension::DimensionKind;
use crate::sql;
use crate::wire::{PgAmount, PgDate};

/// Tuples that are read at a time, of up to 2 KB and their splits.
const PIECE: i32 = 500;
/// Bytes and splits that are held while hashes are made.
const HELD_BYTES: usize = 4 * 1024 * 1024;
const HELD_SPLITS: usize = 20_000;
/// The first of the columns of whole numbers, and of those of any width.
const UNITS: usize = 7;
const AMOUNTS: usize = 15;
/// Of the columns beside amounts, those that are measures.
const MEASURES: usize = 4;

/// What was found.
#[derive(Default)]
pub struct Rows {
    /// Rows.
    pub items: u64,
    /// Of their pieces, as in the manifest of the rows.
    pub hash: SetHash,
    /// What they add up to.
    pub totals: Totals,
    /// The first tuple that makes no sense.
    pub damaged: Option<String>,
    builder: RowBuilder,
    splits: HashMap<i32, Split>,
}

/// A split that was met, in the builder.
struct Split {
    place: u32,
    pairs: Vec<Pair>,
}

/// Reads the rows of a generation.
///
/// # Errors
/// When Postgres fails.
pub async fn read(
    transaction: &Transaction<'_>,
    unit: &UnitKey,
    generation: i64,
) -> Result<Rows, EmitterError> {
    let failed = || EmitterError::sql("read stored rows");
    let types = [Type::TEXT, Type::DATE, Type::INT8];
    let statement =
        transaction.prepare_typed(sql::RECONCILE_PIECES, &types).await.map_err(failed())?;
    let (tenant, date) = (unit.tenant.as_str(), PgDate(unit.date));
    let portal = transaction.bind(&statement, &[&tenant, &date, &generation]).await;
    let portal = portal.map_err(failed())?;
    let mut dimensions = Dimensions::new(DimensionKind::Chargeback, &unit.tenant);
    let mut found = Rows::default();
    loop {
        let tuples = transaction.query_portal(&portal, PIECE).await.map_err(failed())?;
        let new = tuples.iter().filter(|row| !found.splits.contains_key(&row.get(0)));
        let ids = new.filter_map(|row| get::<Option<Vec<Option<i64>>>>(row, 1).ok().flatten());
        let wanted: BTreeSet<i64> = ids.flatten().flatten().collect();
        dimensions.fetch(transaction, &wanted).await?;
        for tuple in &tuples {
            if let Err(why) = found.add(tuple, &dimensions) {
                found.damaged.get_or_insert(why);
            }
        }
        if found.builder.size() > HELD_BYTES || found.splits.len() > HELD_SPLITS {
            found.builder = RowBuilder::default();
            found.splits.clear();
        }
        if tuples.len() < PIECE as usize {
            return Ok(found);
        }
    }
}

impl Rows {
    fn add(&mut self, row: &Row, dimensions: &Dimensions<'_>) -> Result<(), String> {
        let tuple = Tuple::read(row)?;
        self.items += tuple.money.amounts.len() as u64;
        let number: i32 = row.get(0);
        if !self.splits.contains_key(&number) {
            let split = self.split(row, dimensions);
            let split = split.map_err(|why| format!("split {number}: {why}"))?;
            self.splits.insert(number, split);
        }
        let Some(split) = self.splits.get(&number) else { return Ok(()) };
        let (parts, all) = (split.pairs.len(), tuple.money.amounts.len());
        let whole = |column: &Vec<Option<Amount>>| column.is_empty() || column.len() == all;
        if tuple.lines.len() * parts != all || !tuple.money.others.iter().all(whole) {
            return Err(format!(
                "split {number}: {all} amounts for {parts} parts of {} lines",
                tuple.lines.len()
            ));
        }
        for (at, line) in tuple.lines.iter().enumerate() {
            let range = at * parts..(at + 1) * parts;
            self.hash.add(self.builder.push(*line, split.place, &tuple.money, range));
        }
        for (at, amount) in tuple.money.amounts.iter().enumerate() {
            let (currency, period) = split.pairs[at % parts];
            let measures = [0, 1, 2, 3].map(|which| tuple.money.other(which, at));
            self.totals.add(currency, period, *amount, &measures);
        }
        Ok(())
    }

    fn split(&mut self, row: &Row, dimensions: &Dimensions<'_>) -> Result<Split, String> {
        let ids = get::<Option<Vec<i64>>>(row, 1)?.ok_or("it is not stored")?;
        let [numerators, denominators] =
            [get::<Option<Vec<&str>>>(row, 2)?, get::<Option<Vec<&str>>>(row, 3)?]
                .map(Option::unwrap_or_default);
        let parts = ids.len();
        if !(1..=PARTS_MAX).contains(&parts) || [numerators.len(), denominators.len()] != [parts; 2]
        {
            return Err(format!("{parts} parts, and not as many shares"));
        }
        let (mut pairs, mut places) = (Vec::with_capacity(parts), Vec::with_capacity(parts));
        for ((id, num), den) in ids.into_iter().zip(numerators).zip(denominators) {
            let known = dimensions.get(id)?;
            let row = known.row.as_ref().ok_or("its dimension is none of a row")?;
            let share = Share::from_texts(num, den).map_err(|error| error.to_string())?;
            places.push((self.builder.dimension(row.borrowed()), share));
            pairs.push(known.pair);
        }
        Ok(Split { place: self.builder.split(places.iter().copied()), pairs })
    }
}

/// One or more lines of one split.
struct Tuple {
    lines: Vec<LineId>,
    money: PartsMoney,
}

impl Tuple {
    fn read(row: &Row) -> Result<Self, String> {
        let scale = |at| -> Result<u32, String> {
            let scale = get::<Option<i16>>(row, at)?.unwrap_or_default();
            u32::try_from(scale).map_err(|_| "a scale is negative".to_owned())
        };
        let (money, quantities) = (scale(4)?, scale(5)?);
        let together = get::<Option<Vec<&[u8]>>>(row, 6)?;
        let column = |which: usize| -> Result<Vec<Option<Amount>>, String> {
            if together.is_none() {
                let found = get::<Option<Vec<Option<PgAmount>>>>(row, AMOUNTS + which)?;
                let amount = |found: Option<PgAmount>| found.map(|PgAmount(amount)| amount);
                return Ok(found.unwrap_or_default().into_iter().map(amount).collect());
            }
            let scale = if which <= MEASURES { money } else { quantities };
            let units = get::<Option<Vec<Option<i64>>>>(row, UNITS + which)?.unwrap_or_default();
            let amount = |units: i64| {
                let too_wide = || format!("{units} of scale {scale} is no amount");
                Amount::from_parts(i128::from(units), scale).ok_or_else(too_wide)
            };
            units.into_iter().map(|units| units.map(amount).transpose()).collect()
        };
        let amounts = column(0)?.into_iter().collect::<Option<Vec<Amount>>>();
        let amounts = amounts.ok_or("an amount is null")?;
        let mut others: [Vec<Option<Amount>>; OTHERS] = Default::default();
        for (which, other) in (1..).zip(&mut others) {
            *other = column(which)?;
        }
        let lines = match &together {
            Some(lines) => lines.clone(),
            None => vec![get::<Option<&[u8]>>(row, AMOUNTS - 1)?.unwrap_or_default()],
        };
        let id = |line: &[u8]| {
            let id = <[u8; 16]>::try_from(line).map_err(|_| "a line's id is not 128 bits");
            id.map(|id| LineId(Hash128(id)))
        };
        let lines = lines.into_iter().map(id).collect::<Result<_, _>>()?;
        Ok(Self { lines, money: PartsMoney { amounts, others } })
    }
}
