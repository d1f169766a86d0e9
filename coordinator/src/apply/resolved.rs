//! Resolutions: made, whole or not, and made again.

use deadpool_postgres::Transaction;
use proto::config::MetricsConfig;
use proto::report::Published;

use super::Source;
use super::after::After;
use crate::domain::backoff;
use crate::domain::unit::{UnitEvent, UnitState};
use crate::leader::Leader;
use crate::store::{StateError, StateStore, StepDone};

impl Leader {
    /// Resolutions are there. Where they lack something the date is calculated all the same, by its next tiers, and is
    /// provisional until they are made again; after so many attempts it stays as it is. What is visible of a date is not
    /// given up for such: it keeps the resolutions that it was made with. False: the report is late.
    pub(super) async fn resolved(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        done: &Published,
        after: &mut After,
    ) -> Result<bool, StateError> {
        let wanted = (done.date, done.generation);
        let unit = Self::unit_in(txn, at, wanted, UnitState::Resolving).await?;
        if let Some(unit) = &unit {
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
            // What was measured once stays when the server forgets it.
            let kept = match lacking {
                Some((_, attempt, again)) => {
                    StateStore::unit_keeps_resolutions_in_txn(txn, &unit.key, attempt, again)
                        .await?
                }
                None => false,
            };
            if !kept {
                StateStore::identities_make_up_in_txn(txn, at, done.generation, &done.identities)
                    .await?;
                StateStore::unit_resolved_in_txn(txn, &unit.key, &done.manifest, lacking).await?;
            }
            // Equal resolutions end here: their rows are there.
            if StateStore::unit_is_as_visible_in_txn(txn, &unit.key).await? {
                StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::ResolvedEqual).await?;
                StateStore::units_settled_in_txn(txn, at, &[done.date]).await?;
                let mut same = StepDone::default();
                same.add(done.date, 0);
                StateStore::run_visible_in_txn(txn, at, &same, &[unit.visible]).await?;
                after.settled = true;
            } else {
                StateStore::unit_event_in_txn(txn, &unit.key, UnitEvent::Resolved).await?;
            }
        }
        Ok(unit.is_some())
    }

    /// Puts up to `limit` units of each kind on their way that are to be resolved again: those whose resolutions lack
    /// something, when their time has come, and those that were resolved with other settings, as if it were the first
    /// time.
    pub(crate) async fn resolve_again(
        &self,
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<(), StateError> {
        let run = (self.run.as_str(), self.every.is_none());
        for key in StateStore::units_to_resolve_again_in_txn(txn, limit, run).await? {
            StateStore::unit_forget_resolutions_in_txn(txn, &key, false).await?;
            StateStore::unit_event_in_txn(txn, &key, UnitEvent::InputsChanged).await?;
        }
        for (tenant, source) in StateStore::sources_resolved_otherwise_in_txn(txn).await? {
            let at = (&tenant, &source);
            let units = StateStore::units_resolved_otherwise_in_txn(txn, at, limit).await?;
            for key in &units {
                StateStore::unit_forget_resolutions_in_txn(txn, key, true).await?;
                StateStore::unit_event_in_txn(txn, key, UnitEvent::InputsChanged).await?;
            }
            let due = units.len();
            tracing::info!(%tenant, %source, due, "dates are resolved again, for their settings changed");
            if i64::try_from(due).is_ok_and(|due| due < limit) {
                StateStore::source_is_resolved_in_txn(txn, at).await?;
            }
        }
        Ok(())
    }
}
