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
use runtime::faults::crash_point;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

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
    let (tenant, source) = (context.tenant(), context.source());
    let ecosystem = config.source(source).map(|source| source.kind().to_owned());
    let place = |unit: &EmitUnit| Place {
        tenant: tenant.clone(),
        source: source.clone(),
        date: unit.date,
        ecosystem: ecosystem.clone(),
    };
    let step = format!("emit-{}", task.emitter);
    let keys = |units: &[EmitUnit]| units.iter().map(|unit| (unit.date, unit.generation)).collect();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let emitter: Arc<dyn Emitter> = match kinds::open(settings, &task.folder) {
        Ok(emitter) => emitter.into(),
        Err(error) => return reports(&step, None, vec![(keys(&task.units), error)]),
    };
    let together =
        |a: &EmitUnit, b: &EmitUnit| emitter.is_monthly() && a.date.period() == b.date.period();
    for units in task.units.chunk_by(together) {
        let parts: Vec<(&EmitUnit, Place)> = units.iter().map(|unit| (unit, place(unit))).collect();
        match emit_parts(store, context, &task.emitter, &emitter, &parts).await {
            Ok(emitted) => done.extend(emitted),
            Err(error) => failed.push((keys(units), error)),
        }
    }
    reports(&step, (!done.is_empty()).then_some(Report::Emitted(done)), failed)
}

/// What is visible of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Visible {
    generation: i64,
    lines_generation: i64,
    rows: u64,
}

/// One output: that of a date, or of several dates of a month.
async fn emit_parts(
    store: &Store,
    context: &TaskContext,
    id: &EmitterId,
    emitter: &Arc<dyn Emitter>,
    parts: &[(&EmitUnit, Place)],
) -> Result<Vec<Emitted>, EmitterError> {
    let Some((_, place)) = parts.first() else { return Ok(Vec::new()) };
    let time =
        if emitter.is_monthly() { place.date.period().to_string() } else { place.date.to_string() };
    let mut client = store.client().await?;
    loop {
        // The lock lives as long as the transaction: it cannot leak into the pool, whatever happens.
        let transaction =
            client.transaction().await.map_err(EmitterError::sql("begin an emission"))?;
        transaction
            .batch_execute(sql::EMIT_BOUNDS)
            .await
            .map_err(EmitterError::sql("begin an emission"))?;
        lock(&transaction, id, place, &time).await?;
        let visible = visible(&transaction, parts, emitter.is_monthly()).await?;
        for ((unit, place), visible) in parts.iter().zip(&visible) {
            if visible.generation < unit.generation.0 {
                let (wanted, found) = (unit.generation, visible.generation);
                return Err(EmitterError::Busy(format!(
                    "generation {wanted} of {} is not visible, {found} is",
                    place.date
                )));
            }
        }
        let found = match recorded(parts, &visible) {
            Some(recorded) => find(emitter, place, recorded).await?,
            None => None,
        };
        if let Some(published) = found {
            transaction.commit().await.map_err(EmitterError::sql("end an emission"))?;
            return Ok(emitted((id, emitter.as_ref()), parts, &visible, &published));
        }
        let sealed = draft(&transaction, context, emitter.as_ref(), &visible, parts).await?;
        crash_point("emission.drafted");
        if self::visible(&transaction, parts, emitter.is_monthly()).await? != visible {
            tracing::debug!(date = %place.date, "a newer generation became visible meanwhile");
            continue;
        }
        let published = spawn_blocking(move || sealed.publish()).await.map_err(ended)??;
        transaction.commit().await.map_err(EmitterError::sql("end an emission"))?;
        crash_point("emission.published");
        return Ok(emitted((id, emitter.as_ref()), parts, &visible, &published));
    }
}

/// What was put there, if that was of just what is visible.
fn recorded(parts: &[(&EmitUnit, Place)], visible: &[Visible]) -> Option<Content> {
    let mut same = parts.iter().zip(visible).map(|((unit, _), visible)| {
        unit.recorded.filter(|_| visible.generation == unit.generation.0)
    });
    let first = same.next()??;
    same.all(|other| other == Some(first)).then_some(first)
}

