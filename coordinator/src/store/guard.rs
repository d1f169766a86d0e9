//! The guard's memory: populations, what persons decided, and visible dates that are missing.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::ids::{Generation, SourceId, TenantId};
use proto::time::{UnitDate, UtcSeconds};

use super::inventory::MISSING;
use super::{StateError, StateStore, execute, parsed, query};
use crate::domain::guard::{Census, Class, Streak};

type Source<'a> = (&'a TenantId, &'a SourceId);

/// What is stored of a population beside its streak.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// What the gather found.
    pub census: Census,
    /// How many wait now.
    pub waiting: u64,
    /// So many doubtful gathers in a row end the wait; `None`: a person alone does.
    pub threshold: Option<u32>,
    /// And not before this moment.
    pub lasts_until: Option<UtcSeconds>,
    /// When the gather was applied.
    pub at: UtcSeconds,
}

/// What a person decided and that is not applied yet.
#[derive(Debug, Clone)]
pub struct Decision {
    id: i64,
    /// Tenant.
    pub tenant: TenantId,
    /// Source.
    pub source: SourceId,
    /// What the population is made of.
    pub class: Class,
    /// Its type.
    pub kind: String,
    /// Whether what is missing ends, or else is kept.
    pub confirmed: bool,
    /// The last gather that the person saw.
    pub generation: Generation,
}

/// A visible date of a source.
#[derive(Debug, Clone, Copy)]
pub struct VisibleDate {
    /// Which.
    pub date: UnitDate,
    /// Since when gathers have not found it.
    pub missing_since: Option<UtcSeconds>,
    /// A person keeps it.
    pub kept: bool,
}

