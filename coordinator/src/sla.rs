//! Watches that dates are visible when they are to be, and records once which were not, and how late they came.

use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use proto::config::Sla;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use crate::domain::sla;
use crate::leader::Leader;
use crate::store::{StateError, StateStore};

/// It is looked this often.
const EVERY: Duration = Duration::from_secs(2);
/// Sources looked at in one look, and dates of each: what is left is due again at the next one.
const SOURCES_MAX: i64 = 512;
const DATES_MAX: usize = 64;
/// Breaches that are forgotten at a time.
const FORGET_MAX: i64 = 1_000;

impl Leader {
    /// One look, where the last one was a while ago.
    pub(crate) async fn sla_watch(&mut self, txn: &Transaction<'_>) -> Result<(), StateError> {
        if self.sla_looked.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        self.sla_looked = Some(Instant::now());
        for due in StateStore::sla_due_in_txn(txn, SOURCES_MAX).await? {
            let at = (&due.tenant, &due.source);
            let Some(sla) = self.sla(at) else { continue };
            let (dates, next) = sla::passed(sla, due.date, due.now, DATES_MAX)?;
            for date in StateStore::sla_judge_in_txn(txn, at, &dates, next).await? {
                tracing::warn!(tenant = %at.0, source = %at.1, date, %sla, "a date is not visible in time");
            }
        }
        StateStore::sla_forget_in_txn(txn, FORGET_MAX).await
    }

    /// Of dates that became visible: how late those are that were to be so before.
    pub(crate) async fn sla_came(
        txn: &Transaction<'_>,
        at: (&TenantId, &SourceId),
        dates: &[UnitDate],
    ) -> Result<(), StateError> {
        for came in StateStore::sla_came_in_txn(txn, at, dates).await? {
            tracing::info!(unit = %came.key, late_seconds = came.seconds, "a date came late");
        }
        Ok(())
    }

    fn sla(&self, (tenant, source): (&TenantId, &SourceId)) -> Option<&Sla> {
        self.config(tenant)?.config.source(source)?.timing.sla.as_ref()
    }
}
