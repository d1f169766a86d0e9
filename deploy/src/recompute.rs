//! A visible date calculated again in this process, from the archive and under any rules. Nothing is stored.

use std::collections::VecDeque;
use std::sync::Arc;

use allocator::domain::survey::Survey;
use allocator::domain::{DriverWeights, Facts, Packed, Program, UnitAllocator};
use anyhow::{Context, Result, ensure};
use postgres::Transaction;
use proto::driver::lacking_hash;
use proto::hash::{Hash128, SetHash};
use proto::line::{LineId, Lines};
use proto::manifest::Totals;
use proto::report::Warning;
use proto::row::{RowDimension, RowMoney};

use crate::store::{self, VisibleUnit};

/// One row, with the line that it is a part of.
pub struct Recomputed<'a> {
    /// Why.
    pub dimension: &'a RowDimension,
    /// How much.
    pub money: RowMoney,
    /// The batch that holds its line.
    pub lines: &'a Lines,
    /// Its place there.
    pub at: usize,
}

/// What the whole unit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Rows.
    pub rows: u64,
    /// Their hash: what `commits.rows_hash` is once just these rows are visible.
    pub hash: Hash128,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// Hands over every row that a program makes of a visible unit's lines, in their order. Memory: the unit's
/// resolutions and a few batches.
///
/// # Errors
/// When the archive lacks something or is damaged, or rows do not add up to the lines; what `take` answers otherwise.
pub fn recompute(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    program: &Arc<Program>,
    take: &mut dyn FnMut(Recomputed<'_>) -> Result<()>,
) -> Result<Outcome> {
    let mut engine = engine(txn, unit, program)?;
    let mut rows = RowsOut::default();
    store::archived_lines(txn, unit, &mut |lines| {
        rows.count_in(&lines)?;
        let packed = engine.allocate(&lines)?;
        rows.waiting.push_back((lines, 0));
        packed.into_iter().try_for_each(|packed| rows.hand_over(packed, take))
    })?;
    let (last, warnings) = engine.finish();
    last.into_iter().try_for_each(|packed| rows.hand_over(packed, take))?;
    let VisibleUnit { tenant, source, date, .. } = unit;
    ensure!(
        rows.lines == rows.totals,
        "the rows of {tenant}/{source} {date} do not add up to its lines: this is a defect of ours"
    );
    Ok(Outcome { rows: rows.count, hash: rows.hash.value(), warnings })
}

/// Counts what becomes of a visible unit's lines under a program. Memory: as [`recompute`].
///
/// # Errors
/// When the archive lacks something or is damaged.
pub fn surveyed(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    program: &Arc<Program>,
    survey: &mut Survey,
) -> Result<()> {
    let mut engine = engine(txn, unit, program)?;
    store::archived_lines(txn, unit, &mut |lines| Ok(engine.survey(&lines, survey)?))
}

/// The engine, ready for the unit's first batch of lines: it knows the resolutions, and has weighed where it must.
///
/// # Errors
/// When the archive lacks something or is damaged.
pub fn engine(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    program: &Arc<Program>,
) -> Result<UnitAllocator> {
    let mut facts = Facts::default();
    store::archived_resolutions(txn, unit, &mut |resolutions| {
        facts.add(resolutions);
        Ok(())
    })?;
    // As in the allocator: what the date was not made with is still to come.
    let mut drivers = DriverWeights::awaited();
    for used in store::used_weights(txn, unit)? {
        if used.hash == lacking_hash() {
            drivers.lacks(used.window);
        } else {
            drivers.add(used.window, used.hash, used.weights);
        }
    }
    let mut engine = UnitAllocator::new(Arc::clone(program), unit.date, facts, drivers);
    if engine.needs_weights() {
        store::archived_lines(txn, unit, &mut |lines| Ok(engine.weigh(&lines)?))?;
        engine.weighed();
    }
    Ok(engine)
}

#[derive(Default)]
struct RowsOut {
    /// Batches of lines whose rows are still to come, and the place of the line that comes next.
    waiting: VecDeque<(Lines, usize)>,
    lines: Totals,
    totals: Totals,
    hash: SetHash,
    count: u64,
}

impl RowsOut {
    fn count_in(&mut self, lines: &Lines) -> Result<()> {
        for i in 0..lines.len() {
            let currency = lines.currency.get(i).and_then(|code| code.parse().ok());
            let currency = currency.context("a line without currency")?;
            let period = lines.billing_period.get(i).and_then(|period| period.parse().ok());
            let period = period.context("a line without billing period")?;
            let measures = [0, 1, 2, 3].map(|measure| lines.measure(measure, i));
            self.lines.add(currency, period, lines.amount[i], &measures);
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        packed: Packed,
        take: &mut dyn FnMut(Recomputed<'_>) -> Result<()>,
    ) -> Result<()> {
        self.hash.merge(packed.hash);
        self.count += packed.batch.len() as u64;
        self.totals.merge(&packed.totals);
        let rows = packed.batch.open()?;
        for (dimension, money) in rows.iter() {
            let (lines, at) = self.line(money.line)?;
            take(Recomputed { dimension, money, lines, at })?;
        }
        Ok(())
    }

    /// Rows come in the order of their lines, so what lies before is done with.
    fn line(&mut self, id: LineId) -> Result<(&Lines, usize)> {
        while let Some((lines, at)) = self.waiting.front_mut() {
            match lines.id[*at..].iter().position(|line| *line == id) {
                Some(further) => {
                    *at += further;
                    break;
                }
                None => drop(self.waiting.pop_front()),
            }
        }
        let (lines, at) = self.waiting.front().context("a row names a line that was not read")?;
        Ok((lines, *at))
    }
}
