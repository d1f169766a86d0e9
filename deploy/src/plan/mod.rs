//! `apportion plan`: what a changed configuration would move on visible dates, before it is in force.
//!
//! The lines and resolutions come from the archive, the rows from the allocator's own engine, in this process: the
//! pipeline goes on undisturbed, nothing that is visible changes, and no row is stored. What is kept is the difference
//! and its digest; once the candidate is in force, `--published` says whether just these rows became visible.

mod difference;
mod markdown;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allocator::domain::Program;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use coordinator::config::{Config, Problems};
use postgres::Transaction;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::cell;
use proto::time::UnitDate;

use crate::configuration;
use crate::reach::{Database, Reach};
use crate::recompute::{Recomputed, recompute};
use crate::say::say;
use crate::store::{self, PlanRow, PlannedUnit, RowKey, VisibleUnit};
pub use difference::{Difference, Moved};
pub use markdown::name as markdown_name;

/// `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Which database; `--config` names the candidate, the folder with the changed files.
    #[command(flatten)]
    pub reach: Reach,
    /// Only this tenant [default: every tenant of the candidate]
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// First date [default: the first visible one]
    #[arg(long, value_name = "DATE")]
    pub from: Option<UnitDate>,
    /// Last date, inclusive [default: the last visible one]
    #[arg(long, value_name = "DATE")]
    pub to: Option<UnitDate>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown, fit for a pull request
    #[arg(long)]
    pub markdown: bool,
    /// Instead: say whether what is visible now is what the plan with this digest said
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["from", "to", "json", "markdown"])]
    pub published: Option<String>,
}

/// What a plan is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    /// This source alone.
    pub source: Option<&'a SourceId>,
    /// First and last date.
    pub range: store::Range,
    /// Calculate dates again whose rules stay the same, too.
    pub every: bool,
}

/// The plan of one tenant, or what a replay came to.
#[derive(Debug)]
pub struct Planned {
    /// Whose.
    pub tenant: TenantId,
    /// Visible dates in the range.
    pub visible: usize,
    /// Those that would be calculated again.
    pub units: Vec<PlannedUnit>,
    /// What it does not speak of.
    pub notes: Vec<String>,
    /// Over all visible dates in the range.
    pub difference: Difference,
    /// Of what would be visible.
    pub digest: Hash128,
    /// It is what was done, not what would be.
    pub done: bool,
}

impl Plan {
    /// Prints it; the exit code: 0, and 1 when what is visible is not what was planned.
    ///
    /// # Errors
    /// When the candidate has problems or cannot run, or the database cannot be read.
    pub fn run(self) -> Result<u8> {
        let (said, code) = match &self.published {
            Some(digest) => self.compare_published(digest)?,
            None => (self.plan()?, 0),
        };
        say(&said)?;
        Ok(code)
    }

    fn plan(&self) -> Result<String> {
        let Some(folder) = &self.reach.config else {
            bail!("which candidate? Name the folder with the changed files: --config DIR");
        };
        if let (Some(from), Some(to)) = (self.from, self.to) {
            ensure!(from <= to, "--from {from} is after --to {to}: no date lies between them");
        }
        let candidate = configuration::load(folder)?;
        let unbuilt = candidate.unbuilt();
        ensure!(unbuilt.is_empty(), "the candidate cannot run\n{}", Problems(unbuilt));
        let mut database = self.reach.database()?;
        let mut all = Vec::new();
        let scope = Scope { range: (self.from, self.to), ..Scope::default() };
        for tenant in self.tenants(&candidate)? {
            all.push(plan(&mut database, tenant, candidate.git_commit.as_deref(), scope)?);
        }
        told(&all, (self.json, self.markdown))
    }

