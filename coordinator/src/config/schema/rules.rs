//! Shape of rules, patterns, tiers and tests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::tenant::Measure;

/// A decimal number or a percentage, as a number or a text; read exactly.
pub enum Decimal {}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "description": "A decimal number, read exactly." })
    }
}

/// A scalar: what looks like a number or a date is read as the text that it is.
pub enum Text {}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "description": "A text." })
    }
}

/// One of a fixed set of values that come from the reader.
#[must_use]
pub fn one_of(values: impl IntoIterator<Item = Value>) -> Schema {
    let mut schema = Schema::default();
    schema.insert("enum".to_owned(), Value::Array(values.into_iter().collect()));
    schema
}

/// Over which lines costs are added up.
pub enum Window {}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["charge_period", "date", "billing_period"] },
            { "type": "string", "pattern": "^trailing " },
        ] })
    }
}

/// One thing, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

/// Who gets the cost of which lines. The first rule that matches wins.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rule {
    /// Its id, printed on every row; unique, or with days that follow each other.
    pub id: String,
    /// For lines of these sources only.
    pub source: Option<OneOrMany<String>>,
    /// Which lines; left out: every line.
    #[schemars(rename = "match")]
    pub matcher: Option<Match>,
    /// On which charge dates.
    pub valid: Option<Valid>,
    /// Tried in order; the first tier that applies wins.
    #[schemars(length(min = 1))]
    pub chain: Vec<Tier>,
}

/// Days on which a rule holds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Valid {
    /// The first day, `YYYY-MM-DD`.
    pub from: Option<String>,
    /// The first day after.
    pub until: Option<String>,
}

/// Conditions that must all hold: fields with their patterns, and nested ones.
#[derive(JsonSchema)]
pub struct Match {
    /// One of these must hold.
    pub any: Option<Vec<Match>>,
    /// All of these must hold.
    pub all: Option<Vec<Match>>,
    /// A FOCUS column, `x_COLUMN`, `tag.KEY`, `vtag.NAME`, `table.NAME`, `source`, `product_type`,
    /// `product_category` or `resource_id`, with its pattern.
    #[schemars(flatten)]
    pub fields: BTreeMap<String, Pattern>,
}

/// What a value must be.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum Pattern {
    /// Exactly this text; `*` and `?` make it a glob; `present` and `absent` without quotes are keywords.
    Text(Text),
    /// One of these.
    AnyOf(Vec<Pattern>),
    /// A regular expression that is found in the value.
    Regex {
        /// The expression.
        regex: String,
    },
    /// The pattern does not hold.
    Not {
        /// The pattern.
        not: Box<Pattern>,
    },
    /// A decimal number within bounds, both not included.
    Compare {
        /// Greater than.
        gt: Option<Decimal>,
        /// Less than.
        lt: Option<Decimal>,
    },
}

