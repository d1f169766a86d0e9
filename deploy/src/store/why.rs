//! What an owner paid in a period, and what was first visible of it.

use anyhow::{Context, Result};
use postgres::{Row, Transaction};
use proto::ids::{SourceId, TenantId};
use proto::money::ExactSum;

use super::unit::{COLUMNS, Range, VisibleUnit, committed};
use crate::domain::bridge::{Path, Piece, Place};

/// Tenants with rows of an owner, now or once.
pub fn tenants_of(txn: &mut Transaction<'_>, owner: &str) -> Result<Vec<TenantId>> {
    let sql =
        "select distinct tenant from chargeback_dimensions where owner_id = $1 order by tenant";
    let rows = txn.query(sql, &[&owner]).context("cannot look for the owner's tenants")?;
    let one = |row: &Row| TenantId::parse(row.get(0)).context("a stored tenant id is none");
    rows.iter().map(one).collect()
}

/// Owners of a tenant, or of all, now or once.
pub fn owners_of(txn: &mut Transaction<'_>, tenant: Option<&TenantId>) -> Result<Vec<String>> {
    let sql = "select distinct owner_id from chargeback_dimensions where tenant = coalesce($1, tenant) order by owner_id";
    let rows = txn.query(sql, &[&tenant.map(TenantId::as_str)]).context("cannot list owners")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Who pays: an owner, with every identity that it ever paid for.
#[derive(Debug)]
pub struct Payer {
    /// The owner; `None`: everybody.
    owner: Option<String>,
    identities: Vec<String>,
}

impl Payer {
    /// That owner, or everybody.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of(txn: &mut Transaction<'_>, tenant: &TenantId, owner: Option<&str>) -> Result<Self> {
        let sql = "select distinct identity_id from chargeback_dimensions where tenant = $1 and owner_id = $2";
        let rows = txn.query(sql, &[&tenant.as_str(), &owner]);
        let rows = rows.context("cannot list the owner's identities")?;
        let identities = rows.iter().map(|row| row.get(0)).collect();
        Ok(Self { owner: owner.map(str::to_owned), identities })
    }
}

/// The rows of a generation of a unit, added up: of the payer alone, or of all.
///
/// # Errors
/// When they cannot be read; what `take` answers otherwise.
pub fn pieces(
    txn: &mut Transaction<'_>,
    unit: &VisibleUnit,
    payer: &Payer,
    own_only: bool,
    take: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<()> {
    // Rows and lines meet in a full join, which is hashed or merged whatever the planner knows of fresh tables.
    let sql = "
        select d.currency, coalesce(l.product_type, ''), coalesce(l.charge_category, ''),
          coalesce(l.resource_id, l.sub_account_id, ''), d.rule, d.tier, d.part, d.allocation_method, d.identity,
          d.own, s.whole, sum(s.amount)::text
        from (
          select f.dimension, b.dimension as line_dimension, f.whole, f.amount < 0 as negative, sum(f.amount) as amount
          from (select line, dimension, amount, share_num = share_den as whole from chargeback_facts
                where tenant = $1 and date = $2::text::date and generation = $3
                  and (not $7 or dimension = any(array(
                    select id from chargeback_dimensions where tenant = $1 and owner_id = coalesce($5, owner_id))))) f
          full join (select line, dimension from billing
                where tenant = $1 and date = $2::text::date and generation = $4) b using (line)
          group by 1, 2, 3, 4 offset 0) s
        cross join lateral (
          select currency, owner_id = coalesce($5, owner_id) as own,
            case when $5::text is null then '' else rule end as rule,
            case when $5::text is null then 0 else tier end as tier,
            case when $5::text is null then 0 else part end as part,
            case when $5::text is null then '' else allocation_method end as allocation_method,
            case when identity_id = any($6::text[]) then identity_id else '' end as identity
          from chargeback_dimensions where tenant = $1 and id = s.dimension offset 0) d
        left join lateral (select product_type, charge_category, resource_id, sub_account_id from billing_dimensions
          where tenant = $1 and id = s.line_dimension offset 0) l on true
        group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, s.negative";
    let VisibleUnit { tenant, source, date, generation, lines_generation, .. } = unit;
    let key = (tenant.as_str(), date.to_string());
    let Payer { owner, identities } = payer;
    let rows = txn
        .query(sql, &[&key.0, &key.1, generation, lines_generation, owner, identities, &own_only])
        .with_context(|| format!("cannot add up the rows of {tenant}/{source} {date}"))?;
    for row in &rows {
        let [currency, product, category, resource] = [0, 1, 2, 3].map(|at| row.get(at));
        let amount: &str = row.get(11);
        take(Piece {
            place: Place { currency, source: source.to_string(), product, category, resource },
            path: Path { rule: row.get(4), tier: row.get(5), part: row.get(6), method: row.get(7) },
            identity: row.get(8),
            own: row.get(9),
            whole: row.get(10),
            amount: amount.parse().context("a stored sum cannot be read")?,
        })?;
    }
    Ok(())
}

/// What is known of a date whose bill changed after it was first visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restated {
    /// Its date and source, and the oldest generation whose rows are still stored.
    pub first: VisibleUnit,
    /// Whether the bill changed since that generation.
    pub since: bool,
    /// What its bill came to before that, where it was another; rows of that are not stored any more.
    pub before: Vec<Revised>,
}

