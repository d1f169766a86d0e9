//! Generated bills: seeded, small, and with the difficulties of real ones.

use std::collections::BTreeMap;

use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::Amount;
use proto::time::UnitDate;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

/// The columns of every bill, in this order.
pub const COLUMNS: [&str; 26] = [
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceId",
    "ListCost",
    "ProviderName",
    "ResourceId",
    "ResourceName",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "Tags",
    "x_Note",
];

/// One line of a bill: column to cell. What is not there is written as `NULL` or empty, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The day that it is charged for.
    pub date: UnitDate,
    cells: BTreeMap<&'static str, String>,
}

impl Line {
    /// A line with the columns that every line has; all four costs are `cost`.
    #[must_use]
    pub fn new(date: UnitDate, currency: &str, cost: &str) -> Self {
        let line = Self { date, cells: BTreeMap::new() };
        let month = date.period();
        line.set("BillingCurrency", currency)
            .set("BillingPeriodStart", &format!("{month}-01T00:00:00Z"))
            .set("ChargePeriodStart", &format!("{date}T00:00:00Z"))
            .set("ChargeCategory", "Usage")
            .set("ProviderName", "AWS")
            .cost(cost)
    }

    /// The same with another cell.
    #[must_use]
    pub fn set(mut self, column: &'static str, text: &str) -> Self {
        assert!(COLUMNS.contains(&column), "bills have no column {column}");
        self.cells.insert(column, text.to_owned());
        self
    }

    /// The same with all four costs.
    #[must_use]
    pub fn cost(self, cost: &str) -> Self {
        Measure::ALL.iter().fold(self, |line, measure| line.set(measure.column(), cost))
    }

    /// The same, owned by a team.
    #[must_use]
    pub fn team(self, team: &str) -> Self {
        self.set("Tags", &format!(r#"{{"team":"{team}"}}"#))
    }

    /// A cell.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }

    fn amount(&self, measure: Measure) -> Amount {
        let text = self.get(measure.column()).unwrap_or_default();
        Amount::parse(text).expect("bills hold readable costs")
    }
}

/// Lines as a CSV file.
///
/// # Panics
/// Never: it is written to memory.
#[must_use]
pub fn csv<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).expect("memory takes all");
    for line in lines {
        let absent = if line.cells.len().is_multiple_of(2) { "NULL" } else { "" };
        let cells = COLUMNS.map(|column| line.get(column).unwrap_or(absent));
        writer.write_record(cells).expect("memory takes all");
    }
    writer.into_inner().expect("memory takes all")
}

/// What lines come to, by currency; `cost` names the amount.
#[must_use]
pub fn sums<'a>(
    lines: impl IntoIterator<Item = &'a Line>,
    cost: Measure,
) -> BTreeMap<String, Sums> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for line in lines {
        let currency = line.get("BillingCurrency").unwrap_or_default().to_owned();
        let measures = Measure::ALL.map(|measure| Some(line.amount(measure)));
        sums.entry(currency).or_default().add(line.amount(cost), &measures);
    }
    sums
}

/// The same lines in another order.
#[must_use]
pub fn shuffled(lines: &[Line], seed: u64) -> Vec<Line> {
    let mut lines = lines.to_vec();
    lines.shuffle(&mut StdRng::seed_from_u64(seed));
    lines
}

/// A bill of `dates` dates from `first` on, with `per_date` lines and a few more on each.
///
/// Tagged, untagged and shared usage, taxes, credits, commitments paid, used and unused, negative and tiny amounts,
/// exponents, hours, lines that agree in everything or in everything but amounts.
#[must_use]
pub fn bill(seed: u64, currency: &str, first: UnitDate, dates: u32, per_date: u32) -> Vec<Line> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lines = Vec::new();
    for day in 0..dates {
        let date = first.plus_days(i64::from(day)).expect("the calendar goes on");
        lines.extend((0..per_date).map(|number| usage(&mut rng, date, currency, number)));
        lines.extend(specials(&mut rng, date, currency));
    }
    lines
}

