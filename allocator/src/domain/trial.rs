//! The tests that users write beside their rules: a line, weights, and who must get what.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::{Field, RuleTest, SourceConfig, TenantConfig};
use proto::currency::Currency;
use proto::line::{BillingLineItem, LineBatchBuilder, LineId};
use proto::money::ExactSum;
use proto::time::UtcSeconds;

use super::allocate::UnitAllocator;
use super::drivers::DriverWeights;
use super::error::{CompileError, UnitError};
use super::facts::Facts;
use super::fields::canonical;
use super::program::Program;

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The test's name.
    pub name: String,
    /// The rule that took the line.
    pub rule: String,
    /// What each owner got; `UNALLOCATED` is one here.
    pub actual: BTreeMap<String, ExactSum>,
    /// What differs from what was expected, one sentence each; empty: passed.
    pub differences: Vec<String>,
}

/// A test that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The configuration cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine is wrong.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The line's source is not configured.
    #[error("the line's source {0:?} is not configured")]
    NoSource(String),
}

/// Runs every test of a tenant, in order.
#[must_use]
pub fn run_tests(config: &TenantConfig) -> Vec<(String, Result<Outcome, TrialError>)> {
    config.tests.iter().map(|test| (test.name.clone(), run_test(config, test))).collect()
}

/// Runs one test; the error says why it does not pass.
///
/// # Errors
/// When it cannot run or something differs.
pub fn check(config: &TenantConfig, test: &RuleTest) -> Result<(), String> {
    let outcome = run_test(config, test).map_err(|error| proto::fault::chain(&error))?;
    if outcome.differences.is_empty() { Ok(()) } else { Err(outcome.differences.join("; ")) }
}

/// Runs one test. Fields that the test does not state are absent; drivers that it does not state are missing, and so
/// are resolutions and other lines. A line without `source` belongs to the first source for which the test's rule is
/// there, else to the first source.
///
/// # Errors
/// When the configuration cannot be compiled or names no such source.
pub fn run_test(config: &TenantConfig, test: &RuleTest) -> Result<Outcome, TrialError> {
    let source = source_of(config, test)?;
    let program = Arc::new(Program::compile(config, &source.id)?);
    let drivers = DriverWeights::stated(test.drivers.clone());
    let mut unit = UnitAllocator::new(program, test.line.date, Facts::default(), drivers);
    let given: BTreeMap<Field, String> =
        test.line.fields.iter().map(|(field, value)| (canonical(field), value.clone())).collect();
    let lines = the_line(test).open().map_err(UnitError::from)?;
    let mut packed = unit.allocate_given(&lines, Some(&given))?;
    packed.extend(unit.finish().0);
    let (mut rule, mut actual) = (String::new(), BTreeMap::<String, ExactSum>::new());
    for batch in packed {
        let rows = batch.batch.open().map_err(UnitError::from)?;
        for (dimension, money) in rows.iter() {
            rule.clone_from(&dimension.rule);
            actual.entry(dimension.owner.clone()).or_default().add(money.amount);
        }
    }
    let differences = differences(test, &rule, &actual);
    Ok(Outcome { name: test.name.clone(), rule, actual, differences })
}

fn source_of<'c>(
    config: &'c TenantConfig,
    test: &RuleTest,
) -> Result<&'c SourceConfig, TrialError> {
    let no_source = |name: &str| TrialError::NoSource(name.to_owned());
    if let Some(name) = test.line.fields.get(&Field::Source) {
        let found = config.sources.iter().find(|source| source.id.as_str() == name.trim());
        return found.ok_or_else(|| no_source(name));
    }
    let has_rule = |source: &&SourceConfig| {
        let rules = config.rules_in_force(source, test.line.date);
        rules.iter().any(|rule| Some(&rule.id) == test.rule.as_ref())
    };
    let found = config.sources.iter().find(has_rule).or(config.sources.first());
    found.ok_or_else(|| no_source(""))
}

fn the_line(test: &RuleTest) -> proto::line::LineBatch {
    let currency: Option<&String> =
        test.line.fields.get(&Field::Column("BillingCurrency".to_owned()));
    let currency = currency.and_then(|code| code.trim().parse::<Currency>().ok());
    let day = test.line.date;
    let start = day.start();
    let mut batch = LineBatchBuilder::default();
    batch.push(&BillingLineItem {
        id: LineId::default(),
        charge_start: start,
        charge_end: UtcSeconds(start.0 + 86_400),
        billing_period: day.period(),
        currency: currency.unwrap_or_else(any_currency),
        amount: test.line.cost,
        measures: [None; 4],
        quantities: [None; 2],
        resolution_key: None,
        cells: Vec::new(),
    });
    batch.take()
}

fn any_currency() -> Currency {
    "USD".parse().expect("USD is an ISO 4217 code")
}

fn differences(test: &RuleTest, rule: &str, actual: &BTreeMap<String, ExactSum>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(wanted) = test.rule.as_ref().filter(|wanted| *wanted != rule) {
        found.push(format!("rule {rule} took the line, not {wanted}"));
    }
    for (owner, amount) in &test.expect {
        let got = actual.get(owner).copied().unwrap_or_default();
        if got != ExactSum::from(*amount) {
            found.push(format!("{owner} got {got}, not {amount}"));
        }
    }
    let unexpected =
        actual.iter().filter(|(owner, got)| !test.expect.contains_key(*owner) && !got.is_zero());
    found.extend(unexpected.map(|(owner, got)| format!("{owner} got {got}, not nothing")));
    found
}
