use std::fs;
use std::path::Path;

use coordinator::config::load;
use proto::config::{Rule, TenantConfig};
use proto::ids::{SourceId, TenantId};

use super::print::{rule, rules};
use super::{Checked, check};

pub(super) fn no_env(_: &str) -> Option<String> {
    None
}

fn tenant_of(dir: &Path, id: &str) -> TenantConfig {
    let config = load(dir, &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    config.tenants[&TenantId::parse(id).unwrap()].clone()
}

pub(super) fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Everything a rule can say.
const EVERYTHING: &str = r#"
currency: USD
tables: { shares: { file: shares.csv, key: [owner], value: percent } }
groups: { g: [b, a, 'x: y'] }
drivers: { d: { table: shares }, l: { ledger: { sources: all, window: billing_period } } }
sources: { a: { kind: focus, files: ["*.csv"], owner: [tag.team] }, b: { kind: focus, files: ["*.gz"] } }
allocation:
  - { id: one, source: [a, b], chain: [ direct ] }
  - id: "two: #2"
    match: { SubAccountId: 007, tag.a b: "present", x_C: { gt: -1, lt: 2.50 }, tag.q: present, ServiceName: ["A*", 'it''s'] }
    valid: { from: 2026-01-01, until: 2026-07-01 }
    chain: [ { direct: [vtag.v, tag.t] }, { even: resource_active }, { usage_ratio: d }, resource ]
  - id: three
    match: { any: [ { source: a }, { all: [ { tag.z: absent }, { tag.z: { not: { regex: '^\d+$|''' } } } ] } ] }
    chain:
      - in_proportion_to_cost: { driver: l, within: [ResourceId] }
      - in_proportion_to_cost: { of: { ChargeCategory: [Usage, Tax] }, within: [SubAccountId], to: g, sources: all, window: trailing 3d }
      - in_proportion_to_cost: { sources: [b], window: billing_period }
      - usage_ratio: { metric: [m2, m1] }
      - { usage_ratio: { metric: m1 }, detail: "null" }
      - { even: tenant_period, identity_types: [user, principal], cost_type: usage, method: even_split, detail: d }
      - { resource: true, cost_type: shared }
      - { in_proportion_to_cost: { within: [ResourceId], window: date }, method: m }
      - { direct: [tag.t, vtag.v], detail: stated }
      - composition:
          - { percent: 33.3333333333333333333, chain: [ { fixed: { table: shares } }, { even: g } ] }
          - { percent: 66.6666666666666666667, chain: [ { composition: [ { percent: 100, chain: [ { fixed: { 'on': 60, b c: 40 } } ] } ] } ] }
tags: { v: { from: [tag.t] } }
"#;

#[test]
fn what_is_printed_reads_back_as_the_same_rules() {
    let demo = tempfile::tempdir().unwrap();
    crate::demo::write(demo.path(), 7).unwrap();
    let everything = tempfile::tempdir().unwrap();
    write(everything.path(), "shares.csv", "owner,percent\na,100\n");
    write(everything.path(), "tenants/all.yaml", EVERYTHING);
    for (dir, id) in [
        (demo.path(), "acme"),
        (demo.path(), "nordwind"),
        (demo.path(), "pixelforge"),
        (everything.path(), "all"),
    ] {
        let before = tenant_of(dir, id);
        let file = dir.join(format!("tenants/{id}.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<&str> = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            let top = line.starts_with(|c: char| c.is_ascii_alphabetic());
            inside = if top { line.starts_with("allocation:") } else { inside };
            if !inside {
                lines.push(line);
            }
        }
        let printed: String = before.allocation.iter().map(rule).collect();
        fs::write(&file, format!("{}\nallocation:\n{printed}", lines.join("\n"))).unwrap();
        assert_eq!(tenant_of(dir, id).allocation, before.allocation, "{printed}");
    }
}

#[test]
fn chains_in_force_come_in_their_order_with_ids() {
    let demo = tempfile::tempdir().unwrap();
    crate::demo::write(demo.path(), 7).unwrap();
    let acme = tenant_of(demo.path(), "acme");
    let source = acme.source(&SourceId::parse("aws").unwrap()).unwrap();
    let shown = |date: &str| rules(&acme, source, date.parse().unwrap());
    let text = shown("2026-09-15");
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("- id: ")).collect();
    let wanted = [
        "support",
        "tax",
        "savings-plan-fee",
        "observability",
        "shared-cluster",
        "network-before",
        "tagged",
        "by-account",
        "focus/unused-commitment@1",
        "focus/credit@1",
        "focus/default@1",
    ];
    assert_eq!(ids, wanted);
    assert!(text.starts_with(
        "# tenant acme, source aws (kind focus, cost EffectiveCost), charges of 2026-09-15; bare `direct` looks at vtag.team\n# yours\n"
    ));
    assert!(text.contains("# built in\n- id: focus/unused-commitment@1\n"), "{text}");
    assert!(text.ends_with(
        "# default\n- id: focus/default@1\n  chain:\n    - direct\n    - unallocated: untagged\n"
    ));
    assert!(
        shown("2026-09-16").contains("- id: network-after\n")
            && !shown("2026-09-16").contains("network-before")
    );
    let sources: Vec<&Rule> = acme.rules_in_force(source, "2026-09-15".parse().unwrap());
    assert_eq!(sources.len(), wanted.len());
}

#[test]
fn a_check_says_everything_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let source = "sources: { a: { kind: focus, files: [\"*.csv\"] } }\n";
    write(folder.path(), "tenants/a.yaml", &format!("curency: USD\n{source}"));
    write(folder.path(), "tenants/b.yaml", &format!("{source}groups: {{ g: 5 }}\n"));
    let Checked { text, sound } = check(folder.path(), &no_env);
    assert!(!sound);
    assert!(
        text.contains("tenants/a.yaml:1:1: ") && text.contains("did you mean `currency`?"),
        "{text}"
    );
    assert!(text.contains("tenants/b.yaml:2:") && text.ends_with("\n\n2 problems\n"), "{text}");

    let rules = "allocation: [ { id: r, chain: [ { direct: tag.team } ] } ]\n";
    let test = |owner: &str| {
        format!(
            "tests: [ {{ name: t, line: {{ tag.team: x, cost: 1, date: 2026-09-01 }}, expect: {{ {owner}: 1 }} }} ]\nemitters: {{ prometheus: {{}} }}\n"
        )
    };
    write(folder.path(), "tenants/a.yaml", source);
    write(folder.path(), "tenants/b.yaml", &format!("{source}{rules}{}", test("y")));
    let Checked { text, sound } = check(folder.path(), &no_env);
    assert!(!sound);
    assert!(
        text.contains("tenants/b.yaml:3:18: test `t`: ") && text.contains("x got 1, not nothing"),
        "{text}"
    );
    let unbuilt = "emitter `prometheus`: kind prometheus does not run yet";
    assert!(text.contains("note: tenants/b.yaml:4:") && text.contains(unbuilt), "{text}");
    assert!(text.ends_with("2 tenants, 2 sources, 1 rule, 1 test: 1 test failed\n"), "{text}");

    write(folder.path(), "tenants/b.yaml", &format!("{source}{rules}{}", test("x")));
    let Checked { text, sound } = check(folder.path(), &no_env);
    assert!(sound && text.ends_with("2 tenants, 2 sources, 1 rule, 1 test: sound\n"), "{text}");
}

#[test]
fn the_published_schema_is_the_one_that_is_printed() {
    let published = include_str!("../../apportion.schema.json");
    let printed = format!("{:#}\n", coordinator::config::json_schema());
    assert_eq!(
        published, printed,
        "write it anew: apportion config schema > deploy/apportion.schema.json"
    );
}
