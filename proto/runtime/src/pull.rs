//! Pulling messages from a durable consumer, within a time.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use futures_util::StreamExt;
use proto::subject::Stream;

use crate::bus::{Bus, BusError};

/// A pull whose server dies is never answered: it is given up this long after its own time.
const GRACE: Duration = Duration::from_secs(2);

impl Bus {
    /// Up to `max` messages that are there; waits up to `wait` for the first.
    ///
    /// # Errors
    /// When the stream or consumer is gone or the server does not answer.
    pub(crate) async fn pull(
        &self,
        (stream, consumer): (Stream, &str),
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, BusError> {
        let failed =
            |error: String| BusError::Manage { what: format!("pull from {consumer}"), error };
        let mut messages = Vec::new();
        let pulled = self.pull_into((stream, consumer), max, wait, &mut messages);
        match tokio::time::timeout(wait + GRACE, pulled).await {
            // What came before the trouble is not lost: it is worked on.
            _ if !messages.is_empty() => Ok(messages),
            Ok(Ok(())) => Ok(messages),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("the server did not answer".to_owned())),
        }
    }

    async fn pull_into(
        &self,
        (stream, consumer): (Stream, &str),
        max: usize,
        wait: Duration,
        messages: &mut Vec<Message>,
    ) -> Result<(), async_nats::Error> {
        let stream = self.jetstream.get_stream_no_info(stream.name()).await?;
        let consumer: PullConsumer = stream.get_consumer::<pull::Config>(consumer).await?;
        if !wait.is_zero() {
            let mut first = consumer.batch().max_messages(1).expires(wait).messages().await?;
            match first.next().await {
                Some(message) => messages.push(message?),
                None => return Ok(()),
            }
        }
        if messages.len() < max {
            let mut rest = consumer.fetch().max_messages(max - messages.len()).messages().await?;
            while let Some(message) = rest.next().await {
                messages.push(message?);
            }
        }
        Ok(())
    }
}
