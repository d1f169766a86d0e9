//! The one check of what must hold after every fault, against an oracle that knows the bills alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use proto::manifest::Sums;
use proto::money::{Amount, ExactSum};
use proto::time::UnitDate;

use super::oracle::{Bill, Expected, Oracle};
use crate::output;

/// I1, per line, currency and measure.
const UNBALANCED: &str = "
select count(*) from
  (select tenant_id, source, date, line_id, currency, sum(amount) as a, sum(billed) as b, sum(effective) as e,
     sum(contracted) as c, sum(list) as l from apportion.chargebacks group by 1, 2, 3, 4, 5) f
  full join
  (select tenant_id, source, date, line_id, currency, amount as a, billed as b, effective as e, contracted as c,
     list as l from apportion.billing_lines) b
  using (tenant_id, source, date, line_id, currency)
where (f.a, f.b, f.e, f.c, f.l) is distinct from (b.a, b.b, b.e, b.c, b.l)";

/// I2.
const DOUBLED: &str = "
select (select count(*) from (select 1 from apportion.chargeback_facts
          group by generation, date, tenant, line, dimension, share_num having count(*) > 1) f)
     + (select count(*) from (select 1 from apportion.billing
          group by generation, date, tenant, line having count(*) > 1) b)";

/// Every date, and what is visible of it.
const UNITS: &str = "
select tenant, source, date::text, state, visible_generation, coalesce(visible_rows, 0), withdrawn
from apportion.pipeline_state order by 1, 2, 3";

/// By date and currency.
const LINES: &str = "
select date::text, currency, count(*), sum(amount)::text, sum(billed)::text, sum(effective)::text,
  sum(contracted)::text, sum(list)::text
from apportion.billing_lines where tenant_id = $1 group by 1, 2";
const ROWS: &str = "
select date::text, currency, count(distinct line_id), sum(amount)::text, sum(billed)::text, sum(effective)::text,
  sum(contracted)::text, sum(list)::text
from apportion.chargebacks where tenant_id = $1 group by 1, 2";

/// I7: row for row.
const EMITTED: &str = "
select source, line_id, rule, coalesce(identity_id, ''), coalesce(owner_id, ''), coalesce(cost_type, ''),
  allocation_method, amount::text, billed::text, effective::text, contracted::text, list::text
from apportion.chargebacks where tenant_id = $1";
const EMITTED_COLUMNS: [&str; 12] = [
    "source",
    "line_id",
    "rule",
    "identity_id",
    "owner_id",
    "cost_type",
    "allocation_method",
    "amount",
    "billed",
    "effective",
    "contracted",
    "list",
];

/// Emissions that are not of what is visible.
const STALE: &str = "
select count(*) from apportion.pipeline_state p left join apportion.emission_records e using (tenant, source, date)
where p.visible_generation > 0 and e.generation is distinct from p.visible_generation";

/// Nothing may be out that nobody waits for.
const LEFT: &str = "
select (select count(*) from apportion.tasks) + (select count(*) from apportion.staged_dates)";

/// Checks everything that is settled: I1, I2, I5, I7, I8. `csv` is where the tenants' files lie.
///
/// # Errors
/// What does not hold.
pub fn check(client: &mut Client, csv: &Path, oracle: &Oracle) -> Result<()> {
    let bills = oracle.now();
    let one = |client: &mut Client, sql: &str| -> Result<i64> {
        Ok(client.query_one(sql, &[])?.try_get(0)?)
    };
    let unbalanced = one(client, UNBALANCED)?;
    ensure!(unbalanced == 0, "I1: {unbalanced} lines differ from their rows");
    let doubled = one(client, DOUBLED)?;
    ensure!(doubled == 0, "I2: {doubled} rows or lines of a generation are there twice");
    let stale = one(client, STALE)?;
    ensure!(stale == 0, "I7: {stale} dates are not emitted as they are visible");
    let left = one(client, LEFT)?;
    ensure!(left == 0, "I6: {left} tasks or staged dates are left");
    units(client, &bills)?;
    for (tenant, bill) in &bills {
        let expected = bill.expected();
        of_tenant(client, tenant, bill, &expected).with_context(|| tenant.clone())?;
    }
    files(client, csv, &bills)
}

