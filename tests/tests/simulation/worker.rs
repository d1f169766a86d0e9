//! Simulated workers: they read the world when they take a task, and answer when they end it, which may be much later.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use deadpool_postgres::Object;
use proto::config::TenantConfig;
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId};
use proto::report::{
    Emitted, Failed, FailureClass, GatherDone, GatheredDate, GatheredHash, Published, Removed,
    Report,
};
use proto::subject::Stream;
use proto::task::{Allocate, Content, Emit, EmitUnit, Gather, Remove, Resolve, Task};
use proto::time::{UnitDate, UtcSeconds};

use crate::ledger;
use crate::world::{self, World, nothing};

/// A task that a worker holds.
pub struct Job {
    pub subject: String,
    pub task: Task,
    header: Header,
    source: SourceId,
    attempt: Attempt,
    /// The bill as it was when the task was taken.
    bill: BTreeMap<UnitDate, u32>,
    /// What the ledger found when the task was taken.
    commits: Vec<ledger::Prepared>,
}

/// How a worker's attempt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// It fails, for that reason.
    Fails(FailureClass),
    /// What it resolves lacks something.
    Lacks,
}

/// Whose configurations tasks name, by hash.
pub type Configs = BTreeMap<Hash128, TenantConfig>;

/// The dates that every gather speaks for.
pub const FIRST: &str = "2026-05-01";
pub const LAST: &str = "2026-05-31";

