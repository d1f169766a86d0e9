//! The messages of lines and resolutions as they lay in the stream, kept for explaining and for replays after the
//! stream has dropped them. A message is columnar already; zstd takes it to a fraction.

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::Transaction;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use crate::error::EmitterError;
use crate::sql;
use crate::wire::CopyIn;

/// On FOCUS bills of 755 to 1,106 bytes per line as CSV, messages take 180 to 220, level 1 makes 82 to 95 of that, and
/// level 9 (several times as slow) 75 to 88.
const LEVEL: i32 = 1;
/// Compressed bytes that are held at a time.
const PIECE: usize = 4 * 1024 * 1024;

/// `line_archive.kind` of lines.
pub const LINE: &str = "line";
/// `line_archive.kind` of resolutions.
pub const RESOLUTION: &str = "resolution";

/// Compressed messages on their way into `line_archive`.
pub struct Archive<'a> {
    tenant: &'a TenantId,
    source: &'a SourceId,
    held: Vec<(UnitDate, &'static str, i64, u32, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Archive<'a> {
    /// Nothing held yet.
    #[must_use]
    pub fn new(tenant: &'a TenantId, source: &'a SourceId) -> Self {
        Self { tenant, source, held: Vec::new(), bytes: 0 }
    }

    /// Holds one message.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn add(
        &mut self,
        date: UnitDate,
        kind: &'static str,
        generation: i64,
        batch: u32,
        message: &Bytes,
    ) -> Result<(), EmitterError> {
        let failed = |error| EmitterError::File {
            what: "compress",
            path: format!("a {kind} batch of {date}"),
            error,
        };
        let payload = zstd::bulk::compress(message, LEVEL).map_err(failed)?;
        self.bytes += payload.len();
        self.held.push((date, kind, generation, batch, payload));
        Ok(())
    }

    /// Whether it is time to [`Archive::flush`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= PIECE
    }

    /// Writes what is held. No other COPY may be under way.
    ///
    /// # Errors
    /// When Postgres does not take it.
    pub async fn flush(&mut self, transaction: &Transaction<'_>) -> Result<(), EmitterError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let failed = EmitterError::sql;
        let mut copy = CopyIn::new(
            transaction.copy_in(sql::COPY_ARCHIVE).await.map_err(failed("archive lines"))?,
        );
        for (date, kind, generation, batch, payload) in self.held.drain(..) {
            copy.tuples.start(7);
            copy.tuples.text(self.tenant.as_str());
            copy.tuples.text(self.source.as_str());
            copy.tuples.date(date);
            copy.tuples.text(kind);
            copy.tuples.int8(generation);
            copy.tuples.int4(batch as i32);
            copy.tuples.bytes(&payload);
            copy.send().await.map_err(failed("archive lines"))?;
        }
        self.bytes = 0;
        copy.finish().await.map_err(failed("archive lines"))?;
        Ok(())
    }
}
