//! Resolutions that were made, whole or not.

use deadpool_postgres::Transaction;
use proto::config::MetricsConfig;
use proto::report::Published;

use super::Source;
use crate::domain::backoff;
use crate::domain::unit::{UnitEvent, UnitState};
use crate::leader::Leader;
use crate::store::{StateError, StateStore};

impl Leader {
    /// Resolutions are there. Where they lack something the date is calculated all the same, by its next tiers, and is
    /// provisional until they are made again; after so many attempts it stays as it is.
    pub(super) async fn resolved(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &Published,
    ) -> Result<(), StateError> {
        let wanted = (done.date, done.generation);
        if let Some(unit) = Self::unit_in(txn, at, wanted, UnitState::Resolving).await? {
            let attempts = unit.resolve_attempts.saturating_add(1);
            let source = self.config(at.0).and_then(|entry| entry.config.source(at.1));
            let most = source.and_then(|source| source.metrics.as_ref());
            let most = most.map_or(MetricsConfig::RESOLVE_ATTEMPTS, |m| m.resolve_attempts);
            let lacking = done.lacking.as_deref();
            let lacking =
                lacking.map(|reason| (reason, attempts, backoff::resolve_again(attempts, most)));
            if let Some((reason, _, again)) = &lacking {
                tracing::warn!(unit = %unit.key, reason, ?again, "a date is resolved without all metrics");
            }
            StateStore::identities_make_up_in_txn(txn, at, done.generation, &done.identities)
                .await?;
            StateStore::unit_resolved_in_txn(txn, &unit.key, &done.manifest, lacking).await?;
            StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::Resolved).await?;
        }
        Ok(())
    }
}
