//! Resolutions: made, whole or not, and made again.

use std::collections::BTreeMap;

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
    /// given up for such: it keeps the resolutions that it was made with. Late ones change nothing. Gives what was done.
    pub(super) async fn resolved(
        &self,
        txn: &Transaction<'_>,
        (at, by): (Source<'_>, Option<&str>),
        units: Vec<Published>,
        after: &mut After,
    ) -> Result<StepDone, StateError> {
        let source = self.config(at.0).and_then(|entry| entry.config.source(at.1));
        let most = source.and_then(|source| source.metrics.as_ref());
        let most = most.map_or(MetricsConfig::RESOLVE_ATTEMPTS, |m| m.resolve_attempts);
        let dates: Vec<_> = units.iter().map(|done| done.date).collect();
        let mut known = StateStore::units_lock_in_txn(txn, at, &dates).await?;
        let mut counted = StepDone::by(by);
        let (mut resolved, mut changed) = (BTreeMap::new(), Vec::new());
        for done in units {
            let wanted = (done.generation, UnitState::Resolving);
            let unit = known.remove(&done.date);
            let Some(unit) = unit.filter(|unit| (unit.wanted, unit.state) == wanted) else {
                continue;
            };
            counted.add(done.date, done.manifest.items);
            resolved.insert(done.date, unit.visible);
            let mut lacking = None;
            if let Some(reason) = &done.lacking {
                let attempts = unit.resolve_attempts.saturating_add(1);
                let again = backoff::resolve_again(attempts, most);
                tracing::warn!(unit = %unit.key, reason, ?again, "a date is resolved without all metrics");
                // What was measured once stays when the server forgets it.
                if StateStore::unit_keeps_resolutions_in_txn(txn, &unit.key, attempts, again)
                    .await?
                {
                    continue;
                }
                lacking = Some((attempts, again));
            }
            StateStore::identities_make_up_in_txn(txn, at, done.generation, &done.identities)
                .await?;
            changed.push((done, lacking));
        }
        StateStore::units_resolved_in_txn(txn, at, &changed).await?;
        // Equal resolutions end here: their rows are there.
        let dates: Vec<_> = resolved.keys().copied().collect();
        let (equal, others): (Vec<_>, Vec<_>) = {
            let equal = StateStore::units_as_visible_in_txn(txn, at, &dates).await?;
            dates.into_iter().partition(|date| equal.contains(date))
        };
        StateStore::units_event_in_txn(txn, at, &others, UnitEvent::Resolved).await?;
        if !equal.is_empty() {
            StateStore::units_event_in_txn(txn, at, &equal, UnitEvent::ResolvedEqual).await?;
            StateStore::units_settled_in_txn(txn, at, &equal).await?;
            let mut same = StepDone::default();
            equal.iter().for_each(|date| same.add(*date, 0));
            let visible: Vec<_> = equal.iter().filter_map(|date| resolved.remove(date)).collect();
            StateStore::run_visible_in_txn(txn, at, &same, &visible).await?;
            after.settled = true;
        }
        Ok(counted)
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
