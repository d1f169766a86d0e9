//! Tests that users write beside their rules.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{RuleTest, TenantConfig, TestLine};
use proto::money::{Amount, ExactSum};

use super::problem::{Place, Problem};
use super::read::{self, Cx, Map};
use super::yaml::Node;

/// Keys of a test.
pub const TEST_KEYS: [&str; 5] = ["name", "rule", "line", "drivers", "expect"];

/// Reads `tests`. `rules`: ids that can be named, if the rules could be read.
pub fn tests(node: &Node, rules: Option<&BTreeSet<String>>, cx: &mut Cx<'_>) -> Vec<RuleTest> {
    let nodes = read::list(node, "`tests`", cx.report).unwrap_or_default();
    let tests: Vec<(RuleTest, Place)> =
        nodes.iter().filter_map(|node| test(node, rules, cx)).collect();
    let mut seen = BTreeMap::new();
    for (test, at) in &tests {
        if let Some(line) = seen.insert(test.name.as_str(), at.line) {
            cx.report.at(
                at,
                format!("two tests are called `{}`, first in line {line}", test.name),
                "rename one",
            );
        }
    }
    tests.into_iter().map(|(test, _)| test).collect()
}

fn test(
    node: &Node,
    rules: Option<&BTreeSet<String>>,
    cx: &mut Cx<'_>,
) -> Option<(RuleTest, Place)> {
    let map = Map::read(node, "a test", &TEST_KEYS, cx.report)?;
    let name_node = map.need("name", "the test", cx.report);
    let name = name_node.and_then(|node| read::text(node, "`name`", cx.report));
    let rule = map.get("rule").and_then(|node| {
        let id = read::text(node, "`rule`", cx.report)?;
        read::known(id, &node.at, "rule", rules, cx.report);
        Some(id.to_owned())
    });
    let line = map.need("line", "the test", cx.report).and_then(|node| line(node, cx));
    let mut drivers = BTreeMap::new();
    let driver_entries =
        map.get("drivers").and_then(|node| read::entries(node, "`drivers`", cx.report));
    for entry in driver_entries.unwrap_or_default() {
        read::known(&entry.key, &entry.key_at, "driver", cx.names.drivers.as_ref(), cx.report);
        drivers.insert(entry.key.clone(), amounts(&entry.value, "a driver's weights", cx)?);
    }
    let expect_node = map.need("expect", "the test", cx.report);
    let expect = expect_node.and_then(|node| amounts(node, "`expect`", cx));
    let (line, expect) = (line?, expect?);
    let mut sum = ExactSum::ZERO;
    expect.values().for_each(|amount| sum.add(*amount));
    sum.sub(line.cost);
    if !sum.is_zero() {
        let what = format!("what is expected differs from the line's cost {} by {sum}", line.cost);
        cx.report.at(
            &expect_node?.at,
            what,
            "expect amounts that add to exactly the cost; UNALLOCATED may be one of them",
        );
    }
    let test = RuleTest { name: name?.to_owned(), rule, line, drivers, expect };
    Some((test, name_node?.at.clone()))
}

fn line(node: &Node, cx: &mut Cx<'_>) -> Option<TestLine> {
    let entries = read::entries(node, "`line`", cx.report)?;
    let (mut fields, mut cost, mut date) = (BTreeMap::new(), None, None);
    for entry in entries {
        match entry.key.as_str() {
            "cost" => cost = read::amount(&entry.value, "`cost`", cx.report),
            "date" => date = read::date(&entry.value, "`date`", cx.report),
            key => {
                let field = read::field_of(key, &entry.key_at, cx);
                let value = read::text(&entry.value, &format!("`{key}`"), cx.report);
                if let (Some(proto::config::Field::Source), Some(name)) = (&field, value) {
                    read::known(
                        name,
                        &entry.value.at,
                        "source",
                        cx.names.sources.as_ref(),
                        cx.report,
                    );
                }
                fields.extend(field.zip(value.map(str::to_owned)));
            }
        }
    }
    for key in ["cost", "date"] {
        if !entries.iter().any(|entry| entry.key == key) {
            cx.report.at(
                &node.at,
                format!("the test's line lacks `{key}`"),
                format!("add `{key}: …`"),
            );
        }
    }
    Some(TestLine { fields, cost: cost?, date: date? })
}

fn amounts(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<BTreeMap<String, Amount>> {
    let entries = read::entries(node, what, cx.report)?;
    let read = |entry: &super::yaml::Entry, cx: &mut Cx<'_>| {
        Some((
            entry.key.clone(),
            read::amount(&entry.value, &format!("`{}`", entry.key), cx.report)?,
        ))
    };
    let pairs: Vec<Option<(String, Amount)>> =
        entries.iter().map(|entry| read(entry, cx)).collect();
    pairs.into_iter().collect()
}

/// Runs a tenant's tests. `run` says what went wrong, if anything; it is the allocator's engine.
pub fn run(
    config: &TenantConfig,
    run: impl Fn(&TenantConfig, &RuleTest) -> Result<(), String>,
) -> Vec<Problem> {
    let file = format!("tenants/{}.yaml", config.tenant);
    let failed = |test: &RuleTest| {
        let why = run(config, test).err()?;
        let what = format!("test `{}`: {why}", test.name);
        let problem = Problem::of_file(&file, what, "mend the rules or the test");
        Some(problem.about(&["tests", &test.name]))
    };
    config.tests.iter().filter_map(failed).collect()
}
