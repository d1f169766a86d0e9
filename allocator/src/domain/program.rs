//! The rules of one (configuration, source), compiled once and used for every date and batch.

use std::sync::Arc;

use proto::config::{CostWindow, Reason, ResolutionSet, TableRow, Validity};
use proto::ids::DriverId;
use proto::money::{Amount, Shares};
use proto::row::CostType;
use proto::time::UnitDate;

use super::fields::{FieldId, Fields};
use super::lookup::Lookup;
use super::matching::{Node, Tests};
use super::party::{Directory, Payer};

/// Place of a tier in [`Program::tiers`].
pub type TierId = usize;

/// Compiled rules. Immutable; shared by all units of a task and kept between tasks.
#[derive(Debug)]
pub struct Program {
    /// Every field that a rule looks at.
    pub fields: Fields,
    /// Every test that a match makes.
    pub tests: Tests,
    /// In the order in which they are tried; the last one takes every line.
    pub rules: Vec<CompiledRule>,
    /// Tiers of all rules.
    pub tiers: Vec<CompiledTier>,
    /// What the `in_proportion_to_cost` tiers share by.
    pub bases: Vec<CostBasis>,
    /// What tiers share by that the ledger adds up.
    pub ledgers: Vec<DriverBasis>,
    /// The owner directory, if there is one.
    pub directory: Option<Directory>,
    /// The field `product_type`, for warnings.
    pub product_type: FieldId,
    /// The field `ResourceId`.
    pub resource: FieldId,
}

/// A rule.
#[derive(Debug)]
pub struct CompiledRule {
    /// Its id.
    pub id: String,
    /// On which dates it is there.
    pub valid: Validity,
    /// Which lines it takes.
    pub node: Node,
    /// Its tiers.
    pub chain: Vec<TierId>,
}

/// A tier.
#[derive(Debug)]
pub struct CompiledTier {
    /// Id of its rule.
    pub rule: String,
    /// Its place in the rule, counted from 0 through compositions depth first; in a chain without one its index.
    pub place: u16,
    /// The composition's part that it stands in, counted like `place`; 0 without one.
    pub part: u16,
    /// What it is called in details of other rows.
    pub label: String,
    /// Why nobody was found, if nobody is found here.
    pub reason: Reason,
    /// What it does.
    pub kind: TierKind,
    /// What its rows say instead of what they would.
    pub stated: Stated,
}

/// What the rows of a tier say instead of what they would; where nothing is stated, what they would.
#[derive(Debug, Default)]
pub struct Stated {
    /// Usage or shared.
    pub cost_type: Option<CostType>,
    /// The method.
    pub method: Option<String>,
    /// The detail.
    pub detail: Option<String>,
}

/// What a tier does.
#[derive(Debug)]
pub enum TierKind {
    /// The first field with a value.
    Direct(Vec<FieldId>),
    /// The owners of a group evenly.
    EvenGroup(Vec<String>),
    /// The identities of a set evenly, those of these types only. No types: all.
    EvenSet(ResolutionSet, Vec<String>),
    /// By usage, summed over these metrics.
    Metrics(Vec<String>),
    /// By the weights of a driver that is a table: of usage, else of cost.
    Driver {
        /// Its name.
        name: String,
        /// Whether the tier is a `usage_ratio`.
        usage: bool,
        /// Its weights by owner; the rows of the date.
        table: Vec<TableRow>,
    },
    /// By weights that come over windows, of cost of other units or of usage, at this place of [`Program::ledgers`].
    Ledger {
        /// Which.
        place: usize,
        /// Whether the tier is a `usage_ratio`.
        usage: bool,
    },
    /// By stated percents of owners.
    Fixed(Vec<(String, Amount)>),
    /// By percents of owners in the rows of the date.
    FixedTable(Vec<TableRow>),
    /// By the cost of a basis.
    Cost(usize),
    /// In parts, each by its own chain.
    Composition(Shares<String>, Vec<Vec<TierId>>),
    /// The resource is the identity.
    Resource,
    /// Nobody.
    Unallocated,
}

