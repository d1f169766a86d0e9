//! Charges as a CSV file with the 57 columns of FOCUS 1.2.

use super::charge::{Charge, DAYS, MONTH, Service, day, text};

/// A column: its name, and its cell in a charge.
type Column = (&'static str, fn(&Charge) -> String);

/// All columns, in the order in which providers write them.
const COLUMNS: [Column; 57] = [
    ("ProviderName", |c| c.provider.name.into()),
    ("PublisherName", |c| c.provider.name.into()),
    ("InvoiceIssuerName", |c| c.provider.name.into()),
    ("InvoiceId", |c| format!("{}-{MONTH}", c.provider.invoice)),
    ("BillingAccountId", |c| c.provider.account.0.into()),
    ("BillingAccountName", |c| c.provider.account.1.into()),
    ("BillingAccountType", |c| c.provider.account_types.0.into()),
    ("SubAccountId", |c| c.account.0.into()),
    ("SubAccountName", |c| c.account.1.into()),
    ("SubAccountType", |c| when(!c.account.0.is_empty(), c.provider.account_types.1)),
    ("BillingPeriodStart", |_| day(1).start().to_string()),
    ("BillingPeriodEnd", |_| day(DAYS + 1).start().to_string()),
    ("ChargePeriodStart", |c| c.start.to_string()),
    ("ChargePeriodEnd", |c| c.end.to_string()),
    ("ChargeCategory", |c| c.category.into()),
    ("ChargeClass", |c| c.class.into()),
    ("ChargeDescription", |c| c.description.clone()),
    ("ChargeFrequency", |c| c.frequency.into()),
    ("BilledCost", |c| text(c.costs.billed)),
    ("EffectiveCost", |c| text(c.costs.effective)),
    ("ListCost", |c| text(c.costs.list)),
    ("ContractedCost", |c| text(c.costs.contracted)),
    ("ListUnitPrice", list_price),
    ("ContractedUnitPrice", price),
    ("PricingCategory", |c| c.pricing.into()),
    ("PricingQuantity", quantity),
    ("PricingUnit", unit),
    ("PricingCurrency", |c| c.provider.currency.into()),
    ("PricingCurrencyContractedUnitPrice", price),
    ("PricingCurrencyEffectiveCost", |c| text(c.costs.effective)),
    ("PricingCurrencyListUnitPrice", list_price),
    ("BillingCurrency", |c| c.provider.currency.into()),
    ("ConsumedQuantity", |c| when(c.category == "Usage", &quantity(c))),
    ("ConsumedUnit", |c| when(c.category == "Usage", &unit(c))),
    ("ServiceName", |c| service(c, |s| s.name)),
    ("ServiceCategory", |c| service(c, |s| s.category)),
    ("ServiceSubcategory", |c| service(c, |s| s.subcategory)),
    ("SkuId", |c| when(c.quantity.is_some(), &service(c, |s| s.sku))),
    ("SkuMeter", |c| when(c.quantity.is_some(), &service(c, |s| s.subcategory))),
    ("SkuPriceId", |c| {
        let sku = service(c, |s| s.sku);
        when(c.quantity.is_some(), &format!("{sku}.{}", c.pricing))
    }),
    ("SkuPriceDetails", |_| String::new()),
    ("ResourceId", |c| c.resource.as_ref().map(|r| r.0.clone()).unwrap_or_default()),
    ("ResourceName", |c| c.resource.as_ref().map(|r| r.1.clone()).unwrap_or_default()),
    ("ResourceType", |c| when(c.resource.is_some(), &service(c, |s| s.resource_type))),
    ("RegionId", |c| c.region.0.into()),
    ("RegionName", |c| c.region.1.into()),
    ("AvailabilityZone", |_| String::new()),
    ("CommitmentDiscountId", |c| c.discount.id.into()),
    ("CommitmentDiscountName", |c| c.discount.name.into()),
    ("CommitmentDiscountCategory", |c| when(!c.discount.id.is_empty(), "Spend")),
    ("CommitmentDiscountType", |c| c.discount.kind.into()),
    ("CommitmentDiscountStatus", |c| c.discount.status.into()),
    ("CommitmentDiscountQuantity", |c| when(committed(c), &text(c.discount.quantity))),
    ("CommitmentDiscountUnit", |c| when(committed(c), c.provider.currency)),
    ("CapacityReservationId", |_| String::new()),
    ("CapacityReservationStatus", |_| String::new()),
    ("Tags", |c| c.tags.clone()),
];

fn when(holds: bool, text: &str) -> String {
    if holds { text.to_owned() } else { String::new() }
}

fn committed(charge: &Charge) -> bool {
    charge.discount.quantity != 0
}

fn service(charge: &Charge, part: fn(&Service) -> &'static str) -> String {
    charge.service.map_or("", part).to_owned()
}

fn quantity(charge: &Charge) -> String {
    charge.quantity.map_or_else(String::new, |(quantity, _)| text(quantity))
}

fn price(charge: &Charge) -> String {
    charge.quantity.map_or_else(String::new, |(_, price)| text(price))
}

fn list_price(charge: &Charge) -> String {
    let listed = charge.service.filter(|_| charge.quantity.is_some());
    listed.map_or_else(String::new, |service| text(service.list_price))
}

fn unit(charge: &Charge) -> String {
    when(charge.quantity.is_some(), &service(charge, |s| s.unit))
}

/// The file's text.
#[must_use]
pub fn csv(charges: &[Charge]) -> String {
    let mut out = String::new();
    row(&mut out, COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    for charge in charges {
        row(&mut out, COLUMNS.iter().map(|(_, cell)| cell(charge)));
    }
    out
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
}
