//! Money and counts of what is visible, as stored.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use postgres::types::FromSql;
use postgres::{Row, Transaction};
use proto::manifest::{Sums, Totals};
use proto::money::ExactSum;
use proto::row::UNALLOCATED;

use super::VISIBLE;

/// Tenant and source.
pub type SourceKey = (String, String);

/// Lines or rows as stored, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// Tenant and source.
    pub key: SourceKey,
    /// Currency.
    pub currency: String,
    /// Which of them.
    pub which: T,
    /// How many.
    pub items: i64,
    /// What they add up to.
    pub sums: Sums,
}

/// Number and sums of lines or rows by dimension, of which there are few. A measure is null where it equals the amount:
/// its difference is summed.
const SUMS: &str = "count(*) as items, sum(amount) as amount, sum(billed - amount) filter (where billed is not null) as billed,
  sum(effective - amount) filter (where effective is not null) as effective, sum(contracted - amount) filter (where contracted is not null) as contracted, sum(list - amount) filter (where list is not null) as list";
/// These of all dimensions.
const TOTALS: &str = "sum(s.items)::bigint, sum(s.amount)::text,
  (sum(s.amount) + coalesce(sum(s.billed), 0))::text, (sum(s.amount) + coalesce(sum(s.effective), 0))::text,
  (sum(s.amount) + coalesce(sum(s.contracted), 0))::text, (sum(s.amount) + coalesce(sum(s.list), 0))::text";
/// Everything is read, once, whatever the planner takes it for.
const WHOLE: &str = "set local enable_seqscan = on; set local enable_nestloop = off;
  set local enable_mergejoin = off; set local enable_sort = off; set local work_mem = '64MB'";

/// The sums of five columns of numbers that start at `at`: amount, then the four measures.
fn sums(row: &Row, at: usize) -> Result<Sums> {
    let sum = |at: usize| -> Result<ExactSum> {
        let text: Option<&str> = row.get(at);
        text.unwrap_or("0").parse().context("a stored sum cannot be read")
    };
    Ok(Sums {
        amount: sum(at)?,
        measures: [sum(at + 1)?, sum(at + 2)?, sum(at + 3)?, sum(at + 4)?],
    })
}

/// Dates, and how many of what they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnitCount {
    /// Visible dates that hold anything, or once came empty from the source.
    pub dates: i64,
    /// Rows as the ledger counted them.
    pub rows: i64,
}

/// Visible dates per source. A date that the source withdrew is visible without rows, and is not counted.
pub fn counts(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, UnitCount>> {
    let sql = format!(
        "with {VISIBLE} select tenant, source, count(*) filter (where visible_rows > 0 or not withdrawn),
           coalesce(sum(visible_rows), 0)::bigint
         from visible group by 1, 2"
    );
    let rows = txn.query(&sql, &[]).context("cannot count dates")?;
    let one =
        |row: &Row| ((row.get(0), row.get(1)), UnitCount { dates: row.get(2), rows: row.get(3) });
    Ok(rows.iter().map(one).collect())
}

/// The lines, per source, currency and whether they are still in force: what is visible may be made from older ones.
pub fn lines(txn: &mut Transaction<'_>) -> Result<Vec<Stored<bool>>> {
    let sql = format!(
        "with {VISIBLE}, stored as materialized (
           select v.tenant, v.source, v.fresh, dimension, {SUMS} from visible v
           join billing b on b.tenant = v.tenant and b.date = v.date and b.generation = v.visible_lines_generation
           group by 1, 2, 3, 4)
         select s.tenant, s.source, d.currency, s.fresh, {TOTALS} from stored s
         left join lateral (select currency from billing_dimensions
           where tenant = s.tenant and id = s.dimension offset 0) d on true
         group by 1, 2, 3, 4"
    );
    txn.batch_execute(WHOLE).context("cannot add up the lines")?;
    let rows = txn.query(&sql, &[]).context("cannot add up the lines")?;
    rows.iter().map(|row| stored(row, "billing")).collect()
}