/// Whose cost `in_proportion_to_cost` shares by.
#[derive(Debug)]
pub struct CostBasis {
    /// Which lines count.
    pub of: Node,
    /// Fields that must be equal on both sides.
    pub within: Vec<FieldId>,
    /// Only these owners take part. `None`: all.
    pub to: Option<Vec<String>>,
}

/// Weights over windows to share by.
#[derive(Debug)]
pub struct DriverBasis {
    /// Which table of weights.
    pub table: DriverId,
    /// The driver's name, where it has one.
    pub driver: Option<String>,
    /// What it is called in details of rows.
    pub label: String,
    /// Fields that must be equal on both sides.
    pub within: Vec<FieldId>,
    /// Only these owners take part. `None`: all.
    pub to: Option<Vec<String>>,
    /// Weights of which days.
    pub window: CostWindow,
    /// Who the weights are for.
    pub parties: WeightsOf,
}

/// Who the weights of a driver are for.
#[derive(Debug)]
pub enum WeightsOf {
    /// Owners, as the directory calls them: weights of cost.
    Owners,
    /// Identities of this type: values of a label of that name.
    Identities(String),
    /// The owners that a table gives for values of a label; what it does not know stays itself.
    Table(Lookup),
}

impl Program {
    /// The rules that are there on a date, in order.
    pub fn rules_on(&self, date: UnitDate) -> Vec<usize> {
        (0..self.rules.len()).filter(|rule| self.rules[*rule].valid.contains(date)).collect()
    }

    /// Who pays for a value on a date.
    pub fn payer(&self, value: &str, date: UnitDate) -> Payer {
        match &self.directory {
            Some(directory) => directory.payer(value, date),
            None => Payer::Known(Arc::from(value)),
        }
    }

    /// The bases of the tiers of these rules, sorted.
    pub fn bases_of(&self, rules: &[usize]) -> Vec<usize> {
        let mut bases = Vec::new();
        for rule in rules {
            self.collect_bases(&self.rules[*rule].chain, &mut bases);
        }
        bases.sort_unstable();
        bases
    }

    fn collect_bases(&self, chain: &[TierId], bases: &mut Vec<usize>) {
        for tier in chain {
            match &self.tiers[*tier].kind {
                TierKind::Cost(basis) => bases.push(*basis),
                TierKind::Composition(_, chains) => {
                    chains.iter().for_each(|chain| self.collect_bases(chain, bases));
                }
                TierKind::Direct(_)
                | TierKind::EvenGroup(_)
                | TierKind::EvenSet(..)
                | TierKind::Metrics(_)
                | TierKind::Driver { .. }
                | TierKind::Fixed(_)
                | TierKind::FixedTable(_)
                | TierKind::Ledger { .. }
                | TierKind::Resource
                | TierKind::Unallocated => {}
            }
        }
    }
}

impl TierKind {
    /// The tier's name, as users write it: the method of its rows.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Direct(_) => "direct",
            Self::EvenGroup(_) | Self::EvenSet(..) => "even",
            Self::Metrics(_)
            | Self::Driver { usage: true, .. }
            | Self::Ledger { usage: true, .. } => "usage_ratio",
            Self::Fixed(_) | Self::FixedTable(_) => "fixed",
            Self::Cost(_)
            | Self::Driver { usage: false, .. }
            | Self::Ledger { usage: false, .. } => "in_proportion_to_cost",
            Self::Composition(..) => "composition",
            Self::Resource => "resource",
            Self::Unallocated => UNALLOCATED_METHOD,
        }
    }

    /// Whether what it gives was caused by who gets it. What nobody gets is shared by all.
    pub fn cost_type(&self) -> CostType {
        match self {
            Self::Direct(_) | Self::Metrics(_) | Self::Resource => CostType::Usage,
            Self::Driver { usage, .. } | Self::Ledger { usage, .. } => match usage {
                true => CostType::Usage,
                false => CostType::Shared,
            },
            Self::EvenGroup(_) | Self::EvenSet(..) | Self::Fixed(_) | Self::FixedTable(_) => {
                CostType::Shared
            }
            Self::Cost(_) | Self::Composition(..) | Self::Unallocated => CostType::Shared,
        }
    }
}

/// The method of a row that nobody pays.
pub const UNALLOCATED_METHOD: &str = "unallocated";