    fn tenants<'a>(&self, candidate: &'a Config) -> Result<Vec<&'a TenantConfig>> {
        let Some(id) = &self.tenant else { return Ok(candidate.tenants.values().collect()) };
        let known = || candidate.tenants.keys().map(TenantId::as_str).collect::<Vec<_>>();
        let found = candidate.tenants.get(id);
        let found = found.with_context(|| {
            format!("the candidate has no tenant {id}: it has {}", known().join(", "))
        })?;
        Ok(vec![found])
    }

    fn compare_published(&self, digest: &str) -> Result<(String, u8)> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        ensure!(
            !digest.is_empty() && digest.chars().all(|c| c.is_ascii_hexdigit()),
            "{digest:?} is no digest: these are 32 hex digits, and `apportion plan` prints them"
        );
        let plans = store::plans_like(&mut view, &digest.to_lowercase())?;
        let wanted = |tenant: &TenantId| self.tenant.as_ref().is_none_or(|id| id == tenant);
        let mut plans = plans.into_iter().filter(|(tenant, _)| wanted(tenant));
        let (tenant, digest) = match (plans.next(), plans.next()) {
            (Some(one), None) => one,
            (None, _) => bail!("there is no plan with digest {digest}: `apportion plan` prints it"),
            (Some(_), Some(_)) => {
                bail!("there are several plans with digest {digest}…: give more of it, or --tenant")
            }
        };
        let units = store::planned(&mut view, &tenant, digest)?.unwrap_or_default();
        let mut said = String::new();
        for unit in units.iter().filter(|unit| !unit.same_rows) {
            let why =
                if unit.same_lines { "other rows are visible" } else { "its lines changed since" };
            said.push_str(&format!("{tenant}/{} {}: {why}\n", unit.source, unit.date));
        }
        let same = units.iter().filter(|unit| unit.same_rows).count();
        said.push_str(&format!(
            "{tenant}: {same} of {} dates are visible as planned\n",
            units.len()
        ));
        Ok((said, u8::from(same < units.len())))
    }
}

/// As one JSON document, as Markdown, or else for a terminal.
///
/// # Errors
/// Never for what is planned here.
pub fn told(all: &[Planned], (json, markdown): (bool, bool)) -> Result<String> {
    if json {
        return text::document(all);
    }
    let one = if markdown { text::markdown } else { text::table };
    Ok(all.iter().map(one).collect::<Vec<_>>().join("\n"))
}

/// Plans one tenant, and keeps the difference where there is one: see [`planned`].
///
/// # Errors
/// When the database cannot be read, or lacks what the visible rows were made from.
pub fn plan(
    database: &mut Database,
    candidate: &TenantConfig,
    git_commit: Option<&str>,
    scope: Scope<'_>,
) -> Result<Planned> {
    let mut view = store::view(&mut database.client)?;
    let planned = planned(&mut view, candidate, scope)?;
    view.commit()?;
    if !planned.units.is_empty() {
        let row = PlanRow {
            tenant: planned.tenant.clone(),
            digest: planned.digest,
            config: candidate.config_hash()?,
            git_commit: git_commit.map(str::to_owned),
            units: planned.units.clone(),
            differences: planned.difference.moved(),
        };
        store::save_plan(&mut database.client, &row)?;
    }
    Ok(planned)
}

