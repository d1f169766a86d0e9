//! Whose it may be: suggestions with their evidence. Pure and deterministic.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{OwnerRow, TableRow, TenantConfig, Validity};
use proto::money::ExactSum;
use proto::row::UNALLOCATED;

use super::evidence::{Evidence, KeyEvidence};

/// Of the tagged money with a key, one owner must have at least this percentage.
const PERCENT_MIN: u32 = 97;
/// Fewer tagged rows say nothing.
const ROWS_MIN: u64 = 10;
/// Suggestions that are made at most.
const MOST: usize = 20;

/// A change of the user's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A value means an owner of the directory.
    Alias {
        /// As the bill has it.
        value: String,
        /// Id of the owner.
        owner: String,
    },
    /// A key of a table gives an owner.
    Row {
        /// Which table.
        table: String,
        /// The key.
        key: String,
        /// Id of the owner.
        owner: String,
    },
}

/// A change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to change.
    pub change: Change,
    /// Why, for people.
    pub because: String,
}

/// All suggestions, aliases first.
#[must_use]
pub fn suggest(config: &TenantConfig, evidence: &Evidence) -> Vec<Suggestion> {
    let owners = config.owners.as_ref().map(|owners| owners.rows.as_slice()).unwrap_or_default();
    let aliases = evidence.unlisted.iter().filter_map(|(value, rows)| alias(owners, value, *rows));
    let rows = evidence.keys.iter().filter_map(|((table, key), found)| {
        let known = config.tables.get(table)?.rows.iter().any(|row| row.key == [key.clone()]);
        if known { None } else { row(table, key, found) }
    });
    aliases.chain(rows).take(MOST).collect()
}

/// An owner whose id or alias is one edit away, if there is just one.
fn alias(owners: &[OwnerRow], value: &str, rows: u64) -> Option<Suggestion> {
    let near = |name: &str| strsim::damerau_levenshtein(name, value) == 1;
    let names = |owner: &OwnerRow| {
        [&owner.id].into_iter().chain(&owner.aliases).find(|name| near(name)).cloned()
    };
    let found: BTreeMap<&str, String> = owners
        .iter()
        .filter_map(|owner| names(owner).map(|name| (owner.id.as_str(), name)))
        .collect();
    let mut found = found.into_iter();
    let (Some((owner, name)), None) = (found.next(), found.next()) else { return None };
    let because =
        format!("{value:?} is not in the directory ({rows} times) and one edit away from {name:?}");
    let change = Change::Alias { value: value.to_owned(), owner: owner.to_owned() };
    Some(Suggestion { change, because })
}

/// An owner who has nearly all of what is tagged with the key.
fn row(table: &str, key: &str, found: &KeyEvidence) -> Option<Suggestion> {
    if found.untagged == 0 || found.mixed || found.rows < ROWS_MIN {
        return None;
    }
    let mut all = ExactSum::ZERO;
    found.tagged.values().for_each(|sum| all.merge(sum));
    let (owner, most) = found.tagged.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
    let (times, rest) = (
        |sum: &ExactSum, n: u32| {
            let mut total = ExactSum::ZERO;
            (0..n).for_each(|_| total.merge(sum));
            total
        },
        most.is_negative() || most.is_zero() || owner == UNALLOCATED,
    );
    // most / all >= 97 / 100, without a division.
    if rest || times(most, 100).difference(&times(&all, PERCENT_MIN)).is_negative() {
        return None;
    }
    let currency = found.currency.as_deref().unwrap_or_default();
    let because = format!(
        "{most} of {all} {currency} that is tagged there is {owner}'s ({} rows); {} rows are untagged",
        found.rows, found.untagged
    );
    let change = Change::Row { table: table.to_owned(), key: key.to_owned(), owner: owner.clone() };
    Some(Suggestion { change, because })
}

/// The configuration with the change.
#[must_use]
pub fn with(config: &TenantConfig, change: &Change) -> TenantConfig {
    let mut config = config.clone();
    match change {
        Change::Alias { value, owner } => {
            let rows = config.owners.iter_mut().flat_map(|owners| &mut owners.rows);
            for row in rows.filter(|row| row.id == *owner) {
                let aliases: BTreeSet<String> =
                    row.aliases.drain(..).chain([value.clone()]).collect();
                row.aliases = aliases.into_iter().collect();
            }
        }
        Change::Row { table, key, owner } => {
            if let Some(table) = config.tables.get_mut(table) {
                let (key, valid) = (vec![key.clone()], Validity::default());
                table.rows.push(TableRow { key, valid, value: owner.clone() });
                table.rows.sort();
            }
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(id: &str, aliases: &[&str]) -> OwnerRow {
        OwnerRow {
            id: id.to_owned(),
            valid: Validity::default(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            name: String::new(),
            kind: String::new(),
            parent: String::new(),
            cost_center: String::new(),
            gl_code: String::new(),
            email: String::new(),
        }
    }

    #[test]
    fn one_edit_away_from_one_owner() {
        let owners = [owner("checkout", &["cart"]), owner("search", &[]), owner("starch", &[])];
        let found = |value: &str| alias(&owners, value, 3).map(|s| s.change);
        let to = |value: &str, owner: &str| {
            Some(Change::Alias { value: value.to_owned(), owner: owner.to_owned() })
        };
        assert_eq!(found("chekout"), to("chekout", "checkout"));
        assert_eq!(found("chcekout"), to("chcekout", "checkout"), "neighbours changed places");
        assert_eq!(found("carts"), to("carts", "checkout"), "an alias counts too");
        assert_eq!(found("growth"), None);
        let twins = [owner("team-a", &[]), owner("team-b", &[])];
        assert_eq!(alias(&twins, "team-c", 1), None, "two are as near");
    }

    #[test]
    fn nearly_all_of_what_is_tagged_has_one_owner() {
        let evidence = |sums: &[(&str, &str)], rows: u64| KeyEvidence {
            untagged: 2,
            tagged: sums
                .iter()
                .map(|(o, s)| ((*o).to_owned(), ExactSum::parse(s).unwrap()))
                .collect(),
            rows,
            currency: Some("USD".into()),
            mixed: false,
        };
        let found = |sums, rows| row("accounts", "42", &evidence(sums, rows)).map(|s| s.because);
        assert!(found(&[("a", "97"), ("b", "3")], 10).unwrap().starts_with("97 of 100 USD"));
        assert_eq!(found(&[("a", "96.99"), ("b", "3.01")], 10), None);
        assert_eq!(found(&[("a", "97"), ("b", "3")], 9), None, "too few rows");
        assert_eq!(found(&[("a", "-1")], 10), None);
        assert_eq!(found(&[(UNALLOCATED, "10")], 10), None);
    }
}
