//! Carrying visible dates to the outside: what every kind of emitter shares.
//!
//! One emitter at a time works on a unit (an advisory lock, held to the end). Rows stream from Postgres in their final
//! order into a draft; just before the draft is put in place the visible generation is looked at again, and a newer
//! one is emitted instead. Where content was put before, it is compared first and left alone when it still lies there.

mod kinds;
mod origins;
mod port;
mod rows;
pub mod texts;

pub use port::{Draft, Emitter, Origin, Place, Published, Sealed, VisibleRow};

use std::sync::Arc;

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::Type;
use jiff::Timestamp;
use proto::hash::Hash128;
use proto::ids::EmitterId;
use proto::report::{Emitted, Report};
use proto::task::{Content, Emit, EmitUnit};
use proto::time::UtcSeconds;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

use self::origins::Origins;
use crate::error::EmitterError;
use crate::sql;
use crate::wire::PgDate;
use crate::worker::reports;

/// Chunks of rows between Postgres and the draft.
const CHUNKS: usize = 2;

/// Emits the units of a task, one after the other.
///
/// # Errors
/// When the configuration cannot be had or obeyed, or no unit got anywhere and trying again may help; other failures
/// are reported per unit.
pub async fn emit(
    store: &Store,
    context: &TaskContext,
    task: &Emit,
) -> Result<Vec<Report>, WorkError> {
    let config = context.configs.get(context.tenant(), task.config).await?;
    let found = config.emitters.iter().find(|emitter| emitter.id == task.emitter);
    let settings = found.ok_or_else(|| {
        WorkError::data(format!(
            "emitter {} is not in the configuration of {}",
            task.emitter,
            context.tenant()
        ))
    })?;
    let ecosystem = config.source(context.source()).map(|source| source.kind().to_owned());
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for unit in &task.units {
        let place = Place {
            tenant: context.tenant().clone(),
            source: context.source().clone(),
            date: unit.date,
            ecosystem: ecosystem.clone(),
        };
        let emitted = match kinds::open(settings, &task.folder) {
            Ok(emitter) => emit_unit(store, context, &task.emitter, emitter, unit, &place).await,
            Err(error) => Err(error),
        };
        match emitted {
            Ok(emitted) => done.push(emitted),
            Err(error) => failed.push(((unit.date, unit.generation), error)),
        }
    }
    let step = format!("emit-{}", task.emitter);
    reports(&step, (!done.is_empty()).then_some(Report::Emitted(done)), failed)
}

/// What is visible of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Visible {
    generation: i64,
    lines_generation: i64,
    rows: u64,
}

async fn emit_unit(
    store: &Store,
    context: &TaskContext,
    id: &EmitterId,
    emitter: Box<dyn Emitter>,
    unit: &EmitUnit,
    place: &Place,
) -> Result<Emitted, EmitterError> {
    let emitter: Arc<dyn Emitter> = emitter.into();
    let mut client = store.client().await?;
    loop {
        // The lock lives as long as the transaction: it cannot leak into the pool, whatever happens.
        let transaction =
            client.transaction().await.map_err(EmitterError::sql("begin an emission"))?;
        transaction
            .batch_execute(sql::EMIT_BOUNDS)
            .await
            .map_err(EmitterError::sql("begin an emission"))?;
        lock(&transaction, id, place).await?;
        let visible = visible(&transaction, place).await?;
        if visible.generation < unit.generation.0 {
            let (wanted, found) = (unit.generation, visible.generation);
            return Err(EmitterError::Busy(format!(
                "generation {wanted} of {} is not visible, {found} is",
                place.date
            )));
        }
        let found = match unit.recorded {
            Some(recorded) if visible.generation == unit.generation.0 => {
                find(&emitter, place, recorded).await?
            }
            _ => None,
        };
        if let Some(published) = found {
            transaction.commit().await.map_err(EmitterError::sql("end an emission"))?;
            return Ok(emitted(id, place, visible, published));
        }
        let sealed = draft(&transaction, context, emitter.as_ref(), visible, place).await?;
        if self::visible(&transaction, place).await?.generation != visible.generation {
            tracing::debug!(date = %place.date, "a newer generation became visible meanwhile");
            continue;
        }
        let published = spawn_blocking(move || sealed.publish()).await.map_err(ended)??;
        transaction.commit().await.map_err(EmitterError::sql("end an emission"))?;
        return Ok(emitted(id, place, visible, published));
    }
}