/// One way to find who pays.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum Tier {
    /// A tier that stands alone.
    Word(TierWord),
    /// The first of these fields with a value names who pays.
    Direct {
        /// The fields.
        direct: OneOrMany<String>,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// The same share for each.
    Even {
        /// A group, or `resource_active`, `metrics_derived`, `merged_active`, `tenant_period`.
        even: String,
        /// Of a resolution's set, only identities of these types: `service_account`, `user`, …
        identity_types: Option<OneOrMany<String>>,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// In proportion to measured usage.
    UsageRatio {
        /// A driver, or metrics of the line's resolution.
        usage_ratio: Usage,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// By stated percents, which add to exactly 100.
    Fixed {
        /// Percentage by owner; or `table: NAME`.
        fixed: BTreeMap<String, Text>,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// In proportion to what the owners cost already.
    InProportionToCost {
        /// Which cost counts.
        in_proportion_to_cost: CostShare,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// The amount in parts, each with a chain of its own.
    Composition {
        /// The parts; their percents add to exactly 100.
        composition: Vec<Part>,
    },
    /// The line's resource.
    Resource {
        /// `true`.
        resource: bool,
        /// What its rows say.
        #[schemars(flatten)]
        says: Says,
    },
    /// Nobody, for this reason.
    Unallocated {
        /// The reason.
        unallocated: Reason,
    },
}

/// What the rows of a tier say instead of what they would.
#[derive(JsonSchema)]
pub struct Says {
    /// Whether who gets it caused it, or shares it.
    pub cost_type: Option<RowCostType>,
    /// The allocation method.
    pub method: Option<String>,
    /// The allocation detail; left out: what was tried before.
    pub detail: Option<String>,
}

/// Whether who gets a cost caused it.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum RowCostType {
    /// It did.
    Usage,
    /// It shares it with others.
    Shared,
}

/// Tiers that stand alone.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum TierWord {
    /// The source's `owner` fields.
    Direct,
    /// The line's resource.
    Resource,
    /// Nobody; the reason comes from the tier before.
    Unallocated,
}

/// Weights of `usage_ratio`.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum Usage {
    /// A driver.
    Driver(String),
    /// Metrics of the line's resolution.
    Metric {
        /// Their names; summed.
        metric: OneOrMany<String>,
    },
}

/// Which cost counts for `in_proportion_to_cost`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CostShare {
    /// A ledger driver; only `within` may stand beside it.
    pub driver: Option<String>,
    /// Fields that must be equal on both sides.
    pub within: Option<OneOrMany<String>>,
    /// Which lines count; left out: those with ChargeCategory Usage.
    pub of: Option<Match>,
    /// Only owners of this group share.
    pub to: Option<String>,
    /// `all`, or ids; left out: the line's own source.
    pub sources: Option<OneOrMany<String>>,
    /// `charge_period` (default), `date`, `billing_period` or `trailing Nd`.
    pub window: Option<Window>,
}

/// A part of a composition.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Part {
    /// Its percentage, above 0.
    pub percent: Decimal,
    /// Who gets it.
    #[schemars(length(min = 1))]
    pub chain: Vec<Tier>,
}

/// Why nobody was found.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Reason {
    /// No field that names an owner has a value.
    Untagged,
    /// The value names nobody in the owner directory.
    UnknownOwner,
    /// No weights.
    NoDriver,
    /// The weights are not there yet.
    DriverPending,
    /// No rule says who.
    NoRule,
    /// The allocation failed.
    AllocationFailed,
    /// A commitment that was paid and not used.
    UnusedCommitment,
}

/// Where weights come from: exactly one of `metric`, `table` and `ledger`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Driver {
    /// A metrics query.
    pub metric: Option<String>,
    /// The source that is asked.
    pub source: Option<String>,
    /// How a label becomes an owner.
    pub owner: Option<MetricOwner>,
    /// A table: owner to weight.
    pub table: Option<String>,
    /// Cost that the ledger holds.
    pub ledger: Option<Ledger>,
}

/// Turns a label of a metric into an owner.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MetricOwner {
    /// A table with one key column.
    pub table: String,
    /// The label that holds the key.
    pub key: String,
}

/// Cost that the ledger holds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Ledger {
    /// `all` (default), or ids.
    pub sources: Option<OneOrMany<String>>,
    /// Which measure; left out: each source's own.
    pub cost: Option<Measure>,
    /// Which lines count; left out: those with ChargeCategory Usage.
    pub of: Option<Match>,
    /// `charge_period` (default), `date`, `billing_period` or `trailing Nd`.
    pub window: Option<Window>,
}

/// A test of the rules.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Test {
    /// What it is called.
    pub name: String,
    /// The rule that must take the line.
    pub rule: Option<String>,
    /// `cost`, `date`, and values of the line's fields.
    pub line: BTreeMap<String, Text>,
    /// Weights per driver and owner.
    pub drivers: Option<BTreeMap<String, BTreeMap<String, Decimal>>>,
    /// Who must get what; the amounts add to the cost.
    pub expect: BTreeMap<String, Decimal>,
}
