//! One row of a FOCUS 1.2 bill, and what it is made of.

use proto::money::Amount;
use proto::time::{UnitDate, UtcSeconds};

/// Units of 10^-10: money, prices and quantities of the generator. Whole numbers, so that nothing is rounded by chance.
pub type Units = i128;
/// One of anything.
pub const ONE: Units = 10_000_000_000;
const SCALE: u32 = 10;

/// Plain decimal text of units.
#[must_use]
pub fn text(units: Units) -> String {
    Amount::from_parts(units, SCALE)
        .expect("the demo's amounts have fewer than 28 digits")
        .to_string()
}

/// `amount` times `factor`, both in units; what is below 10^-10 goes.
#[must_use]
pub fn times(amount: Units, factor: Units) -> Units {
    amount * factor / ONE
}

/// The first day of the demo's month.
pub const MONTH: &str = "2026-09";
/// Days of the demo's month.
pub const DAYS: u8 = 30;

/// Day `day` (from 1) of the demo's month; `DAYS` + 1 is the first of the next.
#[must_use]
pub fn day(day: u8) -> UnitDate {
    let first: UnitDate = "2026-09-01".parse().expect("2026-09-01 is a date");
    first.plus_days(i64::from(day) - 1).expect("2026 lies in the calendar")
}

/// Who sends the bill.
#[derive(Debug, Clone, Copy)]
pub struct Provider {
    /// Its name.
    pub name: &'static str,
    /// Billing account.
    pub account: (&'static str, &'static str),
    /// What it calls a billing account and a sub account.
    pub account_types: (&'static str, &'static str),
    /// Currency of all amounts.
    pub currency: &'static str,
    /// Start of its invoice ids.
    pub invoice: &'static str,
}

/// What a charge is for, apart from a resource.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Name, category and subcategory.
    pub name: &'static str,
    /// FOCUS' ServiceCategory.
    pub category: &'static str,
    /// FOCUS' ServiceSubcategory.
    pub subcategory: &'static str,
    /// Type of its resources.
    pub resource_type: &'static str,
    /// Unit of its quantities.
    pub unit: &'static str,
    /// List price of one unit.
    pub list_price: Units,
    /// What is sold.
    pub sku: &'static str,
}

/// A resource that costs money.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Id as the provider writes it.
    pub id: String,
    /// Name.
    pub name: String,
    /// What it is an instance of.
    pub service: &'static Service,
    /// Sub account: id and name.
    pub account: (&'static str, &'static str),
    /// Region: id and name.
    pub region: (&'static str, &'static str),
    /// JSON object; empty: none.
    pub tags: String,
    /// Quantity of a usual day, in units.
    pub daily: Units,
    /// Billed by the hour instead of by the day.
    pub hourly: bool,
    /// A commitment may cover it.
    pub covered: bool,
}

/// A commitment and its part in a charge.
#[derive(Debug, Clone, Default)]
pub struct Discount {
    /// Its id; empty: none.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `Savings Plan`, `Reservation`.
    pub kind: &'static str,
    /// `Used`, `Unused`, or empty for its purchase.
    pub status: &'static str,
    /// Quantity of the commitment that the charge uses, in units.
    pub quantity: Units,
}

/// The four costs of a charge, in units.
#[derive(Debug, Clone, Copy, Default)]
pub struct Costs {
    /// What the invoice says.
    pub billed: Units,
    /// With commitments spread over what they cover.
    pub effective: Units,
    /// At contract prices.
    pub contracted: Units,
    /// At list prices.
    pub list: Units,
}

impl Costs {
    /// The same in all four.
    #[must_use]
    pub fn all(cost: Units) -> Self {
        Self { billed: cost, effective: cost, contracted: cost, list: cost }
    }
}

/// One row. The four costs are in the provider's currency.
#[derive(Debug, Clone)]
pub struct Charge {
    /// Who sends it.
    pub provider: &'static Provider,
    /// Start of the charge period.
    pub start: UtcSeconds,
    /// End of it, exclusive.
    pub end: UtcSeconds,
    /// Usage, Purchase, Tax, Credit, Adjustment.
    pub category: &'static str,
    /// `Correction` or nothing.
    pub class: &'static str,
    /// One-Time, Recurring, Usage-Based.
    pub frequency: &'static str,
    /// For people.
    pub description: String,
    /// What it costs.
    pub costs: Costs,
    /// Quantity and what one unit costs by contract; `None` where nothing is counted.
    pub quantity: Option<(Units, Units)>,
    /// Standard, Committed, …; nothing for tax and credits.
    pub pricing: &'static str,
    /// The service, where it is for one.
    pub service: Option<&'static Service>,
    /// Sub account: id and name.
    pub account: (&'static str, &'static str),
    /// The resource, where it is for one.
    pub resource: Option<(String, String)>,
    /// Region: id and name.
    pub region: (&'static str, &'static str),
    /// The commitment that covers it.
    pub discount: Discount,
    /// JSON object; empty: none.
    pub tags: String,
}

impl Charge {
    /// A charge of `provider` without amounts, for people to fill in.
    #[must_use]
    pub fn new(
        provider: &'static Provider,
        start: UtcSeconds,
        end: UtcSeconds,
        category: &'static str,
    ) -> Self {
        Self {
            provider,
            start,
            end,
            category,
            class: "",
            frequency: "One-Time",
            description: String::new(),
            costs: Costs::default(),
            quantity: None,
            pricing: "",
            service: None,
            account: ("", ""),
            resource: None,
            region: ("", ""),
            discount: Discount::default(),
            tags: String::new(),
        }
    }
}
