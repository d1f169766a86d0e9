//! When sources are gathered next, and which dates were not visible in time.

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use jiff::Timestamp;
use proto::config::{Schedule, Timing};
use proto::ids::{SourceId, TenantId, UnitKey};
use proto::time::UnitDate;

use super::units::texts;
use super::{StateError, StateStore, execute, parsed, query, unit_key};
use crate::domain::schedule::next_gather;
use crate::domain::sla::{self, Due};

/// The default of a source that names no schedule.
pub(crate) const DEFAULT: Schedule = Schedule::Every(Schedule::DEFAULT_SECONDS);

/// Of `pipeline_state p` with something visible: when anything of the date first was.
const FIRST_VISIBLE: &str = "coalesce((select min(c.committed_at) from commits c where c.tenant = p.tenant
    and c.source = p.source and c.date = p.date and c.generation <= p.visible_generation), p.visible_at, now())";

/// A source with a date whose time has come.
#[derive(Debug, Clone)]
pub struct SlaDue {
    /// Tenant.
    pub tenant: TenantId,
    /// Source.
    pub source: SourceId,
    /// The first such date.
    pub date: UnitDate,
    /// The database's time.
    pub now: Timestamp,
}

/// A date that became visible too late.
#[derive(Debug, Clone)]
pub struct CameLate {
    /// Which.
    pub key: UnitKey,
    /// By how many seconds.
    pub seconds: i64,
}

type Source<'a> = (&'a TenantId, &'a SourceId);

/// A moment that was read as microseconds since 1970.
pub(super) fn moment(what: &'static str, micros: i64) -> Result<Timestamp, StateError> {
    let why = |error: jiff::Error| StateError::Stored {
        what,
        of: micros.to_string(),
        why: error.to_string(),
    };
    Timestamp::from_microsecond(micros).map_err(why)
}

impl StateStore {
    /// Puts in force what a source asks for in time. What is asked anew counts from now on; what is as before goes on.
    pub(crate) async fn timing_put_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        timing: &Timing,
    ) -> Result<(), StateError> {
        let sql =
            "select schedule, sla, sla_date::text, (extract(epoch from now()) * 1000000)::int8,
                     (now() at time zone 'UTC')::date::text
                   from source_state where tenant = $1 and source = $2";
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let rows = query(txn, "look at a source's times", sql, &[&tenant, &source]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let now = moment("now", row.get(3))?;
        let schedule = timing.schedule.as_ref().map(ToString::to_string);
        if row.get::<_, Option<&str>>(0) != schedule.as_deref() {
            let next = next_gather(timing.schedule.as_ref().unwrap_or(&DEFAULT), now, now)?;
            let sql =
                "update source_state set schedule = $3, next_gather_at = $4::text::timestamptz
                       where tenant = $1 and source = $2";
            let next = next.to_string();
            execute(txn, "put a schedule in force", sql, &[&tenant, &source, &schedule, &next])
                .await?;
        }
        let sla = timing.sla.as_ref().map(ToString::to_string);
        if row.get::<_, Option<&str>>(1) != sla.as_deref() {
            // Dates that were judged by other words are not judged again.
            let from = row.get::<_, Option<&str>>(2).unwrap_or(row.get(4));
            let from = parsed("date", from)?;
            let next = timing.sla.as_ref().map(|sla| sla::first(sla, from, now)).transpose()?;
            let next = next.map(|(date, at)| (date.to_string(), at.to_string())).unzip();
            let sql = "update source_state set sla = $3, sla_date = $4::text::date,
                         sla_due_at = $5::text::timestamptz where tenant = $1 and source = $2";
            let values: [&(dyn ToSql + Sync); 5] = [&tenant, &source, &sla, &next.0, &next.1];
            execute(txn, "put an SLA in force", sql, &values).await?;
        }
        Ok(())
    }

    /// Sources in force with a date whose time has come, up to `limit` of them.
    pub(crate) async fn sla_due_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<Vec<SlaDue>, StateError> {
        let sql =
            "select tenant, source, sla_date::text, (extract(epoch from now()) * 1000000)::int8
                   from source_state where in_force and sla_due_at <= now()
                   order by sla_due_at limit $1 for update";
        let due = |row: &Row| {
            let UnitKey { tenant, source, date } = unit_key(row)?;
            Ok(SlaDue { tenant, source, date, now: moment("now", row.get(3))? })
        };
        query(txn, "list dates that are to be visible", sql, &[&limit])
            .await?
            .iter()
            .map(due)
            .collect()
    }

    /// Records those of the dates that were not visible in time, and which one is judged next. Gives those recorded.
    pub(crate) async fn sla_judge_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[Due],
        next: Due,
    ) -> Result<Vec<String>, StateError> {
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let (date, at) = (next.0.to_string(), next.1.to_string());
        let sql =
            "update source_state set sla_date = $3::text::date, sla_due_at = $4::text::timestamptz
                   where tenant = $1 and source = $2";
        execute(txn, "note which date is judged next", sql, &[&tenant, &source, &date, &at])
            .await?;
        let sql = format!(
            "insert into sla_breaches (tenant, source, date, due_at, visible_at)
             select $1, $2, d.date, d.due, f.first
             from unnest($3::text[]::date[], $4::text[]::timestamptz[]) as d (date, due)
             left join lateral (select {FIRST_VISIBLE} as first from pipeline_state p
               where p.tenant = $1 and p.source = $2 and p.date = d.date and p.visible_generation > 0) f on true
             where f.first is null or f.first > d.due
             on conflict do nothing returning date::text"
        );
        let (dates, times): (Vec<_>, Vec<_>) =
            dates.iter().map(|(date, at)| (date.to_string(), at.to_string())).unzip();
        let values: [&(dyn ToSql + Sync); 4] = [&tenant, &source, &dates, &times];
        let rows = query(txn, "record dates that are not visible in time", &sql, &values).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Notes of those of some dates, visible now, that were not in time how late they came.
    pub(crate) async fn sla_came_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): Source<'_>,
        dates: &[UnitDate],
    ) -> Result<Vec<CameLate>, StateError> {
        let sql = format!(
            "update sla_breaches b set visible_at = {FIRST_VISIBLE} from pipeline_state p
             where b.tenant = $1 and b.source = $2 and b.date = any($3::text[]::date[]) and b.visible_at is null
               and p.tenant = b.tenant and p.source = b.source and p.date = b.date and p.visible_generation > 0
             returning b.tenant, b.source, b.date::text, extract(epoch from b.late)::int8"
        );
        let late = |row: &Row| Ok(CameLate { key: unit_key(row)?, seconds: row.get(3) });
        let values: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &texts(dates)];
        query(txn, "note dates that came late", &sql, &values).await?.iter().map(late).collect()
    }

    /// Forgets up to `limit` breaches that nobody asks for any more: older than runs are kept.
    pub(crate) async fn sla_forget_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<(), StateError> {
        let sql = "delete from sla_breaches where ctid = any(array(select ctid from sla_breaches
                     where recorded_at < now() - interval '400 days' order by recorded_at limit $1))";
        execute(txn, "forget old breaches", sql, &[&limit]).await?;
        Ok(())
    }
}
