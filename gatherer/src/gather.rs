//! One gather, end to end: look whether the source is there, collect everything, then publish what changed, then say so.

use std::collections::HashSet;

use proto::report::{GatherDone, GatheredDate, Report};
use proto::subject::Stream;
use proto::task::Gather;
use proto::time::UnitDate;
use runtime::data::BatchWriter;
use runtime::faults::crash_point;
use runtime::worker::TaskContext;
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;

use crate::cut::{Cut, Ended, cut};
use crate::error::GatherError;
use crate::inventory::inventory;
use crate::ports::{EcosystemPlugin, GatherRequest, Harvest, Watch};
use crate::window::Window;

/// What is cut ahead of publishing: bounds memory at so many batches.
const CUTS_AHEAD: usize = 3;

/// Does a gather task; the report that ends it is returned, all others were published.
///
/// # Errors
/// When the source cannot be read whole, or NATS does not take the batches. Nothing of the gather counts then.
pub async fn gather(
    context: &TaskContext,
    plugin: &dyn EcosystemPlugin,
    request: GatherRequest,
) -> Result<Vec<Report>, GatherError> {
    let (task, watch) = (request.task.clone(), request.watch.clone());
    let input = plugin.cost_input();
    let available = input.available(&request).await;
    available.map_err(|error| GatherError::Unavailable(Box::new(error)))?;
    let harvest = input.collect(request.clone()).await?;
    crash_point("gatherer.collected");
    let (sender, cuts) = mpsc::channel(CUTS_AHEAD);
    let cutting = tokio::task::spawn_blocking({
        let task = task.clone();
        move || cut_all(harvest, &task, &watch, &sender)
    });
    publish(context, cuts).await?;
    let (harvest, ended) = cutting.await.map_err(|e| GatherError::Thread(e.to_string()))??;
    let (inventory, warnings) = inventory(context, plugin, &request).await?;
    let mut done = done(harvest.as_ref(), ended, &task);
    done.warnings.extend(warnings);
    done.inventory = inventory;
    Ok(vec![Report::GatherDone(done)])
}

type Cutting = Result<(Box<dyn Harvest>, Ended), GatherError>;

fn cut_all(
    mut harvest: Box<dyn Harvest>,
    task: &Gather,
    watch: &Watch,
    sender: &mpsc::Sender<Cut>,
) -> Cutting {
    // Nobody listens any more: publishing failed, and says why itself.
    let mut take = |cut: Cut| sender.blocking_send(cut).map_err(|_| GatherError::Stopped);
    let ended = cut(harvest.as_mut(), task, watch, &mut take)?;
    Ok((harvest, ended))
}

async fn publish(context: &TaskContext, mut cuts: mpsc::Receiver<Cut>) -> Result<(), GatherError> {
    let mut open: Option<(UnitDate, BatchWriter)> = None;
    let writer = |date| {
        let (bus, generation) = (&context.bus, context.header.generation);
        BatchWriter::new(
            bus,
            Stream::Line,
            context.tenant(),
            context.source(),
            date,
            generation,
            context.attempt,
        )
    };
    while let Some(next) = cuts.recv().await {
        match next {
            Cut::Batch(batch) => {
                let (_, writer) = open.get_or_insert_with(|| (batch.date, writer(batch.date)));
                batch.hashes.iter().for_each(|hash| writer.manifest.add_item(*hash));
                writer.manifest.totals.merge(&batch.totals);
                writer.write(&batch.lines, batch.hashes.len()).await?;
                crash_point("gatherer.batch");
            }
            Cut::Date { date, received, hash } => {
                let lines = match open.take() {
                    Some((opened, writer)) if opened == date => writer.finish().await?,
                    _ => return Err(GatherError::Unbalanced(format!("{date} (no batches)"))),
                };
                crash_point("gatherer.date_stored");
                if lines.hash != hash || lines.totals != received {
                    return Err(GatherError::Unbalanced(format!("{date} (manifest)")));
                }
                context
                    .report(&Report::GatheredDate(GatheredDate { date, lines, received }))
                    .await?;
                crash_point("gatherer.date_reported");
            }
            Cut::Quarantined(records) => context.report(&Report::Quarantined(records)).await?,
        }
        context.progress.tick();
    }
    Ok(())
}

/// The report that ends a gather.
fn done(harvest: &dyn Harvest, ended: Ended, task: &Gather) -> GatherDone {
    let summary = harvest.summary();
    let read: HashSet<&String> = summary.files_read.iter().collect();
    let found = ended.dates.iter().map(|d| d.date);
    let (covered_from, covered_to) =
        Window::of(task).covered(found.chain(task.known.iter().map(|k| k.date)));
    GatherDone {
        covered_from,
        covered_to,
        dates: ended.dates,
        // Of thousands of files the report names those few alone that have quarantined records.
        files_read: summary.files_bad.iter().filter(|f| read.contains(f)).cloned().collect(),
        files: summary.files_bad.clone(),
        quarantined: summary.quarantined,
        records: summary.records,
        warnings: summary.warnings.clone(),
        cursor: ended.cursor.map(ByteBuf::from),
        final_before: None,
        provider_columns: summary.provider_columns.clone(),
        inventory: None,
    }
}
