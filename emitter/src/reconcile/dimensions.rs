//! Dimensions as stored, each compared with the hash that names it.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::currency::Currency;
use proto::ids::TenantId;
use proto::row::{CostType, Entry, RowDimension};
use proto::time::BillingPeriod;

use crate::error::EmitterError;
use crate::ledger::dimension::{DimensionKind, hash_of, id_of};
use crate::sql;

/// Dimensions that are kept at hand.
const KEPT: usize = 20_000;

/// What a dimension says of currency and period.
pub type Pair = (Currency, BillingPeriod);

/// A dimension.
#[derive(Debug, Clone)]
pub struct Known {
    /// Currency and billing period.
    pub pair: Pair,
    /// The rest, of rows.
    pub row: Option<RowDimension>,
}

/// Dimensions of one kind and tenant.
pub struct Dimensions<'a> {
    kind: DimensionKind,
    tenant: &'a TenantId,
    of: HashMap<i64, Result<Known, String>>,
}

impl<'a> Dimensions<'a> {
    /// None yet.
    #[must_use]
    pub fn new(kind: DimensionKind, tenant: &'a TenantId) -> Self {
        Self { kind, tenant, of: HashMap::new() }
    }

    /// Gets those of these that are not at hand.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn fetch(
        &mut self,
        transaction: &Transaction<'_>,
        wanted: &BTreeSet<i64>,
    ) -> Result<(), EmitterError> {
        if self.of.len() + wanted.len() > KEPT {
            self.of.clear();
        }
        let lacking: Vec<i64> =
            wanted.iter().copied().filter(|id| !self.of.contains_key(id)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let statement = match self.kind {
            DimensionKind::Billing => sql::RECONCILE_BILLING_DIMENSIONS,
            DimensionKind::Chargeback => sql::RECONCILE_CHARGEBACK_DIMENSIONS,
        };
        let tenant = self.tenant.as_str();
        let key = [(&tenant as _, Type::TEXT), (&lacking as _, Type::INT8_ARRAY)];
        let rows = transaction.query_typed(statement, &key).await;
        for row in rows.map_err(EmitterError::sql("read dimensions"))? {
            let id = row.get(0);
            let known = self.read(id, &row).map_err(|why| format!("dimension {id} {why}"));
            self.of.insert(id, known);
        }
        Ok(())
    }

    fn read(&self, id: i64, row: &Row) -> Result<Known, String> {
        let texts: Vec<Option<&str>> = (0..self.kind.texts()).map(|at| row.get(2 + at)).collect();
        let hash = hash_of(self.kind, self.tenant, &texts, &mut Vec::new());
        if row.get::<_, &[u8]>(1) != hash.0 || id_of(hash) != id {
            return Err("was altered: its texts have another hash".to_owned());
        }
        let pair = pair(&texts).ok_or("has no currency or period")?;
        let row = match self.kind {
            DimensionKind::Billing => None,
            DimensionKind::Chargeback => Some(row_of(&texts).ok_or("is none of a row")?),
        };
        Ok(Known { pair, row })
    }

    /// One that was fetched.
    ///
    /// # Errors
    /// When it is not stored, or was altered.
    pub fn get(&self, id: i64) -> Result<&Known, String> {
        let found = self.of.get(&id).ok_or_else(|| format!("dimension {id} is not stored"))?;
        found.as_ref().map_err(Clone::clone)
    }
}

fn pair(texts: &[Option<&str>]) -> Option<Pair> {
    let text = |at: usize| texts.get(at).copied().flatten();
    Some((text(1)?.parse().ok()?, text(2)?.parse().ok()?))
}

/// From texts in the order of `chargeback_dimensions`.
fn row_of(texts: &[Option<&str>]) -> Option<RowDimension> {
    let text = |at: usize| texts.get(at).copied().flatten();
    let booking = text(3)?;
    let known = |kind: &CostType| Some(kind.word()) == text(9);
    Some(RowDimension {
        // Rows say it only where it is another one.
        booking_period: (text(2)? != booking).then(|| booking.parse()).transpose().ok()?,
        rule: text(4)?.to_owned(),
        tier: text(5)?.parse().ok()?,
        part: text(6)?.parse().ok()?,
        identity: text(7)?.to_owned(),
        owner: text(8)?.to_owned(),
        cost_type: [CostType::Usage, CostType::Shared].into_iter().find(known)?,
        method: text(10)?.to_owned(),
        detail: text(11).map(str::to_owned),
        entry: Entry::ALL.into_iter().find(|entry| Some(entry.word()) == text(12))?,
    })
}
