//! Shape of a tenant's file, its rules apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proto::config::emitter::{CSV_COLUMNS, CSV_SUMS, DECIMALS_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::super::emitter::FOCUS_VERSIONS;

use super::measured::{GenericSource, KafkaSource};
use super::metrics::Metrics;
use super::rules::{Decimal, Driver, OneOrMany, Rule, Test, Text, one_of};
use super::timing::{Schedule, Sla};

/// Everything that is configured for one tenant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tenant {
    /// ISO 4217 codes; left out: any. A line in another currency is kept and warned about.
    pub currency: Option<OneOrMany<String>>,
    /// Only dates of the last so many days are gathered, such as `90d`.
    pub lookback: Option<String>,
    /// The youngest so many days are not gathered yet.
    pub cutoff: Option<String>,
    /// Dates younger than this are estimated.
    pub final_after: Option<String>,
    /// What a line that cannot be understood does to its date.
    pub on_bad_line: Option<OnBadLine>,
    /// Where bills come from, by id.
    pub sources: BTreeMap<String, Source>,
    /// Who can pay.
    pub owners: Option<Owners>,
    /// Virtual tags, used as `vtag.NAME`.
    pub tags: Option<BTreeMap<String, VirtualTag>>,
    /// Tables, used as `table.NAME`.
    pub tables: Option<BTreeMap<String, Table>>,
    /// Groups of owners.
    pub groups: Option<BTreeMap<String, Vec<String>>>,
    /// Weights from outside.
    pub drivers: Option<BTreeMap<String, Driver>>,
    /// The rules, in order.
    pub allocation: Option<Vec<Rule>>,
    /// Tests of the rules.
    pub tests: Option<Vec<Test>>,
    /// Where visible dates go, by id.
    pub emitters: Option<BTreeMap<String, Emitter>>,
    /// When deletions and withdrawals wait for a person.
    pub guards: Option<Guards>,
    /// Numbers that built-in chains use.
    pub allocator_params: Option<AllocatorParams>,
    /// How long what was calculated is kept; left out: for ever.
    pub retention: Option<Retention>,
    /// When its sources are gathered, unless they say otherwise; left out: `every: 15m`.
    pub schedule: Option<Schedule>,
    /// By when dates of its sources are to be visible, unless they say otherwise; left out: nobody asks.
    pub sla: Option<Sla>,
}

/// How long what was calculated is kept.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Retention {
    /// Months that lie further back than so many days are removed, such as `400d`; at least the replay horizon and
    /// `lookback`.
    pub dates: Option<String>,
}

/// Numbers that built-in chains use. The ratios of one product add to exactly 1.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AllocatorParams {
    /// What of a Confluent CKU is shared by usage; left out: 0.7.
    pub kafka_cku_usage_ratio: Option<Decimal>,
    /// What of it is shared evenly; left out: 0.3.
    pub kafka_cku_shared_ratio: Option<Decimal>,
}

/// What a line that cannot be understood does to its date.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum OnBadLine {
    /// It is set aside and counted; the rest goes on.
    Quarantine,
    /// The date does not become visible.
    Hold,
}

/// A source, by its `kind`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Source {
    /// FOCUS files.
    Focus(FocusSource),
    /// Seeded lines.
    Synthetic(SyntheticSource),
    /// A Kafka cluster of one's own.
    Kafka(Box<KafkaSource>),
    /// Anything that has metrics.
    Generic(Box<GenericSource>),
    /// An organization at Confluent Cloud.
    ConfluentCloud(Box<ConfluentSource>),
}

/// FOCUS Cost and Usage files.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FocusSource {
    /// `focus`.
    pub kind: FocusKind,
    /// Globs, relative to the configuration folder; each must match at least one file: CSV, plain or compressed with
    /// gzip or zstd, or Parquet. Parquet's doubles are read as the shortest decimal that is the same double.
    pub files: OneOrMany<String>,
    /// Which measure is a line's amount; left out: EffectiveCost.
    pub cost: Option<Measure>,
    /// What a bare `direct` looks at; left out: it never applies.
    pub owner: Option<OneOrMany<String>>,
    /// What to do about files with the same bytes; left out: error.
    pub duplicates: Option<Duplicates>,
    /// When it is gathered; left out: as the tenant says.
    pub schedule: Option<Schedule>,
    /// By when its dates are to be visible, or `none`; left out: as the tenant says.
    pub sla: Option<Sla>,
}

/// The kind of FOCUS files.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum FocusKind {
    /// FOCUS files.
    Focus,
}

