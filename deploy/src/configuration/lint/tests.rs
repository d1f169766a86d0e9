use std::collections::BTreeMap;

use allocator::domain::survey::{OwnerUse, RuleUse, Survey, TableUse, Tally};
use coordinator::config::{Config, load};
use proto::config::Validity;
use proto::money::ExactSum;

use super::super::tests::{no_env, write};
use super::judge::judged;
use super::{Kind, Warned, merged, without_lines};

const TENANT: &str = r#"sources: { cloud: { kind: focus, files: ["*.csv"], owner: [tag.team] } }
owners: { file: owners.csv, strict: STRICT }
tables:
  accounts:
    file: accounts.csv
    key: [SubAccountId]
    value: team
    patterns: [ { glob: "sandbox-*", value: search }, { glob: "prod-*", value: search } ]
allocation:
  - { id: wide, match: { ServiceName: "Amazon*" }, valid: { until: 2026-07-01 }, chain: [direct] }
  - { id: wide, match: { ServiceName: "Amazon*" }, valid: { from: 2026-07-01 }, chain: [direct] }
  - { id: late, match: { ServiceName: Amazon S3 }, valid: { from: 2026-08-01 }, chain: [direct] }
  - { id: some-days, match: { ServiceName: Amazon S3 }, valid: { from: 2026-06-01, until: 2026-07-15 }, chain: [direct] }
  - { id: accounts, chain: [ { direct: table.accounts } ] }
"#;

fn company(strict: bool) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tenants/acme.yaml", &TENANT.replace("STRICT", &strict.to_string()));
    write(dir.path(), "owners.csv", "id,aliases\ncheckout,cart\nsearch,\n");
    let many: String = (0..25).map(|n| format!("idle-{n:02},search,\n")).collect();
    let rows = "1,search,\n2,,\n3,search,2027-01-01\n";
    write(dir.path(), "accounts.csv", &format!("SubAccountId,team,valid_from\n{rows}{many}"));
    let config = load(dir.path(), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    (dir, config)
}

fn tally(count: u64, sums: &[(&str, &str)]) -> Tally {
    let sum = |(code, sum): &(&str, &str)| (code.parse().unwrap(), ExactSum::parse(sum).unwrap());
    Tally { count, money: sums.iter().map(sum).collect() }
}

fn judge(config: &Config, survey: &Survey) -> Vec<Warned> {
    judged(config, config.tenants.values().next().unwrap(), survey)
}

fn survey() -> Survey {
    Survey { days: [("2026-09-01".parse().unwrap())].into(), ..Survey::default() }
}

fn said(warned: &[Warned]) -> Vec<String> {
    let one = |warned: &Warned| {
        let problem = &warned.problem;
        format!("{}:{} {} ({})", problem.line, problem.column, problem.what, problem.mend)
    };
    warned.iter().map(one).collect()
}

#[test]
fn rules_that_are_proven_to_be_of_no_use_are_told_apart_by_their_days() {
    let (_dir, config) = company(false);
    assert_eq!(
        said(&without_lines(&config)),
        [
            "12:5 rule `late` takes no line: `wide` (line 11) comes first and matches all that it does (put it before \
             `wide`, or remove it)",
            "13:5 rule `some-days` takes no line from 2026-06-01 until 2026-07-01: `wide` (line 10) comes first and matches \
             all that it does (give the two rules days that do not overlap)",
        ]
    );
}

