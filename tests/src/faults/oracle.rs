//! What bills must come to, from the bills alone: nothing of it is asked of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::ExactSum;
use proto::time::UnitDate;

use crate::world::{self, Line};

/// The amount of all bills here.
pub const COST: Measure = Measure::Effective;

/// A tenant's bill as it lies there now.
#[derive(Debug, Clone, Default)]
pub struct Bill {
    /// Every line that can be understood.
    pub lines: Vec<Line>,
    /// Records that cannot.
    pub bad: usize,
}

/// By date and currency: number of lines, and their money.
pub type Expected = BTreeMap<(UnitDate, String), (usize, Sums)>;

impl Bill {
    /// What it comes to.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let mut by_date: BTreeMap<UnitDate, Vec<&Line>> = BTreeMap::new();
        self.lines.iter().for_each(|line| by_date.entry(line.date).or_default().push(line));
        let mut expected = Expected::new();
        for (date, lines) in by_date {
            for (currency, sums) in world::sums(lines.iter().copied(), COST) {
                let of = |line: &&&Line| line.get("BillingCurrency") == Some(currency.as_str());
                let count = lines.iter().filter(of).count();
                expected.insert((date, currency), (count, sums));
            }
        }
        expected
    }
}

/// Every bill that was ever laid there. Cheap to clone.
#[derive(Clone, Default)]
pub struct Oracle(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    now: BTreeMap<String, Bill>,
    /// What a reader may see of a date: the sums of one of its bills, over all currencies.
    seen: BTreeMap<(String, UnitDate), BTreeSet<String>>,
    withdrawals: bool,
    others: bool,
}

impl Oracle {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is the tenant's bill; said before it is laid there.
    pub fn laid(&self, tenant: &str, bill: Bill) {
        let mut known = self.lock();
        let mut sums: BTreeMap<UnitDate, ExactSum> = BTreeMap::new();
        for ((date, _), (_, of)) in bill.expected() {
            sums.entry(date).or_default().merge(&of.amount);
        }
        for (date, sum) in sums {
            known.seen.entry((tenant.to_owned(), date)).or_default().insert(sum.to_string());
        }
        known.now.insert(tenant.to_owned(), bill);
    }

    /// From now on dates may become empty: a bill no longer has them.
    pub fn withdrawals(&self) {
        self.lock().withdrawals = true;
    }

    /// There are bills besides that are not laid here.
    pub fn others(&self) {
        self.lock().others = true;
    }

    /// The bills that lie there now.
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, Bill> {
        self.lock().now.clone()
    }

    /// Whether a reader may see this sum of so many rows of a date.
    #[must_use]
    pub fn may_be_seen(&self, tenant: &str, date: UnitDate, rows: i64, sum: &ExactSum) -> bool {
        let known = self.lock();
        let of_a_bill = known.seen.get(&(tenant.to_owned(), date));
        rows == 0 && known.withdrawals
            || of_a_bill.map_or(known.others, |sums| sums.contains(&sum.to_string()))
    }
}
