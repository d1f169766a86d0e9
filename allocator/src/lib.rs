//! The allocator: pure rules over lines and resolutions, rows out. It needs NATS alone, and holds nothing that
//! cannot be thrown away.
//!
//! | part | what it holds |
//! |---|---|
//! | [`domain`] | rules, tiers, conservation: no I/O |
//! | [`unit`](mod@unit) | one unit from its manifests to its rows |
//! | [`keeper`] | the compiled rules that are at hand |

use proto::report::{Failed, FailureClass, Published, Report};
use proto::subject::Queue;
use proto::task::{Allocate, Task};
use runtime::process::{Process, ProcessError};
use runtime::worker::{Serve, TaskContext, WorkError, Worker, serve};
use tracing::Instrument;

use crate::keeper::{ProgramKey, Programs};
use crate::unit::UnitFailure;

pub mod domain;
pub mod keeper;
pub mod unit;

/// The whole life of an allocator process.
///
/// # Errors
/// When the settings name shards that do not exist.
pub async fn live(process: Process) -> Result<(), ProcessError> {
    let allocator = Allocator { programs: Programs::start(process.configs.clone()) };
    let slots = process.settings.slots;
    serve(&process, allocator, &[Serve { queue: Queue::Allocate, slots }]).await
}

/// Does allocation tasks.
#[derive(Clone)]
struct Allocator {
    programs: Programs,
}

impl Worker for Allocator {
    async fn perform(&self, task: Task, context: TaskContext) -> Result<Vec<Report>, WorkError> {
        match task {
            Task::Allocate(allocate) => self.allocate(allocate, &context).await,
            Task::Gather(_)
            | Task::Resolve(_)
            | Task::Driver(_)
            | Task::Commit(_)
            | Task::Restore(_)
            | Task::Emit(_)
            | Task::Remove(_) => Err(WorkError::data("an allocator was given another role's task")),
        }
    }
}

impl Allocator {
    /// One unit after the other; one that fails does not stop the others.
    async fn allocate(
        &self,
        task: Allocate,
        context: &TaskContext,
    ) -> Result<Vec<Report>, WorkError> {
        let (tenant, source) = (context.tenant().clone(), context.source().clone());
        let key = ProgramKey { tenant, config: task.config, source };
        let program = self.programs.get(key).await?;
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        for unit in &task.units {
            let span = tracing::info_span!(
                "allocate",
                tenant = %context.tenant(),
                source = %context.source(),
                date = %unit.date,
                generation = unit.generation.0,
                attempt = %context.attempt,
                lines = unit.lines.items,
            );
            let work = unit::allocate(context, program.clone(), unit).instrument(span.clone());
            match work.await {
                Ok(published) => {
                    span.in_scope(|| told(&published));
                    done.push(published);
                }
                Err(failure) => {
                    span.in_scope(|| tracing::warn!(class = ?failure.class(), "{failure}"));
                    failures.push((unit, failure));
                }
            }
        }
        if done.is_empty() && failures.iter().all(|(_, f)| f.class() == FailureClass::Transient) {
            // The world as a whole is ill: the same task soon again.
            if let Some((_, failure)) = failures.first() {
                return Err(WorkError::transient(proto::fault::chain(failure)));
            }
        }
        let failed = |(unit, failure): (&proto::task::AllocateUnit, UnitFailure)| {
            Report::Failed(Failed {
                step: "allocate".to_owned(),
                units: vec![(unit.date, unit.generation)],
                class: failure.class(),
                reason: proto::fault::chain(&failure),
            })
        };
        let mut reports: Vec<Report> = failures.into_iter().map(failed).collect();
        if !done.is_empty() {
            reports.push(Report::Allocated(done));
        }
        Ok(reports)
    }
}

fn told(published: &Published) {
    let rows = published.manifest.items;
    let batches = published.manifest.batches.len();
    tracing::debug!(rows, batches, warnings = published.warnings.len(), "allocated");
}
