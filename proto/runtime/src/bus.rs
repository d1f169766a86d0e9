//! The one NATS connection of a process: write-once publishing, direct reads, purges.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use proto::hash::Hash128;
use proto::subject::Stream;

use crate::trace;

/// The oldest server that is accepted, see [`check_version`].
pub const NATS_FLOOR: (u64, u64) = (2, 15);

/// Why the bus failed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server cannot be reached.
    #[error("failed to connect to NATS at {server}")]
    Connect {
        /// Address without credentials.
        server: String,
        /// The client's words.
        #[source]
        error: async_nats::ConnectError,
    },
    /// The server is too old.
    #[error(
        "nats-server {0} is too old: 2.15 or newer is needed (run deploy/setup, or upgrade it)"
    )]
    Version(String),
    /// A publish was not acknowledged.
    #[error("failed to publish to {subject}: {what}")]
    Publish {
        /// Subject.
        subject: String,
        /// The client's words.
        what: String,
    },
    /// The stream does not exist: the coordinator makes it again.
    #[error("stream of {0} does not exist")]
    NoStream(String),
    /// Another content is already there: an integrity alarm.
    #[error("integrity alarm: {0} already holds another content than what is published to it")]
    Conflict(String),
    /// A read failed.
    #[error("failed to read {subject}: {what}")]
    Read {
        /// Subject.
        subject: String,
        /// The client's words.
        what: String,
    },
    /// A stream or consumer cannot be made or asked.
    #[error("failed to {what}: {error}")]
    Manage {
        /// The operation.
        what: String,
        /// The client's words.
        error: String,
    },
}

/// Outcome of a write-once publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Stored now.
    Stored,
    /// The same content was there: an earlier publish whose acknowledgement was lost.
    AlreadyThere,
}

/// The connection. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    name: Arc<str>,
}

impl Bus {
    /// Connects, waiting up to 30 s for a server that is just starting; later losses are healed by the client for ever.
    ///
    /// # Errors
    /// When no server answers, or one that is too old.
    pub async fn connect(url: &str, name: &str) -> Result<Self, BusError> {
        let (server, credentials) = split_credentials(url);
        let connect = || {
            let options = async_nats::ConnectOptions::new().name(format!("apportion {name}"));
            let options = match credentials {
                Some((user, Some(password))) => {
                    options.user_and_password(user.into(), password.into())
                }
                Some((token, None)) => options.token(token.into()),
                None => options,
            };
            let options = options.reconnect_delay_callback(|attempt| {
                Duration::from_millis(50 * (1 << attempt.min(5)) as u64) // 50 ms to 1.6 s
            });
            options.request_timeout(Some(Duration::from_secs(5))).connect(server.as_str())
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(1))
            .with_max_times(usize::MAX)
            .with_total_delay(Some(Duration::from_secs(30)));
        let client = connect.retry(pauses).await;
        let client = client.map_err(|error| BusError::Connect { server: server.clone(), error })?;
        check_version(&client.server_info().version)?;
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .ack_timeout(Duration::from_secs(10))
            .build(client.clone());
        Ok(Self { client, jetstream, name: name.into() })
    }

