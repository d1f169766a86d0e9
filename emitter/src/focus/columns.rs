//! The columns of FOCUS 1.2 and 1.3, in the order of our files, and what fills them.

use std::sync::LazyLock;

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
    /// A JSON object to the letter, or nothing.
    Object,
    /// Of the row, where its line was split: see [`super::allocated`].
    Allocated(Allocated),
    /// The line's text.
    Text(Missing),
}

/// What FOCUS 1.3 says of a part of a split line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocated {
    /// By which method it was split.
    Method,
    /// How much of the line it is, and why.
    Details,
    /// Who receives it: id and name.
    Receiver,
    /// The line's tags, and the receiver.
    Tags,
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

/// What stands for a text that a bill lacks although FOCUS wants one: the columns in this order, then the word.
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
const HOST: &str = "HostProviderName";
const ISSUER: &str = "InvoiceIssuerName";
const PUBLISHER: &str = "PublisherName";

/// A version of FOCUS that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 57 columns; what was split is told in columns of ours.
    V1_2,
    /// 65 columns.
    V1_3,
}

impl Version {
    /// As configured; left out: 1.2.
    #[must_use]
    pub fn of(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("1.2") => Some(Self::V1_2),
            Some("1.3") => Some(Self::V1_3),
            Some(_) => None,
        }
    }

    /// Its columns, by name.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        static ALL: LazyLock<Vec<Column>> = LazyLock::new(|| {
            let mut all = [&COLUMNS[..], &ADDED].concat();
            all.sort_by_key(|column| column.name);
            all
        });
        match self {
            Self::V1_2 => &COLUMNS,
            Self::V1_3 => &ALL,
        }
    }
}

/// What FOCUS 1.3 adds. `ContractApplied` is a dimension of the line: its parts all have it whole.
const ADDED: [Column; 8] = [
    of("AllocatedMethodDetails", Content::Allocated(Allocated::Details)),
    of("AllocatedMethodId", Content::Allocated(Allocated::Method)),
    of("AllocatedResourceId", Content::Allocated(Allocated::Receiver)),
    of("AllocatedResourceName", Content::Allocated(Allocated::Receiver)),
    of("AllocatedTags", Content::Allocated(Allocated::Tags)),
    of("ContractApplied", Content::Object),
    filled(HOST, Missing::OfProvider([SELLER, cell::PROVIDER, PUBLISHER])),
    filled(SELLER, Missing::OfProvider([cell::PROVIDER, PUBLISHER, ISSUER])),
];

/// The 57 of FOCUS 1.2, by name.
const COLUMNS: [Column; 57] = [
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

/// The provider's own columns, which files carry behind ours: the name that each has there, and its own; by the first.
///
/// One that is named as one of ours, whatever its case, gets `Provider` into its name: `x_OwnerId` becomes
/// `x_ProviderOwnerId`, and again where that is taken too.
#[must_use]
pub fn of_provider(names: &[String]) -> Vec<(String, String)> {
    let is_ours = |name: &str| OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
    let mut written: Vec<(String, String)> = Vec::with_capacity(names.len());
    for name in names {
        let mut free = name.clone();
        let taken = |free: &str| {
            let others = written.iter().map(|(other, _)| other).chain(names);
            is_ours(free)
                || free != name && others.into_iter().any(|o| o.eq_ignore_ascii_case(free))
        };
        while taken(&free) {
            free =
                format!("{OWN_PREFIX}Provider{}", free.strip_prefix(OWN_PREFIX).unwrap_or(&free));
        }
        written.push((free, name.clone()));
    }
    written.sort_unstable();
    written
}

/// How columns begin that are not FOCUS'.
pub const OWN_PREFIX: &str = "x_";

#[cfg(test)]
mod tests {
    use super::*;
    use proto::config::field::FOCUS_COLUMNS;

    #[test]
    fn columns_are_sorted_and_named_as_focus_wants() {
        let all = Version::V1_3.columns();
        for (columns, count) in [(Version::V1_2.columns(), 57), (all, 65)] {
            assert!(columns.is_sorted_by(|a, b| a.name < b.name) && columns.len() == count);
        }
        let names: Vec<&str> = all.iter().map(|column| column.name).collect();
        assert_eq!(names, FOCUS_COLUMNS);
        let custom = |name: &str| name.starts_with("x_") && name.len() <= 50;
        assert!(OWN.iter().all(|name| custom(name)));
        let numbers = COLUMNS.iter().filter(|c| match c.content {
            Content::Cost(_) | Content::Quantity(_) | Content::Split(_) | Content::Number => true,
            Content::Time(_) | Content::Currency | Content::Json | Content::Text(_) => false,
            Content::Object | Content::Allocated(_) => false,
        });
        assert_eq!(numbers.count(), 12);
    }

    #[test]
    fn a_providers_columns_keep_their_names_where_they_can() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let bill = ["x_Discount", "x_OwnerId", "x_ProviderOwnerId", "x_a", "x_ownerid"];
        let found: Vec<String> =
            of_provider(&names(&bill)).iter().map(|(name, own)| format!("{name}={own}")).collect();
        let wanted = [
            "x_Discount=x_Discount",
            "x_ProviderOwnerId=x_ProviderOwnerId",
            "x_ProviderProviderOwnerId=x_OwnerId",
            "x_ProviderProviderProviderownerid=x_ownerid",
            "x_a=x_a",
        ];
        assert_eq!(found, wanted);
    }
}
