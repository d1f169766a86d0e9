//! Messages that were refused: kept with their reason until somebody has looked, or they age out.

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream as Handle};
use bytes::Bytes;
use proto::fault::chain;
use proto::subject::Stream;

use crate::bus::{Bus, BusError, Put};

/// Header: why it was refused.
pub(crate) const REASON: &str = "apportion-reason";
/// Header: the subject that it had.
pub(crate) const SUBJECT: &str = "apportion-subject";

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its number on the stream of refused messages, from 1.
    pub number: u64,
    /// When it was refused, in UTC, as RFC 3339.
    pub at: String,
    /// The subject where it was found.
    pub subject: String,
    /// Why it was refused; one line.
    pub reason: String,
    /// The message itself.
    pub payload: Bytes,
}

impl From<StreamMessage> for Refused {
    fn from(message: StreamMessage) -> Self {
        let header = |name: &str| {
            message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
        };
        Self {
            number: message.sequence,
            at: message.time.to_string(),
            subject: header(SUBJECT),
            reason: header(REASON),
            payload: message.payload.clone(),
        }
    }
}

impl Bus {
    /// Refused messages from that number on, the oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the stream does not exist or the server does not answer.
    pub async fn refused_list(&self, from: u64, limit: usize) -> Result<Vec<Refused>, BusError> {
        let stream = self.refused_stream().await?;
        let mut found: Vec<Refused> = Vec::new();
        let mut next = from.max(1);
        while found.len() < limit {
            let got = stream.direct_get_next_for_subject(Stream::Refused.wildcard(), Some(next));
            match got.await {
                Ok(message) => {
                    next = message.sequence + 1;
                    found.push(message.into());
                }
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => break,
                Err(error) => return Err(failed("list refused messages", &chain(&error))),
            }
        }
        Ok(found)
    }

    /// A refused message by its number; `None` when there is none (any more).
    ///
    /// # Errors
    /// When the stream does not exist or the server does not answer.
    pub async fn refused_get(&self, number: u64) -> Result<Option<Refused>, BusError> {
        let found = self.refused_list(number, 1).await?;
        Ok(found.into_iter().find(|refused| refused.number == number))
    }

    /// Puts a refused message back where it was found, and takes it off the stream of refused messages once it is
    /// there. When that is cut short it lies at both: done again, nothing is doubled.
    ///
    /// # Errors
    /// When another message is there by now, its subject is none of a task or a report, or the server does not answer.
    pub async fn requeue(&self, refused: &Refused) -> Result<Put, BusError> {
        let is_of =
            |stream: Stream| refused.subject.starts_with(stream.wildcard().trim_end_matches('>'));
        let put = if is_of(Stream::Task) {
            self.put(Stream::Task, &refused.subject, refused.payload.clone()).await?
        } else if is_of(Stream::Report) {
            self.append(&refused.subject, refused.payload.clone()).await?;
            Put::Stored
        } else {
            let what = "it is neither a task nor a report".to_owned();
            return Err(BusError::Publish { subject: refused.subject.clone(), what });
        };
        let stream = self.refused_stream().await?;
        let deleted = stream.delete_message(refused.number).await;
        deleted.map_err(|e| {
            let what =
                format!("take a message off the refused ones (it is back at {})", refused.subject);
            failed(&what, &chain(&e))
        })?;
        Ok(put)
    }

    async fn refused_stream(&self) -> Result<Handle<()>, BusError> {
        let handle = self.jetstream.get_stream_no_info(Stream::Refused.name()).await;
        handle.map_err(|e| failed("reach the stream of refused messages", &chain(&e)))
    }
}

fn failed(what: &str, error: &str) -> BusError {
    BusError::Manage { what: what.to_owned(), error: error.to_owned() }
}