fn emitted(
    (id, emitter): (&EmitterId, &dyn Emitter),
    parts: &[(&EmitUnit, Place)],
    visible: &[Visible],
    published: &Published,
) -> Vec<Emitted> {
    let of = |((_, place), visible): (&(&EmitUnit, Place), &Visible)| Emitted {
        emitter: id.clone(),
        date: place.date,
        generation: proto::ids::Generation(visible.generation),
        target: published.target.clone(),
        rows: visible.rows,
        bytes: published.content.bytes,
        hash: published.content.hash,
        at: UtcSeconds(Timestamp::now().as_second()),
        dir: emitter.dir().map(|dir| dir.display().to_string()),
    };
    parts.iter().zip(visible).map(of).collect()
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

/// Streams the rows of the visible generations into a draft and seals it.
async fn draft(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    emitter: &dyn Emitter,
    visible: &[Visible],
    parts: &[(&EmitUnit, Place)],
) -> Result<Box<dyn Sealed>, EmitterError> {
    let (sender, mut receiver) = mpsc::channel::<Vec<VisibleRow>>(CHUNKS);
    let dates = || parts.iter().map(|(_, place)| place).zip(visible);
    let Some((first, _)) = dates().next() else {
        return Err(EmitterError::Integrity("an output of no date".into()));
    };
    let mut draft = emitter.open(first)?;
    if emitter.needs_cells() {
        let mut names = origins::provider_columns(transaction, first).await?;
        origins::place(transaction, context, dates(), &mut names).await?;
        draft.provider_columns(&Vec::from_iter(names))?;
    }
    let writing = spawn_blocking(move || {
        let mut rows = 0_u64;
        while let Some(chunk) = receiver.blocking_recv() {
            draft.write(&chunk)?;
            rows += chunk.len() as u64;
        }
        Ok::<_, EmitterError>((draft, rows))
    });
    let cells = emitter.needs_cells();
    let read = async {
        for (place, visible) in dates() {
            let sender = sender.clone();
            rows::read(transaction, context, *visible, place, cells, sender).await?;
        }
        Ok(())
    };
    let read = read.await;
    drop(sender);
    // The sender is gone: the thread ends. Its own error says more than the closed channel that the reader saw.
    let written = writing.await.map_err(ended)?;
    let (draft, rows) = match (written, read) {
        (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
        (Ok(written), Ok(())) => written,
    };
    let wanted: u64 = visible.iter().map(|visible| visible.rows).sum();
    if rows != wanted {
        let of =
            dates().map(|(place, visible)| format!("{} of {}", visible.generation, place.date));
        let of = of.collect::<Vec<_>>().join(", ");
        return Err(EmitterError::Integrity(format!(
            "generation {of}: {wanted} rows are visible, {rows} were read"
        )));
    }
    spawn_blocking(move || draft.seal()).await.map_err(ended)?
}

async fn lock(
    transaction: &Transaction<'_>,
    id: &EmitterId,
    place: &Place,
    time: &str,
) -> Result<(), EmitterError> {
    let texts = ["emit", place.tenant.as_str(), place.source.as_str(), time, id.as_str()];
    let [a, b, c, d, e, f, g, h, ..] = Hash128::of_texts(texts).0;
    let key = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let row = transaction.query_typed_one(sql::TRY_LOCK, &[(&key, Type::INT8)]).await;
    if row.map_err(EmitterError::sql("lock a unit"))?.get(0) {
        return Ok(());
    }
    Err(EmitterError::Busy(format!(
        "{time} of {}/{} is being emitted by another process",
        place.tenant, place.source
    )))
}

async fn visible(
    transaction: &Transaction<'_>,
    parts: &[(&EmitUnit, Place)],
    monthly: bool,
) -> Result<Vec<Visible>, EmitterError> {
    let mut all = Vec::with_capacity(parts.len());
    if let Some((_, place)) = parts.first().filter(|_| monthly) {
        month_is(transaction, parts, place).await?;
    }
    for (_, place) in parts {
        all.push(visible_of(transaction, place).await?);
    }
    Ok(all)
}

/// A month's output holds all of its visible dates. A task that names others is of another time: what it would write
/// could take the place of what is newer.
async fn month_is(
    transaction: &Transaction<'_>,
    parts: &[(&EmitUnit, Place)],
    place: &Place,
) -> Result<(), EmitterError> {
    let (tenant, source, date) = (place.tenant.as_str(), place.source.as_str(), PgDate(place.date));
    let key = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT), (&date as _, Type::DATE)];
    let rows = transaction.query_typed(sql::VISIBLE_MONTH, &key).await;
    let rows = rows.map_err(EmitterError::sql("read what is visible"))?;
    let dates = rows.iter().map(|row| row.get::<_, PgDate>(0).0);
    if dates.eq(parts.iter().map(|(_, place)| place.date)) {
        return Ok(());
    }
    Err(EmitterError::Busy(format!("other dates of {} are visible by now", place.date.period())))
}

async fn visible_of(transaction: &Transaction<'_>, place: &Place) -> Result<Visible, EmitterError> {
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
