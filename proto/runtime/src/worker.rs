//! The pump: pulls a task for each free slot, asks the worker, publishes its reports, acknowledges.
//!
//! Order: data acknowledged, report acknowledged, task acknowledged. A task that is lost anywhere in between is sent
//! again by the coordinator, or redelivered by the server once progress stops; either way as a new attempt.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use proto::envelope::{self, EnvelopeError, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::report::{Failed, FailureClass, Report};
use proto::subject::{self, Lane, Queue, Step, Stream, consumer};
use proto::task::Task;
use proto::time::UnitDate;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::data::{Configs, DataError};
use crate::process::{Process, ProcessError, Shutdown};

/// How often a task that advances says so.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long one pull waits for a live task before a replay task is looked for.
const PULL_WAIT: Duration = Duration::from_secs(1);
/// Pause after the server could not be asked.
const TROUBLE_PAUSE: Duration = Duration::from_millis(250);
/// A transient failure is tried again by redelivery this often before it is reported.
const DELIVERIES_BEFORE_REPORT: i64 = 3;
/// Bytes of a reason that are reported: it may quote a file's header, and that any file.
const REASON_BYTES_MAX: usize = 4_000;
/// A drain waits this long for tasks under way, then gives them up for redelivery.
const DRAIN_WAIT: Duration = Duration::from_secs(15);

/// Counts real work; acknowledgements of progress are sent only while it advances.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Real work advanced: a batch, a few thousand records.
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a worker is given with a task.
#[derive(Clone)]
pub struct TaskContext {
    /// NATS.
    pub bus: Bus,
    /// Tenant configurations by hash.
    pub configs: Configs,
    /// Header of the task.
    pub header: Header,
    /// This worker's attempt at it: batches are published under it.
    pub attempt: Attempt,
    /// To be ticked while work advances.
    pub progress: Progress,
    source: SourceId,
}

impl TaskContext {
    /// Whose task.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.header.tenant
    }
    /// Of which source.
    #[must_use]
    pub fn source(&self) -> &SourceId {
        &self.source
    }
    /// Publishes a report before the task is done.
    ///
    /// # Errors
    /// When it cannot be published.
    pub async fn report(&self, report: &Report) -> Result<(), DataError> {
        let header =
            Header::new::<Report>(self.header.tenant.clone(), self.header.generation, self.attempt);
        let header = header.of_source(self.source.clone());
        let payload = if let Report::Failed(failed) = report
            && failed.reason.len() > REASON_BYTES_MAX
        {
            let reason = shortened(&failed.reason);
            envelope::encode(&header, &Report::Failed(Failed { reason, ..failed.clone() }))?
        } else {
            envelope::encode(&header, report)?
        };
        self.bus
            .append(&subject::report(&self.header.tenant, &self.source), Bytes::from(payload))
            .await?;
        Ok(())
    }
}

/// Work that did not end well as a whole; single units of a task fail as [`Report::Failed`] beside the good ones.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct WorkError {
    /// Whose fault it is.
    pub class: FailureClass,
    /// The units concerned; empty means all of the task.
    pub units: Vec<(UnitDate, Generation)>,
    /// What, where and how to mend it.
    pub reason: String,
}

impl WorkError {
    /// The same input fails again.
    #[must_use]
    pub fn data(reason: impl Into<String>) -> Self {
        Self { class: FailureClass::Data, units: Vec::new(), reason: reason.into() }
    }
    /// The world may heal.
    #[must_use]
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { class: FailureClass::Transient, units: Vec::new(), reason: reason.into() }
    }
}

impl From<DataError> for WorkError {
    fn from(error: DataError) -> Self {
        Self { class: error.class(), units: Vec::new(), reason: proto::fault::chain(&error) }
    }
}

/// Does tasks. Cheap to clone; state lives in keepers behind it.
pub trait Worker: Clone + Send + Sync + 'static {
    /// Does one task; the reports returned are published, then the task is acknowledged.
    fn perform(
        &self,
        task: Task,
        context: TaskContext,
    ) -> impl Future<Output = Result<Vec<Report>, WorkError>> + Send;
}

/// A queue to serve, and how many of its tasks at a time.
#[derive(Debug, Clone, Copy)]
pub struct Serve {
    /// Which queue.
    pub queue: Queue,
    /// Tasks at a time; at most half of them (but one) on replay.
    pub slots: usize,
}

