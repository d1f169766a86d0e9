//! What closes a generation of a unit: batches, items, exact sums, hash. Kept in Postgres, carried by tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::hash::{Hash128, SetHash};
use crate::ids::{Attempt, Generation};
use crate::line::{BillingLineItem, Measure};
use crate::money::{Amount, ExactSum};
use crate::time::BillingPeriod;

/// One batch of a generation; its ordinal is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRef {
    /// Items in it.
    pub items: u32,
    /// Hash of the message's payload.
    pub hash: Hash128,
}

/// Exact sums of one currency and billing period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Of the measure that `cost` names.
    pub amount: ExactSum,
    /// In the order of [`Measure::ALL`].
    pub measures: [ExactSum; 4],
}

impl Sums {
    /// Counts one item in; measures of `None` equal `amount`.
    pub fn add(&mut self, amount: Amount, measures: &[Option<Amount>; 4]) {
        let term = ExactSum::from(amount);
        self.amount.merge(&term);
        for (sum, measure) in self.measures.iter_mut().zip(measures) {
            match measure {
                None => sum.merge(&term),
                Some(other) => sum.add(*other),
            }
        }
    }
    /// Counts other sums in.
    pub fn merge(&mut self, other: &Self) {
        self.amount.merge(&other.amount);
        self.measures.iter_mut().zip(&other.measures).for_each(|(sum, other)| sum.merge(other));
    }
    /// One measure's sum.
    #[must_use]
    pub fn measure(&self, measure: Measure) -> &ExactSum {
        &self.measures[measure as usize]
    }
}

/// Sums by currency and billing period, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<(Currency, BillingPeriod), Sums>);

/// One entry of [`Totals`] as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsEntry {
    /// Currency.
    pub currency: Currency,
    /// Billing period.
    pub period: BillingPeriod,
    /// The sums.
    pub sums: Sums,
}

impl Totals {
    /// Counts one item in.
    pub fn add(
        &mut self,
        currency: Currency,
        period: BillingPeriod,
        amount: Amount,
        measures: &[Option<Amount>; 4],
    ) {
        self.0.entry((currency, period)).or_default().add(amount, measures);
    }
    /// Counts a line in.
    pub fn add_line(&mut self, line: &BillingLineItem) {
        self.add(line.currency, line.billing_period, line.amount, &line.measures);
    }
    /// Counts other totals in.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(key, sums)| self.0.entry(*key).or_default().merge(sums));
    }
    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, BillingPeriod, &Sums)> {
        self.0.iter().map(|((currency, period), sums)| (*currency, *period, sums))
    }
}

impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter().map(|(currency, period, sums)| TotalsEntry {
            currency,
            period,
            sums: sums.clone(),
        }))
    }
}
impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut totals = BTreeMap::new();
        for entry in Vec::<TotalsEntry>::deserialize(d)? {
            let (currency, period) = (entry.currency, entry.period);
            if totals.insert((currency, period), entry.sums).is_some() {
                let twice = format!("totals hold {currency} {period} twice");
                return Err(serde::de::Error::custom(twice));
            }
        }
        Ok(Self(totals))
    }
}

/// What closes a generation of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The piece of work that wrote it.
    pub generation: Generation,
    /// The attempt at it that readers read.
    pub attempt: Attempt,
    /// Its batches, in order.
    pub batches: Vec<BatchRef>,
    /// Number of items.
    pub items: u64,
    /// Σ mod 2^128 of the hash of each item (of rows: of each piece): independent of address and order.
    pub hash: Hash128,
    /// Exact sums of money; empty for what carries none.
    #[serde(default)]
    pub totals: Totals,
}

/// Collects a [`Manifest`] while batches are written.
#[derive(Debug, Default, Clone)]
pub struct ManifestBuilder {
    batches: Vec<BatchRef>,
    items: u64,
    hash: SetHash,
    /// Sums so far.
    pub totals: Totals,
}

impl ManifestBuilder {
    /// Counts one item's hash in.
    pub fn add_item(&mut self, hash: Hash128) {
        self.items += 1;
        self.hash.add(hash);
    }
    /// Counts some items in whose hashes were added up.
    pub fn add_items(&mut self, items: usize, hash: SetHash) {
        self.items += items as u64;
        self.hash.merge(hash);
    }
    /// Counts one written batch in; returns its ordinal.
    pub fn add_batch(&mut self, items: u32, payload: &[u8]) -> u32 {
        self.batches.push(BatchRef { items, hash: Hash128::of(payload) });
        self.batches.len() as u32 - 1
    }
    /// The ordinal that the next batch will have.
    #[must_use]
    pub fn next_batch(&self) -> u32 {
        self.batches.len() as u32
    }
    /// The manifest.
    #[must_use]
    pub fn finish(self, generation: Generation, attempt: Attempt) -> Manifest {
        let hash = self.hash.value();
        Manifest {
            generation,
            attempt,
            batches: self.batches,
            items: self.items,
            hash,
            totals: self.totals,
        }
    }
}
