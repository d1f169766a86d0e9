//! What happens around the coordinators, by itself or by somebody's doing; and how everything comes right once faults end.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::time::UnitDate;
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::check;
use crate::scenario::{DATES, GATHER_EVERY, Odds, Scenario};
use crate::worker::Job;

/// Rounds of healing after which something is stuck.
const ROUNDS_MAX: u32 = 14;
/// Exchanges of one round after which work goes in circles.
const EXCHANGES_MAX: u32 = 40;

impl Scenario<'_> {
    pub async fn time_passes(&mut self) -> Result<()> {
        let seconds = *[2, 10, 40, 70, 300, 960, 1_900].choose(&mut self.rng).context("a time")?;
        self.pass(Duration::from_secs(seconds)).await
    }

    /// A new edition of a date, a date that is gone, or one that comes; often just before the next gather.
    pub async fn bill_changes(&mut self) -> Result<()> {
        let sources: Vec<_> = self.world.bill.keys().cloned().collect();
        let source = sources.choose(&mut self.rng).context("a source")?.clone();
        let date: UnitDate = DATES.choose(&mut self.rng).context("a date")?.parse()?;
        // What an API no longer says waits for a person; files are taken at their word.
        let may_go = source.as_str() == "files" && self.rng.random_bool(0.3);
        let edition = self.rng.random_range(1..1_000);
        let Some(dates) = self.world.bill.get_mut(&source) else { return Ok(()) };
        if may_go && dates.len() > 1 && dates.remove(&date).is_some() {
            self.say(format!("{source}/{date} is gone"));
        } else {
            dates.insert(date, edition);
            self.say(format!("{source}/{date} changes to {edition}"));
        }
        if self.rng.random_bool(0.6) {
            self.pass(GATHER_EVERY + Duration::from_secs(1)).await
        } else {
            Ok(())
        }
    }

    pub async fn config_changes(&mut self) -> Result<()> {
        self.variant =
            (self.variant + self.rng.random_range(1..self.variants.len())) % self.variants.len();
        self.say(format!("variant {} is put in force", self.variant));
        self.configure(self.leads).await
    }

    pub fn batch_is_lost(&mut self) -> Result<()> {
        let subjects: Vec<&String> = self.world.batches.keys().collect();
        if let Some(subject) = subjects.choose(&mut self.rng).map(|subject| (*subject).clone()) {
            self.say(format!("{subject} is lost"));
            self.world.counts.faults += 1;
            self.world.batches.remove(&subject);
        }
        Ok(())
    }

    /// The server is started anew: its memory streams are empty.
    pub fn bus_is_lost(&mut self) -> Result<()> {
        self.say("queues and reports are lost");
        self.world.counts.faults += 1;
        self.world.queue.clear();
        self.world.reports.clear();
        Ok(())
    }

    /// The ledger deletes what nobody can see.
    pub async fn purge(&mut self) -> Result<()> {
        self.say("the ledger deletes what nobody can see");
        emitter::ledger::purge::purge(self.ground.store.clone()).await?;
        check::always(&self.ground.own, &mut self.seen).await
    }

    /// Nothing goes wrong any more: within a bounded number of rounds everything has to be right.
    pub async fn heal(&mut self) -> Result<()> {
        self.say("faults end");
        self.odds = Odds { fails: 0.0, unknown: 0.0, lost: 0.0, doubled: 0.0, worker: 0.0 };
        self.jobs.clear();
        self.lead(0).await?;
        for (source, date) in check::quarantined(&self.ground.own).await? {
            // A person mends the input of what is quarantined.
            let dates = self.world.bill.entry(source.parse()?).or_default();
            dates.insert(date.parse()?, 1_000);
        }
        for round in 0..ROUNDS_MAX {
            // Long enough for what hangs, then for the next gather, then for the longest pause.
            let seconds = [31 * 60, 16 * 60].get(round as usize).copied().unwrap_or(70);
            self.pass(Duration::from_secs(seconds)).await?;
            self.resend(0).await?;
            self.exchange().await?;
            if round >= 2 && self.is_settled().await? {
                let config = &self.variants[self.variant];
                return check::healed(&self.ground.own, &self.world, config).await;
            }
        }
        bail!("{} rounds after the last fault something is stuck: {:?}", ROUNDS_MAX, {
            let (_, state) = self.offices[0].as_ref().context("a leader")?;
            state.run_unsettled("run").await?
        })
    }

    /// Sweeps, works and reports until there is nothing more to do at this time.
    async fn exchange(&mut self) -> Result<()> {
        for _ in 0..EXCHANGES_MAX {
            while let Some(subject) = self.world.queue.keys().next().cloned() {
                let attempt = self.rng.random();
                let job = Job::take(&self.world, &self.ground.own, &subject, attempt).await?;
                self.end(job).await?;
            }
            let group = std::mem::take(&mut self.world.reports);
            if !group.is_empty() {
                self.apply(0, group).await?;
            }
            if self.world.queue.is_empty() && !self.sweep(0).await? {
                return Ok(());
            }
        }
        bail!("work goes in circles");
    }

    async fn is_settled(&self) -> Result<bool> {
        let (_, state) = self.offices[0].as_ref().context("a leader")?;
        let now = state.run_unsettled("run").await?;
        Ok((now.sources, now.units, now.emissions, now.failed) == (0, 0, 0, 0))
    }
}
