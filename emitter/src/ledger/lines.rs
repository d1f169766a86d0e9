//! Lines and resolutions into `billing` and the archive, once per content.

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::Transaction;
use proto::envelope;
use proto::line::{LineBatch, Lines};
use proto::manifest::Manifest;
use proto::resolution::ResolutionBatch;
use proto::subject::Stream;
use proto::time::{UnitDate, UtcSeconds};
use runtime::data::{BatchReader, DataError};
use runtime::worker::TaskContext;

use super::archive::{self, Archive};
use super::dimension::{DimensionKind, LineTexts, hash_of, id_of};
use super::feed::Feed;
use super::plan::Work;
use crate::error::EmitterError;
use crate::sql;
use crate::wire::CopyIn;

/// Columns of `billing`.
const COLUMNS: i16 = 14;

/// Stores the lines and resolutions of those units that do not have them yet.
///
/// # Errors
/// When a batch is missing, different or damaged, or Postgres does not take it.
pub async fn store(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
    feed: &mut Feed,
) -> Result<(), EmitterError> {
    let mut writer = LineWriter {
        context,
        transaction,
        feed,
        copy: None,
        archive: Archive::new(context.tenant(), context.source()),
        scratch: Vec::with_capacity(1024),
    };
    for work in works {
        if work.store_lines {
            writer.lines(work.unit.date, &work.unit.lines).await?;
        }
        if work.archive_resolutions
            && let Some(manifest) = &work.unit.resolutions
        {
            writer.resolutions(work.unit.date, manifest).await?;
        }
    }
    writer.close().await?;
    writer.archive.flush(transaction).await
}

struct LineWriter<'a, 't> {
    context: &'a TaskContext,
    transaction: &'a Transaction<'t>,
    feed: &'a mut Feed,
    copy: Option<CopyIn>,
    archive: Archive<'a>,
    scratch: Vec<u8>,
}

impl LineWriter<'_, '_> {
    async fn lines(&mut self, date: UnitDate, manifest: &Manifest) -> Result<(), EmitterError> {
        let (tenant, source) = (self.context.tenant(), self.context.source());
        let mut reader = BatchReader::<LineBatch>::new(
            &self.context.bus,
            Stream::Line,
            tenant,
            source,
            date,
            manifest,
        );
        while let Some((batch, message)) = reader.next_payload().await? {
            let (_, body) = envelope::decode::<LineBatch>(&message).map_err(DataError::from)?;
            check_items(date, manifest, batch, body.len())?;
            let lines = body.open().map_err(DataError::from)?;
            self.batch(date, manifest.generation.0, &lines).await?;
            self.keep(date, archive::LINE, manifest.generation.0, batch, &message).await?;
            self.context.progress.tick();
        }
        Ok(())
    }

    async fn batch(
        &mut self,
        date: UnitDate,
        generation: i64,
        lines: &Lines,
    ) -> Result<(), EmitterError> {
        let (tenant, source) = (self.context.tenant(), self.context.source());
        let texts = LineTexts::new(source, lines);
        let mut copy = match self.copy.take() {
            Some(copy) => copy,
            None => {
                let sink = self.transaction.copy_in(sql::COPY_BILLING).await;
                CopyIn::new(sink.map_err(EmitterError::sql("store lines"))?)
            }
        };
        for i in 0..lines.len() {
            let texts = texts.of(i);
            let dimension = hash_of(DimensionKind::Billing, tenant, &texts, &mut self.scratch);
            self.feed.add(dimension, &texts);
            let out = &mut copy.tuples;
            out.start(COLUMNS);
            out.int8(generation);
            out.int8(id_of(dimension));
            out.seconds(UtcSeconds(lines.charge_start[i]));
            out.seconds(UtcSeconds(lines.charge_end[i]));
            out.date(date);
            out.text(tenant.as_str());
            out.bytes(&lines.id[i].0.0);
            out.amount(lines.amount[i]);
            (0..4).for_each(|measure| out.amount_or_null(lines.measure(measure, i)));
            (0..2).for_each(|quantity| out.amount_or_null(lines.quantity(quantity, i)));
        }
        copy.send().await.map_err(EmitterError::sql("store lines"))?;
        self.copy = Some(copy);
        self.feed.send().await
    }

    async fn resolutions(
        &mut self,
        date: UnitDate,
        manifest: &Manifest,
    ) -> Result<(), EmitterError> {
        let (tenant, source, stream) =
            (self.context.tenant(), self.context.source(), Stream::Resolution);
        let mut reader = BatchReader::<ResolutionBatch>::new(
            &self.context.bus,
            stream,
            tenant,
            source,
            date,
            manifest,
        );
        while let Some((batch, message)) = reader.next_payload().await? {
            self.keep(date, archive::RESOLUTION, manifest.generation.0, batch, &message).await?;
            self.context.progress.tick();
        }
        Ok(())
    }

    async fn keep(
        &mut self,
        date: UnitDate,
        kind: &'static str,
        generation: i64,
        batch: u32,
        message: &Bytes,
    ) -> Result<(), EmitterError> {
        self.archive.add(date, kind, generation, batch, message)?;
        if self.archive.is_full() {
            self.close().await?;
            self.archive.flush(self.transaction).await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), EmitterError> {
        if let Some(copy) = self.copy.take() {
            copy.finish().await.map_err(EmitterError::sql("store lines"))?;
        }
        Ok(())
    }
}

/// Whether a batch holds as many items as its manifest says.
///
/// # Errors
/// When it does not.
pub fn check_items(
    date: UnitDate,
    manifest: &Manifest,
    batch: u32,
    found: usize,
) -> Result<(), EmitterError> {
    let named = manifest.batches.get(batch as usize).map_or(0, |named| named.items as usize);
    if named == found {
        return Ok(());
    }
    let generation = manifest.generation;
    let text = format!(
        "batch {batch} of {date}, generation {generation}, holds {found} items where its manifest says {named}"
    );
    Err(EmitterError::Integrity(text))
}
