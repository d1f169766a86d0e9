//! What a person asks the coordinator for: written down as a run, and waited for.

use anyhow::{Result, bail, ensure};
use clap::Args;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use super::wait;
use crate::reach::{Database, Reach};
use crate::store::{self, Asked, WholeRun};
use crate::wiring;

/// Who asks, and whether he waits.
#[derive(Debug, Args)]
pub struct Asking {
    /// Do not wait for it
    #[arg(long)]
    pub detach: bool,
    /// Who asks, for the record
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
}

/// What of.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// Of which source; `None`: of all.
    pub source: Option<&'a SourceId>,
    /// First and last date.
    pub range: (UnitDate, UnitDate),
}

/// What is asked for: `gather`, `replay` or `unpin`, and how its runs are named.
#[derive(Debug, Clone, Copy)]
pub struct What<'a> {
    /// As stored.
    pub kind: &'static str,
    /// Its runs are named so, and numbered.
    pub name: &'static str,
    /// Of a replay: which rules, and the moment that counts.
    pub rules: Option<(&'static str, Option<&'a str>)>,
}

/// Checks that there are such sources in force.
///
/// # Errors
/// When there are none; says what there is.
pub fn check(database: &mut Database, of: Of<'_>) -> Result<()> {
    let Of { tenant, source, range: (from, to) } = of;
    ensure!(from <= to, "--from {from} is after --to {to}: no date lies between them");
    let mut view = store::view(&mut database.client)?;
    let known = store::sources_of(&mut view, tenant.as_str())?;
    if known.is_empty() {
        bail!("there is no tenant {tenant} in force: `apportion status` shows them");
    }
    if let Some(source) = source {
        ensure!(
            known.iter().any(|id| id == source.as_str()),
            "{tenant} has no source {source} in force: it has {}",
            known.join(", ")
        );
    }
    Ok(())
}

impl Asking {
    /// Writes the request down and, unless it is detached, waits for its end. Gives the run.
    ///
    /// # Errors
    /// When there is no coordinator that could do it, or the database cannot be used.
    pub fn ask(&self, database: &mut Database, what: What<'_>, of: Of<'_>) -> Result<WholeRun> {
        let mut view = store::view(&mut database.client)?;
        let led = store::leader(&mut view)?.is_some_and(|leader| leader.alive);
        view.commit()?;
        ensure!(
            led || self.detach,
            "no coordinator leads: start `apportion up`, or give --detach to have the next one do it"
        );
        let run = format!("{}-{}", what.name, wiring::new_run());
        let asked = Asked {
            run: &run,
            kind: what.kind,
            tenant: of.tenant.as_str(),
            source: of.source.map(SourceId::as_str),
            range: (of.range.0.to_string(), of.range.1.to_string()),
            rules: what.rules.map(|(rules, _)| rules),
            rules_at: what.rules.and_then(|(_, at)| at),
            by: &self.by,
        };
        store::ask(&mut database.client, &asked)?;
        if !self.detach {
            eprintln!("{run} is asked for; it goes on when this is interrupted");
            wait::wait(&mut database.client, &run)?;
        }
        let mut view = store::view(&mut database.client)?;
        let Some(whole) = store::run_whole(&mut view, &run)? else { bail!("{run} is gone") };
        Ok(whole)
    }
}
