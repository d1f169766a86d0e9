//! One seed: a while of work and faults, then the faults end and everything has to come right.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coordinator::apply::{Applied, Read};
use coordinator::leader::Leader;
use coordinator::store::{Outgoing, StateError, StateStore};
use proto::config::TenantConfig;
use proto::report::FailureClass;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::check::{self, Seen};
use crate::ground::Ground;
use crate::worker::{self, Configs, Job, Luck};
use crate::world::{Counts, World};

/// A standing run gathers its sources this often.
pub const GATHER_EVERY: Duration = Duration::from_secs(15 * 60);
/// Tasks that were sent so long ago are sent again.
const RESEND_AFTER: u64 = 30;
pub const DATES: [&str; 3] = ["2026-05-04", "2026-05-05", "2026-05-06"];
/// How often things go wrong in a seed.
pub struct Odds {
    /// A transaction fails.
    pub fails: f64,
    /// A transaction commits, and nobody hears of it.
    pub unknown: f64,
    /// A message is lost.
    pub lost: f64,
    /// A message comes twice.
    pub doubled: f64,
    /// A worker's attempt fails.
    pub worker: f64,
}

/// Two coordinators; the newest epoch is that of `leads`.
pub struct Scenario<'a> {
    pub ground: &'a mut Ground,
    folder: std::path::PathBuf,
    pub variants: &'a [TenantConfig],
    configs: Configs,
    pub rng: StdRng,
    pub odds: Odds,
    pub world: World,
    pub offices: [Option<(Leader, StateStore)>; 2],
    pub leads: usize,
    /// The variant that is in force, once a leader has loaded it.
    pub variant: usize,
    pub jobs: Vec<Job>,
    /// Something happened since the last sweep.
    stirred: bool,
    pub seen: Seen,
    /// What happened, for whoever has to understand a failure.
    pub trail: Vec<String>,
}

