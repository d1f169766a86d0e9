//! Visible units, each with what it was made from and what it came to.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::money::ExactSum;
use proto::time::UnitDate;

/// A visible generation of a unit, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleUnit {
    /// Whose.
    pub tenant: TenantId,
    /// Of which source.
    pub source: SourceId,
    /// Which day.
    pub date: UnitDate,
    /// The visible generation: that of its facts.
    pub generation: i64,
    /// Generation of its lines in `billing` and in the archive.
    pub lines_generation: i64,
    /// Generation of its resolutions in the archive, if it has any.
    pub resolution_generation: Option<i64>,
    /// Its lines.
    pub lines: i64,
    /// Hash of its lines.
    pub lines_hash: Hash128,
    /// Its rows.
    pub rows: i64,
    /// Hash of its rows.
    pub rows_hash: Hash128,
    /// Hash of the rules that made it.
    pub rules: Hash128,
    /// Hash of the configuration that made it.
    pub config: Hash128,
}

/// First and last date, inclusive; `None`: from the first there is, to the last there is.
pub type Range = (Option<UnitDate>, Option<UnitDate>);

/// The visible units of a tenant with their sources in force, by source and date; also those that are too old to be
/// gathered again: changed rules count for them, too. `None`: of every source.
pub fn visible_units(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
    (from, to): Range,
) -> Result<Vec<VisibleUnit>> {
    let sql = format!(
        "select {COLUMNS} from pipeline_state p
        join source_state s using (tenant, source)
        join commits c on c.tenant = p.tenant and c.source = p.source and c.date = p.date
          and c.generation = p.visible_generation
        where p.tenant = $1 and p.source = coalesce($2, p.source) and s.in_force
          and p.date >= coalesce($3::text::date, p.date) and p.date <= coalesce($4::text::date, p.date)
        order by c.source, c.date"
    );
    let day = |date: Option<UnitDate>| date.map(|date| date.to_string());
    let source = source.map(SourceId::as_str);
    let rows = txn.query(&sql, &[&tenant.as_str(), &source, &day(from), &day(to)]);
    let rows = rows.context("cannot list visible dates")?;
    rows.iter().map(|row| committed(tenant, row)).collect()
}

/// Of `commits c`: what [`committed`] reads.
pub(super) const COLUMNS: &str =
    "c.source, c.date::text, c.generation, c.lines_generation, c.resolution_generation,
    c.lines, c.lines_hash, c.rows, c.rows_hash, c.rules, c.config";

/// A generation of a unit that is or was visible.
pub(super) fn committed(tenant: &TenantId, row: &Row) -> Result<VisibleUnit> {
    Ok(VisibleUnit {
        tenant: tenant.clone(),
        source: SourceId::parse(row.get(0)).context("a stored source id is none")?,
        date: row.get::<_, &str>(1).parse().context("a stored date is none")?,
        generation: row.get(2),
        lines_generation: row.get(3),
        resolution_generation: row.get(4),
        lines: row.get(5),
        lines_hash: hash(row.get(6))?,
        rows: row.get(7),
        rows_hash: hash(row.get(8))?,
        rules: hash(row.get(9))?,
        config: hash(row.get(10))?,
    })
}

/// A stored 128-bit hash.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash128> {
    Ok(Hash128(bytes.try_into().context("a stored hash is not 128 bits")?))
}

/// What rows are added up by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Who pays.
    pub owner: String,
    /// Who caused it.
    pub identity: String,
    /// What for; empty where the bill says nothing.
    pub product: String,
    /// By which rule.
    pub rule: String,
    /// ISO code.
    pub currency: String,
}

/// The rows of a generation of a unit, added up.
pub fn unit_sums(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
) -> Result<BTreeMap<RowKey, ExactSum>> {
    // Rows and lines meet in a full join, which is hashed or merged whatever the planner knows of fresh tables.
    let sql = "
        select d.owner_id, d.identity_id, coalesce(l.product_type, ''), d.rule, d.currency, sum(s.amount)::text
        from (
          select f.dimension, b.dimension as line_dimension, sum(f.amount) as amount
          from (select line, dimension, amount from chargeback_facts
                where tenant = $1 and date = $2::text::date and generation = $3) f
          full join (select line, dimension from billing
                where tenant = $1 and date = $2::text::date and generation = $4) b using (line)
          group by 1, 2 offset 0) s
        cross join lateral (select owner_id, identity_id, rule, currency from chargeback_dimensions
          where tenant = $1 and id = s.dimension offset 0) d
        left join lateral (select product_type from billing_dimensions
          where tenant = $1 and id = s.line_dimension offset 0) l on true
        group by 1, 2, 3, 4, 5";
    let VisibleUnit { tenant, source, date, generation, lines_generation, .. } = unit;
    let key = (tenant.as_str(), date.to_string());
    let rows = txn.query(sql, &[&key.0, &key.1, generation, lines_generation]);
    let rows =
        rows.with_context(|| format!("cannot add up the rows of {tenant}/{source} {date}"))?;
    let one = |row: &Row| -> Result<_> {
        let [owner, identity, product, rule, currency] = [0, 1, 2, 3, 4].map(|at| row.get(at));
        let sum: &str = row.get(5);
        let sum = sum.parse().context("a stored sum cannot be read")?;
        Ok((RowKey { owner, identity, product, rule, currency }, sum))
    };
    rows.iter().map(one).collect()
}
