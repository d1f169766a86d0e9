//! Lines whose allocation fails, damaged batches, big units.

use proto::config::{FixedShares, Table, TableRow, Usage};
use proto::row::{ALLOCATION_FAILED, CostType};

use super::*;

fn table(percents: &[(&str, &str)]) -> TenantConfig {
    let mut config = config(vec![rule(
        "network",
        when("ServiceName", "net"),
        vec![Tier::Fixed(FixedShares::Table("h2".to_owned()))],
    )]);
    let row = |(owner, percent): &(&str, &str)| TableRow {
        key: vec![(*owner).to_owned()],
        valid: Validity::default(),
        value: (*percent).to_owned(),
    };
    let rows = percents.iter().map(row).collect();
    let table = Table { key: vec!["o".to_owned()], value: "p".to_owned(), rows, patterns: vec![] };
    config.tables.insert("h2".to_owned(), table);
    config
}

#[test]
fn a_line_that_fails_keeps_its_cost_and_says_why() {
    for (percents, why) in [
        (
            vec![("a", "50"), ("b", "many")],
            r#"allocation_failed: fixed h2: "many" of "b" is not a number of 0 or more"#,
        ),
        (
            vec![("a", "50"), ("b", "-50")],
            r#"allocation_failed: fixed h2: "-50" of "b" is not a number of 0 or more"#,
        ),
        (
            vec![("a", "50"), ("b", "49")],
            "allocation_failed: fixed h2: the percents of the date add to 99, not 100",
        ),
        (vec![], "allocation_failed: fixed h2: the percents of the date add to 0, not 100"),
    ] {
        let mut broken = line(2, "5", &[("ServiceName", "net")]);
        broken.measures[0] = Some(amount("4"));
        broken.quantities[0] = Some(amount("3"));
        let ran = run(&table(&percents), &[team(1, "1", "a"), broken.clone(), team(3, "1", "a")]);
        assert_eq!(ran.rows.len(), 3);
        let row = &ran.rows[1];
        assert_eq!(row.dimension.method, ALLOCATION_FAILED);
        assert_eq!(row.dimension.detail.as_deref(), Some(why));
        assert_eq!(
            (row.dimension.owner.as_str(), row.dimension.rule.as_str()),
            ("UNALLOCATED", "network")
        );
        assert_eq!(row.dimension.cost_type, CostType::Shared);
        assert_eq!(
            (row.money.measures, row.money.quantities),
            (broken.measures, broken.quantities)
        );
    }
}

#[test]
fn weights_of_any_width_are_shared() {
    let usage = Tier::UsageRatio(Usage::Metric(vec!["m".to_owned()]));
    let part = |percent: &str, chain| proto::config::Part { percent: amount(percent), chain };
    let parts = vec![part("50", vec![nobody(Reason::NoRule)]), part("50", vec![usage])];
    let config = config(vec![rule("r", Match::every_line(), vec![Tier::Composition(parts)])]);
    let big = "79228162514264337593543950335";
    let facts = vec![
        resolution("wide", &[], &[("m", "sa:a", big), ("m", "sa:a", "0.1"), ("m", "sa:b", big)]),
        resolution(
            "fine",
            &[],
            &[("m", "sa:a", big), ("m", "sa:b", "0.0000000000000000000000000001")],
        ),
    ];
    let at = |number, key: &str| BillingLineItem {
        resolution_key: Some(key.to_owned()),
        ..line(number, "1", &[])
    };
    let ran = run_in(&config, &[at(1, "wide"), at(2, "fine")], facts, 10);
    assert_eq!(
        ran.lines(),
        [
            "UNALLOCATED UNALLOCATED unallocated 0.5 (no_rule)",
            "sa:a a usage_ratio 0.25",
            "sa:b b usage_ratio 0.25",
            "UNALLOCATED UNALLOCATED unallocated 0.5 (no_rule)",
            "sa:a a usage_ratio 0.5",
            "sa:b b usage_ratio 0",
        ]
    );
}

#[test]
fn damaged_batches_are_refused() {
    let program = Arc::new(Program::compile(&config(Vec::new()), &source()).unwrap());
    let new = || {
        UnitAllocator::new(Arc::clone(&program), date(), Facts::default(), DriverWeights::default())
    };
    let mut lines = batch(&[team(1, "1", "a")]).open().unwrap();
    lines.currency = [Some("usd")].into_iter().collect();
    let error = new().allocate(&lines).unwrap_err().to_string();
    assert_eq!(error, "column currency is damaged: a value that means nothing");
    lines.currency = [None].into_iter().collect();
    let error = new().allocate(&lines).unwrap_err().to_string();
    assert_eq!(error, "column currency is damaged: a line without value");
    lines.billing_period = [Some("2026")].into_iter().collect();
    assert!(new().weigh(&lines).is_err());
}

#[test]
fn rows_are_cut_into_batches_that_messages_hold() {
    let owners: Vec<String> = (0..70_000).map(|i| format!("owner-{i:05}")).collect();
    let group = Tier::Even(proto::config::Receivers::Group("all".to_owned()));
    let mut config = config(vec![rule("r", Match::every_line(), vec![group])]);
    config.groups.insert("all".to_owned(), owners);
    let ran = run(&config, &[line(1, "1", &[]), line(2, "-12345.6789", &[])]);
    assert_eq!(ran.rows.len(), 140_000);
    assert!(ran.batches.len() > 10);
    for batch in &ran.batches {
        let header = proto::envelope::Header::new::<RowBatch>(
            TenantId::parse("acme").unwrap(),
            proto::ids::Generation(1),
            proto::ids::Attempt(1),
        );
        let size = proto::envelope::encode(&header, batch).unwrap().len();
        assert!(size <= proto::envelope::BATCH_BYTES * 3 / 2, "{size}");
    }
    let full = proto::envelope::BATCH_BYTES / 2;
    let small = ran.batches.iter().filter(|batch| {
        let header = proto::envelope::Header::new::<RowBatch>(
            TenantId::parse("acme").unwrap(),
            proto::ids::Generation(1),
            proto::ids::Attempt(1),
        );
        proto::envelope::encode(&header, *batch).unwrap().len() < full
    });
    assert!(small.count() <= 1, "only the last batch may be small");
}
