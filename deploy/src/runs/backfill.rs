//! `apportion backfill`: dates that are gathered again because a person asks for it.

use anyhow::{Result, bail, ensure};
use clap::Args;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use super::{text, wait};
use crate::reach::Reach;
use crate::say::say;
use crate::store::{self, Asked};
use crate::wiring;

/// `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// Whose
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// Of which source
    #[arg(long, value_name = "ID")]
    pub source: SourceId,
    /// First date
    #[arg(long, value_name = "DATE")]
    pub from: UnitDate,
    /// Last date, inclusive
    #[arg(long, value_name = "DATE")]
    pub to: UnitDate,
    /// Do not wait for it
    #[arg(long)]
    pub detach: bool,
    /// Who asks, for the record
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Backfill {
    /// Asks for it and, unless it is detached, waits; the exit code: 0, and 1 when it failed.
    ///
    /// # Errors
    /// When there is no such source, no coordinator that could do it, or the database cannot be used.
    pub fn run(self) -> Result<u8> {
        let Self { tenant, source, from, to, .. } = &self;
        ensure!(from <= to, "--from {from} is after --to {to}: no date lies between them");
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let known = store::sources_of(&mut view, tenant.as_str())?;
        if known.is_empty() {
            bail!("there is no tenant {tenant} in force: `apportion status` shows them");
        }
        ensure!(
            known.iter().any(|id| id == source.as_str()),
            "{tenant} has no source {source} in force: it has {}",
            known.join(", ")
        );
        let led = store::leader(&mut view)?.is_some_and(|leader| leader.alive);
        view.commit()?;
        ensure!(
            led || self.detach,
            "no coordinator leads: start `apportion up`, or give --detach to have the next one do it"
        );
        let run = format!("backfill-{}", wiring::new_run());
        let asked = Asked {
            run: &run,
            tenant: tenant.as_str(),
            source: source.as_str(),
            range: (from.to_string(), to.to_string()),
            by: &self.by,
        };
        store::ask_for_gather(&mut database.client, &asked)?;
        if !self.detach {
            eprintln!("{run} is asked for; it goes on when this is interrupted");
            wait::wait(&mut database.client, &run)?;
        }
        let mut view = store::view(&mut database.client)?;
        let Some(whole) = store::run_whole(&mut view, &run)? else { bail!("{run} is gone") };
        say(&if self.json { text::shown_json(&whole)? } else { text::shown(&whole) })?;
        Ok(u8::from(whole.0.status == "failed"))
    }
}
