//! Each tier, and what happens when it does not apply.

use proto::config::{
    Driver, FixedShares, Match, Part, Reason, Receivers, ResolutionSet, Table, TableRow, Tier,
    Usage, Validity,
};
use proto::row::CostType;

use super::*;

fn fixed(percents: &[(&str, &str)]) -> Tier {
    let percents = percents.iter().map(|(owner, percent)| ((*owner).to_owned(), amount(percent)));
    Tier::Fixed(FixedShares::Inline(percents.collect()))
}

fn metric(names: &[&str]) -> Tier {
    Tier::UsageRatio(Usage::Metric(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn set(set: ResolutionSet) -> Tier {
    Tier::Even(Receivers::Set(set))
}

fn every(chain: Vec<Tier>) -> proto::config::TenantConfig {
    config(vec![rule("r", Match::every_line(), chain)])
}

fn resolved(number: u32, cost: &str, key: &str) -> proto::line::BillingLineItem {
    proto::line::BillingLineItem { resolution_key: Some(key.to_owned()), ..line(number, cost, &[]) }
}

#[test]
fn direct_takes_the_first_field_with_a_value() {
    let config =
        every(vec![direct(&["tag.team", "SubAccountId", "resource_id"]), nobody(Reason::Untagged)]);
    let lines = [
        line(1, "1", &[("Tags", r#"{" Team ":" checkout "}"#), ("SubAccountId", "42")]),
        line(2, "2", &[("Tags", "{broken"), ("SubAccountId", "42")]),
        line(
            3,
            "3",
            &[("Tags", r#"{"team":"NULL"}"#), ("SubAccountId", " NULL "), ("ResourceId", "lkc-1")],
        ),
        line(4, "4", &[("SubAccountId", "")]),
        line(5, "5", &[("Tags", r#"{"team":"Unallocated"}"#)]),
        line(6, "6", &[("Tags", "{\"team\":\"a\\u0000b\"}"), ("SubAccountId", "7")]),
    ];
    let ran = run(&config, &lines);
    assert_eq!(
        ran.lines(),
        [
            "tag:checkout checkout direct 1",
            "sub_account_id:42 42 direct 2",
            "resource:lkc-1 lkc-1 direct 3",
            "UNALLOCATED UNALLOCATED unallocated 4 (untagged)",
            "UNALLOCATED UNALLOCATED unallocated 5 (untagged)",
            "sub_account_id:7 7 direct 6",
        ]
    );
    assert_eq!(
        ran.warned(),
        [
            "1 × tag.team says UNALLOCATED: it counts as absent",
            "1 × tag.team holds control characters: it counts as absent",
        ]
    );
    let dimension = &ran.rows[0].dimension;
    assert_eq!((dimension.cost_type, dimension.tier, dimension.part), (CostType::Usage, 0, 0));
    assert_eq!(ran.rows[3].dimension.tier, 1);
    assert_eq!(ran.rows[3].dimension.cost_type, CostType::Shared);
}

#[test]
fn bare_direct_looks_at_what_the_source_says() {
    let mut with = config(Vec::new());
    let lines = [team(1, "5", "search"), line(2, "1", &[("SubAccountId", "42")])];
    assert_eq!(run(&with, &lines).owners(), sums(&[("UNALLOCATED", "1"), ("search", "5")]));
    if let SourceSettings::Focus(settings) = &mut with.sources[0].settings {
        settings.owner.clear();
    }
    assert_eq!(run(&with, &lines).owners(), sums(&[("UNALLOCATED", "6")]));
}

#[test]
fn even_over_a_group_and_over_sets() {
    let mut groups = every(vec![Tier::Even(Receivers::Group("users".to_owned()))]);
    groups.groups.insert("users".to_owned(), vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    assert_eq!(
        run(&groups, &[line(1, "-100", &[])]).lines(),
        [
            "owner:a a even -33.3333333334",
            "owner:b b even -33.3333333333",
            "owner:c c even -33.3333333333"
        ]
    );
    let sets = every(vec![
        set(ResolutionSet::MetricsDerived),
        set(ResolutionSet::ResourceActive),
        nobody(Reason::NoDriver),
    ]);
    let facts = vec![resolution("lkc-1", &["service_account:sa-2", "service_account:sa-1"], &[])];
    let lines = [resolved(1, "1", "lkc-1"), resolved(2, "2", "lkc-2"), line(3, "3", &[])];
    let ran = run_in(&sets, &lines, facts, 10);
    assert_eq!(
        ran.lines(),
        [
            "service_account:sa-1 sa-1 even 0.5 (even metrics_derived: no identities)",
            "service_account:sa-2 sa-2 even 0.5 (even metrics_derived: no identities)",
            "UNALLOCATED UNALLOCATED unallocated 2 (no_driver: even metrics_derived: no resolution for the line; \
             even resource_active: no resolution for the line)",
            "UNALLOCATED UNALLOCATED unallocated 3 (no_driver: even metrics_derived: no resolution for the line; \
             even resource_active: no resolution for the line)",
        ]
    );
    assert_eq!(ran.rows[0].dimension.tier, 1);
}

#[test]
fn a_metric_that_could_not_be_had_is_not_no_usage() {
    let config = every(vec![
        metric(&["in", "out"]),
        set(ResolutionSet::ResourceActive),
        nobody(Reason::NoDriver),
    ]);
    let known = resolution("k", &["sa:a", "sa:b"], &[("in", "sa:a", "1")]);
    let failed = |metric: &str| proto::resolution::IdentityResolution {
        failed_metrics: vec![metric.to_owned()],
        ..known.clone()
    };
    let lines = |failed| run_in(&config, &[resolved(1, "1", "k")], vec![failed], 10).lines();
    assert_eq!(
        lines(failed("out")),
        [
            "sa:a a even 0.5 (usage_ratio in+out: metrics_fetch_failed)",
            "sa:b b even 0.5 (usage_ratio in+out: metrics_fetch_failed)",
        ]
    );
    assert_eq!(lines(failed("other")), ["sa:a a usage_ratio 1"]);
}

#[test]
fn usage_is_summed_over_metrics() {
    let config = every(vec![metric(&["in", "out"]), nobody(Reason::NoDriver)]);
    let facts = vec![
        resolution(
            "k",
            &[],
            &[
                ("in", "sa:a", "0.5"),
                ("in", "sa:b", "1"),
                ("other", "sa:c", "9"),
                ("out", "sa:a", "2.5"),
            ],
        ),
        resolution("none", &[], &[("other", "sa:c", "9")]),
        resolution("zero", &[], &[("in", "sa:a", "0"), ("out", "sa:b", "0")]),
        resolution("negative", &[], &[("in", "sa:a", "-2"), ("out", "sa:b", "1")]),
        resolution(
            "mixed",
            &[],
            &[("in", "sa:a", "-1"), ("out", "sa:b", "4"), ("out", "sa:c", "0")],
        ),
    ];
    let keys = ["k", "none", "zero", "negative", "mixed"];
    let lines: Vec<_> = (1..).zip(keys).map(|(i, key)| resolved(i, "10", key)).collect();
    let ran = run_in(&config, &lines, facts, 2);
    assert_eq!(
        ran.lines(),
        [
            "sa:a a usage_ratio 7.5",
            "sa:b b usage_ratio 2.5",
            "UNALLOCATED UNALLOCATED unallocated 10 (no_driver: usage_ratio in+out: no usage)",
            "UNALLOCATED UNALLOCATED unallocated 10 (no_driver: usage_ratio in+out: all usage is 0)",
            "UNALLOCATED UNALLOCATED unallocated 10 (no_driver: usage_ratio in+out: usage is negative in total)",
            "sa:a a usage_ratio 0",
            "sa:b b usage_ratio 10",
            "sa:c c usage_ratio 0",
        ]
    );
    assert_eq!(ran.rows[0].money.share.to_string(), "3/4");
    assert_eq!(ran.rows[0].dimension.cost_type, CostType::Usage);
    assert_eq!(ran.warned(), ["1 × usage_ratio in+out: usage below 0 counts 0"]);
}

#[test]
fn fixed_percents_by_list_and_by_table() {
    let row = |owner: &str, percent: &str, from: Option<&str>| TableRow {
        key: vec![owner.to_owned()],
        valid: Validity { from: from.map(|d| d.parse().unwrap()), until: None },
        value: percent.to_owned(),
    };
    let mut config = every(vec![Tier::Fixed(FixedShares::Table("h2".to_owned()))]);
    let rows =
        vec![row("a", "12.5", None), row("b", "87.5", None), row("c", "50", Some("2026-08-01"))];
    let table = Table {
        key: vec!["owner".to_owned()],
        value: "percent".to_owned(),
        rows,
        patterns: vec![],
    };
    config.tables.insert("h2".to_owned(), table);
    let mut money = line(1, "8", &[]);
    money.measures[0] = Some(amount("-4"));
    money.quantities[1] = Some(amount("1"));
    let ran = run(&config, &[money]);
    assert_eq!(ran.lines(), ["owner:a a fixed 1", "owner:b b fixed 7"]);
    assert_eq!(ran.rows[1].money.measures, [Some(amount("-3.5")), None, None, None]);
    assert_eq!(ran.rows[1].money.quantities, [None, Some(amount("0.875"))]);
    let inline = every(vec![fixed(&[("checkout", "60"), ("search", "40")])]);
    assert_eq!(
        run(&inline, &[line(1, "0.0000000001", &[])]).owners(),
        sums(&[("checkout", "0.0000000001"), ("search", "0")])
    );
}

#[test]
fn a_composition_splits_its_parts_on() {
    let mut config = every(vec![
        direct(&["tag.team"]),
        Tier::Composition(vec![
            Part {
                percent: amount("70"),
                chain: vec![metric(&["bytes"]), Tier::Even(Receivers::Group("users".to_owned()))],
            },
            Part {
                percent: amount("30"),
                chain: vec![Tier::Composition(vec![
                    Part {
                        percent: amount("50"),
                        chain: vec![Tier::Even(Receivers::Group("users".to_owned()))],
                    },
                    Part { percent: amount("50"), chain: vec![nobody(Reason::NoRule)] },
                ])],
            },
        ]),
    ]);
    config.groups.insert("users".to_owned(), vec!["x".to_owned(), "y".to_owned()]);
    let facts = vec![resolution("k", &[], &[("bytes", "sa:b", "3"), ("bytes", "sa:a", "1")])];
    let lines = [resolved(1, "100", "k"), team(2, "1", "t"), line(3, "1", &[])];
    let ran = run_in(&config, &lines, facts, 10);
    assert_eq!(
        ran.lines(),
        [
            "sa:a a usage_ratio 17.5",
            "sa:b b usage_ratio 52.5",
            "owner:x x even 7.5",
            "owner:y y even 7.5",
            "UNALLOCATED UNALLOCATED unallocated 15 (no_rule)",
            "tag:t t direct 1",
            "owner:x x even 0.35 (usage_ratio bytes: no resolution for the line)",
            "owner:y y even 0.35 (usage_ratio bytes: no resolution for the line)",
            "owner:x x even 0.075",
            "owner:y y even 0.075",
            "UNALLOCATED UNALLOCATED unallocated 0.15 (no_rule)",
        ]
    );
    let places: Vec<_> = ran.rows.iter().map(|r| (r.dimension.tier, r.dimension.part)).collect();
    assert_eq!(&places[..5], [(2, 0), (2, 0), (5, 2), (5, 2), (6, 3)]);
    assert_eq!(ran.warned(), ["2 × no rule says who pays for product type none"]);
}

#[test]
fn a_resource_is_somebody_who_does_not_pay() {
    let chain = |first| vec![first, Tier::Resource, nobody(Reason::NoRule)];
    let lines =
        [line(1, "5", &[("ResourceId", "lkc-1")]), line(2, "1", &[("x_ProductType", "KAFKA")])];
    let ran = run(&every(chain(direct(&["tag.team"]))), &lines);
    assert_eq!(
        ran.lines(),
        [
            "resource:lkc-1 UNALLOCATED resource 5 (untagged)",
            "UNALLOCATED UNALLOCATED unallocated 1 (no_rule)",
        ]
    );
    assert_eq!(ran.rows[0].dimension.cost_type, CostType::Usage);
    assert_eq!(ran.warned(), [r#"1 × no rule says who pays for product type "KAFKA""#]);
    let ran = run(&every(chain(set(ResolutionSet::TenantPeriod))), &lines[..1]);
    assert_eq!(
        ran.lines(),
        [
            "resource:lkc-1 UNALLOCATED resource 5 (no_driver: even tenant_period: no resolution for the line)"
        ]
    );
}

#[test]
fn a_driver_that_is_still_to_come_is_waited_for() {
    let usage = Tier::UsageRatio(Usage::Driver("bytes".to_owned()));
    let fallback = Tier::Even(Receivers::Group("users".to_owned()));
    let mut config = every(vec![usage, fallback]);
    config.groups.insert("users".to_owned(), vec!["x".to_owned()]);
    let metric = "sum by (principal) (bytes_total)".to_owned();
    let driver = Driver::Metric { metric, source: source(), owner: None };
    config.drivers.insert("bytes".to_owned(), driver);
    assert_eq!(
        run(&config, &[line(1, "5", &[])]).lines(),
        ["UNALLOCATED UNALLOCATED unallocated 5 (driver_pending: bytes)"]
    );
}

/// A table with one key column.
fn weights(rows: &[(&str, &str, Option<&str>)]) -> Table {
    let row = |(owner, weight, from): &(&str, &str, Option<&str>)| TableRow {
        key: vec![(*owner).to_owned()],
        valid: Validity { from: from.map(|day| day.parse().unwrap()), until: None },
        value: (*weight).to_owned(),
    };
    Table {
        key: vec!["owner".to_owned()],
        value: "weight".to_owned(),
        rows: rows.iter().map(row).collect(),
        patterns: Vec::new(),
    }
}

#[test]
fn a_table_gives_the_weights_of_its_rows_on_the_date() {
    let chain = vec![Tier::UsageRatio(Usage::Driver("seats".to_owned())), nobody(Reason::NoDriver)];
    let mut config = every(chain);
    config.drivers.insert("seats".to_owned(), Driver::Table { table: "seats".to_owned() });
    let rows = [("a", "3", None), ("b", "1", Some("2026-07-01")), ("c", "9", Some("2026-07-02"))];
    config.tables.insert("seats".to_owned(), weights(&rows));
    let ran = run(&config, &[line(1, "10", &[]), line(2, "-0.02", &[])]);
    assert_eq!(
        ran.owners(),
        [("a", "7.485"), ("b", "2.495")].map(|(o, s)| (o.to_owned(), s.to_owned())).into()
    );
    assert!(ran.rows.iter().all(|row| row.dimension.method == "usage_ratio"));
    assert!(ran.rows.iter().all(|row| row.dimension.cost_type == CostType::Usage));
    // Who asks why is told driver and weights.
    let program = Arc::new(Program::compile(&config, &source()).unwrap());
    let mut unit = UnitAllocator::new(program, date(), Facts::default(), DriverWeights::default());
    let lines = batch(&[line(1, "10", &[])]).open().unwrap();
    let trace = unit.explain(&lines, 0).unwrap();
    assert_eq!(trace.steps[0].label, "usage_ratio seats");
    let told: Vec<String> = trace.steps[0]
        .inputs
        .iter()
        .map(|(what, weight)| format!("{what} {}", weight.as_deref().unwrap()))
        .collect();
    assert_eq!(told, ["weight of a 3", "weight of b 1"]);
    // No row of the date, or only zeros: the tier does not apply.
    for rows in [vec![("c", "9", Some("2026-07-02"))], vec![("a", "0", None)]] {
        config.tables.insert("seats".to_owned(), weights(&rows));
        let ran = run(&config, &[line(1, "10", &[])]);
        assert_eq!(ran.owners(), [("UNALLOCATED".to_owned(), "10".to_owned())].into());
        assert!(ran.lines()[0].contains("no_driver"), "{:?}", ran.lines());
    }
}