/// A cost with up to 16 decimals, as a text of some form.
fn cost(rng: &mut StdRng) -> String {
    let mantissa = rng.random_range(0..1_000_000_000_000_u64);
    match rng.random_range(0..10_u32) {
        0 => "0".to_owned(),
        1 => format!("{}E-7", mantissa / 1_000),
        2 => format!("-0.{mantissa:016}"),
        3 => format!("{}.{:02}0", mantissa / 100_000_000, mantissa % 100),
        _ => format!("{}.{mantissa:012}", mantissa % 90),
    }
}

fn usage(rng: &mut StdRng, date: UnitDate, currency: &str, number: u32) -> Line {
    let hour = number % 24;
    let mut line = Line::new(date, currency, "0")
        .set("ChargePeriodStart", &format!("{date} {hour:02}:00:00"))
        .set("ChargeDescription", "metered, \"by the hour\"\nand so on")
        .set("ResourceId", &format!("i-{}", number % 7))
        .set("ServiceCategory", "Compute")
        .set("ServiceName", "Amazon Elastic Compute Cloud")
        .set("SubAccountId", ["000000000001", "000000000002"][number as usize % 2])
        .set("x_Note", &format!("={number}"));
    for measure in Measure::ALL {
        let cost = cost(rng);
        line = line.set(measure.column(), &cost);
    }
    let teams = ["checkout", "search", " Team-Data-Platform ", "SEARCH", "growth"];
    match number % 5 {
        0 => line,
        1 => line.set("ResourceName", "shared-kafka-1"),
        2 => line.set("ServiceCategory", "Networking").set("ConsumedQuantity", "12.5"),
        _ => line.team(teams.choose(rng).expect("there are teams")),
    }
}

/// What comes once a day.
fn specials(rng: &mut StdRng, date: UnitDate, currency: &str) -> Vec<Line> {
    let line = |cost: &str| Line::new(date, currency, cost);
    let twin = line("1.25").team("search").set("ServiceName", "Amazon S3");
    vec![
        line(&cost(rng)).set("ChargeCategory", "Tax").set("InvoiceId", "0042"),
        line("-3.333333333").set("ChargeCategory", "Credit").set("ResourceId", "i-3"),
        line("0")
            .set("ChargeCategory", "Purchase")
            .set("BilledCost", "700")
            .set("CommitmentDiscountId", "sp-1"),
        line("2.5")
            .set("BilledCost", "0")
            .set("CommitmentDiscountId", "sp-1")
            .set("CommitmentDiscountStatus", "Used")
            .team("checkout"),
        line("0.75")
            .set("BilledCost", "0")
            .set("CommitmentDiscountId", "sp-1")
            .set("CommitmentDiscountStatus", "Unused"),
        // Identical, and both count; the third looks like them in everything but amounts.
        twin.clone(),
        twin.clone(),
        twin.cost("0.0000000000000000000000000001"),
    ]
}

/// The configuration of a tenant for such bills: every tier that needs no driver.
#[must_use]
pub fn tenant(currencies: &str, files: &str, cost: Measure) -> String {
    let cost = cost.column();
    format!(
        r#"currency: [{currencies}]
tags:
  team:
    from: [tag.team]
    values: [trim, lowercase, {{ strip_prefix: "team-" }}]
groups:
  users: [checkout, data-platform, search]
sources:
  cloud: {{ kind: focus, files: ["{files}"], cost: {cost}, owner: [vtag.team] }}
allocation:
  - id: tax
    match: {{ ChargeCategory: Tax }}
    chain: [{{ in_proportion_to_cost: {{ window: date }} }}, {{ unallocated: no_driver }}]
  - id: shared-cluster
    match: {{ ResourceName: "shared-kafka-*" }}
    chain:
      - composition:
          - percent: 70
            chain: [{{ in_proportion_to_cost: {{ to: users, window: date }} }}, {{ even: users }}]
          - percent: 30
            chain: [{{ even: users }}]
  - id: network
    match: {{ ServiceCategory: Networking, vtag.team: absent }}
    chain: [{{ fixed: {{ checkout: 60, search: 39.5, data-platform: 0.5 }} }}]
  - id: tagged
    match: {{ vtag.team: present }}
    chain: [{{ direct: vtag.team }}]
emitters:
  csv: {{ dir: out/csv }}
"#
    )
}
