//! The JSON Schema of what users write: for editors, and for who writes these files with a program.
//!
//! The readers say what is wrong far better; the schema says what there is. A test compares its keys with theirs.

use schemars::generate::SchemaSettings;

pub mod measured;
pub mod metrics;
pub mod rules;
pub mod settings;
pub mod tenant;
pub mod timing;

pub use measured::*;
pub use metrics::*;
pub use rules::*;
pub use settings::*;
pub use tenant::*;
pub use timing::*;

/// One schema for both files: `#/$defs/Tenant` for `tenants/<tenant>.yaml`, `#/$defs/ApportionFile` for
/// `apportion.yaml`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "Apportion configuration".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::{
        confluent, cost_share, driver, emitter, matching, measured, metrics, owner, params, rule,
        settings, source, stated, table, tag, tenant, tier, timing, trial,
    };
    use super::json_schema;

    fn keys(schema: &Value, name: &str) -> BTreeSet<String> {
        let shape = &schema["$defs"][name];
        assert!(shape["additionalProperties"] == false, "{name} takes unknown keys: {shape}");
        shape["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{name}: {shape}"))
            .keys()
            .cloned()
            .collect()
    }

    #[test]
    fn keys_are_those_of_the_readers() {
        let schema = json_schema();
        let same = |name: &str, known: &[&str]| {
            let known: BTreeSet<String> = known.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(keys(&schema, name), known, "{name}");
        };
        same("Tenant", &tenant::TENANT_KEYS);
        same("Guards", &tenant::GUARDS_KEYS);
        same("Schedule", &timing::SCHEDULE_KEYS);
        same("SlaTimes", &timing::SLA_KEYS);
        same("AllocatorParams", &params::PARAM_KEYS);
        same("FocusSource", &source::FOCUS_KEYS);
        same("SyntheticSource", &source::SYNTHETIC_KEYS);
        same("ConfluentSource", &confluent::CONFLUENT_KEYS);
        same("FlinkRegion", &confluent::FLINK_KEYS);
        same("Metrics", &metrics::METRICS_KEYS);
        same("KafkaSource", &measured::KAFKA_KEYS);
        same("GenericSource", &measured::GENERIC_KEYS);
        same("CostModel", &measured::COST_MODEL_KEYS);
        same("RegionRates", &measured::REGION_KEYS);
        same("MetricNames", &measured::METRIC_NAMES.map(|(key, _)| key));
        same("IdentitySource", &measured::IDENTITY_KEYS);
        same("StaticIdentity", &measured::LISTED_KEYS);
        same("CostType", &measured::COST_KEYS);
        same("CostQuantity", &measured::QUANTITY_KEYS);
        same("Owners", &owner::OWNERS_KEYS);
        same("VirtualTag", &tag::TAG_KEYS);
        same("Table", &table::TABLE_KEYS);
        same("TablePattern", &table::PATTERN_KEYS);
        same("Driver", &driver::DRIVER_KEYS);
        same("MetricOwner", &driver::METRIC_OWNER_KEYS);
        same("Ledger", &driver::LEDGER_KEYS);
        same("Rule", &rule::RULE_KEYS);
        same("Valid", &rule::VALID_KEYS);
        same("CostShare", &cost_share::COST_SHARE_KEYS);
        same("Part", &tier::PART_KEYS);
        same("Test", &trial::TEST_KEYS);
        same("Emitter", &emitter::EMITTER_KEYS);
        same("ApportionFile", &settings::SETTINGS_KEYS);
        same("Nats", &settings::NATS_KEYS);
        same("Postgres", &settings::POSTGRES_KEYS);
        same("Workers", &settings::WORKERS_KEYS);
        same("Telemetry", &settings::TELEMETRY_KEYS);
    }

    /// The single keys of the maps that an untagged choice offers.
    fn choices(schema: &Value, name: &str) -> BTreeSet<String> {
        let shape = &schema["$defs"][name];
        let all = shape["anyOf"].as_array().or(shape["oneOf"].as_array()).unwrap();
        all.iter()
            .filter_map(|one| one["properties"].as_object())
            .flat_map(|map| map.keys().cloned())
            .collect()
    }

    /// The values that a definition lists.
    fn values(schema: &Value, name: &str) -> Vec<Value> {
        let shape = &schema["$defs"][name];
        let consts = || Some(shape["oneOf"].as_array()?.iter().map(|one| one["const"].clone()));
        let listed = shape["enum"].as_array().cloned();
        listed.or_else(|| Some(consts()?.collect())).unwrap_or_else(|| panic!("{name}: {shape}"))
    }

    #[test]
    fn values_are_those_of_the_readers() {
        let schema = json_schema();
        let same = |name: &str, known: &[&str]| {
            assert_eq!(
                values(&schema, name),
                known.iter().map(|v| Value::from(*v)).collect::<Vec<_>>()
            );
        };
        same("EmitterKind", &emitter::EMITTER_KINDS);
        same("EmitterFormat", &["csv", "parquet"]);
        same("EmitterAggregation", &["none", "daily", "monthly"]);
        same("Column", &proto::config::emitter::CSV_COLUMNS);
        let of = |name: &str| values(&schema, name);
        assert_eq!(of("FocusVersion"), [json!("1.2"), json!(1.2), json!("1.3"), json!(1.3)]);
        assert_eq!(of("Shards").len(), 14);
        assert_eq!(of("Decimals").len(), 58);
        assert!(of("GroupedColumn").contains(&"unit".into()));
        assert!(!of("GroupedColumn").contains(&"amount".into()));
    }

    #[test]
    fn choices_are_those_of_the_readers() {
        let schema = json_schema();
        let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        let tier_keys = [&tier::TIER_KEYS[..], &stated::STATED_KEYS[..]].concat();
        assert_eq!(choices(&schema, "Tier"), set(&tier_keys));
        assert_eq!(choices(&schema, "Pattern"), set(&matching::PATTERN_KEYS));
        assert_eq!(choices(&schema, "Normaliser"), set(&tag::NORMALISER_KEYS));
    }
}
