//! Any rules over any lines: rows add up to their lines, agree with the oracle, and do not depend on order or cuts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proto::config::{
    CostShare, CostWindow, FixedShares, OwnerRow, Owners, Part, Receivers, ResolutionSet,
    SourceScope, StatedTier, Usage,
};
use proto::row::UNALLOCATED;

use super::oracle::{Oracle, OracleRow};
use super::*;

/// Choices that a case is made of; when they run out the first alternative is taken.
struct Choices(std::vec::IntoIter<u32>);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        self.0.next().unwrap_or(0) as usize % n
    }
    fn of<'t>(&mut self, items: &[&'t str]) -> &'t str {
        items[self.below(items.len())]
    }
    fn some(&mut self, items: &[&str], most: usize) -> Vec<String> {
        let n = 1 + self.below(most);
        (0..n).map(|_| self.of(items).to_owned()).collect()
    }
}

const TEAMS: [&str; 6] = ["a", "b", "alias-of-a", "ä", "UNALLOCATED", "unlisted"];
const OWNERS: [&str; 5] = ["a", "b", "c", "alias-of-a", "unlisted"];
const IDENTITIES: [&str; 5] = ["sa:a", "sa:b", "user:a", "user:x:y", "sa:unlisted"];
const FIELDS: [&str; 3] = ["tag.team", "SubAccountId", "ResourceId"];
const AMOUNTS: [&str; 12] = [
    "1",
    "0",
    "-10",
    "0.1",
    "100",
    "-0.0000000001",
    "12345678901.123456789",
    "0.0000000000000000000000000001",
    "-7922816251426433.7593543950335",
    "79228162514264337593543950335",
    "33.3333333333333333",
    "9999999999.99",
];
const WEIGHTS: [&str; 7] = ["1", "0", "2.5", "0.0000001", "123456789012345678", "-1", "3"];

fn matcher(c: &mut Choices) -> Match {
    let field = field(c.of(&FIELDS));
    match c.below(5) {
        0 => Match::every_line(),
        1 => Match::Field(field, Pattern::Absent),
        2 => Match::Field(field, Pattern::Exact(c.of(&["a", "42", "r1"]).to_owned())),
        3 => Match::Any(vec![matcher(c), matcher(c)]),
        _ => Match::All(vec![matcher(c), matcher(c)]),
    }
}

fn even_set(c: &mut Choices) -> Tier {
    let tier = Tier::Even(Receivers::Set(ResolutionSet::ResourceActive));
    let types = ["", "sa", "user"][c.below(3)];
    if types.is_empty() {
        return tier;
    }
    Tier::Stated(Box::new(StatedTier {
        tier,
        identity_types: vec![types.to_owned()],
        cost_type: None,
        method: Some("stated".to_owned()),
        detail: None,
    }))
}

fn tier(c: &mut Choices, depth: usize) -> Tier {
    match c.below(if depth < 2 { 9 } else { 8 }) {
        0 => Tier::Direct { fields: c.some(&FIELDS, 2).iter().map(|name| field(name)).collect() },
        1 => Tier::Even(Receivers::Group("g".to_owned())),
        2 => even_set(c),
        3 => Tier::UsageRatio(Usage::Metric(c.some(&["in", "out"], 2))),
        4 => {
            let owners = c.some(&OWNERS, 3);
            let share = [amount("100"), amount("50"), amount("33.4")];
            let weights = owners.into_iter().map(|owner| (owner, share[c.below(3)]));
            Tier::Fixed(FixedShares::Inline(weights.collect()))
        }
        5 => Tier::Resource,
        6 => Tier::InProportionToCost(CostShare::Ledger {
            of: None,
            within: c.some(&["ResourceId", "SubAccountId"], 2).iter().map(|f| field(f)).collect(),
            to: None,
            sources: SourceScope::Own,
            window: CostWindow::Date,
        }),
        7 => nobody(Reason::NoRule),
        _ => {
            let percents = [["70", "30"], ["50", "50"], ["99.99", "0.01"]][c.below(3)];
            let part = |percent: &str, c: &mut Choices| Part {
                percent: amount(percent),
                chain: chain(c, depth + 1),
            };
            Tier::Composition(vec![part(percents[0], c), part(percents[1], c)])
        }
    }
}

fn chain(c: &mut Choices, depth: usize) -> Vec<Tier> {
    let n = 1 + c.below(3);
    (0..n).map(|_| tier(c, depth)).collect()
}

