//! What an explanation says. That it tells the rows that are made, every test over units checks: see `run_in`.

use std::sync::Arc;

use proto::config::{Match, Pattern, Reason, Receivers, Tier};

use super::*;
use crate::domain::trace::{Outcome, Trace};

fn explain(config: &TenantConfig, line: &BillingLineItem) -> Trace {
    let program = Arc::new(Program::compile(config, &source()).unwrap());
    let drivers = DriverWeights::default();
    let mut unit = UnitAllocator::new(program, date(), Facts::default(), drivers);
    unit.explain(&batch(std::slice::from_ref(line)).open().unwrap(), 0).unwrap()
}

fn conditions(trace: &Trace) -> Vec<String> {
    let tried = trace.rules.iter().map(|rule| match &rule.because {
        None => format!("{} takes it", rule.id),
        Some(because) => {
            let (field, value) = (because.field.as_deref().unwrap_or("-"), &because.value);
            format!("{}: {field} is {value:?}, not {}", rule.id, because.wanted)
        }
    });
    tried.collect()
}

#[test]
fn rules_say_which_condition_does_not_hold_and_tiers_why_they_do_not_apply() {
    let not = |name: &str, text: &str| {
        Match::Field(field(name), Pattern::Not(Box::new(Pattern::of_text(text))))
    };
    let glob = Match::All(vec![when("ServiceName", "Amazon S3"), when("ResourceName", "logs-*")]);
    let either = Match::Any(vec![when("tag.team", "search"), when("tag.team", "growth")]);
    let even = Tier::Even(Receivers::Group("users".to_owned()));
    let mut config = config(vec![
        rule("logs", glob, vec![nobody(Reason::NoRule)]),
        rule("either", either, vec![nobody(Reason::NoRule)]),
        rule("not", not("ServiceName", "Amazon*"), vec![nobody(Reason::NoRule)]),
        rule("all", Match::every_line(), vec![direct(&["tag.team", "SubAccountId"]), even]),
    ]);
    let users = ["a", "b", "c"].map(str::to_owned);
    config.groups.insert("users".to_owned(), users.to_vec());
    let cells = [("ServiceName", "Amazon S3"), ("ResourceName", "data"), ("SubAccountId", " ")];
    let trace = explain(&config, &line(1, "-10", &cells));
    let said = conditions(&trace);
    assert_eq!(said[0], "logs: ResourceName is Some(\"data\"), not \"logs-*\"");
    assert_eq!(said[1], "either: tag.team is None, not \"search\"");
    assert_eq!(said[2], "not: ServiceName is Some(\"Amazon S3\"), not not \"Amazon*\"");
    assert_eq!(said[3], "all takes it");

    let [direct, even] = trace.steps.as_slice() else { panic!("{trace:?}") };
    let absent = |name: &str| (name.to_owned(), None);
    assert_eq!(direct.inputs, [absent("tag.team"), absent("SubAccountId")]);
    assert!(matches!(&direct.outcome, Outcome::Passed(why) if why == "nothing to go by"));
    let Outcome::Gave(received) = &even.outcome else { panic!("{even:?}") };
    assert_eq!((even.label.as_str(), even.tier, even.depth), ("even users", 1, 0));
    let parts = received.iter().map(|to| {
        let working = &to.working;
        let up = if working.rounded_up { " up" } else { "" };
        format!("{} {} {} {}{up}", to.owner, to.share, working.floor, working.remainder)
    });
    let parts: Vec<_> = parts.collect();
    assert_eq!(
        parts,
        ["a 1/3 -3.3333333333 1/3 up", "b 1/3 -3.3333333333 1/3", "c 1/3 -3.3333333333 1/3"]
    );
}
