//! `apportion reconcile`: compares what is stored of visible dates with what it was made of, now.

mod text;

use anyhow::{Context, Result, ensure};
use clap::Args;
use emitter::reconcile::{Checked, Scope, check, record, units};
use proto::ids::{SourceId, TenantId, UnitKey};
use proto::time::UnitDate;
use runtime::store::Store;

use crate::reach::Reach;
use crate::say::say;
use text::Told;

/// `reconcile`.
#[derive(Debug, Args)]
pub struct Reconcile {
    /// Of this tenant alone
    #[arg(long, value_name = "ID")]
    pub tenant: Option<TenantId>,
    /// Of this source alone
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// From this date on
    #[arg(long, value_name = "DATE")]
    pub from: Option<UnitDate>,
    /// Until this date, inclusive
    #[arg(long, value_name = "DATE")]
    pub to: Option<UnitDate>,
    /// Which database.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Reconcile {
    /// Compares and remembers what was found; the exit code: 1 when something differs.
    ///
    /// # Errors
    /// When the database cannot be used, or nothing of what is named is visible.
    pub fn run(self) -> Result<u8> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            ensure!(from <= to, "--from {from} is after --to {to}: no date lies between them");
        }
        let database = self.reach.database()?;
        let scope = Scope {
            tenant: self.tenant.clone(),
            source: self.source.clone(),
            from: self.from,
            to: self.to,
        };
        let store = Store::open(database.url(), "reconcile", 1)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(compare(&store, &scope))?;
        ensure!(
            told.dates > 0,
            "nothing of that is visible: `apportion status` shows which dates are"
        );
        say(&if self.json { text::json(&told)? } else { text::text(&told) })?;
        Ok(u8::from(!told.differing.is_empty()))
    }
}

async fn compare(store: &Store, scope: &Scope) -> Result<Told> {
    let (mut told, mut after) = (Told::default(), None::<UnitKey>);
    loop {
        let listed = units(store, scope, after.as_ref()).await?;
        for unit in &listed {
            let checked = check(store, unit).await;
            let checked = checked.with_context(|| format!("{unit} cannot be compared"))?;
            // Removed meanwhile.
            let Some(checked) = checked else { continue };
            record(store, unit, &checked).await?;
            told.dates += 1;
            told.lines += checked.lines;
            told.rows += checked.rows;
            let Checked { generation, differences, .. } = checked;
            if !differences.is_empty() {
                told.differing.push((unit.clone(), generation, differences));
            }
        }
        match listed.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(told),
        }
    }
}
