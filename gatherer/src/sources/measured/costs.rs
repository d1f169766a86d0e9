//! Quantities, prices and lines: pure.

use proto::config::{MeasuredCost, MeasuredQuantity, MeasuredSettings};
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, cell};
use proto::money::{Amount, ExactSum};
use proto::time::{UnitDate, UtcSeconds};

use super::days::{DAY, Measurement};
use crate::identity::{Identity, line_id, tag};
use crate::metrics::{MetricQuery, Sampling, Shape};

/// Bytes of a GiB.
const GIB: u128 = 1 << 30;
/// Hours of a UTC day.
const HOURS: u32 = 24;

/// Who measures itself has no other provider.
const PROVIDER: &str = "Self-managed";

/// The question of a cost, if it has one.
pub fn query(cost: &MeasuredCost, step: u32) -> Option<MetricQuery> {
    Some(MetricQuery {
        name: cost.product_type.clone(),
        expression: cost.quantity.query()?.to_owned(),
        labels: Vec::new(),
        sampling: sampling(&cost.quantity),
        shape: Shape::Range { step },
    })
}

/// Where in a step the samples of a quantity belong.
pub fn sampling(quantity: &MeasuredQuantity) -> Sampling {
    match quantity {
        MeasuredQuantity::NetworkGib { .. } => Sampling::Backward,
        MeasuredQuantity::StorageGib { .. } | MeasuredQuantity::Fixed { .. } => Sampling::Forward,
    }
}

/// Quantity and cost of a day.
///
/// # Errors
/// What cannot be held, and how to mend it.
pub fn priced(
    cost: &MeasuredCost,
    measured: Option<Measurement>,
) -> Result<Option<(Amount, Amount)>, String> {
    let (sum, times, divisor) = match (&cost.quantity, measured) {
        (MeasuredQuantity::Fixed { count }, _) => {
            let mut sum = ExactSum::ZERO;
            sum.add(*count);
            (sum, HOURS, 1)
        }
        (_, None) => return Ok(None),
        (MeasuredQuantity::StorageGib { .. }, Some(day)) => {
            (day.sum, HOURS, u128::from(day.moments) * GIB)
        }
        (MeasuredQuantity::NetworkGib { .. }, Some(day)) => (day.sum, 1, GIB),
    };
    let quantity = sum.priced(Amount::ONE, times, divisor);
    // The price of what was measured, not of the rounded quantity.
    let amount = sum.priced(cost.rate, times, divisor);
    quantity.zip(amount).map(Some).ok_or_else(|| {
        let name = &cost.product_type;
        format!("the quantity of {name} is too large to be priced: check the unit of its query")
    })
}

/// Makes the lines of a source.
pub struct Lines<'s> {
    settings: &'s MeasuredSettings,
    service: &'static str,
    identity: Identity,
}

impl<'s> Lines<'s> {
    /// Of this source.
    pub fn new(
        settings: &'s MeasuredSettings,
        service: &'static str,
        (tenant, source): (&TenantId, &SourceId),
    ) -> Self {
        Self { settings, service, identity: Identity::new(tenant, source) }
    }

    /// The line of a day and cost.
    pub fn line(
        &mut self,
        date: UnitDate,
        cost: &MeasuredCost,
        (quantity, amount): (Amount, Amount),
    ) -> BillingLineItem {
        let settings = self.settings;
        let cells = [
            (cell::CHARGE_CATEGORY, Some("Usage")),
            (cell::PRICING_UNIT, Some(cost.quantity.unit())),
            (cell::PROVIDER, Some(PROVIDER)),
            ("RegionId", settings.region.as_deref()),
            (cell::RESOURCE_ID, Some(settings.cluster.as_str())),
            ("ResourceName", settings.display_name.as_deref()),
            (cell::PRODUCT_CATEGORY, Some(cost.category.as_str())),
            (cell::SERVICE, Some(self.service)),
            (cell::PRODUCT_TYPE, Some(cost.product_type.as_str())),
        ];
        let cells = cells.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let cells: Vec<(String, String)> =
            cells.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        self.identity.begin();
        cells.iter().for_each(|(name, text)| self.identity.cell(tag(name), text.as_bytes()));
        let (start, end) = (date.start(), UtcSeconds(date.start().0 + DAY));
        let base = self.identity.base(start, end, date.period(), settings.currency);
        BillingLineItem {
            id: line_id(base, 0),
            charge_start: start,
            charge_end: end,
            billing_period: date.period(),
            currency: settings.currency,
            amount,
            measures: [None; 4],
            quantities: [Some(quantity), None],
            resolution_key: Some(settings.cluster.clone()),
            cells,
        }
    }
}
