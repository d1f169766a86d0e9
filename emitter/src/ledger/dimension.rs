//! Dimensions by content: what lines and rows have in common, as texts in the order of their table's columns. Pure.

use proto::column::TextColumn;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::{Lines, cell};
use proto::row::RowDimension;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DimensionKind {
    /// `billing_dimensions`.
    Billing,
    /// `chargeback_dimensions`.
    Chargeback,
}

/// Text columns of `billing_dimensions` after `hash`.
pub const BILLING_TEXTS: usize = 15;
/// Text columns of `chargeback_dimensions` after `hash`; tier and part as decimal text.
pub const CHARGEBACK_TEXTS: usize = 13;

impl DimensionKind {
    /// Number of text columns.
    #[must_use]
    pub fn texts(self) -> usize {
        match self {
            Self::Billing => BILLING_TEXTS,
            Self::Chargeback => CHARGEBACK_TEXTS,
        }
    }
}

/// A dimension to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// Content hash.
    pub hash: Hash128,
    /// In the order of the table's columns.
    pub texts: Vec<Option<String>>,
}

/// The key of a dimension: the first 64 bits of its content hash.
#[must_use]
pub fn id_of(hash: Hash128) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Content hash of a dimension of `tenant`; `scratch` saves allocations and is cleared first.
#[must_use]
pub fn hash_of(
    kind: DimensionKind,
    tenant: &TenantId,
    texts: &[Option<&str>],
    scratch: &mut Vec<u8>,
) -> Hash128 {
    scratch.clear();
    scratch.push(kind as u8);
    for text in [Some(tenant.as_str())].iter().chain(texts) {
        // A text is shorter than a message: its length never reads as null.
        let length = text.map_or(u32::MAX, |text| text.len() as u32);
        scratch.extend_from_slice(&length.to_le_bytes());
        scratch.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    Hash128::of(scratch)
}

/// The columns of a batch of lines that make up their dimensions.
pub struct LineTexts<'a> {
    source: &'a SourceId,
    currency: &'a TextColumn,
    billing_period: &'a TextColumn,
    cells: [Option<&'a TextColumn>; BILLING_TEXTS - 3],
}

impl<'a> LineTexts<'a> {
    /// Of this batch.
    #[must_use]
    pub fn new(source: &'a SourceId, lines: &'a Lines) -> Self {
        let names = [
            cell::INVOICE,
            cell::RESOURCE_ID,
            cell::PRODUCT_CATEGORY,
            cell::PRODUCT_TYPE,
            cell::PROVIDER,
            cell::BILLING_ACCOUNT,
            cell::SUB_ACCOUNT,
            cell::SERVICE,
            cell::CHARGE_CATEGORY,
            cell::CHARGE_CLASS,
            cell::PRICING_UNIT,
            cell::CONSUMED_UNIT,
        ];
        let cells = names.map(|name| lines.cell(name));
        Self { source, currency: &lines.currency, billing_period: &lines.billing_period, cells }
    }

    /// Texts of line `i`, in the order of `billing_dimensions`.
    #[must_use]
    pub fn of(&self, i: usize) -> [Option<&'a str>; BILLING_TEXTS] {
        let cells = self.cells.map(|column| column.and_then(|column| column.get(i)));
        let [invoice, resource, category, product, provider, payer, account, service, rest @ ..] =
            cells;
        let [charge_category, charge_class, pricing_unit, consumed_unit] = rest;
        [
            Some(self.source.as_str()),
            self.currency.get(i),
            self.billing_period.get(i),
            invoice,
            resource,
            category,
            // FOCUS has no product type of its own: the service stands in.
            product.or(service),
            provider,
            payer,
            account,
            service,
            charge_category,
            charge_class,
            pricing_unit,
            consumed_unit,
        ]
    }
}

/// Texts of a row's dimension, in the order of `chargeback_dimensions`, handed to `then`.
pub fn with_row_texts<T>(
    source: &SourceId,
    currency: &str,
    billing_period: &str,
    row: &RowDimension,
    then: impl FnOnce(&[Option<&str>; CHARGEBACK_TEXTS]) -> T,
) -> T {
    let booking = row.booking_period.map(|period| period.to_string());
    let (tier, part) = (row.tier.to_string(), row.part.to_string());
    then(&[
        Some(source.as_str()),
        Some(currency),
        Some(billing_period),
        Some(booking.as_deref().unwrap_or(billing_period)),
        Some(&row.rule),
        Some(&tier),
        Some(&part),
        Some(&row.identity),
        Some(&row.owner),
        Some(row.cost_type.word()),
        Some(&row.method),
        row.detail.as_deref(),
        Some(row.entry.word()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimension_is_its_content() {
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        let mut scratch = Vec::new();
        let mut hash =
            |kind, tenant, texts: &[Option<&str>]| hash_of(kind, tenant, texts, &mut scratch);
        let kind = DimensionKind::Billing;
        let one = hash(kind, &a, &[Some("x"), None, Some("")]);
        assert_eq!(one, hash(kind, &a, &[Some("x"), None, Some("")]));
        for other in [
            hash(kind, &b, &[Some("x"), None, Some("")]),
            hash(DimensionKind::Chargeback, &a, &[Some("x"), None, Some("")]),
            hash(kind, &a, &[Some("x"), Some(""), Some("")]),
            hash(kind, &a, &[Some("x"), None, None]),
            hash(kind, &a, &[Some(""), Some("x"), None]),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(id_of(Hash128([0xff; 16])), -1);
    }
}
