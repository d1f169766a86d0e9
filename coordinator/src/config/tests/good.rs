//! What reads without problem, and what it becomes.

use proto::config::{
    CostShare, CostWindow, Field, FixedShares, Match, Pattern, Reason, Receivers, Rule, Tier,
};
use proto::ids::SourceId;
use proto::line::Measure;
use proto::money::Amount;
use proto::time::UnitDate;

use super::*;

fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

#[test]
fn six_real_cases_read_and_check() {
    let config = load(&example("sunbird"), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    let tenant = &config.tenants.values().next().unwrap();
    assert_eq!(tenant.tenant.as_str(), "sunbird");
    assert_eq!(tenant.final_after_days, Some(5));
    assert_eq!(
        tenant.sources.iter().map(|s| s.kind()).collect::<Vec<_>>(),
        ["focus", "self_managed_kafka"]
    );
    assert_eq!(tenant.allocation.len(), 7);
    assert_eq!(tenant.tables["accounts"].rows.len(), 2, "the account without a team gives nothing");
    assert_eq!(tenant.tables["principals"].patterns.len(), 2);
    assert_eq!(tenant.tests[0].expect["data-platform"], Amount::parse("128.278709").unwrap());
    let owners = tenant.owners.as_ref().unwrap();
    assert!(owners.strict);
    assert_eq!(owners.rows[0].aliases, ["cart", "chekout"]);
    // All of it runs.
    assert_eq!(refuse_unbuilt(tenant), []);
    // The canonical form is the same after a journey.
    let bytes = tenant.to_canonical().unwrap();
    let back = TenantConfig::from_canonical_checked(&bytes, tenant.config_hash().unwrap()).unwrap();
    assert_eq!(back, **tenant);
    assert_eq!(back.to_canonical().unwrap(), bytes);
}

#[test]
fn rules_in_force_are_the_users_then_the_built_in() {
    let config = load(&example("sunbird"), &no_env).unwrap();
    let tenant = config.tenants.values().next().unwrap();
    let cloud = tenant.source(&SourceId::parse("cloud").unwrap()).unwrap();
    let ids = |date: &str| {
        let rules = tenant.rules_in_force(cloud, day(date));
        rules.into_iter().map(|rule| rule.id.clone()).collect::<Vec<_>>()
    };
    let built_in = ["focus/unused-commitment@1", "focus/credit@1", "focus/default@1"];
    assert_eq!(ids("2026-03-01")[3], "network-h1");
    assert_eq!(ids("2026-03-01")[6..], built_in);
    assert_eq!(ids("2026-07-01")[3], "network-h2");
    assert_eq!(ids("2025-12-31").len(), 8);
}

#[test]
fn built_in_rules_run_today() {
    let tenant = good_tenant("");
    assert_eq!(refuse_unbuilt(&tenant), []);
    let source = &tenant.sources[0];
    assert_eq!(
        source.default_rule.chain,
        [Tier::Direct { fields: vec![] }, Tier::Unallocated(Reason::Untagged)]
    );
    let credit = &source.built_in_rules[1];
    assert_eq!(credit.chain.len(), 4);
    assert_eq!(credit.chain[3], Tier::Unallocated(Reason::NoDriver));
    let Tier::InProportionToCost(CostShare::Ledger { within, window, .. }) = &credit.chain[2]
    else {
        panic!()
    };
    assert_eq!(*window, CostWindow::Date);
    assert_eq!(within.len(), 2);
}

#[test]
fn synthetic_products_have_their_rules() {
    let text = "sources: { load: { kind: synthetic, seed: 7, start: 2026-01-01, dates: 2, resources: 3, products: 4, fanout: 2, identities: 9 } }";
    let config =
        load(folder(&[("tenants/t.yaml", text)]).path(), &no_env).unwrap_or_else(|p| panic!("{p}"));
    let source = &config.tenants.values().next().unwrap().sources[0];
    let matches = |rule: &Rule, product: &str| {
        let Match::Field(Field::ProductType, Pattern::Glob(glob)) = &rule.matcher else { panic!() };
        product.starts_with(glob.trim_end_matches('*'))
    };
    let name = proto::config::SyntheticSettings::product_type;
    assert!(
        matches(&source.built_in_rules[0], &name(2))
            && !matches(&source.built_in_rules[0], &name(3))
    );
    assert!(
        matches(&source.built_in_rules[1], &name(3))
            && !matches(&source.built_in_rules[1], &name(2))
    );
}

#[test]
fn numbers_never_go_through_a_float() {
    let tenant = good_tenant(
        "allocation:\n  - id: r\n    chain: [ { fixed: { a: 33.3333333333333333333, b: 66.6666666666666666667 } } ]\n",
    );
    let Tier::Fixed(FixedShares::Inline(shares)) = &tenant.allocation[0].chain[0] else { panic!() };
    assert_eq!(shares["a"].to_string(), "33.3333333333333333333");
    assert_eq!(tenant.allocation[0].chain.len(), 1, "fixed always applies");
}

#[test]
fn matches_read_whole() {
    let text = "allocation:
  - id: r
    match:
      ServiceName: [\"AWS*\", Exact]
      SubAccountId: 007
      tag.a.b: { not: absent }
      x_Cost: { gt: 1, lt: 2.50 }
      tag.q: \"present\"
      any: [ { source: cloud }, { all: [ { tag.z: present } ] } ]
    chain: [ unallocated ]
";
    let tenant = good_tenant(text);
    let Match::All(parts) = &tenant.allocation[0].matcher else { panic!() };
    let exact = |text: &str| Pattern::Exact(text.into());
    let tag = |key: &str, pattern| Match::Field(Field::Tag(key.into()), pattern);
    let column = |name: &str, pattern| Match::Field(Field::Column(name.into()), pattern);
    let amount = |text: &str| Some(Amount::parse(text).unwrap());
    let wanted = [
        column("ServiceName", Pattern::AnyOf(vec![Pattern::Glob("AWS*".into()), exact("Exact")])),
        column("SubAccountId", exact("007")),
        Match::Any(vec![
            Match::Field(Field::Source, exact("cloud")),
            Match::All(vec![tag("z", Pattern::Present)]),
        ]),
        tag("a.b", Pattern::Not(Box::new(Pattern::Absent))),
        tag("q", exact("present")),
        column("x_Cost", Pattern::Compare { gt: amount("1"), lt: amount("2.5") }),
    ];
    assert_eq!(*parts, wanted);
    assert_eq!(tenant.allocation[0].chain, [Tier::Unallocated(Reason::NoRule)]);
}

#[test]
fn chains_end_in_unallocated_with_a_reason() {
    let text = "groups: { g: [b, a] }
allocation:
  - { id: one, chain: [ direct ] }
  - { id: two, chain: [ { direct: tag.team }, { even: resource_active } ] }
  - { id: three, chain: [ { even: g } ] }
  - { id: four, chain: [ { composition: [ { percent: 50, chain: [ resource ] }, { percent: 50, chain: [ { unallocated: untagged } ] } ] } ] }
";
    let tenant = good_tenant(text);
    let last = |index: usize| tenant.allocation[index].chain.last().unwrap();
    assert_eq!(*last(0), Tier::Unallocated(Reason::Untagged));
    assert_eq!(*last(1), Tier::Unallocated(Reason::NoDriver));
    assert_eq!(*last(2), Tier::Even(Receivers::Group("g".into())));
    assert_eq!(tenant.groups["g"], ["a", "b"]);
    let Tier::Composition(parts) = last(3) else { panic!() };
    assert_eq!(parts[0].chain, [Tier::Resource, Tier::Unallocated(Reason::NoRule)]);
}

#[test]
fn settings_defaults_and_variables() {
    let settings = "data_dir: ${STATE:-state}/x
nats: nats://user:secret@host:4222
postgres: { url: \"postgres://u:${PASSWORD}@h/db\", pool_max: 4 }
workers: { allocators: 3, shards: 4 }
telemetry: { logs: json, metrics_port: 9464 }
reconcile: { every: never }
defaults: { currency: [USD, EUR, USD], final_after: 5d, emitters: { csv: { dir: out } } }
";
    let source = "sources: { a: { kind: focus, files: \"*.csv\", cost: BilledCost } }\n";
    let own = format!("{source}currency: CHF\nemitters: {{ mine: {{ kind: csv, dir: else }} }}\n");
    let files =
        [("apportion.yaml", settings), ("tenants/a.yaml", source), ("tenants/b.yml", own.as_str())];
    let folder = folder(&files);
    let config = load(folder.path(), &|name| (name == "PASSWORD").then(|| "pw".into()))
        .unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(config.settings.data_dir.as_deref(), Some(folder.path().join("state/x").as_path()));
    assert_eq!(config.settings.postgres.url.as_ref().unwrap().reveal(), "postgres://u:pw@h/db");
    let debug = format!("{config:?}");
    assert!(!debug.contains("secret") && !debug.contains("pw@"), "{debug}");
    let env: BTreeMap<&str, String> = config.settings.environment().into_iter().collect();
    assert_eq!(config.settings.metrics_port, Some(9464));
    assert_eq!(env["NATS_URL"], "nats://user:secret@host:4222");
    assert_eq!(
        (env["APPORTION_SHARDS"].as_str(), env["APPORTION_LOG_JSON"].as_str()),
        ("4", "true")
    );
    assert_eq!(env["APPORTION_RECONCILE_EVERY"], "0");
    let tenants: Vec<_> = config.tenants.values().collect();
    assert_eq!(
        tenants[0].currency.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["EUR", "USD"]
    );
    assert_eq!(tenants[0].sources[0].cost(), Measure::Billed);
    assert_eq!(tenants[1].currency.len(), 1);
    assert_eq!(tenants[1].final_after_days, Some(5));
    assert_eq!(
        tenants[1].emitters[0].id.as_str(),
        "mine",
        "a key of the tenant replaces the default's"
    );
}

#[test]
fn an_empty_settings_file_is_fine() {
    let source = "sources: { a: { kind: focus, files: [\"*.csv\"] } }\n";
    for settings in ["", "# nothing\n", "\u{feff}{}\n"] {
        load(folder(&[("apportion.yaml", settings), ("tenants/a.yaml", source)]).path(), &no_env)
            .unwrap();
    }
}
