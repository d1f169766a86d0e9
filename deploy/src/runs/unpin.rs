//! `apportion unpin`: dates that follow the rules in force again.

use anyhow::{Result, ensure};
use clap::Args;
use proto::ids::{SourceId, TenantId};
use proto::time::{FIRST_DATE, UnitDate};

use super::ask::{Asking, Of, What, check};
use super::{result, text};
use crate::say::say;
use crate::store;

/// `unpin`.
#[derive(Debug, Args)]
pub struct Unpin {
    /// Whose
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// Of which source [default: of all]
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// First date [default: the first pinned one]
    #[arg(long, value_name = "DATE")]
    pub from: Option<UnitDate>,
    /// Last date, inclusive [default: the last pinned one]
    #[arg(long, value_name = "DATE")]
    pub to: Option<UnitDate>,
    /// By whom.
    #[command(flatten)]
    pub asking: Asking,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Unpin {
    /// Asks for it, waits for its end and prints the difference; the exit code: 0, and 1 when it failed.
    ///
    /// # Errors
    /// When no date is pinned, no coordinator could do it, or the database cannot be used.
    pub fn run(self) -> Result<u8> {
        let mut database = self.asking.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let pinned = store::pinned(&mut view, &self.tenant, (self.from, self.to))?;
        view.commit()?;
        let of_source =
            |source: &String| self.source.as_ref().is_none_or(|id| id.as_str() == source);
        let dates = || pinned.iter().filter(|(source, _)| of_source(source)).map(|(_, date)| date);
        let [first, last] =
            [dates().min(), dates().max()].map(|date| date.map(|date| date.parse()));
        let range =
            (first.transpose()?.unwrap_or(FIRST_DATE), last.transpose()?.unwrap_or(FIRST_DATE));
        let of = Of { tenant: &self.tenant, source: self.source.as_ref(), range };
        check(&mut database, of)?;
        ensure!(
            dates().next().is_some(),
            "no such date is pinned: only `apportion replay --rules as-of` pins dates"
        );
        let what = What { kind: "unpin", name: "unpin", rules: None };
        let whole = self.asking.ask(&mut database, what, of)?;
        if self.asking.detach {
            say(&if self.json { text::shown_json(&whole)? } else { text::shown(&whole) })?;
            return Ok(0);
        }
        let mut view = store::view(&mut database.client)?;
        say(&result::told(&mut view, &whole, (self.json, false))?)?;
        Ok(u8::from(whole.0.status == "failed"))
    }
}