#[test]
fn what_lines_say_of_a_shadowed_rule_goes_before_the_proof() {
    let (_dir, config) = company(false);
    let (july, august) = ("2026-07-01".parse().ok(), "2026-08-01".parse().ok());
    let from = |from| Validity { from, until: None };
    let taken = tally(2, &[("EUR", "1"), ("USD", "0.5")]);
    let taken_by = BTreeMap::from([(("wide".to_owned(), from(july)), taken)]);
    let mut of_lines = survey();
    let late = ("late".to_owned(), from(august));
    of_lines.rules.insert(late.clone(), RuleUse { took: 0, met: 9, taken_by });
    // Met no line: nothing can be said of it.
    of_lines.rules.insert(("accounts".to_owned(), from(None)), RuleUse::default());
    let warned = merged(without_lines(&config), judge(&config, &of_lines));
    assert_eq!(warned.len(), 2);
    assert_eq!(
        said(&warned)[0],
        "12:5 rule `late` took nothing in the last run: of what it matches, `wide` (line 11) took 2 lines with 1 EUR and 0.5 \
         USD (put it before, or remove it)"
    );
    assert_eq!(warned[0].money["EUR"], ExactSum::parse("1").unwrap());
    // No line matches it either way: the proof says more.
    of_lines.rules.insert(late, RuleUse { took: 0, met: 9, taken_by: BTreeMap::new() });
    let unmatched = judge(&config, &of_lines);
    assert_eq!(
        said(&unmatched),
        [
            "12:5 rule `late` matches none of the 9 lines of the last run (mend its `match`, or remove it)"
        ]
    );
    assert_eq!(said(&merged(without_lines(&config), unmatched)), said(&without_lines(&config)));
}

#[test]
fn keys_and_values_that_do_not_meet_are_few_and_tell_the_rest() {
    let (_dir, config) = company(false);
    let key = |text: &str| vec![text.to_owned()];
    let mut missed = BTreeMap::from([
        (key("2"), tally(50, &[("USD", "1000")])),
        (key("yen"), tally(1, &[("JPY", "9000")])),
        (key("refund"), tally(1, &[("USD", "-70")])),
    ]);
    missed.extend((10..20).map(|n| (key(&n.to_string()), tally(1, &[("USD", &n.to_string())]))));
    let rows = [(key("1"), Validity::default())].into();
    let of_table = TableUse { rows, patterns: [0].into(), missed };
    let mut of_lines = survey();
    of_lines.tables.insert("accounts".to_owned(), of_table);
    let warned = judge(&config, &of_lines);
    let keys: Vec<&Warned> = warned.iter().filter(|w| w.kind == Kind::UnmatchedKey).collect();
    assert_eq!(keys.len(), 22, "twenty, the rest, and a pattern");
    let first = &keys[0].problem;
    assert_eq!((first.file.as_str(), first.line, first.column), ("accounts.csv", 5, 1));
    assert_eq!(first.what, "no line of the last run has the key `idle-00` of table `accounts`");
    let rest = said(&warned);
    assert!(rest[20].starts_with("4:3 no line of the last run has 5 further keys"), "{}", rest[20]);
    assert!(rest[21].contains("fits the pattern `prod-*`"), "{}", rest[21]);
    let values: Vec<String> = warned[22..]
        .iter()
        .map(|w| {
            assert_eq!(w.kind, Kind::UnknownValue);
            w.problem.what.replace("table `accounts` has no row for ", "")
        })
        .collect();
    assert_eq!(
        values,
        [
            "`yen`, which 1 line with 9000 JPY ask it for",
            "`refund`, which 1 line with -70 USD ask it for",
            "`19`, which 1 line with 19 USD ask it for",
            "`18`, which 1 line with 18 USD ask it for",
            "`17`, which 1 line with 17 USD ask it for",
            "`16`, which 1 line with 16 USD ask it for",
            "6 further values, which 6 lines with 75 USD ask it for",
        ],
        "`2` has a row without a value: nobody is meant"
    );
}

#[test]
fn owners_who_are_not_listed_are_told_with_the_nearest() {
    let mut of_lines = survey();
    let of = |got, refused| OwnerUse { got, refused };
    let none = Tally::default;
    of_lines.owners.insert("card".to_owned(), of(tally(2, &[("USD", "3")]), none()));
    of_lines.owners.insert("growth".to_owned(), of(none(), tally(1, &[("USD", "1.5")])));
    let (_dir, config) = company(false);
    assert_eq!(
        said(&judge(&config, &of_lines)),
        [
            "2:1 `card` is not in the owner directory: 2 lines with 3 USD went there all the same (did you mean `cart`? Then \
             add it to the aliases there)",
            "2:1 `growth` is not in the owner directory: 1 line with 1.5 USD went there all the same (add it to the \
             directory, if it is an owner)",
        ]
    );
    let (_dir, config) = company(true);
    let warned = judge(&config, &of_lines);
    assert!(said(&warned)[1].contains("would have gone there, were the directory not strict"));
}
