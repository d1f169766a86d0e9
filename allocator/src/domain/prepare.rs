//! What one tier gives: parties and shares, or why it does not apply. Worked out once per distinct input.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use proto::config::{ResolutionSet, TableRow};
use proto::line::cell;
use proto::money::{Amount, ExactSum, Shares, SharesError};
use proto::time::UnitDate;

use super::error::LineError;
use super::facts::{FactId, Facts};
use super::notes::Miss;
use super::party::{Party, Payer, Unfit, VALUE_BYTES_MAX, fit, type_of, value_of};
use super::program::{Program, WeightsOf};
use super::warnings::{WarningId, Warnings, quote};
use super::weights::{CostWeights, GroupWeights};

/// What a tier makes of its input.
#[derive(Debug)]
pub enum Answer {
    /// These take part.
    Give(Shares<Party>),
    /// The tier does not apply; with a note where a person should know why.
    Miss(Option<Miss>),
    /// The line's allocation fails.
    Fail(LineError),
}

/// An answer, and what a person should know each time it is used.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Warnings.
    pub warnings: Vec<WarningId>,
}

/// Works answers out.
pub struct Preparer<'a> {
    /// The rules.
    pub program: &'a Program,
    /// The unit's date.
    pub date: UnitDate,
    /// The unit's resolutions.
    pub facts: &'a Facts,
    /// Cost to share by.
    pub weights: &'a CostWeights,
    /// What a person should know.
    pub warnings: &'a mut Warnings,
    /// Warnings of the answer under way.
    found: Vec<WarningId>,
}

type Parties<W> = Result<Vec<(Party, W)>, Miss>;

impl<'a> Preparer<'a> {
    /// For one answer.
    pub fn new(
        program: &'a Program,
        date: UnitDate,
        facts: &'a Facts,
        weights: &'a CostWeights,
        warnings: &'a mut Warnings,
    ) -> Self {
        Self { program, date, facts, weights, warnings, found: Vec::new() }
    }

    fn warn(&mut self, text: String) {
        let id = self.warnings.id(text);
        if !self.found.contains(&id) {
            self.found.push(id);
        }
    }

    fn done(self, answer: Answer) -> Answered {
        Answered { answer, warnings: self.found }
    }

    fn give(self, shares: Result<Shares<Party>, SharesError>, none: Miss) -> Answered {
        let answer = match shares {
            Ok(shares) => Answer::Give(shares),
            Err(SharesError::NoParties | SharesError::ZeroTotal) => Answer::Miss(Some(none)),
            // Weights below 0 are taken out or refused before they get here.
            Err(SharesError::NegativeWeight { .. }) => Answer::Miss(Some(Miss::NegativeUsage)),
        };
        self.done(answer)
    }

    /// One party, as the value of a field names it.
    pub fn direct(
        mut self,
        value: &str,
        identity_type: &str,
        field: &dyn fmt::Display,
    ) -> Answered {
        let Some(value) = self.fit(value, field) else { return self.done(Answer::Miss(None)) };
        let Some(owner) = self.payer(value) else {
            return self.done(Answer::Miss(Some(Miss::UnknownOwner)));
        };
        let identity = format!("{identity_type}:{value}").into();
        self.give(Shares::even([Party { identity, owner }]), Miss::NoIdentities)
    }

    /// The resource itself, for which nobody pays.
    pub fn resource(mut self, id: &str) -> Answered {
        match self.fit(id, &cell::RESOURCE_ID) {
            Some(id) => {
                let party = Party::unpaid(&format!("resource:{id}"));
                self.give(Shares::even([party]), Miss::NoIdentities)
            }
            None => self.done(Answer::Miss(None)),
        }
    }

    /// Nobody; `warning` says what a person should know.
    pub fn nobody(mut self, warning: Option<String>) -> Answered {
        if let Some(warning) = warning {
            self.warn(warning);
        }
        self.give(Shares::even([Party::nobody()]), Miss::NoIdentities)
    }

    /// The owners of a group, evenly.
    pub fn even_group(mut self, owners: &[String]) -> Answered {
        match self.owners(owners.iter().map(|owner| (owner.as_str(), ()))) {
            Ok(parties) => {
                let shares = Shares::even(parties.into_iter().map(|(party, _)| party));
                self.give(shares, Miss::NoIdentities)
            }
            Err(miss) => self.done(Answer::Miss(Some(miss))),
        }
    }

