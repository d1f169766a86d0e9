//! What is counted of rules, tables and owners that do nothing.

use std::sync::Arc;

use proto::config::{OwnerRow, Owners, Table, TableRow};

use super::*;
use crate::domain::survey::{Survey, Tally};

fn survey(config: &TenantConfig, lines: &[BillingLineItem]) -> Survey {
    let program = Arc::new(Program::compile(config, &source()).unwrap());
    let mut survey = Survey::default();
    // In two units of one day: what is counted does not depend on how lines come.
    for part in lines.chunks(lines.len().div_ceil(2)) {
        let drivers = DriverWeights::default();
        let mut unit = UnitAllocator::new(Arc::clone(&program), date(), Facts::default(), drivers);
        unit.survey(&batch(part).open().unwrap(), &mut survey).unwrap();
    }
    survey
}

fn tally(count: u64, sum: &str) -> Tally {
    let money = [("USD".parse().unwrap(), ExactSum::parse(sum).unwrap())];
    Tally { count, money: money.into() }
}

fn owners(strict: bool, ids: &[&str]) -> Owners {
    let row = |id: &&str| OwnerRow {
        id: (*id).to_owned(),
        valid: Validity::default(),
        aliases: Vec::new(),
        name: String::new(),
        kind: String::new(),
        parent: String::new(),
        cost_center: String::new(),
        gl_code: String::new(),
        email: String::new(),
    };
    Owners { strict, rows: ids.iter().map(row).collect() }
}

fn table(rows: &[(&str, &str)]) -> Table {
    let row = |(key, value): &(&str, &str)| TableRow {
        key: vec![(*key).to_owned()],
        valid: Validity::default(),
        value: (*value).to_owned(),
    };
    let rows = rows.iter().map(row).collect();
    let (key, value) = (vec!["SubAccountId".to_owned()], "team".to_owned());
    Table { key, value, rows, patterns: Vec::new() }
}

#[test]
fn a_rule_whose_lines_are_taken_says_by_whom_and_how_much() {
    let wide = when("ServiceName", "Amazon*");
    let config = config(vec![
        rule("wide", wide, vec![direct(&["tag.team"]), nobody(Reason::Untagged)]),
        rule("shadowed", when("ServiceName", "Amazon S3"), vec![nobody(Reason::NoRule)]),
        rule("unmatched", when("ServiceName", "Azure*"), vec![nobody(Reason::NoRule)]),
        rule("late", when("tag.team", "search"), vec![direct(&["tag.team"])]),
    ]);
    let s3 = [("ServiceName", "Amazon S3")];
    let lines =
        [line(1, "1.5", &s3), line(2, "0.25", &s3), line(3, "7", &[]), team(4, "-2", "search")];
    let found = survey(&config, &lines);
    let of = |id: &str| &found.rules[&(id.to_owned(), Validity::default())];
    assert_eq!((of("wide").took, of("wide").met), (2, 4));
    assert_eq!((of("late").took, of("late").taken_by.len()), (1, 0));
    assert_eq!((of("unmatched").took, of("unmatched").taken_by.len()), (0, 0));
    let by = ("wide".to_owned(), Validity::default());
    assert_eq!(of("shadowed").taken_by, [(by, tally(2, "1.75"))].into());
    assert_eq!(of("focus/default@1").took, 1);
}

#[test]
fn keys_that_some_line_has_and_values_that_no_key_has() {
    let chain = vec![direct(&["tag.team", "table.accounts"]), nobody(Reason::Untagged)];
    let mut config = config(vec![rule("all", Match::every_line(), chain)]);
    config.tables.insert("accounts".to_owned(), table(&[("1", "a"), ("2", "b"), ("3", "c")]));
    let account = |number, cost: &str, id: &str| line(number, cost, &[("SubAccountId", id)]);
    let mut tagged = account(6, "100", "3");
    tagged.cells.push(("Tags".to_owned(), r#"{"team":"x"}"#.to_owned()));
    let mut elsewhere = tagged.clone();
    elsewhere.cells[0].1 = "10".to_owned();
    let lines = [
        account(1, "1", "1"),
        account(2, "2", "8"),
        account(3, "4", "8"),
        account(4, "-0.5", "9"),
        line(5, "50", &[]),
        tagged,
        elsewhere,
    ];
    let found = survey(&config, &lines);
    let table = &found.tables["accounts"];
    let key = |id: &str| vec![id.to_owned()];
    let seen: Vec<&str> = table.rows.iter().map(|(key, _)| key[0].as_str()).collect();
    assert_eq!(seen, ["1", "3"], "a line has it, though the table is not asked");
    let missed = [(key("8"), tally(2, "6")), (key("9"), tally(1, "-0.5"))];
    assert_eq!(table.missed, missed.into(), "tagged lines do not ask the table");

    // A match that asks is content with either answer, as long as somebody pays.
    let known = Match::Field(field("table.accounts"), Pattern::Present);
    let fixed = vec![direct(&["ServiceName"]), nobody(Reason::NoRule)];
    config.allocation = vec![
        rule("known", known, vec![direct(&["table.accounts"])]),
        rule("rest", Match::every_line(), fixed),
    ];
    let paid = line(1, "1", &[("ServiceName", "S3"), ("SubAccountId", "8")]);
    let found = survey(&config, &[paid, account(2, "2", "9")]);
    assert_eq!(found.tables["accounts"].missed, [(key("9"), tally(1, "2"))].into());
}

#[test]
fn owners_who_are_not_listed_and_what_they_got_or_would_have() {
    let half = |tier: Tier| proto::config::Part {
        percent: amount("50"),
        chain: vec![tier, nobody(Reason::UnknownOwner)],
    };
    let parts = Tier::Composition(vec![half(direct(&["tag.team"])), half(direct(&["tag.team"]))]);
    let mut config = config(vec![
        rule("halves", when("ServiceName", "S3"), vec![parts]),
        rule("all", Match::every_line(), vec![direct(&["tag.none", "tag.team"])]),
    ]);
    let mut shared = team(3, "9", "chekout");
    shared.cells.insert(0, ("ServiceName".to_owned(), "S3".to_owned()));
    let lines = [team(1, "1.5", "chekout"), team(2, "4", "search"), shared, line(4, "8", &[])];
    assert_eq!(survey(&config, &lines).owners, BTreeMap::new(), "there is no directory");
    config.owners = Some(owners(false, &["search", "checkout"]));
    let found = survey(&config, &lines).owners;
    assert_eq!(found.len(), 1);
    assert_eq!((&found["chekout"].got, found["chekout"].refused.count), (&tally(3, "10.5"), 0));
    config.owners = Some(owners(true, &["search", "checkout"]));
    let found = survey(&config, &lines).owners;
    assert_eq!((found["chekout"].got.count, &found["chekout"].refused), (0, &tally(3, "10.5")));
}
