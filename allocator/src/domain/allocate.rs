//! A unit being allocated: lines in, batches of rows out. Pure; the caller reads and publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::Field;
use proto::currency::Currency;
use proto::driver::DriverUse;
use proto::line::Lines;
use proto::money::{Amount, Share};
use proto::report::Warning;
use proto::row::PartsMoney;
use proto::time::UnitDate;

use super::chain::Walker;
use super::columns::{Batch, parsed};
use super::drivers::DriverWeights;
use super::error::{LineError, UnitError};
use super::face::Face;
use super::facts::Facts;
use super::line_money::{LineMoney, conserve};
use super::memo::Prepared;
use super::party::Party;
use super::program::{CompiledRule, Program};
use super::rows::{Packed, RowWriter};
use super::survey::{Seen, Survey, Surveyor};
use super::trace::{RuleTried, Trace, failing};

/// Allocates the lines of one unit.
///
/// Memory: the unit's resolutions, what a few batches of lines and one batch of rows take, and where a rule in force
/// shares in proportion to cost about 100 bytes per group and owner.
#[derive(Debug)]
pub struct UnitAllocator {
    walker: Walker,
    /// Rules in force, in order.
    rules: Vec<usize>,
    rows: RowWriter,
    /// Scratch space.
    parts: PartsMoney,
}

impl UnitAllocator {
    /// For the unit of a date with these resolutions.
    #[must_use]
    pub fn new(
        program: Arc<Program>,
        date: UnitDate,
        facts: Facts,
        drivers: DriverWeights,
    ) -> Self {
        let rules = program.rules_on(date);
        let walker = Walker::new(program, date, &rules, facts, drivers);
        Self { walker, rules, rows: RowWriter::default(), parts: PartsMoney::default() }
    }

    /// Whether every batch must be [weighed](Self::weigh) before the first is [allocated](Self::allocate).
    #[must_use]
    pub fn needs_weights(&self) -> bool {
        self.walker.weights.wanted()
    }

    /// First pass: counts what `direct` gives as weight of cost.
    ///
    /// # Errors
    /// When the batch is damaged.
    pub fn weigh(&mut self, lines: &Lines) -> Result<(), UnitError> {
        let program = Arc::clone(&self.walker.program);
        let batch = Batch::new(&program.fields, &program.tests, lines, self.walker.date, None)?;
        let currencies: Vec<Currency> = parsed(&lines.currency, "currency")?;
        self.walker.weighing = true;
        self.walker.next_batch();
        for line in 0..lines.len() {
            if !self.walker.weights.counts(&program, &batch, line) {
                continue;
            }
            let Some(rule) = self.rule(&program, &batch, line) else { continue };
            let money = LineMoney::of(lines, line);
            // A line that fails gives nobody anything; the second pass makes its row.
            if self.walker.walk(&program.rules[rule].chain, &batch, line, &money).is_err() {
                continue;
            }
            let currency = currencies[lines.currency.code(line) as usize - 1];
            for (owner, amount) in self.owners(|prepared| prepared.face.direct) {
                self.walker.weights.add(&program, &batch, line, currency, (&owner, amount));
            }
        }
        Ok(())
    }

    /// After the first pass over all batches, and before the second.
    pub fn weighed(&mut self) {
        self.walker.end_weighing();
    }

    /// Allocates a batch of lines; gives the batches of rows that are full.
    ///
    /// # Errors
    /// When the batch is damaged, or rows do not add up to their line.
    pub fn allocate(&mut self, lines: &Lines) -> Result<Vec<Packed>, UnitError> {
        self.allocate_given(lines, None)
    }

    /// The same with values stated for whole fields, as a test of rules does.
    pub(super) fn allocate_given(
        &mut self,
        lines: &Lines,
        given: Option<&BTreeMap<Field, String>>,
    ) -> Result<Vec<Packed>, UnitError> {
        let program = Arc::clone(&self.walker.program);
        let batch = Batch::new(&program.fields, &program.tests, lines, self.walker.date, given)?;
        let currencies: Vec<Currency> = parsed(&lines.currency, "currency")?;
        self.walker.next_batch();
        for line in 0..lines.len() {
            let currency = currencies[lines.currency.code(line) as usize - 1];
            // One that fails has its row all the same.
            self.allocate_line(&program, &batch, line, currency)?.ok();
        }
        Ok(self.rows.ready())
    }

    /// Appends the rows of a line. Where its allocation fails, that is one row, and the reason is given.
    fn allocate_line(
        &mut self,
        program: &Program,
        batch: &Batch<'_>,
        line: usize,
        currency: Currency,
    ) -> Result<Result<(), LineError>, UnitError> {
        let money = LineMoney::of(batch.lines(), line);
        let rule = self.rule(program, batch, line);
        let walked = match rule {
            Some(rule) => self.walker.walk(&program.rules[rule].chain, batch, line, &money),
            None => Err(LineError::NoRule),
        };
        match &walked {
            Ok(()) => self.write(batch, line, currency, &money)?,
            Err(error) => {
                let rule = rule.or(self.rules.last().copied());
                let rule = rule.map_or("", |rule| program.rules[rule].id.as_str());
                let face = Face::of_failure(rule, error);
                self.write_failure(batch, line, currency, &money, &face);
            }
        }
        Ok(walked)
    }

