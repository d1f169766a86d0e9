//! The pump: pulls a task for each free slot, asks the worker, publishes its reports, acknowledges.
//!
//! Order: data acknowledged, report acknowledged, task acknowledged. A task that is lost anywhere in between is sent
//! again by the coordinator, or redelivered by the server once progress stops; either way as a new attempt.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use proto::envelope::{self, EnvelopeError, Header};
use proto::fault::shortened;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::report::{Failed, FailureClass, Report};
use proto::subject::{self, Lane, Queue, Step, Stream, consumer};
use proto::task::Task;
use proto::time::UnitDate;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::data::{Configs, DataError};
use crate::faults::crash_point;
use crate::observe::{Observe, counts};
use crate::process::{Process, ProcessError, Shutdown};
use crate::trace::Span;

/// A task that advances says so this often while it may be silent for.
const PROGRESS_PER_PATIENCE: u32 = 4;
/// How long one pull waits for a live task before a replay task is looked for.
const PULL_WAIT: Duration = Duration::from_secs(1);
/// Live work is looked for so often while replays take all the slots that they may.
const LIVE_LOOK: Duration = Duration::from_millis(100);
/// Pause after the server could not be asked.
const TROUBLE_PAUSE: Duration = Duration::from_millis(250);
/// A transient failure is tried again by redelivery this often before it is reported.
const DELIVERIES_BEFORE_REPORT: i64 = 3;
/// Bytes of a reason that are reported: it may quote a file's header, and that any file.
const REASON_BYTES_MAX: usize = 4_000;
/// A drain waits this long for tasks under way, then hands them back: another worker has them at once.
const DRAIN_WAIT: Duration = Duration::from_secs(15);
/// How long handing them back may take.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

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
    step: String,
    observe: Observe,
    span: Span,
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
        let header = header.of_source(self.source.clone()).by(self.bus.name());
        let payload = if let Report::Failed(failed) = report
            && failed.reason.len() > REASON_BYTES_MAX
        {
            let reason = shortened(&failed.reason, REASON_BYTES_MAX);
            envelope::encode(&header, &Report::Failed(Failed { reason, ..failed.clone() }))?
        } else {
            envelope::encode(&header, report)?
        };
        let to = subject::report(&self.header.tenant, &self.source);
        // Some report from tasks of their own.
        self.span.run(self.bus.append(&to, Bytes::from(payload))).await?;
        self.observe.metrics.counted(&self.step, &counts::out(report));
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
        process.observe.metrics.serves(serve.queue);
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
                patience: process.settings.task_patience(),
                observe: process.observe.clone(),
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
    patience: Duration,
    observe: Observe,
}

