//! `apportion compare`: what another tool allocated, against what is visible here.

mod judge;
mod text;
mod theirs;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use proto::currency::Currency;
use proto::ids::TenantId;
use proto::money::ExactSum;
use proto::time::UnitDate;

use crate::reach::Reach;
use crate::say::say;
use crate::store;
use judge::Cause;

/// `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Their rows: a CSV file with an owner, a product and an amount per record
    #[arg(long, value_name = "THEIRS")]
    pub csv: PathBuf,
    /// Whose rows they are
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// First date [default: their first one, where they state dates, else all]
    #[arg(long, value_name = "DATE")]
    pub from: Option<UnitDate>,
    /// Last date, inclusive [default: their last one, else all]
    #[arg(long, value_name = "DATE")]
    pub to: Option<UnitDate>,
    /// The currency of their amounts, where no column says it
    #[arg(long, value_name = "CODE")]
    pub currency: Option<Currency>,
    /// Their columns.
    #[command(flatten)]
    pub names: theirs::Names,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Compare {
    /// Prints it; the exit code: 0 when nothing differs but by rounding, else 1.
    ///
    /// # Errors
    /// When their file or the database cannot be read.
    pub fn run(self) -> Result<u8> {
        let shown = self.csv.display();
        let input = File::open(&self.csv).with_context(|| format!("cannot open {shown}"))?;
        let currency = self.currency.map(|code| code.to_string());
        let theirs = theirs::read(input, &self.names, currency.as_deref())
            .with_context(|| format!("cannot read {shown}"))?;
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let range = (
            self.from.or(theirs.dates.map(|(first, _)| first)),
            self.to.or(theirs.dates.map(|(_, last)| last)),
        );
        let mut ours: BTreeMap<theirs::Key, ExactSum> = BTreeMap::new();
        for unit in store::visible_units(&mut view, &self.tenant, None, range)? {
            for (key, sum) in store::unit_sums(&mut view, &unit)? {
                ours.entry((key.owner, key.product, key.currency)).or_default().merge(&sum);
            }
        }
        let pairs = judge::compare(&theirs, &ours);
        let said = if self.json { text::document(&pairs)? } else { text::table(&pairs) };
        say(&said)?;
        let fine = |cause| matches!(cause, Cause::Equal | Cause::Rounding);
        Ok(u8::from(!pairs.iter().all(|pair| fine(pair.cause))))
    }
}
