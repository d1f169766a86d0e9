use proptest::prelude::*;

use super::*;

fn sum(text: &str) -> ExactSum {
    ExactSum::parse(text).unwrap()
}

/// Rows of one period: rule and method, identity, whether the owner pays, whether they are whole lines, amount.
type Row<'a> = (&'a str, &'a str, &'a str, bool, bool, &'a str);

fn piece(resource: &str, (rule, method, identity, own, whole, amount): Row<'_>) -> Piece {
    let place = Place {
        currency: "USD".into(),
        source: "cloud".into(),
        resource: resource.into(),
        ..Place::default()
    };
    let path = Path { rule: rule.into(), method: method.into(), ..Path::default() };
    Piece { place, path, identity: identity.into(), own, whole, amount: sum(amount) }
}

fn facts(resource: &str, before: &[Row<'_>], after: &[Row<'_>]) -> Facts {
    let mut facts = Facts::default();
    for (side, rows) in [(Side::Before, before), (Side::After, after)] {
        for row in rows {
            facts.add(side, When::Always, piece(resource, *row)).unwrap();
        }
    }
    facts
}

/// Effects that are not 0.
fn effects(facts: &Facts, changed: bool) -> Vec<(Effect, String)> {
    let changed = BTreeSet::from_iter(changed.then(|| "cloud".to_owned()));
    let bridge = facts.bridge(&changed);
    let sums = bridge.sums.get("USD").copied().unwrap_or_default();
    assert_eq!(sums.explained(), sums.difference());
    let effects = Effect::ALL.into_iter().zip(sums.effects.map(|effect| effect.to_string()));
    effects.filter(|(_, amount)| amount != "0").collect()
}

fn is(effect: Effect, amount: &str) -> (Effect, String) {
    (effect, amount.to_owned())
}

#[test]
fn a_direct_cost_is_a_bill_of_its_own_whoever_else_has_lines_there() {
    let before = [
        ("tagged", "direct", "tag:a", true, true, "10"),
        ("tagged", "direct", "", false, true, "90"),
    ];
    let after = [
        ("tagged", "direct", "tag:a", true, true, "25"),
        ("tagged", "direct", "", false, true, "1000"),
    ];
    for resource in ["", "shared-account"] {
        let facts = facts(resource, &before, &after);
        assert_eq!(effects(&facts, false), [is(Effect::Bill, "15")]);
    }
}

#[test]
fn a_shared_cost_changes_by_its_bill_and_by_the_share() {
    let row =
        |own, amount| ("cluster", "usage_ratio", if own { "sa:a" } else { "" }, own, false, amount);
    // A fifth of 100, then a half of 200: the bill's 100 at 35 %, 30 % of 150.
    let facts = facts(
        "lkc-1",
        &[row(true, "20"), row(false, "80")],
        &[row(true, "100"), row(false, "100")],
    );
    assert_eq!(effects(&facts, true), [is(Effect::Bill, "35"), is(Effect::UsageShare, "45")]);
}

#[test]
fn a_share_that_a_rule_says_changes_by_the_rule() {
    let row =
        |own, amount| ("network", "fixed", if own { "owner:a" } else { "" }, own, false, amount);
    let facts =
        facts("", &[row(true, "60"), row(false, "40")], &[row(true, "50"), row(false, "50")]);
    assert_eq!(effects(&facts, true), [is(Effect::Rule, "-10")]);
    assert_eq!(effects(&facts, false), [is(Effect::UsageShare, "-10")], "no rule changed");
}

