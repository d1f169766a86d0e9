//! Dates that a source no longer has, and what persons decided about what waits.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use proto::config::SourceSettings;
use proto::ids::{Attempt, Generation};
use proto::manifest::{ManifestBuilder, Totals};
use proto::time::UnitDate;

use super::Source;
use super::inventory::{ended_at, lasted_since, remember};
use crate::domain::guard::{Census, Class, Verdict, judge};
use crate::leader::Leader;
use crate::store::{ConfigInForce, Decision, StagedDate, StateError, StateStore, pack};

/// Dates are a population without a type.
const NO_TYPE: &str = "";

impl Leader {
    /// Of the dates that the gather speaks for, `found` are there and `gone` no longer are. Files say what they say; of
    /// anything else it may be a fault that visible dates are to be emptied, and a gather of some dates alone (`partial`)
    /// cannot tell.
    pub(super) async fn dates_gone(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        entry: &ConfigInForce,
        work: (Generation, Attempt),
        (covered, found, gone): ((UnitDate, UnitDate), &BTreeSet<UnitDate>, &BTreeSet<UnitDate>),
        partial: bool,
    ) -> Result<(), StateError> {
        let settings = entry.config.source(at.1).map(|source| &source.settings);
        if matches!(settings, None | Some(SourceSettings::Focus(_))) {
            return self.dates_withdraw(txn, at, entry, work, gone).await;
        }
        let guards = &entry.config.guards;
        let moment = StateStore::moment_in_txn(txn).await?;
        let there: Vec<UnitDate> = found.iter().copied().collect();
        StateStore::dates_unmiss_in_txn(txn, at, &there).await?;
        if partial {
            return Ok(());
        }
        let visible = StateStore::visible_dates_in_txn(txn, at, covered).await?;
        let missing: Vec<_> = visible.iter().filter(|seen| gone.contains(&seen.date)).collect();
        let kept = missing.iter().filter(|seen| seen.kept).count() as u64;
        let census = Census {
            active: visible.len() as u64 - kept,
            missing: missing.len() as u64 - kept,
            found: found.len() as u64,
        };
        let before = StateStore::streak_in_txn(txn, at, (Class::Date, NO_TYPE)).await?;
        let (streak, verdict) = judge(guards, Class::Date, before, census, (work.0, moment));
        let lasted = lasted_since(guards, moment);
        let stays = |seen: &crate::store::VisibleDate| {
            seen.kept
                || match verdict {
                    Verdict::All => false,
                    Verdict::Lasting => seen.missing_since.is_none_or(|since| since > lasted),
                    Verdict::Nothing | Verdict::Wait => true,
                }
        };
        let stay: BTreeSet<UnitDate> =
            missing.iter().filter(|seen| stays(seen)).map(|seen| seen.date).collect();
        let marked: Vec<UnitDate> = stay.iter().copied().collect();
        StateStore::dates_miss_in_txn(txn, at, &marked, (work.0, moment)).await?;
        let goes = gone.difference(&stay).copied().collect();
        self.dates_withdraw(txn, at, entry, work, &goes).await?;
        let waiting = (stay.len() as u64).saturating_sub(kept);
        if waiting > 0 {
            tracing::warn!(tenant = %at.0, source = %at.1, waiting, streak = streak.length,
                "the source no longer has many of its dates: they are not withdrawn yet");
        }
        let counted = (streak, census, waiting);
        remember(txn, at, (Class::Date, NO_TYPE), counted, guards, moment).await
    }

    /// Puts dates without lines in force.
    async fn dates_withdraw(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        entry: &ConfigInForce,
        (generation, attempt): (Generation, Attempt),
        dates: &BTreeSet<UnitDate>,
    ) -> Result<(), StateError> {
        let mut empty = BTreeMap::new();
        for date in dates {
            tracing::info!(tenant = %at.0, source = %at.1, %date, "the source no longer has this date: withdrawn");
            // Visible as a generation with 0 rows.
            let lines = ManifestBuilder::default().finish(generation, attempt);
            empty.insert(*date, StagedDate { lines, received: pack(&Totals::default())? });
        }
        Self::dates_in_force(txn, at, entry, empty).await?;
        let withdrawn: Vec<UnitDate> = dates.iter().copied().collect();
        StateStore::dates_unmiss_in_txn(txn, at, &withdrawn).await
    }

    /// Applies what persons decided about what waits. Decisions about tenants without a configuration wait for it.
    pub(crate) async fn decisions_apply(&self, txn: &Transaction<'_>) -> Result<(), StateError> {
        for decision in StateStore::decisions_list_in_txn(txn).await? {
            let Some(entry) = self.config(&decision.tenant) else { continue };
            let affected = self.decision_apply(txn, entry, &decision).await?;
            StateStore::decision_applied_in_txn(txn, &decision, affected).await?;
            tracing::info!(tenant = %decision.tenant, source = %decision.source, class = decision.class.word(),
                kind = decision.kind, confirmed = decision.confirmed, affected, "a person's decision was applied");
        }
        Ok(())
    }

    async fn decision_apply(
        &self,
        txn: &Transaction<'_>,
        entry: &ConfigInForce,
        decision: &Decision,
    ) -> Result<u64, StateError> {
        let at = (&decision.tenant, &decision.source);
        let upto = decision.generation;
        match (decision.class, decision.confirmed) {
            (Class::Date, true) => {
                let dates = StateStore::dates_missing_in_txn(txn, at, upto).await?;
                let dates = dates.into_iter().collect::<BTreeSet<_>>();
                self.dates_withdraw(txn, at, entry, (upto, Attempt(0)), &dates).await?;
                Ok(dates.len() as u64)
            }
            (Class::Date, false) => StateStore::dates_keep_in_txn(txn, at, upto).await,
            (class @ (Class::Resource | Class::Identity), confirmed) => {
                let population = (class, decision.kind.as_str());
                if confirmed {
                    let now = StateStore::moment_in_txn(txn).await?;
                    let ended =
                        StateStore::entities_end_in_txn(txn, at, population, (upto, now), true);
                    let (ended, first) = ended.await?;
                    self.inventory_touched(txn, at, first.map(ended_at).into_iter().collect())
                        .await?;
                    Ok(ended)
                } else {
                    StateStore::entities_keep_in_txn(txn, at, population, upto).await
                }
            }
        }
    }
}
