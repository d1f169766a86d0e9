//! The weights that a visible date was made with, as the ledger keeps them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::driver::{DriverWeight, DriverWindow};
use proto::hash::Hash128;
use proto::money::Amount;

use super::SourceKey;
use super::unit::VisibleUnit;

/// Weights of one driver over one window.
#[derive(Debug)]
pub struct UsedWeights {
    /// Which.
    pub window: DriverWindow,
    /// Their hash.
    pub hash: Hash128,
    /// What they are.
    pub weights: Vec<DriverWeight>,
}

/// The weights that a visible date was made with, in order. Those that others have taken the place of since are left
/// out: the date is about to be calculated again.
///
/// # Errors
/// When Postgres cannot be asked, or what is stored is damaged.
pub fn used_weights(txn: &mut Transaction<'_>, unit: &VisibleUnit) -> Result<Vec<UsedWeights>> {
    let sql = "select d.driver, d.from_date::text, d.until_date::text, d.hash, w.within, w.party, w.currency,
                 w.weight::text
               from unit_drivers u join drivers d using (tenant, driver, from_date, until_date)
               left join driver_weights w on w.tenant = d.tenant and w.driver = d.driver
                 and w.from_date = d.from_date and w.until_date = d.until_date and w.generation = d.generation
               where u.tenant = $1 and u.source = $2 and u.date = $3::text::date and u.hash = d.hash
               order by 1, 2, 3, w.within, w.party, w.currency";
    let (tenant, source, date) =
        (unit.tenant.as_str(), unit.source.as_str(), unit.date.to_string());
    let mut found: Vec<UsedWeights> = Vec::new();
    for row in txn.query(sql, &[&tenant, &source, &date])? {
        let driver: &str = row.get(0);
        let damaged = || format!("the weights of driver {driver} are damaged");
        let window = DriverWindow {
            driver: driver.parse().ok().with_context(damaged)?,
            from: row.get::<_, &str>(1).parse()?,
            until: row.get::<_, &str>(2).parse()?,
        };
        if found.last().is_none_or(|last| last.window != window) {
            let hash = row.get::<_, &[u8]>(3).try_into().ok().map(Hash128).with_context(damaged)?;
            found.push(UsedWeights { window: window.clone(), hash, weights: Vec::new() });
        }
        let Some(within) = row.get::<_, Option<String>>(4) else { continue };
        let weight = DriverWeight {
            window_start: window.from.start(),
            window_end: window.until.start(),
            within,
            party: row.get(5),
            weight: Amount::parse(row.get(7)).ok().with_context(damaged)?,
            currency: match row.get::<_, &str>(6) {
                "" => None,
                code => Some(code.parse().ok().with_context(damaged)?),
            },
        };
        found.last_mut().with_context(damaged)?.weights.push(weight);
    }
    Ok(found)
}

/// A driver over a window whose weights are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsettledDriver {
    /// Tenant.
    pub tenant: String,
    /// What people call it; of what the ledger adds up, its id.
    pub driver: String,
    /// First day of the window.
    pub from: String,
    /// The day after its last.
    pub until: String,
    /// Whether its weights are being made.
    pub under_way: bool,
    /// Why they cannot be had.
    pub lacking: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// A database that an earlier build made says nothing of weights that cannot be had.
fn tells_of_drivers(txn: &mut Transaction<'_>) -> Result<bool> {
    let sql = "select exists (select from pg_attribute
                 where attrelid = to_regclass('apportion.driver_windows') and attname = 'lacking')";
    Ok(txn.query_one(sql, &[])?.get(0))
}

/// Drivers whose weights are made, due, failed or not to be had: the first `limit`, and how many there are.
///
/// # Errors
/// When Postgres cannot be asked.
pub fn unsettled_drivers(
    txn: &mut Transaction<'_>,
    limit: i64,
) -> Result<(Vec<UnsettledDriver>, i64)> {
    if !tells_of_drivers(txn)? {
        return Ok((Vec::new(), 0));
    }
    let sql = "select tenant, coalesce(name, driver), from_date::text, until_date::text, task is not null, lacking,
                 last_error, count(*) over ()
               from driver_windows where not fresh or task is not null or lacking is not null
               order by 1, 2, 3, 4 limit $1";
    let rows = txn.query(sql, &[&limit]).context("cannot list drivers")?;
    let driver = |row: &Row| UnsettledDriver {
        tenant: row.get(0),
        driver: row.get(1),
        from: row.get(2),
        until: row.get(3),
        under_way: row.get(4),
        lacking: row.get(5),
        error: row.get(6),
    };
    let all = rows.first().map_or(0, |row| row.get(7));
    Ok((rows.iter().map(driver).collect(), all))
}

/// How many visible dates of each source are provisional.
///
/// # Errors
/// When Postgres cannot be asked.
pub fn provisional(txn: &mut Transaction<'_>) -> Result<BTreeMap<SourceKey, i64>> {
    if !tells_of_drivers(txn)? {
        return Ok(BTreeMap::new());
    }
    // Only what waits for something can be: the view need not be asked of every date.
    let sql = "select tenant, source, count(*) from units
               where finality = 'provisional' and (tenant, source, date) in (
                 select tenant, source, date from unit_drivers
                 union select tenant, source, date from pipeline_state where resolve_again_at is not null)
               group by 1, 2";
    let rows = txn.query(sql, &[]).context("cannot count provisional dates")?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}
