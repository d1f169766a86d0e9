//! What rules, tables and the owner directory do with lines, counted over units and sources: for who looks for those
//! that do nothing. Memory: a few sums per rule, table key and owner, and at most [`KEYS_MAX`] values that no table has.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use proto::config::Validity;
use proto::currency::Currency;
use proto::money::{Amount, ExactSum};
use proto::row::UNALLOCATED;
use proto::time::UnitDate;

use super::columns::Batch;
use super::fields::{FieldId, Plan};
use super::lookup::{Found, join};
use super::matching::Node;
use super::notes::Miss;
use super::party::{Payer, fit};
use super::program::{Program, TierKind};
use super::trace::Tried;

/// Values without a key, and owners, that are told apart; what comes later is not counted.
pub const KEYS_MAX: usize = 100_000;

/// Lines and their money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines, or rows where rows are counted.
    pub count: u64,
    /// Their amounts, by currency.
    pub money: BTreeMap<Currency, ExactSum>,
}

impl Tally {
    fn add(&mut self, currency: Currency, amount: Amount) {
        self.count += 1;
        self.money.entry(currency).or_default().add(amount);
    }
}

/// A rule: rules that share an id hold on different days.
pub type RuleKey = (String, Validity);

/// What became of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleUse {
    /// Lines that it took. Of a rule that took any, nothing else is counted.
    pub took: u64,
    /// Lines of its sources on its days, whatever they hold.
    pub met: u64,
    /// Lines that it matches and an earlier rule took, by that rule.
    pub taken_by: BTreeMap<RuleKey, Tally>,
}

/// What became of a table that rules look lines up in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableUse {
    /// Rows whose key some line has on a day of the row: the cells of the key, and the days.
    pub rows: BTreeSet<(Vec<String>, Validity)>,
    /// Patterns, by their place, that fit some line.
    pub patterns: BTreeSet<usize>,
    /// Keys that the table has nothing for, of lines whose owner was looked for there.
    pub missed: BTreeMap<Vec<String>, Tally>,
}

/// An owner who is not in the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerUse {
    /// What it got all the same, in rows.
    pub got: Tally,
    /// What a strict directory kept from it.
    pub refused: Tally,
}

/// Everything that is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Every rule that was there for some line, the sources' own too.
    pub rules: BTreeMap<RuleKey, RuleUse>,
    /// By name: tables that rules look lines up in.
    pub tables: BTreeMap<String, TableUse>,
    /// By the value that names the owner.
    pub owners: BTreeMap<String, OwnerUse>,
    /// Days that lines were seen of.
    pub days: BTreeSet<UnitDate>,
}

/// A line that was allocated.
pub(super) struct Seen<'s> {
    /// Its place in the batch.
    pub line: usize,
    /// Its currency.
    pub currency: Currency,
    /// The rule that took it, by its place in the program.
    pub rule: Option<usize>,
    /// Tiers that were tried.
    pub tried: &'s [Tried],
    /// Who got how much; nothing where the allocation failed.
    pub given: &'s [(Arc<str>, Amount)],
}

/// What a batch of a unit does to a [`Survey`].
pub(super) struct Surveyor<'s, 'b> {
    survey: &'s mut Survey,
    program: &'s Program,
    batch: &'s Batch<'b>,
    date: UnitDate,
    /// Rules in force: place in the program, key, and what became of them so far.
    rules: Vec<(usize, RuleKey, RuleUse)>,
    /// Fields that are a table's value, or may be.
    from_table: Vec<bool>,
}

impl<'s, 'b> Surveyor<'s, 'b> {
    /// For a batch of the unit of `date`.
    pub fn new(
        survey: &'s mut Survey,
        program: &'s Program,
        batch: &'s Batch<'b>,
        date: UnitDate,
        rules: &[usize],
    ) -> Self {
        let known = |place: &usize| {
            let rule = &program.rules[*place];
            let key = (rule.id.clone(), rule.valid);
            let known = survey.rules.remove(&key).unwrap_or_default();
            (*place, key, known)
        };
        let rules = rules.iter().map(known).collect();
        let mut from_table: Vec<bool> = Vec::with_capacity(program.fields.len());
        for field in 0..program.fields.len() {
            let below = match program.fields.plan(field) {
                Plan::Table(..) => true,
                // A field stands after those that it looks at.
                Plan::FirstOf(from, _) => from.iter().any(|field| from_table[*field]),
                Plan::Cell(_) | Plan::Typed(_) | Plan::Constant(_) | Plan::Tag(_) => false,
            };
            from_table.push(below);
        }
        survey.days.insert(date);
        let mut this = Self { survey, program, batch, date, rules, from_table };
        this.keys();
        this
    }

    /// Rows and patterns that fit the lines.
    fn keys(&mut self) {
        let (program, batch) = (self.program, self.batch);
        for field in 0..program.fields.len() {
            let Plan::Table(keys, lookup) = program.fields.plan(field) else { continue };
            let columns: Vec<_> = keys.iter().map(|key| batch.column(*key)).collect();
            let mut known: HashSet<Vec<usize>> = HashSet::new();
            let table = self.survey.table(program, field);
            for line in 0..batch.lines().len() {
                let codes: Vec<usize> = columns.iter().map(|column| column.code(line)).collect();
                if known.contains(&codes) {
                    continue;
                }
                let cells = columns.iter().zip(&codes).map(|(column, code)| column.value(*code));
                known.insert(codes.clone());
                let Some(cells) = cells.collect::<Option<Vec<&str>>>() else { continue };
                match lookup.find(&join(&cells), self.date) {
                    Some(Found::Row(valid, _)) => {
                        let cells = cells.into_iter().map(str::to_owned).collect();
                        table.rows.insert((cells, *valid));
                    }
                    Some(Found::Pattern(place, _)) => {
                        table.patterns.insert(place);
                    }
                    None => {}
                }
            }
        }
    }

