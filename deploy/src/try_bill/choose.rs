//! Which key names the owners best: by the money that it has a value for, and by its name. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use proto::config::Field;
use proto::money::ExactSum;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::scan::{Key, Scanned};
use crate::summary::share;

/// Names of who pays, the surest first; in tags and `x_` columns alike, whatever stands around them.
const OWNER_WORDS: [&str; 11] = [
    "team",
    "squad",
    "owner",
    "costcenter",
    "costcentre",
    "chargeback",
    "businessunit",
    "department",
    "tribe",
    "dept",
    "bu",
];
/// Names of what teams run.
const WORK_WORDS: [&str; 6] = ["project", "product", "application", "workload", "service", "app"];
/// Values above which a key names things rather than owners, whatever its lines.
const VALUES_SURELY_FEW: usize = 50;

/// A key and how good it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The key.
    pub field: Field,
    /// Of all |cost|, in percent.
    pub coverage: Decimal,
    /// Its values that were told apart.
    pub values: usize,
    /// Whether values differ in case only, so that one owner would be two.
    pub mixed_case: bool,
    score: i64,
}

/// The place of the owner word that a name holds, 0 for the surest: the last part of `aws:team`, `example.com/team`.
#[must_use]
pub fn owner_word(name: &str) -> Option<usize> {
    word(name, &OWNER_WORDS)
}

fn word(name: &str, words: &[&str]) -> Option<usize> {
    let last = name.rsplit([':', '/']).next().unwrap_or(name);
    let folded: String =
        last.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let holds = |word: &&str| folded == *word || (word.len() >= 4 && folded.contains(*word));
    words.iter().position(holds)
}

/// The keys, the best first; those without money are left out. A key that is named for owners goes before another that
/// covers up to 40 points more.
#[must_use]
pub fn rank(scanned: &Scanned) -> Vec<Ranked> {
    let Some(currency) = scanned.main_currency() else { return Vec::new() };
    let all = scanned.money.get(&currency).map_or(ExactSum::ZERO, |(_, sum)| *sum);
    let ranked = |(field, key): (&Field, &Key)| {
        let coverage = share(key.money.get(&currency)?, &all)?.round_dp(2);
        let folded: BTreeSet<String> = key.values.iter().map(|v| v.to_lowercase()).collect();
        let points = coverage.to_i64()?;
        Some(Ranked {
            field: field.clone(),
            coverage,
            values: key.values.len(),
            mixed_case: folded.len() < key.values.len(),
            score: points + bonus(field) - unlike_owners(key, folded.len()),
        })
    };
    let mut keys: Vec<Ranked> =
        scanned.keys.iter().filter_map(ranked).filter(|key| !key.coverage.is_zero()).collect();
    keys.sort_by_key(|key| (Reverse(key.score), order(&key.field), key.values));
    keys
}

/// What a name speaks for, in points of coverage.
fn bonus(field: &Field) -> i64 {
    match field {
        Field::Tag(name) if owner_word(name).is_some() => 40,
        Field::Tag(name) if word(name, &WORK_WORDS).is_some() => 10,
        Field::Column(name) if name.starts_with("x_") => 40,
        Field::Column(name) if name.starts_with("SubAccount") => 0,
        Field::Column(name) if name.starts_with("Resource") => -60,
        Field::Column(_) | Field::ResourceId => -40,
        Field::Tag(_)
        | Field::VirtualTag(_)
        | Field::Table(_)
        | Field::Source
        | Field::ProductType
        | Field::ProductCategory => -30,
    }
}

/// What the values speak against, in points of coverage: one owner of all, or nearly as many as lines.
fn unlike_owners(key: &Key, values: usize) -> i64 {
    let lines = usize::try_from(key.lines).unwrap_or(usize::MAX);
    let many = values > VALUES_SURELY_FEW && values.saturating_mul(4) > lines;
    match values {
        0 | 1 => 45,
        _ if many || values >= 500 => 60,
        _ => 0,
    }
}

/// Among equals: the surer word, names before ids.
fn order(field: &Field) -> (usize, String) {
    let name = match field {
        Field::Tag(name) | Field::Column(name) => name.clone(),
        Field::VirtualTag(_)
        | Field::Table(_)
        | Field::Source
        | Field::ProductType
        | Field::ProductCategory
        | Field::ResourceId => field.to_string(),
    };
    let place = owner_word(&name).unwrap_or(OWNER_WORDS.len());
    (place + usize::from(name.ends_with("Id")), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::line::Measure;
    use proto::money::Amount;
    use std::collections::BTreeMap;

    /// Keys by coverage out of 100 lines of 1 USD each, and number of values.
    fn best(keys: &[(&str, u64, usize)]) -> Vec<String> {
        let usd = "USD".parse().unwrap();
        let sum = |n: u64| {
            let mut sum = ExactSum::ZERO;
            sum.add(Amount::parse(&n.to_string()).unwrap());
            sum
        };
        let key = |(name, covered, values): &(&str, u64, usize)| {
            let money = BTreeMap::from([(usd, sum(*covered))]);
            let values = (0..*values).map(|n| format!("v{n}")).collect();
            (Field::parse(name).unwrap(), Key { money, lines: *covered, values })
        };
        let scanned = Scanned {
            files: Vec::new(),
            cost: Measure::Effective,
            costs: vec![Measure::Effective],
            money: BTreeMap::from([(usd, (100, sum(100)))]),
            keys: keys.iter().map(key).collect(),
        };
        rank(&scanned).into_iter().map(|key| key.field.to_string()).collect()
    }

    #[test]
    fn a_tag_for_teams_goes_before_accounts_unless_it_is_rare() {
        let accounts = ("SubAccountName", 100, 5);
        assert_eq!(best(&[accounts, ("tag.team", 70, 4)])[0], "tag.team");
        assert_eq!(best(&[accounts, ("tag.team", 30, 4)])[0], "SubAccountName");
        assert_eq!(best(&[accounts, ("SubAccountId", 100, 5)])[0], "SubAccountName");
        assert_eq!(best(&[accounts, ("tag.environment", 100, 3)])[0], "SubAccountName");
        assert_eq!(best(&[accounts, ("x_CostCentre", 80, 3)])[0], "x_CostCentre");
    }

    #[test]
    fn equal_keys_go_by_their_words_and_resources_come_last() {
        let keys = [
            ("ResourceId", 100, 90),
            ("tag.cost-center", 100, 3),
            ("tag.owner", 100, 3),
            ("tag.aws:user/team", 0, 0),
        ];
        assert_eq!(best(&keys), ["tag.owner", "tag.cost-center", "ResourceId"]);
        // One value of all says nothing, and nearly one for each line names things.
        assert_eq!(best(&[("tag.team", 100, 1), ("SubAccountId", 100, 4)])[0], "SubAccountId");
        assert_eq!(best(&[("tag.owner", 100, 90), ("SubAccountId", 100, 4)])[0], "SubAccountId");
    }

    #[test]
    fn words_are_found_in_what_stands_around_them() {
        assert_eq!(owner_word("user:Team"), Some(0));
        assert_eq!(owner_word("example.com/cost-center"), Some(3));
        assert_eq!(owner_word("Owning Team"), Some(0));
        assert_eq!(owner_word("team/environment"), None);
        assert_eq!(owner_word("bucket"), None);
    }
}
