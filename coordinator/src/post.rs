//! The leader's post: brings it the reports that NATS delivers, and carries its tasks away. What they mean, the
//! [`Leader`] alone decides; whatever is lost here is sent again from what Postgres holds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::config::TenantConfig;
use proto::envelope;
use proto::subject::{self, Step, Stream};
use runtime::bus::{Bus, BusError};
use runtime::faults::crash_point;
use runtime::inbox::Delivery;
use runtime::settings::Settings;
use runtime::trace::{self, Span};

use crate::CoordinatorError;
use crate::apply::{Applied, Decoded, Read};
use crate::leader::Leader;
use crate::store::{Outgoing, StateError};

/// Configurations in force are published again this often.
const CONFIGS_EVERY: Duration = Duration::from_secs(600);
/// The pause before a report is delivered again.
const AGAIN: Duration = Duration::from_millis(300);

/// See the module.
pub struct Post {
    leader: Leader,
    pub(crate) bus: Bus,
    settings: Settings,
    /// When the configurations in force were last published.
    configs_published: Option<Instant>,
}

impl Post {
    /// The post of a leader.
    #[must_use]
    pub fn new(leader: Leader, bus: Bus, settings: Settings) -> Self {
        Self { leader, bus, settings, configs_published: None }
    }

    /// How often sources are gathered again; `None`: once.
    pub fn every(&mut self, every: Option<Duration>) {
        self.leader.every = every;
    }

    /// Applies a group of reports in one transaction and acknowledges them after its commit.
    ///
    /// # Errors
    /// When Postgres cannot be used or another coordinator leads: the reports are delivered again.
    pub async fn apply(&mut self, deliveries: Vec<Delivery>) -> Result<(), StateError> {
        let reports: Vec<Decoded> =
            deliveries.iter().map(|delivery| envelope::decode(delivery.payload())).collect();
        let spans: Vec<Span> = deliveries
            .iter()
            .zip(&reports)
            .map(|(delivery, report)| {
                let header = report.as_ref().ok().map(|(header, _)| header);
                Span::of("apply a report", ("", header), delivery.headers())
            })
            .collect();
        let read = self.read(&reports).await;
        let (outcomes, after) = match self.leader.apply(reports, read).await {
            Ok(applied) => applied,
            Err(error) => {
                for delivery in &deliveries {
                    delivery.later(AGAIN).await;
                }
                return Err(error);
            }
        };
        crash_point("coordinator.applied");
        for ((delivery, span), outcome) in deliveries.iter().zip(spans).zip(outcomes) {
            match outcome {
                Applied::Done => delivery.done().await,
                Applied::Later => delivery.later(AGAIN).await,
                Applied::Refused(reason) => {
                    span.ended("refused");
                    self.refuse(delivery, &reason).await;
                }
            }
        }
        crash_point("coordinator.acknowledged");
        if after.config_doubted {
            self.configs_published = None;
        }
        self.leader.months_ensure(&after).await?;
        self.tasks_send(after.tasks).await?;
        self.tasks_withdraw(after.superseded);
        let bus = self.bus.clone();
        tokio::spawn(async move {
            for (stream, subject) in after.purges {
                if let Err(error) = bus.purge(stream, &subject).await {
                    let error = proto::fault::chain(&error);
                    tracing::debug!(error, subject, "failed to purge; it ages out");
                }
            }
        });
        Ok(())
    }

    /// Reads what these reports tell of and name by address. No transaction waits for NATS.
    async fn read(&self, reports: &[Decoded]) -> Read {
        let inventories = self.inventories_read(reports).await;
        Read { inventories, measured: self.weights_read(&self.leader, reports).await }
    }

    async fn refuse(&self, delivery: &Delivery, reason: &str) {
        tracing::error!(subject = delivery.subject(), reason, "refused a report");
        let step = Step::Commit;
        let subject = match envelope::decode_header(delivery.payload()) {
            Ok((header, _)) => subject::refused(&step, &header.tenant),
            Err(_) => subject::refused_unreadable(&step),
        };
        let kept =
            self.bus.refuse(&subject, delivery.subject(), reason, delivery.payload().clone()).await;
        match kept {
            Ok(()) => {
                self.leader.metrics.refused("report", "");
                delivery.done().await;
            }
            Err(error) => {
                tracing::warn!(
                    error = proto::fault::chain(&error),
                    "failed to keep a refused report"
                );
                delivery.later(Duration::from_secs(5)).await;
            }
        }
    }

    /// One sweep. Gives the number of tasks that it sent.
    ///
    /// # Errors
    /// When Postgres cannot be used or another coordinator leads.
    pub async fn sweep(&mut self) -> Result<usize, StateError> {
        let swept = self.leader.sweep().await?;
        self.tasks_withdraw(swept.superseded);
        if swept.pinned {
            self.configs_pinned_publish().await?;
        }
        self.tasks_send(swept.tasks).await?;
        Ok(swept.count)
    }

