//! A unit being allocated: lines in, batches of rows out. Pure; the caller reads and publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::Field;
use proto::currency::Currency;
use proto::line::Lines;
use proto::money::Share;
use proto::report::Warning;
use proto::row::RowMoney;
use proto::time::UnitDate;

use super::chain::{Draft, DriverWeights, Walker};
use super::columns::{Batch, parsed};
use super::error::{LineError, UnitError};
use super::face::Face;
use super::facts::Facts;
use super::line_money::{LineMoney, conserve};
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
        Self { walker, rules, rows: RowWriter::default() }
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
            for draft in std::mem::take(&mut self.walker.drafts) {
                let given = self.walker.prepared(&draft).filter(|prepared| prepared.face.direct);
                let Some(prepared) = given else { continue };
                let owner = Arc::clone(&prepared.shares.ids()[draft.party].owner);
                let given = (&owner, draft.money.amount);
                self.walker.weights.add(&program, &batch, line, currency, given);
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
            Ok(()) => {
                let drafts = std::mem::take(&mut self.walker.drafts);
                let id = batch.lines().id[line];
                conserve(id, &money, drafts.iter().map(|draft| &draft.money))?;
                self.write(batch, line, currency, &drafts);
                // For the next line to use.
                self.walker.drafts = drafts;
            }
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
            let dimension = |place: u32| rows.dimensions[place as usize].clone();
            trace.rows.extend(rows.rows.iter().map(|(money, at)| (dimension(*at), *money)));
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
            let mut given = Vec::new();
            if allocated.is_ok() {
                let drafts = std::mem::take(&mut self.walker.drafts);
                for draft in &drafts {
                    let owner = self.walker.prepared(draft).map(|p| &p.shares.ids()[draft.party]);
                    given.extend(owner.map(|who| (Arc::clone(&who.owner), draft.money.amount)));
                }
                self.walker.drafts = drafts;
            }
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

    fn rule(&self, program: &Program, batch: &Batch<'_>, line: usize) -> Option<usize> {
        let takes = |rule: &&usize| program.rules[**rule].node.holds(batch, line);
        self.rules.iter().find(takes).copied()
    }

    fn write(&mut self, batch: &Batch<'_>, line: usize, currency: Currency, drafts: &[Draft]) {
        for draft in drafts {
            let Some(prepared) = self.walker.prepared(draft) else { continue };
            let share = prepared.shares.share(draft.party);
            let place = prepared.dimension(draft.party, &mut self.rows);
            let money = row_money(batch, line, share, &draft.money);
            self.rows.push(money, place, currency, batch.period(line));
        }
    }

    fn write_failure(
        &mut self,
        batch: &Batch<'_>,
        line: usize,
        currency: Currency,
        money: &LineMoney,
        face: &Face,
    ) {
        let place = self.rows.dimension(face.with(&Party::nobody()));
        let money = row_money(batch, line, Share::ONE, money);
        self.rows.push(money, place, currency, batch.period(line));
    }
}

fn row_money(batch: &Batch<'_>, line: usize, share: Share, money: &LineMoney) -> RowMoney {
    RowMoney {
        line: batch.lines().id[line],
        share,
        amount: money.amount,
        measures: money.measures,
        quantities: money.quantities,
    }
}
