//! From the configuration to a [`Program`].

use proto::config::ledger::{LedgerUse, Stages, ledger_use};
use proto::config::{
    CostShare, CostWindow, Driver, Field, FixedShares, MetricOwner, Part, Reason, Receivers, Rule,
    SourceConfig, TableRow, TenantConfig, Tier, Usage,
};
use proto::ids::SourceId;
use proto::line::cell;
use proto::money::Shares;
use proto::row::UNALLOCATED;

use super::error::CompileError;
use super::fields::FieldCompiler;
use super::lookup::Lookup;
use super::matching::MatchCompiler;
use super::party::Directory;
use super::program::{
    CompiledRule, CompiledTier, CostBasis, DriverBasis, Program, Stated, TierId, TierKind,
    WeightsOf,
};

impl Program {
    /// Compiles the rules that lines of `source` can meet on any date.
    ///
    /// # Errors
    /// When the configuration holds what `config check` refuses.
    pub fn compile(config: &TenantConfig, source: &SourceId) -> Result<Self, CompileError> {
        let found = config.source(source).ok_or_else(|| CompileError::NoSource(source.clone()))?;
        Compiler::new(config, found).compile()
    }
}

struct Compiler<'c> {
    config: &'c TenantConfig,
    source: &'c SourceConfig,
    fields: FieldCompiler<'c>,
    matches: MatchCompiler,
    tiers: Vec<CompiledTier>,
    bases: Vec<CostBasis>,
    ledgers: Vec<DriverBasis>,
    /// Found where a rule needs them.
    stages: Option<Stages>,
}

/// Where in a rule the compiler is.
struct Place<'r> {
    rule: &'r str,
    next_tier: u16,
    next_part: u16,
    part: u16,
}

impl<'c> Compiler<'c> {
    fn new(config: &'c TenantConfig, source: &'c SourceConfig) -> Self {
        Self {
            config,
            source,
            fields: FieldCompiler::new(config, &source.id),
            matches: MatchCompiler::default(),
            tiers: Vec::new(),
            bases: Vec::new(),
            ledgers: Vec::new(),
            stages: None,
        }
    }

    fn compile(mut self) -> Result<Program, CompileError> {
        let of_source =
            |rule: &&Rule| rule.sources.is_empty() || rule.sources.contains(&self.source.id);
        let user: Vec<&Rule> = self.config.allocation.iter().filter(of_source).collect();
        let all =
            user.into_iter().chain(&self.source.built_in_rules).chain([&self.source.default_rule]);
        let rules = all.map(|rule| self.rule(rule)).collect::<Result<Vec<_>, _>>()?;
        let product_type = self.fields.id(&Field::ProductType)?;
        let resource = self.fields.id(&Field::Column(cell::RESOURCE_ID.to_owned()))?;
        Ok(Program {
            fields: self.fields.finish(),
            tests: self.matches.finish(),
            rules,
            tiers: self.tiers,
            bases: self.bases,
            ledgers: self.ledgers,
            directory: self.config.owners.as_ref().map(Directory::compile),
            product_type,
            resource,
        })
    }

    fn rule(&mut self, rule: &Rule) -> Result<CompiledRule, CompileError> {
        let node = self.matches.node(&rule.matcher, &rule.id, &mut self.fields)?;
        let mut place = Place { rule: &rule.id, next_tier: 0, next_part: 0, part: 0 };
        let chain = self.chain(&rule.chain, &mut place)?;
        Ok(CompiledRule { id: rule.id.clone(), valid: rule.valid, node, chain })
    }

    fn chain(
        &mut self,
        chain: &[Tier],
        place: &mut Place<'_>,
    ) -> Result<Vec<TierId>, CompileError> {
        let mut ids = Vec::with_capacity(chain.len());
        let mut before = None;
        for tier in chain {
            ids.push(self.tier(tier, before, place)?);
            before = Some(tier);
        }
        Ok(ids)
    }

    fn tier(
        &mut self,
        tier: &Tier,
        before: Option<&Tier>,
        place: &mut Place<'_>,
    ) -> Result<TierId, CompileError> {
        let (at, part) = (place.next_tier, place.part);
        place.next_tier = at.checked_add(1).ok_or_else(|| split(place.rule, "too many tiers"))?;
        let kind = self.kind(tier, place)?;
        // A resource is somebody, yet nobody who pays: the reason is that of what was tried before.
        let resource = matches!(tier.plain(), Tier::Resource);
        let reason = Reason::after(if resource { before } else { Some(tier) });
        let (rule, label) = (place.rule.to_owned(), label(tier));
        let stated = tier.stated().map_or_else(Stated::default, |stated| Stated {
            cost_type: stated.cost_type,
            method: stated.method.clone(),
            detail: stated.detail.clone(),
        });
        self.tiers.push(CompiledTier { rule, place: at, part, label, reason, kind, stated });
        Ok(self.tiers.len() - 1)
    }

