//! What is stored of one line, one identity, one resource.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::line::LineId;

use super::unit::VisibleUnit;

/// A stored row: everything in it as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct StoredRow {
    /// Which tier.
    pub tier: i32,
    /// Which part of a composition.
    pub part: i32,
    /// Who caused it.
    pub identity: String,
    /// Who pays.
    pub owner: String,
    /// Id of the rule.
    pub rule: String,
    /// `usage` or `shared`.
    pub cost_type: String,
    /// The tier's name.
    pub method: String,
    /// Reason or detail.
    pub detail: Option<String>,
    /// `num/den`.
    pub share: String,
    /// Amount, billed, effective, contracted, list.
    pub costs: [String; 5],
    /// Pricing and consumed quantity.
    pub quantities: [Option<String>; 2],
}

/// The visible rows of a line, in their order.
pub fn stored_rows(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    line: LineId,
) -> Result<Vec<StoredRow>> {
    let sql = "
        select d.tier, d.part, d.identity_id, d.owner_id, d.rule, d.cost_type, d.allocation_method, d.allocation_detail,
          f.share_num::text || '/' || f.share_den::text, f.amount::text, coalesce(f.billed, f.amount)::text,
          coalesce(f.effective, f.amount)::text, coalesce(f.contracted, f.amount)::text, coalesce(f.list, f.amount)::text,
          f.pricing_quantity::text, f.consumed_quantity::text
        from chargeback_facts f
        cross join lateral (select * from chargeback_dimensions where tenant = $1 and id = f.dimension offset 0) d
        where f.tenant = $1 and f.date = $2::text::date and f.generation = $3 and f.line = $4";
    let VisibleUnit { tenant, date, generation, .. } = unit;
    let key = (tenant.as_str(), date.to_string(), line.0.0.as_slice());
    let rows = txn.query(sql, &[&key.0, &key.1, generation, &key.2]);
    let one = |row: &Row| StoredRow {
        tier: row.get(0),
        part: row.get(1),
        identity: row.get(2),
        owner: row.get(3),
        rule: row.get(4),
        cost_type: row.get(5),
        method: row.get(6),
        detail: row.get(7),
        share: row.get(8),
        costs: [9, 10, 11, 12, 13].map(|at| row.get(at)),
        quantities: [14, 15].map(|at| row.get(at)),
    };
    let mut rows: Vec<_> = rows.context("cannot read the line's rows")?.iter().map(one).collect();
    rows.sort();
    Ok(rows)
}

/// What of a unit is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Rows of this identity.
    Identity(&'a str),
    /// Rows of lines of this resource.
    Resource(&'a str),
}

/// A line, and what it comes to for who is asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FoundLine {
    /// Its id.
    pub line: String,
    /// Rows that count.
    pub rows: i64,
    /// Their sum.
    pub amount: String,
    /// ISO code.
    pub currency: String,
}

/// The lines of a unit that an identity or resource has to do with, by currency, the largest first, at most `most` of
/// each; and the number of all.
pub fn lines_of(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    of: Of<'_>,
    most: i64,
) -> Result<(i64, Vec<FoundLine>)> {
    // What is asked for picks few dimensions: their ids first, so that nothing else of the date is joined.
    let identity = "
        select f.line, d.currency, f.amount from chargeback_facts f
        join chargeback_dimensions d on d.tenant = $1 and d.id = f.dimension
        where f.tenant = $1 and f.date = $2::text::date and f.generation = $3 and $4::int8 is not null
          and f.dimension = any(array(select id from chargeback_dimensions where tenant = $1 and identity_id = $5))";
    let resource = "
        select f.line, l.currency, f.amount
        from (select line, dimension from billing
              where tenant = $1 and date = $2::text::date and generation = $4 and dimension = any(array(
                select id from billing_dimensions where tenant = $1 and resource_id = $5))) b
        join billing_dimensions l on l.tenant = $1 and l.id = b.dimension
        join chargeback_facts f on f.tenant = $1 and f.date = $2::text::date and f.generation = $3 and f.line = b.line";
    let (rows, wanted) = match of {
        Of::Identity(id) => (identity, id),
        Of::Resource(id) => (resource, id),
    };
    let sql = format!(
        "with found as ({rows}), lines as (
           select line, currency, count(*) as rows, sum(amount) as amount from found group by 1, 2)
         select encode(line, 'hex'), rows, amount::text, currency, all_lines
         from (select *, count(*) over () as all_lines,
                 row_number() over (partition by currency order by abs(amount) desc, line) as place from lines) l
         where place <= $6 order by currency, place"
    );
    let VisibleUnit { tenant, date, generation, lines_generation, .. } = unit;
    let key = (tenant.as_str(), date.to_string());
    let rows = txn.query(&sql, &[&key.0, &key.1, generation, lines_generation, &wanted, &most]);
    let rows = rows.context("cannot look for lines")?;
    let one = |row: &Row| FoundLine {
        line: row.get(0),
        rows: row.get(1),
        amount: row.get(2),
        currency: row.get(3),
    };
    let all = rows.first().map_or(0, |row| row.get(4));
    Ok((all, rows.iter().map(one).collect()))
}

/// Where a unit was carried.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EmittedTo {
    /// Which emitter.
    pub emitter: String,
    /// A path or URL.
    pub target: String,
    /// What lies there is of this generation.
    pub generation: i64,
    /// Since when.
    pub at: String,
}

/// Where a unit was carried, by emitter.
pub fn emitted_to(txn: &mut Transaction<'_>, unit: &VisibleUnit) -> Result<Vec<EmittedTo>> {
    let sql = "select emitter, target, generation, to_char(emitted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
               from emission_records
               where tenant = $1 and source = $2 and date = $3::text::date and target is not null order by emitter";
    let VisibleUnit { tenant, source, date, .. } = unit;
    let rows = txn.query(sql, &[&tenant.as_str(), &source.as_str(), &date.to_string()]);
    let one = |row: &Row| EmittedTo {
        emitter: row.get(0),
        target: row.get(1),
        generation: row.get(2),
        at: row.get(3),
    };
    Ok(rows.context("cannot list emissions")?.iter().map(one).collect())
}

/// The Git commit of the folder that a configuration was read from.
pub fn commit_of(txn: &mut Transaction<'_>, unit: &VisibleUnit) -> Result<Option<String>> {
    let sql = "select git_commit from config_versions where tenant = $1 and hash = $2";
    let row = txn.query_opt(sql, &[&unit.tenant.as_str(), &unit.config.0.as_slice()])?;
    Ok(row.and_then(|row| row.get(0)))
}
