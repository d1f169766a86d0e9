//! Tests over whole units. This file: how to make a configuration, lines and resolutions in a line or two.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proto::config::{
    Duplicates, Field, FocusSettings, Match, Pattern, Reason, Rule, SourceConfig, SourceSettings,
    TenantConfig, Tier, Timing, Validity,
};
use proto::hash::{Hash128, SetHash};
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, LineBatch, LineBatchBuilder, LineId, Lines, Measure};
use proto::manifest::Totals;
use proto::money::{Amount, ExactSum};
use proto::report::Warning;
use proto::resolution::IdentityResolution;
use proto::row::{ChargebackRow, RowBatch};
use proto::time::{UnitDate, UtcSeconds};

use super::trace::Outcome;
use super::{DriverWeights, Facts, Program, UnitAllocator};

mod cost;
mod failing;
mod fields;
mod oracle;
mod owners;
mod property;
mod survey;
mod tiers;
mod trace;
mod trials;

pub fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub fn field(text: &str) -> Field {
    Field::parse(text).unwrap()
}

pub fn date() -> UnitDate {
    "2026-07-01".parse().unwrap()
}

pub fn source() -> SourceId {
    SourceId::parse("cloud").unwrap()
}

pub fn rule(id: &str, matcher: Match, chain: Vec<Tier>) -> Rule {
    Rule { id: id.to_owned(), sources: Vec::new(), matcher, valid: Validity::default(), chain }
}

pub fn when(name: &str, text: &str) -> Match {
    Match::Field(field(name), Pattern::of_text(text))
}

pub fn direct(fields: &[&str]) -> Tier {
    Tier::Direct { fields: fields.iter().map(|name| field(name)).collect() }
}

pub fn nobody(reason: Reason) -> Tier {
    Tier::Unallocated(reason)
}

/// A tenant with one FOCUS source whose bare `direct` looks at `tag.team`.
pub fn config(rules: Vec<Rule>) -> TenantConfig {
    let settings = FocusSettings {
        files: vec!["*.csv".to_owned()],
        cost: Measure::Effective,
        owner: vec![field("tag.team")],
        duplicates: Duplicates::Error,
    };
    let chain = vec![direct(&[]), nobody(Reason::Untagged)];
    let source = SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: source(),
        settings: SourceSettings::Focus(settings),
        built_in_rules: Vec::new(),
        default_rule: rule("focus/default@1", Match::every_line(), chain),
    };
    TenantConfig {
        tenant: TenantId::parse("acme").unwrap(),
        currency: Vec::new(),
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: Default::default(),
        sources: vec![source],
        owners: None,
        tags: BTreeMap::new(),
        tables: BTreeMap::new(),
        groups: BTreeMap::new(),
        drivers: BTreeMap::new(),
        allocation: rules,
        tests: Vec::new(),
        emitters: Vec::new(),
        guards: Default::default(),
    }
}

/// A line with these cells; its id is a hash of `number`.
pub fn line(number: u32, cost: &str, cells: &[(&str, &str)]) -> BillingLineItem {
    let mut cells: Vec<(String, String)> =
        cells.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    cells.sort();
    BillingLineItem {
        id: LineId(Hash128::of(&number.to_le_bytes())),
        charge_start: date().start(),
        charge_end: UtcSeconds(date().start().0 + 3_600),
        billing_period: date().period(),
        currency: "USD".parse().unwrap(),
        amount: amount(cost),
        measures: [None; 4],
        quantities: [None; 2],
        resolution_key: None,
        cells,
    }
}

