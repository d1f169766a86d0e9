//! Who takes part in a split, and with how much.

use std::fmt;

use bnum::cast::As;
use thiserror::Error;

use super::amount::Amount;
use super::digits::power_of_ten;
use super::share::{Share, Wide};
use super::sum::ExactSum;

/// Parties and their weights, prepared once and used for many amounts and measures.
///
/// Parties stand in bytewise order of their ids, whatever order they came in; weights of equal ids
/// are added. A party of weight 0 stays, with share 0. Weights become integer numerators over one
/// denominator, reduced by their greatest common divisor.
///
/// `K` is the id or something that carries it: only its text is compared, and of equal ids the first
/// that came stays.
#[derive(Debug, Clone)]
pub struct Shares<K> {
    ids: Vec<K>,
    pub(super) fractions: Fractions,
}

/// Numerators in the order of the ids, and what they add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fractions {
    /// All equal: 1 / number of parties.
    Even,
    /// Nearly always.
    Narrow { nums: Vec<u128>, den: u128 },
    /// Weights that differ by more than 38 digits.
    Wide { nums: Vec<Wide>, den: Wide },
}

/// Parties among whom nothing can be split.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SharesError {
    /// No party at all.
    #[error("nobody to share with")]
    NoParties,
    /// A weight below 0.
    #[error("weight {weight} of `{id}` is negative: weights must be 0 or more")]
    NegativeWeight {
        /// Whose weight.
        id: String,
        /// The weight.
        weight: ExactSum,
    },
    /// Only weights of 0.
    #[error("all weights are 0")]
    ZeroTotal,
}

impl<K: AsRef<str>> Shares<K> {
    /// In proportion to weights: usage, cost or percentages. Their sum is the whole.
    ///
    /// # Errors
    /// No party, a negative weight, or a total of 0.
    pub fn new(parties: impl IntoIterator<Item = (K, Amount)>) -> Result<Shares<K>, SharesError> {
        let mut parties: Vec<(K, Amount)> = parties.into_iter().collect();
        if parties.is_empty() {
            return Err(SharesError::NoParties);
        }
        // The smallest of several offenders, so that the message does not depend on the order.
        if let Some((id, weight)) = parties
            .iter()
            .filter(|(_, weight)| weight.is_negative())
            .min_by_key(|(id, weight)| (id.as_ref(), *weight))
        {
            return Err(SharesError::NegativeWeight {
                id: id.as_ref().to_owned(),
                weight: (*weight).into(),
            });
        }
        if parties.iter().all(|(_, weight)| weight.is_zero()) {
            return Err(SharesError::ZeroTotal);
        }
        parties.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let fractions = match Fractions::narrow(&parties) {
            Some(fractions) => fractions,
            None => Fractions::wide(
                parties
                    .iter()
                    .map(|(id, weight)| (id.as_ref(), ExactSum::from(*weight).magnitude())),
            ),
        };
        Ok(Shares::sorted(parties.into_iter().map(|(id, _)| id), fractions))
    }

    /// The same in proportion to sums, which may have more digits than an amount holds.
    ///
    /// # Errors
    /// No party, a negative sum, or a total of 0.
    ///
    /// # Panics
    /// When the sums add up to 2^256 units of 10^-28, beyond any bill.
    pub fn of_sums(
        parties: impl IntoIterator<Item = (K, ExactSum)>,
    ) -> Result<Shares<K>, SharesError> {
        let mut parties: Vec<(K, ExactSum)> = parties.into_iter().collect();
        let amounts: Option<Vec<Amount>> = parties.iter().map(|(_, sum)| sum.to_amount()).collect();
        if let Some(amounts) = amounts {
            return Shares::new(parties.into_iter().map(|(id, _)| id).zip(amounts));
        }
        let negative = parties.iter().filter(|(_, sum)| sum.is_negative());
        if let Some((id, sum)) = negative.min_by_key(|(id, sum)| (id.as_ref(), *sum)) {
            return Err(SharesError::NegativeWeight { id: id.as_ref().to_owned(), weight: *sum });
        }
        parties.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let weights = parties.iter().map(|(id, sum)| (id.as_ref(), sum.magnitude()));
        let fractions = Fractions::wide(weights);
        Ok(Shares::sorted(parties.into_iter().map(|(id, _)| id), fractions))
    }

    /// `ids` in order, each as often as it came.
    fn sorted(ids: impl Iterator<Item = K>, fractions: Fractions) -> Shares<K> {
        let mut ids: Vec<K> = ids.collect();
        ids.dedup_by(|a, b| a.as_ref() == b.as_ref());
        Shares { ids, fractions }
    }

