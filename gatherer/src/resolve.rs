//! Resolves units: who could have caused their costs, as batches of resolutions.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::envelope::BATCH_BYTES;
use proto::fault::chain;
use proto::inventory::InventoryBatch;
use proto::line::{LineBatch, cell};
use proto::report::{Failed, Published, Report, Warning};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::subject::Stream;
use proto::task::{Resolve, ResolveUnit};
use proto::time::UtcSeconds;
use runtime::data::{BatchReader, BatchWriter, DataError};
use runtime::worker::TaskContext;
use tokio::sync::mpsc;

use crate::error::GatherError;
use crate::ports::{EcosystemPlugin, IdentityResolver, ResolveRequest, Resolved, Wanted, Watch};

/// Batches made ahead of publishing.
const BATCHES_AHEAD: usize = 3;
/// Characters that are told of what could not be had.
const LACKING_CHARS: usize = 2_000;
/// Identities of a unit that no inventory lists and that are stored: a report carries so many.
const MADE_UP_MAX: usize = 500;

/// Resolves every unit of a task; units that fail are reported beside the good ones.
pub async fn resolve(
    context: &TaskContext,
    plugin: Arc<dyn EcosystemPlugin>,
    task: &Resolve,
    watch: &Watch,
) -> Vec<Report> {
    let (mut resolved, mut reports) = (Vec::new(), Vec::new());
    let inventory = inventory(context, task).await.map(Arc::new);
    for unit in &task.units {
        let published = match &inventory {
            Ok(inventory) => {
                publish(context, Arc::clone(&plugin), (unit, Arc::clone(inventory)), watch).await
            }
            Err(reason) => Err(GatherError::Inventory(reason.clone())),
        };
        match published {
            Ok(published) => resolved.push(published),
            Err(error) => reports.push(Report::Failed(Failed {
                step: "resolve".to_owned(),
                units: vec![(unit.date, unit.generation)],
                class: error.class(),
                reason: chain(&error),
            })),
        }
    }
    if !resolved.is_empty() {
        reports.push(Report::Resolved(resolved));
    }
    reports
}

/// The inventory that came with the task. That it is gone heals by itself: the work is sent again, with another one.
async fn inventory(context: &TaskContext, task: &Resolve) -> Result<InventoryBatch, String> {
    let mut all = InventoryBatch::default();
    let Some(manifest) = &task.inventory else { return Ok(all) };
    let (tenant, source) = (context.tenant(), context.source());
    let mut reader =
        BatchReader::<InventoryBatch>::of_inventory(&context.bus, tenant, source, manifest);
    while let Some(batch) = reader.next().await.map_err(|error| chain(&error))? {
        all.resources.extend(batch.resources);
        all.identities.extend(batch.identities);
        context.progress.tick();
    }
    Ok(all)
}

/// What the lines of a unit ask for: as much as there are resources in it, however many lines.
async fn wanted(
    context: &TaskContext,
    unit: &ResolveUnit,
) -> Result<BTreeSet<Wanted>, GatherError> {
    let (tenant, source) = (context.tenant(), context.source());
    let (bus, lines) = (&context.bus, &unit.lines);
    let mut reader =
        BatchReader::<LineBatch>::new(bus, Stream::Line, tenant, source, unit.date, lines);
    let mut wanted = BTreeSet::new();
    while let Some(batch) = reader.next().await? {
        let lines = batch.open().map_err(DataError::from)?;
        let products = lines.cell(cell::PRODUCT_TYPE);
        for at in 0..lines.len() {
            let key = lines.resolution_key.as_ref().and_then(|keys| keys.get(at));
            let Some(key) = key else { continue };
            let product = products.and_then(|products| products.get(at)).unwrap_or_default();
            wanted.insert(Wanted {
                start: UtcSeconds(lines.charge_start[at]),
                end: UtcSeconds(lines.charge_end[at]),
                key: key.to_owned(),
                product_type: product.to_owned(),
            });
        }
        context.progress.tick();
    }
    Ok(wanted)
}