impl<W: Worker> Pump<W> {
    async fn run(self) {
        let mut tasks = JoinSet::new();
        let (release, released) = Shutdown::channel();
        // While replays keep coming, nobody waits for live work before the next of them.
        let mut wait = PULL_WAIT;
        while !self.shutdown.is_asked() {
            while tasks.try_join_next().is_some() {}
            let slot = tokio::select! {
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
                () = self.shutdown.asked() => break,
            };
            let Ok(slot) = slot else { break };
            let pulled = tokio::select! {
                pulled = self.pull(Lane::Live, wait) => pulled,
                () = self.shutdown.asked() => break,
            };
            let (message, replay) = match pulled {
                Some(message) => (Some(message), None),
                None => match Arc::clone(&self.replay_slots).try_acquire_owned() {
                    Ok(replay) => {
                        let pulled = self.pull(Lane::Replay, Duration::ZERO).await;
                        wait = if pulled.is_some() { Duration::ZERO } else { PULL_WAIT };
                        (pulled, Some(replay))
                    }
                    // As many replays as there may be: one of them ends, or live work comes.
                    Err(_) => {
                        tokio::select! {
                            _ = self.replay_slots.acquire() => {}
                            () = tokio::time::sleep(LIVE_LOOK) => {}
                            () = self.shutdown.asked() => break,
                        }
                        wait = Duration::ZERO;
                        (None, None)
                    }
                },
            };
            let Some(message) = message else { continue };
            let desk = Desk {
                bus: self.bus.clone(),
                configs: self.configs.clone(),
                queue: self.queue,
                released: released.clone(),
                progress_every: self.patience / PROGRESS_PER_PATIENCE,
                observe: self.observe.clone(),
            };
            let worker = self.worker.clone();
            tasks.spawn(async move {
                desk.handle(worker, message).await;
                drop((slot, replay));
            });
        }
        let drained =
            tokio::time::timeout(DRAIN_WAIT, async { while tasks.join_next().await.is_some() {} });
        if drained.await.is_ok() {
            return;
        }
        tracing::warn!(queue = self.queue.token(), tasks = tasks.len(), "hands tasks back");
        if release.send(true).is_err() {
            tracing::debug!("the last task ended just now");
        }
        let handed = tokio::time::timeout(RELEASE_WAIT, async {
            while tasks.join_next().await.is_some() {}
        });
        if handed.await.is_err() {
            tracing::warn!(queue = self.queue.token(), "gave tasks up: they are delivered again");
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

/// Where one task is handled, from delivery to acknowledgement.
struct Desk {
    bus: Bus,
    configs: Configs,
    queue: Queue,
    /// What is not done by then is handed back.
    released: Shutdown,
    progress_every: Duration,
    observe: Observe,
}

impl Desk {
    async fn handle<W: Worker>(self, worker: W, message: Message) {
        let step = step_of(&message.subject);
        let deliveries = message.info().map_or(i64::MAX, |info| info.delivered);
        let metrics = self.observe.metrics.clone();
        metrics.task_started(&step, deliveries > 1);
        let started = Instant::now();
        let header = envelope::decode_header(&message.payload).ok().map(|(header, _)| header);
        let span = Span::of("do", (&step, header.as_ref()), message.headers.as_ref());
        let outcome = span.run(self.work(worker, (&step, &span), &message, deliveries)).await;
        span.ended(outcome);
        metrics.task_ended(&step, outcome, started.elapsed());
    }

    /// How it ended: one of [`crate::observe::metrics::OUTCOMES`].
    async fn work<W: Worker>(
        self,
        worker: W,
        (step, span): (&str, &Span),
        message: &Message,
        deliveries: i64,
    ) -> &'static str {
        let (header, task) = match envelope::decode::<Task>(&message.payload) {
            Ok(decoded) => decoded,
            Err(error @ EnvelopeError::Schema { .. }) => {
                tracing::warn!(%error, "left the task for a newer build");
                acknowledge(message, AckKind::Nak(Some(Duration::from_secs(30)))).await;
                return "retried";
            }
            Err(error) => return self.refuse(message, &error.to_string()).await,
        };
        let Some(source) = header.source.clone() else {
            return self.refuse(message, "the header names no source").await;
        };
        let context = TaskContext {
            bus: self.bus,
            configs: self.configs,
            attempt: Attempt(rand::random()),
            progress: Progress::default(),
            source,
            header,
            step: step.to_owned(),
            observe: self.observe,
            span: span.clone(),
        };
        let units = units_of(&task);
        let inputs = counts::inputs(&task);
        let work = worker.perform(task, context.clone());
        let outcome = tokio::select! {
            outcome = with_progress(work, &context.progress, (message, self.progress_every)) => outcome,
            () = self.released.asked() => {
                acknowledge(message, AckKind::Nak(None)).await;
                return "released";
            }
        };
        let mut ended = "done";
        let reports = match outcome {
            Ok(reports) => reports,
            Err(mut error) => {
                error.reason = shortened(&error.reason, REASON_BYTES_MAX);
                let (tenant, source) = (context.tenant(), context.source());
                tracing::warn!(%tenant, %source, generation = context.header.generation.0, class = ?error.class, reason = error.reason, "task failed");
                if error.class == FailureClass::Transient && deliveries < DELIVERIES_BEFORE_REPORT {
                    acknowledge(message, AckKind::Nak(Some(Duration::from_secs(1)))).await;
                    return "retried";
                }
                ended = "failed";
                let units = if error.units.is_empty() { units.clone() } else { error.units };
                let (step, class, reason) = (step.to_owned(), error.class, error.reason);
                vec![Report::Failed(Failed { step, units, class, reason })]
            }
        };
        crash_point("worker.performed");
        for report in &reports {
            let told = match context.report(report).await {
                // Done anew it would be the same report: somebody has to know.
                Err(DataError::Envelope(error)) => {
                    ended = "failed";
                    let (step, class) = (step.to_owned(), FailureClass::Data);
                    let reason = format!("what was done cannot be reported: {error}");
                    tracing::warn!(reason, "a report cannot be sent");
                    let failed = Failed { step, units: units.clone(), class, reason };
                    context.report(&Report::Failed(failed)).await
                }
                told => told,
            };
            if let Err(error) = told {
                // Not acknowledged: the task comes again and is done anew.
                tracing::warn!(error = proto::fault::chain(&error), "failed to report");
                return "retried";
            }
        }
        context.observe.metrics.counted(step, &counts::used(inputs, &reports));
        crash_point("worker.reported");
        acknowledge(message, AckKind::Ack).await;
        crash_point("worker.acknowledged");
        ended
    }

    /// Copies a message that will never work to REFUSED with its reason, then ends it.
    async fn refuse(&self, message: &Message, reason: &str) -> &'static str {
        tracing::error!(subject = %message.subject, reason, "refused a task");
        let token = step_of(&message.subject);
        let step: Step = token.parse().unwrap_or(match self.queue {
            Queue::Gather => Step::Gather,
            Queue::Resolve => Step::Resolve,
            Queue::Driver => Step::Driver,
            Queue::Measure => Step::Measure,
            Queue::Commit => Step::Commit,
            Queue::Restore => Step::Restore,
            Queue::Allocate | Queue::Emit => Step::Allocate,
        });
        let subject = match envelope::decode_header(&message.payload) {
            Ok((header, _)) => subject::refused(&step, &header.tenant),
            Err(_) => subject::refused_unreadable(&step),
        };
        let kept =
            self.bus.refuse(&subject, &message.subject, reason, message.payload.clone()).await;
        match kept {
            Ok(()) => {
                self.observe.metrics.refused("task", &step.to_string());
                acknowledge(message, AckKind::Term).await;
                "refused"
            }
            Err(error) => {
                tracing::warn!(
                    error = proto::fault::chain(&error),
                    "failed to keep a refused task"
                );
                "retried"
            }
        }
    }
}

async fn with_progress<T>(
    work: impl Future<Output = T>,
    progress: &Progress,
    (message, every): (&Message, Duration),
) -> T {
    tokio::pin!(work);
    let mut every = tokio::time::interval(every);
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
