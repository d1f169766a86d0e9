//! `apportion why`: why an owner's cost changed from one period to another, by effects that add up exactly.
//!
//! What is added up in the database is read date by date, first of the owner alone, then of all where the owner has
//! something; [`crate::domain::bridge`] says what comes of it. What is not stored any more is told, never guessed.

mod period;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use clap::Args;
use coordinator::config::problem::nearest;
use postgres::Transaction;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};

use crate::domain::bridge::{Bridge, Facts, Piece, Place, Side, When};
use crate::reach::Reach;
use crate::say::say;
use crate::store::{self, Payer, Restated, VisibleUnit};
pub use period::Period;

/// Dates that are named in a note.
const NAMED_MAX: usize = 5;

/// `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Whose cost [default: all of the tenant's]
    #[arg(long, value_name = "ID", required_unless_present = "tenant")]
    pub owner: Option<String>,
    /// Of this tenant alone [default: every tenant that has the owner]
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// Of this source alone
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// What to explain: a month such as 2026-10, a day, or FIRST..LAST
    #[arg(long, value_name = "PERIOD")]
    pub from: Period,
    /// What to compare it with
    #[arg(long, value_name = "PERIOD")]
    pub vs: Period,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// The bridge of one tenant.
#[derive(Debug)]
pub struct Explained {
    /// Whose.
    pub tenant: TenantId,
    /// Visible dates of the period that is compared with, and of the other one.
    pub dates: [usize; 2],
    /// What it does not speak of.
    pub notes: Vec<String>,
    /// What changed, and why.
    pub bridge: Bridge,
}

impl Why {
    /// Prints it; the exit code: 0.
    ///
    /// # Errors
    /// When there is nothing to compare, or the database cannot be read.
    pub fn run(self) -> Result<u8> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let tenants = match (&self.tenant, &self.owner) {
            (Some(tenant), _) => vec![tenant.clone()],
            (None, Some(owner)) => store::tenants_of(&mut view, owner)?,
            (None, None) => bail!("whose cost? Give --owner, --tenant, or both"),
        };
        let mut all = Vec::new();
        for tenant in &tenants {
            all.extend(self.explained(&mut view, tenant, tenants.len() > 1)?);
        }
        if all.is_empty() {
            let owner = self.owner.as_deref().unwrap_or_default();
            let known = store::owners_of(&mut view, self.tenant.as_ref())?;
            let near =
                nearest(owner, known.iter().map(String::as_str).filter(|name| *name != owner));
            let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            bail!("owner {owner} has no row in {} nor in {}{near}", self.from, self.vs);
        }
        say(&match (self.json, self.markdown) {
            (true, _) => text::document(&self, &all)?,
            (false, true) => text::markdown(&self, &all),
            (false, false) => text::text(&self, &all),
        })?;
        Ok(0)
    }

    /// Of one tenant; `None`: the owner has no rows there, or it is one of several and has not both periods.
    fn explained(
        &self,
        view: &mut Transaction<'_>,
        tenant: &TenantId,
        of_several: bool,
    ) -> Result<Option<Explained>> {
        let source = self.source.as_ref();
        let sides = [(Side::Before, &self.vs), (Side::After, &self.from)];
        let mut notes = Vec::new();
        let mut units: Vec<(Side, VisibleUnit)> = Vec::new();
        let mut first: BTreeMap<(bool, SourceId, String), Restated> = BTreeMap::new();
        let mut dates = [0; 2];
        for (side, period) in sides {
            let visible = store::visible_units(view, tenant, source, period.range())?;
            let removed = store::removed(view, tenant, source, period.range())?;
            if removed > 0 {
                notes.push(format!(
                    "{removed} dates of {period} were removed by `retention`, and count as nothing"
                ));
            }
            if visible.is_empty() && of_several {
                return Ok(None);
            }
            ensure!(
                !visible.is_empty(),
                "no date of {tenant} in {period} is visible{}: `apportion status` says where they stand",
                if removed > 0 { " any more" } else { "" }
            );
            dates[side as usize] =
                visible.iter().map(|unit| unit.date).collect::<BTreeSet<_>>().len();
            units.extend(visible.into_iter().map(|unit| (side, unit)));
            for restated in store::restated(view, tenant, source, period.range())? {
                let unit = &restated.first;
                let key = (side == Side::After, unit.source.clone(), unit.date.to_string());
                first.insert(key, restated);
            }
        }
        let payer = Payer::of(view, tenant, self.owner.as_deref())?;
        let places = places(view, &units, &payer)?;
        if places.is_empty() && self.owner.is_some() {
            return Ok(None);
        }
        let mut facts = Facts::default();
        for (side, unit) in &units {
            let mut take = |view: &mut Transaction<'_>, unit: &VisibleUnit, when: When| {
                store::pieces(view, unit, &payer, false, &mut |piece: Piece| {
                    if places.contains(&piece.place) {
                        return facts.add(*side, when, piece);
                    }
                    if when != When::First {
                        facts.see(*side, &piece);
                    }
                    Ok(())
                })
            };
            let key = (*side == Side::After, unit.source.clone(), unit.date.to_string());
            match first.get(&key).filter(|restated| restated.since) {
                Some(restated) => {
                    take(view, unit, When::Now)?;
                    take(view, &restated.first, When::First)?;
                }
                None => take(view, unit, When::Always)?,
            }
        }
        notes.extend(untold(first.values()));
        let bridge = facts.bridge(&changed(&units));
        for (code, sums) in &bridge.sums {
            let left = sums.difference().difference(&sums.explained());
            ensure!(left.is_zero(), "{left} {code} are left unexplained: this is a defect of ours");
        }
        Ok(Some(Explained { tenant: tenant.clone(), dates, notes, bridge }))
    }
}

/// Where the payer has rows in either period.
fn places(
    view: &mut Transaction<'_>,
    units: &[(Side, VisibleUnit)],
    payer: &Payer,
) -> Result<BTreeSet<Place>> {
    let mut places = BTreeSet::new();
    for (_, unit) in units {
        store::pieces(view, unit, payer, true, &mut |piece| {
            places.insert(piece.place);
            Ok(())
        })?;
    }
    Ok(places)
}

/// Sources that had other rules in one period than in the other.
fn changed(units: &[(Side, VisibleUnit)]) -> BTreeSet<String> {
    let mut rules: BTreeMap<&SourceId, [BTreeSet<Hash128>; 2]> = BTreeMap::new();
    for (side, unit) in units {
        rules.entry(&unit.source).or_default()[*side as usize].insert(unit.rules);
    }
    let differ = |rules: &[BTreeSet<Hash128>; 2]| rules[0] != rules[1];
    rules.iter().filter(|(_, rules)| differ(rules)).map(|(source, _)| source.to_string()).collect()
}

/// What of restatements is not stored any more.
fn untold<'a>(restated: impl Iterator<Item = &'a Restated>) -> Option<String> {
    let dates: Vec<String> = restated
        .filter(|restated| !restated.before.is_empty())
        .map(|Restated { first, before, .. }| {
            let totals: Vec<String> = before
                .iter()
                .map(|total| format!("{} -> {} {}", total.first, total.stored, total.currency))
                .collect();
            format!("{} {} ({})", first.source, first.date, totals.join(", "))
        })
        .collect();
    let more = dates.len().saturating_sub(NAMED_MAX);
    let some = dates.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!dates.is_empty()).then(|| {
        format!(
            "the bills of these dates changed before their oldest rows that are still stored were made; what that moved \
             for whom is known no more, and counts as bill: {some}{more}"
        )
    })
}
