//! Rules and their matches on everything that a line has.

use proto::config::{Normaliser, Table, TableRow, VirtualTag};

use super::*;

fn matches(matcher: Match, line: &BillingLineItem) -> bool {
    let mut config = config(vec![rule("mine", matcher, vec![nobody(Reason::NoRule)])]);
    add_tags_and_tables(&mut config);
    run(&config, std::slice::from_ref(line)).rows[0].dimension.rule == "mine"
}

fn add_tags_and_tables(config: &mut TenantConfig) {
    let tag = VirtualTag {
        from: vec![field("tag.team"), field("tag.owner")],
        values: vec![Normaliser::Lowercase, Normaliser::StripPrefix("team-".to_owned())],
    };
    config.tags.insert("team".to_owned(), tag);
    let row = |key: &[&str], value: &str| TableRow {
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        valid: Validity::default(),
        value: value.to_owned(),
    };
    let table = Table {
        key: vec!["SubAccountId".to_owned(), "vtag.team".to_owned()],
        value: "team".to_owned(),
        rows: vec![row(&["42", "search"], "found")],
        patterns: Vec::new(),
    };
    config.tables.insert("accounts".to_owned(), table);
}

#[test]
fn every_field_can_be_matched() {
    let mut rich = line(
        1,
        "12.5",
        &[
            ("ServiceName", "AWS Support (Business)"),
            ("ServiceCategory", "Other"),
            ("ResourceId", " lkc-1 "),
            ("SubAccountId", "0042"),
            ("Tags", r#"{"team":"","owner":"Team-Search","app.kubernetes.io/name":"x"}"#),
            ("x_Odd", "NULL"),
        ],
    );
    rich.measures[3] = Some(amount("20"));
    rich.quantities[0] = Some(amount("3"));
    let number = |name: &str, gt: &str, lt: &str| {
        Match::Field(field(name), Pattern::Compare { gt: Some(amount(gt)), lt: Some(amount(lt)) })
    };
    let absent = |name: &str| Match::Field(field(name), Pattern::Absent);
    let good = [
        when("ServiceName", "AWS Support*"),
        when("product_type", "AWS Support (Business)"),
        when("product_category", "Other"),
        when("ServiceCategory", "Other"),
        when("resource_id", "lkc-1"),
        when("SubAccountId", "0042"),
        when("source", "cl*"),
        when("tag.app.kubernetes.io/name", "x"),
        when("tag.OWNER", "Team-Search"),
        when("vtag.team", "search"),
        when("BillingCurrency", "USD"),
        when("ChargePeriodStart", "2026-07-01T00:00:00Z"),
        when("ChargePeriodEnd", "2026-07-01T01:00:00Z"),
        when("BillingPeriodStart", "2026-07-01T00:00:00Z"),
        when("BillingPeriodEnd", "2026-08-01T00:00:00Z"),
        number("BilledCost", "12.4", "12.6"),
        number("EffectiveCost", "12.4", "12.6"),
        number("ListCost", "19", "21"),
        number("PricingQuantity", "2", "4"),
        absent("ConsumedQuantity"),
        absent("x_Odd"),
        absent("tag.team"),
        absent("InvoiceId"),
        absent("table.accounts"),
        Match::Any(vec![when("SubAccountId", "43"), when("SubAccountId", "0042")]),
        Match::All(vec![]),
    ];
    for matcher in good {
        assert!(matches(matcher.clone(), &rich), "{matcher:?}");
        let not = match matcher {
            Match::Field(field, pattern) => Match::Field(field, Pattern::Not(Box::new(pattern))),
            Match::Any(_) | Match::All(_) => continue,
        };
        assert!(!matches(not.clone(), &rich), "{not:?}");
    }
    let accounts = line(2, "1", &[("SubAccountId", "42"), ("Tags", r#"{"team":"SEARCH"}"#)]);
    assert!(matches(when("table.accounts", "found"), &accounts));
    let december =
        BillingLineItem { billing_period: "2025-12".parse().unwrap(), ..accounts.clone() };
    assert!(matches(when("BillingPeriodEnd", "2026-01-01T00:00:00Z"), &december));
    let typed = line(3, "1", &[("x_ProductType", "KAFKA_BASE"), ("ServiceName", "Kafka")]);
    assert!(matches(when("product_type", "KAFKA_BASE"), &typed));
}

#[test]
fn rules_of_other_sources_and_other_days_are_not_there() {
    let mut rules = vec![
        rule("other-source", Match::every_line(), vec![nobody(Reason::NoRule)]),
        rule("before", Match::every_line(), vec![nobody(Reason::NoRule)]),
        rule("after", Match::every_line(), vec![nobody(Reason::NoRule)]),
        rule("today", Match::every_line(), vec![nobody(Reason::NoRule)]),
    ];
    rules[0].sources = vec![SourceId::parse("kafka").unwrap()];
    rules[1].valid.until = Some(date());
    rules[2].valid.from = Some(date().plus_days(1).unwrap());
    rules[3].valid.from = Some(date());
    let ran = run(&config(rules), &[line(1, "1", &[])]);
    assert_eq!(ran.rows[0].dimension.rule, "today");
}

#[test]
fn batches_that_lack_columns_and_batches_that_have_them_agree() {
    let mut config =
        config(vec![rule("mine", when("vtag.team", "s*"), vec![direct(&["vtag.team"])])]);
    add_tags_and_tables(&mut config);
    let lines = [
        line(1, "1", &[]),
        line(2, "1", &[("Tags", r#"{"owner":"search"}"#)]),
        line(3, "1", &[("Tags", r#"{"owner":"search"}"#), ("ResourceId", "r")]),
        line(4, "1", &[("Tags", r#"{"owner":"Sales"}"#)]),
    ];
    let whole = run_in(&config, &lines, Vec::new(), 4).lines();
    for per_batch in [1, 2, 3] {
        assert_eq!(run_in(&config, &lines, Vec::new(), per_batch).lines(), whole);
    }
}

#[test]
fn configurations_that_cannot_run_are_refused() {
    let error = |config: &TenantConfig| {
        proto::fault::chain(&Program::compile(config, &source()).unwrap_err())
    };
    let with = |tier: Tier| config(vec![rule("r", Match::every_line(), vec![tier])]);
    let group = |name: &str| Tier::Even(proto::config::Receivers::Group(name.to_owned()));
    assert_eq!(
        error(&with(group("none"))),
        r#"rule r: there is no group "none"; define it or correct the name"#
    );
    assert!(error(&with(direct(&["vtag.none"]))).starts_with("vtag.none: there is no tag"));
    assert!(error(&with(direct(&["table.none"]))).starts_with("table.none: there is no table"));
    let mut circle = with(direct(&["vtag.a"]));
    let tag = |from: &str| VirtualTag { from: vec![field(from)], values: Vec::new() };
    circle.tags.insert("a".to_owned(), tag("vtag.b"));
    circle.tags.insert("b".to_owned(), tag("vtag.a"));
    assert!(error(&circle).contains("looks at itself"), "{}", error(&circle));
    let mut unowned = with(group("g"));
    unowned.groups.insert("g".to_owned(), vec!["Unallocated".to_owned()]);
    assert!(error(&unowned).starts_with("group g: UNALLOCATED is not an owner"));
    let bad = Match::Field(field("ServiceName"), Pattern::Regex("(".to_owned()));
    let bad = config(vec![rule("r", bad, vec![nobody(Reason::NoRule)])]);
    assert!(error(&bad).starts_with(r#"rule r: ServiceName: "(" is not a regular expression"#));
    let missing = Program::compile(&config(Vec::new()), &SourceId::parse("none").unwrap());
    assert_eq!(missing.unwrap_err().to_string(), "the configuration has no source none");
}
