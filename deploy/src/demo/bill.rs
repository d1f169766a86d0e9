//! A month's bill of one provider, charge by charge.

use proto::time::UtcSeconds;

use super::charge::{
    Charge, Costs, DAYS, Discount, ONE, Provider, Resource, Service, Units, day, times,
};
use super::rng::Rng;

/// An hour, in seconds.
const HOUR: i64 = 3_600;
/// How much of an hourly resource's day falls into each hour, in thousandths.
const HOURS: [Units; 24] = [
    21, 18, 16, 15, 15, 18, 25, 35, 45, 52, 55, 57, 58, 57, 55, 53, 52, 53, 56, 60, 62, 54, 40, 28,
];

/// A promise to spend so much every day of the month.
#[derive(Debug, Clone, Copy)]
pub struct Commitment {
    /// Id, name and type; the rest is filled in per charge.
    pub id: (&'static str, &'static str, &'static str),
    /// What is bought.
    pub service: &'static Service,
    /// Who buys: sub account.
    pub account: (&'static str, &'static str),
    /// What a day of it costs.
    pub daily: Units,
    /// Percent of the list price at which it covers usage.
    pub percent: Units,
    /// Paid at once for the month, else day by day.
    pub upfront: bool,
}

impl Commitment {
    fn discount(&self, status: &'static str, quantity: Units) -> Discount {
        Discount { id: self.id.0, name: self.id.1, kind: self.id.2, status, quantity }
    }
}

/// The bill under way.
#[derive(Debug)]
pub struct Bill {
    /// Chance of this bill.
    pub rng: Rng,
    provider: &'static Provider,
    /// Percent of the list price that the contract asks.
    contract: Units,
    /// What there is so far.
    pub charges: Vec<Charge>,
}

fn percent(amount: Units, of_100: Units) -> Units {
    amount * of_100 / 100
}

/// To whole cents, towards zero.
fn cents(amount: Units) -> Units {
    amount - amount % (ONE / 100)
}

impl Bill {
    /// An empty bill; `name` gives it chances of its own.
    #[must_use]
    pub fn new(seed: u64, name: &str, provider: &'static Provider, contract: Units) -> Self {
        Self { rng: Rng::new(seed, name), provider, contract, charges: Vec::new() }
    }

    /// A charge whose period is a day, or the month for day 0.
    fn charge(&self, number: u8, category: &'static str) -> Charge {
        let (first, after) = if number == 0 { (1, DAYS + 1) } else { (number, number + 1) };
        Charge::new(self.provider, day(first).start(), day(after).start(), category)
    }

    fn of(&self, resource: &Resource, number: u8, quantity: Units) -> Charge {
        let list = times(quantity, resource.service.list_price);
        let contracted = percent(list, self.contract);
        Charge {
            frequency: "Usage-Based",
            description: format!("{} {}", resource.service.name, resource.service.sku),
            costs: Costs { billed: contracted, effective: contracted, contracted, list },
            quantity: Some((quantity, percent(resource.service.list_price, self.contract))),
            pricing: "Standard",
            service: Some(resource.service),
            account: resource.account,
            resource: Some((resource.id.clone(), resource.name.clone())),
            region: resource.region,
            tags: resource.tags.clone(),
            ..self.charge(number, "Usage")
        }
    }

    /// A month of usage, as far as it reaches under the commitment; and the commitment itself.
    pub fn month(&mut self, resources: &[Resource], commitment: Option<&Commitment>) {
        if let Some(commitment) = commitment.filter(|c| c.upfront) {
            self.purchase(commitment, 0, commitment.daily * Units::from(DAYS));
        }
        for number in 1..=DAYS {
            let mut left = commitment.map_or(0, |commitment| commitment.daily);
            if let Some(commitment) = commitment.filter(|c| !c.upfront) {
                self.purchase(commitment, number, commitment.daily);
            }
            // 1 September 2026 is a Tuesday.
            let weekend = matches!(number % 7, 5 | 6);
            for resource in resources {
                let noise = Units::from(self.rng.between(88, 112));
                let level = if weekend { 65 } else { 100 };
                let quantity = percent(percent(resource.daily, noise), level);
                if resource.hourly {
                    self.hours(resource, number, quantity);
                    continue;
                }
                let mut charge = self.of(resource, number, quantity);
                if let Some(commitment) = commitment.filter(|_| resource.covered) {
                    let price = percent(resource.service.list_price, commitment.percent);
                    let cost = times(quantity, price);
                    if cost <= left {
                        left -= cost;
                        let Costs { contracted, list, .. } = charge.costs;
                        charge.costs = Costs { billed: 0, effective: cost, contracted, list };
                        charge.pricing = "Committed";
                        charge.discount = commitment.discount("Used", cost);
                    }
                }
                self.charges.push(charge);
            }
            if let Some(commitment) = commitment.filter(|_| left > 0) {
                self.charges.push(Charge {
                    frequency: "Usage-Based",
                    description: format!("Unused part of {}", commitment.id.1),
                    costs: Costs { effective: left, ..Costs::default() },
                    pricing: "Committed",
                    service: Some(commitment.service),
                    account: commitment.account,
                    resource: Some((commitment.id.0.to_owned(), commitment.id.1.to_owned())),
                    discount: commitment.discount("Unused", left),
                    ..self.charge(number, "Usage")
                });
            }
        }
    }

