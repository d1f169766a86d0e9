//! What a replay came to: what was visible before it, and what it made visible.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::ids::TenantId;

use super::unit::{COLUMNS, Range, VisibleUnit, committed};

/// A date of a replay that became visible by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// What it made visible.
    pub after: VisibleUnit,
    /// Whether its rows are still stored: a later generation may have taken their place twice since.
    pub after_is_kept: bool,
    /// What was visible before; `None`: nothing, or it is stored no more.
    pub before: Option<VisibleUnit>,
    /// Whether there was something before that is stored no more.
    pub before_is_gone: bool,
}

/// The dates that a run made visible, by source and date.
pub fn replayed(txn: &mut Transaction<'_>, tenant: &TenantId, run: &str) -> Result<Vec<Replayed>> {
    let mut kept = BTreeMap::new();
    for (before, is_kept, _) in side(txn, tenant, run, "u.before_generation")? {
        if is_kept {
            kept.insert((before.source.clone(), before.date), before);
        }
    }
    let units = side(txn, tenant, run, "u.generation")?.into_iter();
    let one = |(after, after_is_kept, replaced): (VisibleUnit, bool, i64)| {
        let before = kept.remove(&(after.source.clone(), after.date));
        let before_is_gone = replaced > 0 && before.is_none();
        Replayed { after, after_is_kept, before, before_is_gone }
    };
    Ok(units.map(one).collect())
}

/// Each with whether its rows are stored, and what was visible before the run.
fn side(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    run: &str,
    generation: &str,
) -> Result<Vec<(VisibleUnit, bool, i64)>> {
    let sql = format!(
        "select {COLUMNS}, c.purged_at is null, u.before_generation from run_units u
         join commits c on c.tenant = u.tenant and c.source = u.source and c.date = u.date
           and c.generation = {generation}
         where u.run_id = $1 and u.tenant = $2 and u.generation is not null order by c.source, c.date"
    );
    let rows = txn.query(&sql, &[&run, &tenant.as_str()]);
    let one = |row: &Row| Ok((committed(tenant, row)?, row.get(11), row.get(12)));
    rows.context("cannot list what the run made visible")?.iter().map(one).collect()
}

/// Dates of a tenant that are pinned to rules of a former time.
pub fn pinned(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    (from, to): Range,
) -> Result<Vec<(String, String)>> {
    let sql = "select source, date::text from pipeline_state where tenant = $1 and pinned
                 and date >= coalesce($2::text::date, date) and date <= coalesce($3::text::date, date)
               order by source, date";
    let [from, to] = [from, to].map(|date| date.map(|date| date.to_string()));
    let rows = txn.query(sql, &[&tenant.as_str(), &from, &to]);
    let rows = rows.context("cannot list pinned dates")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
