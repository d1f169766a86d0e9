//! Fields of rules, compiled: each distinct field once, after everything that it looks at.

use std::borrow::Cow;
use std::collections::HashMap;

use proto::config::{Field, TenantConfig};
use proto::ids::SourceId;
use proto::line::{Measure, cell};

use super::error::CompileError;
use super::lookup::Lookup;
use super::normalise::Step;

/// Place of a field in [`Fields`].
pub type FieldId = usize;

/// How the values of a field are found.
#[derive(Debug)]
pub enum Plan {
    /// A cell of that name.
    Cell(String),
    /// Derived from what every line has.
    Typed(Typed),
    /// The same for every line.
    Constant(String),
    /// The tag with this key.
    Tag(String),
    /// The first of these fields with a value, normalised.
    FirstOf(Vec<FieldId>, Vec<Step>),
    /// What a table gives for these fields.
    Table(Vec<FieldId>, Lookup),
}

/// FOCUS columns that lines carry in a typed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// A cost.
    Measure(Measure),
    /// Pricing (0) or consumed (1) quantity.
    Quantity(usize),
    /// `BillingCurrency`.
    Currency,
    /// `ChargePeriodStart`, as `YYYY-MM-DDTHH:MM:SSZ`.
    ChargeStart,
    /// `ChargePeriodEnd`.
    ChargeEnd,
    /// `BillingPeriodStart`: the first second of the month.
    PeriodStart,
    /// `BillingPeriodEnd`: the first second of the month after.
    PeriodEnd,
}

impl Typed {
    fn of_column(name: &str) -> Option<Self> {
        let measure = Measure::ALL.into_iter().find(|m| m.column() == name);
        measure.map(Self::Measure).or(match name {
            "PricingQuantity" => Some(Self::Quantity(0)),
            "ConsumedQuantity" => Some(Self::Quantity(1)),
            "BillingCurrency" => Some(Self::Currency),
            "ChargePeriodStart" => Some(Self::ChargeStart),
            "ChargePeriodEnd" => Some(Self::ChargeEnd),
            "BillingPeriodStart" => Some(Self::PeriodStart),
            "BillingPeriodEnd" => Some(Self::PeriodEnd),
            _ => None,
        })
    }
}

/// All fields that the rules of a source look at.
#[derive(Debug, Default)]
pub struct Fields {
    /// Each stands after the fields that it looks at.
    plans: Vec<(Field, Plan)>,
    ids: HashMap<Field, FieldId>,
}

impl Fields {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.plans.len()
    }
    /// How the values of a field are found.
    pub fn plan(&self, id: FieldId) -> &Plan {
        &self.plans[id].1
    }
    /// The field in its one canonical form.
    pub fn name(&self, id: FieldId) -> &Field {
        &self.plans[id].0
    }
}

/// The one form of a field: `resource_id` and `product_category` are columns by another name.
pub fn canonical(field: &Field) -> Field {
    match field {
        Field::ResourceId => Field::Column(cell::RESOURCE_ID.to_owned()),
        Field::ProductCategory => Field::Column(cell::PRODUCT_CATEGORY.to_owned()),
        Field::Column(_) | Field::Tag(_) | Field::VirtualTag(_) | Field::Table(_) => field.clone(),
        Field::Source | Field::ProductType => field.clone(),
    }
}

/// The type of an identity that this field names: what stands before its colon.
///
/// | field | type |
/// |---|---|
/// | `tag.KEY`, `vtag.NAME` | `tag` |
/// | `table.NAME` | `table` |
/// | `ResourceId`, `resource_id` | `resource` |
/// | another column | its name in snake case: `sub_account_id`, `x_team` |
/// | `source`, `product_type` | the word itself |
pub fn identity_type(field: &Field) -> Cow<'static, str> {
    match field {
        Field::Column(name) if name == cell::RESOURCE_ID => "resource".into(),
        Field::Column(name) => snake_case(name).into(),
        Field::Tag(_) | Field::VirtualTag(_) => "tag".into(),
        Field::Table(_) => "table".into(),
        Field::Source => "source".into(),
        Field::ProductType => "product_type".into(),
        Field::ProductCategory => snake_case(cell::PRODUCT_CATEGORY).into(),
        Field::ResourceId => "resource".into(),
    }
}

fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| letters[j]);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|b| {
                let acronym_ends = letters.get(i + 1).is_some_and(|next| next.is_lowercase());
                b.is_lowercase() || b.is_ascii_digit() || (b.is_uppercase() && acronym_ends)
            });
        if starts_word {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Compiles fields as rules mention them.
#[derive(Debug)]
pub struct FieldCompiler<'c> {
    config: &'c TenantConfig,
    source: &'c SourceId,
    fields: Fields,
    /// Fields under way, outermost first: what must not be met again.
    open: Vec<Field>,
}

impl<'c> FieldCompiler<'c> {
    /// For the rules that lines of `source` meet.
    pub fn new(config: &'c TenantConfig, source: &'c SourceId) -> Self {
        Self { config, source, fields: Fields::default(), open: Vec::new() }
    }

    /// The value that a field has on every line, whatever the line holds.
    pub fn constant(&self, field: &Field) -> Option<&'c str> {
        (*field == Field::Source).then_some(self.source.as_str())
    }

    /// All fields asked for.
    pub fn finish(self) -> Fields {
        self.fields
    }

    /// The place of a field. Two names of one field share it.
    pub fn id(&mut self, field: &Field) -> Result<FieldId, CompileError> {
        let field = canonical(field);
        if let Some(id) = self.fields.ids.get(&field) {
            return Ok(*id);
        }
        if self.open.contains(&field) {
            return Err(CompileError::Circle(field.to_string()));
        }
        self.open.push(field.clone());
        let plan = self.plan(&field)?;
        self.open.pop();
        let id = self.fields.plans.len();
        self.fields.plans.push((field.clone(), plan));
        self.fields.ids.insert(field, id);
        Ok(id)
    }

    /// The places of several fields.
    pub fn ids(&mut self, fields: &[Field]) -> Result<Vec<FieldId>, CompileError> {
        fields.iter().map(|field| self.id(field)).collect()
    }

    fn plan(&mut self, field: &Field) -> Result<Plan, CompileError> {
        let column = |name: &str| Field::Column(name.to_owned());
        Ok(match field {
            Field::Column(name) => {
                Typed::of_column(name).map_or_else(|| Plan::Cell(name.clone()), Plan::Typed)
            }
            Field::ResourceId => Plan::Cell(cell::RESOURCE_ID.to_owned()),
            Field::ProductCategory => Plan::Cell(cell::PRODUCT_CATEGORY.to_owned()),
            Field::ProductType => {
                let from = self.ids(&[column(cell::PRODUCT_TYPE), column(cell::SERVICE)])?;
                Plan::FirstOf(from, Vec::new())
            }
            Field::Source => Plan::Constant(self.source.to_string()),
            Field::Tag(key) => Plan::Tag(key.clone()),
            Field::VirtualTag(name) => {
                let tag = self.config.tags.get(name).ok_or_else(|| unknown(field, "tag", name))?;
                let from = self.ids(&tag.from)?;
                Plan::FirstOf(from, Step::compile_all(&tag.values, name)?)
            }
            Field::Table(name) => {
                let table =
                    self.config.tables.get(name).ok_or_else(|| unknown(field, "table", name))?;
                let key = |column: &String| {
                    Field::parse(column).map_err(|source| CompileError::KeyColumn {
                        table: name.clone(),
                        column: column.clone(),
                        source,
                    })
                };
                let keys = table.key.iter().map(key).collect::<Result<Vec<_>, _>>()?;
                Plan::Table(self.ids(&keys)?, Lookup::compile(table, name)?)
            }
        })
    }
}

fn unknown(field: &Field, what: &'static str, name: &str) -> CompileError {
    CompileError::Unknown { place: field.to_string(), what, name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_typed_by_their_field() {
        for (field, want) in [
            ("ResourceId", "resource"),
            ("resource_id", "resource"),
            ("SubAccountId", "sub_account_id"),
            ("x_Team", "x_team"),
            ("x_AWSAccountID", "x_aws_account_id"),
            ("tag.a.b", "tag"),
            ("vtag.team", "tag"),
            ("table.accounts", "table"),
            ("source", "source"),
            ("product_type", "product_type"),
            ("product_category", "service_category"),
        ] {
            assert_eq!(identity_type(&canonical(&Field::parse(field).unwrap())), want, "{field}");
        }
    }
}
