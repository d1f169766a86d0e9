//! Archived messages, read back one at a time.

use std::collections::VecDeque;

use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use deadpool_postgres::tokio_postgres::{Portal, Row, Transaction};
use proto::envelope::{self, MESSAGE_BYTES_MAX, MessageKind};
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;
use runtime::data::DataError;

use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Messages that are read at a time.
const PIECE: i32 = 8;

/// The messages of a unit, in order, as they lay in the stream.
pub struct Archived<'a, 't> {
    transaction: &'a Transaction<'t>,
    portal: Portal,
    unit: (&'a TenantId, &'a SourceId, UnitDate),
    held: VecDeque<Row>,
}

impl<'a, 't> Archived<'a, 't> {
    /// Lines and resolutions that the visible generation was made from.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn of_visible(
        transaction: &'a Transaction<'t>,
        tenant: &'a TenantId,
        source: &'a SourceId,
        date: UnitDate,
    ) -> Result<Self, EmitterError> {
        Self::open(transaction, sql::ARCHIVED, (tenant, source, date), None).await
    }

    /// Lines of a generation.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn of_lines(
        transaction: &'a Transaction<'t>,
        tenant: &'a TenantId,
        source: &'a SourceId,
        date: UnitDate,
        generation: i64,
    ) -> Result<Self, EmitterError> {
        let unit = (tenant, source, date);
        Self::open(transaction, sql::ARCHIVED_LINES, unit, Some(generation)).await
    }

    async fn open(
        transaction: &'a Transaction<'t>,
        statement: &str,
        unit: (&'a TenantId, &'a SourceId, UnitDate),
        generation: Option<i64>,
    ) -> Result<Self, EmitterError> {
        let failed = || EmitterError::sql("read the archive");
        let (tenant, source, date) = (unit.0.as_str(), unit.1.as_str(), PgDate(unit.2));
        let mut types = vec![Type::TEXT, Type::TEXT, Type::DATE];
        let mut key: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &source, &date];
        if let Some(generation) = &generation {
            types.push(Type::INT8);
            key.push(generation);
        }
        let statement = transaction.prepare_typed(statement, &types).await.map_err(failed())?;
        let portal = transaction.bind(&statement, &key).await.map_err(failed())?;
        Ok(Self { transaction, portal, unit, held: VecDeque::new() })
    }

    /// The next message and its kind; `None` after the last one.
    ///
    /// # Errors
    /// When Postgres fails, or the message is damaged or belongs to another unit.
    pub async fn next(&mut self) -> Result<Option<(MessageKind, Vec<u8>)>, EmitterError> {
        if self.held.is_empty() {
            let read = self.transaction.query_portal(&self.portal, PIECE).await;
            self.held = read.map_err(EmitterError::sql("read the archive"))?.into();
        }
        let Some(row) = self.held.pop_front() else { return Ok(None) };
        let (tenant, source, date) = self.unit;
        let message = zstd::bulk::decompress(row.get(0), MESSAGE_BYTES_MAX)
            .map_err(|e| damaged(date, &e.to_string()))?;
        let (header, _) = envelope::decode_header(&message).map_err(DataError::from)?;
        let here = header.tenant == *tenant && header.source.as_ref() == Some(source);
        if !here || header.date != Some(date) {
            return Err(damaged(date, "belongs to another unit"));
        }
        Ok(Some((header.kind, message)))
    }
}

/// An archived message that cannot be used.
pub fn damaged(date: UnitDate, what: &str) -> EmitterError {
    EmitterError::Integrity(format!("an archived message of {date} {what}"))
}
