//! What ledger drivers add up: which rows of which sources, and in which order of stages.
//!
//! A rule that shares by cost of other dates or sources has a *stage*: 1, or 1 above the highest stage of a rule that it
//! counts. It counts a rule of a higher stage than 0 only where its `of` says so: every field that `of` states is stated
//! by that rule's match, too, and a value can fit both. What nobody stated is not counted, and neither are rows of the
//! own stage, of stages above it, or of UNALLOCATED. Shares by cost of the line's own date and source are found within
//! the unit, and have no stage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::driver::{CostWindow, Driver, SourceScope};
use super::field::Field;
use super::ledger_match::states;
use super::matching::{Match, Pattern};
use super::rule::{CostShare, Rule, Tier, Usage};
use super::{SourceConfig, TenantConfig};
use crate::hash::Hash128;
use crate::ids::{DriverId, SourceId};
use crate::line::{Measure, cell};
use crate::time::{BillingPeriod, UnitDate, UtcSeconds};

/// The fields that the ledger keeps of every line, by their canonical names: the only ones that a ledger driver's `of`
/// and `within` can look at.
pub const LEDGER_FIELDS: [&str; 13] = [
    "source",
    "product_type",
    cell::INVOICE,
    cell::RESOURCE_ID,
    cell::PRODUCT_CATEGORY,
    cell::PROVIDER,
    cell::BILLING_ACCOUNT,
    cell::SUB_ACCOUNT,
    cell::SERVICE,
    cell::CHARGE_CATEGORY,
    cell::CHARGE_CLASS,
    cell::PRICING_UNIT,
    cell::CONSUMED_UNIT,
];

/// Stands between the values of `within` in [`crate::driver::DriverWeight::within`].
pub const WITHIN_SEPARATOR: &str = "\u{1f}";

/// One field's place in [`LEDGER_FIELDS`]; `None`: the ledger does not keep it.
#[must_use]
pub fn ledger_field(field: &Field) -> Option<usize> {
    let name = match field {
        Field::Source => "source",
        Field::ProductType => "product_type",
        Field::ProductCategory => cell::PRODUCT_CATEGORY,
        Field::ResourceId => cell::RESOURCE_ID,
        Field::Column(name) => name,
        Field::Tag(_) | Field::VirtualTag(_) | Field::Table(_) => return None,
    };
    LEDGER_FIELDS.iter().position(|known| *known == name)
}

/// A table of weights that the ledger adds up, whatever its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTable {
    /// Hash of all that decides the weights: two rules that count the same share one table.
    pub id: DriverId,
    /// What it is called where people read: the driver's name, or the rule's id.
    pub name: String,
    /// Lines of which sources count, sorted.
    pub sources: Vec<SourceId>,
    /// Which measure. `None`: each line's amount.
    pub cost: Option<Measure>,
    /// Which lines count.
    pub of: Match,
    /// Fields that must be equal on both sides, in order.
    pub within: Vec<Field>,
    /// The stage of the rule that uses it, 1 or more.
    pub stage: u32,
    /// Rules whose rows do not count: of this stage and above, sorted.
    pub without: Vec<String>,
}

#[derive(Serialize)]
struct Content<'a> {
    sources: &'a [SourceId],
    cost: Option<Measure>,
    of: &'a Match,
    within: &'a [Field],
    without: &'a [String],
}

/// How a tier uses cost of other units.
#[derive(Debug, Clone, Copy)]
pub struct LedgerUse<'c> {
    /// The driver's name, where it has one.
    pub driver: Option<&'c str>,
    /// Lines of which sources count.
    pub sources: &'c SourceScope,
    /// Which measure.
    pub cost: Option<Measure>,
    /// Which lines count. `None`: those with ChargeCategory `Usage`.
    pub of: Option<&'c Match>,
    /// Fields that must be equal on both sides.
    pub within: &'c [Field],
    /// Lines of which days count.
    pub window: CostWindow,
}

/// A tier's use of cost, unless a pass over the line's own unit finds it.
#[must_use]
pub fn ledger_use<'c>(
    config: &'c TenantConfig,
    tier: &'c Tier,
    own: &SourceId,
) -> Option<LedgerUse<'c>> {
    let named = |name: &'c str, within: &'c [Field]| match config.drivers.get(name) {
        Some(Driver::Ledger { sources, cost, of, window }) => Some(LedgerUse {
            driver: Some(name),
            sources,
            cost: *cost,
            of: of.as_ref(),
            within,
            window: *window,
        }),
        Some(Driver::Metric { .. } | Driver::Table { .. }) | None => None,
    };
    match tier.plain() {
        Tier::UsageRatio(Usage::Driver(name)) => named(name, &[]),
        Tier::InProportionToCost(CostShare::Driver { driver, within }) => named(driver, within),
        Tier::InProportionToCost(CostShare::Ledger { of, within, sources, window, .. }) => {
            let of = of.as_ref();
            let stated =
                LedgerUse { driver: None, sources, cost: None, of, within, window: *window };
            (!is_of_the_unit(own, sources, *window)).then_some(stated)
        }
        Tier::Direct { .. }
        | Tier::Even(_)
        | Tier::UsageRatio(Usage::Metric(_))
        | Tier::Fixed(_)
        | Tier::Composition(_)
        | Tier::Resource
        | Tier::Stated(_)
        | Tier::Unallocated(_) => None,
    }
}

