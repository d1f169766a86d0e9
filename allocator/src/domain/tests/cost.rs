//! In proportion to cost: what the same date's lines cost whom.

use proto::config::{CostShare, CostWindow, Part, SourceScope};

use super::*;

fn by_cost(within: &[&str]) -> CostShare {
    CostShare::Ledger {
        of: None,
        within: within.iter().map(|name| field(name)).collect(),
        to: None,
        sources: SourceScope::Own,
        window: CostWindow::Date,
    }
}

/// As the built-in rules of FOCUS say it.
fn credits() -> TenantConfig {
    let chain = vec![
        direct(&[]),
        Tier::InProportionToCost(by_cost(&["ResourceId"])),
        Tier::InProportionToCost(by_cost(&["SubAccountId", "ServiceName"])),
        nobody(Reason::NoDriver),
    ];
    config(vec![rule("credit", when("ChargeCategory", "Credit"), chain)])
}

fn used(number: u32, cost: &str, team: &str, cells: [&str; 3]) -> BillingLineItem {
    let tags = format!(r#"{{"team":"{team}"}}"#);
    let [resource, account, service] = cells;
    line(
        number,
        cost,
        &[
            ("ChargeCategory", "usage"),
            ("ResourceId", resource),
            ("ServiceName", service),
            ("SubAccountId", account),
            ("Tags", &tags),
        ],
    )
}

fn credit(number: u32, cost: &str, cells: &[(&str, &str)]) -> BillingLineItem {
    let mut all = vec![("ChargeCategory", "Credit")];
    all.extend(cells);
    line(number, cost, &all)
}

#[test]
fn a_credit_goes_where_the_cost_went() {
    let lines = [
        credit(1, "-9", &[("ResourceId", "i-1"), ("SubAccountId", "42"), ("ServiceName", "EC2")]),
        used(2, "1", "a", ["i-1", "42", "EC2"]),
        used(3, "2", "b", ["i-1", "42", "EC2"]),
        used(4, "-5", "c", ["i-1", "42", "EC2"]),
        used(5, "3", "d", ["i-2", "42", "EC2"]),
        used(6, "6", "b", ["i-2", "42", "EC2"]),
        used(7, "100", "e", ["i-3", "43", "EC2"]),
        credit(8, "-12", &[("SubAccountId", "42"), ("ServiceName", "EC2"), ("ResourceId", "i-9")]),
        credit(9, "-1", &[("Tags", r#"{"team":"own"}"#)]),
        credit(10, "-2", &[("SubAccountId", "44"), ("ServiceName", "EC2")]),
        credit(11, "-4", &[]),
        line(12, "7", &[("ChargeCategory", "Usage"), ("ResourceId", "i-1")]),
    ];
    let want = [
        "owner:a a in_proportion_to_cost -3",
        "owner:b b in_proportion_to_cost -6",
        "tag:a a direct 1",
        "tag:b b direct 2",
        "tag:c c direct -5",
        "tag:d d direct 3",
        "tag:b b direct 6",
        "tag:e e direct 100",
        // Of account 42: a 1, b 2 + 6, c nothing, d 3.
        "owner:a a in_proportion_to_cost -1 (in_proportion_to_cost within ResourceId: no cost to share by)",
        "owner:b b in_proportion_to_cost -8 (in_proportion_to_cost within ResourceId: no cost to share by)",
        "owner:d d in_proportion_to_cost -3 (in_proportion_to_cost within ResourceId: no cost to share by)",
        "tag:own own direct -1",
        "UNALLOCATED UNALLOCATED unallocated -2 (no_driver: in_proportion_to_cost within ResourceId: the line lacks \
         a field that must be equal; in_proportion_to_cost within SubAccountId+ServiceName: no cost to share by)",
        "UNALLOCATED UNALLOCATED unallocated -4 (no_driver: in_proportion_to_cost within ResourceId: the line lacks \
         a field that must be equal; in_proportion_to_cost within SubAccountId+ServiceName: the line lacks a field \
         that must be equal)",
        "UNALLOCATED UNALLOCATED unallocated 7 (untagged)",
    ];
    for per_batch in [1, 5, 100] {
        assert_eq!(run_in(&credits(), &lines, Vec::new(), per_batch).lines(), want);
    }
}

#[test]
fn cost_in_several_currencies_is_no_weight() {
    let mut euro = used(2, "1", "b", ["i-1", "42", "EC2"]);
    euro.currency = "EUR".parse().unwrap();
    let lines = [
        used(1, "1", "a", ["i-1", "42", "EC2"]),
        euro,
        used(3, "1", "a", ["i-2", "43", "EC2"]),
        credit(4, "-2", &[("ResourceId", "i-1")]),
        credit(5, "-2", &[("ResourceId", "i-2")]),
    ];
    let ran = run(&credits(), &lines);
    assert!(ran.lines()[3].contains(
        "no_driver: in_proportion_to_cost within ResourceId: cost in several currencies"
    ));
    assert_eq!(ran.lines()[4], "owner:a a in_proportion_to_cost -2");
}

#[test]
fn of_to_and_parts_given_directly_are_heeded() {
    let share = CostShare::Ledger {
        of: Some(when("ServiceName", "EC2")),
        within: Vec::new(),
        to: Some("payers".to_owned()),
        sources: SourceScope::These(vec![source()]),
        window: CostWindow::Date,
    };
    let half = |chain| Part { percent: amount("50"), chain };
    let split = Tier::Composition(vec![
        half(vec![direct(&[]), nobody(Reason::Untagged)]),
        half(vec![nobody(Reason::NoRule)]),
    ]);
    let mut config = config(vec![
        rule(
            "fee",
            when("ServiceName", "Support"),
            vec![Tier::InProportionToCost(share), nobody(Reason::NoDriver)],
        ),
        rule("half", when("SubAccountId", "half"), vec![split]),
    ]);
    config.groups.insert("payers".to_owned(), vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    let lines = [
        used(1, "2", "a", ["i-1", "half", "EC2"]),
        used(2, "2", "b", ["i-1", "42", "EC2"]),
        used(3, "9", "c", ["i-1", "42", "S3"]),
        used(4, "9", "d", ["i-1", "42", "EC2"]),
        line(5, "6", &[("ServiceName", "Support"), ("Tags", r#"{"team":"x"}"#)]),
    ];
    let ran = run(&config, &lines);
    let fees: Vec<_> = ran.lines().into_iter().filter(|l| l.contains("in_proportion")).collect();
    assert_eq!(fees, ["owner:a a in_proportion_to_cost 2", "owner:b b in_proportion_to_cost 4"]);
}

#[test]
fn what_is_shared_by_cost_is_no_weight_itself() {
    let every = CostShare::Ledger {
        of: Some(Match::every_line()),
        within: Vec::new(),
        to: None,
        sources: SourceScope::Own,
        window: CostWindow::Date,
    };
    // The second tier would be direct, yet whether it is reached depends on the first.
    let chain = vec![Tier::InProportionToCost(every), direct(&[]), nobody(Reason::Untagged)];
    let config = config(vec![rule("fee", when("ServiceName", "Fee"), chain)]);
    let fee = |number, team: &str| {
        let tags = format!(r#"{{"team":"{team}"}}"#);
        line(number, "4", &[("ServiceName", "Fee"), ("Tags", &tags)])
    };
    let ran = run(
        &config,
        &[fee(1, "x"), used(2, "1", "a", ["r", "s", "t"]), used(3, "3", "b", ["r", "s", "t"])],
    );
    assert_eq!(
        ran.lines()[..2],
        ["owner:a a in_proportion_to_cost 1", "owner:b b in_proportion_to_cost 3"]
    );
    let alone = run(&config, &[fee(1, "x")]);
    assert_eq!(alone.lines(), ["tag:x x direct 4 (in_proportion_to_cost: no cost to share by)"]);
}

#[test]
fn other_windows_and_sources_wait() {
    for (sources, window) in
        [(SourceScope::Own, CostWindow::ChargePeriod), (SourceScope::All, CostWindow::Date)]
    {
        let share = CostShare::Ledger { of: None, within: Vec::new(), to: None, sources, window };
        let config =
            config(vec![rule("r", Match::every_line(), vec![Tier::InProportionToCost(share)])]);
        let want = "UNALLOCATED UNALLOCATED unallocated 1 (driver_pending: cost of rule r)";
        assert_eq!(run(&config, &[line(1, "1", &[])]).lines(), [want]);
    }
}
