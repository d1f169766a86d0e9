//! The demo's company: three tenants, a month of bills, and what they write to share them out. Pure.
//!
//! | tenant | bills | shows |
//! |---|---|---|
//! | [`acme`] | AWS in dollars, weekly files, a marketplace | savings plan, strict owners, shared cluster, month-long charges, percents that change in mid-month |
//! | [`nordwind`] | Azure in euros, AWS in dollars | two sources, a reservation paid upfront, cost centres, billed instead of effective cost |
//! | [`pixelforge`] | Google Cloud in pounds and in euros | one source with two currencies, daily rebates, owners read out of names |

mod acme;
mod nordwind;
mod pixelforge;

use super::charge::Charge;
use super::csv::csv;

/// A file of bills.
#[derive(Debug, Clone)]
pub struct BillFile {
    /// Path below `bills/`; compressed where it ends in `.gz`.
    pub name: String,
    /// What stands in it, in the order in which the provider wrote it.
    pub charges: Vec<Charge>,
}

impl BillFile {
    fn new(name: String, charges: Vec<Charge>) -> Self {
        Self { name, charges }
    }
    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        csv(&self.charges)
    }
}

/// All bills of the month; the same seed gives the same bytes.
#[must_use]
pub fn bills(seed: u64) -> Vec<BillFile> {
    [acme::bills(seed), nordwind::bills(seed), pixelforge::bills(seed)].concat()
}

/// What the company writes: path in its folder, and text.
pub const WRITTEN: [(&str, &str); 12] = [
    ("apportion.yaml", include_str!("files/apportion.yaml")),
    ("tenants/acme.yaml", include_str!("files/acme.yaml")),
    ("tenants/nordwind.yaml", include_str!("files/nordwind.yaml")),
    ("tenants/pixelforge.yaml", include_str!("files/pixelforge.yaml")),
    ("acme/owners.csv", include_str!("files/acme-owners.csv")),
    ("acme/accounts.csv", include_str!("files/acme-accounts.csv")),
    ("acme/network.csv", include_str!("files/acme-network.csv")),
    ("nordwind/owners.csv", include_str!("files/nordwind-owners.csv")),
    ("nordwind/subscriptions.csv", include_str!("files/nordwind-subscriptions.csv")),
    ("pixelforge/owners.csv", include_str!("files/pixelforge-owners.csv")),
    ("pixelforge/squads.csv", include_str!("files/pixelforge-squads.csv")),
    (".gitignore", ".apportion/\nout/\n"),
];
