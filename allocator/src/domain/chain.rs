//! One line through its chain: the first tier that applies wins; a composition goes on part by part.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::Reason;
use proto::money::Amount;
use proto::row::PartsMoney;
use proto::time::UnitDate;

use super::columns::Batch;
use super::drivers::{DriverFound, DriverWeights};
use super::error::LineError;
use super::face::Face;
use super::facts::Facts;
use super::fields::{FieldId, identity_type};
use super::line_money::{LineMoney, MoneySplitter};
use super::memo::{Kept, Memo, Prepared};
use super::notes::{Miss, NO_NOTES, Notes, NotesId};
use super::prepare::{Answered, Preparer};
use super::program::{Program, TierId, TierKind, WeightsOf};
use super::trace::{Input, Outcome, Received, Recorder, inputs, passed};
use super::warnings::{WarningId, Warnings, quote};
use super::weights::{CostWeights, LacksField};

/// Answers that are kept from batch to batch are forgotten above so many parties.
const KEPT_MAX: usize = 200_000;

/// Input of an answer that a line's own cells decide: holds within one batch, whose codes it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LineKey {
    tier: TierId,
    notes: NotesId,
    field: usize,
    code: usize,
}

/// Input of an answer that the unit's facts decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct UnitKey {
    tier: TierId,
    notes: NotesId,
    which: u32, // A resolution, a group of cost, or 0.
}

/// Where an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line(u32),
    Unit(u32),
}

/// Rows to be: an answer, and the money that its parties share.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    place: Place,
    /// All of it.
    pub money: LineMoney,
}

/// Walks chains. Holds what is known of the unit, and all answers found so far.
#[derive(Debug)]
pub struct Walker {
    /// The rules.
    pub program: Arc<Program>,
    /// The unit's date.
    pub date: UnitDate,
    /// Its resolutions.
    pub facts: Facts,
    /// Cost to share by; filled by the first pass.
    pub weights: CostWeights,
    /// Whether the first pass is still under way.
    pub weighing: bool,
    /// Weights of drivers.
    pub drivers: DriverWeights,
    /// What a person should know.
    pub warnings: Warnings,
    notes: Notes,
    by_line: Memo<LineKey>,
    by_unit: Memo<UnitKey>,
    splitter: MoneySplitter,
    /// What became of the line under way, in the order of its rows.
    pub given: Vec<Given>,
    /// Takes down what is done, for who asks why.
    pub recorder: Recorder,
}

impl Walker {
    /// For one unit.
    pub fn new(
        program: Arc<Program>,
        date: UnitDate,
        rules: &[usize],
        facts: Facts,
        drivers: DriverWeights,
    ) -> Self {
        Self {
            weights: CostWeights::new(&program, rules, date),
            program,
            date,
            facts,
            weighing: false,
            drivers,
            warnings: Warnings::default(),
            notes: Notes::default(),
            by_line: Memo::default(),
            by_unit: Memo::default(),
            splitter: MoneySplitter::default(),
            given: Vec::new(),
            recorder: Recorder::default(),
        }
    }

    /// Before each batch: codes of the one before mean nothing any more.
    pub fn next_batch(&mut self) {
        self.by_line.clear();
        if self.by_unit.parties() > KEPT_MAX {
            self.by_unit.clear();
        }
    }

    /// After the first pass: answers may differ now.
    pub fn end_weighing(&mut self) {
        self.weights.finish();
        self.weighing = false;
        self.by_line.clear();
        self.by_unit.clear();
        self.warnings.reset();
    }

    /// The answer that shares some money, and what each party gets of it, instead of what `parts` held.
    pub fn split(&mut self, given: &Given, parts: &mut PartsMoney) -> Option<&mut Prepared> {
        let prepared = match given.place {
            Place::Line(place) => self.by_line.prepared(place),
            Place::Unit(place) => self.by_unit.prepared(place),
        };
        let prepared = prepared?;
        self.splitter.split(&given.money, &prepared.shares, parts);
        Some(prepared)
    }

    fn at(&mut self, place: Place) -> Option<&mut Prepared> {
        match place {
            Place::Line(place) => self.by_line.prepared(place),
            Place::Unit(place) => self.by_unit.prepared(place),
        }
    }