#[test]
fn a_rule_that_takes_the_place_of_another_is_told_from_the_bill() {
    let before = [
        ("shared", "even", "owner:a", true, false, "50"),
        ("shared", "even", "", false, false, "50"),
    ];
    let after = [("mine", "direct", "tag:a", true, true, "120")];
    let facts = facts("db-1", &before, &after);
    // Half of it, then all of it: the bill's 20 at 75 %, one half of 110.
    assert_eq!(effects(&facts, true), [is(Effect::Bill, "15"), is(Effect::Rule, "55")]);
    let bridge = facts.bridge(&BTreeSet::new());
    let rules = ["shared", "mine"].map(|name| BTreeSet::from([name.to_owned()]));
    assert!(bridge.parts.keys().all(|(origin, _)| origin.rules == rules), "{bridge:?}");
}

#[test]
fn a_rule_that_comes_within_a_period_is_told_from_the_bill_too() {
    let row =
        |rule, own, amount| (rule, "fixed", if own { "owner:a" } else { "" }, own, false, amount);
    let before = [row("old", true, "60"), row("old", false, "40")];
    let after = [
        row("old", true, "30"),
        row("old", false, "20"),
        row("new", true, "25"),
        row("new", false, "25"),
    ];
    let facts = facts("", &before, &after);
    assert_eq!(effects(&facts, true), [is(Effect::Rule, "-5")]);
    // Where no rule changed, other lines came that an old one takes.
    assert_eq!(effects(&facts, false), [is(Effect::Bill, "-5")]);
}

#[test]
fn a_resource_or_an_identity_that_changes_hands_is_mapping() {
    let other = [("tagged", "direct", "", false, true, "10")];
    let mine = [("tagged", "direct", "tag:a", true, true, "14")];
    assert_eq!(
        effects(&facts("i-1", &other, &mine), false),
        [is(Effect::Bill, "2"), is(Effect::Mapping, "12")]
    );
    // Without a resource nothing says that it is the same.
    assert_eq!(effects(&facts("", &other, &mine), false), [is(Effect::Bill, "14")]);

    // The same identity, paid by another before.
    let row = |own, amount| ("cluster", "usage_ratio", "sa:a", own, false, amount);
    let rest = ("cluster", "usage_ratio", "", false, false, "60");
    let facts = facts("lkc-1", &[row(false, "40"), rest], &[row(true, "40"), rest]);
    assert_eq!(effects(&facts, true), [is(Effect::Mapping, "40")]);
}

#[test]
fn what_became_of_a_bill_since_it_was_first_visible_is_restatement() {
    let row = |amount| ("tagged", "direct", "tag:a", true, true, amount);
    let mut facts = facts("i-1", &[row("100")], &[]);
    facts.add(Side::After, When::First, piece("i-1", row("110"))).unwrap();
    facts.add(Side::After, When::Now, piece("i-1", row("117.5"))).unwrap();
    assert_eq!(effects(&facts, false), [is(Effect::Bill, "10"), is(Effect::Restatement, "7.5")]);
    // All of it was taken back.
    let mut facts = Facts::default();
    for (side, when, amount) in
        [(Side::Before, When::Always, "100"), (Side::After, When::First, "110")]
    {
        facts.add(side, when, piece("i-1", row(amount))).unwrap();
    }
    assert_eq!(effects(&facts, false), [is(Effect::Bill, "10"), is(Effect::Restatement, "-110")]);
}

#[derive(Debug, Clone)]
struct Case {
    side: bool,
    when: u8,
    piece: Piece,
}

impl Case {
    fn side(&self, swapped: bool) -> Side {
        if self.side == swapped { Side::Before } else { Side::After }
    }
    fn when(&self) -> When {
        match self.when {
            0 => When::First,
            1 => When::Now,
            _ => When::Always,
        }
    }
}

const AMOUNTS: [&str; 9] = [
    "1",
    "-3",
    "0.1",
    "100",
    "33.3333333333333333",
    "-7.7",
    "0.0000000000000000000000000001",
    "12345678901.123456789",
    "79228162514264337593543950335",
];

