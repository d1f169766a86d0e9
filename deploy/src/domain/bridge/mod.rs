//! The bridge of a cost from one period to another: what changed, by effect. The effects add up to the difference,
//! exactly, per currency.
//!
//! Money is looked at by [`Place`]: source, product, kind of charge, and resource. At each, what an identity costs its
//! owner is a product, `bill × path × share × held`:
//!
//! | factor | what it is | its change is the effect |
//! |---|---|---|
//! | bill | what the lines cost, all owners together, as first visible | `bill` |
//! | | what became of that since | `restatement` |
//! | path | the part of it that a rule, tier and part took | `rule` |
//! | share | the part of that which the identity got | `usage_share`, or `rule` where rules say it, or `mapping` where the whole changed hands |
//! | held | the part of the identity that the owner pays for | `mapping` |
//!
//! An effect is the change of its factor times the **mean** of each of the others, before and after: no factor comes
//! first, and the bridge backwards has the same effects with the other sign. What is there in one period only keeps its
//! other factors, so it is all `bill`. Effects are rounded to 10 decimals, and the largest one of each item takes the rest.

mod groups;
mod item;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use proto::money::ExactSum;
use serde::Serialize;

/// Items that are held at most: some hundred bytes each.
const ITEMS_MAX: usize = 1_000_000;

/// Why a cost changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The lines cost more or less.
    Bill,
    /// A larger or smaller part of them was caused.
    UsageShare,
    /// Another rule, tier or part took them, or a rule says another share.
    Rule,
    /// What was another owner's is the owner's now, or the other way.
    Mapping,
    /// The bill of a date changed after the date was first visible.
    Restatement,
}

impl Effect {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 5] =
        [Self::Bill, Self::UsageShare, Self::Rule, Self::Mapping, Self::Restatement];

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Bill => "bill",
            Self::UsageShare => "usage share",
            Self::Rule => "rule",
            Self::Mapping => "mapping",
            Self::Restatement => "restatement",
        }
    }
}

/// What lines have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// ISO code.
    pub currency: String,
    /// Of which source.
    pub source: String,
    /// Product type, or service.
    pub product: String,
    /// ChargeCategory.
    pub category: String,
    /// The resource, else the sub account; empty without either.
    pub resource: String,
}

/// How money came to whoever got it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// By which rule.
    pub rule: String,
    /// By which tier of its chain.
    pub tier: i32,
    /// By which part of a composition.
    pub part: i32,
    /// The method that its rows name.
    pub method: String,
}

/// Rows that have all of this in common, added up. They are all above 0, or all below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// Of what.
    pub place: Place,
    /// By what.
    pub path: Path,
    /// Who caused it; empty for identities that the owner never paid for.
    pub identity: String,
    /// Whether the owner pays it.
    pub own: bool,
    /// Whether each row is a whole line.
    pub whole: bool,
    /// The sum.
    pub amount: ExactSum,
}

/// One of the two periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is compared with.
    Before,
    /// What is explained.
    After,
}

/// Which rows of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Those that are visible, of a bill that did not change.
    Always,
    /// Those that are visible, of a bill that changed.
    Now,
    /// Those of the bill before it changed.
    First,
}

/// An identity at a place, by one path: sums before and after.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// What the owner pays.
    own: [ExactSum; 2],
    /// What everybody pays.
    all: [ExactSum; 2],
    /// What everybody paid of the bill as first visible.
    first: [ExactSum; 2],
}

/// What one path took at a place.
#[derive(Debug)]
struct Pool {
    whole: bool,
    cells: BTreeMap<String, Cell>,
}

/// Everything that the owner has to do with, in both periods.
#[derive(Debug, Default)]
pub struct Facts {
    // Amounts below 0 are looked at by themselves: no part is larger than its whole.
    places: BTreeMap<(Place, bool), BTreeMap<Path, Pool>>,
    /// The rules that took anything of a source in each period, whoever paid.
    rules: BTreeMap<String, [BTreeSet<String>; 2]>,
    items: usize,
}

/// Money of one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// What the owner paid in the period that is compared with.
    pub before: ExactSum,
    /// What it pays in the other.
    pub after: ExactSum,
    /// In the order of [`Effect::ALL`].
    pub effects: [ExactSum; 5],
}

impl Sums {
    /// After less before.
    #[must_use]
    pub fn difference(&self) -> ExactSum {
        self.after.difference(&self.before)
    }

    /// What the effects add up to.
    #[must_use]
    pub fn explained(&self) -> ExactSum {
        let mut sum = ExactSum::ZERO;
        self.effects.iter().for_each(|effect| sum.merge(effect));
        sum
    }
}

/// Where an effect comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Of what.
    pub place: Place,
    /// Who caused it, where the effect has to do with that.
    pub identity: String,
    /// The rules that took it, before and after.
    pub rules: [BTreeSet<String>; 2],
}

/// What changed, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// By currency.
    pub sums: BTreeMap<String, Sums>,
    /// By where they come from; none is 0.
    pub parts: BTreeMap<(Origin, Effect), ExactSum>,
}

impl Facts {
    /// Notes what visible rows say of rules: all rows of a period, also those that are not counted in.
    pub fn see(&mut self, side: Side, piece: &Piece) {
        let (source, rule) = (&piece.place.source, &piece.path.rule);
        let known = self.rules.get(source).is_some_and(|rules| rules[side as usize].contains(rule));
        if !known {
            self.rules.entry(source.clone()).or_default()[side as usize].insert(rule.clone());
        }
    }

    /// Counts rows of a period in.
    ///
    /// # Errors
    /// When there are too many different ones to hold.
    pub fn add(&mut self, side: Side, when: When, piece: Piece) -> Result<()> {
        if piece.amount.is_zero() {
            return Ok(());
        }
        if when != When::First {
            self.see(side, &piece);
        }
        let place = self.places.entry((piece.place, piece.amount.is_negative())).or_default();
        let pool = Pool { whole: true, cells: BTreeMap::new() };
        let pool = place.entry(piece.path).or_insert(pool);
        pool.whole &= piece.whole;
        let known = pool.cells.len();
        let cell = pool.cells.entry(piece.identity).or_default();
        let at = side as usize;
        if when != When::First {
            cell.all[at].merge(&piece.amount);
            if piece.own {
                cell.own[at].merge(&piece.amount);
            }
        }
        if when != When::Now {
            cell.first[at].merge(&piece.amount);
        }
        self.items += pool.cells.len() - known;
        ensure!(
            self.items <= ITEMS_MAX,
            "there are more than {ITEMS_MAX} combinations of product, resource, rule and identity: name one --source, or \
             shorter periods"
        );
        Ok(())
    }

    /// The bridge. `changed`: the sources that had other rules in one period than in the other.
    #[must_use]
    pub fn bridge(&self, changed: &BTreeSet<String>) -> Bridge {
        let mut bridge = Bridge::default();
        for ((place, _), pools) in &self.places {
            let rules = changed.contains(&place.source).then(|| self.rules.get(&place.source));
            groups::explain(place, pools, rules.flatten(), &mut bridge);
        }
        bridge.parts.retain(|_, amount| !amount.is_zero());
        bridge.sums.retain(|_, sums| *sums != Sums::default());
        bridge
    }
}
