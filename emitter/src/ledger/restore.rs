//! Publishes archived messages again, at the addresses that their manifests name.

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::types::Type;
use proto::envelope::{self, MESSAGE_BYTES_MAX, MessageKind};
use proto::subject::{Stream, UnitAddress};
use proto::task::Restore;
use proto::time::UnitDate;
use runtime::data::DataError;
use runtime::store::Store;
use runtime::worker::TaskContext;

use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;

/// Messages that are read at a time.
const PIECE: i32 = 8;

/// Publishes lines and resolutions of the visible generations of some dates. Messages that are there already stay.
///
/// # Errors
/// When the archive is damaged, or Postgres or NATS fails.
pub async fn restore(
    store: &Store,
    context: &TaskContext,
    task: &Restore,
) -> Result<(), EmitterError> {
    for date in &task.dates {
        let messages = restore_date(store, context, *date).await?;
        let (tenant, source) = (context.tenant(), context.source());
        tracing::info!(%tenant, %source, %date, messages, "restored");
    }
    Ok(())
}

async fn restore_date(
    store: &Store,
    context: &TaskContext,
    date: UnitDate,
) -> Result<usize, EmitterError> {
    let failed = EmitterError::sql;
    let mut client = store.client().await?;
    let transaction = client.transaction().await.map_err(failed("read the archive"))?;
    let statement =
        transaction.prepare_typed(sql::ARCHIVED, &[Type::TEXT, Type::TEXT, Type::DATE]).await;
    let statement = statement.map_err(failed("read the archive"))?;
    let (tenant, source) = (context.tenant().as_str(), context.source().as_str());
    let portal = transaction.bind(&statement, &[&tenant, &source, &PgDate(date)]).await;
    let portal = portal.map_err(failed("read the archive"))?;
    let mut messages = 0;
    loop {
        let rows =
            transaction.query_portal(&portal, PIECE).await.map_err(failed("read the archive"))?;
        if rows.is_empty() {
            return Ok(messages);
        }
        for row in &rows {
            publish(context, date, row.get(0)).await?;
            context.progress.tick();
        }
        messages += rows.len();
    }
}

async fn publish(
    context: &TaskContext,
    date: UnitDate,
    compressed: &[u8],
) -> Result<(), EmitterError> {
    let damaged =
        |what: &str| EmitterError::Integrity(format!("an archived message of {date} {what}"));
    let message = zstd::bulk::decompress(compressed, MESSAGE_BYTES_MAX)
        .map_err(|e| damaged(&e.to_string()))?;
    let (header, _) = envelope::decode_header(&message).map_err(DataError::from)?;
    let stream = match header.kind {
        MessageKind::Line => Stream::Line,
        MessageKind::Resolution => Stream::Resolution,
        MessageKind::Row
        | MessageKind::Driver
        | MessageKind::Inventory
        | MessageKind::Task
        | MessageKind::Report
        | MessageKind::Config => return Err(damaged("is neither lines nor resolutions")),
    };
    let here =
        header.tenant == *context.tenant() && header.source.as_ref() == Some(context.source());
    if !here || header.date != Some(date) {
        return Err(damaged("belongs to another unit"));
    }
    let (tenant, source) = (context.tenant(), context.source());
    let address = UnitAddress::new(stream, tenant, source, date, header.generation, header.attempt);
    let put = context.bus.put(stream, &address.batch(header.batch), Bytes::from(message)).await;
    put.map_err(DataError::from)?;
    Ok(())
}
