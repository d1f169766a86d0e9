//! Days, prices, lines and people: what needs no server.

use std::collections::BTreeMap;

use proto::config::{
    Charge, ListedIdentity, MeasuredCost, MeasuredIdentities, MeasuredQuantity, MeasuredSettings,
};
use proto::ids::{SourceId, TenantId};
use proto::money::{Amount, ExactSum};
use proto::time::{UnitDate, UtcSeconds};

use super::costs::{self, Lines};
use super::days::{self, DAY, Measurement};
use super::people;
use crate::metrics::{MetricTable, Sample, Sampling, Series};

fn date(text: &str) -> UnitDate {
    text.parse().unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn table(at: &[i64]) -> MetricTable {
    let sample = |at: &i64| Sample { at: UtcSeconds(*at), value: Amount::ONE };
    let series = Series { values: Vec::new(), samples: at.iter().map(sample).collect() };
    MetricTable { series: vec![series], ..MetricTable::default() }
}

#[test]
fn defect_17_9_and_17_18_a_sample_belongs_to_one_utc_day_whenever_it_is_asked_for() {
    let start = date("2026-10-01").start().0;
    let hours: Vec<i64> = (0..=48).map(|hour| start + hour * 3_600).collect();
    let count = |sampling| -> Vec<(String, u32)> {
        let days = days::by_day(&table(&hours), sampling).unwrap();
        days.into_iter().map(|(date, day)| (date.to_string(), day.moments)).collect()
    };
    let told = |days: &[(&str, u32)]| -> Vec<(String, u32)> {
        days.iter().map(|(date, count)| ((*date).to_owned(), *count)).collect()
    };
    let forward = told(&[("2026-10-01", 24), ("2026-10-02", 24), ("2026-10-03", 1)]);
    assert_eq!(count(Sampling::Forward), forward);
    let backward = told(&[("2026-09-30", 1), ("2026-10-01", 24), ("2026-10-02", 24)]);
    assert_eq!(count(Sampling::Backward), backward);
    let window = days::window(date("2026-10-01"), date("2026-10-02"));
    assert_eq!((window.start.0, window.end.0), (start, start + 2 * DAY));
    assert_eq!(days::moments_of_a_day(3_600), 24);
}

fn cost(name: &str, rate: &str, quantity: MeasuredQuantity) -> MeasuredCost {
    MeasuredCost {
        product_type: name.into(),
        category: "kafka".into(),
        rate: amount(rate),
        quantity,
    }
}

#[test]
fn the_worked_examples_of_the_reference_hold() {
    let gib = 1_u64 << 30;
    let day = |sum: u64| {
        let mut exact = ExactSum::ZERO;
        exact.add(Amount::from(sum));
        Some(Measurement { sum: exact, moments: 24 })
    };
    let query = || "q".to_owned();
    let three = MeasuredQuantity::Fixed { count: amount("3") };
    let size = || MeasuredQuantity::StorageGib { query: query() };
    let moved = || MeasuredQuantity::NetworkGib { query: query() };
    for (cost, measured, quantity, expected) in [
        (cost("COMPUTE", "0.50", three), None, "72", "36"),
        (cost("STORAGE", "0.0001", size()), day(24 * 100 * gib), "2400", "0.24"),
        (cost("IN", "0.01", moved()), day(50 * gib), "50", "0.5"),
        (cost("OUT", "0.05", moved()), day(50 * gib), "50", "2.5"),
        (cost("NOTHING", "0.05", moved()), day(0), "0", "0"),
    ] {
        let priced = costs::priced(&cost, measured).unwrap().unwrap();
        assert_eq!(priced, (amount(quantity), amount(expected)), "{}", cost.product_type);
    }
    // What was not measured is no line, and no zero.
    assert_eq!(costs::priced(&cost("OUT", "1", moved()), None), Ok(None));
    let large = Some(Measurement { sum: ExactSum::parse(&"9".repeat(39)).unwrap(), moments: 1 });
    let error = costs::priced(&cost("OUT", "1000", moved()), large).unwrap_err();
    assert!(error.contains("OUT is too large"), "{error}");
}

fn settings(charge: Charge) -> MeasuredSettings {
    let teams = BTreeMap::from([("User:a".to_owned(), "checkout".to_owned())]);
    let listed = ListedIdentity {
        id: "bot".into(),
        kind: "service".into(),
        display_name: None,
        team: Some("search".into()),
    };
    MeasuredSettings {
        cluster: "k1".into(),
        display_name: None,
        region: Some("eu".into()),
        currency: "EUR".parse().unwrap(),
        costs: vec![cost("C", "1", MeasuredQuantity::Fixed { count: Amount::ONE })],
        usage: Vec::new(),
        identities: MeasuredIdentities {
            measured: true,
            query: None,
            label: "principal".into(),
            listed: vec![listed],
            teams,
            default_team: "UNASSIGNED".into(),
            charge,
        },
        discovery: Vec::new(),
    }
}

#[test]
fn a_line_is_the_same_whatever_it_costs() {
    let settings = settings(Charge::Principal);
    let (tenant, source) = (TenantId::parse("a").unwrap(), SourceId::parse("k").unwrap());
    let mut lines = Lines::new(&settings, "Apache Kafka", (&tenant, &source));
    let mut line = |day: &str, cost: &str| {
        lines.line(date(day), &settings.costs[0], (amount("24"), amount(cost)))
    };
    let (one, other, next) =
        (line("2026-10-01", "1"), line("2026-10-01", "2"), line("2026-10-02", "1"));
    assert_eq!(one.id, other.id);
    assert_ne!(one.id, next.id);
    assert_eq!(
        (one.charge_end.0 - one.charge_start.0, one.resolution_key.as_deref()),
        (DAY, Some("k1"))
    );
    assert!(one.cells.is_sorted(), "{:?}", one.cells);
    assert_eq!((one.cell("x_ProductType"), one.cell("RegionId")), (Some("C"), Some("eu")));
}

#[test]
fn a_team_is_an_attribute_or_is_charged_itself() {
    let names = |charge| {
        let identities = settings(charge).identities;
        let listed = people::charged_listed(&identities, &identities.listed[0]);
        [people::charged(&identities, "User:a"), people::charged(&identities, "User:z"), listed]
    };
    assert_eq!(names(Charge::Principal), ["principal:User:a", "principal:User:z", "service:bot"]);
    assert_eq!(names(Charge::Team), ["team:checkout", "team:UNASSIGNED", "team:search"]);
}
