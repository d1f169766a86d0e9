//! Which hash changes when.

use std::collections::BTreeMap;

use super::*;
use crate::hash::Hash128;
use crate::line::Measure;

fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

fn cloud() -> SourceId {
    SourceId::parse("cloud").unwrap()
}

fn rule(id: &str, from: Option<&str>, until: Option<&str>, chain: Vec<Tier>) -> Rule {
    let valid = Validity { from: from.map(day), until: until.map(day) };
    Rule { id: id.into(), sources: vec![], matcher: Match::every_line(), valid, chain }
}

fn row(key: &str, from: Option<&str>, value: &str) -> TableRow {
    let valid = Validity { from: from.map(day), until: None };
    TableRow { key: vec![key.into()], valid, value: value.into() }
}

fn table(rows: Vec<TableRow>) -> Table {
    Table { key: vec!["SubAccountId".into()], value: "team".into(), rows, patterns: vec![] }
}

fn source(id: &str, cost: Measure) -> SourceConfig {
    let files = vec!["bills/*.csv".to_owned()];
    SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: SourceId::parse(id).unwrap(),
        settings: SourceSettings::Focus(FocusSettings {
            files,
            cost,
            owner: vec![],
            duplicates: Duplicates::Error,
        }),
        built_in_rules: vec![rule(
            "focus/x@1",
            None,
            None,
            vec![Tier::Unallocated(Reason::UnusedCommitment)],
        )],
        default_rule: rule("focus/default@1", None, None, vec![Tier::Unallocated(Reason::NoRule)]),
    }
}

/// `by-team` looks at `vtag.team`, which looks at `table.accounts`; table `other` is not looked at.
fn config() -> TenantConfig {
    let direct = Tier::Direct { fields: vec![Field::VirtualTag("team".into())] };
    let tag =
        VirtualTag { from: vec![Field::Table("accounts".into())], values: vec![Normaliser::Trim] };
    TenantConfig {
        tenant: TenantId::parse("acme").unwrap(),
        currency: vec!["USD".parse().unwrap()],
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: OnBadLine::Quarantine,
        sources: vec![source("cloud", Measure::Effective), source("other", Measure::Effective)],
        owners: Some(Owners {
            strict: false,
            rows: vec![OwnerRow {
                id: "a".into(),
                valid: Validity::default(),
                aliases: vec!["aa".into()],
                name: "A".into(),
                kind: String::new(),
                parent: String::new(),
                cost_center: "1".into(),
                gl_code: String::new(),
                email: String::new(),
            }],
        }),
        tags: BTreeMap::from([("team".into(), tag)]),
        tables: BTreeMap::from([
            (
                "accounts".into(),
                table(vec![row("1", None, "a"), row("2", Some("2026-07-01"), "b")]),
            ),
            ("other".into(), table(vec![row("9", None, "z")])),
        ]),
        groups: BTreeMap::from([("g".into(), vec!["a".into(), "b".into()])]),
        drivers: BTreeMap::new(),
        allocation: vec![
            rule("by-team", None, None, vec![direct, Tier::Unallocated(Reason::Untagged)]),
            rule("late", Some("2026-07-01"), None, vec![Tier::Even(Receivers::Group("g".into()))]),
        ],
        tests: vec![],
        emitters: vec![],
        guards: Guards::default(),
    }
}

/// Whether a change alters the rules hash of June, of July, and the gather hash of source `cloud`.
fn changes(change: impl FnOnce(&mut TenantConfig)) -> (bool, bool, bool) {
    let before = config();
    let mut after = config();
    change(&mut after);
    assert_ne!(before, after, "nothing was changed");
    assert_ne!(
        before.config_hash().unwrap(),
        after.config_hash().unwrap(),
        "the configuration's own hash"
    );
    let rules = |date: &str| {
        let hash = |config: &TenantConfig| config.rules_hash(&cloud(), day(date)).unwrap();
        hash(&before) != hash(&after)
    };
    let gather = |config: &TenantConfig| config.gather_hash(&cloud()).unwrap();
    (rules("2026-06-15"), rules("2026-07-15"), gather(&before) != gather(&after))
}