/// Serves queues until the process is asked to drain and its tasks have ended.
///
/// # Errors
/// When the settings name shards that do not exist.
pub async fn serve<W: Worker>(
    process: &Process,
    worker: W,
    queues: &[Serve],
) -> Result<(), ProcessError> {
    let mut pumps = JoinSet::new();
    for serve in queues {
        for shard in process.settings.served_shards()? {
            let pump = Pump {
                bus: process.bus.clone(),
                configs: process.configs.clone(),
                worker: worker.clone(),
                queue: serve.queue,
                shard,
                slots: Arc::new(Semaphore::new(serve.slots.max(1))),
                replay_slots: Arc::new(Semaphore::new((serve.slots / 2).max(1))),
                shutdown: process.shutdown.clone(),
            };
            pumps.spawn(pump.run());
        }
    }
    while pumps.join_next().await.is_some() {}
    Ok(())
}

struct Pump<W> {
    bus: Bus,
    configs: Configs,
    worker: W,
    queue: Queue,
    shard: u32,
    slots: Arc<Semaphore>,
    replay_slots: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl<W: Worker> Pump<W> {
    async fn run(self) {
        let mut tasks = JoinSet::new();
        while !self.shutdown.is_asked() {
            while tasks.try_join_next().is_some() {}
            let slot = tokio::select! {
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
                () = self.shutdown.asked() => break,
            };
            let Ok(slot) = slot else { break };
            let pulled = tokio::select! {
                pulled = self.pull(Lane::Live, PULL_WAIT) => pulled,
                () = self.shutdown.asked() => break,
            };
            let (message, replay) = match pulled {
                Some(message) => (Some(message), None),
                None => match Arc::clone(&self.replay_slots).try_acquire_owned() {
                    Ok(replay) => (self.pull(Lane::Replay, Duration::ZERO).await, Some(replay)),
                    Err(_) => (None, None),
                },
            };
            let Some(message) = message else { continue };
            let (bus, configs, worker, queue) =
                (self.bus.clone(), self.configs.clone(), self.worker.clone(), self.queue);
            tasks.spawn(async move {
                handle(bus, configs, worker, queue, message).await;
                drop((slot, replay));
            });
        }
        let drained =
            tokio::time::timeout(DRAIN_WAIT, async { while tasks.join_next().await.is_some() {} })
                .await;
        if drained.is_err() {
            tracing::warn!(
                queue = self.queue.token(),
                tasks = tasks.len(),
                "gave tasks up for redelivery"
            );
        }
    }

    /// One task of a lane, if there is one within `wait`.
    async fn pull(&self, lane: Lane, wait: Duration) -> Option<Message> {
        let name = consumer(self.queue, lane, self.shard);
        match self.bus.pull((Stream::Task, &name), 1, wait).await {
            Ok(messages) => messages.into_iter().next(),
            Err(error) => {
                // Ordinary while the server restarts or the coordinator has not made the streams yet.
                tracing::debug!(error = proto::fault::chain(&error), "failed to pull");
                tokio::time::sleep(TROUBLE_PAUSE).await;
                None
            }
        }
    }
}

/// One task from delivery to acknowledgement.
async fn handle<W: Worker>(bus: Bus, configs: Configs, worker: W, queue: Queue, message: Message) {
    let (header, task) = match envelope::decode::<Task>(&message.payload) {
        Ok(decoded) => decoded,
        Err(error @ EnvelopeError::Schema { .. }) => {
            tracing::warn!(%error, "left the task for a newer build");
            return acknowledge(&message, AckKind::Nak(Some(Duration::from_secs(30)))).await;
        }
        Err(error) => return refuse(&bus, queue, &message, &error.to_string()).await,
    };
    let Some(source) = header.source.clone() else {
        return refuse(&bus, queue, &message, "the header names no source").await;
    };
    let context = TaskContext {
        bus,
        configs,
        attempt: Attempt(rand::random()),
        progress: Progress::default(),
        source,
        header,
    };
    let units = units_of(&task);
    let work = worker.perform(task, context.clone());
    let outcome = with_progress(work, &context.progress, &message).await;
    let reports = match outcome {
        Ok(reports) => reports,
        Err(mut error) => {
            error.reason = shortened(&error.reason);
            let deliveries = message.info().map_or(i64::MAX, |info| info.delivered);
            let (tenant, source) = (context.tenant(), context.source());
            tracing::warn!(%tenant, %source, generation = context.header.generation.0, class = ?error.class, reason = error.reason, "task failed");
            if error.class == FailureClass::Transient && deliveries < DELIVERIES_BEFORE_REPORT {
                return acknowledge(&message, AckKind::Nak(Some(Duration::from_secs(1)))).await;
            }
            let step = step_of(&message.subject);
            let units = if error.units.is_empty() { units.clone() } else { error.units };
            vec![Report::Failed(Failed { step, units, class: error.class, reason: error.reason })]
        }
    };
    for report in &reports {
        let told = match context.report(report).await {
            // Done anew it would be the same report: somebody has to know.
            Err(DataError::Envelope(error)) => {
                let (step, class) = (step_of(&message.subject), FailureClass::Data);
                let reason = format!("what was done cannot be reported: {error}");
                tracing::warn!(reason, "a report cannot be sent");
                let failed = Failed { step, units: units.clone(), class, reason };
                context.report(&Report::Failed(failed)).await
            }
            told => told,
        };
        if let Err(error) = told {
            // Not acknowledged: the task comes again and is done anew.
            return tracing::warn!(error = proto::fault::chain(&error), "failed to report");
        }
    }
    acknowledge(&message, AckKind::Ack).await;
}

async fn with_progress<T>(
    work: impl Future<Output = T>,
    progress: &Progress,
    message: &Message,
) -> T {
    tokio::pin!(work);
    let mut every = tokio::time::interval(PROGRESS_EVERY);
    every.tick().await;
    let mut last = 0;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = every.tick() => {
                let now = progress.count();
                if now != last {
                    last = now;
                    acknowledge(message, AckKind::Progress).await;
                }
            }
        }
    }
}

