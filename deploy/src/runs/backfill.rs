//! `apportion backfill`: dates that are gathered again because a person asks for it.

use anyhow::Result;
use clap::Args;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use super::ask::{Asking, Of, What, check};
use super::text;
use crate::say::say;

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
    /// By whom.
    #[command(flatten)]
    pub asking: Asking,
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
        let mut database = self.asking.reach.database()?;
        let range = (self.from, self.to);
        let of = Of { tenant: &self.tenant, source: Some(&self.source), range };
        check(&mut database, of)?;
        let what = What { kind: "gather", name: "backfill", rules: None };
        let whole = self.asking.ask(&mut database, what, of)?;
        say(&if self.json { text::shown_json(&whole)? } else { text::shown(&whole) })?;
        Ok(u8::from(whole.0.status == "failed"))
    }
}