const NOTHING: (bool, bool, bool) = (false, false, false);
const JULY: (bool, bool, bool) = (false, true, false);
const BOTH: (bool, bool, bool) = (true, true, false);
const GATHER: (bool, bool, bool) = (false, false, true);

#[test]
fn rules_change_the_dates_on_which_they_hold() {
    assert_eq!(changes(|c| c.allocation[1].chain = vec![Tier::Resource]), JULY);
    assert_eq!(
        changes(|c| c.allocation[1].valid.from = Some(day("2026-07-10"))),
        NOTHING,
        "July 15 has the same rules"
    );
    assert_eq!(changes(|c| c.allocation[1].valid.from = None), (true, false, false));
    assert_eq!(changes(|c| c.allocation[0].id = "x".into()), BOTH);
    assert_eq!(changes(|c| c.allocation.swap(0, 1)), JULY);
    assert_eq!(changes(|c| c.allocation[1].sources = vec![cloud()]), NOTHING);
    assert_eq!(
        changes(|c| c.allocation[1].sources = vec![SourceId::parse("other").unwrap()]),
        JULY
    );
    assert_eq!(changes(|c| c.sources[0].built_in_rules.clear()), BOTH);
    assert_eq!(changes(|c| c.sources[0].default_rule.id = "focus/default@2".into()), BOTH);
}

#[test]
fn what_rules_see_changes_them_and_nothing_else_does() {
    let accounts = |c: &mut TenantConfig, index: usize, value: &str| {
        c.tables.get_mut("accounts").unwrap().rows[index].value = value.into();
    };
    assert_eq!(changes(|c| accounts(c, 0, "q")), BOTH, "seen through vtag.team");
    assert_eq!(changes(|c| accounts(c, 1, "q")), JULY, "a row that holds from July");
    assert_eq!(
        changes(|c| c.tables.get_mut("other").unwrap().rows.clear()),
        NOTHING,
        "nobody looks at it"
    );
    assert_eq!(changes(|c| c.tags.get_mut("team").unwrap().values.clear()), BOTH);
    assert_eq!(
        changes(|c| c.groups.get_mut("g").unwrap().truncate(1)),
        JULY,
        "only the July rule names it"
    );
    let owner = |c: &mut TenantConfig, change: fn(&mut OwnerRow)| {
        change(&mut c.owners.as_mut().unwrap().rows[0])
    };
    assert_eq!(changes(|c| owner(c, |row| row.aliases.clear())), BOTH);
    assert_eq!(changes(|c| owner(c, |row| row.cost_center = "2".into())), NOTHING);
    assert_eq!(changes(|c| c.owners.as_mut().unwrap().strict = true), BOTH);
    assert_eq!(changes(|c| c.owners = None), BOTH);
}

#[test]
fn outputs_and_guards_change_neither_rules_nor_lines() {
    let csv = EmitterConfig {
        id: crate::ids::EmitterId::parse("csv").unwrap(),
        kind: "csv".into(),
        dir: Some("out".into()),
        file: None,
        format: FileFormat::Csv,
        aggregation: Aggregation::None,
        group_by: vec![],
        columns: vec![],
        lookback_days: None,
        version: None,
        decimals: None,
    };
    assert_eq!(changes(|c| c.emitters.push(csv)), NOTHING);
    assert_eq!(changes(|c| c.guards.zero_gather_threshold = None), NOTHING);
    assert_eq!(changes(|c| c.final_after_days = Some(5)), NOTHING);
    assert_eq!(changes(|c| c.sources.truncate(1)), NOTHING, "another source");
}

