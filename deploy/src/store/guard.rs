//! What waits because a provider may be at fault, and what persons decide about it.

use anyhow::{Context, Result};
use postgres::types::ToSql;
use postgres::{Row, Transaction};

use super::SourceKey;

/// All of one type that a source has, as the last complete gather found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Population {
    /// Tenant and source.
    pub key: SourceKey,
    /// `resource`, `identity` or `date`.
    pub class: String,
    /// Type of the resources or identities; empty for dates.
    pub kind: String,
    /// Doubtful gathers in a row.
    pub streak: i32,
    /// When the first of them was applied.
    pub first_at: Option<String>,
    /// The last gather that was counted.
    pub generation: i64,
    /// How many lived before it.
    pub active: i64,
    /// How many of those it did not find.
    pub missing: i64,
    /// How many of those wait.
    pub waiting: i64,
    /// How many a person keeps although they are missing.
    pub kept: i64,
    /// So many gathers in a row end the wait; `None`: a person alone does.
    pub threshold: Option<i32>,
    /// And not before this moment.
    pub lasts_until: Option<String>,
    /// A decision that no coordinator has applied yet, and who made it.
    pub decided: Option<(String, String)>,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingItem {
    /// Id, or date.
    pub id: String,
    /// When it was first not found.
    pub since: String,
    /// A person keeps it.
    pub kept: bool,
}

const MOMENT: &str = "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'";

/// All populations of sources in force, in order.
pub fn populations(txn: &mut Transaction<'_>) -> Result<Vec<Population>> {
    // A database that an earlier build made has none yet.
    let sql = "select to_regclass('apportion.populations') is not null";
    if !txn.query_one(sql, &[])?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select p.tenant, p.source, p.class, p.type, p.streak, to_char(p.first_at, {MOMENT}), p.counted_generation,
           p.active, p.missing, p.waiting, p.threshold, to_char(p.lasts_until, {MOMENT}), d.decision, d.decided_by,
           case p.class
             when 'resource' then (select count(*) from resources e where e.tenant = p.tenant and e.source = p.source
               and e.type = p.type and e.valid_to = 'infinity' and e.kept)
             when 'identity' then (select count(*) from identities e where e.tenant = p.tenant and e.source = p.source
               and e.type = p.type and e.valid_to = 'infinity' and e.kept)
             else (select count(*) from pipeline_state e where e.tenant = p.tenant and e.source = p.source
               and e.missing_kept) end
         from populations p join source_state s using (tenant, source)
         left join lateral (select decision, decided_by from guard_decisions d
           where d.tenant = p.tenant and d.source = p.source and d.class = p.class and d.type = p.type
             and d.applied_at is null order by d.id desc limit 1) d on true
         where s.in_force order by p.tenant, p.source, p.class, p.type"
    );
    let one = |row: &Row| Population {
        key: (row.get(0), row.get(1)),
        class: row.get(2),
        kind: row.get(3),
        streak: row.get(4),
        first_at: row.get(5),
        generation: row.get(6),
        active: row.get(7),
        missing: row.get(8),
        waiting: row.get(9),
        threshold: row.get(10),
        lasts_until: row.get(11),
        decided: row.get::<_, Option<String>>(12).zip(row.get(13)),
        kept: row.get(14),
    };
    let rows = txn.query(&sql, &[]).context("cannot list populations")?;
    Ok(rows.iter().map(one).collect())
}

/// Everything that is missing of a population, in order.
pub fn missing(txn: &mut Transaction<'_>, of: &Population) -> Result<Vec<MissingItem>> {
    let (id, table, more, kept) = match of.class.as_str() {
        "resource" => ("id", "resources", "type = $3 and valid_to = 'infinity'", "kept"),
        "identity" => ("id", "identities", "type = $3 and valid_to = 'infinity'", "kept"),
        _ => ("date::text", "pipeline_state", "$3 = ''", "missing_kept"),
    };
    let sql = format!(
        "select {id}, to_char(missing_since, {MOMENT}), {kept} from {table}
         where tenant = $1 and source = $2 and missing_generation is not null and {more} order by {id} collate \"C\""
    );
    let rows = txn.query(&sql, &[&of.key.0, &of.key.1, &of.kind]);
    let one = |row: &Row| MissingItem { id: row.get(0), since: row.get(1), kept: row.get(2) };
    Ok(rows.context("cannot list what is missing")?.iter().map(one).collect())
}

/// Notes what a person decided about all that is missing of a population; the coordinator applies it.
pub fn decide(txn: &mut Transaction<'_>, of: &Population, decision: &str, by: &str) -> Result<()> {
    let sql = "insert into guard_decisions (tenant, source, class, type, decision, generation, decided_by)
               values ($1, $2, $3, $4, $5, $6, $7)";
    let values: [&(dyn ToSql + Sync); 7] =
        [&of.key.0, &of.key.1, &of.class, &of.kind, &decision, &of.generation, &by];
    txn.execute(sql, &values).context("cannot note the decision")?;
    Ok(())
}