/// Every date of a bill is visible, with rows just where it has lines; no other date shows any.
fn units(client: &mut Client, bills: &BTreeMap<String, Bill>) -> Result<()> {
    let mut dates: BTreeSet<(String, UnitDate)> = bills
        .iter()
        .flat_map(|(tenant, bill)| bill.lines.iter().map(|line| (tenant.clone(), line.date)))
        .collect();
    for row in client.query(UNITS, &[])? {
        let (tenant, date): (String, String) = (row.get(0), row.get(2));
        let (state, generation, rows): (String, i64, i64) = (row.get(3), row.get(4), row.get(5));
        let what = format!("{tenant}/{} {date}", row.get::<_, String>(1));
        ensure!(state == "visible" && generation > 0, "I5: {what} is {state}");
        let wanted = dates.remove(&(tenant, date.parse()?));
        ensure!(wanted == (rows > 0), "I5: {what} shows {rows} rows, and is billed: {wanted}");
        ensure!(wanted != row.get::<_, bool>(6), "I8: {what} is withdrawn, and billed: {wanted}");
    }
    ensure!(dates.is_empty(), "I5: dates that are not there: {dates:?}");
    Ok(())
}

fn of_tenant(client: &mut Client, tenant: &str, bill: &Bill, expected: &Expected) -> Result<()> {
    for (what, sql) in [("lines", LINES), ("rows", ROWS)] {
        let mut found = Expected::new();
        for row in client.query(sql, &[&tenant])? {
            let sum = |at| ExactSum::parse(&row.get::<_, String>(at));
            let sums = Sums { amount: sum(3)?, measures: [sum(4)?, sum(5)?, sum(6)?, sum(7)?] };
            let count = usize::try_from(row.get::<_, i64>(2))?;
            let date = row.get::<_, String>(0).parse()?;
            found.insert((date, row.get(1)), (count, sums));
        }
        for (key, wanted) in expected {
            let found = found.remove(key);
            ensure!(
                found.as_ref() == Some(wanted),
                "I1: {what} of {key:?}: {found:?}, not {wanted:?}"
            );
        }
        ensure!(found.is_empty(), "I1: {what} that nobody billed: {:?}", found.keys());
    }
    let sql = "select count(*) from apportion.quarantined where tenant = $1";
    let quarantined: i64 = client.query_one(sql, &[&tenant])?.get(0);
    ensure!(
        usize::try_from(quarantined)? == bill.bad,
        "I5: {quarantined} records are quarantined, {} are bad",
        bill.bad
    );
    Ok(())
}

/// I7: the files hold the visible rows, and nothing else.
fn files(client: &mut Client, csv: &Path, bills: &BTreeMap<String, Bill>) -> Result<()> {
    let mut emitted: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for row in output::rows(csv)? {
        let cells = EMITTED_COLUMNS.map(|column| row[column].clone()).to_vec();
        emitted.entry(row["tenant_id"].clone()).or_default().push(cells);
    }
    for tenant in bills.keys() {
        let mut visible = Vec::new();
        for row in client.query(EMITTED, &[&tenant])? {
            let cell = |at: usize| -> Result<String> {
                let text: String = row.try_get(at)?;
                // Postgres writes the zeros that it was given.
                Ok(if at < 7 { text } else { Amount::parse(&text)?.to_string() })
            };
            visible.push((0..EMITTED_COLUMNS.len()).map(cell).collect::<Result<Vec<_>>>()?);
        }
        let mut there = emitted.remove(tenant).unwrap_or_default();
        visible.sort();
        there.sort();
        let (found, wanted) = (there.len(), visible.len());
        let differs = there.iter().zip(&visible).find(|(there, visible)| there != visible);
        ensure!(
            there == visible,
            "I7: files of {tenant} have {found} rows, {wanted} are visible; first: {differs:?}"
        );
    }
    ensure!(emitted.is_empty(), "I7: files of {:?}, whom nobody billed", emitted.keys());
    Ok(())
}
