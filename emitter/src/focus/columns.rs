//! The columns of FOCUS 1.2, in the order of our files, and what fills them.

use proto::line::{Measure, cell};

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The row's part of a cost.
    Cost(Measure),
    /// The row's part of the pricing (0) or consumed (1) quantity.
    Quantity(usize),
    /// The row's part of a number that lines keep as a cell: [`SPLIT_CELLS`].
    Split(usize),
    /// A number of the line, such as a unit price.
    Number,
    /// A time of the line.
    Time(Time),
    /// The currency of the four costs.
    Currency,
    /// Flat JSON, or nothing.
    Json,
    /// The line's text.
    Text(Missing),
}

/// Times of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// First month's day of the billing period, unless the bill says another.
    BillingStart,
    /// First day of the month after, unless the bill says another.
    BillingEnd,
    /// Inclusive.
    ChargeStart,
    /// Exclusive.
    ChargeEnd,
}

/// What stands for a text that a bill lacks although FOCUS 1.2 wants one: the columns in this order, then the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: it may be absent.
    Null,
    /// The first of these columns that is there, else the source's id.
    OfProvider([&'static str; 3]),
    /// The tenant.
    Tenant,
    /// This word.
    Word(&'static str),
    /// By charge category: Usage-Based for usage, Recurring for purchases, else One-Time.
    Frequency,
    /// The kind of product, else the service category, else Other.
    Service,
    /// `Other (…)` of the service category, as FOCUS lists it.
    Subcategory,
    /// This column, where it is there: the same text names what has no name of its own.
    Same(&'static str),
    /// The word, where this column is there.
    If(&'static str, &'static str),
    /// `Count`, where the pricing (0) or consumed (1) quantity is there.
    Unit(usize),
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub content: Content,
}

const fn of(name: &'static str, content: Content) -> Column {
    Column { name, content }
}
const fn text(name: &'static str) -> Column {
    of(name, Content::Text(Missing::Null))
}
const fn filled(name: &'static str, missing: Missing) -> Column {
    of(name, Content::Text(missing))
}

/// Numbers that lines keep as cells and rows have their parts of.
pub const SPLIT_CELLS: [&str; 2] = ["CommitmentDiscountQuantity", "PricingCurrencyEffectiveCost"];
/// Quantities by their number.
pub const QUANTITIES: [&str; 2] = ["PricingQuantity", "ConsumedQuantity"];

/// Who sells, by the words of FOCUS 1.3.
const SELLER: &str = "ServiceProviderName";
const ISSUER: &str = "InvoiceIssuerName";
const PUBLISHER: &str = "PublisherName";

/// All 57, by name.
pub const COLUMNS: [Column; 57] = [
    text("AvailabilityZone"),
    of("BilledCost", Content::Cost(Measure::Billed)),
    filled(cell::BILLING_ACCOUNT, Missing::Tenant),
    text("BillingAccountName"),
    filled("BillingAccountType", Missing::Word("Billing Account")),
    of("BillingCurrency", Content::Currency),
    of("BillingPeriodEnd", Content::Time(Time::BillingEnd)),
    of("BillingPeriodStart", Content::Time(Time::BillingStart)),
    text("CapacityReservationId"),
    text("CapacityReservationStatus"),
    filled(cell::CHARGE_CATEGORY, Missing::Word("Usage")),
    text(cell::CHARGE_CLASS),
    text("ChargeDescription"),
    filled("ChargeFrequency", Missing::Frequency),
    of("ChargePeriodEnd", Content::Time(Time::ChargeEnd)),
    of("ChargePeriodStart", Content::Time(Time::ChargeStart)),
    text("CommitmentDiscountCategory"),
    text("CommitmentDiscountId"),
    text("CommitmentDiscountName"),
    of(SPLIT_CELLS[0], Content::Split(0)),
    text("CommitmentDiscountStatus"),
    text("CommitmentDiscountType"),
    text("CommitmentDiscountUnit"),
    of(QUANTITIES[1], Content::Quantity(1)),
    filled(cell::CONSUMED_UNIT, Missing::Unit(1)),
    of("ContractedCost", Content::Cost(Measure::Contracted)),
    of("ContractedUnitPrice", Content::Number),
    of("EffectiveCost", Content::Cost(Measure::Effective)),
    text(cell::INVOICE),
    filled(ISSUER, Missing::OfProvider([cell::PROVIDER, SELLER, PUBLISHER])),
    of("ListCost", Content::Cost(Measure::List)),
    of("ListUnitPrice", Content::Number),
    text("PricingCategory"),
    text("PricingCurrency"),
    of("PricingCurrencyContractedUnitPrice", Content::Number),
    of(SPLIT_CELLS[1], Content::Split(1)),
    of("PricingCurrencyListUnitPrice", Content::Number),
    of(QUANTITIES[0], Content::Quantity(0)),
    filled(cell::PRICING_UNIT, Missing::Unit(0)),
    filled(cell::PROVIDER, Missing::OfProvider([SELLER, ISSUER, PUBLISHER])),
    filled(PUBLISHER, Missing::OfProvider([cell::PROVIDER, SELLER, ISSUER])),
    text("RegionId"),
    text("RegionName"),
    text(cell::RESOURCE_ID),
    text("ResourceName"),
    text("ResourceType"),
    filled(cell::PRODUCT_CATEGORY, Missing::Word("Other")),
    filled(cell::SERVICE, Missing::Service),
    filled("ServiceSubcategory", Missing::Subcategory),
    text("SkuId"),
    text("SkuMeter"),
    of("SkuPriceDetails", Content::Json),
    text("SkuPriceId"),
    text(cell::SUB_ACCOUNT),
    filled("SubAccountName", Missing::Same(cell::SUB_ACCOUNT)),
    filled("SubAccountType", Missing::If(cell::SUB_ACCOUNT, "Sub Account")),
    of(cell::TAGS, Content::Json),
];

/// Our own columns, behind those of FOCUS: who receives the part, why, and of what it is a part. The share is one text,
/// `1/3`: readers that guess types choke on whole numbers as wide as its terms can be.
pub const OWN: [&str; 19] = [
    "x_TenantId",
    "x_SourceId",
    "x_IdentityId",
    "x_OwnerId",
    "x_CostType",
    "x_AllocationRuleId",
    "x_AllocationTier",
    "x_AllocationPart",
    "x_AllocationMethod",
    "x_AllocationDetail",
    "x_AllocationShare",
    "x_BookingPeriod",
    "x_Entry",
    "x_OriginLineId",
    "x_OriginBilledCost",
    "x_OriginEffectiveCost",
    "x_OriginContractedCost",
    "x_OriginListCost",
    "x_OriginRows",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_sorted_and_named_as_focus_wants() {
        assert!(COLUMNS.is_sorted_by(|a, b| a.name < b.name));
        let custom = |name: &str| name.starts_with("x_") && name.len() <= 50;
        assert!(OWN.iter().all(|name| custom(name)) && !COLUMNS.iter().any(|c| custom(c.name)));
        let numbers = COLUMNS.iter().filter(|c| match c.content {
            Content::Cost(_) | Content::Quantity(_) | Content::Split(_) | Content::Number => true,
            Content::Time(_) | Content::Currency | Content::Json | Content::Text(_) => false,
        });
        assert_eq!(numbers.count(), 12);
    }
}