fn case() -> impl Strategy<Value = Case> {
    let place = (0..2_usize, 0..3_usize);
    let path = (0..2_usize, 0..2_i32, 0..4_usize);
    let row = (0..3_usize, any::<bool>(), any::<bool>(), 0..AMOUNTS.len());
    (any::<bool>(), 0..5_u8, place, path, row).prop_map(|(side, when, place, path, row)| {
        let place = Place {
            currency: ["EUR", "USD"][place.0].into(),
            source: "cloud".into(),
            resource: ["", "i-1", "i-2"][place.1].into(),
            ..Place::default()
        };
        let method = ["direct", "usage_ratio", "fixed", "even"][path.2];
        let path =
            Path { rule: ["r", "s"][path.0].into(), tier: path.1, part: 0, method: method.into() };
        let identity = ["", "sa:a", "sa:b"][row.0].into();
        Case {
            side,
            when,
            piece: Piece {
                place,
                path,
                identity,
                own: row.1,
                whole: row.2,
                amount: sum(AMOUNTS[row.3]),
            },
        }
    })
}

fn bridge_of<'a>(
    cases: impl IntoIterator<Item = &'a Case>,
    swapped: bool,
    changed: bool,
) -> Bridge {
    let mut facts = Facts::default();
    for case in cases {
        facts.add(case.side(swapped), case.when(), case.piece.clone()).unwrap();
    }
    facts.bridge(&BTreeSet::from_iter(changed.then(|| "cloud".to_owned())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn effects_and_parts_add_up_to_the_difference(cases in prop::collection::vec(case(), 0..24), changed: bool) {
        let bridge = bridge_of(&cases, false, changed);
        for code in ["EUR", "USD"] {
            let sums = bridge.sums.get(code).copied().unwrap_or_default();
            let mut paid = [ExactSum::ZERO; 2];
            for case in cases.iter().filter(|c| c.piece.own && c.when != 0 && c.piece.place.currency == code) {
                paid[case.side(false) as usize].merge(&case.piece.amount);
            }
            prop_assert_eq!([sums.before, sums.after], paid);
            prop_assert_eq!(sums.explained(), sums.difference());
            for (at, effect) in Effect::ALL.into_iter().enumerate() {
                let mut parts = ExactSum::ZERO;
                let of = |key: &(Origin, Effect)| key.1 == effect && key.0.place.currency == code;
                bridge.parts.iter().filter(|(key, _)| of(key)).for_each(|(_, part)| parts.merge(part));
                prop_assert_eq!(parts, sums.effects[at]);
            }
        }
    }

    #[test]
    fn the_order_of_rows_does_not_count(
        (cases, shuffled) in prop::collection::vec(case(), 0..24)
            .prop_flat_map(|cases| (Just(cases.clone()), Just(cases).prop_shuffle())),
        changed: bool,
    ) {
        prop_assert_eq!(bridge_of(&cases, false, changed), bridge_of(&shuffled, false, changed));
    }

    #[test]
    fn backwards_it_is_the_same_with_the_other_sign(cases in prop::collection::vec(case(), 0..24), changed: bool) {
        let (forth, back) = (bridge_of(&cases, false, changed), bridge_of(&cases, true, changed));
        prop_assert_eq!(forth.sums.len(), back.sums.len());
        for (code, sums) in &forth.sums {
            let other = back.sums[code];
            prop_assert_eq!((sums.before, sums.after), (other.after, other.before));
            prop_assert_eq!(sums.effects, other.effects.map(|effect| effect.negated()));
        }
    }

    #[test]
    fn where_nothing_changed_there_is_no_effect(cases in prop::collection::vec(case(), 0..24), changed: bool) {
        let both = cases.iter().filter(|case| case.when() == When::Always).flat_map(|case| {
            [false, true].map(|side| Case { side, ..case.clone() })
        });
        let both: Vec<Case> = both.collect();
        let bridge = bridge_of(&both, false, changed);
        prop_assert!(bridge.parts.is_empty(), "{:?}", bridge.parts);
        prop_assert!(bridge.sums.values().all(|sums| sums.difference().is_zero()));
    }
}