#[test]
fn what_makes_lines_makes_them_be_read_again() {
    let focus = |c: &mut TenantConfig, change: fn(&mut FocusSettings)| {
        if let SourceSettings::Focus(focus) = &mut c.sources[0].settings {
            change(focus);
        }
    };
    assert_eq!(changes(|c| focus(c, |f| f.cost = Measure::Billed)), (true, true, true));
    assert_eq!(changes(|c| focus(c, |f| f.duplicates = Duplicates::Allow)), GATHER);
    assert_eq!(changes(|c| focus(c, |f| f.files.push("more/*.csv".into()))), GATHER);
    assert_eq!(changes(|c| focus(c, |f| f.owner.push(Field::ResourceId))), BOTH);
    assert_eq!(changes(|c| c.cutoff_days = Some(1)), GATHER);
    assert_eq!(changes(|c| c.currency.clear()), GATHER);
}

#[test]
fn canonical_bytes_travel() {
    let config = config();
    let bytes = config.to_canonical().unwrap();
    let hash = config.config_hash().unwrap();
    assert_eq!(TenantConfig::from_canonical_checked(&bytes, hash).unwrap(), config);
    let other = Hash128::of(b"other");
    assert!(matches!(
        TenantConfig::from_canonical_checked(&bytes, other),
        Err(CanonicalError::Hash { .. })
    ));
    assert!(matches!(TenantConfig::from_canonical(b"\xc1"), Err(CanonicalError::Read(_))));
    let none = SourceId::parse("none").unwrap();
    let error = config.rules_hash(&none, day("2026-01-01")).unwrap_err();
    assert_eq!(error.to_string(), "tenant acme has no source none");
}

#[test]
fn validity_is_half_open() {
    let valid = |from: Option<&str>, until: Option<&str>| Validity {
        from: from.map(day),
        until: until.map(day),
    };
    let june = valid(Some("2026-06-01"), Some("2026-07-01"));
    assert!(june.contains(day("2026-06-01")) && june.contains(day("2026-06-30")));
    assert!(!june.contains(day("2026-07-01")) && !june.contains(day("2026-05-31")));
    assert!(
        !june.overlaps(&valid(Some("2026-07-01"), None))
            && !valid(None, Some("2026-06-01")).overlaps(&june)
    );
    assert!(june.overlaps(&valid(None, None)) && june.overlaps(&valid(Some("2026-06-30"), None)));
}

#[test]
fn a_rule_stands_above_those_that_its_of_states() {
    use super::ledger::Stages;
    let when =
        |value: &str| Match::Field(Field::Column("ServiceName".into()), Pattern::of_text(value));
    let by_cost = |id: &str, takes: &str, of: Option<&str>| {
        let share = CostShare::Ledger {
            of: of.map(when),
            within: vec![],
            to: None,
            sources: SourceScope::All,
            window: CostWindow::ChargePeriod,
        };
        let chain = vec![Tier::InProportionToCost(share), Tier::Unallocated(Reason::NoDriver)];
        Rule { matcher: when(takes), ..rule(id, None, None, chain) }
    };
    let mut config = config();
    let plain = config.allocation.clone();
    assert!(config.ledger_tables().unwrap().is_empty());
    config.allocation =
        vec![by_cost("support", "Support*", None), by_cost("top", "Top", Some("Support A"))];
    config.allocation.extend(plain);
    let stages = Stages::of(&config).unwrap();
    assert_eq!((stages.stage("support"), stages.stage("top"), stages.stage("by-team")), (1, 2, 0));
    let tables = config.ledger_tables().unwrap();
    let mut without: Vec<_> =
        tables.values().map(|table| (table.stage, table.without.clone())).collect();
    without.sort();
    assert_eq!(without, [(1, vec!["support".to_owned(), "top".into()]), (2, vec!["top".into()])]);
    // What another rule makes of the table counts: other rows would be added up.
    let before = config.rules_hash(&cloud(), day("2026-07-01")).unwrap();
    config.allocation[1] = by_cost("top", "Top", None);
    assert_ne!(config.rules_hash(&cloud(), day("2026-07-01")).unwrap(), before);
    // A rule that counts its own lines counts none of them, and is no circle; two that count each other are one.
    config.allocation[1] = by_cost("top", "Top", Some("Top"));
    assert!(Stages::of(&config).is_ok());
    config.allocation[0] = by_cost("support", "Support*", Some("T?p"));
    config.allocation[1] = by_cost("top", "Top", Some("Support*"));
    let cycle = Stages::of(&config).unwrap_err().to_string();
    assert_eq!(cycle, "rules count each other's cost in a circle: support → top → support");
}

