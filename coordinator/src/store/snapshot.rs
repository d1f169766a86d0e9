//! The inventory of a time: what resolutions are made from, and what they add to it.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::inventory::{Identity, MADE_UP, Resource};
use proto::time::UtcSeconds;

use super::{StateError, StateStore, execute, plain, query, unit_key};
use crate::domain::inventory::SYSTEM;
use crate::domain::lifetime::Lifetime;

type Source<'a> = (&'a TenantId, &'a SourceId);

/// Columns of either table: the ends of a lifetime are numbers where they are known.
const LIFE: &str = "type, id, display_name, attributes::text,
    case when isfinite(valid_from) then extract(epoch from valid_from)::bigint end,
    case when isfinite(valid_to) then extract(epoch from valid_to)::bigint end";
/// In this order the same inventory is the same bytes.
const ORDER: &str = "order by type collate \"C\", id collate \"C\", valid_from";

fn attributes(row: &Row) -> Result<BTreeMap<String, String>, StateError> {
    let of = || format!("{} {}", row.get::<_, &str>(0), row.get::<_, &str>(1));
    serde_json::from_str(row.get(3)).map_err(|error| StateError::Stored {
        what: "attributes",
        of: of(),
        why: error.to_string(),
    })
}

fn moment(row: &Row, at: usize) -> Option<UtcSeconds> {
    row.get::<_, Option<i64>>(at).map(UtcSeconds)
}

/// Rows of a table of lifetimes that meet [`from`, `until`), but for some types, with `more` columns after [`LIFE`].
async fn alive(
    txn: &Transaction<'_>,
    (table, more, but): (&str, &str, &[&str]),
    (tenant, source): Source<'_>,
    (from, until): (UtcSeconds, UtcSeconds),
) -> Result<Vec<Row>, StateError> {
    let sql = format!(
        "select {LIFE}{more} from {table} where tenant = $1 and source = $2 and type <> all($5)
           and valid_from < to_timestamp($4::bigint) and to_timestamp($3::bigint) < valid_to {ORDER}"
    );
    let parameters: [&(dyn ToSql + Sync); 5] =
        [&tenant.as_str(), &source.as_str(), &from.0, &until.0, &but];
    query(txn, "read the inventory of a time", &sql, &parameters).await
}

impl StateStore {
    /// Every stretch of a resource's lifetime that meets [`from`, `until`).
    pub(crate) async fn resources_in_txn(
        txn: &Transaction<'_>,
        at: Source<'_>,
        time: (UtcSeconds, UtcSeconds),
    ) -> Result<Vec<Resource>, StateError> {
        let resource = |row: &Row| {
            Ok(Resource {
                kind: row.get(0),
                id: row.get(1),
                display_name: row.get(2),
                parent: row.get(6),
                owner: row.get(7),
                created_at: moment(row, 4),
                deleted_at: moment(row, 5),
                attributes: attributes(row)?,
            })
        };
        let rows = alive(txn, ("resources", ", parent, owner", &[]), at, time).await?;
        rows.iter().map(resource).collect()
    }

    /// Every stretch of an identity's lifetime that meets [`from`, `until`); not those that are ours.
    pub(crate) async fn identities_in_txn(
        txn: &Transaction<'_>,
        at: Source<'_>,
        time: (UtcSeconds, UtcSeconds),
    ) -> Result<Vec<Identity>, StateError> {
        let identity = |row: &Row| {
            Ok(Identity {
                kind: row.get(0),
                id: row.get(1),
                display_name: row.get(2),
                created_at: moment(row, 4),
                deleted_at: moment(row, 5),
                attributes: attributes(row)?,
            })
        };
        let rows = alive(txn, ("identities", "", &[SYSTEM, MADE_UP]), at, time).await?;
        rows.iter().map(identity).collect()
    }

    /// Stores identities that resolutions name and no inventory lists; those that are there stay as they are.
    pub(crate) async fn identities_make_up_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        generation: Generation,
        identities: &[Identity],
    ) -> Result<(), StateError> {
        if identities.is_empty() {
            return Ok(());
        }
        let sql = "insert into identities (tenant, source, type, id, valid_from, display_name, attributes, facts, generation)
                   select $1, $2, $3, id, '-infinity', name, jsonb_build_object('type', kind), '', $7
                   from unnest($4::text[], $5::text[], $6::text[]) as c(id, name, kind)
                   where not exists (select from identities i where i.tenant = $1 and i.source = $2 and i.id = c.id)
                   on conflict do nothing";
        let ids: Vec<String> = identities.iter().map(|identity| plain(&identity.id)).collect();
        let name = |identity: &Identity| identity.display_name.as_deref().map(plain);
        let names: Vec<Option<String>> = identities.iter().map(name).collect();
        let kind = |identity: &Identity| identity.attributes.get("type").map(|kind| plain(kind));
        let kinds: Vec<Option<String>> = identities.iter().map(kind).collect();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&tenant.as_str(), &source.as_str(), &MADE_UP, &ids, &names, &kinds, &generation.0];
        execute(txn, "add made-up identities", sql, &parameters).await?;
        Ok(())
    }

    /// Units with lines and resolutions whose date meets one of these times, in order.
    pub(crate) async fn units_touched_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        times: &[Lifetime],
    ) -> Result<Vec<UnitKey>, StateError> {
        let sql = "select tenant, source, date::text from pipeline_state p
                   where tenant = $1 and source = $2 and lines_items > 0
                     and (resolution_lines_hash = lines_hash or state = 'resolving')
                     and exists (select 1 from unnest($3::bigint[], $4::bigint[]) as c(since, until)
                       where (since is null or to_timestamp(since) < ((date + 1)::timestamp at time zone 'UTC'))
                         and (until is null or (date::timestamp at time zone 'UTC') < to_timestamp(until)))
                   order by date for update";
        let since: Vec<_> = times.iter().map(|life| life.from.map(|at| at.0)).collect();
        let until: Vec<_> = times.iter().map(|life| life.to.map(|at| at.0)).collect();
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &since, &until];
        let rows = query(txn, "list units of another inventory", sql, &parameters).await?;
        rows.iter().map(unit_key).collect()
    }
}