fn emitted(id: &EmitterId, place: &Place, visible: Visible, published: Published) -> Emitted {
    Emitted {
        emitter: id.clone(),
        date: place.date,
        generation: proto::ids::Generation(visible.generation),
        target: published.target,
        rows: visible.rows,
        bytes: published.content.bytes,
        hash: published.content.hash,
        at: UtcSeconds(Timestamp::now().as_second()),
    }
}

/// What lies outside, if it is what was put there; what somebody removed or changed is told.
async fn find(
    emitter: &Arc<dyn Emitter>,
    place: &Place,
    recorded: Content,
) -> Result<Option<Published>, EmitterError> {
    let (looking, at) = (Arc::clone(emitter), place.clone());
    let found = spawn_blocking(move || looking.find(&at, recorded)).await.map_err(ended)??;
    if found.is_none() {
        let Place { tenant, source, date, .. } = place;
        tracing::warn!(%tenant, %source, %date, "what was emitted is gone or was changed: it is emitted again");
    }
    Ok(found)
}

/// Streams the rows of a generation into a draft and seals it.
async fn draft(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    emitter: &dyn Emitter,
    visible: Visible,
    place: &Place,
) -> Result<Box<dyn Sealed>, EmitterError> {
    let (sender, mut receiver) = mpsc::channel::<Vec<VisibleRow>>(CHUNKS);
    let mut draft = emitter.open(place)?;
    let mut origins = None;
    if emitter.needs_cells() {
        let (found, names) = Origins::place(transaction, context, visible, place).await?;
        draft.provider_columns(&names)?;
        origins = Some(found);
    }
    let writing = spawn_blocking(move || {
        let mut rows = 0_u64;
        while let Some(chunk) = receiver.blocking_recv() {
            draft.write(&chunk)?;
            rows += chunk.len() as u64;
        }
        Ok::<_, EmitterError>((draft, rows))
    });
    let read = rows::read(transaction, context, visible, place, origins, sender).await;
    // The sender is gone: the thread ends. Its own error says more than the closed channel that the reader saw.
    let written = writing.await.map_err(ended)?;
    let (draft, rows) = match (written, read) {
        (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
        (Ok(written), Ok(())) => written,
    };
    if rows != visible.rows {
        let text = format!(
            "generation {} of {} has {} rows, {rows} were read",
            visible.generation, place.date, visible.rows
        );
        return Err(EmitterError::Integrity(text));
    }
    spawn_blocking(move || draft.seal()).await.map_err(ended)?
}

async fn lock(
    transaction: &Transaction<'_>,
    id: &EmitterId,
    place: &Place,
) -> Result<(), EmitterError> {
    let date = place.date.to_string();
    let texts = ["emit", place.tenant.as_str(), place.source.as_str(), &date, id.as_str()];
    let [a, b, c, d, e, f, g, h, ..] = Hash128::of_texts(texts).0;
    let key = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let row = transaction.query_typed_one(sql::TRY_LOCK, &[(&key, Type::INT8)]).await;
    if row.map_err(EmitterError::sql("lock a unit"))?.get(0) {
        return Ok(());
    }
    Err(EmitterError::Busy(format!(
        "{date} of {}/{} is being emitted by another process",
        place.tenant, place.source
    )))
}

async fn visible(transaction: &Transaction<'_>, place: &Place) -> Result<Visible, EmitterError> {
    let (tenant, source, date) = (place.tenant.as_str(), place.source.as_str(), PgDate(place.date));
    let key = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT), (&date as _, Type::DATE)];
    let row = transaction.query_typed_opt(sql::VISIBLE, &key).await;
    let row = row.map_err(EmitterError::sql("read what is visible"))?;
    let row = row.ok_or_else(|| {
        EmitterError::Busy(format!("{} is not known in the database", place.date))
    })?;
    let (lines, rows): (Option<i64>, Option<i64>) = (row.get(1), row.get(2));
    Ok(Visible {
        generation: row.get(0),
        lines_generation: lines.unwrap_or_default(),
        rows: u64::try_from(rows.unwrap_or_default()).unwrap_or_default(),
    })
}

/// A panic ends the process, so a thread that cannot be joined went with it.
fn ended(_: JoinError) -> EmitterError {
    EmitterError::Gone(runtime::keeper::Gone)
}
