//! How fast the rules are. Not a pass or fail: run with
//! `cargo test --release -p allocator -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use proto::config::{Receivers, ResolutionSet, Usage};
use proto::line::Lines;

use super::*;

const LINES: u32 = 100_000;

fn measure(
    name: &str,
    config: &TenantConfig,
    lines: &[BillingLineItem],
    facts: Vec<IdentityResolution>,
) {
    let batches: Vec<Lines> =
        lines.chunks(1_000).map(|lines| batch(lines).open().unwrap()).collect();
    let program = Arc::new(Program::compile(config, &source()).unwrap());
    let mut known = Facts::default();
    known.add(facts);
    let mut unit = UnitAllocator::new(program, date(), known, DriverWeights::default());
    let weigh = Instant::now();
    if unit.needs_weights() {
        batches.iter().for_each(|lines| unit.weigh(lines).unwrap());
        unit.weighed();
    }
    let weigh = weigh.elapsed();
    let start = Instant::now();
    let mut rows = 0;
    for lines in &batches {
        rows +=
            unit.allocate(lines).unwrap().iter().map(|packed| packed.hashes.len()).sum::<usize>();
    }
    rows += unit.finish().0.iter().map(|packed| packed.hashes.len()).sum::<usize>();
    let took = start.elapsed();
    let per = |n: u128, took: Duration| n * 1_000 / took.as_micros().max(1);
    println!(
        "{name}: {} lines, {rows} rows in {} ms (first pass {} ms): {} k lines/s, {} k rows/s",
        lines.len(),
        took.as_millis(),
        weigh.as_millis(),
        per(lines.len() as u128, took),
        per(rows as u128, took),
    );
    assert!(rows >= lines.len());
}

#[test]
#[ignore = "a measurement, for release builds"]
fn speed() {
    let usual = |i: u32| {
        let tags = format!(r#"{{"team":"team-{}","env":"prod","id":"{}"}}"#, i % 50, i % 5_000);
        let (resource, account) = (format!("r-{}", i % 20_000), (i % 30).to_string());
        let mut line = line(
            i,
            &format!("0.{:07}", i + 1),
            &[
                ("ChargeCategory", "Usage"),
                ("ResourceId", &resource),
                ("ServiceName", ["EC2", "S3", "RDS"][i as usize % 3]),
                ("SubAccountId", &account),
                ("Tags", &tags),
            ],
        );
        line.measures[0] = Some(amount("0.5"));
        line
    };
    let lines: Vec<_> = (0..LINES).map(usual).collect();
    measure("direct", &config(Vec::new()), &lines, Vec::new());
    let share = proto::config::CostShare::Ledger {
        of: None,
        within: vec![field("ResourceId")],
        to: None,
        sources: Default::default(),
        window: proto::config::CostWindow::Date,
    };
    let chain = vec![direct(&[]), Tier::InProportionToCost(share), nobody(Reason::NoDriver)];
    let credits = config(vec![rule("credit", when("ChargeCategory", "Credit"), chain)]);
    measure("direct, credits by cost", &credits, &lines, Vec::new());
    let even = Tier::Even(Receivers::Set(ResolutionSet::ResourceActive));
    let usage = Tier::UsageRatio(Usage::Metric(vec!["usage".to_owned()]));
    let shared = config(vec![
        rule("even", when("product_type", "even_*"), vec![even, nobody(Reason::NoDriver)]),
        rule("usage", when("product_type", "usage_*"), vec![usage, nobody(Reason::NoDriver)]),
    ]);
    let resource = |r: u32| {
        let ids: Vec<String> =
            (0..20).map(|i| format!("service_account:sa-{:05}", r * 7 + i)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let usage: Vec<_> = ids.iter().map(|id| ("usage", *id, "123.456")).collect();
        resolution(&format!("r-{r}"), &ids, &usage)
    };
    let product = |i: u32| BillingLineItem {
        resolution_key: Some(format!("r-{}", i / 10)),
        ..line(
            i,
            "12.3456",
            &[("x_ProductType", &format!("{}_{}", ["even", "usage"][i as usize % 2], i % 10))],
        )
    };
    let lines: Vec<_> = (0..LINES / 5).map(product).collect();
    measure("fanout 20", &shared, &lines, (0..LINES / 50).map(resource).collect());
}
