//! The tests that users write beside their rules.

use proto::config::{Driver, MetricOwner, Part, Receivers, RuleTest, Table, TestLine, Usage};

use super::super::trial;
use super::*;

/// The cluster of CONFIG.md: 70 % by usage, 30 % even.
fn cluster() -> TenantConfig {
    let users = || Tier::Even(Receivers::Group("kafka_users".to_owned()));
    let usage = Tier::UsageRatio(Usage::Driver("kafka_bytes".to_owned()));
    let parts = vec![
        Part { percent: amount("70"), chain: vec![usage, users()] },
        Part { percent: amount("30"), chain: vec![users()] },
    ];
    let matcher = Match::Any(vec![when("source", "kafka"), when("ResourceName", "shared-kafka-*")]);
    let mut config =
        config(vec![rule("platform-cluster", matcher, vec![Tier::Composition(parts)])]);
    let mut kafka = config.sources[0].clone();
    kafka.id = SourceId::parse("kafka").unwrap();
    config.sources.push(kafka);
    let users = ["checkout", "data-platform", "search"].map(str::to_owned);
    config.groups.insert("kafka_users".to_owned(), users.to_vec());
    let driver = Driver::Metric {
        metric: "sum by (principal) (increase(kafka_bytes_total[1h]))".to_owned(),
        source: SourceId::parse("kafka").unwrap(),
        owner: Some(MetricOwner { table: "principals".to_owned(), key: "principal".to_owned() }),
    };
    config.drivers.insert("kafka_bytes".to_owned(), driver);
    let principals = Table {
        key: vec!["principal".to_owned()],
        value: "team".to_owned(),
        rows: Vec::new(),
        patterns: Vec::new(),
    };
    config.tables.insert("principals".to_owned(), principals);
    config
}

fn test(fields: &[(&str, &str)], weights: &[(&str, &str)], expect: &[(&str, &str)]) -> RuleTest {
    let amounts = |pairs: &[(&str, &str)]| -> BTreeMap<String, Amount> {
        pairs.iter().map(|(owner, n)| ((*owner).to_owned(), amount(n))).collect()
    };
    let drivers = if weights.is_empty() {
        BTreeMap::new()
    } else {
        [("kafka_bytes".to_owned(), amounts(weights))].into()
    };
    let fields = fields.iter().map(|(name, value)| (field(name), (*value).to_owned())).collect();
    RuleTest {
        name: "cluster 70/30".to_owned(),
        rule: Some("platform-cluster".to_owned()),
        line: TestLine { fields, cost: amount("412.87"), date: "2026-10-14".parse().unwrap() },
        drivers,
        expect: amounts(expect),
    }
}

const WEIGHTS: [(&str, &str); 3] =
    [("checkout", "61.2"), ("data-platform", "30.1"), ("search", "8.7")];
const EXPECT: [(&str, &str); 3] =
    [("checkout", "218.160508"), ("data-platform", "128.278709"), ("search", "66.430783")];

#[test]
fn the_example_of_the_manual_holds() {
    let config = cluster();
    for fields in
        [&[("source", "kafka")][..], &[("source", "cloud"), ("ResourceName", "shared-kafka-7")]]
    {
        let test = test(fields, &WEIGHTS, &EXPECT);
        assert_eq!(trial::check(&config, &test), Ok(()));
        let outcome = trial::run_test(&config, &test).unwrap();
        assert_eq!((outcome.rule.as_str(), outcome.actual.len()), ("platform-cluster", 3));
    }
}

#[test]
fn what_differs_is_said() {
    let config = cluster();
    let wrong =
        test(&[("source", "kafka")], &WEIGHTS, &[("checkout", "218.160508"), ("other", "1")]);
    assert_eq!(
        trial::check(&config, &wrong),
        Err("other got 0, not 1; data-platform got 128.278709, not nothing; search got 66.430783, not nothing".to_owned())
    );
    let other_rule = test(&[("source", "cloud")], &WEIGHTS, &[("UNALLOCATED", "412.87")]);
    assert_eq!(
        trial::check(&config, &other_rule),
        Err("rule focus/default@1 took the line, not platform-cluster".to_owned())
    );
    let nowhere = test(&[("source", "nowhere")], &WEIGHTS, &[]);
    assert_eq!(
        trial::check(&config, &nowhere),
        Err(r#"the line's source "nowhere" is not configured"#.to_owned())
    );
}

#[test]
fn a_driver_that_is_not_stated_is_missing() {
    let third = test(
        &[("source", "kafka")],
        &[],
        &[
            ("checkout", "137.6233333333"),
            ("data-platform", "137.6233333334"),
            ("search", "137.6233333333"),
        ],
    );
    let outcome = trial::run_test(&cluster(), &third).unwrap();
    let total = outcome.actual.values().fold(ExactSum::ZERO, |mut sum, part| {
        sum.merge(part);
        sum
    });
    assert_eq!(total.to_string(), "412.87");
    for owner in ["checkout", "data-platform", "search"] {
        assert!(outcome.actual[owner].to_string().starts_with("137.623333333"), "{outcome:?}");
    }
}

#[test]
fn fields_of_a_test_stand_for_whatever_they_come_from() {
    let tag = proto::config::VirtualTag { from: vec![field("tag.team")], values: Vec::new() };
    let chain = vec![direct(&["vtag.team"]), nobody(Reason::Untagged)];
    let matcher =
        Match::All(vec![when("product_category", "Networking"), when("resource_id", "r?")]);
    let mut config = config(vec![rule("network", matcher, chain)]);
    config.tags.insert("team".to_owned(), tag);
    for vtag in [("vtag.team", " search "), ("tag.team", "search")] {
        let mut test = test(
            &[("ServiceCategory", "Networking"), ("ResourceId", "r1"), vtag],
            &[],
            &[("search", "412.87")],
        );
        test.rule = Some("network".to_owned());
        assert_eq!(trial::check(&config, &test), Ok(()));
        config.tests.push(test);
    }
    let all = trial::run_tests(&config);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|(_, outcome)| outcome.as_ref().unwrap().differences.is_empty()));
}
