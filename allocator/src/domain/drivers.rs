//! Weights of drivers, as the unit under way is given them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proto::config::TableRow;
use proto::config::ledger::WITHIN_SEPARATOR;
use proto::currency::Currency;
use proto::driver::{DriverUse, DriverWeight, DriverWindow, lacking_hash};
use proto::hash::Hash128;
use proto::money::Amount;
use proto::time::{UnitDate, UtcSeconds};

use super::columns::Batch;
use super::notes::Miss;
use super::prepare::rows_of;
use super::program::{DriverBasis, TierKind, WeightsOf};
use super::trace::Input;

/// Weights of drivers. A driver that is a table needs none: the program holds its rows.
#[derive(Debug, Clone, Default)]
pub struct DriverWeights {
    /// By name and owner: what a test states, or what a driver without windows gives.
    given: BTreeMap<String, BTreeMap<String, Amount>>,
    /// Whether what is not there is still to come; else it is missing.
    pending: bool,
    windows: HashMap<DriverWindow, Window>,
    groups: Vec<Group>,
    /// What lines asked for so far.
    used: BTreeMap<DriverWindow, DriverUse>,
}

/// What a window's manifest named, by the values of its `within` fields.
#[derive(Debug, Clone)]
struct Window {
    hash: Hash128,
    groups: HashMap<String, u32>,
    /// Whether its weights could not be had.
    lacking: bool,
}

/// Weights of lines that agree in the `within` fields.
#[derive(Debug, Clone, Default)]
struct Group {
    currency: Option<Currency>,
    several: bool,
    weights: Vec<(Arc<str>, Amount)>,
}

/// What a driver has for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverFound {
    /// The weights at this place.
    Group(u32),
    /// None, for this reason.
    Missing(Miss),
    /// They are still to come.
    Pending,
}

impl DriverWeights {
    /// None yet; what lines ask for is still to come.
    #[must_use]
    pub fn awaited() -> Self {
        Self { pending: true, ..Self::default() }
    }

    /// These, by name and owner; all others are missing.
    #[must_use]
    pub fn stated(given: BTreeMap<String, BTreeMap<String, Amount>>) -> Self {
        Self { given, ..Self::default() }
    }

    /// Takes in what a manifest named.
    pub fn add(&mut self, window: DriverWindow, hash: Hash128, weights: Vec<DriverWeight>) {
        let mut groups: HashMap<String, u32> = HashMap::new();
        for weight in weights {
            let next = self.groups.len() as u32;
            let place = *groups.entry(weight.within).or_insert(next);
            if place == next {
                self.groups.push(Group { currency: weight.currency, ..Group::default() });
            }
            let group = &mut self.groups[place as usize];
            group.several |= group.currency != weight.currency;
            // A sum below 0 counts 0.
            if !weight.weight.is_negative() && !weight.weight.is_zero() {
                group.weights.push((weight.party.into(), weight.weight));
            }
        }
        self.windows.insert(window, Window { hash, groups, lacking: false });
    }

    /// Notes that weights could not be had: lines do without them.
    pub fn lacks(&mut self, window: DriverWindow) {
        let (hash, groups) = (lacking_hash(), HashMap::new());
        self.windows.insert(window, Window { hash, groups, lacking: true });
    }

    /// Notes that what a manifest named is no longer in the stream: it is to be made again.
    pub fn gone(&mut self, window: DriverWindow) {
        let of = DriverUse { window: window.clone(), hash: None, gone: true };
        self.used.insert(window, of);
    }

    /// What lines asked for, in order.
    pub fn used(&self) -> Vec<DriverUse> {
        self.used.values().cloned().collect()
    }

    /// The stated weights of a driver.
    pub fn of(&self, name: &str) -> Option<&BTreeMap<String, Amount>> {
        self.given.get(name)
    }

    /// Whether a test states the weights of a driver.
    pub fn is_stated(&self, basis: &DriverBasis) -> bool {
        basis.driver.as_ref().is_some_and(|driver| self.given.contains_key(driver))
    }

    /// What a driver has for a line of the unit of `date`.
    pub fn find(
        &mut self,
        basis: &DriverBasis,
        date: UnitDate,
        batch: &Batch<'_>,
        line: usize,
    ) -> DriverFound {
        let values: Option<Vec<&str>> =
            basis.within.iter().map(|field| batch.value(*field, line)).collect();
        let Some(values) = values else { return DriverFound::Missing(Miss::NoWithin) };
        if !self.pending && self.windows.is_empty() {
            return DriverFound::Missing(Miss::NoWeights);
        }
        let lines = batch.lines();
        let period = (lines.charge_start[line], lines.charge_end[line]);
        let period = (UtcSeconds(period.0), UtcSeconds(period.1));
        let (from, until) = basis.window.days(date, period, batch.period(line));
        let window = DriverWindow { driver: basis.table.clone(), from, until };
        let found = self.windows.get(&window);
        let hash = found.map(|found| found.hash);
        let answer = match found {
            None => DriverFound::Pending,
            Some(found) if found.lacking => DriverFound::Missing(Miss::MetricsFailed),
            Some(found) => match found.groups.get(&values.join(WITHIN_SEPARATOR)) {
                Some(group) => DriverFound::Group(*group),
                None => DriverFound::Missing(match basis.parties {
                    WeightsOf::Owners => Miss::NoCost,
                    WeightsOf::Identities(_) | WeightsOf::Table(_) => Miss::NoUsage,
                }),
            },
        };
        self.used.entry(window).or_insert_with_key(|window| DriverUse {
            window: window.clone(),
            hash,
            gone: false,
        });
        answer
    }

    /// The weights at a place.
    ///
    /// # Errors
    /// When the cost there is in several currencies.
    pub fn group(&self, place: u32) -> Result<&[(Arc<str>, Amount)], Miss> {
        match self.groups.get(place as usize) {
            Some(group) if group.several => Err(Miss::SeveralCurrencies),
            Some(group) => Ok(&group.weights),
            None => Err(Miss::NoWeights),
        }
    }

    /// The weights of a driver that is a table on a date, for who asks why.
    pub fn listed(&self, tier: &TierKind, date: UnitDate) -> Vec<Input> {
        let weight = |(owner, weight): (&str, Amount)| {
            (format!("weight of {owner}"), Some(weight.to_string()))
        };
        let TierKind::Driver { name, table, .. } = tier else { return Vec::new() };
        match (self.given.get(name), table) {
            (Some(given), _) => {
                given.iter().map(|(owner, of)| weight((owner.as_str(), *of))).collect()
            }
            // What is no number fails the line, and says so there.
            (None, rows) => {
                let rows: &[TableRow] = rows;
                rows_of(rows, date, "").unwrap_or_default().into_iter().map(weight).collect()
            }
        }
    }
}