/// A source whose costs are measured, and shared by who used how much.
fn measured() -> TenantConfig {
    let usage = UsageQuery { metric: "in".into(), query: "in".into(), label: "principal".into() };
    let listed = ListedIdentity {
        id: "User:dave".into(),
        kind: "principal".into(),
        display_name: None,
        team: Some("ops".into()),
    };
    let identities = MeasuredIdentities {
        measured: true,
        query: None,
        label: "principal".into(),
        listed: vec![listed],
        teams: BTreeMap::from([("User:alice".into(), "checkout".into())]),
        default_team: "UNASSIGNED".into(),
        charge: Charge::Principal,
    };
    let settings = MeasuredSettings {
        cluster: "kafka".into(),
        display_name: None,
        region: None,
        currency: "USD".parse().unwrap(),
        costs: vec![],
        usage: vec![usage],
        identities,
        discovery: vec![],
    };
    let mut config = config();
    config.sources[0].settings = SourceSettings::GenericMetrics(settings);
    config.sources[0].metrics = Some(MetricsConfig::prometheus(HttpServer::new("http://a:9090")));
    config
}

#[test]
fn only_what_resolutions_are_made_with_has_them_made_again() {
    let resolve = |config: &TenantConfig| config.resolve_hash(&cloud()).unwrap();
    assert_eq!(resolve(&config()), None, "files say themselves whose they are");
    let changes = |base: &TenantConfig, change: &dyn Fn(&mut SourceConfig)| {
        let mut after = base.clone();
        change(&mut after.sources[0]);
        assert_ne!(*base, after, "nothing was changed");
        resolve(base) != resolve(&after)
    };
    fn settings(source: &mut SourceConfig) -> &mut MeasuredSettings {
        let SourceSettings::GenericMetrics(settings) = &mut source.settings else {
            panic!("it is measured")
        };
        settings
    }
    fn metrics(source: &mut SourceConfig) -> &mut MetricsConfig {
        source.metrics.as_mut().unwrap()
    }
    let base = measured();
    assert!(resolve(&base).is_some());
    for (what, change) in [
        (
            "charge",
            &(|s: &mut SourceConfig| settings(s).identities.charge = Charge::Team)
                as &dyn Fn(&mut SourceConfig),
        ),
        ("usage", &|s| settings(s).usage[0].query = "out".into()),
        ("identities", &|s| settings(s).identities.measured = false),
        ("listed", &|s| settings(s).identities.listed.clear()),
        ("metrics", &|s| metrics(s).server.url = "http://b:9090".into()),
        ("step", &|s| metrics(s).step_seconds = 60),
        ("no metrics", &|s| s.metrics = None),
    ] {
        assert!(changes(&base, change), "{what}");
    }
    let team = |s: &mut SourceConfig| settings(s).identities.default_team = "rest".into();
    for (what, change) in [
        (
            "prices",
            &(|s: &mut SourceConfig| settings(s).region = Some("eu".into()))
                as &dyn Fn(&mut SourceConfig),
        ),
        ("patience", &|s| metrics(s).server.attempts = 1),
        ("attempts", &|s| metrics(s).resolve_attempts = 9),
        ("secrets", &|s| {
            let token = SecretPlace::parse("${TOKEN}").unwrap();
            metrics(s).server.auth = HttpAuth::Bearer { token };
        }),
        ("teams that are not charged", &team),
    ] {
        assert!(!changes(&base, change), "{what}");
    }
    let mut charged = measured();
    settings(&mut charged.sources[0]).identities.charge = Charge::Team;
    assert!(changes(&charged, &team), "teams that are charged");
}