    /// What this process calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the connection stands, as far as the client knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Hands everything that was said to the server: a process that ends at once would lose its last words.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn flush(&self) -> Result<(), BusError> {
        let failed =
            |error: String| BusError::Manage { what: "flush the connection".to_owned(), error };
        self.client.flush().await.map_err(|e| failed(e.to_string()))
    }

    /// Publishes once to a write-once subject and waits for the acknowledgement, riding over a server's restart.
    ///
    /// # Errors
    /// When another content is there, or no acknowledgement came within about a minute.
    pub async fn put(
        &self,
        stream: Stream,
        subject: &str,
        payload: Bytes,
    ) -> Result<Put, BusError> {
        let put = || self.put_once(stream, subject, payload.clone());
        let again = |e: &BusError| !matches!(e, BusError::Conflict(_));
        put.retry(patience()).when(again).await
    }

    pub(crate) async fn put_once(
        &self,
        stream: Stream,
        subject: &str,
        payload: Bytes,
    ) -> Result<Put, BusError> {
        let failed = |what: String| BusError::Publish { subject: subject.to_owned(), what };
        let error = match self.send(subject, payload.clone()).await {
            Ok(()) => return Ok(Put::Stored),
            Err(error) => error,
        };
        if error.kind() == PublishErrorKind::StreamNotFound {
            return Err(BusError::NoStream(subject.to_owned()));
        }
        if !is_already_there(&error) {
            return Err(failed(proto::fault::chain(&error)));
        }
        match self.get(stream, subject).await? {
            Some(there) if Hash128::of(&there) == Hash128::of(&payload) => Ok(Put::AlreadyThere),
            Some(_) => Err(BusError::Conflict(subject.to_owned())),
            // Consumed (a task) or aged out between the two calls: it was there, which is what was asked.
            None => Ok(Put::AlreadyThere),
        }
    }

    /// Publishes, with the trace that it is done in, and waits for the acknowledgement.
    async fn send(&self, subject: &str, payload: Bytes) -> Result<(), PublishError> {
        let message = PublishMessage::build().payload(payload);
        let message = match trace::headers() {
            Some(headers) => message.headers(headers),
            None => message,
        };
        self.jetstream.send_publish(subject.to_owned(), message).await?.await?;
        Ok(())
    }

    /// Publishes to a subject that may hold many messages and waits for the acknowledgement.
    ///
    /// # Errors
    /// When no acknowledgement came within about a minute.
    pub async fn append(&self, subject: &str, payload: Bytes) -> Result<(), BusError> {
        let send = || async {
            let error = match self.send(subject, payload.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.kind() == PublishErrorKind::StreamNotFound {
                return Err(BusError::NoStream(subject.to_owned()));
            }
            let what = proto::fault::chain(&error);
            Err(BusError::Publish { subject: subject.to_owned(), what })
        };
        send.retry(patience()).await
    }

    /// The last message of a subject; `None` when there is none (any more).
    ///
    /// # Errors
    /// When the server does not answer within about a minute.
    pub async fn get(&self, stream: Stream, subject: &str) -> Result<Option<Bytes>, BusError> {
        let read = || async {
            let handle = self.jetstream.get_stream_no_info(stream.name()).await;
            let failed = |what: String| BusError::Read { subject: subject.to_owned(), what };
            let handle = handle.map_err(|e| failed(e.to_string()))?;
            match handle.direct_get_last_for_subject(subject).await {
                Ok(message) => Ok(Some(message.payload)),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(proto::fault::chain(&error))),
            }
        };
        read.retry(patience()).await
    }

    /// Removes every message of a subject (wildcards allowed). Best effort by nature: what stays, ages out.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn purge(&self, stream: Stream, subject: &str) -> Result<(), BusError> {
        let failed = |error: String| BusError::Manage { what: format!("purge {subject}"), error };
        let handle = self
            .jetstream
            .get_stream_no_info(stream.name())
            .await
            .map_err(|e| failed(e.to_string()))?;
        handle.purge().filter(subject).await.map(|_| ()).map_err(|e| failed(e.to_string()))
    }
}

/// A minute of tries: longer than a server needs to restart, shorter than a task's patience.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(usize::MAX)
        .with_total_delay(Some(Duration::from_secs(45)))
}

fn is_already_there(error: &PublishError) -> bool {
    let source = std::error::Error::source(error);
    let code =
        source.and_then(|e| e.downcast_ref::<jetstream::Error>()).map(jetstream::Error::error_code);
    code == Some(ErrorCode::STREAM_STORE_FAILED)
        && source.is_some_and(|e| e.to_string().contains("maximum messages per subject"))
}

/// Server address without credentials, and the credentials: user and password, or a token.
fn split_credentials(url: &str) -> (String, Option<(&str, Option<&str>)>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    match rest.rsplit_once('@') {
        None => (format!("{scheme}://{rest}"), None),
        Some((credentials, host)) => {
            let pair =
                credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
            (format!("{scheme}://{host}"), Some(pair))
        }
    }
}

fn check_version(version: &str) -> Result<(), BusError> {
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NATS_FLOOR { Err(BusError::Version(version.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        assert_eq!(split_credentials("nats://t0k@h:1"), ("nats://h:1".into(), Some(("t0k", None))));
        assert_eq!(
            split_credentials("nats://u:p@h:1"),
            ("nats://h:1".into(), Some(("u", Some("p"))))
        );
        assert_eq!(split_credentials("h:1"), ("nats://h:1".into(), None));
    }

    #[test]
    fn old_servers_are_refused_with_the_fix() {
        assert!(check_version("2.15.1").is_ok() && check_version("3.0.0-beta").is_ok());
        let error = check_version("2.9.10").unwrap_err().to_string();
        assert!(error.contains("2.9.10") && error.contains("deploy/setup"), "{error}");
    }
}
