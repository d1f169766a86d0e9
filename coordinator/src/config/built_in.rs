//! Rules that a kind of source brings along: embedded YAML of the form that users write.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proto::config::{Rule, SourceConfig, SourceSettings};
use proto::ids::SourceId;

use super::names::Names;
use super::problem::{Report, SourceFile};
use super::read::{self, Cx, Map};
use super::rule;
use super::yaml;

const FOCUS: &str = include_str!("built_in/focus.yaml");
const SYNTHETIC: &str = include_str!("built_in/synthetic.yaml");

/// Gives a source the rules of its kind.
pub fn complete(
    id: SourceId,
    settings: SourceSettings,
    report: &mut Report,
) -> Option<SourceConfig> {
    let (name, text) = match &settings {
        SourceSettings::Focus(_) => ("focus", FOCUS.to_owned()),
        SourceSettings::Synthetic(_) => ("synthetic", SYNTHETIC.to_owned()),
        SourceSettings::Unbuilt { kind, .. } => (
            kind.as_str(),
            format!("default: {{ id: {kind}/default@1, chain: [direct, unallocated] }}"),
        ),
    };
    let (built_in_rules, default_rule) = read(name, text, report)?;
    Some(SourceConfig { id, settings, metrics: None, built_in_rules, default_rule })
}

/// Ids that users may not take.
#[must_use]
pub fn ids(sources: &[SourceConfig]) -> BTreeSet<String> {
    let rules = sources
        .iter()
        .flat_map(|source| source.built_in_rules.iter().chain([&source.default_rule]));
    rules.map(|rule| rule.id.clone()).collect()
}

fn read(kind: &str, text: String, report: &mut Report) -> Option<(Vec<Rule>, Rule)> {
    let file = Arc::new(SourceFile { name: format!("built-in rules of kind {kind}"), text });
    let node = yaml::parse(&file, report)?;
    let mut cx = Cx { dir: Path::new(""), report, names: Names::default() };
    let map = Map::read(&node, "the built-in rules", &["rules", "default"], cx.report)?;
    let rules = map
        .get("rules")
        .and_then(|node| read::list(node, "`rules`", cx.report))
        .unwrap_or_default();
    let rules =
        rules.iter().map(|node| Some(rule::rule(node, &mut cx)?.0)).collect::<Option<_>>()?;
    let default = map.need("default", "the built-in rules", cx.report)?;
    Some((rules, rule::rule(default, &mut cx)?.0))
}