impl StateStore {
    /// What is remembered of a population.
    pub(crate) async fn streak_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (class, kind): (Class, &str),
    ) -> Result<Streak, StateError> {
        let sql = "select streak, extract(epoch from first_at)::bigint, counted_generation from populations
                   where tenant = $1 and source = $2 and class = $3 and type = $4 for update";
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&tenant.as_str(), &source.as_str(), &class.word(), &kind];
        let rows = query(txn, "look at a population", sql, &parameters).await?;
        let streak = |row: &Row| Streak {
            length: row.get::<_, i32>(0).unsigned_abs(),
            first_at: row.get::<_, Option<i64>>(1).map(UtcSeconds),
            counted: Generation(row.get(2)),
        };
        Ok(rows.first().map_or(Streak::NONE, streak))
    }

    /// Remembers it.
    pub(crate) async fn population_put_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (class, kind): (Class, &str),
        streak: Streak,
        counted: &Counted,
    ) -> Result<(), StateError> {
        let sql = "insert into populations (tenant, source, class, type, streak, first_at, counted_generation, counted_at,
                     active, missing, waiting, threshold, lasts_until)
                   values ($1, $2, $3, $4, $5, to_timestamp($6::bigint), $7, to_timestamp($8::bigint), $9, $10, $11, $12,
                     to_timestamp($13::bigint))
                   on conflict (tenant, source, class, type) do update set streak = excluded.streak,
                     first_at = excluded.first_at, counted_generation = excluded.counted_generation,
                     counted_at = excluded.counted_at, active = excluded.active, missing = excluded.missing,
                     waiting = excluded.waiting, threshold = excluded.threshold, lasts_until = excluded.lasts_until";
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let small = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let (length, threshold) = (small(streak.length), counted.threshold.map(small));
        let (first, until) = (streak.first_at.map(|t| t.0), counted.lasts_until.map(|t| t.0));
        let census = (number(counted.census.active), number(counted.census.missing));
        let waiting = number(counted.waiting);
        let parameters: [&(dyn ToSql + Sync); 13] = [
            &tenant.as_str(),
            &source.as_str(),
            &class.word(),
            &kind,
            &length,
            &first,
            &streak.counted.0,
            &counted.at.0,
            &census.0,
            &census.1,
            &waiting,
            &threshold,
            &until,
        ];
        execute(txn, "remember a population", sql, &parameters).await?;
        Ok(())
    }

    /// What persons decided and is not applied yet, the oldest first.
    pub(crate) async fn decisions_list_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<Decision>, StateError> {
        let sql = "select id, tenant, source, class, type, decision = 'confirmed', generation from guard_decisions
                   where applied_at is null order by id for update";
        let decision = |row: &Row| {
            Ok(Decision {
                id: row.get(0),
                tenant: parsed("tenant", row.get(1))?,
                source: parsed("source", row.get(2))?,
                class: parsed("class", row.get(3))?,
                kind: row.get(4),
                confirmed: row.get(5),
                generation: Generation(row.get(6)),
            })
        };
        query(txn, "list decisions", sql, &[]).await?.iter().map(decision).collect()
    }

    /// Notes that a decision was applied to so many, and counts anew what waits of its population: where nothing does,
    /// the streak is over.
    pub(crate) async fn decision_applied_in_txn(
        txn: &Transaction<'_>,
        decision: &Decision,
        affected: u64,
    ) -> Result<(), StateError> {
        let sql = "update guard_decisions set applied_at = now(), affected = $2 where id = $1";
        let count = i64::try_from(affected).unwrap_or(i64::MAX);
        execute(txn, "note an applied decision", sql, &[&decision.id, &count]).await?;
        let waiting = match decision.class {
            Class::Resource => format!("from resources where type = $4 and not kept and {MISSING} and"),
            Class::Identity => format!("from identities where type = $4 and not kept and {MISSING} and"),
            Class::Date => {
                "from pipeline_state where $4 = '' and missing_generation is not null and not missing_kept and".to_owned()
            }
        };
        let sql = format!(
            "with w as (select count(*) as n {waiting} tenant = $1 and source = $2)
             update populations set waiting = w.n, streak = case when w.n = 0 then 0 else streak end,
               first_at = case when w.n > 0 then first_at end, lasts_until = case when w.n > 0 then lasts_until end
             from w where tenant = $1 and source = $2 and class = $3 and type = $4"
        );
        let key = (decision.tenant.as_str(), decision.source.as_str(), decision.class.word());
        execute(txn, "count what waits", &sql, &[&key.0, &key.1, &key.2, &decision.kind.as_str()])
            .await?;
        Ok(())
    }

    /// Dates of a source in that range, both included, that readers see with lines or would see emptied.
    pub(crate) async fn visible_dates_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        (from, to): (UnitDate, UnitDate),
    ) -> Result<Vec<VisibleDate>, StateError> {
        let sql = "select date::text, extract(epoch from missing_since)::bigint, missing_kept from pipeline_state
                   where tenant = $1 and source = $2 and date between $3::text::date and $4::text::date
                     and visible_generation > 0 and not withdrawn
                   order by date";
        let (from, to) = (from.to_string(), to.to_string());
        let parameters: [&(dyn ToSql + Sync); 4] = [&tenant.as_str(), &source.as_str(), &from, &to];
        let rows = query(txn, "list visible dates", sql, &parameters).await?;
        let date = |row: &Row| {
            Ok(VisibleDate {
                date: parsed("date", row.get(0))?,
                missing_since: row.get::<_, Option<i64>>(1).map(UtcSeconds),
                kept: row.get(2),
            })
        };
        rows.iter().map(date).collect()
    }

    /// Marks dates as missing since that gather; those that were missing before stay so.
    pub(crate) async fn dates_miss_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
        (generation, at): (Generation, UtcSeconds),
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set missing_generation = $4, missing_since = to_timestamp($5::bigint)
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[]) and missing_generation is null";
        let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&tenant.as_str(), &source.as_str(), &dates, &generation.0, &at.0];
        execute(txn, "mark missing dates", sql, &parameters).await?;
        Ok(())
    }

    /// These dates are no longer missing: they were found, or are withdrawn.
    pub(crate) async fn dates_unmiss_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
    ) -> Result<(), StateError> {
        let sql = "update pipeline_state set missing_generation = null, missing_since = null, missing_kept = false
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[]) and missing_generation is not null";
        let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
        execute(txn, "mark dates as found", sql, &[&tenant.as_str(), &source.as_str(), &dates])
            .await?;
        Ok(())
    }

    /// Dates that were missed by gather `upto` or before.
    pub(crate) async fn dates_missing_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        upto: Generation,
    ) -> Result<Vec<UnitDate>, StateError> {
        let sql = "select date::text from pipeline_state
                   where tenant = $1 and source = $2 and missing_generation <= $3 order by date";
        let parameters: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &upto.0];
        let rows = query(txn, "list missing dates", sql, &parameters).await?;
        rows.iter().map(|row| parsed("date", row.get(0))).collect()
    }

    /// A person keeps dates that were missed by gather `upto` or before. Gives how many.
    pub(crate) async fn dates_keep_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        upto: Generation,
    ) -> Result<u64, StateError> {
        let sql = "update pipeline_state set missing_kept = true
                   where tenant = $1 and source = $2 and missing_generation <= $3 and not missing_kept";
        let parameters: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &upto.0];
        execute(txn, "keep missing dates", sql, &parameters).await
    }
}
