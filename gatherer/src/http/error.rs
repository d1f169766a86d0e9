//! Why a server could not be asked: what, where and how to mend it.

use std::time::Duration;

use proto::report::FailureClass;

/// No answer, or none that can be used. `at` is the method and the address, without query and credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Settings(String),
    /// A secret cannot be looked up.
    #[error("the secret {place} cannot be had: {why}")]
    Secret {
        /// As configured.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not reached, or the connection broke before the answer was whole.
    #[error(
        "{at}: no whole answer: {what}: check that the server runs and can be reached from here"
    )]
    Transport {
        /// Where.
        at: String,
        /// What happened.
        what: String,
    },
    /// Too slow.
    #[error(
        "{at}: no whole answer within {seconds} s: check the server's load, or raise `timeout`"
    )]
    TimedOut {
        /// Where.
        at: String,
        /// How long was waited.
        seconds: u32,
    },
    /// The server refused.
    #[error("{at}: the server answered {status}{}{}", quoted(.said), mend(*.status, *.wait))]
    Status {
        /// Where.
        at: String,
        /// Which status.
        status: u16,
        /// The beginning of what it said, on one line.
        said: String,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
    /// The server sends elsewhere.
    #[error(
        "{at}: the server redirects to {to}: redirects are not followed, configure the address that is meant"
    )]
    Redirect {
        /// Where.
        at: String,
        /// Where to, without query.
        to: String,
    },
    /// More than is read.
    #[error(
        "{at}: the answer is larger than {max} bytes: ask for less at a time, or raise `response_max`"
    )]
    TooLarge {
        /// Where.
        at: String,
        /// The limit in bytes.
        max: u64,
    },
    /// Not what such a server answers.
    #[error("{at}: the answer cannot be read: {what}: check that the address is that of the API")]
    Malformed {
        /// Where.
        at: String,
        /// What is wrong with it.
        what: String,
    },
    /// A link to another server.
    #[error(
        "{at}: the next page is said to be at {to}, which is not the configured server: it is not followed, and nothing of this answer counts"
    )]
    ForeignLink {
        /// Where.
        at: String,
        /// Where to, without query.
        to: String,
    },
    /// Pages that do not end, or do not add up.
    #[error("{at}: {what}: nothing of this answer counts, it is asked for again later")]
    Pages {
        /// Where.
        at: String,
        /// What is wrong with them.
        what: String,
    },
    /// The last of several attempts.
    #[error("{last} (after {attempts} attempts)")]
    GaveUp {
        /// How many.
        attempts: u32,
        /// How the last one ended.
        last: Box<HttpError>,
    },
}

impl HttpError {
    /// Whether the same question may be answered a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => super::patience::is_transient(*status),
            Self::Settings(_)
            | Self::Secret { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::ForeignLink { .. }
            | Self::Pages { .. }
            | Self::GaveUp { .. } => false,
        }
    }

    /// The status that the server refused with, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::GaveUp { last, .. } = self {
            return last.status();
        }
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }

    /// How long the server wants to be left alone, where it said so.
    #[must_use]
    pub fn asked_pause(&self) -> Option<Duration> {
        if let Self::Status { wait, .. } = self { *wait } else { None }
    }

    /// Whose fault it is: servers and what is set around them heal, a configuration does not by itself.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        if matches!(self, Self::Settings(_)) { FailureClass::Data } else { FailureClass::Transient }
    }
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

fn mend(status: u16, wait: Option<Duration>) -> String {
    let wait = wait.map_or(String::new(), |wait| format!(" after {} s", wait.as_secs()));
    match status {
        401 => ": check the credentials".to_owned(),
        403 => ": give these credentials the right to read this".to_owned(),
        404 => ": check the address; nothing is taken to be empty".to_owned(),
        408 | 425 | 429 | 500..=599 => format!(": it is asked again later{wait}"),
        _ => ": check what is asked for".to_owned(),
    }
}
