//! Resolves units: who could have caused their costs, as batches of resolutions.

use std::sync::Arc;

use proto::envelope::BATCH_BYTES;
use proto::fault::chain;
use proto::report::{Failed, Published, Report};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::subject::Stream;
use proto::task::{Resolve, ResolveUnit};
use proto::time::UnitDate;
use runtime::data::BatchWriter;
use runtime::worker::TaskContext;
use tokio::sync::mpsc;

use crate::error::GatherError;
use crate::ports::{EcosystemPlugin, IdentityResolver, Resolved, Watch};

/// Batches made ahead of publishing.
const BATCHES_AHEAD: usize = 3;
/// Characters that are told of what could not be had.
const LACKING_CHARS: usize = 2_000;

/// Resolves every unit of a task; units that fail are reported beside the good ones.
pub async fn resolve(
    context: &TaskContext,
    plugin: Arc<dyn EcosystemPlugin>,
    task: &Resolve,
    watch: &Watch,
) -> Vec<Report> {
    let (mut resolved, mut reports) = (Vec::new(), Vec::new());
    for unit in &task.units {
        match publish(context, Arc::clone(&plugin), unit, watch).await {
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

async fn publish(
    context: &TaskContext,
    plugin: Arc<dyn EcosystemPlugin>,
    unit: &ResolveUnit,
    watch: &Watch,
) -> Result<Published, GatherError> {
    let (date, generation) = (unit.date, unit.generation);
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let making = tokio::task::spawn_blocking({
        let watch = watch.clone();
        move || {
            let none =
                || GatherError::Config("this kind of source makes no resolutions".to_owned());
            let resolver = plugin.identity_resolver().ok_or_else(none)?;
            let mut take = |batch| sender.blocking_send(batch).map_err(|_| GatherError::Stopped);
            batched(resolver, date, &watch, &mut take)
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
    Ok(Published { date, generation, manifest, warnings: Vec::new(), lacking, drivers: Vec::new() })
}

/// Hands the resolutions of a date to `take`, a batch at a time.
fn batched(
    resolver: &dyn IdentityResolver,
    date: UnitDate,
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
    let resolved = resolver.resolve(date, &mut each)?;
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
        batched(&source, proto::time::FIRST_DATE, &Watch::default(), &mut take).unwrap();
        assert!(count == 5_000 && (5..60).contains(&batches), "{count} in {batches}");
    }
}
