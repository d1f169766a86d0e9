//! Dimensions read back: immutable, so kept at hand while a date streams.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::ids::TenantId;

use crate::error::EmitterError;
use crate::sql;

/// Dimensions of each kind that are kept at hand.
const KEPT: usize = 20_000;

/// What a line shares with others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineText {
    /// ISO code.
    pub currency: String,
    /// `YYYY-MM`.
    pub billing_period: String,
    /// Provider's invoice.
    pub invoice_id: Option<String>,
    /// What cost money.
    pub resource_id: Option<String>,
    /// Coarse kind of product.
    pub product_category: Option<String>,
    /// Kind of product.
    pub product_type: Option<String>,
    /// Provider.
    pub provider: Option<String>,
    /// Payer's account.
    pub billing_account_id: Option<String>,
    /// Account, subscription or project.
    pub sub_account_id: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Usage, Purchase, Tax, Credit, Adjustment.
    pub charge_category: Option<String>,
    /// Absent or Correction.
    pub charge_class: Option<String>,
    /// Unit of the pricing quantity.
    pub pricing_unit: Option<String>,
    /// Unit of the consumed quantity.
    pub consumed_unit: Option<String>,
}

/// Why a row is. The first four fields are the order of rows within a line; the rest makes it total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RowText {
    /// Which tier, from 0.
    pub tier: i32,
    /// Which part of a composition, from 0.
    pub part: i32,
    /// Who caused it.
    pub identity: String,
    /// Who pays.
    pub owner: String,
    /// Id of the rule.
    pub rule: String,
    /// `usage` or `shared`.
    pub cost_type: String,
    /// The tier's name, or `ALLOCATION_FAILED`.
    pub method: String,
    /// Reason or detail.
    pub detail: Option<String>,
    /// `YYYY-MM`.
    pub booking_period: String,
    /// Kind of booking.
    pub entry: String,
}

/// Texts by id, of one tenant.
pub struct Texts<'a> {
    tenant: &'a TenantId,
    lines: HashMap<i64, Arc<LineText>>,
    rows: HashMap<i64, Arc<RowText>>,
}

impl<'a> Texts<'a> {
    /// Nothing at hand yet.
    #[must_use]
    pub fn new(tenant: &'a TenantId) -> Self {
        Self { tenant, lines: HashMap::new(), rows: HashMap::new() }
    }

    /// Gets those of these ids that are not at hand.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn fetch(
        &mut self,
        transaction: &Transaction<'_>,
        lines: impl Iterator<Item = i64>,
        rows: impl Iterator<Item = i64>,
    ) -> Result<(), EmitterError> {
        let (lines, rows): (BTreeSet<i64>, BTreeSet<i64>) = (lines.collect(), rows.collect());
        let tenant = self.tenant;
        fetch(transaction, tenant, sql::GET_BILLING_DIMENSIONS, &mut self.lines, lines, line_text)
            .await?;
        fetch(transaction, tenant, sql::GET_CHARGEBACK_DIMENSIONS, &mut self.rows, rows, row_text)
            .await
    }

    /// Texts of a line's dimension that was fetched.
    #[must_use]
    pub fn line(&self, id: i64) -> Option<Arc<LineText>> {
        self.lines.get(&id).cloned()
    }
    /// Texts of a row's dimension that was fetched.
    #[must_use]
    pub fn row(&self, id: i64) -> Option<Arc<RowText>> {
        self.rows.get(&id).cloned()
    }
}

async fn fetch<T>(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    statement: &str,
    kept: &mut HashMap<i64, Arc<T>>,
    wanted: BTreeSet<i64>,
    read: fn(&Row) -> T,
) -> Result<(), EmitterError> {
    if wanted.iter().all(|id| kept.contains_key(id)) {
        return Ok(());
    }
    if kept.len() > KEPT {
        kept.clear();
    }
    let missing: Vec<i64> = wanted.into_iter().filter(|id| !kept.contains_key(id)).collect();
    let tenant = tenant.as_str();
    let key = [(&tenant as _, Type::TEXT), (&missing as _, Type::INT8_ARRAY)];
    let found = transaction
        .query_typed(statement, &key)
        .await
        .map_err(EmitterError::sql("read dimensions"))?;
    kept.extend(found.iter().map(|row| (row.get(0), Arc::new(read(row)))));
    Ok(())
}

fn line_text(row: &Row) -> LineText {
    LineText {
        currency: row.get(1),
        billing_period: row.get(2),
        invoice_id: row.get(3),
        resource_id: row.get(4),
        product_category: row.get(5),
        product_type: row.get(6),
        provider: row.get(7),
        billing_account_id: row.get(8),
        sub_account_id: row.get(9),
        service: row.get(10),
        charge_category: row.get(11),
        charge_class: row.get(12),
        pricing_unit: row.get(13),
        consumed_unit: row.get(14),
    }
}

fn row_text(row: &Row) -> RowText {
    RowText {
        tier: row.get(1),
        part: row.get(2),
        identity: row.get(3),
        owner: row.get(4),
        rule: row.get(5),
        cost_type: row.get(6),
        method: row.get(7),
        detail: row.get(8),
        booking_period: row.get(9),
        entry: row.get(10),
    }
}
