//! The weights that a visible date was made with, as the ledger keeps them.

use anyhow::{Context, Result};
use postgres::Transaction;
use proto::driver::{DriverWeight, DriverWindow};
use proto::hash::Hash128;
use proto::money::Amount;

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
