//! Replays: dates that are calculated again from what was gathered, because a person asks for it.
//!
//! Nothing outside is asked. A replay takes its dates up as they are, gives way to live work ([`crate::domain::budget`])
//! and joins what is under way already: the same inputs give the same rows. New inputs take a date out of the replay's
//! lane; the replay then waits for these. Dates that are replayed by the rules of a former time are pinned to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use deadpool_postgres::Transaction;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::TenantId;

use crate::domain::unit::{UnitEvent, UnitState};
use crate::leader::Leader;
use crate::store::{
    ConfigInForce, ReplayAsked, ReplayRules, ReplayUnit, RulesPut, StateError, StateStore, UnitRow,
};

/// Dates of one replay that one sweep puts on their way.
const UNITS_MAX: i64 = 2_048;

/// Configurations of former times, by hash.
type Former = BTreeMap<Hash128, TenantConfig>;

impl Leader {
    /// Puts dates of replays on their way. True when some are pinned now to rules of a former time.
    pub(crate) async fn plan_replays(&self, txn: &Transaction<'_>) -> Result<bool, StateError> {
        for unit in StateStore::replays_without_input_in_txn(txn, UNITS_MAX).await? {
            let reason = "its lines are neither on the stream nor whole in the archive";
            self.replay_give_up(txn, &unit, reason).await?;
        }
        // As with gathers: what is calculated goes through the same streams.
        if self.streams_filling && self.every.is_some() {
            return Ok(false);
        }
        let mut pinned = false;
        for asked in StateStore::replays_open_in_txn(txn).await? {
            let Some(entry) = self.config(&asked.tenant) else { continue };
            let mut former = Former::new();
            let units = StateStore::replay_units_in_txn(txn, &asked.run, UNITS_MAX).await?;
            let all = i64::try_from(units.len()).is_ok_and(|count| count < UNITS_MAX);
            for unit in &units {
                pinned |= self.replay(txn, (&asked, entry), unit, &mut former).await?;
            }
            StateStore::replay_taken_up_in_txn(txn, &asked.run, entry.hash, all).await?;
            tracing::info!(run = asked.run, tenant = %asked.tenant, dates = units.len(), all, "a replay is taken up");
        }
        Ok(pinned)
    }

    /// Puts one date on its way. True when it is pinned now.
    async fn replay(
        &self,
        txn: &Transaction<'_>,
        (asked, entry): (&ReplayAsked, &ConfigInForce),
        unit: &ReplayUnit,
        former: &mut Former,
    ) -> Result<bool, StateError> {
        let run = asked.run.as_str();
        if unit.held {
            let why = "a record of it is quarantined, and `on_bad_line: hold` holds such dates";
            StateStore::replay_unit_add_in_txn(txn, run, unit, Some(why)).await?;
            return Ok(false);
        }
        let rules = match asked.rules {
            ReplayRules::InForce => Ok(None),
            ReplayRules::Unpinned => {
                let rules = entry.config.rules_hash(&unit.key.source, unit.key.date)?;
                Ok(Some((entry.hash, rules, false)))
            }
            ReplayRules::AsOf => Self::rules_as_of(txn, entry, unit, former).await?,
        };
        let rules = match rules {
            Ok(rules) => rules,
            Err(why) => {
                StateStore::replay_unit_add_in_txn(txn, run, unit, Some(&why)).await?;
                return Ok(false);
            }
        };
        StateStore::replay_unit_add_in_txn(txn, run, unit, None).await?;
        let changed = rules.is_some_and(|(_, rules, _)| rules != unit.rules);
        let event = match unit.state {
            UnitState::Quarantined => Some(UnitEvent::Requeued),
            UnitState::Visible => Some(UnitEvent::InputsChanged),
            UnitState::Gathered
            | UnitState::Resolving
            | UnitState::Allocating
            | UnitState::Committing
            | UnitState::Waiting
            | UnitState::Restoring => changed.then_some(UnitEvent::InputsChanged),
        };
        let moved = match event {
            Some(event) => StateStore::unit_event_in_txn(txn, &unit.key, event).await?,
            None => false,
        };
        if moved || rules.is_some() {
            StateStore::replay_unit_put_in_txn(txn, &unit.key, rules).await?;
        }
        Ok(rules.is_some_and(|(.., pinned)| pinned))
    }

    /// The rules that were in force then, or why the date cannot be calculated by them.
    async fn rules_as_of(
        txn: &Transaction<'_>,
        entry: &ConfigInForce,
        unit: &ReplayUnit,
        former: &mut Former,
    ) -> Result<Result<Option<RulesPut>, String>, StateError> {
        let Some(hash) = unit.as_of else {
            return Ok(Err("no configuration is known of that time".to_owned()));
        };
        let tenant: &TenantId = &unit.key.tenant;
        let config = match former.entry(hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(StateStore::config_version_in_txn(txn, tenant, hash).await?)
            }
        };
        if let Some(why) = unfit(config, entry, unit) {
            return Ok(Err(format!("it cannot be calculated by configuration {hash}: {why}")));
        }
        let rules = config.rules_hash(&unit.key.source, unit.key.date)?;
        let in_force = entry.config.rules_hash(&unit.key.source, unit.key.date)?;
        Ok(Ok(Some(match rules == in_force {
            true => (entry.hash, rules, false),
            false => (hash, rules, true),
        })))
    }

    /// A replay of a date ends without result: what is visible stays, and the run says why.
    pub(crate) async fn replay_give_up(
        &self,
        txn: &Transaction<'_>,
        unit: &UnitRow,
        reason: &str,
    ) -> Result<(), StateError> {
        let key = &unit.key;
        let mend = format!(
            "{reason}: `apportion backfill --tenant {} --source {} --from {} --to {}` gathers it again",
            key.tenant, key.source, key.date, key.date
        );
        tracing::warn!(unit = %key, reason = mend, "a date cannot be replayed");
        StateStore::unit_event_in_txn(txn, key, UnitEvent::ReplayGivenUp).await?;
        let at = (&key.tenant, &key.source);
        StateStore::units_settled_in_txn(txn, at, &[key.date]).await?;
        StateStore::run_unit_failed_in_txn(txn, key, &mend).await
    }
}

/// Why lines as they were read cannot be calculated by a configuration of a former time; `None`: they can.
fn unfit(former: &TenantConfig, entry: &ConfigInForce, unit: &ReplayUnit) -> Option<String> {
    let source = &unit.key.source;
    let (Some(old), Some(new)) = (former.source(source), entry.config.source(source)) else {
        return Some(format!("it has no source {source}"));
    };
    if (old.cost(), old.kind()) != (new.cost(), new.kind()) {
        return Some(format!("source {source} has another `cost` or `kind` there"));
    }
    let ledger = former.ledger_tables().unwrap_or_default();
    let metric = former.metric_drivers();
    let kept = ledger.keys().all(|driver| entry.ledger.contains_key(driver))
        && metric.keys().all(|driver| entry.metric.contains_key(driver));
    (!kept).then(|| "its drivers are not those in force, so their weights are not kept".to_owned())
}
