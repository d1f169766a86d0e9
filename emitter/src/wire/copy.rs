//! `COPY … FROM STDIN (FORMAT binary)`: tuples built in memory, sent in pieces of about 128 KiB.

use std::pin::Pin;

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::{CopyInSink, Error};
use futures_util::SinkExt;
use proto::money::{Amount, Share};
use proto::time::{UnitDate, UtcSeconds};

use super::numeric::{put_amount, put_denominator, put_numerator};
use super::value::{POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_SECONDS};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const PIECE: usize = 128 * 1024;
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Types of elements, as `pg_type` has them.
const OID_BYTEA: i32 = 17;
const OID_INT8: i32 = 20;
const OID_NUMERIC: i32 = 1700;

/// What one COPY sends, in pieces.
#[derive(Debug)]
pub struct Tuples(Vec<u8>);

impl Default for Tuples {
    fn default() -> Self {
        Self(HEADER.to_vec())
    }
}

impl Tuples {
    /// What was appended, once it is a piece; more may follow.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        let empty = || Vec::with_capacity(PIECE + PIECE / 4);
        (self.0.len() >= PIECE).then(|| std::mem::replace(&mut self.0, empty()))
    }
    /// The last piece.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&TRAILER);
        self.0
    }
    /// An `int2`.
    pub fn int2(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }
    /// Starts a tuple of so many columns, which must follow.
    pub fn start(&mut self, columns: i16) {
        self.0.extend_from_slice(&columns.to_be_bytes());
    }
    fn field(&mut self, value: &[u8]) {
        // A value came in one message of less than 2^20 bytes.
        self.0.extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.0.extend_from_slice(value);
    }
    /// An `int4`.
    pub fn int4(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }
    /// An `int8`.
    pub fn int8(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }
    /// A `text`.
    pub fn text(&mut self, value: &str) {
        self.field(value.as_bytes());
    }
    /// A `bytea`.
    pub fn bytes(&mut self, value: &[u8]) {
        self.field(value);
    }
    /// A `date`.
    pub fn date(&mut self, value: UnitDate) {
        self.int4((value.epoch_days() - POSTGRES_EPOCH_DAYS) as i32);
    }
    /// A `timestamptz`.
    pub fn seconds(&mut self, value: UtcSeconds) {
        self.int8((value.0 - POSTGRES_EPOCH_SECONDS).saturating_mul(1_000_000));
    }
    /// A `numeric`.
    pub fn amount(&mut self, value: Amount) {
        put_amount(&mut self.0, value);
    }
    /// A `numeric`, or null.
    pub fn amount_or_null(&mut self, value: Option<Amount>) {
        match value {
            Some(value) => self.amount(value),
            None => self.0.extend_from_slice(&NULL),
        }
    }
    /// An `int8[]`.
    pub fn int8s(&mut self, values: impl ExactSizeIterator<Item = i64>) {
        self.array(OID_INT8, values.len(), values, |tuples, value| tuples.int8(value));
    }
    /// An `int8[]` of so many elements, which may be null.
    pub fn units(&mut self, items: usize, values: impl Iterator<Item = Option<i64>>) {
        self.array(OID_INT8, items, values, |tuples, value| match value {
            Some(value) => tuples.int8(value),
            None => tuples.nulls(1),
        });
    }
    /// A `bytea[]`.
    pub fn byte_strings<'b>(&mut self, values: impl ExactSizeIterator<Item = &'b [u8]>) {
        self.array(OID_BYTEA, values.len(), values, |tuples, value| tuples.bytes(value));
    }
    /// Nulls in so many columns.
    pub fn nulls(&mut self, columns: usize) {
        (0..columns).for_each(|_| self.0.extend_from_slice(&NULL));
    }
    /// A `numeric[]`.
    pub fn amounts(&mut self, values: &[Amount]) {
        self.array(OID_NUMERIC, values.len(), values.iter(), |tuples, value| tuples.amount(*value));
    }
    /// A `numeric[]` with nulls; null where there is nothing else.
    pub fn amounts_or_null(&mut self, values: &[Option<Amount>]) {
        if values.iter().all(Option::is_none) {
            return self.0.extend_from_slice(&NULL);
        }
        self.array(OID_NUMERIC, values.len(), values.iter(), |tuples, value| {
            tuples.amount_or_null(*value)
        });
    }
    /// Two `numeric[]`: numerators, then denominators.
    pub fn shares<'s>(&mut self, shares: impl ExactSizeIterator<Item = &'s Share> + Clone) {
        let items = shares.len();
        self.array(OID_NUMERIC, items, shares.clone(), |tuples, share| {
            put_numerator(&mut tuples.0, share)
        });
        self.array(OID_NUMERIC, items, shares, |tuples, share| {
            put_denominator(&mut tuples.0, share)
        });
    }
    /// An array of one dimension, of so many elements, which may be null.
    fn array<T>(
        &mut self,
        element: i32,
        items: usize,
        values: impl Iterator<Item = T>,
        mut put: impl FnMut(&mut Self, T),
    ) {
        let start = self.0.len();
        // Length, to be filled in; dimensions; may hold nulls; type; items; the first one's number.
        for word in [0, 1, 1, element, items as i32, 1] {
            self.0.extend_from_slice(&word.to_be_bytes());
        }
        values.for_each(|value| put(self, value));
        let bytes = (self.0.len() - start - 4) as i32;
        self.0[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
    }
    /// Whether nothing was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() == HEADER.len()
    }
    /// Bytes that were appended since the last piece.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// One COPY under way. Dropped without [`CopyIn::finish`], Postgres discards it.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    /// Append tuples here, then call [`CopyIn::send`].
    pub tuples: Tuples,
}

impl CopyIn {
    /// Over a sink that Postgres has opened.
    #[must_use]
    pub fn new(sink: CopyInSink<Bytes>) -> Self {
        Self { sink: Box::pin(sink), tuples: Tuples::default() }
    }

    /// Sends what was appended once it is a piece; more may follow.
    ///
    /// # Errors
    /// When the connection fails or Postgres refuses what was sent before.
    pub async fn send(&mut self) -> Result<(), Error> {
        match self.tuples.piece() {
            Some(piece) => self.sink.send(Bytes::from(piece)).await,
            None => Ok(()),
        }
    }

    /// Sends the rest and ends the COPY; returns how many rows Postgres took.
    ///
    /// # Errors
    /// When the connection fails or Postgres refuses a tuple.
    pub async fn finish(mut self) -> Result<u64, Error> {
        self.sink.send(Bytes::from(self.tuples.end())).await?;
        self.sink.as_mut().finish().await
    }
}