    /// After the last line.
    pub fn finish(self) {
        self.survey.rules.extend(self.rules.into_iter().map(|(_, key, found)| (key, found)));
    }

    /// Counts a line in.
    pub fn line(&mut self, seen: &Seen<'_>) {
        self.rules_of(seen);
        self.owners_of(seen);
        if self.from_table.contains(&true) {
            self.tables_of(seen);
        }
    }

    fn rules_of(&mut self, seen: &Seen<'_>) {
        let amount = self.batch.lines().amount[seen.line];
        let mut taker: Option<&RuleKey> = None;
        for (place, key, of) in &mut self.rules {
            of.met += 1;
            if seen.rule == Some(*place) {
                of.took += 1;
                of.taken_by.clear();
                taker = Some(key);
            } else if let Some(taker) = taker
                && of.took == 0
                && self.program.rules[*place].node.holds(self.batch, seen.line)
            {
                of.taken_by.entry(taker.clone()).or_default().add(seen.currency, amount);
            }
        }
    }

    fn owners_of(&mut self, seen: &Seen<'_>) {
        for (owner, amount) in seen.given {
            if &**owner != UNALLOCATED
                && matches!(self.program.payer(owner, self.date), Payer::Unlisted(_))
                && let Some(of) = self.survey.owner(owner)
            {
                of.got.add(seen.currency, *amount);
            }
        }
        for tried in seen.tried.iter().filter(|tried| tried.miss == Some(Miss::UnknownOwner)) {
            let TierKind::Direct(fields) = &self.program.tiers[tried.tier].kind else { continue };
            // The first value that can name somebody is the one that was asked for.
            let value = |field: &FieldId| fit(self.batch.value(*field, seen.line)?).ok();
            if let Some(of) =
                fields.iter().find_map(value).and_then(|owner| self.survey.owner(owner))
            {
                of.refused.add(seen.currency, tried.amount);
            }
        }
    }

    /// Tables that were asked for the line's owner and had nothing: by `direct`; and by matches, where in the end nobody
    /// pays. A match that asks whether a table has a line is otherwise content with either answer.
    fn tables_of(&mut self, seen: &Seen<'_>) {
        let mut asked: BTreeSet<FieldId> = BTreeSet::new();
        for tried in seen.tried {
            let TierKind::Direct(fields) = &self.program.tiers[tried.tier].kind else { continue };
            for field in fields {
                self.asked(*field, seen.line, &mut asked);
                if self.batch.value(*field, seen.line).is_some() {
                    break;
                }
            }
        }
        if seen.given.iter().any(|(owner, _)| &**owner == UNALLOCATED) {
            for (place, ..) in &self.rules {
                self.matched(&self.program.rules[*place].node, seen.line, &mut asked);
                if seen.rule == Some(*place) {
                    break;
                }
            }
        }
        let amount = self.batch.lines().amount[seen.line];
        for field in asked {
            let Plan::Table(keys, _) = self.program.fields.plan(field) else { continue };
            let cell = |key: &FieldId| self.batch.value(*key, seen.line).map(str::to_owned);
            let Some(key) = keys.iter().map(cell).collect::<Option<Vec<String>>>() else {
                continue;
            };
            let missed = &mut self.survey.table(self.program, field).missed;
            if missed.len() < KEYS_MAX || missed.contains_key(&key) {
                missed.entry(key).or_default().add(seen.currency, amount);
            }
        }
    }

    /// Tables without a value for the line that a field asks.
    fn asked(&self, field: FieldId, line: usize, asked: &mut BTreeSet<FieldId>) {
        if !self.from_table[field] {
            return;
        }
        match self.program.fields.plan(field) {
            Plan::Table(..) if self.batch.value(field, line).is_none() => {
                asked.insert(field);
            }
            Plan::FirstOf(from, _) => {
                for field in from {
                    self.asked(*field, line, asked);
                    if self.batch.value(*field, line).is_some() {
                        break;
                    }
                }
            }
            Plan::Table(..) | Plan::Cell(_) | Plan::Typed(_) | Plan::Constant(_) | Plan::Tag(_) => {
            }
        }
    }

    /// The same of a match, as far as it looks: see [`Node::holds`].
    fn matched(&self, node: &Node, line: usize, asked: &mut BTreeSet<FieldId>) -> bool {
        match node {
            Node::Always(holds) => *holds,
            Node::All(nodes) => nodes.iter().all(|node| self.matched(node, line, asked)),
            Node::Any(nodes) => nodes.iter().any(|node| self.matched(node, line, asked)),
            Node::Test(test) => {
                self.asked(self.program.tests.get(*test).0, line, asked);
                self.batch.holds(*test, line)
            }
        }
    }
}

impl Survey {
    fn table(&mut self, program: &Program, field: FieldId) -> &mut TableUse {
        let name = program.fields.name(field).to_string();
        let name = name.strip_prefix("table.").unwrap_or(&name);
        self.tables.entry(name.to_owned()).or_default()
    }

    fn owner(&mut self, owner: &str) -> Option<&mut OwnerUse> {
        let room = self.owners.len() < KEYS_MAX || self.owners.contains_key(owner);
        room.then(|| self.owners.entry(owner.to_owned()).or_default())
    }
}
