//! The columns that FOCUS knows, 1.0 to 1.3, and how headers of the wild name them.

/// What stands in the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text; also columns that FOCUS does not know. Part of a line's identity.
    Text,
    /// One of these, written so. Other case is mended to it; other values are kept as they are.
    Enum(&'static [&'static str]),
    /// A time: written in one form, whatever form it comes in; what is none is kept as it stands.
    Time,
    /// Tags, likewise.
    Tags,
    /// A number: never part of a line's identity, because bills hold lines that differ in nothing else.
    Decimal,
}

/// A column of FOCUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Canonical name.
    pub name: &'static str,
    /// What stands in it.
    pub kind: Kind,
}

/// Name of the column that says when a charge starts.
pub const CHARGE_START: &str = "ChargePeriodStart";
/// Name of the column that says when a charge ends.
pub const CHARGE_END: &str = "ChargePeriodEnd";
/// Name of the column that says in which billing period a charge lies.
pub const BILLING_START: &str = "BillingPeriodStart";
/// Name of the column of the currency of all four costs.
pub const CURRENCY: &str = "BillingCurrency";
/// Names of the two quantities that lines carry as numbers, in their order there.
pub const QUANTITIES: [&str; 2] = ["PricingQuantity", "ConsumedQuantity"];

const CHARGE_CATEGORY: Kind = Kind::Enum(&["Usage", "Purchase", "Tax", "Credit", "Adjustment"]);
const CHARGE_CLASS: Kind = Kind::Enum(&["Correction"]);
const CHARGE_FREQUENCY: Kind = Kind::Enum(&["One-Time", "Recurring", "Usage-Based"]);
const PRICING_CATEGORY: Kind = Kind::Enum(&["Standard", "Dynamic", "Committed", "Other"]);
const DISCOUNT_CATEGORY: Kind = Kind::Enum(&["Spend", "Usage"]);
const USED: Kind = Kind::Enum(&["Used", "Unused"]);
const SERVICE_CATEGORY: Kind = Kind::Enum(&[
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Multicloud",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
]);

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}
const fn decimal(name: &'static str) -> Column {
    Column { name, kind: Kind::Decimal }
}
const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const fn time(name: &'static str) -> Column {
    Column { name, kind: Kind::Time }
}

/// All of them, sorted by name. The place of a column in here is its number in a spool.
pub const COLUMNS: [Column; 65] = [
    text("AllocatedMethodDetails"),
    text("AllocatedMethodId"),
    text("AllocatedResourceId"),
    text("AllocatedResourceName"),
    text("AllocatedTags"),
    text("AvailabilityZone"),
    decimal("BilledCost"),
    text("BillingAccountId"),
    text("BillingAccountName"),
    text("BillingAccountType"),
    text("BillingCurrency"),
    time("BillingPeriodEnd"),
    time("BillingPeriodStart"),
    text("CapacityReservationId"),
    of("CapacityReservationStatus", USED),
    of("ChargeCategory", CHARGE_CATEGORY),
    of("ChargeClass", CHARGE_CLASS),
    text("ChargeDescription"),
    of("ChargeFrequency", CHARGE_FREQUENCY),
    time("ChargePeriodEnd"),
    time("ChargePeriodStart"),
    of("CommitmentDiscountCategory", DISCOUNT_CATEGORY),
    text("CommitmentDiscountId"),
    text("CommitmentDiscountName"),
    decimal("CommitmentDiscountQuantity"),
    of("CommitmentDiscountStatus", USED),
    text("CommitmentDiscountType"),
    text("CommitmentDiscountUnit"),
    decimal("ConsumedQuantity"),
    text("ConsumedUnit"),
    text("ContractApplied"),
    decimal("ContractedCost"),
    decimal("ContractedUnitPrice"),
    decimal("EffectiveCost"),
    text("HostProviderName"),
    text("InvoiceId"),
    text("InvoiceIssuerName"),
    decimal("ListCost"),
    decimal("ListUnitPrice"),
    of("PricingCategory", PRICING_CATEGORY),
    text("PricingCurrency"),
    decimal("PricingCurrencyContractedUnitPrice"),
    decimal("PricingCurrencyEffectiveCost"),
    decimal("PricingCurrencyListUnitPrice"),
    decimal("PricingQuantity"),
    text("PricingUnit"),
    text("ProviderName"),
    text("PublisherName"),
    text("RegionId"),
    text("RegionName"),
    text("ResourceId"),
    text("ResourceName"),
    text("ResourceType"),
    of("ServiceCategory", SERVICE_CATEGORY),
    text("ServiceName"),
    text("ServiceProviderName"),
    text("ServiceSubcategory"),
    text("SkuId"),
    text("SkuMeter"),
    text("SkuPriceDetails"),
    text("SkuPriceId"),
    text("SubAccountId"),
    text("SubAccountName"),
    text("SubAccountType"),
    of("Tags", Kind::Tags),
];

/// The number of a column by its canonical name.
#[must_use]
pub fn number(name: &str) -> Option<usize> {
    COLUMNS.binary_search_by(|column| column.name.cmp(name)).ok()
}

/// The number of the FOCUS column that a header means: letter case, blanks, `_` and `-` do not count
/// (`billedCost`, `Billed Cost`, `BILLED_COST`). Columns of the provider's own (`x_…`) are never mistaken for one.
#[must_use]
pub fn recognise(header: &str) -> Option<usize> {
    if header.starts_with("x_") || header.starts_with("X_") {
        return None;
    }
    let plain = |b: &u8| !matches!(b, b' ' | b'_' | b'-');
    let meant = |name: &str| {
        header
            .bytes()
            .filter(plain)
            .map(|b| b.to_ascii_lowercase())
            .eq(name.bytes().map(|b| b.to_ascii_lowercase()))
    };
    number(header).or_else(|| COLUMNS.iter().position(|column| meant(column.name)))
}

/// The value of an enumeration that a cell means, if it differs from it in letter case alone.
#[must_use]
pub fn mend_case<'t>(text: &'t str, allowed: &[&'static str]) -> &'t str {
    if allowed.contains(&text) {
        return text;
    }
    let trimmed = text.trim();
    allowed.iter().find(|value| value.eq_ignore_ascii_case(trimmed)).copied().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_sorted_and_found_as_people_write_them() {
        assert!(COLUMNS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(COLUMNS.iter().filter(|c| c.kind == Kind::Decimal).count(), 12);
        let billed = number("BilledCost");
        for header in
            ["BilledCost", "billedCost", "BILLEDCOST", "billed_cost", "Billed Cost", "billed-cost"]
        {
            assert_eq!(recognise(header), billed, "{header}");
        }
        for header in ["x_BilledCost", "BilledCosts", "Id", "", "Kosten"] {
            assert_eq!(recognise(header), None, "{header}");
        }
    }

    #[test]
    fn enumerations_get_their_case_back() {
        let Kind::Enum(allowed) = COLUMNS[number("ChargeFrequency").unwrap()].kind else {
            panic!("an enumeration")
        };
        assert_eq!(mend_case("Usage-based", allowed), "Usage-Based");
        assert_eq!(mend_case(" one-time", allowed), "One-Time");
        assert_eq!(mend_case("Sometimes", allowed), "Sometimes");
    }
}
