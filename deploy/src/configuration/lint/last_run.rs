//! The lines of the last run: what is visible, from the archive.

use std::collections::BTreeMap;
use std::sync::Arc;

use allocator::domain::Program;
use allocator::domain::survey::Survey;
use anyhow::Result;
use coordinator::config::Config;
use postgres::Transaction;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::SourceId;

use super::{Warned, judge};
use crate::recompute::surveyed;
use crate::store;

/// Warnings about what the visible lines do not meet in these files, whatever configuration made their rows; and what is
/// left out. Memory: what one unit takes, and a few sums for each rule, key and owner.
///
/// # Errors
/// When the archive or database cannot be read.
pub fn of_last_run(
    view: &mut Transaction<'_>,
    config: &Config,
) -> Result<(Vec<Warned>, Vec<String>)> {
    let (mut warned, mut notes) = (Vec::new(), Vec::new());
    for tenant in config.tenants.values() {
        let survey = survey(view, tenant, &mut notes)?;
        if survey.days.is_empty() {
            notes.push(format!(
                "no line of {} is visible: only what can be said without lines is said of it",
                tenant.tenant
            ));
        }
        warned.extend(judge::judged(config, tenant, &survey));
    }
    Ok((warned, notes))
}

fn survey(
    view: &mut Transaction<'_>,
    tenant: &TenantConfig,
    notes: &mut Vec<String>,
) -> Result<Survey> {
    let mut survey = Survey::default();
    let mut programs: BTreeMap<SourceId, Arc<Program>> = BTreeMap::new();
    let mut left_out: BTreeMap<(SourceId, Hash128), bool> = BTreeMap::new();
    for unit in store::visible_units(view, &tenant.tenant, None, (None, None))? {
        let key = (unit.source.clone(), unit.config);
        let out = match left_out.get(&key) {
            Some(out) => *out,
            None => {
                let made_with = store::config_version(view, &tenant.tenant, unit.config)?;
                let why = why_left_out(tenant, &made_with, &unit.source);
                let note =
                    why.map(|why| format!("{}: source {} {why}", tenant.tenant, unit.source));
                notes.extend(note.filter(|note| !notes.contains(note)));
                left_out.insert(key, why.is_some());
                why.is_some()
            }
        };
        if out {
            continue;
        }
        let program = match programs.get(&unit.source) {
            Some(program) => Arc::clone(program),
            None => {
                let program = Arc::new(Program::compile(tenant, &unit.source)?);
                programs.insert(unit.source.clone(), Arc::clone(&program));
                program
            }
        };
        surveyed(view, &unit, &program, &mut survey)?;
    }
    Ok(survey)
}

/// Why lines that were read under another configuration say nothing about this one.
fn why_left_out(
    tenant: &TenantConfig,
    made_with: &TenantConfig,
    source: &SourceId,
) -> Option<&'static str> {
    let Some(new) = tenant.source(source) else {
        return Some("is not in these files: its lines are left out");
    };
    let old = made_with.source(source)?;
    let changed = new.cost() != old.cost() || new.kind() != old.kind();
    changed
        .then_some("has another `cost` or `kind` here than in the last run: its lines are left out")
}
