//! Plans: the difference that a changed configuration would make, and its digest. Never rows.

use anyhow::{Context, Result};
use postgres::{Client, Row, Transaction};
use proto::hash::Hash128;
use proto::ids::TenantId;
use proto::money::ExactSum;

use super::unit::hash;

/// Plans of a tenant that are kept, the newest.
const KEPT: i64 = 200;
/// Differences that are written at a time.
const PIECE: usize = 10_000;

/// A plan of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Whose.
    pub tenant: TenantId,
    /// Names it, and what it comes to.
    pub digest: Hash128,
    /// Hash of the candidate.
    pub config: Hash128,
    /// Commit of the candidate's folder, if it has one.
    pub git_commit: Option<String>,
    /// The dates that would be calculated again.
    pub units: Vec<PlannedUnit>,
    /// What would move: owner, identity, product, currency; before and after.
    pub differences: Vec<([String; 4], [ExactSum; 2])>,
}

/// A date as it would be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlannedUnit {
    /// Of which source.
    pub source: String,
    /// Which day.
    pub date: String,
    /// Hash of its lines.
    #[serde(skip)]
    pub lines_hash: Hash128,
    /// Hash of its rows.
    #[serde(serialize_with = "as_text")]
    pub rows_hash: Hash128,
    /// Its rows.
    pub rows: u64,
}

fn as_text<S: serde::Serializer>(hash: &Hash128, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(hash)
}

/// Keeps a plan; one with the same digest makes way.
pub fn save_plan(client: &mut Client, plan: &PlanRow) -> Result<()> {
    let mut txn = client.transaction()?;
    let key = (plan.tenant.as_str(), plan.digest.0.as_slice());
    let sql = "delete from plans where tenant = $1 and (digest = $2 or made_at < (
                 select made_at from plans where tenant = $1 order by made_at desc offset $3 limit 1))";
    txn.execute(sql, &[&key.0, &key.1, &KEPT])?;
    let sql = "insert into plans (tenant, digest, config_hash, git_commit) values ($1, $2, $3, $4)";
    txn.execute(sql, &[&key.0, &key.1, &plan.config.0.as_slice(), &plan.git_commit])?;
    let sql = "insert into plan_units (tenant, digest, source, date, lines_hash, rows_hash, rows)
               values ($1, $2, $3, $4::text::date, $5, $6, $7)";
    let statement = txn.prepare(sql)?;
    for unit in &plan.units {
        let rows = i64::try_from(unit.rows).context("a plan of more than 2^63 rows")?;
        let hashes = (unit.lines_hash.0.as_slice(), unit.rows_hash.0.as_slice());
        let values: [&(dyn postgres::types::ToSql + Sync); 7] =
            [&key.0, &key.1, &unit.source, &unit.date, &hashes.0, &hashes.1, &rows];
        txn.execute(&statement, &values)?;
    }
    let sql = "insert into plan_differences (tenant, digest, owner_id, identity_id, product_type, currency, before, after)
               select $1, $2, u.owner, u.identity, u.product, u.currency, u.before::numeric, u.after::numeric
               from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
                 as u (owner, identity, product, currency, before, after)";
    for piece in plan.differences.chunks(PIECE) {
        let texts = |at: usize| piece.iter().map(|(key, _)| key[at].as_str()).collect::<Vec<_>>();
        let sums =
            |at: usize| piece.iter().map(|(_, sums)| sums[at].to_string()).collect::<Vec<_>>();
        let [owner, identity, product, currency] = [0, 1, 2, 3].map(texts);
        let [before, after] = [0, 1].map(sums);
        let values: [&(dyn postgres::types::ToSql + Sync); 8] =
            [&key.0, &key.1, &owner, &identity, &product, &currency, &before, &after];
        txn.execute(sql, &values)?;
    }
    txn.commit().context("cannot keep the plan")
}

/// What a plan said of a date, and what is visible of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedVisible {
    /// Of which source.
    pub source: String,
    /// Which day.
    pub date: String,
    /// The lines that it was planned over are those that are visible.
    pub same_lines: bool,
    /// The rows that were planned are those that are visible.
    pub same_rows: bool,
}

/// What is visible of the dates of a plan; `None`: there is no such plan.
pub fn planned(
    txn: &mut Transaction<'_>,
    tenant: &TenantId,
    digest: Hash128,
) -> Result<Option<Vec<PlannedVisible>>> {
    let key = (tenant.as_str(), digest.0.as_slice());
    let sql = "select config_hash from plans where tenant = $1 and digest = $2";
    if txn.query_opt(sql, &[&key.0, &key.1])?.is_none() {
        return Ok(None);
    }
    let sql = "select u.source, u.date::text, coalesce(u.lines_hash = c.lines_hash, false),
                 coalesce(u.rows_hash = c.rows_hash, false)
               from plan_units u
               left join pipeline_state p on p.tenant = u.tenant and p.source = u.source and p.date = u.date
               left join commits c on c.tenant = u.tenant and c.source = u.source and c.date = u.date
                 and c.generation = p.visible_generation
               where u.tenant = $1 and u.digest = $2 order by u.source, u.date";
    let one = |row: &Row| PlannedVisible {
        source: row.get(0),
        date: row.get(1),
        same_lines: row.get(2),
        same_rows: row.get(3),
    };
    Ok(Some(txn.query(sql, &[&key.0, &key.1])?.iter().map(one).collect()))
}

/// Tenants that have a plan with a digest that starts so, and the digests.
pub fn plans_like(txn: &mut Transaction<'_>, start: &str) -> Result<Vec<(TenantId, Hash128)>> {
    let sql = "select tenant, digest from plans where encode(digest, 'hex') like $1 || '%' order by tenant, digest";
    let one = |row: &Row| -> Result<_> {
        Ok((TenantId::parse(row.get(0)).context("a stored tenant id is none")?, hash(row.get(1))?))
    };
    txn.query(sql, &[&start])?.iter().map(one).collect()
}