    /// Equal shares. A repeated id counts once.
    ///
    /// # Errors
    /// No party.
    pub fn even(ids: impl IntoIterator<Item = K>) -> Result<Shares<K>, SharesError> {
        let mut ids: Vec<K> = ids.into_iter().collect();
        if ids.is_empty() {
            return Err(SharesError::NoParties);
        }
        ids.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        ids.dedup_by(|a, b| a.as_ref() == b.as_ref());
        Ok(Shares { ids, fractions: Fractions::Even })
    }
}

impl<K> Shares<K> {
    /// Number of parties: 1 or more.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The parties in their order, which is the order of every split.
    #[must_use]
    pub fn ids(&self) -> &[K] {
        &self.ids
    }

    /// The share of the party at `index` of [`ids`](Shares::ids).
    ///
    /// # Panics
    /// When there is no such party.
    #[must_use]
    pub fn share(&self, index: usize) -> Share {
        let share = match &self.fractions {
            Fractions::Even => {
                assert!(index < self.ids.len(), "party {index} of {}", self.ids.len());
                Share::from_narrow(1, self.ids.len() as u128)
            }
            Fractions::Narrow { nums, den } => Share::from_narrow(nums[index], *den),
            Fractions::Wide { nums, den } => Share::new(nums[index], *den),
        };
        share.expect("a numerator is one term of the denominator, which is above 0")
    }

    /// Parties with their shares.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Share)> {
        self.ids.iter().enumerate().map(|(index, id)| (id, self.share(index)))
    }
}

impl Fractions {
    /// Sorted parties as 128-bit integers; `None` where these do not fit before reducing.
    fn narrow<K: AsRef<str>>(parties: &[(K, Amount)]) -> Option<Fractions> {
        let scale = common_scale(parties);
        let mut nums: Vec<u128> = Vec::with_capacity(parties.len());
        let mut den = 0u128;
        for (index, (id, weight)) in parties.iter().enumerate() {
            let num = weight.units().checked_mul(power_of_ten(scale - weight.scale()))?;
            den = den.checked_add(num)?;
            match nums.last_mut() {
                // Below the denominator, which just fitted.
                Some(last) if parties[index - 1].0.as_ref() == id.as_ref() => *last += num,
                Some(_) | None => nums.push(num),
            }
        }
        let divisor = nums.iter().copied().fold(0, gcd);
        nums.iter_mut().for_each(|num| *num /= divisor);
        Some(Fractions::from_narrow(nums, den / divisor))
    }

    /// The same in 256 bits, of units of 10^-28. An amount is below 2^190 of them, so 2^66 amounts fit.
    fn wide<'a>(parties: impl Iterator<Item = (&'a str, Wide)>) -> Fractions {
        let mut nums: Vec<Wide> = Vec::new();
        let mut den = Wide::MIN;
        let mut before = None;
        for (id, num) in parties {
            den = den.checked_add(num).expect("weights add up to less than 2^256 units");
            match nums.last_mut() {
                Some(last) if before == Some(id) => *last += num,
                Some(_) | None => nums.push(num),
            }
            before = Some(id);
        }
        let divisor = nums.iter().copied().fold(Wide::MIN, gcd_wide);
        nums.iter_mut().for_each(|num| *num /= divisor);
        let den = den / divisor;
        match u128::try_from(den) {
            // Every numerator is at most the denominator.
            Ok(den) => Fractions::from_narrow(nums.into_iter().map(|num| num.as_()).collect(), den),
            Err(_) => Fractions::Wide { nums, den },
        }
    }

    fn from_narrow(nums: Vec<u128>, den: u128) -> Fractions {
        if nums.iter().all(|num| *num == 1) {
            Fractions::Even
        } else {
            Fractions::Narrow { nums, den }
        }
    }
}

fn common_scale<K>(parties: &[(K, Amount)]) -> u32 {
    parties.iter().map(|(_, weight)| weight.scale()).max().unwrap_or(0)
}

/// Greatest common divisor; that of 0 and n is n.
fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = match (u64::try_from(a), u64::try_from(b)) {
            (Ok(a), Ok(b)) => (u128::from(b), u128::from(a % b)),
            _ => (b, a % b),
        };
    }
    a
}

fn gcd_wide(mut a: Wide, mut b: Wide) -> Wide {
    while !b.is_zero() {
        (a, b) = (b, a % b);
    }
    a
}

impl<K: fmt::Display> fmt::Display for Shares<K> {
    /// `a 1/3, b 2/3`: for explanations.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, share)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{id} {share}")?;
        }
        Ok(())
    }
}