/// Whether a pass over the line's own unit finds all that counts.
#[must_use]
pub fn is_of_the_unit(own: &SourceId, sources: &SourceScope, window: CostWindow) -> bool {
    let own_only = match sources {
        SourceScope::Own => true,
        SourceScope::All => false,
        SourceScope::These(these) => these.iter().all(|source| source == own),
    };
    own_only && window == CostWindow::Date
}

/// Rules that count each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules count each other's cost in a circle: {}", .0.join(" → "))]
pub struct StageCycle(pub Vec<String>);

/// The stage of every rule that has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages(BTreeMap<String, u32>);

impl Stages {
    /// Of a configuration's rules.
    ///
    /// # Errors
    /// When rules count each other in a circle.
    pub fn of(config: &TenantConfig) -> Result<Self, StageCycle> {
        let users = users(config);
        let mut found = Self::default();
        for id in users.keys() {
            found.visit(id, &users, &mut Vec::new())?;
        }
        Ok(found)
    }

    /// The stage of a rule; 0: it counts nothing of other units.
    #[must_use]
    pub fn stage(&self, rule: &str) -> u32 {
        self.0.get(rule).copied().unwrap_or_default()
    }

    fn visit<'u>(
        &mut self,
        id: &'u str,
        users: &'u BTreeMap<&str, BTreeSet<&str>>,
        path: &mut Vec<&'u str>,
    ) -> Result<u32, StageCycle> {
        if let Some(stage) = self.0.get(id) {
            return Ok(*stage);
        }
        if let Some(at) = path.iter().position(|before| *before == id) {
            let cycle = path[at..].iter().chain([&id]).map(|id| (*id).to_owned());
            return Err(StageCycle(cycle.collect()));
        }
        path.push(id);
        let mut highest = 0;
        for counted in users.get(id).into_iter().flatten() {
            highest = highest.max(self.visit(counted, users, path)?);
        }
        path.pop();
        self.0.insert(id.to_owned(), highest + 1);
        Ok(highest + 1)
    }

    /// The table that a tier of a rule needs for lines of `own`.
    #[must_use]
    pub fn table(
        &self,
        config: &TenantConfig,
        rule: &str,
        own: &SourceId,
        using: &LedgerUse<'_>,
    ) -> LedgerTable {
        let stage = self.stage(rule).max(1);
        let above = self.0.iter().filter(|(_, of)| **of >= stage);
        let without: Vec<String> = above.map(|(id, _)| id.clone()).collect();
        let sources = sources_of(config, using.sources, own);
        let of = using.of.cloned().unwrap_or_else(usage_lines);
        let within = using.within.to_vec();
        let content = Content {
            sources: &sources,
            cost: using.cost,
            of: &of,
            within: &within,
            without: &without,
        };
        // Nothing in it can fail to be written; if it did, the tables would only be shared less well.
        let bytes = rmp_serde::to_vec_named(&content)
            .unwrap_or_else(|_| format!("{sources:?}{of:?}{within:?}{without:?}").into_bytes());
        let id = DriverId::parse(&format!("ledger-{}", Hash128::of(&bytes)))
            .expect("a word, a dash and hex digits are an id");
        let name = using.driver.unwrap_or(rule).to_owned();
        LedgerTable { id, name, sources, cost: using.cost, of, within, stage, without }
    }
}

impl TenantConfig {
    /// Every table that lines of any source can need, by id.
    ///
    /// # Errors
    /// When rules count each other in a circle.
    pub fn ledger_tables(&self) -> Result<BTreeMap<DriverId, LedgerTable>, StageCycle> {
        let mut tables = BTreeMap::new();
        if !self.sources.iter().any(|source| uses_ledger(self, source)) {
            return Ok(tables);
        }
        let stages = Stages::of(self)?;
        for source in &self.sources {
            for rule in rules_of(self, source) {
                each_use(self, &rule.chain, &source.id, &mut |using| {
                    let table = stages.table(self, &rule.id, &source.id, using);
                    tables.insert(table.id.clone(), table);
                });
            }
        }
        Ok(tables)
    }
}