    /// Leaves what becomes of a line in `given`.
    ///
    /// # Errors
    /// When the allocation fails; `given` then means nothing.
    pub fn walk(
        &mut self,
        chain: &[TierId],
        batch: &Batch<'_>,
        line: usize,
        money: &LineMoney,
    ) -> Result<(), LineError> {
        self.given.clear();
        let program = Arc::clone(&self.program);
        self.chain(&program, chain, batch, line, money)
    }

    fn chain(
        &mut self,
        program: &Program,
        chain: &[TierId],
        batch: &Batch<'_>,
        line: usize,
        money: &LineMoney,
    ) -> Result<(), LineError> {
        let mut notes = NO_NOTES;
        for tier in chain {
            let place = match &program.tiers[*tier].kind {
                TierKind::Composition(shares, chains) => {
                    let mut parts = PartsMoney::default();
                    self.splitter.split(money, shares, &mut parts);
                    if self.recorder.is_on() {
                        let workings = shares.workings(money.amount).parts.into_iter();
                        let part = |((id, share), working): ((&String, _), _)| {
                            let (identity, owner) = (id.clone(), String::new());
                            Received { identity, owner, share, working }
                        };
                        let parts = shares.iter().zip(workings).map(part).collect();
                        self.recorder.step(program, *tier, Vec::new(), Outcome::Parts(parts));
                    }
                    self.recorder.enter();
                    for (part, chain) in chains.iter().enumerate() {
                        let money = LineMoney::of_part(&parts, part);
                        self.chain(program, chain, batch, line, &money)?;
                    }
                    self.recorder.leave();
                    return Ok(());
                }
                // Shares by what others get, so it gives no weight itself.
                TierKind::Cost(_) | TierKind::Ledger { .. } if self.weighing => return Ok(()),
                TierKind::Direct(fields) => {
                    self.direct(program, *tier, notes, fields, batch, line)?
                }
                TierKind::EvenGroup(_)
                | TierKind::EvenSet(..)
                | TierKind::Metrics(_)
                | TierKind::Driver { .. }
                | TierKind::Fixed(_)
                | TierKind::FixedTable(_)
                | TierKind::Cost(_)
                | TierKind::Ledger { .. }
                | TierKind::Resource
                | TierKind::Unallocated => self.other(program, *tier, notes, batch, line)?,
            };
            match place {
                Ok(place) => {
                    self.recorder.tried(*tier, money.amount, None);
                    self.record_given(program, *tier, place, (batch, line), money);
                    self.given.push(Given { place, money: *money });
                    return Ok(());
                }
                Err(miss) => {
                    self.recorder.tried(*tier, money.amount, miss);
                    if self.recorder.is_on() {
                        let inputs = self.inputs(program, *tier, batch, line);
                        self.recorder.step(program, *tier, inputs, passed(miss));
                    }
                    if let Some(miss) = miss {
                        notes = self.notes.add(notes, *tier, miss, program);
                    }
                }
            }
        }
        // Every chain ends in a tier that always applies, but a strict directory refuses even stated owners.
        if let Some(last) = chain.last() {
            let place = self.unallocated(program, *last, notes, batch, line, None);
            self.record_given(program, *last, place, (batch, line), money);
            self.given.push(Given { place, money: *money });
        }
        Ok(())
    }

