//! `apportion refused`: messages that no process could use, why, and putting them back where they were found.

pub mod text;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use runtime::bus::Bus;
use runtime::refused::Refused;

use crate::reach::Reach;
use crate::say::say;

/// Most that one listing shows.
const LISTED_MAX: usize = 1_000;

/// `refused`.
#[derive(Debug, Subcommand)]
pub enum RefusedCommand {
    /// Show what was refused and why, the oldest first
    List(Listing),
    /// Show one of them with what it holds
    Show(Which),
    /// Put one back where it was found, after what made it unusable was mended
    Requeue(Which),
}

/// `list`.
#[derive(Debug, Args)]
pub struct Listing {
    /// From this number on, for more than one page
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub from: u64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=LISTED_MAX as i64))]
    pub limit: u16,
    /// Which NATS.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `show` and `requeue`.
#[derive(Debug, Args)]
pub struct Which {
    /// Its number in the list
    #[arg(value_name = "NUMBER")]
    pub number: u64,
    /// Which NATS.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl RefusedCommand {
    /// Whether it is asked for one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(list) => list.json,
            Self::Show(which) | Self::Requeue(which) => which.json,
        }
    }

    /// Does it; the exit code.
    ///
    /// # Errors
    /// When NATS cannot be used, or there is no such message.
    pub fn run(self) -> Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let said = runtime.block_on(async {
            match self {
                Self::List(list) => list.run().await,
                Self::Show(which) => {
                    let (_, refused) = which.find().await?;
                    if which.json { text::shown_json(&refused) } else { text::shown(&refused) }
                }
                Self::Requeue(which) => {
                    let (bus, refused) = which.find().await?;
                    let put = bus.requeue(&refused).await;
                    put.with_context(|| format!("message {} stays listed", refused.number))?;
                    if which.json {
                        text::shown_json(&refused)
                    } else {
                        Ok(text::requeued(&refused))
                    }
                }
            }
        });
        say(&said?)?;
        Ok(0)
    }
}

impl Listing {
    async fn run(self) -> Result<String> {
        let bus = connect(&self.reach).await?;
        let limit = usize::from(self.limit);
        // One more than shown, to know whether there are more.
        let mut found = bus.refused_list(self.from, limit + 1).await?;
        let next = found.get(limit).map(|refused| refused.number);
        found.truncate(limit);
        if self.json { text::listed_json(&found, next) } else { Ok(text::listed(&found, next)) }
    }
}

impl Which {
    async fn find(&self) -> Result<(Bus, Refused)> {
        let bus = connect(&self.reach).await?;
        match bus.refused_get(self.number).await? {
            Some(refused) => Ok((bus, refused)),
            None => bail!(
                "there is no refused message {}: `apportion refused list` shows those that are",
                self.number
            ),
        }
    }
}

async fn connect(reach: &Reach) -> Result<Bus> {
    let found = reach.find()?;
    let Some(url) = found.nats else {
        bail!(
            "no NATS is known: nothing runs over {}. Start `apportion up` over it, name its folder with --data-dir, or \
             set NATS_URL",
            found.data_dir.display()
        )
    };
    Ok(Bus::connect(&url, "refused").await?)
}