impl TenantConfig {
    /// Ids of the tables that some rules of a source need. Rules in a circle need none: no such configuration runs.
    pub(super) fn ledger_ids(&self, source: &SourceConfig, rules: &[&Rule]) -> BTreeSet<DriverId> {
        let mut ids = BTreeSet::new();
        let mut stages = None;
        for rule in rules {
            each_use(self, &rule.chain, &source.id, &mut |using| {
                let stages = stages.get_or_insert_with(|| Stages::of(self).unwrap_or_default());
                ids.insert(stages.table(self, &rule.id, &source.id, using).id);
            });
        }
        ids
    }
}

/// Lines with ChargeCategory `Usage`: what counts unless `of` says otherwise.
#[must_use]
pub fn usage_lines() -> Match {
    let category = Field::Column(cell::CHARGE_CATEGORY.to_owned());
    Match::Field(category, Pattern::Exact("Usage".to_owned()))
}

fn rules_of<'c>(
    config: &'c TenantConfig,
    source: &'c SourceConfig,
) -> impl Iterator<Item = &'c Rule> {
    let of_source = |rule: &&Rule| rule.sources.is_empty() || rule.sources.contains(&source.id);
    let built_in = source.built_in_rules.iter().chain([&source.default_rule]);
    config.allocation.iter().filter(of_source).chain(built_in)
}

fn uses_ledger(config: &TenantConfig, source: &SourceConfig) -> bool {
    let mut uses = false;
    for rule in rules_of(config, source) {
        each_use(config, &rule.chain, &source.id, &mut |_| uses = true);
    }
    uses
}

/// Hands every use of cost of other units in a chain to `then`.
fn each_use<'c>(
    config: &'c TenantConfig,
    chain: &'c [Tier],
    own: &SourceId,
    then: &mut impl FnMut(&LedgerUse<'c>),
) {
    for tier in chain {
        if let Tier::Composition(parts) = tier.plain() {
            for part in parts {
                each_use(config, &part.chain, own, then);
            }
        }
        if let Some(using) = ledger_use(config, tier, own) {
            then(&using);
        }
    }
}

/// Rules that count cost of other units, and which other such rules they count.
fn users(config: &TenantConfig) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut uses: Vec<(&Rule, &SourceConfig, LedgerUse<'_>)> = Vec::new();
    for source in &config.sources {
        for rule in rules_of(config, source) {
            each_use(config, &rule.chain, &source.id, &mut |using| {
                uses.push((rule, source, *using));
            });
        }
    }
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (rule, source, using) in &uses {
        let counted = users.entry(&rule.id).or_default();
        let sources = sources_of(config, using.sources, &source.id);
        for (other, other_source, _) in &uses {
            if other.id != rule.id
                && sources.contains(&other_source.id)
                && using.of.is_some_and(|of| states(of, &other.matcher))
            {
                counted.insert(&other.id);
            }
        }
    }
    users
}

fn sources_of(config: &TenantConfig, scope: &SourceScope, own: &SourceId) -> Vec<SourceId> {
    match scope {
        SourceScope::Own => vec![own.clone()],
        SourceScope::All => config.sources.iter().map(|source| source.id.clone()).collect(),
        SourceScope::These(these) => these.clone(),
    }
}

impl CostWindow {
    /// First day, and first day after, of the window of a line of the unit of `date`.
    #[must_use]
    pub fn days(
        self,
        date: UnitDate,
        (start, end): (UtcSeconds, UtcSeconds),
        billing_period: BillingPeriod,
    ) -> (UnitDate, UnitDate) {
        let after = |date: UnitDate| date.plus_days(1).unwrap_or(date);
        match self {
            Self::Date => (date, after(date)),
            Self::TrailingDays(days) => {
                (date.plus_days(1 - i64::from(days)).unwrap_or(date), after(date))
            }
            Self::BillingPeriod => billing_period.days(),
            Self::ChargePeriod => {
                let from = start.date().unwrap_or(date);
                // The day in which its last second lies.
                let last = UtcSeconds(end.0.max(start.0 + 1) - 1).date().unwrap_or(from);
                (from, after(last))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_days() {
        let day = |text: &str| text.parse::<UnitDate>().unwrap();
        let (from, until) = (day("2026-10-01"), day("2026-11-01"));
        let october = (from.start(), until.start());
        let period = from.period();
        let days = |window: CostWindow| {
            let (from, until) = window.days(day("2026-10-03"), october, period);
            format!("{from} {until}")
        };
        assert_eq!(days(CostWindow::ChargePeriod), "2026-10-01 2026-11-01");
        assert_eq!(days(CostWindow::BillingPeriod), "2026-10-01 2026-11-01");
        assert_eq!(days(CostWindow::Date), "2026-10-03 2026-10-04");
        assert_eq!(days(CostWindow::TrailingDays(3)), "2026-10-01 2026-10-04");
        let hour = (from.start(), UtcSeconds(from.start().0 + 3_600));
        let (a, b) = CostWindow::ChargePeriod.days(from, hour, period);
        assert_eq!(format!("{a} {b}"), "2026-10-01 2026-10-02");
    }
}
