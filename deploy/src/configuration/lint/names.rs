//! What can be said without a line: names that nobody uses, rules that an earlier one covers. Pure.

use std::collections::BTreeMap;

use allocator::domain::cover::{Covered, covered};
use coordinator::config::Config;
use proto::config::TenantConfig;
use proto::time::UnitDate;

use super::{Kind, Warned, at_rule, named};

/// All of it.
#[must_use]
pub fn without_lines(config: &Config) -> Vec<Warned> {
    let unused = config.unused().into_iter().map(|(tenant, problem)| Warned {
        kind: Kind::Unused,
        tenant,
        rule: None,
        problem,
        lines: 0,
        money: BTreeMap::new(),
    });
    let shadowed = |tenant| covered(tenant).into_iter().map(move |one| warned(config, tenant, one));
    unused.chain(config.tenants.values().flat_map(shadowed)).collect()
}

fn warned(config: &Config, tenant: &TenantConfig, covered: Covered) -> Warned {
    let Covered { rule, by, days } = covered;
    let day = |word: &str, day: Option<UnitDate>| {
        day.map(|day| format!(" {word} {day}")).unwrap_or_default()
    };
    let when = days.map_or_else(String::new, |days| {
        format!("{}{}", day("from", days.from), day("until", days.until))
    });
    let id = &tenant.allocation[rule].id;
    let earlier = named(config, tenant, by);
    let what = format!(
        "rule `{id}` takes no line{when}: {earlier} comes first and matches all that it does"
    );
    let mend = match days {
        None => format!("put it before `{}`, or remove it", tenant.allocation[by].id),
        Some(_) => "give the two rules days that do not overlap".to_owned(),
    };
    Warned {
        kind: Kind::ShadowedRule,
        tenant: tenant.tenant.clone(),
        rule: Some(rule),
        problem: at_rule(config, tenant, rule, what, mend),
        lines: 0,
        money: BTreeMap::new(),
    }
}