/// The rows, per source, currency and reason; no reason: somebody pays.
pub fn allocated(txn: &mut Transaction<'_>) -> Result<Vec<Stored<Option<String>>>> {
    let sql = format!(
        "with {VISIBLE}, stored as materialized (
           select tenant, source, dimension, {SUMS}
           from (
             select tenant, source, dimension, coalesce(amount, units * worth) as amount,
               coalesce(billed, billed_units * worth) as billed, coalesce(effective, effective_units * worth) as effective,
               coalesce(contracted, contracted_units * worth) as contracted, coalesce(list, list_units * worth) as list
             from (
               select v.tenant, v.source, unit_worth(p.scale) as worth, unnest(s.dimension) as dimension,
                 unnest(p.amount) as amount, unnest(p.billed) as billed, unnest(p.effective) as effective,
                 unnest(p.contracted) as contracted, unnest(p.list) as list,
                 unnest(of_line(p.units, l.place, cardinality(s.dimension))) as units,
                 unnest(of_line(p.billed_units, l.place, cardinality(s.dimension))) as billed_units,
                 unnest(of_line(p.effective_units, l.place, cardinality(s.dimension))) as effective_units,
                 unnest(of_line(p.contracted_units, l.place, cardinality(s.dimension))) as contracted_units,
                 unnest(of_line(p.list_units, l.place, cardinality(s.dimension))) as list_units
               from visible v
               join chargeback_pieces p
                 on p.tenant = v.tenant and p.date = v.date and p.generation = v.visible_generation
               join chargeback_splits s on s.generation = p.generation and s.date = p.date and s.split = p.split
               cross join lateral generate_series(1::bigint, coalesce(cardinality(p.lines), 1)) as l (place)) parts) rows
           group by 1, 2, 3)
         select s.tenant, s.source, d.currency,
           case when d.owner_id = $1 then coalesce(split_part(d.allocation_detail, ':', 1), 'no_reason') end, {TOTALS}
         from stored s
         left join lateral (select currency, owner_id, allocation_detail from chargeback_dimensions
           where tenant = s.tenant and id = s.dimension offset 0) d on true
         group by 1, 2, 3, 4"
    );
    txn.batch_execute(WHOLE).context("cannot add up the rows")?;
    let rows = txn.query(&sql, &[&UNALLOCATED]).context("cannot add up the rows")?;
    rows.iter().map(|row| stored(row, "chargeback")).collect()
}

fn stored<'r, T: FromSql<'r>>(row: &'r Row, table: &str) -> Result<Stored<T>> {
    let key = (row.get(0), row.get(1));
    let currency = currency(row, table)?;
    Ok(Stored { key, currency, which: row.get(3), items: row.get(4), sums: sums(row, 5)? })
}

fn currency(row: &Row, table: &str) -> Result<String> {
    let Some(currency) = row.get(2) else {
        let (tenant, source): (&str, &str) = (row.get(0), row.get(1));
        bail!(
            "{table}_dimensions lacks a dimension that {tenant}/{source} uses: restore the table from a backup"
        )
    };
    Ok(currency)
}

/// What was counted when the lines were read, per source; visible dates made from the lines in force only.
pub fn received(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, Totals>> {
    let sql = format!(
        "with {VISIBLE} select tenant, source, date::text, received from visible where fresh"
    );
    let mut all: BTreeMap<SourceKey, Totals> = BTreeMap::new();
    for row in txn.query(&sql, &[]).context("cannot read what was received")? {
        let (key, date): (SourceKey, &str) = ((row.get(0), row.get(1)), row.get(2));
        let totals: Totals = rmp_serde::from_slice(row.get(3)).with_context(|| {
            format!("what was received for {}/{}/{date} cannot be read", key.0, key.1)
        })?;
        all.entry(key).or_default().merge(&totals);
    }
    Ok(all)
}

/// Readable amounts of quarantined records, per source and currency.
pub fn quarantined_amounts(
    txn: &mut Transaction<'_>,
) -> Result<Vec<(SourceKey, String, ExactSum)>> {
    let sql = "select q.tenant, q.source, q.currency, sum(q.amount)::text
               from quarantined q join source_state s using (tenant, source)
               where s.in_force and q.amount is not null and q.currency is not null group by 1, 2, 3";
    let rows = txn.query(sql, &[]).context("cannot add up quarantined records")?;
    let one = |row: &Row| -> Result<_> {
        let sum: &str = row.get(3);
        Ok((
            (row.get(0), row.get(1)),
            row.get(2),
            sum.parse().context("a stored sum cannot be read")?,
        ))
    };
    rows.iter().map(one).collect()
}