    fn kind(&mut self, tier: &Tier, place: &mut Place<'_>) -> Result<TierKind, CompileError> {
        let at = || format!("rule {}", place.rule);
        if let Some(using) = ledger_use(self.config, tier, &self.source.id) {
            return self.ledger(tier, &using, place.rule);
        }
        Ok(match tier {
            Tier::Direct { fields } if fields.is_empty() => {
                TierKind::Direct(self.fields.ids(self.source.owner_fields())?)
            }
            Tier::Direct { fields } => TierKind::Direct(self.fields.ids(fields)?),
            Tier::Even(Receivers::Group(name)) => TierKind::EvenGroup(self.group(name, &at())?),
            Tier::Even(Receivers::Set(set)) => TierKind::EvenSet(*set, Vec::new()),
            Tier::UsageRatio(Usage::Metric(metrics)) => TierKind::Metrics(metrics.clone()),
            Tier::UsageRatio(Usage::Driver(name)) => self.driver(name, true, &at())?,
            Tier::Fixed(FixedShares::Inline(percents)) => {
                percents.keys().try_for_each(|owner| is_owner(owner, &at()))?;
                TierKind::Fixed(percents.iter().map(|(o, p)| (o.clone(), *p)).collect())
            }
            Tier::Fixed(FixedShares::Table(name)) => {
                TierKind::FixedTable(self.owner_rows(name, &at())?)
            }
            Tier::InProportionToCost(CostShare::Driver { driver, .. }) => {
                self.driver(driver, false, &at())?
            }
            Tier::InProportionToCost(CostShare::Ledger { of, within, to, .. }) => {
                let of = match of {
                    Some(of) => self.matches.node(of, place.rule, &mut self.fields)?,
                    None => self.matches.usage_lines(&mut self.fields)?,
                };
                let within = self.fields.ids(within)?;
                let to = to.as_ref().map(|name| self.group(name, &at())).transpose()?;
                self.bases.push(CostBasis { of, within, to });
                TierKind::Cost(self.bases.len() - 1)
            }
            Tier::Composition(parts) => self.composition(parts, place)?,
            Tier::Resource => TierKind::Resource,
            Tier::Unallocated(_) => TierKind::Unallocated,
            Tier::Stated(stated) => {
                let mut kind = self.kind(&stated.tier, place)?;
                if let TierKind::EvenSet(_, types) = &mut kind {
                    types.clone_from(&stated.identity_types);
                }
                kind
            }
        })
    }

    /// Cost of other units.
    fn ledger(
        &mut self,
        tier: &Tier,
        using: &LedgerUse<'_>,
        rule: &str,
    ) -> Result<TierKind, CompileError> {
        let stages = match self.stages.take() {
            Some(stages) => stages,
            None => Stages::of(self.config).map_err(CompileError::Stages)?,
        };
        let table = stages.table(self.config, rule, &self.source.id, using).id;
        self.stages = Some(stages);
        let to = if let Tier::InProportionToCost(CostShare::Ledger { to: Some(name), .. }) =
            tier.plain()
        {
            Some(self.group(name, &format!("rule {rule}"))?)
        } else {
            None
        };
        self.ledgers.push(DriverBasis {
            table,
            driver: using.driver.map(str::to_owned),
            label: using.driver.map_or_else(|| format!("cost of rule {rule}"), str::to_owned),
            within: self.fields.ids(using.within)?,
            to,
            window: using.window,
            parties: WeightsOf::Owners,
        });
        let usage = matches!(tier.plain(), Tier::UsageRatio(_));
        Ok(TierKind::Ledger { place: self.ledgers.len() - 1, usage })
    }

    /// What a driver measures over the charge periods of lines.
    fn measured(
        &mut self,
        name: &str,
        owner: Option<&MetricOwner>,
        place: &str,
    ) -> Result<TierKind, CompileError> {
        let driver = self.config.metric_driver(name);
        let driver = driver.ok_or_else(|| unknown(place.to_owned(), "label of driver", name))?;
        let parties = match owner {
            Some(MetricOwner { table, .. }) => {
                let found = self.config.tables.get(table);
                let found = found.ok_or_else(|| unknown(place.to_owned(), "table", table))?;
                WeightsOf::Table(Lookup::compile(found, table)?)
            }
            None => WeightsOf::Identities(driver.label),
        };
        self.ledgers.push(DriverBasis {
            table: driver.id,
            driver: Some(name.to_owned()),
            label: name.to_owned(),
            within: Vec::new(),
            to: None,
            window: CostWindow::ChargePeriod,
            parties,
        });
        Ok(TierKind::Ledger { place: self.ledgers.len() - 1, usage: true })
    }

