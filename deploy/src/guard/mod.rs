//! `apportion deletions` and `apportion withdrawals`: what waits because a provider may be at fault, and what a person
//! decides about it.

pub mod text;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use proto::ids::{SourceId, TenantId};

use crate::reach::Reach;
use crate::say::say;
use crate::store::{self, Population};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Resources and identities.
    Deletions,
    /// Visible dates.
    Withdrawals,
}

impl What {
    fn has(self, population: &Population) -> bool {
        (population.class == "date") == (self == Self::Withdrawals)
    }
    fn word(self) -> &'static str {
        match self {
            Self::Deletions => "deletions",
            Self::Withdrawals => "withdrawals",
        }
    }
}

/// `deletions` and `withdrawals`.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Show what waits, what it waits for, and what a person keeps
    List(Listing),
    /// It is gone indeed: what waits ends now
    Confirm(Decide),
    /// It is a fault of the provider: what waits is kept until it is found again or confirmed
    Reject(Decide),
}

/// Which populations.
#[derive(Debug, Args)]
pub struct Which {
    /// Of this tenant alone
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// Of this source alone
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// Of resources or identities of this type alone
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
}

/// `list`.
#[derive(Debug, Args)]
pub struct Listing {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `confirm` and `reject`.
#[derive(Debug, Args)]
pub struct Decide {
    /// Which; may be left out where one alone waits.
    #[command(flatten)]
    pub which: Which,
    /// All that waits, where that is more than one type of one source
    #[arg(long)]
    pub all: bool,
    /// Who decides, for the record
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Which {
    fn has(&self, population: &Population) -> bool {
        let (tenant, source) = &population.key;
        self.tenant.as_ref().is_none_or(|id| id.as_str() == tenant)
            && self.source.as_ref().is_none_or(|id| id.as_str() == source)
            && self.kind.as_ref().is_none_or(|kind| *kind == population.kind)
    }
    fn check(&self, what: What) -> Result<()> {
        ensure!(
            what == What::Deletions || self.kind.is_none(),
            "dates have no --type: leave it out"
        );
        Ok(())
    }
}

impl GuardCommand {
    /// Whether it is asked for one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(list) => list.json,
            Self::Confirm(decide) | Self::Reject(decide) => decide.json,
        }
    }

    /// Does it; the exit code.
    ///
    /// # Errors
    /// When the database cannot be used, or nothing that is meant waits.
    pub fn run(self, what: What) -> Result<u8> {
        match self {
            Self::List(list) => list.run(what),
            Self::Confirm(decide) => decide.run(what, true),
            Self::Reject(decide) => decide.run(what, false),
        }
    }
}

impl Listing {
    fn run(self, what: What) -> Result<u8> {
        self.which.check(what)?;
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let mut found = Vec::new();
        for population in store::populations(&mut view)? {
            let any = population.waiting + population.kept > 0;
            if any && what.has(&population) && self.which.has(&population) {
                let items = store::missing(&mut view, &population)?;
                found.push((population, items));
            }
        }
        let said =
            if self.json { text::listed_json(&found)? } else { text::listed(what.word(), &found) };
        say(&said)?;
        Ok(0)
    }
}

impl Decide {
    fn run(self, what: What, confirm: bool) -> Result<u8> {
        self.which.check(what)?;
        let mut database = self.reach.database()?;
        let mut txn = database.client.transaction().context("the database takes no transaction")?;
        // What was kept may be confirmed later, after all.
        let is_open =
            |population: &Population| population.waiting > 0 || (confirm && population.kept > 0);
        let mut meant = store::populations(&mut txn)?;
        meant.retain(|one| what.has(one) && self.which.has(one) && is_open(one));
        let word = what.word();
        if meant.is_empty() {
            bail!("no such {word} wait: `apportion {word} list` shows what does");
        }
        if meant.len() > 1 && !self.all {
            let names: Vec<String> = meant.iter().map(text::name).collect();
            bail!(
                "{} wait: name one with --tenant, --source and --type, or give --all",
                names.join(", ")
            );
        }
        let decision = if confirm { "confirmed" } else { "rejected" };
        for population in &meant {
            store::decide(&mut txn, population, decision, &self.by)?;
        }
        txn.commit().context("cannot keep the decision")?;
        let said = if self.json {
            text::decided_json(decision, &meant)?
        } else {
            text::decided(confirm, &meant)
        };
        say(&said)?;
        Ok(0)
    }
}