/// Plans one tenant, and keeps nothing.
///
/// # Errors
/// When the database cannot be read, or lacks what the visible rows were made from.
pub fn planned(
    view: &mut Transaction<'_>,
    candidate: &TenantConfig,
    scope: Scope<'_>,
) -> Result<Planned> {
    let tenant = &candidate.tenant;
    let visible = store::visible_units(view, tenant, scope.source, scope.range)?;
    let pinned = BTreeSet::from_iter(store::pinned(view, tenant, scope.range)?);
    let (mut difference, mut notes) = (Difference::default(), Notes::default());
    let (mut units, mut left) = (Vec::new(), 0);
    let mut programs: BTreeMap<SourceId, Arc<Program>> = BTreeMap::new();
    for unit in &visible {
        let before = store::unit_sums(view, unit)?;
        let is_pinned = pinned.contains(&(unit.source.to_string(), unit.date.to_string()));
        left += usize::from(is_pinned);
        let again = !is_pinned
            && notes.can_be_planned(view, candidate, unit)?
            && (scope.every || candidate.rules_hash(&unit.source, unit.date)? != unit.rules);
        for (key, sum) in before {
            let moved = difference.of(key)?;
            moved.before.merge(&sum);
            if !again {
                moved.after.merge(&sum);
            }
        }
        if !again {
            continue;
        }
        let program = match programs.get(&unit.source) {
            Some(program) => Arc::clone(program),
            None => {
                let program = Arc::new(Program::compile(candidate, &unit.source)?);
                programs.insert(unit.source.clone(), Arc::clone(&program));
                program
            }
        };
        let outcome = recompute(view, unit, &program, &mut |row| {
            difference.of(key_of(&row))?.after.add(row.money.amount);
            Ok(())
        })?;
        units.push(PlannedUnit {
            source: unit.source.to_string(),
            date: unit.date.to_string(),
            lines_hash: unit.lines_hash,
            rows_hash: outcome.hash,
            rows: outcome.rows,
        });
    }
    if left > 0 {
        notes.texts.push(format!(
            "{left} dates are pinned to rules of a former time, and stay as they are until `apportion unpin`"
        ));
    }
    for (code, (all, _)) in difference.totals() {
        ensure!(
            all.delta().is_zero(),
            "before and after differ by {} {code}: this is a defect of ours",
            all.delta()
        );
    }
    let (tenant, visible, digest) = (tenant.clone(), visible.len(), digest(&units));
    Ok(Planned { tenant, visible, units, notes: notes.texts, difference, digest, done: false })
}

/// Of these rows: equal digests, equal rows.
#[must_use]
pub fn digest(units: &[PlannedUnit]) -> Hash128 {
    let mut digest = blake3::Hasher::new();
    for unit in units {
        let texts = [unit.source.as_str(), &unit.date];
        digest.update(&Hash128::of_texts(texts).0).update(&unit.rows_hash.0);
    }
    Hash128::finish(&digest.finalize())
}

fn key_of(row: &Recomputed<'_>) -> RowKey {
    let text = |name| row.lines.cell(name).and_then(|column| column.get(row.at));
    let currency = row.lines.currency.get(row.at).unwrap_or_default();
    RowKey {
        owner: row.dimension.owner.clone(),
        identity: row.dimension.identity.clone(),
        product: text(cell::PRODUCT_TYPE).or(text(cell::SERVICE)).unwrap_or_default().to_owned(),
        rule: row.dimension.rule.clone(),
        currency: currency.to_owned(),
    }
}

/// What a plan over stored lines cannot say, once per source.
#[derive(Default)]
struct Notes {
    texts: Vec<String>,
    known: BTreeMap<(SourceId, Hash128), bool>,
}

impl Notes {
    /// Whether the candidate's rules can be applied to the unit's lines as they are.
    fn can_be_planned(
        &mut self,
        view: &mut Transaction<'_>,
        candidate: &TenantConfig,
        unit: &VisibleUnit,
    ) -> Result<bool> {
        let key = (unit.source.clone(), unit.config);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let source = &unit.source;
        let made_with = store::config_version(view, &unit.tenant, unit.config)?;
        let (able, note) = match (candidate.source(source), made_with.source(source)) {
            (None, _) => {
                let text = "is not in the candidate: its rows stay as they are in this plan, and leave with the source";
                (false, Some(text))
            }
            (Some(new), Some(old)) if new.cost() != old.cost() || new.kind() != old.kind() => {
                let text = "has another `cost` or `kind` in the candidate, which changes the bill itself and not only who \
                            owes it: its rows stay as they are in this plan. Change that in a step of its own";
                (false, Some(text))
            }
            _ => {
                let same = made_with.source(source).is_some()
                    && candidate.gather_hash(source)? == made_with.gather_hash(source)?;
                let text = "would be read otherwise under the candidate (its files, currencies or window of dates): this \
                            plan is over the lines as they were read";
                (true, (!same).then_some(text))
            }
        };
        let note = note.map(|text| format!("source {source} {text}"));
        self.texts.extend(note.filter(|note| !self.texts.contains(note)));
        self.known.insert(key, able);
        Ok(able)
    }
}