    /// The identities of a set, evenly; those of these types, if any are named.
    pub fn even_set(mut self, fact: FactId, set: ResolutionSet, types: &[String]) -> Answered {
        if self.facts.lacks_set(fact, set) {
            return self.done(Answer::Miss(Some(Miss::MetricsFailed)));
        }
        let mut identities = self.facts.set(fact, set);
        identities.retain(|id| types.is_empty() || types.iter().any(|kind| kind == type_of(id)));
        match self.identities(identities.into_iter().map(|id| (id, ())).collect()) {
            Ok(parties) => {
                let shares = Shares::even(parties.into_iter().map(|(party, _)| party));
                self.give(shares, Miss::NoIdentities)
            }
            Err(miss) => self.done(Answer::Miss(Some(miss))),
        }
    }

    /// By usage, summed over metrics.
    pub fn usage(mut self, fact: FactId, metrics: &[String], tier: &str) -> Answered {
        // Some of several metrics would share by what happened to be there.
        if self.facts.lacks(fact, metrics) {
            return self.done(Answer::Miss(Some(Miss::MetricsFailed)));
        }
        let mut sums: HashMap<Arc<str>, ExactSum> = HashMap::new();
        let mut total = ExactSum::ZERO;
        for (identity, value) in self.facts.usage(fact, metrics) {
            sums.entry(identity).or_default().add(value);
            total.add(value);
        }
        if sums.is_empty() {
            return self.done(Answer::Miss(Some(Miss::NoUsage)));
        }
        if total.is_negative() {
            return self.done(Answer::Miss(Some(Miss::NegativeUsage)));
        }
        let weights = self.weights(sums.into_iter().collect(), tier);
        // Only zeros, or negative ones that cancel the others out.
        if total.is_zero() {
            return self.done(Answer::Miss(Some(Miss::ZeroUsage)));
        }
        match self.identities(weights) {
            Ok(parties) => self.give(Shares::of_sums(parties), Miss::ZeroUsage),
            Err(miss) => self.done(Answer::Miss(Some(miss))),
        }
    }

    /// Sums as weights; what is below 0 counts 0.
    fn weights(
        &mut self,
        mut sums: Vec<(Arc<str>, ExactSum)>,
        tier: &str,
    ) -> Vec<(Arc<str>, ExactSum)> {
        for (_, sum) in sums.iter_mut().filter(|(_, sum)| sum.is_negative()) {
            self.warn(format!("{tier}: usage below 0 counts 0"));
            *sum = ExactSum::ZERO;
        }
        sums
    }

    /// By the weights of owners: a driver's, or stated percents.
    pub fn by_owner<'w>(
        mut self,
        weights: impl Iterator<Item = (&'w str, Amount)>,
        none: Miss,
    ) -> Answered {
        match self.owners(weights) {
            Ok(parties) => self.give(Shares::new(parties), none),
            Err(miss) => self.done(Answer::Miss(Some(miss))),
        }
    }

    /// By percents in the rows of a table.
    pub fn fixed_table(self, rows: &[TableRow], tier: &str) -> Answered {
        let percents = match rows_of(rows, self.date, tier) {
            Ok(percents) => percents,
            Err(error) => return self.done(Answer::Fail(error)),
        };
        let mut sum = ExactSum::ZERO;
        percents.iter().for_each(|(_, percent)| sum.add(*percent));
        if sum != ExactSum::from(Amount::from(100)) {
            return self.done(Answer::Fail(LineError::NotHundred { tier: tier.to_owned(), sum }));
        }
        self.by_owner(percents.into_iter(), Miss::NoWeights)
    }

    /// By weights in the rows of a driver's table.
    pub fn table_weights(self, rows: &[TableRow], tier: &str) -> Answered {
        match rows_of(rows, self.date, tier) {
            Ok(weights) => self.by_owner(weights.into_iter(), Miss::NoWeights),
            Err(error) => self.done(Answer::Fail(error)),
        }
    }

    /// By what other units cost each owner; `to`: only these take part.
    pub fn spend(
        mut self,
        weights: Result<Vec<(Arc<str>, Amount)>, Miss>,
        to: Option<&[String]>,
    ) -> Answered {
        let weights = match weights {
            Ok(weights) => weights,
            Err(miss) => return self.done(Answer::Miss(Some(miss))),
        };
        let to: Option<Vec<Arc<str>>> =
            to.map(|to| to.iter().filter_map(|owner| self.payer(owner)).collect());
        // These owners came from the directory already.
        let taken = weights
            .into_iter()
            .filter(|(owner, _)| to.as_ref().is_none_or(|to| to.contains(owner)));
        let parties: Vec<_> = taken.map(|(owner, weight)| (Party::owner(owner), weight)).collect();
        self.give(Shares::new(parties), Miss::NoCost)
    }