pub fn team(number: u32, cost: &str, team: &str) -> BillingLineItem {
    let tags = format!(r#"{{"team":"{team}"}}"#);
    line(number, cost, &[("Tags", &tags), ("ChargeCategory", "Usage")])
}

pub fn resolution(key: &str, active: &[&str], usage: &[(&str, &str, &str)]) -> IdentityResolution {
    IdentityResolution {
        key: key.to_owned(),
        window_start: date().start(),
        window_end: UtcSeconds(date().start().0 + 86_400),
        resource_active: active.iter().map(|id| (*id).to_owned()).collect(),
        metrics_derived: Vec::new(),
        tenant_period: Vec::new(),
        usage: usage
            .iter()
            .map(|(metric, id, value)| ((*metric).to_owned(), (*id).to_owned(), amount(value)))
            .collect(),
        failed_metrics: Vec::new(),
    }
}

pub fn batch(lines: &[BillingLineItem]) -> LineBatch {
    let mut builder = LineBatchBuilder::default();
    lines.iter().for_each(|line| builder.push(line));
    builder.take()
}

/// What came out of a unit.
pub struct Ran {
    pub rows: Vec<ChargebackRow>,
    pub batches: Vec<RowBatch>,
    pub totals: Totals,
    pub warnings: Vec<Warning>,
}

/// Units of at most so many lines are also explained, line by line.
const EXPLAINED_MAX: usize = 60;

/// The rows of every line as its explanation has them; its steps tell the same parties and amounts.
fn explained(unit: &mut UnitAllocator, batches: impl Iterator<Item = Lines>) -> Vec<ChargebackRow> {
    let mut rows = Vec::new();
    for lines in batches {
        for at in 0..lines.len() {
            let trace = unit.explain(&lines, at).unwrap();
            let given = trace.steps.iter().filter_map(|step| match &step.outcome {
                Outcome::Gave(received) => Some(received),
                Outcome::Passed(_) | Outcome::Parts(_) => None,
            });
            let given: Vec<_> =
                given.flatten().map(|to| (to.identity.clone(), to.working.part)).collect();
            let told = trace.rows.iter().map(|(why, money)| (why.identity.clone(), money.amount));
            assert!(trace.failed.is_some() || given == told.collect::<Vec<_>>(), "{trace:?}");
            let row = |(dimension, money)| ChargebackRow { dimension, money };
            rows.extend(trace.rows.into_iter().map(row));
        }
    }
    rows
}

/// Allocates lines, in batches of at most `per_batch`.
pub fn run_in(
    config: &TenantConfig,
    lines: &[BillingLineItem],
    resolutions: Vec<IdentityResolution>,
    per_batch: usize,
) -> Ran {
    let program = Arc::new(Program::compile(config, &source()).unwrap());
    let batches = || lines.chunks(per_batch).map(|lines| batch(lines).open().unwrap());
    let ready = || {
        let mut facts = Facts::default();
        facts.add(resolutions.clone());
        let drivers = DriverWeights::awaited();
        let mut unit = UnitAllocator::new(Arc::clone(&program), date(), facts, drivers);
        if unit.needs_weights() {
            batches().for_each(|lines| unit.weigh(&lines).unwrap());
            unit.weighed();
        }
        unit
    };
    let mut unit = ready();
    let mut packed: Vec<_> = batches().flat_map(|lines| unit.allocate(&lines).unwrap()).collect();
    let (last, warnings) = unit.finish();
    packed.extend(last);
    let mut ran =
        Ran { rows: Vec::new(), batches: Vec::new(), totals: Totals::default(), warnings };
    // Not as the writer counted them, but row by row.
    let mut counted = Totals::default();
    let of: HashMap<_, _> = lines.iter().map(|line| (line.id, line)).collect();
    for packed in packed {
        let rows = packed.batch.clone().open().unwrap();
        let mut hash = SetHash::default();
        rows.pieces.iter().for_each(|piece| hash.add(piece.hash));
        assert_eq!(hash, packed.hash);
        for (dimension, money) in rows.iter() {
            let line = of[&money.line];
            counted.add(line.currency, line.billing_period, money.amount, &money.measures);
            ran.rows.push(ChargebackRow { dimension: dimension.clone(), money });
        }
        ran.totals.merge(&packed.totals);
        ran.batches.push(packed.batch);
    }
    let mut expected = Totals::default();
    lines.iter().for_each(|line| expected.add_line(line));
    assert_eq!(ran.totals, expected, "what was counted is what the lines cost");
    assert_eq!(counted, expected, "rows add up to their lines");
    if lines.len() <= EXPLAINED_MAX {
        assert_eq!(explained(&mut ready(), batches()), ran.rows, "explanations tell other rows");
    }
    ran
}

pub fn run(config: &TenantConfig, lines: &[BillingLineItem]) -> Ran {
    run_in(config, lines, Vec::new(), 1_000)
}

impl Ran {
    /// Sums per owner, as text.
    pub fn owners(&self) -> BTreeMap<String, String> {
        let mut sums = BTreeMap::<String, ExactSum>::new();
        for row in &self.rows {
            sums.entry(row.dimension.owner.clone()).or_default().add(row.money.amount);
        }
        sums.into_iter().map(|(owner, sum)| (owner, sum.to_string())).collect()
    }

    /// Identity, owner, method, amount and detail of each row.
    pub fn lines(&self) -> Vec<String> {
        let text = |row: &ChargebackRow| {
            let d = &row.dimension;
            let detail = d.detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default();
            format!("{} {} {} {}{detail}", d.identity, d.owner, d.method, row.money.amount)
        };
        self.rows.iter().map(text).collect()
    }

    pub fn warned(&self) -> Vec<String> {
        self.warnings.iter().map(|w| format!("{} × {}", w.count, w.text)).collect()
    }
}

pub fn sums(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(owner, sum)| ((*owner).to_owned(), (*sum).to_owned())).collect()
}