fn a_config(c: &mut Choices) -> TenantConfig {
    let rules = (0..c.below(4)).map(|i| rule(&format!("r{i}"), matcher(c), chain(c, 0))).collect();
    let mut config = config(rules);
    config.sources[0].default_rule.chain = vec![direct(&["tag.team"]), nobody(Reason::Untagged)];
    config.groups.insert("g".to_owned(), c.some(&OWNERS, 4));
    let row = |id: &str, aliases: &[&str]| OwnerRow {
        id: id.to_owned(),
        valid: Validity::default(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        name: String::new(),
        kind: String::new(),
        parent: String::new(),
        cost_center: String::new(),
        gl_code: String::new(),
        email: String::new(),
    };
    let rows = vec![row("a", &["alias-of-a"]), row("b", &[]), row("c", &[]), row("x:y", &[])];
    match c.below(3) {
        0 => {}
        strict => config.owners = Some(Owners { strict: strict == 2, rows }),
    }
    config
}

fn a_line(number: u32, c: &mut Choices) -> BillingLineItem {
    let mut cells = vec![("ChargeCategory", c.of(&["Usage", "Credit"]))];
    let tags = format!(r#"{{"team":"{}"}}"#, c.of(&TEAMS));
    for (name, values) in [
        ("Tags", ["", tags.as_str(), "{"]),
        ("SubAccountId", ["", "42", "a"]),
        ("ResourceId", ["NULL", "r1", " r2 "]),
    ] {
        cells.push((name, c.of(&values)));
    }
    let mut line = line(number, c.of(&AMOUNTS), &cells);
    for which in 0..4 {
        line.measures[which] = [None, Some(amount(c.of(&AMOUNTS)))][c.below(2)];
    }
    line.quantities[0] = [None, Some(amount(c.of(&AMOUNTS)))][c.below(2)];
    line.currency = c.of(&["USD", "USD", "USD", "EUR"]).parse().unwrap();
    line.resolution_key =
        [None, Some("k1"), Some("k2"), Some("none")][c.below(4)].map(str::to_owned);
    line
}

fn a_resolution(key: &str, c: &mut Choices) -> IdentityResolution {
    let n = c.below(4);
    let mut usage: Vec<(&str, &str, &str)> =
        (0..n).map(|_| (c.of(&["in", "out"]), c.of(&IDENTITIES), c.of(&WEIGHTS))).collect();
    usage.sort_unstable();
    let mut active: Vec<&str> = (0..c.below(4)).map(|_| c.of(&IDENTITIES)).collect();
    active.sort_unstable();
    active.dedup();
    let failed_metrics = if c.below(4) == 3 { c.some(&["in", "out"], 1) } else { Vec::new() };
    IdentityResolution { failed_metrics, ..resolution(key, &active, &usage) }
}

fn oracle_row(row: &ChargebackRow) -> OracleRow {
    let measures = row.money.measures.iter().map(|m| Some(m.unwrap_or(row.money.amount)));
    let money = [Some(row.money.amount)].into_iter().chain(measures).chain(row.money.quantities);
    OracleRow {
        identity: row.dimension.identity.clone(),
        owner: row.dimension.owner.clone(),
        method: row.dimension.method.clone(),
        money: money.collect(),
    }
}

/// Rows by line, in their order.
fn by_line(ran: &Ran) -> BTreeMap<LineId, Vec<&ChargebackRow>> {
    let mut rows = BTreeMap::<LineId, Vec<&ChargebackRow>>::new();
    ran.rows.iter().for_each(|row| rows.entry(row.money.line).or_default().push(row));
    rows
}

/// Gives the methods that came up.
fn check(choices: Vec<u32>) -> BTreeSet<String> {
    let mut c = Choices(choices.into_iter());
    let config = a_config(&mut c);
    let resolutions = vec![a_resolution("k1", &mut c), a_resolution("k2", &mut c)];
    let n = 1 + c.below(8) as u32;
    let mut lines: Vec<BillingLineItem> = (0..n).map(|number| a_line(number, &mut c)).collect();
    let ran = run_in(&config, &lines, resolutions.clone(), 100);
    let rows = by_line(&ran);
    let oracle = Oracle { config: &config, lines: &lines, resolutions: &resolutions }.rows();
    for (line, want) in lines.iter().zip(oracle) {
        let got = &rows[&line.id];
        // Weights beyond what can be held are the one thing in which the oracle is the better one.
        if got[0].dimension.method != proto::row::ALLOCATION_FAILED {
            assert_eq!(got.iter().map(|row| oracle_row(row)).collect::<Vec<_>>(), want, "{line:?}");
        }
        let nobody = |row: &&ChargebackRow| row.dimension.owner == UNALLOCATED;
        assert!(got.iter().copied().filter(nobody).all(|row| row.dimension.detail.is_some()));
        let places: Vec<_> = got
            .iter()
            .map(|r| (r.dimension.tier, r.dimension.part, &r.dimension.identity))
            .collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }
    // Cuts of the input change nothing, down to the bytes.
    let cut = run_in(&config, &lines, resolutions.clone(), 1 + c.below(3));
    assert_eq!(cut.batches, ran.batches);
    assert_eq!(cut.warnings, ran.warnings);
    // The order of lines orders the rows, and nothing else.
    lines.reverse();
    let rotated = c.below(n as usize);
    lines.rotate_left(rotated);
    let shuffled = run_in(&config, &lines, resolutions, 2);
    assert_eq!(by_line(&shuffled), rows);
    ran.rows.iter().map(|row| row.dimension.method.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn rows_agree_with_the_oracle_in_any_order(choices in prop::collection::vec(any::<u32>(), 20..160)) {
        check(choices);
    }
}

#[test]
fn the_cases_reach_every_tier() {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut methods = BTreeSet::new();
    for _ in 0..300 {
        methods.extend(check((0..120).map(|_| next()).collect()));
    }
    for method in [
        "direct",
        "even",
        "fixed",
        "in_proportion_to_cost",
        "resource",
        "stated",
        "unallocated",
        "usage_ratio",
    ] {
        assert!(methods.contains(method), "no case came to {method}");
    }
}
