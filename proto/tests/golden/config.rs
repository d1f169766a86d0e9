//! A configuration that uses every part of the grammar.

use std::collections::BTreeMap;

use proto::config::{
    Aggregation, CostShare, CostWindow, Driver, Duplicates, EmitterConfig, Field, FileFormat,
    FixedShares, FocusSettings, Guards, KeyPattern, Match, MetricOwner, Normaliser, OnBadLine,
    OwnerRow, Owners, Part, Pattern, Reason, Receivers, ResolutionSet, Rule, RuleTest, Schedule,
    Sla, SourceConfig, SourceScope, SourceSettings, StatedTier, SyntheticSettings, Table,
    TablePattern, TableRow, TenantConfig, TestLine, Tier, Timing, Usage, Validity, VirtualTag,
};
use proto::ids::{EmitterId, SourceId, TenantId};
use proto::line::Measure;
use proto::row::CostType;

use crate::{Case, amount, case, day};

pub fn cases() -> Vec<Case> {
    vec![
        case("full", 1, full()),
        case("least", 1, least()),
        case("stated", 1, stated()),
        case("timed", 1, timed()),
    ]
}

/// Sources that are gathered when somebody says, whose dates are to be visible by then.
fn timed() -> TenantConfig {
    let every = Timing { schedule: Some(Schedule::Every(3_600)), sla: None };
    let cron = Schedule::Cron { expression: "0 6 * * *".into(), time_zone: "Europe/Berlin".into() };
    let sla = Sla { visible_by: 8 * 60 + 30, time_zone: "UTC".into(), after_days: 1 };
    let cron = Timing { schedule: Some(cron), sla: Some(sla) };
    let of = |id, timing| SourceConfig { timing, ..source(id, focus()) };
    TenantConfig { sources: vec![of("cron", cron), of("every", every)], ..least() }
}

/// Tiers whose rows say what is stated.
fn stated() -> TenantConfig {
    let says = |tier, says: [&str; 3], cost_type| {
        let [types, method, detail] = says.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        let identity_types = types.into_iter().collect();
        Tier::Stated(Box::new(StatedTier { tier, identity_types, cost_type, method, detail }))
    };
    let set = Tier::Even(Receivers::Set(ResolutionSet::TenantPeriod));
    let chain = vec![
        says(set, ["user", "even_split", "no_active_identities_located"], Some(CostType::Usage)),
        says(Tier::Resource, ["", "terminal", ""], Some(CostType::Shared)),
        Tier::Unallocated(Reason::NoDriver),
    ];
    TenantConfig { allocation: vec![rule("stated", chain)], ..least() }
}

fn source_id(text: &str) -> SourceId {
    SourceId::parse(text).expect("an id")
}

fn rule(id: &str, chain: Vec<Tier>) -> Rule {
    let (sources, valid) = (vec![], Validity::default());
    Rule { id: id.into(), sources, matcher: Match::every_line(), valid, chain }
}

fn source(id: &str, settings: SourceSettings) -> SourceConfig {
    let unused = rule("focus/unused@1", vec![Tier::Unallocated(Reason::UnusedCommitment)]);
    let default_rule = rule(
        "focus/default@1",
        vec![Tier::Direct { fields: vec![] }, Tier::Unallocated(Reason::Untagged)],
    );
    SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: source_id(id),
        settings,
        built_in_rules: vec![unused],
        default_rule,
    }
}

fn focus() -> SourceSettings {
    SourceSettings::Focus(FocusSettings {
        files: vec!["bills/*.csv.gz".into()],
        cost: Measure::Billed,
        owner: vec![Field::Tag("cost.center".into()), Field::Column("SubAccountId".into())],
        duplicates: Duplicates::Allow,
    })
}

fn least() -> TenantConfig {
    TenantConfig {
        tenant: TenantId::parse("acme").expect("an id"),
        currency: vec![],
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: OnBadLine::Quarantine,
        sources: vec![SourceConfig { built_in_rules: vec![], ..source("cloud", focus()) }],
        owners: None,
        tags: BTreeMap::new(),
        tables: BTreeMap::new(),
        groups: BTreeMap::new(),
        drivers: BTreeMap::new(),
        allocation: vec![],
        tests: vec![],
        emitters: vec![],
        guards: Guards::default(),
    }
}

