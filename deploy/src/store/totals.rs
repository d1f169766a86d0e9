//! Money and counts of what is visible, as stored.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use postgres::{Row, Transaction};
use proto::manifest::{Sums, Totals};
use proto::money::ExactSum;
use proto::row::UNALLOCATED;

use super::VISIBLE;

/// Tenant and source.
pub type SourceKey = (String, String);

/// The sums of five columns of numbers that start at `at`: amount, then the four measures.
fn sums(row: &Row, at: usize) -> Result<Sums> {
    let sum = |at: usize| -> Result<ExactSum> {
        let text: Option<&str> = row.get(at);
        text.unwrap_or("0").parse().context("a stored sum cannot be read")
    };
    Ok(Sums { amount: sum(at)?, measures: [sum(at + 1)?, sum(at + 2)?, sum(at + 3)?, sum(at + 4)?] })
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
    let one = |row: &Row| {
        ((row.get(0), row.get(1)), UnitCount { dates: row.get(2), rows: row.get(3) })
    };
    Ok(rows.iter().map(one).collect())
}

/// Number and sums of the lines as stored, per source and currency; and apart, the sums of those that are no longer
/// in force, because what is visible was made from older lines.
pub fn lines(txn: &mut Transaction<'_>) -> Result<Vec<(SourceKey, String, bool, i64, Sums)>> {
    let sql = format!(
        "with {VISIBLE},
         stored as (
           select v.tenant, v.source, v.fresh, b.dimension, count(*) as lines, sum(b.amount) as amount,
             sum(coalesce(b.billed, b.amount)) as billed, sum(coalesce(b.effective, b.amount)) as effective,
             sum(coalesce(b.contracted, b.amount)) as contracted, sum(coalesce(b.list, b.amount)) as list
           from visible v
           join billing b on b.tenant = v.tenant and b.date = v.date and b.generation = v.visible_lines_generation
           group by 1, 2, 3, 4)
         select s.tenant, s.source, d.currency, s.fresh, sum(s.lines)::bigint, sum(s.amount)::text,
           sum(s.billed)::text, sum(s.effective)::text, sum(s.contracted)::text, sum(s.list)::text
         from stored s left join billing_dimensions d on d.tenant = s.tenant and d.id = s.dimension
         group by 1, 2, 3, 4"
    );
    let rows = txn.query(&sql, &[]).context("cannot add up the lines")?;
    let one = |row: &Row| -> Result<_> {
        let key: SourceKey = (row.get(0), row.get(1));
        let currency = currency(row, "billing")?;
        Ok((key, currency, row.get(3), row.get(4), sums(row, 5)?))
    };
    rows.iter().map(one).collect()
}

/// Sums of the rows as stored, per source, currency and reason; no reason: somebody pays.
pub fn allocated(
    txn: &mut Transaction<'_>,
) -> Result<Vec<(SourceKey, String, Option<String>, i64, Sums)>> {
    let sql = format!(
        "with {VISIBLE},
         stored as (
           select v.tenant, v.source, f.dimension, count(*) as rows, sum(f.amount) as amount,
             sum(coalesce(f.billed, f.amount)) as billed, sum(coalesce(f.effective, f.amount)) as effective,
             sum(coalesce(f.contracted, f.amount)) as contracted, sum(coalesce(f.list, f.amount)) as list
           from visible v
           join chargeback_facts f on f.tenant = v.tenant and f.date = v.date and f.generation = v.visible_generation
           group by 1, 2, 3)
         select s.tenant, s.source, d.currency,
           case when d.owner_id = $1 then coalesce(split_part(d.allocation_detail, ':', 1), 'no_reason') end,
           sum(s.rows)::bigint, sum(s.amount)::text, sum(s.billed)::text, sum(s.effective)::text,
           sum(s.contracted)::text, sum(s.list)::text
         from stored s left join chargeback_dimensions d on d.tenant = s.tenant and d.id = s.dimension
         group by 1, 2, 3, 4"
    );
    let rows = txn.query(&sql, &[&UNALLOCATED]).context("cannot add up the rows")?;
    let one = |row: &Row| -> Result<_> {
        let key: SourceKey = (row.get(0), row.get(1));
        let currency = currency(row, "chargeback")?;
        Ok((key, currency, row.get(3), row.get(4), sums(row, 5)?))
    };
    rows.iter().map(one).collect()
}

fn currency(row: &Row, table: &str) -> Result<String> {
    let Some(currency) = row.get(2) else {
        let (tenant, source): (&str, &str) = (row.get(0), row.get(1));
        bail!("{table}_dimensions lacks a dimension that {tenant}/{source} uses: restore the table from a backup")
    };
    Ok(currency)
}

/// What was counted when the lines were read, per source; visible dates made from the lines in force only.
pub fn received(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, Totals>> {
    let sql = format!("with {VISIBLE} select tenant, source, date::text, received from visible where fresh");
    let mut all: BTreeMap<SourceKey, Totals> = BTreeMap::new();
    for row in txn.query(&sql, &[]).context("cannot read what was received")? {
        let (key, date): (SourceKey, &str) = ((row.get(0), row.get(1)), row.get(2));
        let totals: Totals = rmp_serde::from_slice(row.get(3))
            .with_context(|| format!("what was received for {}/{}/{date} cannot be read", key.0, key.1))?;
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
        Ok(((row.get(0), row.get(1)), row.get(2), sum.parse().context("a stored sum cannot be read")?))
    };
    rows.iter().map(one).collect()
}