    /// What is done with one line, and why. For a unit of its own, which allocates nothing else.
    ///
    /// # Errors
    /// When the batch is damaged, or rows do not add up to the line.
    pub fn explain(&mut self, lines: &Lines, line: usize) -> Result<Trace, UnitError> {
        let program = Arc::clone(&self.walker.program);
        let batch = Batch::new(&program.fields, &program.tests, lines, self.walker.date, None)?;
        let currencies: Vec<Currency> = parsed(&lines.currency, "currency")?;
        let currency = currencies[lines.currency.code(line) as usize - 1];
        let mut trace = Trace::default();
        for rule in &self.rules {
            let CompiledRule { id, node, .. } = &program.rules[*rule];
            let because = failing(node, &program, &batch, line);
            let takes = because.is_none();
            trace.rules.push(RuleTried { id: id.clone(), takes, because });
            if takes {
                break;
            }
        }
        self.walker.next_batch();
        self.walker.recorder.start();
        let allocated = self.allocate_line(&program, &batch, line, currency)?;
        trace.steps = self.walker.recorder.finish();
        trace.failed = allocated.err().map(|error| error.to_string());
        self.rows.cut();
        for packed in self.rows.ready() {
            let rows = packed.batch.open()?;
            trace.rows.extend(rows.iter().map(|(dimension, money)| (dimension.clone(), money)));
        }
        Ok(trace)
    }

    /// Allocates a batch of lines and counts what becomes of them; its rows are dropped.
    ///
    /// # Errors
    /// When the batch is damaged, or rows do not add up to their line.
    pub fn survey(&mut self, lines: &Lines, survey: &mut Survey) -> Result<(), UnitError> {
        let program = Arc::clone(&self.walker.program);
        let date = self.walker.date;
        let batch = Batch::new(&program.fields, &program.tests, lines, date, None)?;
        let currencies: Vec<Currency> = parsed(&lines.currency, "currency")?;
        self.walker.next_batch();
        let mut surveyor = Surveyor::new(survey, &program, &batch, date, &self.rules);
        for line in 0..lines.len() {
            let currency = currencies[lines.currency.code(line) as usize - 1];
            self.walker.recorder.start_short();
            let allocated = self.allocate_line(&program, &batch, line, currency)?;
            let tried = self.walker.recorder.finish_short();
            let given = if allocated.is_ok() { self.owners(|_| true) } else { Vec::new() };
            let rule = self.rule(&program, &batch, line);
            surveyor.line(&Seen { line, currency, rule, tried: &tried, given: &given });
        }
        surveyor.finish();
        drop(self.rows.ready());
        Ok(())
    }

    /// The last batch of rows, if any is left, and what a person should know.
    pub fn finish(&mut self) -> (Vec<Packed>, Vec<Warning>) {
        self.rows.cut();
        (self.rows.ready(), self.walker.warnings.take())
    }

    /// What its lines asked drivers for.
    #[must_use]
    pub fn drivers_used(&self) -> Vec<DriverUse> {
        self.walker.drivers.used()
    }

    fn rule(&self, program: &Program, batch: &Batch<'_>, line: usize) -> Option<usize> {
        let takes = |rule: &&usize| program.rules[**rule].node.holds(batch, line);
        self.rules.iter().find(takes).copied()
    }

    /// Who pays how much of the line under way, by the answers that count.
    fn owners(&mut self, counts: impl Fn(&Prepared) -> bool) -> Vec<(Arc<str>, Amount)> {
        let (mut owners, mut parts) = (Vec::new(), PartsMoney::default());
        for given in std::mem::take(&mut self.walker.given) {
            let Some(prepared) = self.walker.split(&given, &mut parts) else { continue };
            if counts(prepared) {
                let parties = prepared.shares.ids().iter().zip(&parts.amounts);
                owners.extend(parties.map(|(party, amount)| (Arc::clone(&party.owner), *amount)));
            }
        }
        owners
    }

    /// Appends the rows of the line under way, if they add up to it.
    fn write(
        &mut self,
        batch: &Batch<'_>,
        line: usize,
        currency: Currency,
        money: &LineMoney,
    ) -> Result<(), UnitError> {
        let id = batch.lines().id[line];
        // A composition parts it first.
        self.parts.clear();
        for given in &self.walker.given {
            self.parts.push(given.money.amount, given.money.others());
        }
        conserve(id, money, &self.parts)?;
        let (given, mut parts) =
            (std::mem::take(&mut self.walker.given), std::mem::take(&mut self.parts));
        for given in &given {
            let Some(prepared) = self.walker.split(given, &mut parts) else { continue };
            conserve(id, &given.money, &parts)?;
            self.rows.count(&given.money, currency, batch.period(line));
            for piece in prepared.pieces() {
                let split = prepared.split(&piece, &mut self.rows);
                self.rows.push(id, split, &parts, piece);
            }
        }
        // For the next line to use.
        (self.walker.given, self.parts) = (given, parts);
        Ok(())
    }

    fn write_failure(
        &mut self,
        batch: &Batch<'_>,
        line: usize,
        currency: Currency,
        money: &LineMoney,
        face: &Face,
    ) {
        let place = self.rows.batch.dimension(face.with(&Party::nobody()));
        let split = self.rows.batch.split(std::iter::once((place, Share::ONE)));
        self.parts.clear();
        self.parts.push(money.amount, money.others());
        self.rows.count(money, currency, batch.period(line));
        self.rows.push(batch.lines().id[line], split, &self.parts, 0..1);
    }
}
