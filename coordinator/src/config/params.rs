//! `allocator_params`: numbers that built-in chains use.

use proto::config::{Rule, SourceConfig, Tier};
use proto::money::{Amount, ExactSum};

use super::problem::Report;
use super::read::{self, Map};
use super::yaml::Node;

/// The ratios of a CKU's parts, in their order in its chain.
pub const PARAM_KEYS: [&str; 2] = ["kafka_cku_usage_ratio", "kafka_cku_shared_ratio"];
/// The rule whose composition they are.
const CKU_RULE: &str = "confluent_cloud/KAFKA_NUM_CKU@1";

/// Reads the parameters and puts them into the chains that use them.
pub fn apply(node: &Node, sources: &mut [SourceConfig], report: &mut Report) {
    let Some(map) = Map::read(node, "`allocator_params`", &PARAM_KEYS, report) else { return };
    let defaults = [7, 3].map(|tenths| Amount::from_parts(tenths, 1).unwrap_or(Amount::ZERO));
    let mut ratios = defaults;
    let mut good = true;
    for (ratio, key) in ratios.iter_mut().zip(PARAM_KEYS) {
        let Some(node) = map.get(key) else { continue };
        match read::parsed(node, &format!("`{key}`"), report, self::ratio) {
            Some(read) => *ratio = read,
            None => good = false,
        }
    }
    if !good {
        return;
    }
    let mut sum = ExactSum::ZERO;
    ratios.iter().for_each(|ratio| sum.add(*ratio));
    if sum != ExactSum::from(Amount::ONE) {
        let [usage, shared] = PARAM_KEYS;
        let stated = |key, ratio: Amount| match map.get(key) {
            Some(_) => format!("`{key}` {ratio}"),
            None => format!("`{key}` {ratio} (where nothing is stated)"),
        };
        let parts = [stated(usage, ratios[0]), stated(shared, ratios[1])].join(" and ");
        let mut rest = ExactSum::from(Amount::ONE);
        rest.sub(ratios[0]);
        let mend = format!("let them add to exactly 1, for instance `{shared}: {rest}`");
        report.at(map.at, format!("{parts} add to {sum}, not 1"), mend);
        return;
    }
    let rules = sources.iter_mut().flat_map(|source| &mut source.built_in_rules);
    rules.filter(|rule| rule.id == CKU_RULE).for_each(|rule| set(rule, ratios));
}

/// A ratio from 0 to 1.
fn ratio(text: &str) -> Result<Amount, String> {
    let ratio = Amount::parse(text).map_err(|error| error.to_string())?;
    if ratio.is_negative() || ratio > Amount::ONE {
        return Err("a ratio lies between 0 and 1: 0.7 is 70 percent".to_owned());
    }
    Ok(ratio)
}

/// Sets the percents of a composition; a part of nothing goes.
fn set(rule: &mut Rule, ratios: [Amount; 2]) {
    let [Tier::Composition(parts)] = &mut rule.chain[..] else { return };
    for (part, ratio) in parts.iter_mut().zip(ratios) {
        part.percent = percent(ratio);
    }
    parts.retain(|part| !part.percent.is_zero());
}

/// A hundred times a ratio, which has a scale of at most 28.
fn percent(ratio: Amount) -> Amount {
    let (mantissa, scale) = (ratio.mantissa(), ratio.scale());
    match scale.checked_sub(2) {
        Some(scale) => Amount::from_parts(mantissa, scale),
        None => Amount::from_parts(mantissa * 10_i128.pow(2 - scale), 0),
    }
    .unwrap_or(ratio)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::config::SourceSettings;
    use proto::ids::SourceId;

    use super::super::problem::SourceFile;
    use super::super::{built_in, yaml};
    use super::*;

    /// The percents of a CKU under some parameters.
    fn percents(params: &str) -> Vec<String> {
        let mut report = Report::default();
        let file = SourceFile { name: "t".to_owned(), text: params.to_owned() };
        let node = yaml::parse(&Arc::new(file), &mut report).unwrap();
        let settings =
            SourceSettings::Unbuilt { kind: "confluent_cloud".to_owned(), settings: None };
        let id = SourceId::parse("cc").unwrap();
        let mut sources = vec![built_in::complete(id, settings, &mut report).unwrap()];
        apply(&node, &mut sources, &mut report);
        assert_eq!(report.count(), 0, "{params}");
        let rule = sources[0].built_in_rules.iter().find(|rule| rule.id == CKU_RULE).unwrap();
        let [Tier::Composition(parts)] = &rule.chain[..] else { panic!("{:?}", rule.chain) };
        parts.iter().map(|part| part.percent.to_string()).collect()
    }

    #[test]
    fn ratios_become_the_percents_of_the_cku_chain() {
        let both = |usage, shared| {
            percents(&format!(
                "{{ kafka_cku_usage_ratio: {usage}, kafka_cku_shared_ratio: {shared} }}"
            ))
        };
        assert_eq!(percents("{ kafka_cku_usage_ratio: 0.70 }"), ["70", "30"]);
        assert_eq!(both("0.5", "0.5"), ["50", "50"]);
        assert_eq!(
            both("0.123456789012345", "0.876543210987655"),
            ["12.3456789012345", "87.6543210987655"]
        );
        assert_eq!(both("1", "0"), ["100"], "a part of nothing goes");
        assert_eq!(both("0", "1.00"), ["100"]);
    }
}
