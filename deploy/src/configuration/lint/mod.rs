//! What a configuration does not do: rules that take nothing, names that nobody uses, and, with the lines of the last run
//! at hand, table keys, values and owners that do not meet. Warnings: everything runs all the same.
//!
//! | file | what |
//! |---|---|
//! | `names`, `judge` | what is said without lines, and with them; pure |
//! | `last_run` | the lines: the archive of what is visible, through the allocator's own engine |

mod judge;
mod last_run;
mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use coordinator::config::places::nth;
use coordinator::config::{Config, Problem};
use proto::config::TenantConfig;
use proto::ids::TenantId;
use proto::money::ExactSum;
use serde::Serialize;

pub use last_run::of_last_run;
pub use names::without_lines;

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An earlier rule takes all that the rule matches.
    ShadowedRule,
    /// No line matches the rule.
    UnmatchedRule,
    /// No line has the key of a table's row, or fits its pattern.
    UnmatchedKey,
    /// A table that is asked for the owner of lines has nothing for their value.
    UnknownValue,
    /// An owner of lines is not in the directory.
    UnknownOwner,
    /// No rule uses it.
    Unused,
}

/// A warning.
#[derive(Debug, Clone)]
pub struct Warned {
    /// What about.
    pub kind: Kind,
    /// Whose.
    pub tenant: TenantId,
    /// The rule that it is about, by its place among the tenant's.
    pub rule: Option<usize>,
    /// Where, what, how to mend it.
    pub problem: Problem,
    /// Lines, or rows of an owner, that are concerned; 0: none, or nobody looked.
    pub lines: u64,
    /// Their money, by currency.
    pub money: BTreeMap<String, ExactSum>,
}

/// All of them, in the order of the files. What lines say of a rule that is shadowed tells more than the proof that it is,
/// and that it is tells more than that no line matches it.
#[must_use]
pub fn merged(without_lines: Vec<Warned>, with_lines: Vec<Warned>) -> Vec<Warned> {
    let key = |warned: &Warned| (warned.kind, warned.tenant.clone(), warned.rule);
    let shadowed = |all: &[Warned], warned: &Warned| {
        let key = (Kind::ShadowedRule, warned.tenant.clone(), warned.rule);
        all.iter().any(|one| key == (one.kind, one.tenant.clone(), one.rule))
    };
    let proven = without_lines.iter().filter(|warned| {
        warned.kind != Kind::ShadowedRule || !with_lines.iter().any(|one| key(one) == key(warned))
    });
    let seen = with_lines
        .iter()
        .filter(|warned| warned.kind != Kind::UnmatchedRule || !shadowed(&without_lines, warned));
    let mut all: Vec<Warned> = proven.chain(seen).cloned().collect();
    all.sort_by(|a, b| a.problem.cmp(&b.problem));
    all
}

/// A problem of a tenant's file at the place of what `path` leads to.
fn at(
    config: &Config,
    tenant: &TenantConfig,
    path: &[&str],
    what: String,
    mend: String,
) -> Problem {
    let problem = Problem::of_file(format!("tenants/{}.yaml", tenant.tenant), what, mend);
    let places = config.places.get(&tenant.tenant).cloned().unwrap_or_default();
    places.point(problem.about(path))
}

/// The same for a rule.
fn at_rule(
    config: &Config,
    tenant: &TenantConfig,
    rule: usize,
    what: String,
    mend: String,
) -> Problem {
    at(config, tenant, &["allocation", &nth(rule)], what, mend)
}

/// A rule in the middle of a sentence: its id and where it stands.
fn named(config: &Config, tenant: &TenantConfig, rule: usize) -> String {
    let found = at_rule(config, tenant, rule, String::new(), String::new());
    format!("`{}` (line {})", tenant.allocation[rule].id, found.line)
}
