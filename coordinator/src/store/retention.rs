//! Old months: what keeps them, and how they go.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::ids::{TenantId, UnitKey};
use proto::time::{BillingPeriod, UnitDate};

use super::unit::HELD;
use super::{StateError, StateStore, execute, parsed, query};
use crate::domain::retention::Month;

impl StateStore {
    /// The months of a tenant with dates before `kept`, the oldest first, and what is still to be done about each.
    pub(crate) async fn months_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        kept: UnitDate,
    ) -> Result<Vec<(BillingPeriod, Month)>, StateError> {
        let sql = format!(
            "select to_char(p.date, 'YYYY-MM') as month, count(*),
               count(*) filter (where p.state <> 'visible' or p.task is not null),
               count(*) filter (where u.finality is distinct from 'final'),
               count(*) filter (where p.missing_generation is not null or {HELD}),
               count(*) filter (where exists (select from emitters e
                   left join emission_records r on r.tenant = p.tenant and r.source = p.source and r.date = p.date
                     and r.emitter = e.emitter
                   where e.tenant = p.tenant and in_lookback(p.date, e.lookback_days, e.monthly)
                     and (r.generation is null or r.generation <> p.visible_generation
                       or r.emitter_hash is distinct from e.hash or r.compare or r.task is not null))
                 or exists (select from emitted_files f where f.tenant = p.tenant and f.source = p.source
                   and f.date = p.date and f.task is not null)),
               count(*) filter (where exists (select from unit_drivers d where d.tenant = p.tenant
                 and d.from_date <= p.date and p.date < d.until_date
                 and date_trunc('month', d.date) <> date_trunc('month', p.date)))
             from pipeline_state p join units u using (tenant, source, date)
             where p.tenant = $1 and p.date < $2::text::date group by month order by month"
        );
        let month = |row: &Row| {
            let month = Month {
                dates: row.get(1),
                moving: row.get(2),
                open: row.get(3),
                pending: row.get(4),
                unemitted: row.get(5),
                counted: row.get(6),
            };
            Ok((parsed("month", row.get(0))?, month))
        };
        let kept = kept.to_string();
        let rows = query(txn, "list old months", &sql, &[&tenant.as_str(), &kept]).await?;
        rows.iter().map(month).collect()
    }

    /// Notes from when on a tenant keeps its dates.
    pub(crate) async fn kept_from_put_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        kept: Option<UnitDate>,
    ) -> Result<(), StateError> {
        let sql = "update tenants set kept_from = $2::text::date
                   where tenant = $1 and kept_from is distinct from $2::text::date";
        let kept = kept.map(|date| date.to_string());
        execute(txn, "note what is kept", sql, &[&tenant.as_str(), &kept]).await?;
        Ok(())
    }

    /// Removes a month of a tenant: its dates are no longer there, and what the ledger holds of them may go. Gives the
    /// number of dates.
    pub(crate) async fn month_remove_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        month: BillingPeriod,
    ) -> Result<u64, StateError> {
        let (from, until) = month.days();
        let (from, until) = (from.to_string(), until.to_string());
        let month: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &from, &until];
        let within = "tenant = $1 and date >= $2::text::date and date < $3::text::date";
        let sql = "insert into removed_dates (tenant, source, date, generation, rows, currencies, amounts)
             select p.tenant, p.source, p.date, p.visible_generation, coalesce(p.visible_rows, 0), c.currencies, c.amounts
             from pipeline_state p left join commits c on c.tenant = p.tenant and c.source = p.source
               and c.date = p.date and c.generation = p.visible_generation
             where p.tenant = $1 and p.date >= $2::text::date and p.date < $3::text::date
             on conflict (tenant, source, date) do update set generation = excluded.generation, rows = excluded.rows,
               currencies = excluded.currencies, amounts = excluded.amounts, removed_at = now()";
        execute(txn, "remember removed dates", sql, &month).await?;
        let sql = format!(
            "update commits set superseded_at = coalesce(superseded_at, now()) where {within} and purged_at is null"
        );
        execute(txn, "give removed facts up", &sql, &month).await?;
        for table in ["unit_drivers", "quarantined"] {
            let sql = format!("delete from {table} where {within}");
            execute(txn, "remove what belongs to removed dates", &sql, &month).await?;
        }
        let sql = format!("delete from pipeline_state where {within}");
        execute(txn, "remove dates", &sql, &month).await
    }

    /// A removed date that is there again is no longer removed.
    pub(super) async fn date_is_back_in_txn(
        txn: &Transaction<'_>,
        key: &UnitKey,
    ) -> Result<(), StateError> {
        let sql =
            "delete from removed_dates where tenant = $1 and source = $2 and date = $3::text::date";
        let date = key.date.to_string();
        let parameters: [&(dyn ToSql + Sync); 3] =
            [&key.tenant.as_str(), &key.source.as_str(), &date];
        execute(txn, "note that a date is back", sql, &parameters).await?;
        Ok(())
    }
}