    /// By what was measured of each value of a label.
    pub fn measured(
        mut self,
        weights: Result<Vec<(Arc<str>, Amount)>, Miss>,
        parties: &WeightsOf,
    ) -> Answered {
        let weights = match weights {
            Ok(weights) => weights,
            Err(miss) => return self.done(Answer::Miss(Some(miss))),
        };
        let mut sums: BTreeMap<(Arc<str>, Arc<str>), ExactSum> = BTreeMap::new();
        for (value, weight) in weights {
            let Some(value) = self.fit(&value, &"a label of a metric") else { continue };
            let named = match parties {
                WeightsOf::Table(table) => table.get(value, self.date),
                WeightsOf::Owners | WeightsOf::Identities(_) => None,
            };
            let Some(owner) = self.payer(named.as_deref().unwrap_or(value)) else {
                return self.done(Answer::Miss(Some(Miss::UnknownOwner)));
            };
            let party = match parties {
                WeightsOf::Identities(kind) => {
                    Party { identity: format!("{kind}:{value}").into(), owner }
                }
                WeightsOf::Owners | WeightsOf::Table(_) => Party::owner(owner),
            };
            sums.entry((party.identity, party.owner)).or_default().add(weight);
        }
        let party = |((identity, owner), sum)| (Party { identity, owner }, sum);
        self.give(Shares::of_sums(sums.into_iter().map(party)), Miss::NoUsage)
    }

    /// By what a group of lines cost each owner.
    pub fn cost(mut self, basis: usize, group: u32, tier: &str) -> Answered {
        let sums = match self.weights.of(basis, group) {
            GroupWeights::Sums(sums) => sums,
            GroupWeights::SeveralCurrencies => {
                return self.done(Answer::Miss(Some(Miss::SeveralCurrencies)));
            }
        };
        // These owners came from the directory already.
        let weights = self.weights(sums, tier).into_iter();
        let parties = weights.map(|(owner, weight)| (Party::owner(owner), weight));
        self.give(Shares::of_sums(parties), Miss::NoCost)
    }

    /// Owners with weights, each under the id that the directory gives it.
    fn owners<'w, W>(&mut self, weights: impl Iterator<Item = (&'w str, W)>) -> Parties<W> {
        let mut parties = Vec::new();
        for (name, weight) in weights {
            let owner = self.payer(name).ok_or(Miss::UnknownOwner)?;
            parties.push((Party::owner(owner), weight));
        }
        Ok(parties)
    }

    /// Identities with weights and who pays for each; those that name nobody are left out.
    fn identities<W: Ord>(&mut self, weights: Vec<(Arc<str>, W)>) -> Parties<W> {
        let mut parties = Vec::with_capacity(weights.len());
        // In order, so that warnings come in the same order everywhere.
        let mut weights = weights;
        weights.sort_unstable();
        for (identity, weight) in weights {
            let Some(value) = self.fit(value_of(&identity), &"an identity of the resolution")
            else {
                continue;
            };
            let owner = self.payer(value).ok_or(Miss::UnknownOwner)?;
            parties.push((Party { identity, owner }, weight));
        }
        Ok(parties)
    }

    /// Who pays for a value; `None` when the directory refuses it.
    fn payer(&mut self, value: &str) -> Option<Arc<str>> {
        match self.program.payer(value, self.date) {
            Payer::Known(owner) => Some(owner),
            Payer::Unlisted(owner) => {
                self.warn(format!(
                    "owner {} is not in the directory; it stays as it is",
                    quote(value)
                ));
                Some(owner)
            }
            Payer::Refused => {
                self.warn(format!(
                    "owner {} is not in the directory, which is strict",
                    quote(value)
                ));
                None
            }
        }
    }

    /// A value that can name somebody; else it is reported and counts as absent.
    fn fit<'v>(&mut self, value: &'v str, place: &dyn fmt::Display) -> Option<&'v str> {
        match fit(value.trim()) {
            Ok("") => None,
            Ok(value) => Some(value),
            Err(unfit) => {
                let what = match unfit {
                    Unfit::Unallocated => "says UNALLOCATED".to_owned(),
                    Unfit::TooLong => format!("is longer than {VALUE_BYTES_MAX} bytes"),
                    Unfit::Control => "holds control characters".to_owned(),
                };
                self.warn(format!("{place} {what}: it counts as absent"));
                None
            }
        }
    }
}

/// Owners and numbers of the rows of a date.
pub fn rows_of<'r>(
    rows: &'r [TableRow],
    date: UnitDate,
    tier: &str,
) -> Result<Vec<(&'r str, Amount)>, LineError> {
    let of_date = rows.iter().filter(|row| row.valid.contains(date));
    let parse = |row: &'r TableRow| {
        let owner = row.key.first().map_or("", String::as_str);
        let number = Amount::parse(&row.value).ok().filter(|number| !number.is_negative());
        number.map(|number| (owner, number)).ok_or_else(|| LineError::NotAWeight {
            tier: tier.to_owned(),
            owner: owner.to_owned(),
            value: row.value.clone(),
        })
    };
    of_date.map(parse).collect()
}