async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        // The server delivers it again; the work is idempotent.
        tracing::debug!(%error, "failed to acknowledge");
    }
}

/// Copies a message that will never work to REFUSED with its reason, then ends it.
async fn refuse(bus: &Bus, queue: Queue, message: &Message, reason: &str) {
    tracing::error!(subject = %message.subject, reason, "refused a task");
    let step: Step = step_of(&message.subject).parse().unwrap_or(match queue {
        Queue::Gather => Step::Gather,
        Queue::Resolve => Step::Resolve,
        Queue::Driver => Step::Driver,
        Queue::Commit => Step::Commit,
        Queue::Restore => Step::Restore,
        Queue::Allocate | Queue::Emit => Step::Allocate,
    });
    let subject = match envelope::decode_header(&message.payload) {
        Ok((header, _)) => subject::refused(&step, &header.tenant),
        Err(_) => subject::refused_unreadable(&step),
    };
    match bus.refuse(&subject, &message.subject, reason, message.payload.clone()).await {
        Ok(()) => acknowledge(message, AckKind::Term).await,
        Err(error) => {
            tracing::warn!(error = proto::fault::chain(&error), "failed to keep a refused task")
        }
    }
}

/// The step token of a task's subject: `apportion.v1.task.<step>.…`.
fn step_of(subject: &str) -> String {
    subject.split('.').nth(3).unwrap_or_default().to_owned()
}

/// The units of a task with their fencing tokens; empty for what is about a whole source.
fn units_of(task: &Task) -> Vec<(UnitDate, Generation)> {
    match task {
        Task::Gather(_) | Task::Driver(_) | Task::Remove(_) => Vec::new(),
        Task::Restore(task) => task.units.iter().map(|u| (u.date, u.generation)).collect(),
        Task::Resolve(task) => task.units.iter().map(|u| (u.date, u.generation)).collect(),
        Task::Allocate(task) => task.units.iter().map(|u| (u.date, u.generation)).collect(),
        Task::Commit(task) => task.units.iter().map(|u| (u.date, u.generation)).collect(),
        Task::Emit(task) => task.units.iter().map(|u| (u.date, u.generation)).collect(),
    }
}

/// A reason of at most [`REASON_BYTES_MAX`] bytes.
fn shortened(reason: &str) -> String {
    if reason.len() <= REASON_BYTES_MAX {
        return reason.to_owned();
    }
    let end = reason.floor_char_boundary(REASON_BYTES_MAX - '…'.len_utf8());
    format!("{}…", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(shortened("why"), "why");
        let cut = shortened(&"ä".repeat(3_000));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.ends_with("ä…"), "{}", cut.len());
    }
}
