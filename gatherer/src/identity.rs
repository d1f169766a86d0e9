//! What makes a line that line: the same content has the same id on every machine, at every time.

use proto::currency::Currency;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::LineId;
use proto::time::{BillingPeriod, UtcSeconds};

/// Bytes of a billing period, `YYYY-MM`.
pub const PERIOD_BYTES: usize = 7;

/// Hashes everything of a line but its numbers: its *base*. Bills hold lines that differ in numbers alone, and equal
/// lines that both count; the ordinal tells lines of one base apart, counted in the canonical order of their date.
#[derive(Debug)]
pub struct Identity {
    whose: usize,
    bytes: Vec<u8>,
}

/// Stands for the name of a column.
pub type Tag = [u8; 8];

/// The tag of a name.
#[must_use]
pub fn tag(name: &str) -> Tag {
    let mut tag = [0; 8];
    tag.copy_from_slice(&Hash128::of(name.as_bytes()).0[..8]);
    tag
}

impl Identity {
    /// Of lines of a source.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        let mut identity = Self { whose: 0, bytes: Vec::new() };
        identity.text(tenant.as_str().as_bytes());
        identity.text(source.as_str().as_bytes());
        identity.whose = identity.bytes.len();
        identity
    }

    /// Starts a line.
    pub fn begin(&mut self) {
        self.bytes.truncate(self.whose);
    }

    /// Counts a cell in; cells come sorted by name.
    pub fn cell(&mut self, tag: Tag, text: &[u8]) {
        self.bytes.extend_from_slice(&tag);
        self.text(text);
    }

    /// The base of the line, given the values that it carries apart from cells.
    #[must_use]
    pub fn base(
        &mut self,
        start: UtcSeconds,
        end: UtcSeconds,
        period: BillingPeriod,
        currency: Currency,
    ) -> Hash128 {
        self.bytes.extend_from_slice(&start.0.to_be_bytes());
        self.bytes.extend_from_slice(&end.0.to_be_bytes());
        self.bytes.extend_from_slice(&period_bytes(period));
        self.bytes.extend_from_slice(currency.as_str().as_bytes());
        Hash128::of(&self.bytes)
    }

    fn text(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text);
    }
}

/// The id of the line with this ordinal, from 0, among the lines of this base and date.
#[must_use]
pub fn line_id(base: Hash128, ordinal: u64) -> LineId {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&base.0);
    bytes[16..].copy_from_slice(&ordinal.to_le_bytes());
    LineId(Hash128::of(&bytes))
}

/// The text of a period, which always has the same length.
#[must_use]
pub fn period_bytes(period: BillingPeriod) -> [u8; PERIOD_BYTES] {
    use std::io::Write;
    let mut bytes = [0; PERIOD_BYTES];
    write!(bytes.as_mut_slice(), "{period}")
        .expect("a period has four digits of a year, a dash and two of a month");
    bytes
}
