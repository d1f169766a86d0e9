//! Retention: months that are older than their tenant keeps them are removed, as far as [`crate::domain::retention`]
//! allows. What is removed is remembered, with what it cost.
//!
//! A removed date is no longer visible at once; its rows, lines and archive are deleted by the ledger, a few at a time,
//! as those of superseded generations are. What was emitted stays outside.

use deadpool_postgres::Transaction;
use proto::time::UnitDate;

use crate::domain::retention::{first_kept, judge};
use crate::leader::{Leader, today};
use crate::store::{ConfigInForce, StateError, StateStore};

/// Months of one tenant that one look removes.
const MONTHS_MAX: usize = 12;

impl Leader {
    /// The first date that a tenant keeps; `None`: all are kept.
    pub(crate) fn kept_from(&self, entry: &ConfigInForce) -> Option<UnitDate> {
        let days = entry.config.retention_days?;
        Some(first_kept(today(), days, self.replay_horizon_days))
    }

    /// Removes what is old enough and done.
    pub(crate) async fn retain(&self, txn: &Transaction<'_>) -> Result<(), StateError> {
        for (tenant, entry) in &self.tenants {
            let kept = self.kept_from(entry);
            StateStore::kept_from_put_in_txn(txn, tenant, kept).await?;
            let Some(kept) = kept else { continue };
            let mut removed = 0;
            for (period, month) in StateStore::months_in_txn(txn, tenant, kept).await? {
                match judge(period, month, kept) {
                    Ok(()) if removed < MONTHS_MAX => {
                        let dates = StateStore::month_remove_in_txn(txn, tenant, period).await?;
                        tracing::info!(%tenant, month = %period, dates, "an old month was removed");
                        removed += 1;
                    }
                    Ok(()) | Err(None) => {}
                    Err(Some(why)) => {
                        tracing::info!(%tenant, month = %period, why, "an old month is not removed yet");
                    }
                }
            }
        }
        Ok(())
    }
}
