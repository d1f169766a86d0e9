//! Rules that a kind of source brings along: embedded YAML of the form that users write.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proto::config::{
    Field, Match, MeasuredCost, Pattern, Rule, SourceConfig, SourceSettings, Tier, Timing, Usage,
};
use proto::ids::SourceId;

use super::names::Names;
use super::problem::{Report, SourceFile};
use super::read::{self, Cx, Map};
use super::rule;
use super::yaml;

const GENERIC_METRICS: &str = include_str!("built_in/generic_metrics.yaml");
/// Stands in the rules of `generic_metrics` for the name of a cost type.
const NAME: &str = "NAME";

/// The text of each kind that brings rules along.
const KINDS: [(&str, &str); 5] = [
    ("focus", include_str!("built_in/focus.yaml")),
    ("synthetic", include_str!("built_in/synthetic.yaml")),
    ("confluent_cloud", include_str!("built_in/confluent_cloud.yaml")),
    ("self_managed_kafka", include_str!("built_in/self_managed_kafka.yaml")),
    ("generic_metrics", GENERIC_METRICS),
];

/// Gives a source the rules of its kind.
pub fn complete(
    id: SourceId,
    settings: SourceSettings,
    report: &mut Report,
) -> Option<SourceConfig> {
    let kind = match &settings {
        SourceSettings::Focus(_) => "focus",
        SourceSettings::Synthetic(_) => "synthetic",
        SourceSettings::SelfManagedKafka(_) => "self_managed_kafka",
        SourceSettings::GenericMetrics(_) => "generic_metrics",
        SourceSettings::ConfluentCloud(_) => "confluent_cloud",
        SourceSettings::Unbuilt { kind, .. } => kind,
    };
    let embedded = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, text)| *text);
    let plain = format!("default: {{ id: {kind}/default@1, chain: [direct, unallocated] }}");
    let (mut built_in_rules, default_rule) = read(kind, embedded.unwrap_or(&plain), report)?;
    if let SourceSettings::GenericMetrics(measured) = &settings {
        let strategy = |cost: &MeasuredCost| {
            let by_usage = measured.usage.iter().any(|usage| usage.metric == cost.product_type);
            if by_usage { Strategy::UsageRatio } else { Strategy::EvenSplit }
        };
        let named = measured.costs.iter().map(|cost| (cost.product_type.as_str(), strategy(cost)));
        built_in_rules.extend(of_cost_types(named, report)?);
    }
    let timing = Timing::default();
    Some(SourceConfig { id, settings, metrics: None, timing, built_in_rules, default_rule })
}

/// Ids that users may not take.
#[must_use]
pub fn ids(sources: &[SourceConfig]) -> BTreeSet<String> {
    let rules = sources
        .iter()
        .flat_map(|source| source.built_in_rules.iter().chain([&source.default_rule]));
    rules.map(|rule| rule.id.clone()).collect()
}

/// How a cost type of kind `generic_metrics` is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By those who are active, evenly.
    EvenSplit,
    /// By the metric that bears its name.
    UsageRatio,
}

/// The rules of cost types of kind `generic_metrics`, by their names.
pub fn of_cost_types<'n>(
    cost_types: impl Iterator<Item = (&'n str, Strategy)>,
    report: &mut Report,
) -> Option<Vec<Rule>> {
    with_map("generic_metrics", GENERIC_METRICS, report, |map, cx| {
        let mut template = |key| Some(rule::rule(map.get(key)?, cx)?.0);
        let (even, usage) = (template("even_split")?, template("usage_ratio")?);
        let named = |(name, strategy)| match strategy {
            Strategy::EvenSplit => named(&even, name),
            Strategy::UsageRatio => named(&usage, name),
        };
        Some(cost_types.map(named).collect())
    })
}

/// A rule of `generic_metrics` for one cost type.
fn named(template: &Rule, name: &str) -> Rule {
    let mut rule = template.clone();
    rule.id = rule.id.replace(NAME, name);
    rule.matcher = Match::Field(Field::ProductType, Pattern::Exact(name.to_owned()));
    for tier in &mut rule.chain {
        if let Tier::Stated(stated) = tier
            && let Tier::UsageRatio(Usage::Metric(metrics)) = &mut stated.tier
        {
            *metrics = vec![name.to_owned()];
        }
    }
    rule
}

fn read(kind: &str, text: &str, report: &mut Report) -> Option<(Vec<Rule>, Rule)> {
    with_map(kind, text, report, |map, cx| {
        let rules = map
            .get("rules")
            .and_then(|node| read::list(node, "`rules`", cx.report))
            .unwrap_or_default();
        let rules =
            rules.iter().map(|node| Some(rule::rule(node, cx)?.0)).collect::<Option<_>>()?;
        let default = map.need("default", "the built-in rules", cx.report)?;
        Some((rules, rule::rule(default, cx)?.0))
    })
}

/// Reads the rules of a kind.
fn with_map<T>(
    kind: &str,
    text: &str,
    report: &mut Report,
    take: impl FnOnce(&Map<'_>, &mut Cx<'_>) -> Option<T>,
) -> Option<T> {
    let name = format!("built-in rules of kind {kind}");
    let file = Arc::new(SourceFile { name, text: text.to_owned() });
    let node = yaml::parse(&file, report)?;
    let mut cx = Cx { dir: Path::new(""), report, names: Names::default() };
    let keys = ["rules", "default", "even_split", "usage_ratio"];
    let map = Map::read(&node, "the built-in rules", &keys, cx.report)?;
    take(&map, &mut cx)
}
