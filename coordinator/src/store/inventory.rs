//! Resources and identities: their newest lifetimes, and what a gather changes of them.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row as SqlRow;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::hash::Hash128;
use proto::ids::{Generation, SourceId, TenantId};
use proto::row::UNALLOCATED;
use proto::time::UtcSeconds;

use super::{StateError, StateStore, execute, plain, query};
use crate::domain::guard::Class;
use crate::domain::inventory::{Entity, Key, Plan, Row, SYSTEM};
use crate::domain::lifetime::{Known, Lifetime, Missing};

type Source<'a> = (&'a TenantId, &'a SourceId);

/// The table of a class of entities.
fn table(class: Class) -> &'static str {
    match class {
        Class::Resource => "resources",
        Class::Identity => "identities",
        Class::Date => "pipeline_state",
    }
}

/// Of a table of entities: what is missing and still runs.
pub(super) const MISSING: &str = "valid_to = 'infinity' and missing_generation is not null";

fn row_of(row: &SqlRow) -> Row {
    let moment = |at: usize| row.get::<_, Option<i64>>(at).map(UtcSeconds);
    // A fact that nobody can have, such as that of what is ours, differs from all others.
    let facts = <[u8; 16]>::try_from(row.get::<_, &[u8]>(4)).map(Hash128).unwrap_or_default();
    let missing = match (row.get::<_, Option<i64>>(6), moment(7), moment(8)) {
        (Some(generation), Some(since), Some(ends)) => {
            Some(Missing { generation: Generation(generation), since, ends })
        }
        _ => None,
    };
    Row {
        key: (row.get(0), row.get(1)),
        known: Known { life: Lifetime { from: moment(2), to: moment(3) }, facts, missing },
        display_name: row.get(5),
        kept: row.get(9),
    }
}

/// Parallel columns of entities, as arrays for `unnest`.
#[derive(Default)]
struct Columns {
    kinds: Vec<String>,
    ids: Vec<String>,
    names: Vec<Option<String>>,
    parents: Vec<Option<String>>,
    owners: Vec<Option<String>>,
    attributes: Vec<String>,
    facts: Vec<Vec<u8>>,
}

impl Columns {
    fn of<'a>(entities: impl Iterator<Item = &'a Entity>) -> Self {
        let optional = |text: &Option<String>| text.as_deref().map(plain);
        let mut columns = Self::default();
        for entity in entities {
            columns.kinds.push(entity.key.0.clone());
            columns.ids.push(entity.key.1.clone());
            columns.names.push(optional(&entity.display_name));
            columns.parents.push(optional(&entity.parent));
            columns.owners.push(optional(&entity.owner));
            let pairs = entity.attributes.iter().map(|(k, v)| (plain(k), plain(v).into()));
            let object: serde_json::Map<String, serde_json::Value> = pairs.collect();
            columns.attributes.push(serde_json::Value::Object(object).to_string());
            columns.facts.push(entity.facts().0.to_vec());
        }
        columns
    }
}

fn keys<'a>(keys: impl Iterator<Item = &'a Key>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.map(|(kind, id)| (kind.as_str(), id.as_str())).unzip()
}

impl StateStore {
    /// Postgres' clock, in whole seconds: the time of everything that a transaction applies.
    pub(crate) async fn moment_in_txn(txn: &Transaction<'_>) -> Result<UtcSeconds, StateError> {
        let sql = "select floor(extract(epoch from now()))::bigint";
        let rows = query(txn, "ask for the time", sql, &[]).await?;
        Ok(UtcSeconds(rows.first().map_or(0, |row| row.get(0))))
    }

    /// The gather whose inventory is in force, and the hash of its content.
    pub(crate) async fn inventory_in_force_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<Option<(Generation, Hash128)>, StateError> {
        let sql = "select inventory_generation, inventory_content from source_state
                   where tenant = $1 and source = $2 and inventory_generation is not null";
        let rows =
            query(txn, "look at an inventory", sql, &[&tenant.as_str(), &source.as_str()]).await?;
        let of = |row: &SqlRow| {
            let content = super::hash("inventory_content", row.get(1))?;
            Ok((Generation(row.get(0)), content))
        };
        rows.first().map(of).transpose()
    }

