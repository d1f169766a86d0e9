//! What the rules of a source can see on a date, and nothing else: what their hash covers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::driver::Driver;
use super::field::Field;
use super::matching::Match;
use super::rule::{CostShare, FixedShares, Receivers, Rule, Tier, Usage};
use super::source::SourceConfig;
use super::table::{Table, TablePattern, VirtualTag};
use super::{TenantConfig, hashing};
use crate::ids::{DriverId, SourceId};
use crate::line::Measure;
use crate::time::UnitDate;

/// The part of a configuration that can change a row of (source, date).
///
/// Validity is applied and left out, and so are names, mail addresses and cost centres of owners (they are joined
/// when reading): what does not hold on the date does not change its hash.
#[derive(Serialize)]
pub(super) struct Visible<'a> {
    engine: u32,
    source: &'a SourceId,
    kind: &'a str,
    cost: Measure,
    owner: &'a [Field],
    rules: Vec<(&'a str, &'a Match, &'a [Tier])>,
    tags: BTreeMap<&'a str, &'a VirtualTag>,
    tables: BTreeMap<&'a str, VisibleTable<'a>>,
    groups: BTreeMap<&'a str, &'a [String]>,
    drivers: BTreeMap<&'a str, &'a Driver>,
    /// Whose weights are asked for: what other rules make of ledger drivers counts, and how a server is asked.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ledger: BTreeSet<DriverId>,
    strict: Option<bool>,
    owners: Vec<(&'a str, &'a [String])>,
}

#[derive(Serialize)]
struct VisibleTable<'a> {
    key: &'a [String],
    rows: Vec<(&'a [String], &'a str)>,
    patterns: &'a [TablePattern],
}

impl<'a> Visible<'a> {
    pub(super) fn of(config: &'a TenantConfig, source: &'a SourceConfig, date: UnitDate) -> Self {
        let rules = config.rules_in_force(source, date);
        let mut names = Names::new(config);
        source.owner_fields().iter().for_each(|field| names.field(field));
        for rule in &rules {
            names.matcher(&rule.matcher);
            names.chain(&rule.chain);
        }
        let rules_seen: Vec<&Rule> = rules.clone();
        let mut weights = config.ledger_ids(source, &rules_seen);
        let metric = names.drivers.iter().filter_map(|name| config.metric_driver(name));
        weights.extend(metric.map(|driver| driver.id));
        let owners = config.owners.iter().flat_map(|owners| &owners.rows);
        Self {
            engine: hashing::ENGINE_VERSION,
            source: &source.id,
            kind: source.kind(),
            cost: source.cost(),
            owner: source.owner_fields(),
            rules: rules
                .into_iter()
                .map(|rule| (rule.id.as_str(), &rule.matcher, rule.chain.as_slice()))
                .collect(),
            tags: pick(&names.tags, &config.tags, |tag| tag),
            tables: pick(&names.tables, &config.tables, |table| visible_table(table, date)),
            groups: pick(&names.groups, &config.groups, Vec::as_slice),
            drivers: pick(&names.drivers, &config.drivers, |driver| driver),
            ledger: weights,
            strict: config.owners.as_ref().map(|owners| owners.strict),
            owners: owners
                .filter(|row| row.valid.contains(date))
                .map(|row| (row.id.as_str(), row.aliases.as_slice()))
                .collect(),
        }
    }
}

fn visible_table(table: &Table, date: UnitDate) -> VisibleTable<'_> {
    let rows = table.rows.iter().filter(|row| row.valid.contains(date));
    VisibleTable {
        key: &table.key,
        rows: rows.map(|row| (row.key.as_slice(), row.value.as_str())).collect(),
        patterns: &table.patterns,
    }
}

fn pick<'a, T, U>(
    names: &BTreeSet<&'a str>,
    all: &'a BTreeMap<String, T>,
    view: impl Fn(&'a T) -> U,
) -> BTreeMap<&'a str, U> {
    names.iter().filter_map(|name| all.get(*name).map(|value| (*name, view(value)))).collect()
}

/// Names that rules mention, directly or through what they mention.
struct Names<'a> {
    config: &'a TenantConfig,
    tags: BTreeSet<&'a str>,
    tables: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
    drivers: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn new(config: &'a TenantConfig) -> Self {
        let none = BTreeSet::new;
        Self { config, tags: none(), tables: none(), groups: none(), drivers: none() }
    }

    fn field(&mut self, field: &'a Field) {
        match field {
            Field::VirtualTag(name) => {
                if self.tags.insert(name)
                    && let Some(tag) = self.config.tags.get(name)
                {
                    tag.from.iter().for_each(|field| self.field(field));
                }
            }
            Field::Table(name) => self.table(name),
            Field::Column(_)
            | Field::Tag(_)
            | Field::Source
            | Field::ProductType
            | Field::ProductCategory
            | Field::ResourceId => {}
        }
    }

    fn table(&mut self, name: &'a str) {
        if !self.tables.insert(name) {
            return;
        }
        // A key column may itself be `vtag.NAME` or `table.NAME`.
        for column in self.config.tables.get(name).into_iter().flat_map(|table| &table.key) {
            if let Some(tag) = column.strip_prefix("vtag.") {
                if self.tags.insert(tag)
                    && let Some(tag) = self.config.tags.get(tag)
                {
                    tag.from.iter().for_each(|field| self.field(field));
                }
            } else if let Some(table) = column.strip_prefix("table.") {
                self.table(table);
            }
        }
    }

    fn matcher(&mut self, matcher: &'a Match) {
        match matcher {
            Match::All(parts) | Match::Any(parts) => {
                parts.iter().for_each(|part| self.matcher(part))
            }
            Match::Field(field, _) => self.field(field),
        }
    }

    fn driver(&mut self, name: &'a str) {
        if !self.drivers.insert(name) {
            return;
        }
        match self.config.drivers.get(name) {
            Some(Driver::Metric { owner: Some(owner), .. }) => self.table(&owner.table),
            Some(Driver::Table { table }) => self.table(table),
            Some(Driver::Ledger { of: Some(of), .. }) => self.matcher(of),
            Some(Driver::Metric { owner: None, .. } | Driver::Ledger { of: None, .. }) | None => {}
        }
    }

    fn chain(&mut self, chain: &'a [Tier]) {
        chain.iter().for_each(|tier| self.tier(tier));
    }

    fn tier(&mut self, tier: &'a Tier) {
        match tier {
            Tier::Direct { fields } => fields.iter().for_each(|field| self.field(field)),
            Tier::Even(Receivers::Group(name)) => {
                self.groups.insert(name);
            }
            Tier::UsageRatio(Usage::Driver(name)) => self.driver(name),
            Tier::Fixed(FixedShares::Table(name)) => self.table(name),
            Tier::InProportionToCost(CostShare::Driver { driver, within }) => {
                self.driver(driver);
                within.iter().for_each(|field| self.field(field));
            }
            Tier::InProportionToCost(CostShare::Ledger { of, within, to, .. }) => {
                of.iter().for_each(|of| self.matcher(of));
                within.iter().for_each(|field| self.field(field));
                self.groups.extend(to.as_deref());
            }
            Tier::Composition(parts) => parts.iter().for_each(|part| self.chain(&part.chain)),
            Tier::Stated(stated) => self.tier(&stated.tier),
            Tier::Even(Receivers::Set(_))
            | Tier::UsageRatio(Usage::Metric(_))
            | Tier::Fixed(FixedShares::Inline(_))
            | Tier::Resource
            | Tier::Unallocated(_) => {}
        }
    }
}