/// Seeded lines: one per date, resource and product.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SyntheticSource {
    /// `synthetic`.
    pub kind: SyntheticKind,
    /// The same seed gives the same lines; left out: 0.
    pub seed: Option<u64>,
    /// The first date, `YYYY-MM-DD`.
    pub start: String,
    /// Number of dates.
    pub dates: u32,
    /// Resources per date.
    pub resources: u32,
    /// Products per resource.
    pub products: u32,
    /// Rows per line.
    pub fanout: u32,
    /// Identities that exist.
    pub identities: u32,
    /// When it is gathered; left out: as the tenant says.
    pub schedule: Option<Schedule>,
    /// By when its dates are to be visible, or `none`; left out: as the tenant says.
    pub sla: Option<Sla>,
}

/// The kind of seeded lines.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum SyntheticKind {
    /// Seeded lines.
    Synthetic,
}

/// An organization at Confluent Cloud: its bill, and what its services list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConfluentSource {
    /// `confluent_cloud`.
    pub kind: ConfluentKind,
    /// Id of an API key of a service account that may read bill and inventory.
    pub api_key: String,
    /// Where its secret is found: `${VAR}` or `file:/path`. The secret itself may not stand here.
    pub api_secret: String,
    /// Where its metrics come from, as Confluent's export gives them; left out: what is shared by usage is shared by who
    /// could have caused it.
    pub metrics: Option<Metrics>,
    /// Where the statements of Flink are listed, region by region; left out: nobody knows whose statements run.
    pub flink: Option<Vec<FlinkRegion>>,
    /// Another address of the API; left out: `https://api.confluent.cloud`.
    pub url: Option<String>,
    /// Days of the bill that one question asks for, 1 to 28; left out: 15.
    pub days_per_query: Option<Text>,
    /// For one attempt; left out: `30s`.
    pub timeout: Option<String>,
    /// Attempts for one question, the first one included; left out: 5.
    pub attempts: Option<Text>,
    /// Questions at a time; left out: 4.
    pub concurrency: Option<Text>,
    /// The largest answer that is read; left out: `64MiB`.
    pub response_max: Option<String>,
    /// When it is gathered; left out: as the tenant says.
    pub schedule: Option<Schedule>,
    /// By when its dates are to be visible, or `none`; left out: as the tenant says.
    pub sla: Option<Sla>,
}

/// A region of Flink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FlinkRegion {
    /// As compute pools name it: `aws`.
    pub cloud: String,
    /// As compute pools name it: `eu-west-1`.
    pub region: String,
    /// Id of an API key of that region.
    pub api_key: String,
    /// Where its secret is found: `${VAR}` or `file:/path`. The secret itself may not stand here.
    pub api_secret: String,
    /// Another address of the region's server; left out: `https://flink.REGION.CLOUD.confluent.cloud`.
    pub url: Option<String>,
}

/// The kind.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum ConfluentKind {
    /// An organization at Confluent Cloud.
    ConfluentCloud,
}

/// Which of a line's four costs is meant.
#[derive(JsonSchema)]
pub enum Measure {
    /// What the invoice says.
    BilledCost,
    /// Amortised.
    EffectiveCost,
    /// At negotiated prices.
    ContractedCost,
    /// At list prices.
    ListCost,
}

/// What to do about files with the same bytes.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Duplicates {
    /// The gather fails and names both.
    Error,
    /// Both count.
    Allow,
}

/// The owner directory.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Owners {
    /// CSV: id, name, kind, parent, cost_center, gl_code, email, aliases (with `;` between), valid_from, valid_to.
    pub file: String,
    /// An owner that is not listed makes a tier not apply; left out: false.
    pub strict: Option<bool>,
}

/// A tag made from others.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VirtualTag {
    /// The first of these fields that has a value.
    pub from: OneOrMany<String>,
    /// Applied in order.
    pub values: Option<Vec<Normaliser>>,
}

/// A step of normalising a value.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum Normaliser {
    /// `trim` or `lowercase`.
    Word(NormaliserWord),
    /// A prefix goes.
    StripPrefix {
        /// The prefix.
        strip_prefix: Text,
    },
    /// Whole values are replaced.
    Alias {
        /// What by what.
        alias: BTreeMap<String, Text>,
    },
    /// What a regular expression finds is replaced.
    Regex {
        /// What to find.
        regex: String,
        /// What stands there instead; `$1` and `$name` stand for groups.
        to: String,
    },
}

