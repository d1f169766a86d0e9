//! Publishes archived messages again: the same items at a new address, so that what is damaged or half gone at the old
//! one, which is written once, does not stand in the way.

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{IsolationLevel, Transaction};
use proto::envelope::{self, MessageKind};
use proto::hash::Hash128;
use proto::line::LineBatch;
use proto::report::{FailureClass, Report, Restored};
use proto::resolution::ResolutionBatch;
use proto::subject::Stream;
use proto::task::{Restore, RestoreUnit};
use runtime::data::{BatchWriter, DataError};
use runtime::faults::crash_point;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError};

use crate::archived::{Archived, damaged};
use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;
use crate::worker::reports;

/// Publishes lines and resolutions of the visible generations of some units.
///
/// # Errors
/// When no unit got anywhere and trying again may help; other failures, such as a damaged archive, are reported per
/// unit.
pub async fn restore(
    store: &Store,
    context: &TaskContext,
    task: &Restore,
) -> Result<Vec<Report>, WorkError> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for unit in &task.units {
        match restore_unit(store, context, unit).await {
            Ok(restored) => {
                let (tenant, source, date) = (context.tenant(), context.source(), unit.date);
                tracing::info!(%tenant, %source, %date, lines = restored.lines.items, "restored from the archive");
                done.push(restored);
            }
            Err(error) => {
                // A statement that failed says nothing of what is archived.
                let of_archive =
                    matches!(&error, EmitterError::Integrity(_) | EmitterError::Data(_));
                if of_archive
                    && error.class() == FailureClass::Data
                    && let Err(error) = mark_damaged(store, context, unit).await
                {
                    let error = proto::fault::chain(&error);
                    tracing::warn!(date = %unit.date, error, "failed to mark a damaged archive");
                }
                failed.push((vec![(unit.date, unit.generation)], error));
            }
        }
    }
    reports("restore", (!done.is_empty()).then_some(Report::Restored(done)), failed)
}

async fn restore_unit(
    store: &Store,
    context: &TaskContext,
    unit: &RestoreUnit,
) -> Result<Restored, EmitterError> {
    let failed = || EmitterError::sql("read the archive");
    let mut client = store.client().await?;
    // One view: the messages and their hash are of one generation.
    let view = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let transaction = view.start().await.map_err(failed())?;
    let (tenant, source) = (context.tenant(), context.source());
    let resolutions = resolutions_hash(&transaction, context, unit).await?;
    let mut archived = Archived::of_visible(&transaction, tenant, source, unit.date).await?;
    let mut copies = Copies::new(context, unit);
    while let Some((kind, message)) = archived.next().await? {
        copies.publish(kind, &message).await?;
        crash_point("restore.batch");
        context.progress.tick();
    }
    copies.finish(resolutions).await
}

/// Hash of the resolutions that the visible rows were made from, if any.
async fn resolutions_hash(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    unit: &RestoreUnit,
) -> Result<Option<Hash128>, EmitterError> {
    let (tenant, source) = (context.tenant().as_str(), context.source().as_str());
    let date = PgDate(unit.date);
    let key = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT), (&date as _, Type::DATE)];
    let row = transaction.query_typed_opt(sql::RESOLUTIONS_HASH, &key).await;
    let row = row.map_err(EmitterError::sql("read the archive"))?;
    let hash = row.as_ref().and_then(|row| row.get::<_, Option<&[u8]>>(0));
    let read = |hash: &[u8]| {
        let wrong = || EmitterError::Integrity("a stored hash is not 128 bits".into());
        hash.try_into().map(Hash128).map_err(|_| wrong())
    };
    hash.map(read).transpose()
}

/// From now on the archive counts as holding nothing: the commit after the source brought the lines stores them again.
async fn mark_damaged(
    store: &Store,
    context: &TaskContext,
    unit: &RestoreUnit,
) -> Result<(), EmitterError> {
    let client = store.client().await?;
    let (tenant, source) = (context.tenant().as_str(), context.source().as_str());
    let (date, hash) = (PgDate(unit.date), unit.lines.0.as_slice());
    client
        .execute_typed(
            sql::MARK_DAMAGED,
            &[
                (&tenant, Type::TEXT),
                (&source, Type::TEXT),
                (&date, Type::DATE),
                (&hash, Type::BYTEA),
            ],
        )
        .await
        .map_err(EmitterError::sql("mark an archive"))?;
    Ok(())
}

/// The new batches of one unit.
struct Copies<'a> {
    unit: &'a RestoreUnit,
    lines: BatchWriter,
    resolutions: BatchWriter,
}

impl<'a> Copies<'a> {
    fn new(context: &TaskContext, unit: &'a RestoreUnit) -> Self {
        let writer = |stream| {
            let (tenant, source) = (context.tenant(), context.source());
            let (bus, attempt) = (&context.bus, context.attempt);
            BatchWriter::new(bus, stream, tenant, source, unit.date, unit.generation, attempt)
        };
        let (lines, resolutions) = (writer(Stream::Line), writer(Stream::Resolution));
        Self { unit, lines, resolutions }
    }

    async fn publish(&mut self, kind: MessageKind, message: &[u8]) -> Result<(), EmitterError> {
        match kind {
            MessageKind::Line => {
                let body = envelope::decode::<LineBatch>(message).map_err(DataError::from)?.1;
                let lines = body.clone().open().map_err(DataError::from)?;
                for at in 0..lines.len() {
                    let line = lines.item(at).map_err(DataError::from)?;
                    self.lines.manifest.add_item(line.hash());
                    self.lines.manifest.totals.add_line(&line);
                }
                self.lines.write(&body, lines.len()).await?;
            }
            MessageKind::Resolution => {
                let body = envelope::decode::<ResolutionBatch>(message);
                let body = body.map_err(DataError::from)?.1;
                let resolutions = body.clone().open().map_err(DataError::from)?;
                let manifest = &mut self.resolutions.manifest;
                resolutions.iter().for_each(|resolution| manifest.add_item(resolution.hash()));
                self.resolutions.write(&body, resolutions.len()).await?;
            }
            MessageKind::Row
            | MessageKind::Driver
            | MessageKind::Inventory
            | MessageKind::Task
            | MessageKind::Report
            | MessageKind::Config => {
                return Err(damaged(self.unit.date, "is neither lines nor resolutions"));
            }
        }
        Ok(())
    }

    /// Rows that are made of it are those that are visible: nothing of it may lack or differ.
    async fn finish(self, made_from: Option<Hash128>) -> Result<Restored, EmitterError> {
        let (lines, resolutions) = (self.lines.finish().await?, self.resolutions.finish().await?);
        let RestoreUnit { date, generation, lines: wanted } = *self.unit;
        if let Some(wanted) = made_from
            && resolutions.hash != wanted
        {
            let text = format!(
                "the archive of {date} holds {} resolutions with hash {}, not those of its rows, {wanted}",
                resolutions.items, resolutions.hash
            );
            return Err(EmitterError::Integrity(text));
        }
        if lines.hash != wanted {
            let text = format!(
                "the archive of {date} holds {} lines with hash {}, not those in force, {wanted}",
                lines.items, lines.hash
            );
            return Err(EmitterError::Integrity(text));
        }
        let resolutions = (!resolutions.batches.is_empty()).then_some(resolutions);
        Ok(Restored { date, generation, lines, resolutions })
    }
}