/// A total that changed, of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// ISO code.
    pub currency: String,
    /// As first visible.
    pub first: String,
    /// As of the oldest generation that is still stored.
    pub stored: String,
}

/// The visible dates whose bill changed after they were first visible, by source and date.
pub fn restated(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
    (from, to): Range,
) -> Result<Vec<Restated>> {
    let sql = format!(
        "select {COLUMNS}, c.lines_hash <> v.lines_hash, a.lines_hash <> c.lines_hash,
           a.currencies, a.amounts::text[], c.currencies, c.amounts::text[]
         from pipeline_state p
         join source_state s using (tenant, source)
         join commits v on v.tenant = p.tenant and v.source = p.source and v.date = p.date
           and v.generation = p.visible_generation
         cross join lateral (select * from commits where tenant = p.tenant and source = p.source and date = p.date
           and purged_at is null order by generation limit 1) c
         cross join lateral (select lines_hash, currencies, amounts from commits
           where tenant = p.tenant and source = p.source and date = p.date order by generation limit 1) a
         where p.tenant = $1 and p.source = coalesce($2, p.source) and s.in_force
           and p.date >= coalesce($3::text::date, p.date) and p.date <= coalesce($4::text::date, p.date)
           and (c.lines_hash <> v.lines_hash or a.lines_hash <> c.lines_hash)
         order by c.source, c.date"
    );
    let [from, to] = [from, to].map(|date| date.map(|date| date.to_string()));
    let rows = txn.query(&sql, &[&tenant.as_str(), &source.map(SourceId::as_str), &from, &to]);
    let one = |row: &Row| -> Result<Restated> {
        let before = if row.get(12) { revised(row) } else { Vec::new() };
        Ok(Restated { first: committed(tenant, row)?, since: row.get(11), before })
    };
    rows.context("cannot list changed bills")?.iter().map(one).collect()
}

/// Totals that differ; what was not recorded reads as `?`.
fn revised(row: &Row) -> Vec<Revised> {
    type Totals = (Option<Vec<String>>, Option<Vec<String>>);
    let [first, stored]: [Totals; 2] = [13, 15].map(|at| (row.get(at), row.get(at + 1)));
    let total = |(currencies, amounts): &Totals, code: &str| match (currencies, amounts) {
        (Some(codes), Some(amounts)) => {
            let at = codes.iter().position(|known| known == code);
            let amount = at.and_then(|at| amounts.get(at)).map_or("0", |amount| amount);
            amount.parse::<ExactSum>().map_or_else(|_| amount.to_owned(), |sum| sum.to_string())
        }
        _ => "?".to_owned(),
    };
    let mut codes: Vec<&String> =
        [&first, &stored].into_iter().filter_map(|(codes, _)| codes.as_ref()).flatten().collect();
    codes.sort();
    codes.dedup();
    let one = |code: &String| Revised {
        currency: code.clone(),
        first: total(&first, code),
        stored: total(&stored, code),
    };
    codes.into_iter().map(one).filter(|revised| revised.first != revised.stored).collect()
}

/// How many dates of the range were removed because the tenant keeps nothing that old.
pub fn removed(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
    (from, to): Range,
) -> Result<i64> {
    let sql = "select count(*) from removed_dates where tenant = $1 and source = coalesce($2, source)
                 and date >= coalesce($3::text::date, date) and date <= coalesce($4::text::date, date)";
    let [from, to] = [from, to].map(|date| date.map(|date| date.to_string()));
    let row = txn.query_one(sql, &[&tenant.as_str(), &source.map(SourceId::as_str), &from, &to]);
    Ok(row.context("cannot look for removed dates")?.get(0))
}
