//! The chains that kinds of sources bring along, as tables: every product type through every tier of its chain.
//!
//! A table names situations (what a resolution holds), then products, and under each an amount, a situation and the
//! rows that come of it: identity, owner, amount, method, detail, cost type. Products of one entry share a chain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allocator::domain::{DriverWeights, Facts, Program, UnitAllocator};
use coordinator::config::built_in;
use coordinator::config::problem::Report;
use proto::config::{
    Charge, MeasuredCost, MeasuredIdentities, MeasuredQuantity, MeasuredSettings, SourceSettings,
    TenantConfig, UsageQuery,
};
use proto::hash::Hash128;
use proto::line::{BillingLineItem, LineBatchBuilder, LineId, cell};
use proto::money::{Amount, ExactSum};
use proto::resolution::IdentityResolution;
use proto::time::UtcSeconds;

use crate::desk;

const DAY: i64 = 86_400;

/// A tenant with one source of a kind, and no rules of its own. What is measured has two costs: `gpu_hours`, whose usage
/// is asked for, and `licence`.
pub fn tenant(kind: &str) -> TenantConfig {
    let cost = |name: &str| MeasuredCost {
        product_type: name.to_owned(),
        category: "compute".to_owned(),
        rate: Amount::ONE,
        quantity: MeasuredQuantity::Fixed { count: Amount::ONE },
    };
    let usage = UsageQuery {
        metric: "gpu_hours".to_owned(),
        query: "gpu".to_owned(),
        label: "principal".to_owned(),
    };
    let measured = MeasuredSettings {
        cluster: "lkc-1".to_owned(),
        display_name: None,
        region: None,
        currency: "USD".parse().unwrap(),
        costs: vec![cost("gpu_hours"), cost("licence")],
        usage: vec![usage],
        identities: MeasuredIdentities {
            measured: true,
            query: None,
            label: "principal".to_owned(),
            listed: Vec::new(),
            teams: BTreeMap::new(),
            default_team: "UNASSIGNED".to_owned(),
            charge: Charge::Principal,
        },
        discovery: Vec::new(),
    };
    let settings = match kind {
        "self_managed_kafka" => SourceSettings::SelfManagedKafka(measured),
        "generic_metrics" => SourceSettings::GenericMetrics(measured),
        kind => SourceSettings::Unbuilt { kind: kind.to_owned(), settings: None },
    };
    let mut report = Report::default();
    let source = built_in::complete(desk::source(), settings, &mut report).unwrap();
    assert_eq!(report.count(), 0, "the embedded rules are sound");
    TenantConfig { allocation: Vec::new(), sources: vec![source], ..desk::config() }
}

/// What is known of the one resource of a table.
pub fn resolution(key: &str) -> IdentityResolution {
    let start = desk::day("2026-07-01").start();
    IdentityResolution {
        key: key.to_owned(),
        window_start: start,
        window_end: UtcSeconds(start.0 + DAY),
        resource_active: Vec::new(),
        metrics_derived: Vec::new(),
        tenant_period: Vec::new(),
        usage: Vec::new(),
        failed_metrics: Vec::new(),
    }
}

/// A line of a product.
pub fn line(number: u32, cost: &str, product: &str, resource: Option<&str>) -> BillingLineItem {
    let start = desk::day("2026-07-01").start();
    let resource = resource.map(|id| (cell::RESOURCE_ID.to_owned(), id.to_owned()));
    let product = (cell::PRODUCT_TYPE.to_owned(), product.to_owned());
    BillingLineItem {
        id: LineId(Hash128::of(&number.to_le_bytes())),
        charge_start: start,
        charge_end: UtcSeconds(start.0 + DAY),
        billing_period: desk::day("2026-07-01").period(),
        currency: "USD".parse().unwrap(),
        amount: Amount::parse(cost).unwrap(),
        measures: [None; 4],
        quantities: [None; 2],
        resolution_key: resource.as_ref().map(|(_, id)| id.clone()),
        cells: resource.into_iter().chain([product]).collect(),
    }
}

/// The rows of a line as a table has them, and the warnings.
pub fn allocate(
    tenant: &TenantConfig,
    line: &BillingLineItem,
    resolutions: Vec<IdentityResolution>,
) -> (Vec<String>, Vec<String>) {
    let program = Arc::new(Program::compile(tenant, &desk::source()).unwrap());
    let mut facts = Facts::default();
    facts.add(resolutions);
    let date = line.charge_start.date().unwrap();
    let mut unit = UnitAllocator::new(program, date, facts, DriverWeights::default());
    let mut batch = LineBatchBuilder::default();
    batch.push(line);
    let mut packed = unit.allocate(&batch.take().open().unwrap()).unwrap();
    let (last, warnings) = unit.finish();
    packed.extend(last);
    let (mut rows, mut sum) = (Vec::new(), ExactSum::ZERO);
    for packed in packed {
        for (d, money) in packed.batch.open().unwrap().iter() {
            sum.add(money.amount);
            let detail = d.detail.as_deref().unwrap_or("-");
            let kind = d.cost_type.word();
            rows.push(format!(
                "{} | {} | {} | {} | {detail} | {kind}",
                d.identity, d.owner, money.amount, d.method
            ));
        }
    }
    assert_eq!(sum, ExactSum::from(line.amount), "the rows add up to their line");
    (rows, warnings.into_iter().map(|warning| warning.text).collect())
}