    fn composition(
        &mut self,
        parts: &[Part],
        place: &mut Place<'_>,
    ) -> Result<TierKind, CompileError> {
        // Ids in the order of the parts, so that ties go to the earlier one.
        let ids = parts.iter().enumerate().map(|(i, part)| (format!("{i:05}"), part.percent));
        let shares = Shares::new(ids).map_err(|why| split(place.rule, &why.to_string()))?;
        let outer = place.part;
        let mut chains = Vec::with_capacity(parts.len());
        for part in parts {
            place.part = place.next_part;
            let next = place.next_part.checked_add(1);
            place.next_part = next.ok_or_else(|| split(place.rule, "too many parts"))?;
            chains.push(self.chain(&part.chain, place)?);
        }
        place.part = outer;
        Ok(TierKind::Composition(shares, chains))
    }

    fn group(&self, name: &str, place: &str) -> Result<Vec<String>, CompileError> {
        let group = self.config.groups.get(name);
        let group = group.ok_or_else(|| unknown(place.to_owned(), "group", name))?;
        group.iter().try_for_each(|owner| is_owner(owner, &format!("group {name}")))?;
        Ok(group.clone())
    }

    /// Rows of a table whose keys are owners.
    fn owner_rows(&self, name: &str, place: &str) -> Result<Vec<TableRow>, CompileError> {
        let table = self.config.tables.get(name);
        let table = table.ok_or_else(|| unknown(place.to_owned(), "table", name))?;
        let owners = table.rows.iter().flat_map(|row| &row.key);
        owners.into_iter().try_for_each(|owner| is_owner(owner, &format!("table {name}")))?;
        Ok(table.rows.clone())
    }

    fn driver(&mut self, name: &str, usage: bool, place: &str) -> Result<TierKind, CompileError> {
        let config = self.config;
        match config.drivers.get(name) {
            Some(Driver::Metric { owner, .. }) => self.measured(name, owner.as_ref(), place),
            Some(Driver::Table { table }) => {
                let table = self.owner_rows(table, place)?;
                Ok(TierKind::Driver { name: name.to_owned(), usage, table })
            }
            // Found before, wherever a ledger driver can stand.
            Some(Driver::Ledger { .. }) | None => Err(unknown(place.to_owned(), "driver", name)),
        }
    }
}

fn label(tier: &Tier) -> String {
    match tier {
        Tier::Direct { .. } => "direct".to_owned(),
        Tier::Even(Receivers::Group(group)) => format!("even {group}"),
        Tier::Even(Receivers::Set(set)) => format!("even {}", set.as_str()),
        Tier::UsageRatio(Usage::Metric(metrics)) => format!("usage_ratio {}", metrics.join("+")),
        Tier::UsageRatio(Usage::Driver(driver)) => format!("usage_ratio {driver}"),
        Tier::Fixed(FixedShares::Inline(_)) => "fixed".to_owned(),
        Tier::Fixed(FixedShares::Table(table)) => format!("fixed {table}"),
        Tier::InProportionToCost(CostShare::Driver { driver, .. }) => {
            format!("in_proportion_to_cost {driver}")
        }
        Tier::InProportionToCost(CostShare::Ledger { within, .. }) if within.is_empty() => {
            "in_proportion_to_cost".to_owned()
        }
        Tier::InProportionToCost(CostShare::Ledger { within, .. }) => {
            let fields: Vec<String> = within.iter().map(Field::to_string).collect();
            format!("in_proportion_to_cost within {}", fields.join("+"))
        }
        Tier::Composition(_) => "composition".to_owned(),
        Tier::Resource => "resource".to_owned(),
        Tier::Unallocated(_) => "unallocated".to_owned(),
        Tier::Stated(stated) => label(&stated.tier),
    }
}

fn is_owner(owner: &str, place: &str) -> Result<(), CompileError> {
    if owner.trim().eq_ignore_ascii_case(UNALLOCATED) {
        return Err(CompileError::NotAnOwner { place: place.to_owned() });
    }
    Ok(())
}

fn unknown(place: String, what: &'static str, name: &str) -> CompileError {
    CompileError::Unknown { place, what, name: name.to_owned() }
}

fn split(rule: &str, why: &str) -> CompileError {
    CompileError::Split { rule: rule.to_owned(), why: why.to_owned() }
}