    fn hours(&mut self, resource: &Resource, number: u8, quantity: Units) {
        let midnight = day(number).start().0;
        for (hour, part) in (0i64..).zip(HOURS) {
            let mut charge = self.of(resource, number, quantity * part / 1_000);
            charge.start = UtcSeconds(midnight + hour * HOUR);
            charge.end = UtcSeconds(midnight + (hour + 1) * HOUR);
            self.charges.push(charge);
        }
    }

    fn purchase(&mut self, commitment: &Commitment, number: u8, fee: Units) {
        let frequency = if commitment.upfront { "One-Time" } else { "Recurring" };
        self.charges.push(Charge {
            frequency,
            description: format!("{} fee", commitment.id.1),
            costs: Costs { billed: fee, effective: 0, contracted: fee, list: fee },
            pricing: "Committed",
            service: Some(commitment.service),
            account: commitment.account,
            resource: Some((commitment.id.0.to_owned(), commitment.id.1.to_owned())),
            discount: commitment.discount("", 0),
            ..self.charge(number, "Purchase")
        });
    }

    /// One charge for the whole month, such as storage.
    pub fn monthly(&mut self, resource: &Resource) {
        let charge = self.of(resource, 0, resource.daily);
        self.charges.push(Charge { frequency: "Recurring", ..charge });
    }

    /// A subscription, support or marketplace fee for the whole month.
    pub fn fee(
        &mut self,
        service: &'static Service,
        account: (&'static str, &'static str),
        fee: Units,
        category: &'static str,
    ) {
        self.charges.push(Charge {
            frequency: "Recurring",
            description: format!("{} for the month", service.name),
            costs: Costs::all(fee),
            pricing: "Standard",
            service: Some(service),
            account,
            ..self.charge(0, category)
        });
    }

    /// Tax on everything billed so far, for the month.
    pub fn tax(&mut self, name: &str, rate: Units, account: (&'static str, &'static str)) {
        let billed: Units = self.charges.iter().map(|charge| charge.costs.billed).sum();
        self.charges.push(Charge {
            description: format!("{name} {rate} %"),
            costs: Costs::all(cents(percent(billed, rate))),
            account,
            ..self.charge(0, "Tax")
        });
    }

    /// Money back that belongs to nobody in particular, or to a service of an account.
    pub fn credit(
        &mut self,
        number: u8,
        text: &str,
        amount: Units,
        whose: Option<((&'static str, &'static str), &'static Service)>,
    ) {
        self.charges.push(Charge {
            description: text.to_owned(),
            costs: Costs::all(-amount),
            service: whose.map(|(_, service)| service),
            account: whose.map_or(("", ""), |(account, _)| account),
            ..self.charge(number, "Credit")
        });
    }

    /// Every day, a part of what some resources cost that day comes back, without tags.
    pub fn rebate(&mut self, text: &str, rate: Units, whose: fn(&Service) -> bool) {
        let back = |charge: &Charge| {
            let mine = charge.category == "Usage" && charge.service.is_some_and(whose);
            (mine && charge.costs.billed > 0).then(|| Charge {
                category: "Credit",
                frequency: "Usage-Based",
                description: text.to_owned(),
                costs: Costs::all(-percent(charge.costs.billed, rate)),
                quantity: None,
                pricing: "",
                tags: String::new(),
                ..charge.clone()
            })
        };
        let rebates: Vec<Charge> = self.charges.iter().filter_map(back).collect();
        self.charges.extend(rebates);
    }

    /// The provider takes a part of some earlier charges back: negative usage.
    pub fn corrections(&mut self, count: usize, rate: Units) {
        for _ in 0..count {
            let at = self.rng.below(self.charges.len() as u64);
            let wrong = usize::try_from(at).ok().and_then(|at| self.charges.get(at)).cloned();
            let Some(wrong) = wrong.filter(|c| c.category == "Usage" && c.costs.billed > 0) else {
                continue;
            };
            self.charges.push(Charge {
                class: "Correction",
                description: format!("Correction of {}", wrong.description),
                costs: Costs::all(-percent(wrong.costs.billed, rate)),
                quantity: None,
                pricing: "",
                tags: String::new(),
                ..wrong
            });
        }
    }

    /// A rounding difference on the invoice.
    pub fn rounding(&mut self, number: u8, amount: Units) {
        self.charges.push(Charge {
            description: "Rounding".to_owned(),
            costs: Costs::all(amount),
            ..self.charge(number, "Adjustment")
        });
    }

    /// The charges whose period starts on one of these days.
    #[must_use]
    pub fn of_days(&self, days: std::ops::RangeInclusive<u8>) -> Vec<Charge> {
        let (first, after) = (day(*days.start()).start(), day(days.end() + 1).start());
        let lies_in = |charge: &&Charge| first <= charge.start && charge.start < after;
        self.charges.iter().filter(lies_in).cloned().collect()
    }
}
