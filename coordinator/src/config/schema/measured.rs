//! Shape of sources whose costs are measured. Their keys may stand in a file of their own, which `settings` names.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::metrics::Metrics;
use super::rules::{Decimal, Text};
use super::timing::{Schedule, Sla};

/// A Kafka cluster of one's own: its metrics with a price list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KafkaSource {
    /// `self_managed_kafka`.
    pub kind: KafkaKind,
    /// A file with the other keys, relative to the configuration folder.
    pub settings: Option<String>,
    /// When it is gathered; left out: as the tenant says.
    pub schedule: Option<Schedule>,
    /// By when its dates are to be visible, or `none`; left out: as the tenant says.
    pub sla: Option<Sla>,
    /// Where its metrics come from.
    pub metrics: Option<Metrics>,
    /// The resource that its lines name.
    pub cluster_id: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Where it stands: chooses among `region_overrides`.
    pub region: Option<String>,
    /// Currency of the prices; left out: USD.
    pub currency: Option<String>,
    /// Number of brokers.
    pub broker_count: Option<Text>,
    /// The prices.
    pub cost_model: Option<CostModel>,
    /// Who could have caused the costs; left out: the principals that the metrics name.
    pub identity_source: Option<IdentitySource>,
    /// How far back brokers, topics and principals are looked for; left out: `1h`.
    pub discovery_window: Option<String>,
    /// Matchers of the cluster's metrics, where a server has those of several: `cluster="eu"`.
    pub selector: Option<String>,
    /// What the metrics are called; left out: as Kafka's JMX exporter calls them.
    pub metric_names: Option<MetricNames>,
}

/// The kind.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum KafkaKind {
    /// A Kafka cluster of one's own.
    SelfManagedKafka,
}

/// Prices of a Kafka cluster.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CostModel {
    /// Of a broker and hour.
    pub compute_hourly_rate: Decimal,
    /// Of a GiB and hour.
    pub storage_per_gib_hourly: Decimal,
    /// Of a GiB that is produced.
    pub network_ingress_per_gib: Decimal,
    /// Of a GiB that is consumed.
    pub network_egress_per_gib: Decimal,
    /// Other prices by region; what is left out stays as above.
    pub region_overrides: Option<BTreeMap<String, RegionRates>>,
}

/// Other prices of a region.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegionRates {
    /// Of a broker and hour.
    pub compute_hourly_rate: Option<Decimal>,
    /// Of a GiB and hour.
    pub storage_per_gib_hourly: Option<Decimal>,
    /// Of a GiB that is produced.
    pub network_ingress_per_gib: Option<Decimal>,
    /// Of a GiB that is consumed.
    pub network_egress_per_gib: Option<Decimal>,
}

/// What the metrics of a Kafka cluster are called.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MetricNames {
    /// Counter of bytes that were produced; left out: `kafka_server_brokertopicmetrics_bytesin_total`.
    pub bytes_in: Option<String>,
    /// Counter of bytes that were consumed; left out: `kafka_server_brokertopicmetrics_bytesout_total`.
    pub bytes_out: Option<String>,
    /// Bytes of a log; left out: `kafka_log_log_size`.
    pub log_size: Option<String>,
}

/// Anything that has metrics, with a price list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GenericSource {
    /// `generic_metrics`.
    pub kind: GenericKind,
    /// A file with the other keys, relative to the configuration folder.
    pub settings: Option<String>,
    /// When it is gathered; left out: as the tenant says.
    pub schedule: Option<Schedule>,
    /// By when its dates are to be visible, or `none`; left out: as the tenant says.
    pub sla: Option<Sla>,
    /// Where its metrics come from.
    pub metrics: Option<Metrics>,
    /// The resource that its lines name.
    pub cluster_id: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Where it stands.
    pub region: Option<String>,
    /// Currency of the prices; left out: USD.
    pub currency: Option<String>,
    /// What costs money: a line a day each.
    pub cost_types: Option<Vec<CostType>>,
    /// Who could have caused the costs.
    pub identity_source: Option<IdentitySource>,
}

/// The kind.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum GenericKind {
    /// Anything that has metrics.
    GenericMetrics,
}

/// Something that costs money.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CostType {
    /// Product type of its lines, and the metric of its usage.
    pub name: String,
    /// Product category of its lines.
    pub product_category: String,
    /// Price of a unit.
    pub rate: Decimal,
    /// Number of units.
    pub cost_quantity: CostQuantity,
    /// How it is shared.
    pub allocation_strategy: AllocationStrategy,
    /// Gives the usage of the step that ends at a moment, by identity; for `usage_ratio`.
    pub allocation_query: Option<String>,
    /// The label that says whose it is; left out: `principal`.
    pub allocation_label: Option<String>,
}

/// How much there was of something.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CostQuantity {
    /// Units: hours of a fixed number, GiB-hours of a size, GiB that were moved.
    #[schemars(rename = "type")]
    pub kind: QuantityType,
    /// The number; for `fixed`.
    pub count: Option<Decimal>,
    /// Gives bytes: a size at a moment, or what was moved in the step that ends there.
    pub query: Option<String>,
}

/// Units of a quantity.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum QuantityType {
    /// A number, all day.
    Fixed,
    /// The mean of a size.
    StorageGib,
    /// The sum of what was moved.
    NetworkGib,
}

/// How a cost is shared.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum AllocationStrategy {
    /// Among all that were active.
    EvenSplit,
    /// By usage.
    UsageRatio,
}

/// Who could have caused costs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IdentitySource {
    /// Those that the metrics name, those that are listed, or both; left out: prometheus.
    pub source: Option<IdentityOrigin>,
    /// The label that names a principal; left out: `principal`.
    pub label: Option<String>,
    /// Gives those that are active at a moment; kind `generic_metrics` needs it unless `source` is `static`.
    pub discovery_query: Option<String>,
    /// Team of each principal.
    pub principal_to_team: Option<BTreeMap<String, String>>,
    /// Team of all others; left out: UNASSIGNED.
    pub default_team: Option<String>,
    /// Those that are listed.
    pub static_identities: Option<Vec<StaticIdentity>>,
    /// Who is charged; left out: principal.
    pub charge: Option<ChargeOf>,
}

/// Where identities come from.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum IdentityOrigin {
    /// The metrics.
    Prometheus,
    /// The list.
    Static,
    /// Both.
    Both,
}

/// Who is charged.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum ChargeOf {
    /// The principal; its team is an attribute.
    Principal,
    /// The team.
    Team,
}

/// An identity that is listed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StaticIdentity {
    /// Its id.
    pub identity_id: String,
    /// Its type; left out: `principal`.
    pub identity_type: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// Its team; left out: by `principal_to_team`.
    pub team: Option<String>,
}