fn full() -> TenantConfig {
    let synthetic = SourceSettings::Synthetic(SyntheticSettings {
        seed: u64::MAX,
        start: day("2024-01-01"),
        dates: 30,
        resources: 10,
        products: 4,
        fanout: 3,
        identities: 100,
    });
    let kafka = SourceSettings::Unbuilt {
        kind: "self_managed_kafka".into(),
        settings: Some("kafka.yaml".into()),
    };
    TenantConfig {
        currency: vec!["EUR".parse().expect("a currency"), "USD".parse().expect("a currency")],
        lookback_days: Some(90),
        cutoff_days: Some(1),
        retention_days: None,
        final_after_days: Some(5),
        on_bad_line: OnBadLine::Hold,
        sources: vec![
            source("cloud", focus()),
            source("kafka", kafka),
            source("synthetic", synthetic),
        ],
        owners: Some(owners()),
        tags: BTreeMap::from([("team".to_owned(), tag())]),
        tables: BTreeMap::from([("accounts".to_owned(), table())]),
        groups: BTreeMap::from([("users".to_owned(), vec!["checkout".into(), "search".into()])]),
        drivers: drivers(),
        allocation: rules(),
        tests: vec![test()],
        emitters: vec![emitter()],
        guards: Guards {
            zero_gather_threshold: None,
            min_wall_seconds: 3_600,
            max_drop_percent: amount("12.5"),
        },
        ..least()
    }
}

fn first_half() -> Validity {
    Validity { from: Some(day("2026-01-01")), until: Some(day("2026-07-01")) }
}

fn owners() -> Owners {
    let row = OwnerRow {
        id: "checkout".into(),
        valid: first_half(),
        aliases: vec!["chekout".into()],
        name: "Checkout".into(),
        kind: "team".into(),
        parent: "shop".into(),
        cost_center: "0042".into(),
        gl_code: "6000".into(),
        email: "checkout@example.com".into(),
    };
    Owners { strict: true, rows: vec![row] }
}

fn tag() -> VirtualTag {
    VirtualTag {
        from: vec![Field::Tag("team".into()), Field::Table("accounts".into())],
        values: vec![
            Normaliser::Trim,
            Normaliser::Lowercase,
            Normaliser::StripPrefix("team-".into()),
            Normaliser::Alias(BTreeMap::from([("chekout".to_owned(), "checkout".to_owned())])),
            Normaliser::Regex { regex: "^(a)$".into(), to: "$1".into() },
        ],
    }
}

fn table() -> Table {
    let row = TableRow {
        key: vec!["0123".into()],
        valid: Validity { from: None, until: Some(day("2026-07-01")) },
        value: "checkout".into(),
    };
    let pattern = |pattern| TablePattern { pattern, value: "$team".into() };
    Table {
        key: vec!["SubAccountId".into()],
        value: "team".into(),
        rows: vec![row],
        patterns: vec![
            pattern(KeyPattern::Regex("^(?P<team>[a-z]+)$".into())),
            pattern(KeyPattern::Glob("User:connect-*".into())),
        ],
    }
}

fn drivers() -> BTreeMap<String, Driver> {
    let owner = MetricOwner { table: "accounts".into(), key: "principal".into() };
    let metric = Driver::Metric {
        metric: "sum by (principal) (x)".into(),
        source: source_id("kafka"),
        owner: Some(owner),
    };
    let ledger = Driver::Ledger {
        sources: SourceScope::All,
        cost: Some(Measure::Effective),
        of: Some(charge_category("Usage")),
        window: CostWindow::BillingPeriod,
    };
    BTreeMap::from([
        ("kafka_bytes".to_owned(), metric),
        ("headcount".to_owned(), Driver::Table { table: "accounts".into() }),
        ("direct_spend".to_owned(), ledger),
    ])
}