    fn record_given(
        &mut self,
        program: &Program,
        tier: TierId,
        place: Place,
        (batch, line): (&Batch<'_>, usize),
        money: &LineMoney,
    ) {
        if !self.recorder.is_on() {
            return;
        }
        let Some(prepared) = self.at(place) else { return };
        let workings = prepared.shares.workings(money.amount).parts.into_iter();
        let received = prepared.shares.iter().zip(workings);
        let received = received
            .map(|((party, share), working)| Received::party(party, share, working))
            .collect();
        let inputs = self.inputs(program, tier, batch, line);
        self.recorder.step(program, tier, inputs, Outcome::Gave(received));
    }

    /// What a tier looks at: on the line, and of its driver.
    fn inputs(
        &self,
        program: &Program,
        tier: TierId,
        batch: &Batch<'_>,
        line: usize,
    ) -> Vec<Input> {
        let mut inputs = inputs(program, tier, batch, line);
        inputs.extend(self.drivers.listed(&program.tiers[tier].kind, self.date));
        inputs
    }

    /// The place of an answer, or why the tier does not apply.
    fn direct(
        &mut self,
        program: &Program,
        tier: TierId,
        notes: NotesId,
        fields: &[FieldId],
        batch: &Batch<'_>,
        line: usize,
    ) -> Result<Result<Place, Option<Miss>>, LineError> {
        for field in fields {
            let column = batch.column(*field);
            let code = column.code(line);
            let Some(value) = column.value(code) else { continue };
            let key = LineKey { tier, notes, field: *field, code };
            let place = match self.by_line.find(&key) {
                Some(place) => place,
                None => {
                    let name = program.fields.name(*field);
                    let preparer = self.preparer(program);
                    let answered = preparer.direct(value, &identity_type(name), name);
                    self.keep_line(program, key, answered)
                }
            };
            match self.found(Place::Line(place))? {
                Err(None) => {}
                found => return Ok(found),
            }
        }
        Ok(Err(None))
    }

    fn other(
        &mut self,
        program: &Program,
        tier: TierId,
        notes: NotesId,
        batch: &Batch<'_>,
        line: usize,
    ) -> Result<Result<Place, Option<Miss>>, LineError> {
        let which = match &program.tiers[tier].kind {
            TierKind::Unallocated => {
                return Ok(Ok(self.unallocated(program, tier, notes, batch, line, None)));
            }
            TierKind::Ledger { place, .. } => {
                let basis = &program.ledgers[*place];
                let found = match self.drivers.is_stated(basis) {
                    true => DriverFound::Group(0),
                    false => self.drivers.find(basis, self.date, batch, line),
                };
                match found {
                    DriverFound::Group(group) => group,
                    DriverFound::Missing(miss) => return Ok(Err(Some(miss))),
                    DriverFound::Pending => {
                        let what = Some(&*basis.label);
                        return Ok(Ok(self.unallocated(program, tier, notes, batch, line, what)));
                    }
                }
            }
            TierKind::Resource => return self.resource(program, tier, notes, batch, line),
            TierKind::EvenSet(..) | TierKind::Metrics(_) => {
                let lines = batch.lines();
                let key = lines.resolution_key.as_ref().and_then(|keys| keys.get(line));
                match key.and_then(|key| {
                    self.facts.find(key, lines.charge_start[line], lines.charge_end[line])
                }) {
                    Some(fact) => fact,
                    None => return Ok(Err(Some(Miss::NoResolution))),
                }
            }
            TierKind::Cost(basis) => match self.weights.group(*basis, program, batch, line) {
                Ok(Some(group)) => group,
                Ok(None) => return Ok(Err(Some(Miss::NoCost))),
                Err(LacksField) => return Ok(Err(Some(Miss::NoWithin))),
            },
            TierKind::EvenGroup(_)
            | TierKind::Fixed(_)
            | TierKind::FixedTable(_)
            | TierKind::Driver { .. }
            | TierKind::Direct(_)
            | TierKind::Composition(..) => 0,
        };
        let key = UnitKey { tier, notes, which };
        let place = match self.by_unit.find(&key) {
            Some(place) => place,
            None => {
                let answered = self.answer(program, tier, which);
                let face = self.face(program, tier, notes);
                self.by_unit.keep(key, answered, || face)
            }
        };
        self.found(Place::Unit(place))
    }

    /// Works the answer of a tier out that the unit's facts decide.
    fn answer(&mut self, program: &Program, tier: TierId, which: u32) -> Answered {
        let label = &program.tiers[tier].label;
        let owners = |given: &BTreeMap<String, Amount>| -> Vec<(String, Amount)> {
            given.iter().map(|(owner, weight)| (owner.clone(), *weight)).collect()
        };
        match &program.tiers[tier].kind {
            TierKind::EvenGroup(group) => self.preparer(program).even_group(group),
            TierKind::EvenSet(set, types) => self.preparer(program).even_set(which, *set, types),
            TierKind::Metrics(metrics) => self.preparer(program).usage(which, metrics, label),
            TierKind::Fixed(percents) => {
                let percents = percents.iter().map(|(owner, percent)| (owner.as_str(), *percent));
                self.preparer(program).by_owner(percents, Miss::NoWeights)
            }
            TierKind::FixedTable(rows) => self.preparer(program).fixed_table(rows, label),
            TierKind::Cost(basis) => self.preparer(program).cost(*basis, which, label),
            TierKind::Ledger { place, .. } => {
                let basis = &program.ledgers[*place];
                let name = basis.driver.as_ref();
                if let Some(given) = name.and_then(|name| self.drivers.of(name)).map(owners) {
                    let weights = given.iter().map(|(owner, weight)| (owner.as_str(), *weight));
                    return self.preparer(program).by_owner(weights, Miss::NoWeights);
                }
                let weights = self.drivers.group(which).map(<[_]>::to_vec);
                match &basis.parties {
                    WeightsOf::Owners => self.preparer(program).spend(weights, basis.to.as_deref()),
                    parties @ (WeightsOf::Identities(_) | WeightsOf::Table(_)) => {
                        self.preparer(program).measured(weights, parties)
                    }
                }
            }
            TierKind::Driver { name, table, .. } => {
                match (self.drivers.of(name).map(owners), table) {
                    (None, rows) => self.preparer(program).table_weights(rows, label),
                    (Some(given), _) => {
                        let weights = given.iter().map(|(owner, weight)| (owner.as_str(), *weight));
                        self.preparer(program).by_owner(weights, Miss::NoWeights)
                    }
                }
            }
            TierKind::Direct(_)
            | TierKind::Composition(..)
            | TierKind::Resource
            | TierKind::Unallocated => self.preparer(program).nobody(None),
        }
    }

    fn resource(
        &mut self,
        program: &Program,
        tier: TierId,
        notes: NotesId,
        batch: &Batch<'_>,
        line: usize,
    ) -> Result<Result<Place, Option<Miss>>, LineError> {
        let column = batch.column(program.resource);
        let code = column.code(line);
        let Some(id) = column.value(code) else { return Ok(Err(None)) };
        let key = LineKey { tier, notes, field: program.resource, code };
        let place = match self.by_line.find(&key) {
            Some(place) => place,
            None => {
                let answered = self.preparer(program).resource(id);
                self.keep_line(program, key, answered)
            }
        };
        self.found(Place::Line(place))
    }

    /// Nobody: always gives. Products that no rule knows are reported.
    fn unallocated(
        &mut self,
        program: &Program,
        tier: TierId,
        notes: NotesId,
        batch: &Batch<'_>,
        line: usize,
        pending: Option<&str>,
    ) -> Place {
        let reported = pending.is_none() && program.tiers[tier].reason == Reason::NoRule;
        let column = batch.column(program.product_type);
        let code = if reported { column.code(line) } else { 0 };
        // No field: it cannot be mistaken for an answer of the same tier that looked at one.
        let key = LineKey { tier, notes, field: usize::MAX, code };
        let place = match self.by_line.find(&key) {
            Some(place) => place,
            None => {
                let product = column.value(code).map_or_else(|| "none".to_owned(), quote);
                let warning =
                    reported.then(|| format!("no rule says who pays for product type {product}"));
                let answered = self.preparer(program).nobody(warning);
                let face = Face::of_nobody(program, tier, &self.notes, notes, pending);
                self.by_line.keep(key, answered, || face)
            }
        };
        count(&mut self.warnings, self.by_line.get(place).1);
        Place::Line(place)
    }

    fn keep_line(&mut self, program: &Program, key: LineKey, answered: Answered) -> u32 {
        let face = self.face(program, key.tier, key.notes);
        self.by_line.keep(key, answered, || face)
    }

    fn preparer<'a>(&'a mut self, program: &'a Program) -> Preparer<'a> {
        Preparer::new(program, self.date, &self.facts, &self.weights, &mut self.warnings)
    }

    fn face(&self, program: &Program, tier: TierId, notes: NotesId) -> Face {
        Face::of(program, tier, &self.notes, notes)
    }

    /// What is kept at a place; counts its warnings.
    fn found(&mut self, place: Place) -> Result<Result<Place, Option<Miss>>, LineError> {
        let (kept, warnings) = match place {
            Place::Line(at) => self.by_line.get(at),
            Place::Unit(at) => self.by_unit.get(at),
        };
        count(&mut self.warnings, warnings);
        match kept {
            Kept::Give(_) => Ok(Ok(place)),
            Kept::Miss(miss) => Ok(Err(*miss)),
            Kept::Fail(error) => Err(error.clone()),
        }
    }
}

fn count(all: &mut Warnings, found: &[WarningId]) {
    found.iter().for_each(|warning| all.count(*warning));
}
