//! What failed, and what becomes of it.

use std::time::Duration;

use deadpool_postgres::Transaction;
use proto::envelope::Header;
use proto::hash::Hash128;
use proto::ids::UnitKey;
use proto::report::{Failed, FailureClass};
use proto::subject::Step;

use super::Source;
use crate::domain::backoff::{EQUAL_ERRORS_MAX, without_generation};
use crate::domain::unit::{UnitEvent, UnitState};
use crate::leader::Leader;
use crate::store::{StateError, StateStore, UnitRow};

impl Leader {
    pub(super) async fn failed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        header: &Header,
        failed: &Failed,
    ) -> Result<(), StateError> {
        match failed.step.parse::<Step>() {
            Ok(Step::Gather) => self.gather_failed(txn, at, header.generation, failed).await,
            Ok(Step::Emit(emitter)) => {
                for (date, _) in &failed.units {
                    let key = UnitKey { tenant: at.0.clone(), source: at.1.clone(), date: *date };
                    let hopeless = failed.class == FailureClass::Data;
                    let failure = (header.generation, failed.reason.as_str(), hopeless);
                    let pause = |attempts| self.pause(attempts);
                    StateStore::emission_failed_in_txn(txn, &key, &emitter, failure, pause).await?;
                }
                Ok(())
            }
            Ok(Step::Remove) => {
                let (task, reason) = (header.generation, &failed.reason);
                StateStore::removals_failed_in_txn(txn, at, task, reason, self.pause(1)).await
            }
            Ok(Step::Resolve) => {
                self.units_failed(txn, at, UnitState::Resolving, failed.class, failed).await
            }
            Ok(Step::Allocate) => {
                self.units_failed(txn, at, UnitState::Allocating, failed.class, failed).await
            }
            Ok(Step::Commit) => {
                // Rows that are gone are made again; the allocator tells whether lines are gone, too.
                let class = match failed.class {
                    FailureClass::InputMissing => FailureClass::Transient,
                    class @ (FailureClass::Transient | FailureClass::Data) => class,
                };
                self.units_failed(txn, at, UnitState::Committing, class, failed).await
            }
            Ok(Step::Restore) => {
                // What the archive lacks it will lack the next time, too: the source is asked then.
                let class = match failed.class {
                    FailureClass::InputMissing => FailureClass::Data,
                    class @ (FailureClass::Transient | FailureClass::Data) => class,
                };
                self.units_failed(txn, at, UnitState::Restoring, class, failed).await
            }
            Ok(Step::Driver | Step::Measure) => {
                self.driver_failed(txn, at.0, header.generation, failed).await
            }
            Err(_) => {
                let why = format!("step {:?} fails here: {}", failed.step, failed.reason);
                Err(StateError::Stored { what: "report", of: header.tenant.to_string(), why })
            }
        }
    }

    /// A step failed. Of units that have left it, the report is late.
    async fn units_failed(
        &self,
        txn: &Transaction<'_>,
        at: Source<'_>,
        state: UnitState,
        class: FailureClass,
        failed: &Failed,
    ) -> Result<(), StateError> {
        for unit in &failed.units {
            if let Some(unit) = Self::unit_in(txn, at, *unit, state).await? {
                self.unit_failed(txn, &unit, class, &failed.reason).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn unit_failed(
        &self,
        txn: &Transaction<'_>,
        unit: &UnitRow,
        class: FailureClass,
        reason: &str,
    ) -> Result<(), StateError> {
        let error = Hash128::of(without_generation(reason, unit.wanted.0).as_bytes());
        let equal = match class {
            FailureClass::Data if unit.error_hash.as_deref() == Some(&error.0) => {
                unit.equal_errors + 1
            }
            FailureClass::Data => 1,
            FailureClass::Transient | FailureClass::InputMissing => 0,
        };
        let event = match class {
            FailureClass::Data if equal >= EQUAL_ERRORS_MAX => UnitEvent::Quarantine,
            FailureClass::Data | FailureClass::Transient => UnitEvent::Failed,
            FailureClass::InputMissing => UnitEvent::InputMissing,
        };
        tracing::warn!(unit = %unit.key, state = %unit.state, ?class, equal, reason, "a unit's step failed");
        self.metrics.unit_failed(class);
        // The archive or the source need not wait, unless what they brought is gone again.
        let missing = class == FailureClass::InputMissing;
        let first = missing && unit.attempts == 0;
        let pause = if first { Duration::ZERO } else { self.pause(unit.attempts + 1) };
        StateStore::unit_event_in_txn(txn, &unit.key, event).await?;
        StateStore::unit_failed_in_txn(txn, &unit.key, reason, (error, equal), pause).await?;
        if event == UnitEvent::Quarantine {
            StateStore::run_unit_failed_in_txn(txn, &unit.key, reason).await?;
        }
        if missing {
            StateStore::unit_forget_resolutions_in_txn(txn, &unit.key, false).await?;
        }
        Ok(())
    }
}
