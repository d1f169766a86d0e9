//! The gatherer as a worker: which task goes where.

use std::sync::Arc;

use proto::report::Report;
use proto::subject::Queue;
use proto::task::Task;
use runtime::process::{Process, ProcessError};
use runtime::worker::{Serve, TaskContext, WorkError, Worker, serve};

use crate::error::GatherError;
use crate::gather::gather;
use crate::keeper::Keepers;
use crate::ports::{EcosystemPlugin, GatherRequest, Watch};
use crate::resolve::resolve;
use crate::sources;

/// Does gather, resolve and measure tasks.
#[derive(Clone, Default)]
struct Gatherer {
    keepers: Keepers,
}

impl Worker for Gatherer {
    async fn perform(&self, task: Task, context: TaskContext) -> Result<Vec<Report>, WorkError> {
        let watch = Watch::new(context.progress.clone());
        // Whoever gives this task up drops it, and so stops what runs on other threads.
        let _stop = watch.guard();
        match task {
            Task::Gather(task) => {
                let config = context.configs.get(context.tenant(), task.config).await?;
                let plugin = plugin(&config, &context)?;
                let request = GatherRequest {
                    tenant: context.tenant().clone(),
                    source: context.source().clone(),
                    config,
                    task: Arc::new(task),
                    watch: watch.clone(),
                };
                let (tenant, source) = (context.tenant().clone(), context.source().clone());
                let generation = context.header.generation;
                let work = async move { gather(&context, plugin.as_ref(), request).await };
                Ok(self.keepers.in_turn(&tenant, &source, generation, &watch, work).await?)
            }
            Task::Resolve(task) => {
                let config = context.configs.get(context.tenant(), task.config).await?;
                let plugin = plugin(&config, &context)?;
                Ok(resolve(&context, plugin, &task, &watch).await)
            }
            #[cfg(feature = "http")]
            Task::Driver(task) => {
                let config = context.configs.get(context.tenant(), task.config).await?;
                Ok(crate::measure::measure(&context, &config, &task).await?)
            }
            #[cfg(not(feature = "http"))]
            Task::Driver(_) => Err(WorkError::data(
                "this program was built without `http`, and asks for no metrics",
            )),
            Task::Allocate(_)
            | Task::Commit(_)
            | Task::Restore(_)
            | Task::Emit(_)
            | Task::Remove(_) => {
                Err(WorkError::data("a gatherer does gather, resolve and measure tasks only"))
            }
        }
    }
}

fn plugin(
    config: &proto::config::TenantConfig,
    context: &TaskContext,
) -> Result<Arc<dyn EcosystemPlugin>, GatherError> {
    let (tenant, source) = (context.tenant(), context.source());
    let none = || {
        GatherError::Config(format!("the configuration of tenant {tenant} has no source {source}"))
    };
    Ok(Arc::from(sources::plugin(config.source(source).ok_or_else(none)?)?))
}

/// The whole life of a gatherer: serves its queues until the process drains.
///
/// # Errors
/// When the process' settings make no sense.
pub async fn live(process: Process) -> Result<(), ProcessError> {
    let slots = process.settings.slots;
    let queues =
        [Queue::Gather, Queue::Resolve, Queue::Measure].map(|queue| Serve { queue, slots });
    serve(&process, Gatherer::default(), &queues).await
}