    /// Notes which inventory is in force.
    pub(crate) async fn inventory_put_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        generation: Generation,
        content: Hash128,
    ) -> Result<(), StateError> {
        let sql = "update source_state set inventory_generation = $3, inventory_content = $4
                   where tenant = $1 and source = $2";
        let content = content.0.as_slice();
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &generation.0, &content];
        execute(txn, "put an inventory in force", sql, &parameters).await?;
        Ok(())
    }

    /// Makes sure that a source has the owner of what nobody could be found for.
    pub(crate) async fn unallocated_ensure_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
    ) -> Result<(), StateError> {
        let sql = "insert into identities (tenant, source, type, id, valid_from, display_name, facts, generation)
                   values ($1, $2, $3, $4, '-infinity', 'Unallocated costs', '', 0) on conflict do nothing";
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &SYSTEM, &UNALLOCATED];
        execute(txn, "add UNALLOCATED", sql, &parameters).await?;
        Ok(())
    }

    /// The newest lifetime of every entity of a source.
    pub(crate) async fn entities_list_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        class: Class,
    ) -> Result<Vec<Row>, StateError> {
        let table = table(class);
        let sql = format!(
            "select distinct on (type, id) type, id,
               case when isfinite(valid_from) then extract(epoch from valid_from)::bigint end,
               case when isfinite(valid_to) then extract(epoch from valid_to)::bigint end, facts, display_name,
               missing_generation, extract(epoch from missing_since)::bigint, extract(epoch from ends_at)::bigint, kept
             from {table} where tenant = $1 and source = $2 order by type, id, valid_from desc"
        );
        let parameters: [&(dyn ToSql + Sync); 2] = [&tenant.as_str(), &source.as_str()];
        Ok(query(txn, "list an inventory", &sql, &parameters).await?.iter().map(row_of).collect())
    }

    /// Writes what a gather changes. Nothing ends by it but what goes on as something else.
    pub(crate) async fn entities_change_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        class: Class,
        generation: Generation,
        plan: &Plan,
    ) -> Result<(), StateError> {
        let table = table(class);
        let at: [&(dyn ToSql + Sync); 2] = [&tenant.as_str(), &source.as_str()];
        let of_key = "e.tenant = $1 and e.source = $2 and e.type = c.type and e.id = c.id and e.valid_to = 'infinity'";
        if !plan.misses.is_empty() {
            let sql = format!(
                "update {table} e set missing_generation = c.generation, missing_since = to_timestamp(c.since),
                   ends_at = to_timestamp(c.ends)
                 from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
                   as c(type, id, generation, since, ends) where {of_key}"
            );
            let (kinds, ids) = keys(plan.misses.iter().map(|(key, _)| key));
            let of = |number: fn(&Missing) -> i64| -> Vec<i64> {
                plan.misses.iter().map(|(_, missing)| number(missing)).collect()
            };
            let numbers = (of(|m| m.generation.0), of(|m| m.since.0), of(|m| m.ends.0));
            let parameters =
                [&at[..], &[&kinds, &ids, &numbers.0, &numbers.1, &numbers.2]].concat();
            execute(txn, "mark what is missing", &sql, &parameters).await?;
        }
        if !plan.backs.is_empty() {
            let sql = format!(
                "update {table} e set missing_generation = null, missing_since = null, ends_at = null, kept = false
                 from unnest($3::text[], $4::text[]) as c(type, id) where {of_key}"
            );
            let (kinds, ids) = keys(plan.backs.iter());
            execute(txn, "mark what is back", &sql, &[&at[..], &[&kinds, &ids]].concat()).await?;
        }
        if !plan.names.is_empty() {
            let sql = format!(
                "update {table} e set display_name = c.name
                 from unnest($3::text[], $4::text[], $5::text[]) as c(type, id, name) where {of_key}"
            );
            let (kinds, ids) = keys(plan.names.iter().map(|(key, _)| key));
            let names: Vec<_> =
                plan.names.iter().map(|(_, name)| name.as_deref().map(plain)).collect();
            execute(txn, "name entities", &sql, &[&at[..], &[&kinds, &ids, &names]].concat())
                .await?;
        }
        if !plan.turns.is_empty() {
            let sql = format!(
                "update {table} e set valid_to = to_timestamp(c.moment), missing_generation = null, missing_since = null,
                   ends_at = null, kept = false
                 from unnest($3::text[], $4::text[], $5::bigint[]) as c(type, id, moment) where {of_key}"
            );
            let (kinds, ids) = keys(plan.turns.iter().map(|(key, _)| key));
            let moments: Vec<i64> = plan.turns.iter().map(|(_, at)| at.0).collect();
            execute(txn, "end lifetimes", &sql, &[&at[..], &[&kinds, &ids, &moments]].concat())
                .await?;
        }
        let (own, set) = match class {
            Class::Resource => (", parent, owner", ", parent = c.parent, owner = c.owner"),
            Class::Identity | Class::Date => ("", ""),
        };
        if !plan.corrections.is_empty() {
            let sql = format!(
                "update {table} e set display_name = c.name, attributes = c.attributes::jsonb, facts = c.facts,
                   missing_generation = null, missing_since = null, ends_at = null, kept = false{set}
                 from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
                   as c(type, id, name, parent, owner, attributes, facts) where {of_key}"
            );
            let c = Columns::of(plan.corrections.iter());
            let more: [&(dyn ToSql + Sync); 7] =
                [&c.kinds, &c.ids, &c.names, &c.parents, &c.owners, &c.attributes, &c.facts];
            execute(txn, "correct entities", &sql, &[&at[..], &more].concat()).await?;
        }
        if !plan.opens.is_empty() {
            let sql = format!(
                "insert into {table} (tenant, source, type, id, display_name, attributes, facts, valid_from, valid_to,
                   generation{own})
                 select $1, $2, type, id, name, attributes::jsonb, facts, coalesce(to_timestamp(since), '-infinity'),
                   coalesce(to_timestamp(until), 'infinity'), $12{own}
                 from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[],
                   $10::bigint[], $11::bigint[])
                   as c(type, id, name, parent, owner, attributes, facts, since, until)"
            );
            let c = Columns::of(plan.opens.iter().map(|(entity, _)| entity));
            let of = |end: fn(&Lifetime) -> Option<UtcSeconds>| -> Vec<Option<i64>> {
                plan.opens.iter().map(|(_, life)| end(life).map(|at| at.0)).collect()
            };
            let (since, until) = (of(|life| life.from), of(|life| life.to));
            let more: [&(dyn ToSql + Sync); 10] = [
                &c.kinds,
                &c.ids,
                &c.names,
                &c.parents,
                &c.owners,
                &c.attributes,
                &c.facts,
                &since,
                &until,
                &generation.0,
            ];
            execute(txn, "begin lifetimes", &sql, &[&at[..], &more].concat()).await?;
        }
        Ok(())
    }

    /// Ends what is missing of a type: what was missed by gather `upto` or before, at `since` or before, and what a
    /// person keeps only where asked. Gives how many, and when the first of them ended.
    pub(crate) async fn entities_end_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (class, kind): (Class, &str),
        (upto, since): (Generation, UtcSeconds),
        kept_too: bool,
    ) -> Result<(u64, Option<UtcSeconds>), StateError> {
        let table = table(class);
        let sql = format!(
            "with ended as (update {table} set valid_to = greatest(ends_at, valid_from + interval '1 second')
               where tenant = $1 and source = $2 and type = $3 and {MISSING} and missing_generation <= $4
                 and missing_since <= to_timestamp($5::bigint) and ($6 or not kept) returning valid_to)
             select count(*), extract(epoch from min(valid_to))::bigint from ended"
        );
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&tenant.as_str(), &source.as_str(), &kind, &upto.0, &since.0, &kept_too];
        let rows = query(txn, "end what is missing", &sql, &parameters).await?;
        let first = rows.first();
        let count = first.map_or(0, |row| row.get::<_, i64>(0));
        let earliest = first.and_then(|row| row.get::<_, Option<i64>>(1));
        Ok((u64::try_from(count).unwrap_or(0), earliest.map(UtcSeconds)))
    }

    /// A person keeps what was missed by gather `upto` or before. Gives how many.
    pub(crate) async fn entities_keep_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (class, kind): (Class, &str),
        upto: Generation,
    ) -> Result<u64, StateError> {
        let table = table(class);
        let sql = format!(
            "update {table} set kept = true
             where tenant = $1 and source = $2 and type = $3 and {MISSING} and missing_generation <= $4 and not kept"
        );
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &kind, &upto.0];
        execute(txn, "keep what is missing", &sql, &parameters).await
    }
}
