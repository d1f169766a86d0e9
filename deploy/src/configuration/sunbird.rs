//! The example of six real cases, as it stands, and everything else that a configuration can say: read, checked, and run
//! with given driver weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use allocator::domain::trial::run_test;
use coordinator::config::{Config, load};

use super::tests::{no_env, write};
use super::{Checked, check};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sunbird")
}

fn read(folder: &Path) -> Config {
    load(folder, &no_env).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The example in a folder of its own, with tests added to its one.
pub(super) fn example_with(tests: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["owners.csv", "accounts.csv", "principals.csv", "network-2026h2.csv", "kafka.yaml"]
    {
        fs::copy(example().join(name), copy.path().join(name)).unwrap();
    }
    let tenant = fs::read_to_string(example().join("tenants/sunbird.yaml")).unwrap();
    let tenant = tenant.replace("tests:\n", &format!("tests:\n{tests}"));
    write(copy.path(), "tenants/sunbird.yaml", &tenant);
    copy
}

#[test]
fn the_example_is_sound_and_its_shares_are_exact() {
    let Checked { text, sound } = check(&example(), &no_env);
    assert!(sound, "{text}");
    assert!(text.ends_with("1 tenant, 2 sources, 7 rules, 1 test: sound\n"), "{text}");
    let config = read(&example());
    let tenant = config.tenants.values().next().unwrap();
    let outcome = run_test(tenant, &tenant.tests[0]).unwrap();
    let shares: BTreeMap<&str, String> =
        outcome.actual.iter().map(|(owner, sum)| (owner.as_str(), sum.to_string())).collect();
    let wanted =
        [("checkout", "218.160508"), ("data-platform", "128.278709"), ("search", "66.430783")];
    assert_eq!(shares, wanted.map(|(owner, sum)| (owner, sum.to_owned())).into());
    assert_eq!(outcome.rule, "platform-cluster");
}

#[test]
fn the_example_is_the_documented_one() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/CONFIG.md");
    let Ok(document) = fs::read_to_string(&document) else {
        println!("skipped: {} is not there", document.display());
        return;
    };
    let (_, yaml) = document.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```").unwrap();
    assert_eq!(fs::read_to_string(example().join("tenants/sunbird.yaml")).unwrap(), yaml);
}

/// Each of the other five cases, and the edges of all six.
const CASES: &str = r#"
  - name: support by spend
    rule: support-fee
    line: { source: cloud, ServiceName: AWS Support (Business), cost: "120.00", date: 2026-10-14 }
    drivers: { direct_spend: { checkout: "300", data-platform: "75", search: "125" } }
    expect: { checkout: "72", data-platform: "18", search: "30" }
  - name: support without spend
    rule: support-fee
    line: { ServiceName: Premium Support Plus, cost: "120.00", date: 2026-10-14 }
    expect: { UNALLOCATED: "120" }
  - name: tax by spend
    rule: tax
    line: { ChargeCategory: Tax, BillingAccountId: 999999999999, cost: "0.03", date: 2026-10-14 }
    drivers: { direct_spend: { checkout: 1, search: 1 } }
    expect: { checkout: "0.015", search: "0.015" }
  - name: a shared cluster of the cloud's bill, nothing measured
    rule: platform-cluster
    line: { source: cloud, ResourceName: shared-kafka-eu, cost: "3", date: 2026-10-14 }
    expect: { checkout: "1", data-platform: "1", search: "1" }
  - name: network in the first half
    rule: network-h1
    line: { ServiceCategory: Networking, cost: "41.30", date: 2026-06-30 }
    expect: { checkout: "24.78", search: "16.52" }
  - name: network in the third quarter
    rule: network-h2
    line: { ServiceCategory: Networking, cost: "41.30", date: 2026-07-01 }
    expect: { checkout: "22.9215", search: "18.3785" }
  - name: network in the fourth quarter
    rule: network-h2
    line: { ServiceCategory: Networking, cost: "41.30", date: 2026-10-01 }
    expect: { checkout: "20.65", search: "10.325", data-platform: "10.325" }
  - name: network with a team
    rule: tagged
    line: { ServiceCategory: Networking, tag.Team: " Team-Search ", cost: "41.30", date: 2026-10-01 }
    expect: { search: "41.3" }
  - name: a misspelt owner
    rule: tagged
    line: { tag.owner: Team-Chekout, cost: "93.60", date: 2026-10-14 }
    expect: { checkout: "93.6" }
  - name: somebody who is nobody
    rule: tagged
    line: { tag.business_unit: marketing, cost: "1", date: 2026-10-14 }
    expect: { UNALLOCATED: "1" }
  - name: by account
    rule: by-account
    line: { SubAccountId: 222222222222, cost: "18.775123", date: 2026-10-14 }
    expect: { data-platform: "18.775123" }
  - name: an account of nobody
    rule: by-account
    line: { SubAccountId: 333333333333, cost: "-3.10", date: 2026-10-14 }
    expect: { UNALLOCATED: "-3.1" }
"#;

#[test]
fn all_six_cases_run_in_rule_tests() {
    let Checked { text, sound } = check(example_with(CASES).path(), &no_env);
    assert!(sound && text.ends_with("7 rules, 13 tests: sound\n"), "{text}");
}

/// The grammar that the example does not use, each part with a test that tells it from its neighbours.
const REST: &str = r#"
currency: [USD, EUR]
lookback: 40d
cutoff: 2d
final_after: 5d
on_bad_line: hold
tags:
  stage: { from: tag.stage, values: [ { regex: '^(\w+)-\d+$', to: '$1' }, lowercase ] }
tables:
  shares: { file: shares.csv, key: [owner], value: percent }
  rooms: { file: rooms.csv, key: [SubAccountId, vtag.stage], value: team }
groups: { three: [a, b, c], two: [a, b] }
drivers:
  weights: { table: shares }
  spend: { ledger: { sources: [bill], cost: BilledCost, of: { ChargeCategory: [Usage, Tax] }, window: trailing 30d } }
  bytes: { metric: 'sum by (principal) (bytes_total)', source: brokers }
sources:
  bill: { kind: focus, files: ["*.csv"], cost: BilledCost, owner: [tag.team, vtag.stage], duplicates: allow }
  brokers: { kind: self_managed_kafka, settings: kafka.yaml }
allocation:
  - { id: globs, source: bill, match: { ServiceName: "Qu?ue*" }, chain: [ { usage_ratio: bytes }, { even: two } ] }
  - { id: numbers, match: { x_Score: { gt: 1, lt: "2.5" } }, chain: [ { in_proportion_to_cost: { driver: spend } }, { fixed: { a: "33.3", b: "33.3", c: "33.4" } } ] }
  - { id: nothing-but, match: { RegionId: { not: [absent, "eu-*"] } }, chain: [ { usage_ratio: weights }, { even: three } ] }
  - { id: expression, match: { ResourceId: { regex: '^vol-\d+$' } }, chain: [ { fixed: { table: shares } } ] }
  - id: nested
    match: { all: [ { tag.x.y: present }, { any: [ { tag.z: "present" }, { vtag.stage: prod } ] } ] }
    chain: [ { direct: [tag.none, table.rooms] }, { unallocated: untagged } ]
  - { id: sets, source: [bill], match: { product_type: Sets }, chain: [ { even: resource_active }, { even: tenant_period }, { usage_ratio: { metric: [m1, m2] } }, resource, unallocated ] }
  - { id: stated, source: [bill], match: { product_type: Stated }, chain: [ { even: tenant_period, identity_types: [user, service_account], cost_type: usage, method: even_split, detail: "null" }, { usage_ratio: { metric: [m1] }, detail: usage_ratio_allocation }, { resource: true, method: to_resource }, { direct: [tag.none], cost_type: shared } ] }
  - { id: by-cost, match: { product_category: Cost }, chain: [ { in_proportion_to_cost: { of: { ChargeCategory: Usage }, within: [ResourceId], to: three, sources: all, window: billing_period } }, { in_proportion_to_cost: { window: charge_period } } ] }
  - id: parts
    match: { resource_id: parts }
    chain:
      - composition:
          - { percent: "12.5", chain: [ { unallocated: no_rule } ] }
          - { percent: "87.5", chain: [ { usage_ratio: bytes }, { composition: [ { percent: 100, chain: [ { even: two } ] } ] } ] }
  - { id: own, chain: [ direct ] }
emitters:
  csv: { dir: out, aggregation: monthly, group_by: [service], lookback: 30d }
  other: { kind: csv, dir: other }
guards: { zero_gather_threshold: never, min_wall: 12h, max_drop: 20% }
tests:
  - { name: glob by weights, rule: globs, line: { source: bill, ServiceName: Queue 7, cost: 4, date: 2026-10-14 }, drivers: { bytes: { a: 1, c: 3 } }, expect: { a: 1, c: 3 } }
  - { name: glob without, rule: globs, line: { ServiceName: Queue 7, cost: 4, date: 2026-10-14 }, expect: { a: 2, b: 2 } }
  - { name: number between, rule: numbers, line: { x_Score: "2.4999", cost: 10, date: 2026-10-14 }, drivers: { spend: { a: 0, b: 5 } }, expect: { b: 10 } }
  - { name: number between without, rule: numbers, line: { x_Score: 2, cost: 10, date: 2026-10-14 }, expect: { a: "3.33", b: "3.33", c: "3.34" } }
  - { name: number beyond, rule: own, line: { x_Score: "2.5", tag.team: t, cost: 10, date: 2026-10-14 }, expect: { t: 10 } }
  - { name: not, rule: nothing-but, line: { RegionId: us-east-1, cost: 1, date: 2026-10-14 }, drivers: { weights: { a: 25, b: 75 } }, expect: { a: "0.25", b: "0.75" } }
  - { name: weights of a table, rule: nothing-but, line: { RegionId: us-east-1, cost: 1, date: 2026-10-14 }, expect: { a: "0.6", b: "0.4" } }
  - { name: not not, rule: own, line: { RegionId: eu-west-1, tag.stage: Blue-1, cost: 1, date: 2026-10-14 }, expect: { blue: 1 } }
  - { name: percents of a table, rule: expression, line: { ResourceId: vol-12, cost: 1, date: 2026-10-14 }, expect: { a: "0.6", b: "0.4" } }
  - { name: two keys, rule: nested, line: { tag.x.y: 1, tag.stage: Prod-9, SubAccountId: 007, cost: 1, date: 2026-10-14 }, expect: { bond: 1 } }
  - { name: a word in quotes is a text, rule: nested, line: { tag.x.y: 1, tag.z: "present", cost: 1, date: 2026-10-14 }, expect: { UNALLOCATED: 1 } }
  - { name: no sets, rule: sets, line: { product_type: Sets, cost: 1, date: 2026-10-14 }, expect: { UNALLOCATED: 1 } }
  - { name: no cost, rule: by-cost, line: { product_category: Cost, cost: 1, date: 2026-10-14 }, expect: { UNALLOCATED: 1 } }
  - { name: parts, rule: parts, line: { resource_id: parts, cost: 8, date: 2026-10-14 }, drivers: { bytes: { c: 1 } }, expect: { UNALLOCATED: 1, c: 7 } }
  - { name: parts of parts, rule: parts, line: { resource_id: parts, cost: 8, date: 2026-10-14 }, expect: { UNALLOCATED: 1, a: "3.5", b: "3.5" } }
  - { name: nobody, rule: own, line: { tag.team: " NULL ", cost: 8, date: 2026-10-14 }, expect: { UNALLOCATED: 8 } }
"#;

#[test]
fn the_rest_of_the_grammar_runs_in_rule_tests() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tenants/rest.yaml", REST);
    write(folder.path(), "kafka.yaml", include_str!("../../examples/sunbird/kafka.yaml"));
    write(folder.path(), "shares.csv", "owner,percent\na,60\nb,40\n");
    write(folder.path(), "rooms.csv", "SubAccountId,vtag.stage,team\n007,prod,bond\n");
    let Checked { text, sound } = check(folder.path(), &no_env);
    assert!(sound && text.ends_with("10 rules, 16 tests: sound\n"), "{text}");
}
