//! What metrics show of the state. Every query keeps to what is not up to date, or to a few rows per source.

use deadpool_postgres::tokio_postgres::Row;
use runtime::store::StoreError;

use super::{StateError, StateStore};

/// Units of a tenant in one state that is not `visible`.
#[derive(Debug, Clone)]
pub struct UnitsOf {
    /// Tenant.
    pub tenant: String,
    /// State.
    pub state: String,
    /// How many.
    pub count: i64,
    /// Those of them whose last attempt failed.
    pub retrying: i64,
    /// Age of the oldest, in seconds.
    pub oldest: f64,
}

/// A population of the guard that has a streak, or of which something waits.
#[derive(Debug, Clone)]
pub struct GuardOf {
    /// Tenant, source, class, type.
    pub key: [String; 4],
    /// Doubtful gathers in a row.
    pub streak: i32,
    /// How many wait.
    pub waiting: i64,
}

/// Gathers of all sources in force.
#[derive(Debug, Clone, Copy)]
pub struct GathersOf {
    /// Sources whose last gather failed.
    pub failing: i64,
    /// Seconds since the last good gather of the source where it is longest; of one with a schedule, since the next was due.
    pub oldest: f64,
}

/// What the reconciler found, and how far it is.
#[derive(Debug, Clone, Copy)]
pub struct ReconciledOf {
    /// Visible units whose facts are not what they were made of.
    pub findings: i64,
    /// Seconds since the unit where it is longest was compared, or became visible.
    pub oldest: f64,
}

/// Populations that are shown at most.
const GUARDS_MAX: i64 = 100;
/// Sources that are shown at most for one reason.
const SOURCES_MAX: i64 = 100;

impl StateStore {
    async fn observed(&self, sql: &str) -> Result<Vec<Row>, StateError> {
        let client = self.store.client().await?;
        let what = "look at the state for metrics";
        let statement = client.prepare_cached(sql).await.map_err(StoreError::sql(what))?;
        Ok(client.query(&statement, &[]).await.map_err(StoreError::sql(what))?)
    }

    /// Tenants with a source in force.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_tenants(&self) -> Result<Vec<String>, StateError> {
        let sql = "select distinct tenant from source_state where in_force order by tenant";
        Ok(self.observed(sql).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Units of sources in force that are not up to date.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_units(&self) -> Result<Vec<UnitsOf>, StateError> {
        let sql = "select p.tenant, p.state, count(*), count(*) filter (where p.attempts > 0),
                     extract(epoch from now() - min(p.due_since))::float8
                   from pipeline_state p join source_state s using (tenant, source)
                   where s.in_force and p.state <> 'visible' group by 1, 2";
        let of = |row: &Row| UnitsOf {
            tenant: row.get(0),
            state: row.get(1),
            count: row.get(2),
            retrying: row.get(3),
            oldest: row.get(4),
        };
        Ok(self.observed(sql).await?.iter().map(of).collect())
    }

    /// Tasks that are out, by step (all emitters together): how many, and how old the oldest is in seconds.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_tasks(&self) -> Result<Vec<(String, i64, f64)>, StateError> {
        let sql = "select case when step like 'emit-%' then 'emit' else step end, count(*),
                     extract(epoch from now() - min(created_at))::float8
                   from tasks group by 1";
        let rows = self.observed(sql).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }

    /// How gathers do.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_gathers(&self) -> Result<GathersOf, StateError> {
        let sql = "select count(*) filter (where attempts > 0),
                     coalesce(extract(epoch from now() - min(
                       case when schedule is null then done_at else least(next_gather_at, now()) end)), 0)::float8
                   from source_state where in_force";
        let rows = self.observed(sql).await?;
        let of = |row: &Row| GathersOf { failing: row.get(0), oldest: row.get(1) };
        Ok(rows.first().map_or(GathersOf { failing: 0, oldest: 0.0 }, of))
    }

    /// Tenant, source and seconds of sources that cannot be gathered, the longest first.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_failing(&self) -> Result<Vec<(String, String, f64)>, StateError> {
        let sql = format!(
            "select tenant, source, extract(epoch from now() - failing_since)::float8 from source_state
             where in_force and failing_since is not null order by failing_since, tenant, source limit {SOURCES_MAX}"
        );
        self.observed_sources(&sql).await
    }

    /// Tenant, source and number of dates that are late, the most first: where somebody still asks for them.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_breaches(&self) -> Result<Vec<(String, String, f64)>, StateError> {
        let sql = format!(
            "select b.tenant, b.source, count(*)::float8 from sla_breaches b join source_state s using (tenant, source)
             where b.visible_at is null and b.recorded_at > now() - interval '7 days' and s.in_force and s.sla is not null
             group by 1, 2 order by 3 desc, 1, 2 limit {SOURCES_MAX}"
        );
        self.observed_sources(&sql).await
    }

    async fn observed_sources(&self, sql: &str) -> Result<Vec<(String, String, f64)>, StateError> {
        let rows = self.observed(sql).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }

    /// Populations that the guard watches, the longest streaks first.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_guards(&self) -> Result<Vec<GuardOf>, StateError> {
        let sql = format!(
            "select tenant, source, class, type, streak, waiting from populations
             where streak > 0 or waiting > 0 order by streak desc, waiting desc, tenant, source limit {GUARDS_MAX}"
        );
        let of = |row: &Row| GuardOf {
            key: [row.get(0), row.get(1), row.get(2), row.get(3)],
            streak: row.get(4),
            waiting: row.get(5),
        };
        Ok(self.observed(&sql).await?.iter().map(of).collect())
    }

    /// Provisional dates by tenant: of those alone that could be, as the view says it.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_provisional(&self) -> Result<Vec<(String, i64)>, StateError> {
        let sql = "select tenant, count(*) from units
                   where finality = 'provisional' and (tenant, source, date) in (
                     select tenant, source, date from unit_drivers
                     union select tenant, source, date from pipeline_state where resolve_again_at is not null)
                   group by tenant";
        Ok(self.observed(sql).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// What the reconciler found, and how far it is; the oldest come from the two ends of an index.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_reconciled(&self) -> Result<ReconciledOf, StateError> {
        let sql = "select (select count(distinct (tenant, source, date)) from findings),
                     coalesce(extract(epoch from now() - least(
                       (select visible_at from pipeline_state
                         where visible_generation > 0 and visible_checked_at is null order by visible_at limit 1),
                       (select visible_checked_at from pipeline_state
                         where visible_generation > 0 and visible_checked_at is not null
                         order by visible_checked_at limit 1))), 0)::float8";
        let rows = self.observed(sql).await?;
        let of = |row: &Row| ReconciledOf { findings: row.get(0), oldest: row.get(1) };
        Ok(rows.first().map_or(ReconciledOf { findings: 0, oldest: 0.0 }, of))
    }

    /// Quarantined records in force.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn observed_quarantined(&self) -> Result<i64, StateError> {
        let rows = self.observed("select count(*) from quarantined").await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }
}
