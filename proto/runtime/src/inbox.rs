//! The coordinator's side of the bus: reports in groups, tasks out.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use proto::subject::{self, Stream};

use crate::bus::{Bus, BusError, Put};
use crate::observe::Observe;
use crate::refused;
use crate::streams::REPORTS;

/// Pause before the leader is listened for again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A delivered report; acknowledged after its effect is committed.
pub struct Delivery(Message);

impl Delivery {
    /// Its bytes.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.0.payload
    }
    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }
    /// What it carries beside its bytes.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.headers.as_ref()
    }
    /// Its effect is durable.
    pub async fn done(&self) {
        self.acknowledge(AckKind::Ack).await;
    }
    /// It cannot be applied yet: deliver it again after a pause.
    pub async fn later(&self, pause: Duration) {
        self.acknowledge(AckKind::Nak(Some(pause))).await;
    }
    async fn acknowledge(&self, kind: AckKind) {
        if let Err(error) = self.0.ack_with(kind).await {
            tracing::debug!(%error, "failed to acknowledge a report");
        }
    }
}

impl Bus {
    /// Up to `max` reports; waits up to `wait` for the first.
    ///
    /// # Errors
    /// When the stream or consumer is gone or the server does not answer.
    pub async fn reports(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, BusError> {
        let messages = self.pull((Stream::Report, REPORTS), max, wait).await?;
        Ok(messages.into_iter().map(Delivery).collect())
    }

    /// Queues a task once, however often it is sent. One try: what fails stays written down and is sent again.
    ///
    /// # Errors
    /// When no acknowledgement came.
    pub async fn send_task(&self, subject: &str, payload: Bytes) -> Result<Put, BusError> {
        self.put_once(Stream::Task, subject, payload).await
    }

    /// Says that the coordinator of that epoch leads. Best effort: it is said again soon.
    pub async fn leader_tell(&self, epoch: i64) {
        let told = self.client.publish(subject::leader(), Bytes::from(epoch.to_string())).await;
        if let Err(error) = told {
            tracing::debug!(%error, "failed to say who leads");
        }
    }

    /// Hears for ever who leads.
    pub(crate) async fn leader_watch(self, observe: Observe) {
        loop {
            match self.client.subscribe(subject::leader()).await {
                Ok(mut heard) => {
                    while let Some(message) = heard.next().await {
                        let epoch = std::str::from_utf8(&message.payload).ok();
                        if let Some(epoch) = epoch.and_then(|text| text.parse::<i64>().ok()) {
                            observe.health.leader_heard();
                            observe.metrics.leader_heard(epoch);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "failed to listen for the leader"),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// Keeps a refused message with its reason and where it came from.
    ///
    /// # Errors
    /// When no acknowledgement came.
    pub async fn refuse(
        &self,
        subject: &str,
        from: &str,
        reason: &str,
        payload: Bytes,
    ) -> Result<(), BusError> {
        let failed = |what: String| BusError::Publish { subject: subject.to_owned(), what };
        let mut headers = HeaderMap::new();
        // A header's value is one line.
        let reason: String =
            reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
        headers.insert(refused::REASON, reason);
        headers.insert(refused::SUBJECT, from);
        let sent = self.jetstream.publish_with_headers(subject.to_owned(), headers, payload).await;
        let ack = sent.map_err(|e| failed(e.to_string()))?;
        ack.await.map(|_| ()).map_err(|e| failed(e.to_string()))
    }

    /// Subjects of the tasks that are queued or held by a worker, up to the server's limit per answer.
    ///
    /// # Errors
    /// When the stream is gone or the server does not answer.
    pub async fn queued_tasks(&self) -> Result<std::collections::HashSet<String>, BusError> {
        let failed =
            |error: String| BusError::Manage { what: "list queued tasks".to_owned(), error };
        let stream = self
            .jetstream
            .get_stream_no_info(Stream::Task.name())
            .await
            .map_err(|e| failed(e.to_string()))?;
        let mut subjects = stream
            .info_with_subjects(Stream::Task.wildcard())
            .await
            .map_err(|e| failed(e.to_string()))?;
        let mut found = std::collections::HashSet::new();
        while let Some(subject) = subjects.next().await {
            found.insert(subject.map_err(|e| failed(e.to_string()))?.0);
        }
        Ok(found)
    }
}
