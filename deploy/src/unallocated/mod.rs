//! `apportion unallocated`: what nobody pays, why, and what could be done, with the money that each change would move.
//!
//! The rows are calculated again from the archive under the configuration that made them; what a change would move
//! comes from the same engine under the changed one, as in `plan`.

mod edit;
mod evidence;
mod suggest;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use allocator::domain::Program;
use anyhow::{Context, Result, ensure};
use clap::Args;
use coordinator::config::places;
use postgres::Transaction;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::money::ExactSum;
use proto::time::UnitDate;

use crate::configuration;
use crate::plan::{self, Scope};
use crate::reach::Reach;
use crate::recompute::recompute;
use crate::say::say;
use crate::store;
use evidence::Evidence;
use suggest::{Change, Suggestion};

/// `unallocated`.
#[derive(Debug, Args)]
pub struct Unallocated {
    /// Whose
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// First date [default: the first visible one]
    #[arg(long, value_name = "DATE")]
    pub from: Option<UnitDate>,
    /// Last date, inclusive [default: the last visible one]
    #[arg(long, value_name = "DATE")]
    pub to: Option<UnitDate>,
    /// Which database; with `--config`, changes of the files there are suggested.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A suggestion with what it would do.
#[derive(Debug)]
pub struct Suggested {
    /// What, and why.
    pub suggestion: Suggestion,
    /// By currency, how much less nobody would pay for.
    pub moves: BTreeMap<String, ExactSum>,
    /// Owners whose sum would change, with their currency.
    pub owners: Vec<(String, String, ExactSum)>,
    /// The change of the file, as a unified diff.
    pub diff: String,
}

impl Unallocated {
    /// Prints it.
    ///
    /// # Errors
    /// When the archive or database cannot be read, or the files are not those that are in force.
    pub fn run(self) -> Result<u8> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let range = (self.from, self.to);
        let evidence = gathered(&mut view, &self.tenant, range)?;
        let suggested = match &self.reach.config {
            Some(folder) => self.suggested(&mut view, folder, &evidence)?,
            None => Vec::new(),
        };
        let with_files = self.reach.config.is_some();
        let said = match self.json {
            true => text::document(&self.tenant, &evidence, &suggested)?,
            false => text::text(&self.tenant, &evidence, &suggested, with_files),
        };
        say(&said)?;
        Ok(0)
    }

    fn suggested(
        &self,
        view: &mut Transaction<'_>,
        folder: &Path,
        evidence: &Evidence,
    ) -> Result<Vec<Suggested>> {
        let config = configuration::load(folder)?;
        let tenant = config.tenants.get(&self.tenant);
        let tenant = tenant
            .with_context(|| format!("{} has no tenant {}", folder.display(), self.tenant))?;
        let scope = Scope { range: (self.from, self.to), ..Scope::default() };
        let as_it_is = plan::planned(view, tenant, scope)?;
        ensure!(
            as_it_is.units.is_empty(),
            "the files in {} are not what is visible ({} dates differ): `apportion plan` shows how, `apportion run --once` \
             puts them in force",
            folder.display(),
            as_it_is.units.len()
        );
        let mut suggested = Vec::new();
        for suggestion in suggest::suggest(tenant, evidence) {
            let planned = plan::planned(view, &suggest::with(tenant, &suggestion.change), scope)?;
            let moves: BTreeMap<String, ExactSum> = planned
                .difference
                .totals()
                .into_iter()
                .map(|(currency, (_, allocated))| (currency.to_owned(), allocated.delta()))
                .filter(|(_, sum)| !sum.is_zero())
                .collect();
            if moves.is_empty() {
                continue;
            }
            let owner = |((owner, currency), moved): &((&str, &str), plan::Moved)| {
                ((*owner).to_owned(), (*currency).to_owned(), moved.delta())
            };
            let lines = planned.difference.owners();
            let owners = lines.iter().map(owner);
            let owners = owners.filter(|(_, _, delta)| !delta.is_zero()).collect();
            let diff = diff(folder, tenant, &suggestion.change)?;
            suggested.push(Suggested { suggestion, moves, owners, diff });
        }
        Ok(suggested)
    }
}

/// What the rows that are visible say, calculated again under the rules that made them.
fn gathered(
    view: &mut Transaction<'_>,
    tenant: &TenantId,
    range: store::Range,
) -> Result<Evidence> {
    let units = store::visible_units(view, tenant, None, range)?;
    let last = units.last();
    let last = last.with_context(|| format!("nothing of {tenant} is visible in these dates"))?;
    let mut evidence = Evidence::of(&store::config_version(view, tenant, last.config)?);
    let mut programs: BTreeMap<(SourceId, Hash128), Arc<Program>> = BTreeMap::new();
    for unit in &units {
        let key = (unit.source.clone(), unit.config);
        let program = match programs.get(&key) {
            Some(program) => Arc::clone(program),
            None => {
                let config = store::config_version(view, tenant, unit.config)?;
                let program = Arc::new(Program::compile(&config, &unit.source)?);
                programs.insert(key, Arc::clone(&program));
                program
            }
        };
        let date = format!("{}/{}", unit.source, unit.date);
        let outcome = recompute(view, unit, &program, &mut |row| evidence.add(&row, &date))?;
        evidence.warned(&outcome.warnings);
    }
    Ok(evidence)
}

/// From a file's text to the changed one.
type Edit<'a> = Box<dyn Fn(&str) -> Result<String> + 'a>;

/// The change of the user's file.
fn diff(folder: &Path, tenant: &TenantConfig, change: &Change) -> Result<String> {
    let (name, edit): (Option<String>, Edit<'_>) = match change {
        Change::Alias { value, owner } => (
            places::of_owners(folder, &tenant.tenant),
            Box::new(move |text| edit::add_alias(text, owner, value)),
        ),
        Change::Row { table, key, owner } => {
            let columns = tenant.tables.get(table).and_then(|t| Some((t.key.first()?, &t.value)));
            let (key_column, value_column) = columns.context("a table without key")?;
            let edit =
                move |text: &str| edit::set_row(text, (key_column, key), (value_column, owner));
            (places::of_table(folder, &tenant.tenant, table), Box::new(edit))
        }
    };
    let name = name.context("the file to change is not named in the tenant's own file")?;
    let path = folder.join(&name);
    let old =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = edit(&old).with_context(|| format!("cannot change {}", path.display()))?;
    let diff = similar::TextDiff::from_lines(&old, &new);
    let mut unified = diff.unified_diff();
    Ok(unified.context_radius(1).header(&format!("a/{name}"), &format!("b/{name}")).to_string())
}