/// Normalisers that stand alone.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum NormaliserWord {
    /// White space at both ends goes.
    Trim,
    /// Lower case.
    Lowercase,
}

/// A table: key columns to one value.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Table {
    /// CSV with a header; `valid_from` and `valid_to` (the first day after) may date its rows.
    pub file: String,
    /// The key columns.
    pub key: OneOrMany<String>,
    /// The value column.
    pub value: String,
    /// Tried in order where no row fits.
    pub patterns: Option<Vec<TablePattern>>,
}

/// A pattern over a table's key: one of `regex` and `glob`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TablePattern {
    /// A regular expression that is found in the key.
    pub regex: Option<String>,
    /// A text with `*` and `?`.
    pub glob: Option<String>,
    /// The value; after a regular expression `$1` and `$name` stand for groups.
    pub value: String,
}

/// Where visible dates go.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Emitter {
    /// Left out: the emitter's id.
    pub kind: Option<EmitterKind>,
    /// Folder of its files, relative to the configuration folder.
    pub dir: Option<String>,
    /// Files below `dir`, with `{tenant}`, `{source}`, `{date}` (`2026-05-01`) and `{month}` (`2026-05`). Without
    /// `{date}` a file holds a month. Left out: `{tenant}_{source}_{date}.csv` (or `.parquet`), or `_{month}` with `aggregation: monthly`.
    pub file: Option<String>,
    /// Format of its files, for kind focus: `csv` (left out: that) or `parquet`.
    pub format: Option<EmitterFormat>,
    /// Decimals of the numbers in Parquet files, from 0 to 28; left out: 18. A number with more is refused.
    pub decimals: Option<Decimals>,
    /// For csv: `none` (left out: that), or `daily` or `monthly` to add rows up.
    pub aggregation: Option<EmitterAggregation>,
    /// Columns of CSV files: rows that are equal in them are added up. `currency` is always one of them. Left out:
    /// ecosystem, tenant_id, source, timestamp, resource_id, product_category, product_type, identity_id, owner_id,
    /// cost_type, currency.
    pub group_by: Option<OneOrMany<GroupedColumn>>,
    /// For csv: columns of the output, in order; left out: all.
    pub columns: Option<OneOrMany<Column>>,
    /// Only dates of the last so many days.
    pub lookback: Option<String>,
    /// Version of the format; for focus `1.2` (left out: that) or `1.3`.
    pub version: Option<FocusVersion>,
}

/// Kinds of emitters.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum EmitterKind {
    /// CSV files.
    Csv,
    /// FOCUS files.
    Focus,
    /// FOCUS files as Parquet.
    Parquet,
    /// Does not run yet.
    Prometheus,
    /// Does not run yet.
    Webhook,
}

/// Formats of files.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum EmitterFormat {
    /// CSV.
    Csv,
    /// Parquet.
    Parquet,
}

/// How rows of CSV files are added up.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum EmitterAggregation {
    /// A row per line and receiver.
    None,
    /// By day.
    Daily,
    /// By month.
    Monthly,
}

/// A version of FOCUS, quoted or not.
pub enum FocusVersion {}

impl JsonSchema for FocusVersion {
    fn schema_name() -> Cow<'static, str> {
        "FocusVersion".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        one_of(FOCUS_VERSIONS.iter().flat_map(|text| [Value::from(*text), number(text)]))
    }
}

/// Decimals of numbers.
pub enum Decimals {}

impl JsonSchema for Decimals {
    fn schema_name() -> Cow<'static, str> {
        "Decimals".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of((0..=DECIMALS_MAX).flat_map(|count| [count.into(), count.to_string().into()]))
    }
}

/// A column of CSV files.
pub enum Column {}

impl JsonSchema for Column {
    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of(CSV_COLUMNS.map(Value::from))
    }
}

/// A column of CSV files that rows can be grouped by.
pub enum GroupedColumn {}

impl JsonSchema for GroupedColumn {
    fn schema_name() -> Cow<'static, str> {
        "GroupedColumn".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let grouped = CSV_COLUMNS.into_iter().filter(|name| !CSV_SUMS.contains(name));
        one_of(grouped.map(Value::from))
    }
}

/// When deletions and withdrawals wait for a person.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Guards {
    /// So many gathers in a row that find nothing before anything is deleted, or `never`; left out: 3.
    pub zero_gather_threshold: Option<Text>,
    /// And so long since the first of them; left out: `24h`.
    pub min_wall: Option<String>,
    /// A drop of more than this waits likewise; left out: `20%`.
    pub max_drop: Option<Decimal>,
}
