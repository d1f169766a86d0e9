//! Leadership: one row with lease and epoch, on the database's clock.

use runtime::store::{Store, StoreError};

use super::{StateError, StateStore};

/// How long a leader that says nothing still leads, in seconds; it renews every third of it.
pub const LEASE_SECONDS: i32 = 15;

impl StateStore {
    /// Takes the lead with a new epoch when nobody else's lease runs (or it is our own from before a restart).
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn lead_take(store: &Store, holder: &str) -> Result<Option<Self>, StateError> {
        let client = store.client().await?;
        let sql = "update leader set epoch = epoch + 1, holder = $1, lease_until = now() + make_interval(secs => $2)
                   where role = 'coordinator' and (lease_until < now() or holder = $1) returning epoch";
        let row = client.query_opt(sql, &[&holder, &f64::from(LEASE_SECONDS)]).await;
        let row = row.map_err(StoreError::sql("take the lead"))?;
        Ok(row.map(|row| Self { store: store.clone(), epoch: row.get(0) }))
    }

    /// Extends the lease.
    ///
    /// # Errors
    /// When another coordinator leads now, or Postgres cannot be asked.
    pub async fn lead_renew(&self) -> Result<(), StateError> {
        let client = self.store.client().await?;
        let sql = "update leader set lease_until = now() + make_interval(secs => $2)
                   where role = 'coordinator' and epoch = $1";
        let renewed = client.execute(sql, &[&self.epoch, &f64::from(LEASE_SECONDS)]).await;
        match renewed.map_err(StoreError::sql("renew the lead"))? {
            0 => Err(StateError::LostLead),
            _ => Ok(()),
        }
    }

    /// Gives the lead up, so that another coordinator need not wait for the lease.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn lead_release(&self) -> Result<(), StateError> {
        let client = self.store.client().await?;
        let sql = "update leader set lease_until = now() - interval '1 second'
                   where role = 'coordinator' and epoch = $1";
        client.execute(sql, &[&self.epoch]).await.map_err(StoreError::sql("release the lead"))?;
        Ok(())
    }
}
