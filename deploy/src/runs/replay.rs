//! `apportion replay`: dates that are calculated again from what was gathered. Nothing outside is asked.
//!
//! Lines and resolutions come from the streams, or from the ledger's archive once they have aged out there. With
//! `--dry-run` the archive is calculated in this process, as by `apportion plan`: nothing that is visible changes, and
//! what is kept is the difference with its digest. What a replay publishes has the digest of its dry run.

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use super::ask::{Asking, Of, What, check};
use super::{result, text};
use crate::configuration;
use crate::plan::{self, Scope};
use crate::reach::Database;
use crate::say::say;
use crate::store;

/// By which rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rules {
    /// Those in force; a pinned date keeps its own
    Current,
    /// Those that were in force at the end of each date, or at --at; pins the dates to them
    AsOf,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Whose
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// Of which source [default: of all]
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// First date
    #[arg(long, value_name = "DATE")]
    pub from: UnitDate,
    /// Last date, inclusive
    #[arg(long, value_name = "DATE")]
    pub to: UnitDate,
    /// By which rules
    #[arg(long, value_name = "RULES", value_enum, default_value_t = Rules::Current)]
    pub rules: Rules,
    /// With --rules as-of: the moment that counts instead of the end of each date, such as 2026-07-01 or 2026-07-01T08:00:00Z
    #[arg(long, value_name = "MOMENT")]
    pub at: Option<String>,
    /// Change nothing: print the difference that the replay would make, by the rules in force, or by those of the folder
    /// that --config names
    #[arg(long, conflicts_with_all = ["detach", "at"])]
    pub dry_run: bool,
    /// By whom.
    #[command(flatten)]
    pub asking: Asking,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown, fit for a pull request
    #[arg(long)]
    pub markdown: bool,
}

impl Replay {
    /// Asks for it, waits for its end and prints the difference; the exit code: 0, and 1 when it failed.
    ///
    /// # Errors
    /// When there are no such dates, no coordinator that could do it, or the database cannot be used.
    pub fn run(self) -> Result<u8> {
        let mut database = self.asking.reach.database()?;
        let range = (self.from, self.to);
        let of = Of { tenant: &self.tenant, source: self.source.as_ref(), range };
        check(&mut database, of)?;
        if self.dry_run {
            say(&self.dry(&mut database)?)?;
            return Ok(0);
        }
        let at = self.at.as_deref().map(moment).transpose()?;
        let rules = match self.rules {
            Rules::Current => {
                ensure!(at.is_none(), "--at names the moment of --rules as-of: give that, too");
                ("current", None)
            }
            Rules::AsOf => ("as-of", at.as_deref()),
        };
        let what = What { kind: "replay", name: "replay", rules: Some(rules) };
        let whole = self.asking.ask(&mut database, what, of)?;
        if self.asking.detach {
            say(&if self.json { text::shown_json(&whole)? } else { text::shown(&whole) })?;
            return Ok(0);
        }
        let mut view = store::view(&mut database.client)?;
        say(&result::told(&mut view, &whole, (self.json, self.markdown))?)?;
        Ok(u8::from(whole.0.status == "failed"))
    }

    fn dry(&self, database: &mut Database) -> Result<String> {
        ensure!(
            self.rules == Rules::Current,
            "a dry run is by the rules in force, or by those of the folder that --config names: check the former files \
             out there instead of --rules as-of"
        );
        let (candidate, commit) = match &self.asking.reach.config {
            Some(folder) => {
                let mut config = configuration::load(folder)?;
                let found = config.tenants.remove(&self.tenant);
                let found = found.with_context(|| {
                    format!("{} has no tenant {}", folder.display(), self.tenant)
                })?;
                (found, config.git_commit)
            }
            None => {
                let mut view = store::view(&mut database.client)?;
                (store::config_in_force(&mut view, &self.tenant)?, None)
            }
        };
        let range = (Some(self.from), Some(self.to));
        let scope = Scope { source: self.source.as_ref(), range, every: true };
        let planned = plan::plan(database, &candidate, commit.as_deref(), scope)?;
        if planned.visible == 0 {
            bail!(
                "no date from {} to {} is visible: there is nothing to replay",
                self.from,
                self.to
            );
        }
        plan::told(&[planned], (self.json, self.markdown))
    }
}

/// A date, or a moment in RFC 3339, as Postgres reads it.
fn moment(text: &str) -> Result<String> {
    if let Ok(date) = text.parse::<UnitDate>() {
        return Ok(format!("{date}T00:00:00Z"));
    }
    let moment: jiff::Timestamp = text.parse().ok().with_context(|| {
        format!("{text:?} is no moment: give a date such as 2026-07-01, or 2026-07-01T08:00:00Z")
    })?;
    Ok(moment.to_string())
}
