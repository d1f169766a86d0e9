//! What may have been meant, where nothing was found.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::ids::TenantId;

use super::explain::Of;
use super::trouble::Given;
use super::unit::VisibleUnit;

/// Hex digits of a line's id.
const DIGITS: usize = 32;

fn dates(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    (has, wanted): (&str, [&str; 2]),
    most: i64,
) -> Result<Given<String>> {
    let sql = format!(
        "select p.source || '/' || p.date, count(*) over ()
         from pipeline_state p join source_state s using (tenant, source)
         where p.tenant = $1 and s.in_force and p.visible_generation > 0
           and $2::text is not null and $3::text is not null and exists ({has})
         order by p.date, p.source limit $4"
    );
    let rows = txn.query(&sql, &[&tenant.as_str(), &wanted[0], &wanted[1], &most]);
    let rows = rows.context("cannot look for dates")?;
    let all = rows.first().map_or(0, |row| row.get(1));
    Ok(Given { first: rows.iter().map(|row| row.get(0)).collect(), all })
}

/// Up to `most` visible dates with a line whose id starts with these hex digits, the first ones.
pub fn dates_of_line(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    start: &str,
    most: i64,
) -> Result<Given<String>> {
    let [least, greatest] = ["0", "f"].map(|fill| {
        let start = &start[..start.len().min(DIGITS)];
        format!("{start}{}", fill.repeat(DIGITS - start.len()))
    });
    let has = "select from billing b where b.tenant = $1 and b.date = p.date
                 and b.generation = p.visible_lines_generation
                 and b.line between decode($2, 'hex') and decode($3, 'hex')";
    dates(txn, tenant, (has, [&least, &greatest]), most)
}

/// Up to `most` visible dates with rows of an identity or lines of a resource, the first ones.
pub fn dates_of(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    of: Of<'_>,
    most: i64,
) -> Result<Given<String>> {
    let identity = "select from chargeback_splits s where s.date = p.date
                      and s.generation = p.visible_generation and s.dimension && array(
                        select id from chargeback_dimensions where tenant = $1 and identity_id = $2)";
    let resource = "select from billing b where b.tenant = $1 and b.date = p.date
                      and b.generation = p.visible_lines_generation and b.dimension = any(array(
                        select id from billing_dimensions where tenant = $1 and resource_id = $2))";
    let (has, wanted) = match of {
        Of::Identity(id) => (identity, id),
        Of::Resource(id) => (resource, id),
    };
    dates(txn, tenant, (has, [wanted, ""]), most)
}

/// The identities, or the resources, of a visible unit.
pub fn names_of(txn: &mut Transaction<'_>, unit: &VisibleUnit, of: Of<'_>) -> Result<Vec<String>> {
    let identity = "select distinct d.identity_id
        from (select distinct unnest(dimension) as dimension from chargeback_splits
              where tenant = $1 and date = $2::text::date and generation = $3) f
        join chargeback_dimensions d on d.tenant = $1 and d.id = f.dimension";
    let resource = "select distinct d.resource_id
        from (select distinct dimension from billing
              where tenant = $1 and date = $2::text::date and generation = $3) b
        join billing_dimensions d on d.tenant = $1 and d.id = b.dimension where d.resource_id is not null";
    let (sql, generation) = match of {
        Of::Identity(_) => (identity, unit.generation),
        Of::Resource(_) => (resource, unit.lines_generation),
    };
    let key = (unit.tenant.as_str(), unit.date.to_string());
    let rows = txn.query(sql, &[&key.0, &key.1, &generation]).context("cannot list names")?;
    Ok(rows.iter().map(|row: &Row| row.get(0)).collect())
}
