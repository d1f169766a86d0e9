//! Who takes part: an identity, and the owner who pays for it.

use std::collections::HashMap;
use std::sync::Arc;

use proto::config::{Owners, Validity};
use proto::row::UNALLOCATED;
use proto::time::UnitDate;

/// Longest value that names a party, in bytes: what is longer is no name, and the store could not index it.
pub const VALUE_BYTES_MAX: usize = 1_000;

/// One party of a split. Compared by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Typed id: `tag:checkout`, `service_account:sa-1`, `owner:checkout`.
    pub identity: Arc<str>,
    /// Who pays.
    pub owner: Arc<str>,
}

impl AsRef<str> for Party {
    fn as_ref(&self) -> &str {
        &self.identity
    }
}

impl Party {
    /// Nobody was found.
    pub fn nobody() -> Self {
        Self { identity: UNALLOCATED.into(), owner: UNALLOCATED.into() }
    }
    /// A party of this identity for which nobody pays.
    pub fn unpaid(identity: &str) -> Self {
        Self { identity: identity.into(), owner: UNALLOCATED.into() }
    }
    /// An owner as such, where rules name owners and not identities.
    pub fn owner(owner: Arc<str>) -> Self {
        Self { identity: format!("owner:{owner}").into(), owner }
    }
}

/// The value of an identity: what follows its type.
pub fn value_of(identity: &str) -> &str {
    identity.split_once(':').map_or(identity, |(_, value)| value)
}

/// The type of an identity: what stands before its value. Empty where there is none.
pub fn type_of(identity: &str) -> &str {
    identity.split_once(':').map_or("", |(kind, _)| kind)
}

/// Why a value names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It says UNALLOCATED.
    Unallocated,
    /// It is longer than any name.
    TooLong,
    /// It holds control characters, which not every store and output takes.
    Control,
}

/// Whether a (trimmed, not empty) value can name somebody.
pub fn fit(value: &str) -> Result<&str, Unfit> {
    if value.eq_ignore_ascii_case(UNALLOCATED) {
        Err(Unfit::Unallocated)
    } else if value.len() > VALUE_BYTES_MAX {
        Err(Unfit::TooLong)
    } else if value.chars().any(char::is_control) {
        Err(Unfit::Control)
    } else {
        Ok(value)
    }
}

/// Who pays for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payer {
    /// Listed, or there is no directory.
    Known(Arc<str>),
    /// Not listed; pays all the same, with a warning.
    Unlisted(Arc<str>),
    /// Not listed, and the directory is strict.
    Refused,
}

/// The owner directory, by every name that an owner has.
#[derive(Debug)]
pub struct Directory {
    strict: bool,
    names: HashMap<String, Vec<(Validity, Arc<str>)>>,
}

impl Directory {
    /// Compiles the directory.
    pub fn compile(owners: &Owners) -> Self {
        let mut names: HashMap<String, Vec<(Validity, Arc<str>)>> = HashMap::new();
        let ids: Vec<Arc<str>> = owners.rows.iter().map(|row| row.id.as_str().into()).collect();
        // Ids first: should a value be both, it means the owner of that id.
        for (row, id) in owners.rows.iter().zip(&ids) {
            names.entry(row.id.clone()).or_default().push((row.valid, Arc::clone(id)));
        }
        for (row, id) in owners.rows.iter().zip(&ids) {
            for alias in &row.aliases {
                names.entry(alias.clone()).or_default().push((row.valid, Arc::clone(id)));
            }
        }
        Self { strict: owners.strict, names }
    }

    /// Who pays for `value` on a date.
    pub fn payer(&self, value: &str, date: UnitDate) -> Payer {
        let listed = self.names.get(value).into_iter().flatten();
        match listed.into_iter().find(|(valid, _)| valid.contains(date)) {
            Some((_, owner)) => Payer::Known(Arc::clone(owner)),
            None if self.strict => Payer::Refused,
            None => Payer::Unlisted(value.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::config::OwnerRow;

    use super::*;

    fn row(id: &str, aliases: &[&str], until: Option<&str>) -> OwnerRow {
        OwnerRow {
            id: id.to_owned(),
            valid: Validity { from: None, until: until.map(|d| d.parse().unwrap()) },
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            name: String::new(),
            kind: String::new(),
            parent: String::new(),
            cost_center: String::new(),
            gl_code: String::new(),
            email: String::new(),
        }
    }

    #[test]
    fn owners_go_by_their_names_on_their_days() {
        let rows = vec![
            row("checkout", &["chekout", "search"], None),
            row("search", &[], Some("2026-07-01")),
        ];
        let mut owners = Owners { strict: false, rows };
        let payer = |owners: &Owners, value: &str, date: &str| {
            Directory::compile(owners).payer(value, date.parse().unwrap())
        };
        let known = |owner: &str| Payer::Known(owner.into());
        assert_eq!(payer(&owners, "chekout", "2026-06-30"), known("checkout"));
        assert_eq!(payer(&owners, "search", "2026-06-30"), known("search"));
        assert_eq!(payer(&owners, "search", "2026-07-01"), known("checkout"));
        assert_eq!(payer(&owners, "Search", "2026-07-01"), Payer::Unlisted("Search".into()));
        owners.strict = true;
        assert_eq!(payer(&owners, "Search", "2026-07-01"), Payer::Refused);
    }

    #[test]
    fn values_that_name_nobody() {
        assert_eq!(fit("checkout"), Ok("checkout"));
        assert_eq!(fit("unallocated"), Err(Unfit::Unallocated));
        assert_eq!(fit(&"x".repeat(1_001)), Err(Unfit::TooLong));
        assert_eq!(fit("a\u{0}b"), Err(Unfit::Control));
        assert_eq!(value_of("principal:User:x"), "User:x");
        assert_eq!(value_of("sa-1"), "sa-1");
    }
}