/// Reads a line of a situation.
fn know(of: &mut IdentityResolution, text: &str) {
    let mut words = text.split_whitespace();
    let what = words.next().unwrap();
    let rest: Vec<String> = words.map(str::to_owned).collect();
    match (what, &rest[..]) {
        ("resource_active", _) => of.resource_active = rest,
        ("metrics_derived", _) => of.metrics_derived = rest,
        ("tenant_period", _) => of.tenant_period = rest,
        ("failed", _) => of.failed_metrics = rest,
        ("usage", [metric, identity, value]) => {
            of.usage.push((metric.clone(), identity.clone(), Amount::parse(value).unwrap()));
        }
        _ => panic!("{text:?} is no part of a situation"),
    }
}

/// Checks a table; gives the products that it holds, and what differs.
fn check(kind: &str, table: &str) -> (BTreeSet<String>, Vec<String>) {
    let tenant = tenant(kind);
    let mut situations: BTreeMap<&str, IdentityResolution> = BTreeMap::new();
    let (mut situation, mut products): (Option<&str>, Vec<&str>) = (None, Vec::new());
    let (mut all, mut problems) = (BTreeSet::new(), Vec::new());
    let lines: Vec<&str> =
        table.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut at = 0;
    while let Some(text) = lines.get(at) {
        at += 1;
        let indent = text.len() - text.trim_start().len();
        let words: Vec<&str> = text.split_whitespace().collect();
        match (indent, &words[..]) {
            (0, []) => {}
            (0, ["situation", name]) => {
                situations.insert(name, resolution("lkc-1"));
                situation = Some(name);
            }
            (0, ["products", names @ ..]) => {
                products = names.to_vec();
                situation = None;
                all.extend(names.iter().map(|name| (*name).to_owned()));
            }
            (2, [_, ..]) if situation.is_some() => {
                situation
                    .and_then(|name| situations.get_mut(name))
                    .into_iter()
                    .for_each(|of| know(of, text));
            }
            (2, [amount, name, rest @ ..]) => {
                let wanted: Vec<&str> =
                    lines[at..].iter().map_while(|line| line.strip_prefix("    ")).collect();
                at += wanted.len();
                let resource = if rest == ["without_resource"] { None } else { Some("lkc-1") };
                let known = match *name {
                    "unresolved" => Vec::new(),
                    name => vec![situations[name].clone()],
                };
                for product in &products {
                    let line = line(1, amount, product, resource);
                    let (rows, warnings) = allocate(&tenant, &line, known.clone());
                    let warned = warnings
                        .iter()
                        .map(|text| format!("warning: {}", text.replace(product, "PRODUCT")));
                    let got: Vec<String> = rows.into_iter().chain(warned).collect();
                    if got != wanted {
                        problems.push(format!("{product}: {text}\n    {}", got.join("\n    ")));
                    }
                }
            }
            _ => panic!("{text:?} is no part of a table"),
        }
    }
    (all, problems)
}

/// Product types that some built-in rule of a kind names.
fn known_products(kind: &str) -> BTreeSet<String> {
    use proto::config::{Match, Pattern};
    fn texts(pattern: &Pattern, all: &mut BTreeSet<String>) {
        match pattern {
            Pattern::Exact(text) => drop(all.insert(text.clone())),
            Pattern::AnyOf(patterns) => patterns.iter().for_each(|one| texts(one, all)),
            Pattern::Glob(_)
            | Pattern::Present
            | Pattern::Absent
            | Pattern::Regex(_)
            | Pattern::Not(_)
            | Pattern::Compare { .. } => panic!("{pattern:?}"),
        }
    }
    let mut all = BTreeSet::new();
    for rule in &tenant(kind).sources[0].built_in_rules {
        let Match::Field(_, pattern) = &rule.matcher else { panic!("{:?}", rule.matcher) };
        texts(pattern, &mut all);
    }
    all
}

#[test]
fn every_product_type_of_every_ecosystem_through_every_tier() {
    let tables = [
        ("confluent_cloud", include_str!("chains/confluent_cloud.txt")),
        ("self_managed_kafka", include_str!("chains/self_managed_kafka.txt")),
        ("generic_metrics", include_str!("chains/generic_metrics.txt")),
    ];
    let mut problems = Vec::new();
    for (kind, table) in tables {
        let (shown, differ) = check(kind, table);
        problems.extend(differ);
        let missing: Vec<String> = known_products(kind).difference(&shown).cloned().collect();
        assert!(missing.is_empty(), "{kind}: the table lacks {missing:?}");
    }
    assert!(problems.is_empty(), "other rows came of\n{}", problems.join("\n"));
}
