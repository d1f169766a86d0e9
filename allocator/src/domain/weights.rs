//! The first pass: what `direct` gave to whom, as weights of `in_proportion_to_cost`.
//!
//! Kept per basis, group of equal `within` values and owner: about 100 bytes for each such combination that the date
//! has. Values of `within` are kept as 128-bit hashes, so that a bill with a resource per line stays small.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use proto::currency::Currency;
use proto::hash::Hash128;
use proto::money::{Amount, ExactSum};
use proto::time::UnitDate;

use super::columns::Batch;
use super::party::Payer;
use super::program::{CostBasis, Program};

/// Sums of all bases of the rules in force.
#[derive(Debug)]
pub struct CostWeights {
    /// By place in [`Program::bases`]; `None` where no rule in force uses it.
    bases: Vec<Option<BasisSums>>,
    owners: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

#[derive(Debug, Default)]
struct BasisSums {
    to: Option<BTreeSet<Arc<str>>>,
    groups: HashMap<Hash128, u32>,
    currencies: Vec<Currencies>,
    sums: HashMap<(u32, u32), ExactSum>,
    /// Sums in order of group and owner, once the pass is over.
    sorted: Vec<(u32, u32, ExactSum)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Currencies {
    One(Currency),
    Several,
}

/// The weights of one group.
#[derive(Debug, PartialEq, Eq)]
pub enum GroupWeights {
    /// Positive sums by owner; may be none.
    Sums(Vec<(Arc<str>, ExactSum)>),
    /// The lines that count are in several currencies.
    SeveralCurrencies,
}

impl CostWeights {
    /// For the rules in force on a date.
    pub fn new(program: &Program, rules: &[usize], date: UnitDate) -> Self {
        let wanted = program.bases_of(rules);
        let owner = |name: &String| match program.payer(name, date) {
            Payer::Known(owner) | Payer::Unlisted(owner) => Some(owner),
            Payer::Refused => None,
        };
        let sums = |basis: &CostBasis| BasisSums {
            to: basis.to.as_ref().map(|to| to.iter().filter_map(owner).collect()),
            ..BasisSums::default()
        };
        let bases = program.bases.iter().enumerate();
        let bases = bases.map(|(i, basis)| wanted.contains(&i).then(|| sums(basis))).collect();
        Self { bases, owners: Vec::new(), numbers: HashMap::new() }
    }

    /// Whether any rule in force needs the first pass.
    pub fn wanted(&self) -> bool {
        self.bases.iter().any(Option::is_some)
    }

    /// Whether a line counts for any basis.
    pub fn counts(&self, program: &Program, batch: &Batch<'_>, line: usize) -> bool {
        let wanted = self.bases.iter().zip(&program.bases).filter(|(sums, _)| sums.is_some());
        wanted.into_iter().any(|(_, basis)| basis.of.holds(batch, line))
    }

    /// Counts what `direct` gave to an owner on a line.
    pub fn add(
        &mut self,
        program: &Program,
        batch: &Batch<'_>,
        line: usize,
        currency: Currency,
        given: (&Arc<str>, Amount),
    ) {
        let (owner, amount) = given;
        for (sums, basis) in self.bases.iter_mut().zip(&program.bases) {
            let Some(sums) = sums else { continue };
            let taken = sums.to.as_ref().is_none_or(|to| to.contains(owner));
            if !taken || !basis.of.holds(batch, line) {
                continue;
            }
            let Some(key) = group_key(basis, batch, line) else { continue };
            let next = sums.currencies.len() as u32;
            let group = *sums.groups.entry(key).or_insert(next);
            match sums.currencies.get_mut(group as usize) {
                None => sums.currencies.push(Currencies::One(currency)),
                Some(seen) if *seen != Currencies::One(currency) => *seen = Currencies::Several,
                Some(_) => {}
            }
            let owners = &mut self.owners;
            let owner = *self.numbers.entry(Arc::clone(owner)).or_insert_with(|| {
                owners.push(Arc::clone(owner));
                owners.len() as u32 - 1
            });
            sums.sums.entry((group, owner)).or_default().add(amount);
        }
    }

    /// Ends the pass.
    pub fn finish(&mut self) {
        for sums in self.bases.iter_mut().flatten() {
            let all = std::mem::take(&mut sums.sums);
            sums.sorted =
                all.into_iter().map(|((group, owner), sum)| (group, owner, sum)).collect();
            sums.sorted.sort_unstable_by_key(|(group, owner, _)| (*group, *owner));
        }
    }

    /// The group that a line belongs to in a basis. `Err`: the line lacks a field; `Ok(None)`: no line that counts
    /// is like it.
    pub fn group(
        &self,
        basis: usize,
        program: &Program,
        batch: &Batch<'_>,
        line: usize,
    ) -> Result<Option<u32>, LacksField> {
        let key = group_key(&program.bases[basis], batch, line).ok_or(LacksField)?;
        Ok(self.bases[basis].as_ref().and_then(|sums| sums.groups.get(&key).copied()))
    }

    /// The weights of a group.
    pub fn of(&self, basis: usize, group: u32) -> GroupWeights {
        let Some(sums) = &self.bases[basis] else { return GroupWeights::Sums(Vec::new()) };
        if sums.currencies.get(group as usize) == Some(&Currencies::Several) {
            return GroupWeights::SeveralCurrencies;
        }
        let from = sums.sorted.partition_point(|(g, ..)| *g < group);
        let of_group = sums.sorted[from..].iter().take_while(|(g, ..)| *g == group);
        let positive = of_group.filter(|(.., sum)| !sum.is_zero() && !sum.is_negative());
        let named = positive.map(|(_, o, sum)| (Arc::clone(&self.owners[*o as usize]), *sum));
        GroupWeights::Sums(named.collect())
    }
}

/// The line lacks a `within` field: nothing is its equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LacksField;

fn group_key(basis: &CostBasis, batch: &Batch<'_>, line: usize) -> Option<Hash128> {
    let values = basis.within.iter().map(|field| batch.value(*field, line));
    Some(Hash128::of_texts(values.collect::<Option<Vec<_>>>()?))
}
