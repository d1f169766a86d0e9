//! The bytes of a message: a header, then a body, each one named MessagePack value.
//!
//! The header is decodable apart from its body, so that a poisoned message still counts against its unit.
//! Unknown fields are ignored; unknown schema numbers are refused; nothing may follow the body.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, Generation, SourceId, TenantId};
use crate::nesting::split_value;
use crate::time::UnitDate;

/// The largest message that is accepted, in bytes: below NATS' own default limit of 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;
/// The size that data batches aim at; larger ones stall pulls.
pub const BATCH_BYTES: usize = 100 * 1024;
/// The largest data batch; a single item above it is a data error.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// What the body of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// [`crate::line::LineBatch`].
    Line,
    /// [`crate::resolution::ResolutionBatch`].
    Resolution,
    /// [`crate::row::RowBatch`].
    Row,
    /// [`crate::driver::DriverBatch`].
    Driver,
    /// [`crate::inventory::InventoryBatch`].
    Inventory,
    /// [`crate::task::Task`].
    Task,
    /// [`crate::report::Report`].
    Report,
    /// [`crate::config::TenantConfig`].
    Config,
}

impl MessageKind {
    /// The schema number that this build writes, and the newest that it reads.
    #[must_use]
    pub fn schema(self) -> u16 {
        match self {
            Self::Row => 2,
            Self::Line
            | Self::Resolution
            | Self::Driver
            | Self::Inventory
            | Self::Task
            | Self::Report
            | Self::Config => 1,
        }
    }
    /// The oldest that it reads. Rows are made again from their lines; all else is read for ever.
    #[must_use]
    pub fn oldest_schema(self) -> u16 {
        if self == Self::Row { self.schema() } else { 1 }
    }
}

/// What a message is about, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What the body is.
    pub kind: MessageKind,
    /// Schema number of the body.
    pub schema: u16,
    /// Whose.
    pub tenant: TenantId,
    /// Of which source; absent for what belongs to a whole tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Of which date; absent for what covers many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<UnitDate>,
    /// The piece of work that it belongs to.
    pub generation: Generation,
    /// The worker's attempt at that work.
    pub attempt: Attempt,
    /// Ordinal of a data batch within (generation, attempt, date).
    pub batch: u32,
    /// Of a report: the process that did the work. For people: nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// A body that travels in an envelope.
pub trait Body: Serialize + DeserializeOwned {
    /// What the header calls it.
    const KIND: MessageKind;
}

impl Body for crate::config::TenantConfig {
    const KIND: MessageKind = MessageKind::Config;
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Above [`MESSAGE_BYTES_MAX`].
    #[error("a message of {0} bytes is refused: at most {MESSAGE_BYTES_MAX}")]
    TooLarge(usize),
    /// The header cannot be read.
    #[error("failed to decode the header: {0}")]
    Header(String),
    /// The body cannot be read.
    #[error("failed to decode the body of a {kind:?} message: {what}")]
    Body {
        /// What the header calls it.
        kind: MessageKind,
        /// The decoder's words.
        what: String,
    },
    /// Something follows the body.
    #[error("{0} bytes follow the body")]
    Trailing(usize),
    /// Another kind than asked for.
    #[error("a {got:?} message where {want:?} was expected")]
    Kind {
        /// Found.
        got: MessageKind,
        /// Wanted.
        want: MessageKind,
    },
    /// Written by a newer build: retry once this one is upgraded.
    #[error("schema {schema} of {kind:?} messages is newer than this build reads")]
    Schema {
        /// Kind of the message.
        kind: MessageKind,
        /// Its schema.
        schema: u16,
    },
    /// Written by an older build, and made again instead of being read.
    #[error(
        "schema {schema} of {kind:?} messages is older than this build reads: they are made again"
    )]
    Old {
        /// Kind of the message.
        kind: MessageKind,
        /// Its schema.
        schema: u16,
    },
    /// The body cannot be written.
    #[error("failed to encode: {0}")]
    Encode(String),
}

impl Header {
    /// A header for one message of `B`.
    #[must_use]
    pub fn new<B: Body>(tenant: TenantId, generation: Generation, attempt: Attempt) -> Self {
        let schema = B::KIND.schema();
        Self {
            kind: B::KIND,
            schema,
            tenant,
            source: None,
            date: None,
            generation,
            attempt,
            batch: 0,
            worker: None,
        }
    }
    /// The same for a source.
    #[must_use]
    pub fn of_source(mut self, source: SourceId) -> Self {
        self.source = Some(source);
        self
    }
    /// The same for a date.
    #[must_use]
    pub fn of_date(mut self, date: UnitDate) -> Self {
        self.date = Some(date);
        self
    }
    /// The same from a process.
    #[must_use]
    pub fn by(mut self, worker: &str) -> Self {
        self.worker = Some(worker.to_owned());
        self
    }
    /// The same with an ordinal.
    #[must_use]
    pub fn of_batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }
}

/// Header and body as bytes.
///
/// # Errors
/// When the body cannot be written, nests too deep, or the message is too large.
pub fn encode<B: Body>(header: &Header, body: &B) -> Result<Vec<u8>, EnvelopeError> {
    let mut bytes = Vec::with_capacity(1024);
    let failed = |e: rmp_serde::encode::Error| EnvelopeError::Encode(e.to_string());
    rmp_serde::encode::write_named(&mut bytes, header).map_err(failed)?;
    let start = bytes.len();
    rmp_serde::encode::write_named(&mut bytes, body).map_err(failed)?;
    // Nobody could read what nests too deep.
    split_value(&bytes[start..]).map_err(|what| EnvelopeError::Encode(what.to_owned()))?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        Err(EnvelopeError::TooLarge(bytes.len()))
    } else {
        Ok(bytes)
    }
}

/// The header alone, and the bytes of the body.
///
/// # Errors
/// When the message is too large or starts with no header.
pub fn decode_header(bytes: &[u8]) -> Result<(Header, &[u8]), EnvelopeError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(EnvelopeError::TooLarge(bytes.len()));
    }
    let (header, rest) =
        split_value(bytes).map_err(|what| EnvelopeError::Header(what.to_owned()))?;
    let header = rmp_serde::from_slice(header).map_err(|e| EnvelopeError::Header(e.to_string()))?;
    Ok((header, rest))
}

/// Header and body.
///
/// # Errors
/// When the bytes are not exactly one message of kind `B` in a schema that this build reads.
pub fn decode<B: Body>(bytes: &[u8]) -> Result<(Header, B), EnvelopeError> {
    let (header, body) = decode_header(bytes)?;
    if header.kind != B::KIND {
        return Err(EnvelopeError::Kind { got: header.kind, want: B::KIND });
    }
    if header.schema == 0 || header.schema > B::KIND.schema() {
        return Err(EnvelopeError::Schema { kind: header.kind, schema: header.schema });
    }
    if header.schema < B::KIND.oldest_schema() {
        return Err(EnvelopeError::Old { kind: header.kind, schema: header.schema });
    }
    let damaged = |what: String| EnvelopeError::Body { kind: B::KIND, what };
    let (body, rest) = split_value(body).map_err(|what| damaged(what.to_owned()))?;
    let body = rmp_serde::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    if rest.is_empty() { Ok((header, body)) } else { Err(EnvelopeError::Trailing(rest.len())) }
}