async fn publish(
    context: &TaskContext,
    plugin: Arc<dyn EcosystemPlugin>,
    (unit, inventory): (&ResolveUnit, Arc<InventoryBatch>),
    watch: &Watch,
) -> Result<Published, GatherError> {
    let (date, generation) = (unit.date, unit.generation);
    let looks = plugin.identity_resolver().is_some_and(IdentityResolver::looks_at_lines);
    let wanted = if looks { wanted(context, unit).await? } else { BTreeSet::new() };
    let request = ResolveRequest { date, wanted, inventory };
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let making = tokio::task::spawn_blocking({
        let watch = watch.clone();
        move || {
            let none =
                || GatherError::Config("this kind of source makes no resolutions".to_owned());
            let resolver = plugin.identity_resolver().ok_or_else(none)?;
            let mut take = |batch| sender.blocking_send(batch).map_err(|_| GatherError::Stopped);
            batched(resolver, &request, &watch, &mut take)
        }
    });
    let (tenant, source) = (context.tenant(), context.source());
    let mut writer = BatchWriter::new(
        &context.bus,
        Stream::Resolution,
        tenant,
        source,
        date,
        generation,
        context.attempt,
    );
    while let Some(items) = batches.recv().await {
        let items: Vec<IdentityResolution> = items;
        items.iter().for_each(|item| writer.manifest.add_item(item.hash()));
        writer.write(&ResolutionBatch::new(&items), items.len()).await?;
    }
    let made = making.await.map_err(|e| GatherError::Thread(e.to_string()))??;
    let (manifest, lacking) = (writer.finish().await?, told(made.lacking));
    let mut identities = made.identities;
    let mut warnings = Vec::new();
    if identities.len() > MADE_UP_MAX {
        let count = (identities.len() - MADE_UP_MAX) as u64;
        let text = "an identity that no inventory lists is not stored: there are too many of them";
        warnings.push(Warning { text: text.to_owned(), count });
        identities.truncate(MADE_UP_MAX);
    }
    let drivers = Vec::new();
    Ok(Published { date, generation, manifest, warnings, lacking, drivers, identities })
}

/// Hands the resolutions of a date to `take`, a batch at a time.
fn batched(
    resolver: &dyn IdentityResolver,
    request: &ResolveRequest,
    watch: &Watch,
    take: &mut dyn FnMut(Vec<IdentityResolution>) -> Result<(), GatherError>,
) -> Result<Resolved, GatherError> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut each = |item: IdentityResolution| {
        bytes += size(&item);
        items.push(item);
        if bytes < BATCH_BYTES {
            return Ok(());
        }
        bytes = 0;
        watch.tick()?;
        take(std::mem::take(&mut items))
    };
    let resolved = resolver.resolve(request, &mut each)?;
    if !items.is_empty() {
        take(items)?;
    }
    Ok(resolved)
}

/// What could not be had, as one text of a bounded length.
fn told(lacking: Vec<String>) -> Option<String> {
    let text = lacking.join("; ");
    (!text.is_empty()).then(|| text.chars().take(LACKING_CHARS).collect())
}

/// About the bytes of a resolution in a batch, where names that repeat are written once.
fn size(item: &IdentityResolution) -> usize {
    let sets = [&item.resource_active, &item.metrics_derived, &item.tenant_period];
    let names = sets.iter().flat_map(|set| set.iter()).map(|_| 6).sum::<usize>();
    let usage = item.usage.iter().map(|(_, identity, _)| identity.len() + 14).sum::<usize>();
    let failed = item.failed_metrics.iter().map(|metric| metric.len() + 4).sum::<usize>();
    item.key.len() + 24 + names + usage + failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::config::SyntheticSettings;

    #[test]
    fn batches_hold_every_resolution_and_stay_small() {
        let settings = SyntheticSettings {
            seed: 1,
            start: proto::time::FIRST_DATE,
            dates: 1,
            resources: 5_000,
            products: 1,
            fanout: 10,
            identities: 1_000,
        };
        let source = crate::sources::synthetic::Synthetic(settings);
        let (mut count, mut batches) = (0, 0);
        let mut take = |items: Vec<IdentityResolution>| {
            let mut bytes = Vec::new();
            rmp_serde::encode::write_named(&mut bytes, &ResolutionBatch::new(&items)).unwrap();
            assert!(bytes.len() < 2 * BATCH_BYTES, "{}", bytes.len());
            count += items.len();
            batches += 1;
            Ok(())
        };
        batched(
            &source,
            &ResolveRequest::of(proto::time::FIRST_DATE),
            &Watch::default(),
            &mut take,
        )
        .unwrap();
        assert!(count == 5_000 && (5..60).contains(&batches), "{count} in {batches}");
    }
}