impl<'a> Scenario<'a> {
    pub async fn new(
        ground: &'a mut Ground,
        folder: std::path::PathBuf,
        variants: &'a [TenantConfig],
        seed: u64,
    ) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut odds = |most: f64| if rng.random_bool(0.5) { most } else { 0.0 };
        let odds = Odds {
            fails: odds(0.15),
            unknown: odds(0.15),
            lost: odds(0.1),
            doubled: odds(0.25),
            worker: odds(0.15),
        };
        let first = variants.first().context("a configuration")?;
        let mut world = World::new(first.tenant.clone());
        for source in &first.sources {
            let dates = world.bill.entry(source.id.clone()).or_default();
            for date in &DATES[..rng.random_range(1..=2)] {
                dates.insert(date.parse()?, 1);
            }
        }
        ground.clean().await?;
        Ok(Self {
            ground,
            folder,
            variants,
            configs: worker::configs(variants)?,
            rng,
            odds,
            world,
            offices: [None, None],
            leads: 0,
            variant: 0,
            jobs: Vec::new(),
            stirred: true,
            seen: Seen::new(),
            trail: Vec::new(),
        })
    }

    /// The whole of it: what was done to the code under test.
    pub async fn play(&mut self) -> Result<Counts> {
        self.lead(0).await?;
        for _ in 0..self.rng.random_range(45..=70) {
            self.event().await?;
            self.world.counts.events += 1;
        }
        self.heal().await?;
        Ok(self.world.counts)
    }

    fn chance(&mut self, odds: f64) -> bool {
        let happens = odds > 0.0 && self.rng.random_bool(odds);
        self.world.counts.faults += u64::from(happens);
        happens
    }

    pub fn say(&mut self, what: impl Into<String>) {
        self.trail.push(what.into());
    }

    async fn event(&mut self) -> Result<()> {
        if self.offices[self.leads].is_none() {
            return self.lead(self.leads).await;
        }
        let other = 1 ^ self.leads;
        let old = self.offices[other].is_some() && self.rng.random_bool(0.25);
        let office = if old { other } else { self.leads };
        match self.rng.random_range(0..100) {
            0..64 => self.go_on(office).await,
            64..70 => self.deliver(office).await,
            70..82 => self.work().await,
            82..85 => self.time_passes().await,
            85..87 => self.resend(office).await,
            87..90 => self.bill_changes().await,
            90..94 => self.config_changes().await,
            94..96 => self.lead(other).await,
            96..98 => self.batch_is_lost(),
            98..99 => self.bus_is_lost(),
            _ => self.purge().await,
        }
    }

    /// What is next, were it not for faults.
    async fn go_on(&mut self, office: usize) -> Result<()> {
        if !self.world.reports.is_empty() && self.offices[office].is_some() {
            return self.deliver(office).await;
        }
        if self.world.queue.keys().any(|subject| !self.is_held(subject)) {
            self.work().await?;
            // Most tasks are short.
            return if self.rng.random_bool(0.7) { self.end_last().await } else { Ok(()) };
        }
        // Where nothing has happened since, it finds nothing.
        if self.stirred { self.sweep(office).await.map(|_| ()) } else { self.work().await }
    }

    fn is_held(&self, subject: &str) -> bool {
        self.jobs.iter().any(|job| job.subject == *subject)
    }

    async fn end_last(&mut self) -> Result<()> {
        match self.jobs.pop() {
            Some(job) => self.end(job).await,
            None => Ok(()),
        }
    }

    /// A coordinator takes the lead and starts over from what Postgres holds; the other one does not know yet.
    pub async fn lead(&mut self, office: usize) -> Result<()> {
        self.say(format!("{office} takes the lead"));
        let state = self.ground.lead(["one", "other"][office]).await?;
        self.leads = office;
        state.run_start("run", "schedule").await?;
        let every = Some(GATHER_EVERY);
        let leader = Leader::new(state.clone(), self.folder.clone(), "run".to_owned(), every, 35);
        self.offices[office] = Some((leader, state));
        self.configure(office).await
    }

    pub async fn configure(&mut self, office: usize) -> Result<()> {
        if self.offices[office].is_none() {
            return Ok(());
        }
        self.stirred = true;
        let config = self.variants[self.variant].clone();
        let failing = self.arm(6).await?;
        let Some((leader, _)) = &mut self.offices[office] else { return Ok(()) };
        let done = leader.configs_apply(vec![config], None).await.map(|_| ());
        self.disarm(failing).await?;
        match done {
            Ok(()) => Ok(()),
            // Its life starts over.
            Err(error) => {
                self.trouble(office, failing, &error)?;
                self.offices[office] = None;
                Ok(())
            }
        }
    }

    /// A failed transaction is as it has to be where the simulation wanted it or another leads.
    fn trouble(&mut self, office: usize, failing: bool, error: &StateError) -> Result<()> {
        self.say(format!("{office}: {error}"));
        if let StateError::LostLead = error {
            ensure!(office != self.leads, "the newest leader is told that another one leads");
            self.offices[office] = None;
            return Ok(());
        }
        let text = proto::fault::chain(error);
        ensure!(failing && error.is_transient(), "a transaction failed by itself: {text}");
        Ok(())
    }

    async fn arm(&mut self, writes: i64) -> Result<bool> {
        let failing = self.chance(self.odds.fails);
        if failing {
            let at = self.rng.random_range(1..=writes);
            self.say(format!("the next transaction fails at write {at}"));
            self.ground.fail_at(at).await?;
        }
        Ok(failing)
    }

    async fn disarm(&self, failing: bool) -> Result<()> {
        if failing { self.ground.fail_no_more().await } else { Ok(()) }
    }

    /// Some reports come, in any order.
    async fn deliver(&mut self, office: usize) -> Result<()> {
        if self.world.reports.is_empty() || self.offices[office].is_none() {
            return Ok(());
        }
        let mut group = Vec::new();
        for _ in 0..self.rng.random_range(1..=4) {
            if self.world.reports.is_empty() {
                break;
            }
            let at = self.rng.random_range(0..self.world.reports.len());
            group.push(self.world.reports.swap_remove(at));
        }
        self.apply(office, group).await
    }

    pub async fn apply(
        &mut self,
        office: usize,
        group: Vec<(proto::envelope::Header, proto::report::Report)>,
    ) -> Result<()> {
        let what: Vec<String> = group.iter().map(|(h, r)| short(h, r)).collect();
        self.say(format!("{office} applies {}", what.join(", ")));
        self.stirred = true;
        let failing = self.arm(8).await?;
        let Some((leader, _)) = &mut self.offices[office] else { bail!("nobody is there") };
        let done = leader.apply(group.iter().cloned().map(Ok).collect(), Read::default()).await;
        self.disarm(failing).await?;
        let (outcomes, after) = match done {
            Ok(done) => done,
            Err(error) => {
                self.world.reports.extend(group);
                return self.trouble(office, failing, &error);
            }
        };
        check::always(&self.ground.own, &mut self.seen).await?;
        if self.chance(self.odds.unknown) {
            self.say("and does not hear that it committed");
            self.world.reports.extend(group);
            return Ok(());
        }
        for (report, outcome) in group.into_iter().zip(outcomes) {
            match outcome {
                Applied::Done if self.chance(self.odds.doubled) => self.world.reports.push(report),
                Applied::Done => {}
                Applied::Later => self.world.reports.push(report),
                Applied::Refused(reason) => bail!("a report was refused: {reason}"),
            }
        }
        let Some((leader, _)) = &mut self.offices[office] else { bail!("nobody is there") };
        leader.months_ensure(&after).await?;
        self.send(office, after.tasks).await?;
        self.withdraw(after.superseded);
        for (_, subject) in after.purges {
            self.world.batches.remove(&subject);
        }
        Ok(())
    }

    /// Gives whether there was anything to do.
    pub async fn sweep(&mut self, office: usize) -> Result<bool> {
        let failing = if self.offices[office].is_some() { self.arm(12).await? } else { false };
        let Some((leader, _)) = &mut self.offices[office] else { return Ok(false) };
        let swept = leader.sweep().await;
        self.stirred = failing;
        self.disarm(failing).await?;
        let swept = match swept {
            Ok(swept) => swept,
            Err(error) => return self.trouble(office, failing, &error).map(|()| true),
        };
        self.say(format!("{office} sweeps: {} tasks", swept.tasks.len()));
        if self.chance(self.odds.unknown) {
            self.say("and does not hear that it committed");
            self.stirred = true;
            return Ok(true);
        }
        self.send(office, swept.tasks).await?;
        self.withdraw(swept.superseded);
        Ok(swept.count > 0)
    }

    async fn send(&mut self, office: usize, tasks: Vec<Outgoing>) -> Result<()> {
        let mut sent = Vec::new();
        for task in tasks {
            // It stays written down as not sent.
            if self.chance(self.odds.lost) {
                self.say(format!("{} is not sent", task.subject));
                break;
            }
            self.say(format!("sends {}", task.subject));
            self.world.queue(&task.subject, &task.message)?;
            sent.push(task.subject);
        }
        if self.chance(self.odds.unknown) {
            return Ok(());
        }
        let Some((leader, _)) = &self.offices[office] else { return Ok(()) };
        leader.tasks_sent(&sent).await?;
        Ok(())
    }

    fn withdraw(&mut self, mut superseded: Vec<String>) {
        superseded.sort();
        for subject in superseded {
            if !self.chance(self.odds.lost) {
                self.world.queue.remove(&subject);
            }
        }
    }

    pub async fn resend(&mut self, office: usize) -> Result<()> {
        let Some((leader, _)) = &self.offices[office] else { return Ok(()) };
        let tasks = leader.tasks_unanswered(RESEND_AFTER).await?;
        if tasks.is_empty() { Ok(()) } else { self.send(office, tasks).await }
    }

    /// A worker takes a task or ends one.
    async fn work(&mut self) -> Result<()> {
        if !self.jobs.is_empty() && self.rng.random_bool(0.3) {
            let at = self.rng.random_range(0..self.jobs.len());
            let job = self.jobs.swap_remove(at);
            return self.end(job).await;
        }
        let subjects: Vec<&String> = self.world.queue.keys().collect();
        let Some(subject) = subjects.choose(&mut self.rng).map(|subject| (*subject).clone()) else {
            return Ok(());
        };
        // One that is held is delivered again now and then.
        if !self.is_held(&subject) || self.chance(self.odds.doubled) {
            let attempt = self.rng.random();
            self.jobs.push(Job::take(&self.world, &self.ground.own, &subject, attempt).await?);
        }
        Ok(())
    }

    pub async fn end(&mut self, job: Job) -> Result<()> {
        if self.rng.random_bool(0.5) && self.chance(self.odds.worker) {
            self.say(format!("a worker dies over {}", job.subject));
            return Ok(());
        }
        let luck = if self.chance(self.odds.worker) {
            let ways = [
                Luck::Fails(FailureClass::Transient),
                Luck::Fails(FailureClass::Data),
                Luck::Lacks,
            ];
            *ways.choose(&mut self.rng).context("a way to fail")?
        } else {
            Luck::Good
        };
        let failing = self.arm(3).await?;
        let reports = job.end(&mut self.world, &mut self.ground.own, &self.configs, luck).await;
        self.disarm(failing).await?;
        let reports = reports?;
        check::always(&self.ground.own, &mut self.seen).await?;
        let what: Vec<String> = reports.iter().map(|(h, r)| short(h, r)).collect();
        self.say(format!("{} ends ({luck:?}): {}", job.subject, what.join(", ")));
        for report in reports {
            if self.chance(self.odds.lost) {
                self.say("a report is lost");
                continue;
            }
            if self.chance(self.odds.doubled) {
                self.world.reports.push(report.clone());
            }
            self.world.reports.push(report);
        }
        // The acknowledgement may be lost: it is delivered again.
        if !self.chance(self.odds.lost) {
            self.world.queue.remove(&job.subject);
        }
        Ok(())
    }

    pub async fn pass(&mut self, time: Duration) -> Result<()> {
        self.say(format!("{} s pass", time.as_secs()));
        self.ground.time_passes(time).await?;
        self.stirred = true;
        for (leader, _) in self.offices.iter_mut().flatten() {
            leader.time_passed(time);
        }
        Ok(())
    }
}

/// A report in a few words.
fn short(header: &proto::envelope::Header, report: &proto::report::Report) -> String {
    use proto::report::Report as R;
    let what = match report {
        R::GatheredDate(of) => format!("gathered {}", of.date),
        R::Quarantined(_) => "quarantined".to_owned(),
        R::GatherDone(of) => format!("gather of {} dates done", of.dates.len()),
        R::Resolved(of) => format!("resolved {}", of.len()),
        R::Allocated(of) => format!("allocated {}", of.len()),
        R::Restored(of) => format!("restored {}", of.len()),
        R::Driver(_) => "driver".to_owned(),
        R::Committed(of) => {
            let of: Vec<String> =
                of.iter().map(|c| format!("{}:{}:{}", c.date, c.generation, c.visible)).collect();
            format!("committed {of:?}")
        }
        R::Emitted(of) => format!("emitted {} by {:?}", of.len(), of.first().map(|e| &e.emitter)),
        R::Removed(of) => format!("removed {}", of.len()),
        R::Failed(of) => format!("{} failed: {:?} {}", of.step, of.class, of.reason),
    };
    let source = header.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("[{source} {} {what}]", header.generation)
}