fn charge_category(text: &str) -> Match {
    Match::Field(Field::Column("ChargeCategory".into()), Pattern::Exact(text.into()))
}

fn matcher() -> Match {
    let on = |field, pattern| Match::Field(field, pattern);
    let compare = Pattern::Compare { gt: Some(amount("0.5")), lt: None };
    Match::All(vec![
        Match::Any(vec![on(Field::Source, Pattern::Glob("kaf*".into())), charge_category("Tax")]),
        on(Field::ProductType, Pattern::AnyOf(vec![Pattern::Present, Pattern::Absent])),
        on(Field::ProductCategory, Pattern::Not(Box::new(Pattern::Regex("^x".into())))),
        on(Field::ResourceId, compare),
        on(Field::VirtualTag("team".into()), Pattern::Present),
    ])
}

fn rules() -> Vec<Rule> {
    let team = Field::VirtualTag("team".into());
    let cost_share = |sources, window| {
        Tier::InProportionToCost(CostShare::Ledger {
            of: Some(charge_category("Usage")),
            within: vec![Field::Column("SubAccountId".into())],
            to: Some("users".into()),
            sources,
            window,
        })
    };
    let by_driver =
        CostShare::Driver { driver: "direct_spend".into(), within: vec![Field::ResourceId] };
    let half = |tier| Part {
        percent: amount("50"),
        chain: vec![tier, Tier::Unallocated(Reason::NoDriver)],
    };
    let sets = ResolutionSet::ALL.map(|set| Tier::Even(Receivers::Set(set)));
    let percents = BTreeMap::from([
        ("checkout".to_owned(), amount("60.5")),
        ("search".to_owned(), amount("39.5")),
    ]);
    let chain = vec![
        Tier::Direct { fields: vec![team] },
        Tier::Even(Receivers::Group("users".into())),
        Tier::UsageRatio(Usage::Driver("kafka_bytes".into())),
        Tier::UsageRatio(Usage::Metric(vec!["bytes_in".into(), "bytes_out".into()])),
        Tier::InProportionToCost(by_driver),
        cost_share(SourceScope::Own, CostWindow::Date),
        cost_share(SourceScope::These(vec![source_id("cloud")]), CostWindow::TrailingDays(7)),
        cost_share(SourceScope::All, CostWindow::ChargePeriod),
        Tier::Resource,
        Tier::Composition(vec![
            half(Tier::Fixed(FixedShares::Inline(percents))),
            half(Tier::Fixed(FixedShares::Table("accounts".into()))),
        ]),
    ];
    let everything = Rule {
        sources: vec![source_id("cloud"), source_id("kafka")],
        matcher: matcher(),
        valid: first_half(),
        ..rule("everything", chain)
    };
    let reasons = Reason::ALL.map(Tier::Unallocated);
    vec![everything, rule("sets", sets.to_vec()), rule("reasons", reasons.to_vec())]
}

fn test() -> RuleTest {
    let fields = BTreeMap::from([
        (Field::Tag("team.name".into()), "checkout".to_owned()),
        (Field::Source, "kafka".to_owned()),
    ]);
    let weights = BTreeMap::from([("checkout".to_owned(), amount("61.2"))]);
    RuleTest {
        name: "cluster 70/30".into(),
        rule: Some("everything".into()),
        line: TestLine { fields, cost: amount("412.87"), date: day("2026-10-14") },
        drivers: BTreeMap::from([("kafka_bytes".to_owned(), weights)]),
        expect: BTreeMap::from([("checkout".to_owned(), amount("412.87"))]),
    }
}

fn emitter() -> EmitterConfig {
    EmitterConfig {
        id: EmitterId::parse("csv").expect("an id"),
        kind: "csv".into(),
        dir: Some("out/csv".into()),
        file: None,
        format: FileFormat::Csv,
        aggregation: Aggregation::Daily,
        group_by: vec!["source".into()],
        columns: vec!["amount".into()],
        lookback_days: Some(30),
        version: Some("1.2".into()),
        decimals: None,
    }
}