type Failures = Vec<(FailureClass, &'static str, (UnitDate, Generation))>;

impl Job {
    /// A worker takes a task.
    pub async fn take(world: &World, own: &Object, subject: &str, attempt: u64) -> Result<Self> {
        let message = world.queue.get(subject).context("the task is queued")?;
        let (header, task) = envelope::decode::<Task>(message)?;
        let source = header.source.clone().context("a task has a source")?;
        let bill = world.bill.get(&source).cloned().unwrap_or_default();
        let commits = match &task {
            Task::Commit(commit) => {
                ledger::prepare(own, (&header.tenant, &source), &commit.units).await?
            }
            Task::Gather(_)
            | Task::Resolve(_)
            | Task::Driver(_)
            | Task::Allocate(_)
            | Task::Restore(_)
            | Task::Emit(_)
            | Task::Remove(_) => Vec::new(),
        };
        let attempt = Attempt(attempt);
        Ok(Self { subject: subject.to_owned(), task, header, source, attempt, bill, commits })
    }

    /// It ends: what the worker reports.
    pub async fn end(
        &self,
        world: &mut World,
        own: &mut Object,
        configs: &Configs,
        luck: Luck,
    ) -> Result<Vec<(Header, Report)>> {
        let reports = match luck {
            Luck::Fails(class) => vec![self.failed(class)],
            Luck::Good | Luck::Lacks => self.perform(world, own, configs, luck).await?,
        };
        let header =
            Header::new::<Report>(self.header.tenant.clone(), self.header.generation, self.attempt)
                .of_source(self.source.clone());
        Ok(reports.into_iter().map(|report| (header.clone(), report)).collect())
    }

    async fn perform(
        &self,
        world: &mut World,
        own: &mut Object,
        configs: &Configs,
        luck: Luck,
    ) -> Result<Vec<Report>> {
        match &self.task {
            Task::Gather(gather) => self.gather(world, gather),
            Task::Resolve(resolve) => self.resolve(world, resolve, luck == Luck::Lacks),
            Task::Allocate(allocate) => self.allocate(world, configs, allocate),
            Task::Commit(commit) => {
                let at = (&self.header.tenant, &self.source);
                let (done, failed) =
                    ledger::commit(world, own, at, &commit.units, &self.commits).await?;
                let done = (!done.is_empty()).then_some(Report::Committed(done));
                Ok(with("commit", done, failed))
            }
            Task::Restore(restore) => {
                let at = (&self.header.tenant, &self.source);
                let (done, failed) =
                    ledger::restore(world, own, at, &restore.units, self.attempt).await?;
                Ok(with("restore", (!done.is_empty()).then_some(Report::Restored(done)), failed))
            }
            Task::Emit(emit) => self.emit(world, own, configs, emit).await,
            Task::Remove(remove) => Ok(vec![Self::remove(world, remove)]),
            Task::Driver(_) => anyhow::bail!("no rule of these configurations uses a driver"),
        }
    }

    fn failed(&self, class: FailureClass) -> Report {
        let (step, units): (_, Vec<(UnitDate, Generation)>) = match &self.task {
            Task::Gather(_) => ("gather".to_owned(), Vec::new()),
            Task::Resolve(task) => {
                ("resolve".to_owned(), task.units.iter().map(|u| (u.date, u.generation)).collect())
            }
            Task::Allocate(task) => {
                ("allocate".to_owned(), task.units.iter().map(|u| (u.date, u.generation)).collect())
            }
            Task::Commit(task) => {
                ("commit".to_owned(), task.units.iter().map(|u| (u.date, u.generation)).collect())
            }
            Task::Restore(task) => {
                ("restore".to_owned(), task.units.iter().map(|u| (u.date, u.generation)).collect())
            }
            Task::Emit(task) => (
                format!("emit-{}", task.emitter),
                task.units.iter().map(|u| (u.date, u.generation)).collect(),
            ),
            Task::Remove(_) => ("remove".to_owned(), Vec::new()),
            Task::Driver(_) => ("driver".to_owned(), Vec::new()),
        };
        Report::Failed(Failed { step, units, class, reason: "the simulation wants it".to_owned() })
    }

    fn gather(&self, world: &mut World, task: &Gather) -> Result<Vec<Report>> {
        let known: BTreeMap<UnitDate, Hash128> =
            task.known.iter().map(|known| (known.date, known.hash)).collect();
        let (mut dates, mut reports) = (Vec::new(), Vec::new());
        for (date, edition) in &self.bill {
            let hash = world::lines(&self.source, *date, *edition);
            let unchanged = known.get(date) == Some(&hash) && !task.republish.contains(date);
            dates.push(GatheredHash { date: *date, hash, unchanged });
            if !unchanged {
                let at = self.address(Stream::Line, *date, self.header.generation);
                let lines = world.publish(at, Some(hash))?;
                reports.push(Report::GatheredDate(GatheredDate {
                    date: *date,
                    lines,
                    received: nothing(),
                }));
            }
        }
        reports.push(Report::GatherDone(GatherDone {
            covered_from: FIRST.parse()?,
            covered_to: LAST.parse()?,
            dates,
            files_read: Vec::new(),
            files: Vec::new(),
            quarantined: 0,
            records: self.bill.len() as u64,
            warnings: Vec::new(),
            cursor: None,
            final_before: None,
            provider_columns: Vec::new(),
            inventory: None,
        }));
        Ok(reports)
    }

    fn resolve(&self, world: &mut World, task: &Resolve, lacks: bool) -> Result<Vec<Report>> {
        let (mut done, mut failed) = (Vec::new(), Failures::new());
        for unit in &task.units {
            if !world.holds(Stream::Line, &self.source, unit.date, &unit.lines) {
                failed.push((FailureClass::InputMissing, "lines", (unit.date, unit.generation)));
                continue;
            }
            let content = world::resolutions(unit.lines.hash, lacks);
            let at = self.address(Stream::Resolution, unit.date, unit.generation);
            let manifest = world.publish(at, Some(content))?;
            let lacking = lacks.then(|| "metrics".to_owned());
            done.push(Published { lacking, ..published(unit.date, unit.generation, manifest) });
        }
        Ok(with("resolve", (!done.is_empty()).then_some(Report::Resolved(done)), failed))
    }

    fn allocate(
        &self,
        world: &mut World,
        configs: &Configs,
        task: &Allocate,
    ) -> Result<Vec<Report>> {
        let config = configs.get(&task.config).context("a configuration that was in force")?;
        let (mut done, mut failed) = (Vec::new(), Failures::new());
        for unit in &task.units {
            let inputs = [(Stream::Line, Some(&unit.lines))]
                .into_iter()
                .chain([(Stream::Resolution, unit.resolutions.as_ref())]);
            let mut there = inputs.filter_map(|(stream, of)| Some((stream, of?)));
            if !there.all(|(stream, of)| world.holds(stream, &self.source, unit.date, of)) {
                failed.push((FailureClass::InputMissing, "inputs", (unit.date, unit.generation)));
                continue;
            }
            let rules = config.rules_hash(&self.source, unit.date)?;
            let resolved = unit.resolutions.as_ref().map(|of| of.hash);
            let rows = world::rows(unit.lines.hash, resolved, rules);
            let at = self.address(Stream::Row, unit.date, unit.generation);
            let manifest = world.publish(at, (unit.lines.items > 0).then_some(rows))?;
            done.push(published(unit.date, unit.generation, manifest));
        }
        Ok(with("allocate", (!done.is_empty()).then_some(Report::Allocated(done)), failed))
    }

    async fn emit(
        &self,
        world: &mut World,
        own: &Object,
        configs: &Configs,
        task: &Emit,
    ) -> Result<Vec<Report>> {
        let config = configs.get(&task.config).context("a configuration that was in force")?;
        let emitter = config.emitters.iter().find(|emitter| emitter.id == task.emitter);
        let name = emitter.context("an emitter of its configuration")?.file_name();
        let dir = emitter.and_then(|emitter| emitter.dir.clone()).unwrap_or_default();
        let dates = || task.units.iter().map(|unit| unit.date.period().days());
        let months = (dates().map(|(from, _)| from).min(), dates().map(|(_, until)| until).max());
        let (Some(from), Some(until)) = months else { return Ok(Vec::new()) };
        let at = (&self.header.tenant, &self.source);
        let visible = ledger::visible(own, at, (from, until)).await?;
        let together =
            |a: &EmitUnit, b: &EmitUnit| name.is_monthly() && a.date.period() == b.date.period();
        let (mut done, mut failed) = (Vec::new(), Failures::new());
        for units in task.units.chunk_by(together) {
            let current = |unit: &EmitUnit| {
                visible.get(&unit.date).filter(|seen| seen.generation >= unit.generation)
            };
            let of_month = |date: &&UnitDate| {
                units.first().is_some_and(|unit| unit.date.period() == date.period())
            };
            let whole =
                !name.is_monthly() || units.len() == visible.keys().filter(of_month).count();
            if !whole || units.iter().any(|unit| current(unit).is_none()) {
                let of = units.iter().map(|unit| (unit.date, unit.generation));
                failed.extend(of.map(|unit| (FailureClass::Transient, "visible", unit)));
                continue;
            }
            let Some(first) = units.first() else { continue };
            let target =
                format!("{dir}/{}", name.of(&self.header.tenant, &self.source, first.date));
            let parts: Vec<u8> = units
                .iter()
                .filter_map(current)
                .flat_map(|seen| [&seen.generation.0.to_be_bytes()[..], &seen.rows.0].concat())
                .collect();
            let hash = Hash128::of(&parts);
            world.outside.insert(target.clone(), hash);
            for (unit, seen) in units.iter().filter_map(|unit| Some((unit, current(unit)?))) {
                done.push(Emitted {
                    emitter: task.emitter.clone(),
                    date: unit.date,
                    generation: seen.generation,
                    target: target.clone(),
                    rows: 1,
                    bytes: 16,
                    hash,
                    at: UtcSeconds(0),
                    dir: Some(dir.clone()),
                });
            }
        }
        let step = format!("emit-{}", task.emitter);
        Ok(with(&step, (!done.is_empty()).then_some(Report::Emitted(done)), failed))
    }

    fn remove(world: &mut World, task: &Remove) -> Report {
        let mut removed = Vec::new();
        for file in &task.files {
            let Content { hash, .. } = file.content;
            let kept = match world.outside.get(&file.target) {
                Some(there) if *there != hash => Some("it was changed".to_owned()),
                Some(_) | None => None,
            };
            if kept.is_none() {
                world.outside.remove(&file.target);
            }
            removed.push(Removed { target: file.target.clone(), kept });
        }
        Report::Removed(removed)
    }

    fn address(
        &self,
        stream: Stream,
        date: UnitDate,
        generation: Generation,
    ) -> world::Address<'_> {
        (stream, &self.source, date, generation, self.attempt)
    }
}

/// Every configuration that may be in force, by hash.
pub fn configs(all: &[TenantConfig]) -> Result<Configs> {
    all.iter().map(|config| Ok((config.config_hash()?, config.clone()))).collect()
}

fn published(
    date: UnitDate,
    generation: Generation,
    manifest: proto::manifest::Manifest,
) -> Published {
    let (warnings, drivers, identities) = (Vec::new(), Vec::new(), Vec::new());
    Published { date, generation, manifest, warnings, lacking: None, drivers, identities }
}

/// What was done, and a report for each failure.
fn with(step: &str, done: Option<Report>, failed: Failures) -> Vec<Report> {
    let failure = |(class, what, unit): (FailureClass, &str, (UnitDate, Generation))| {
        let reason = format!("{what} of {} cannot be had", unit.0);
        Report::Failed(Failed { step: step.to_owned(), units: vec![unit], class, reason })
    };
    done.into_iter().chain(failed.into_iter().map(failure)).collect()
}