    /// Puts configurations in force and their messages on the CONFIG stream. Gives the number of units that became due.
    ///
    /// # Errors
    /// When Postgres or NATS cannot be used, or another coordinator leads.
    pub async fn configs_apply(
        &mut self,
        configs: Vec<TenantConfig>,
        commit: Option<&str>,
    ) -> Result<u64, CoordinatorError> {
        let due = self.leader.configs_apply(configs, commit).await?;
        self.configs_published = None;
        self.streams_ensure().await?;
        Ok(due)
    }

    /// Makes streams and consumers that are missing, and publishes the configurations in force where they may be gone.
    /// When queues were lost, everything that is out is sent again at once.
    ///
    /// # Errors
    /// When NATS or Postgres cannot be used.
    pub async fn streams_ensure(&mut self) -> Result<(), CoordinatorError> {
        let emitters: BTreeSet<_> = self
            .leader
            .tenants
            .values()
            .flat_map(|t| t.config.emitters.iter().map(|e| e.id.clone()))
            .collect();
        let emitters: Vec<_> = emitters.into_iter().collect();
        let found = self.bus.ensure_streams(&self.settings, &emitters).await?;
        for stream in &found.filling {
            tracing::error!(
                stream = stream.name(),
                "a stream is nearly full: gathers pause until it ages out or nats.stream_bytes_max is raised"
            );
        }
        self.leader.streams_filling = !found.filling.is_empty();
        let made = found.made;
        // They also age out while they are in force.
        let published = self.configs_published.is_some_and(|at| at.elapsed() < CONFIGS_EVERY);
        if !published || made.contains(&Stream::Config) {
            for (tenant, entry) in &self.leader.tenants {
                let subject = subject::config(tenant, entry.hash);
                self.bus.put(Stream::Config, &subject, Bytes::from(entry.message.clone())).await?;
            }
            self.configs_pinned_publish().await?;
            self.configs_published = Some(Instant::now());
        }
        if made.contains(&Stream::Task) || made.contains(&Stream::Report) {
            self.tasks_resend(0).await?;
        }
        Ok(())
    }

    /// Publishes the configurations of former times that dates are pinned to.
    async fn configs_pinned_publish(&self) -> Result<(), StateError> {
        for (tenant, hash, message) in self.leader.state.configs_pinned().await? {
            let subject = subject::config(&tenant, hash);
            if let Err(error) = self.bus.put(Stream::Config, &subject, message.into()).await {
                // Who works by it fails and asks again: then it is published with the others.
                let error = proto::fault::chain(&error);
                tracing::warn!(error, "failed to publish a configuration");
            }
        }
        Ok(())
    }

    /// Publishes tasks that the state says are out; one that is still queued or held stays as it is.
    ///
    /// # Errors
    /// When Postgres cannot be used.
    pub async fn tasks_resend(&self, seconds: u64) -> Result<usize, StateError> {
        let tasks = self.leader.tasks_unanswered(seconds).await?;
        let count = tasks.len();
        self.tasks_send(tasks).await?;
        Ok(count)
    }

    async fn tasks_send(&self, tasks: Vec<Outgoing>) -> Result<(), StateError> {
        let mut sent = Vec::with_capacity(tasks.len());
        for task in tasks {
            if let Err(error) = self.inventory_send(&task.inventory).await {
                tracing::warn!(error = proto::fault::chain(&error), "failed to send an inventory");
                break;
            }
            if let Some((tenant, source)) = &task.gathers {
                trace::root(task.trace, "gather", (tenant.as_str(), source.as_str()));
            }
            let sending = self.bus.send_task(&task.subject, task.message);
            match trace::within(task.trace, sending).await {
                Ok(_) => {
                    crash_point("coordinator.task");
                    sent.push(task.subject);
                }
                // Of another database, before this one was made anew: Postgres alone says what is out.
                Err(BusError::Conflict(_)) => {
                    tracing::warn!(subject = task.subject, "removes a task that is none of ours");
                    if let Err(error) = self.bus.purge(Stream::Task, &task.subject).await {
                        tracing::warn!(
                            error = proto::fault::chain(&error),
                            "failed to remove a task"
                        );
                    }
                }
                // It and the rest stay written down as not sent, and are sent again.
                Err(error) => {
                    tracing::warn!(error = proto::fault::chain(&error), "failed to send a task");
                    break;
                }
            }
        }
        if !sent.is_empty() {
            crash_point("coordinator.sent");
        }
        self.leader.tasks_sent(&sent).await
    }

    /// Takes superseded tasks out of their queues, best effort: who holds one works for a generation that nobody reads.
    fn tasks_withdraw(&self, subjects: Vec<String>) {
        let bus = self.bus.clone();
        tokio::spawn(async move {
            for subject in subjects {
                if let Err(error) = bus.purge(Stream::Task, &subject).await {
                    tracing::debug!(
                        error = proto::fault::chain(&error),
                        "failed to withdraw a superseded task; it is done for nothing"
                    );
                }
            }
        });
    }
}
