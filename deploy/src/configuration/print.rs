//! Rules as people write them. What is printed for a rule can be written into a tenant's file as it is.

use proto::config::{
    CostShare, CostWindow, Field, FixedShares, Match, Pattern, Receivers, Rule, SourceConfig,
    SourceScope, StatedTier, TenantConfig, Tier, Usage, Validity,
};
use proto::time::UnitDate;

/// The rules that a line of `source` meets on `date`, first to last.
#[must_use]
pub fn rules(tenant: &TenantConfig, source: &SourceConfig, date: UnitDate) -> String {
    let owner = source.owner_fields();
    let bare = match owner {
        [] => "never applies: the source has no `owner`".to_owned(),
        fields => format!(
            "looks at {}",
            fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    let mut text = format!(
        "# tenant {}, source {} (kind {}, cost {}), charges of {date}; bare `direct` {bare}\n",
        tenant.tenant,
        source.id,
        source.kind(),
        source.cost().column(),
    );
    let of = |rule: &Rule| {
        let own = tenant.allocation.iter().any(|own| own.id == rule.id);
        let built_in = source.built_in_rules.iter().any(|built_in| built_in.id == rule.id);
        if own {
            "yours"
        } else if built_in {
            "built in"
        } else {
            "default"
        }
    };
    let mut last = "";
    for rule in tenant.rules_in_force(source, date) {
        let now = of(rule);
        if now != last {
            text.push_str(&format!("# {now}\n"));
            last = now;
        }
        text.push_str(&self::rule(rule));
    }
    text
}

/// One rule as an entry of `allocation`.
#[must_use]
pub fn rule(rule: &Rule) -> String {
    let mut text = format!("- id: {}\n", scalar(&rule.id));
    if !rule.sources.is_empty() {
        let ids = rule.sources.iter().map(|id| scalar(id.as_str()));
        text.push_str(&format!("  source: {}\n", list(ids)));
    }
    if !matches!(&rule.matcher, Match::All(parts) if parts.is_empty()) {
        text.push_str(&format!("  match: {}\n", matcher(&rule.matcher)));
    }
    if rule.valid != Validity::default() {
        let day = |name, day: Option<UnitDate>| day.map(|day| format!("{name}: {day}"));
        let days = [day("from", rule.valid.from), day("until", rule.valid.until)];
        text.push_str(&format!("  valid: {}\n", map(days.into_iter().flatten())));
    }
    text.push_str("  chain:\n");
    chain(&rule.chain, 4, &mut text);
    text
}

fn chain(tiers: &[Tier], indent: usize, text: &mut String) {
    let blanks = " ".repeat(indent);
    for tier in tiers {
        let Tier::Composition(parts) = tier else {
            text.push_str(&format!("{blanks}- {}\n", self::tier(tier)));
            continue;
        };
        text.push_str(&format!("{blanks}- composition:\n"));
        for part in parts {
            text.push_str(&format!(
                "{blanks}    - percent: {}\n{blanks}      chain:\n",
                part.percent
            ));
            chain(&part.chain, indent + 8, text);
        }
    }
}

fn tier(tier: &Tier) -> String {
    match tier {
        Tier::Direct { fields } if fields.is_empty() => "direct".to_owned(),
        Tier::Direct { fields } => format!("direct: {}", self::fields(fields)),
        Tier::Even(Receivers::Group(group)) => format!("even: {}", scalar(group)),
        Tier::Even(Receivers::Set(set)) => format!("even: {}", set.as_str()),
        Tier::UsageRatio(Usage::Driver(driver)) => format!("usage_ratio: {}", scalar(driver)),
        Tier::UsageRatio(Usage::Metric(metrics)) => {
            format!("usage_ratio: {{ metric: {} }}", list(metrics.iter().map(|m| scalar(m))))
        }
        Tier::Fixed(FixedShares::Inline(shares)) => {
            let shares =
                shares.iter().map(|(owner, percent)| format!("{}: {percent}", scalar(owner)));
            format!("fixed: {}", map(shares))
        }
        Tier::Fixed(FixedShares::Table(table)) => format!("fixed: {{ table: {} }}", scalar(table)),
        Tier::InProportionToCost(share) => format!("in_proportion_to_cost: {}", cost_share(share)),
        Tier::Resource => "resource".to_owned(),
        Tier::Stated(stated) => stated_tier(stated),
        Tier::Unallocated(reason) => format!("unallocated: {reason}"),
        Tier::Composition(_) => "composition".to_owned(),
    }
}

fn stated_tier(stated: &StatedTier) -> String {
    let tier = if stated.tier == Tier::Resource {
        "resource: true".to_owned()
    } else {
        self::tier(&stated.tier)
    };
    let types = &stated.identity_types;
    let types = (!types.is_empty()).then(|| list(types.iter().map(|kind| scalar(kind))));
    let words = [
        ("identity_types", types),
        ("cost_type", stated.cost_type.map(|kind| kind.word().to_owned())),
        ("method", stated.method.as_deref().map(scalar)),
        ("detail", stated.detail.as_deref().map(scalar)),
    ];
    let words = words.into_iter().filter_map(|(key, text)| Some(format!("{key}: {}", text?)));
    map([tier].into_iter().chain(words))
}

fn cost_share(share: &CostShare) -> String {
    let within = |fields: &[Field]| {
        (!fields.is_empty())
            .then(|| format!("within: {}", list(fields.iter().map(|f| scalar(&f.to_string())))))
    };
    match share {
        CostShare::Driver { driver, within: fields } => {
            map([Some(format!("driver: {}", scalar(driver))), within(fields)].into_iter().flatten())
        }
        CostShare::Ledger { of, within: fields, to, sources, window } => {
            let scope = match sources {
                SourceScope::Own => None,
                SourceScope::All => Some("sources: all".to_owned()),
                SourceScope::These(ids) => {
                    Some(format!("sources: {}", list(ids.iter().map(|id| scalar(id.as_str())))))
                }
            };
            let window = match window {
                CostWindow::ChargePeriod => "charge_period".to_owned(),
                CostWindow::Date => "date".to_owned(),
                CostWindow::BillingPeriod => "billing_period".to_owned(),
                CostWindow::TrailingDays(days) => format!("trailing {days}d"),
            };
            let parts = [
                of.as_ref().map(|of| format!("of: {}", matcher(of))),
                within(fields),
                to.as_ref().map(|to| format!("to: {}", scalar(to))),
                scope,
                Some(format!("window: {window}")),
            ];
            map(parts.into_iter().flatten())
        }
    }
}

/// A match as a map. Keys that would be there twice are nested.
fn matcher(tree: &Match) -> String {
    let parts = match tree {
        Match::All(parts) if !parts.is_empty() => parts.as_slice(),
        Match::All(_) | Match::Any(_) | Match::Field(..) => std::slice::from_ref(tree),
    };
    let keys: Vec<String> = parts.iter().map(key).collect();
    let twice = keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
    if twice {
        return format!("{{ all: {} }}", list(parts.iter().map(matcher)));
    }
    let value = |part: &Match| match part {
        Match::Field(_, pattern) => self::pattern(pattern),
        Match::Any(parts) | Match::All(parts) => list(parts.iter().map(matcher)),
    };
    map(parts.iter().zip(&keys).map(|(part, key)| format!("{key}: {}", value(part))))
}

fn key(part: &Match) -> String {
    match part {
        Match::Field(field, _) => scalar(&field.to_string()),
        Match::Any(_) => "any".to_owned(),
        Match::All(_) => "all".to_owned(),
    }
}

fn pattern(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) | Pattern::Glob(text) => scalar(text),
        Pattern::AnyOf(parts) => list(parts.iter().map(self::pattern)),
        Pattern::Present => "present".to_owned(),
        Pattern::Absent => "absent".to_owned(),
        Pattern::Regex(regex) => format!("{{ regex: {} }}", quoted(regex)),
        Pattern::Not(inner) => format!("{{ not: {} }}", self::pattern(inner)),
        Pattern::Compare { gt, lt } => {
            let bounds = [gt.map(|gt| format!("gt: {gt}")), lt.map(|lt| format!("lt: {lt}"))];
            map(bounds.into_iter().flatten())
        }
    }
}

fn fields(fields: &[Field]) -> String {
    match fields {
        [field] => scalar(&field.to_string()),
        fields => list(fields.iter().map(|field| scalar(&field.to_string()))),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn map(entries: impl Iterator<Item = String>) -> String {
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}

/// A text that YAML reads as this text and nothing else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@ ".contains(c);
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(plain);
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "present" | "absent" | "all"
    );
    if simple && !word { text.to_owned() } else { quoted(text) }
}

/// In single quotes, in which YAML knows one escape; `${` would be a variable of the environment.
fn quoted(text: &str) -> String {
    if text.chars().any(char::is_control) {
        let escaped = serde_json::Value::String(text.to_owned()).to_string();
        return escaped.replace("${", "$${");
    }
    format!("'{}'", text.replace('\'', "''").replace("${", "$${"))
}
