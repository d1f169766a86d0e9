//! Source `synthetic`: seeded lines, inventory and resolutions, the yardstick of benchmarks.
//!
//! One line per date, resource and product; resolutions name `fanout` identities for each resource, so that each line
//! becomes exactly `fanout` rows: the even products over `resource_active`, the others by the metric `usage`.

mod inventory;
mod lines;
mod resolutions;

#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::SyntheticSettings;
use proto::inventory::InventoryBatch;
use proto::resolution::IdentityResolution;
use proto::time::{TimeError, UnitDate};

use crate::error::GatherError;
use crate::ports::{
    CostInput, EcosystemPlugin, GatherRequest, Harvest, IdentityResolver, ResolveRequest, Resolved,
    ServiceHandler,
};

/// A `synthetic` source.
pub struct Synthetic(pub SyntheticSettings);

impl EcosystemPlugin for Synthetic {
    fn cost_input(&self) -> &dyn CostInput {
        self
    }
    fn service_handlers(&self) -> Vec<&dyn ServiceHandler> {
        vec![self]
    }
    fn identity_resolver(&self) -> Option<&dyn IdentityResolver> {
        Some(self)
    }
}

impl CostInput for Synthetic {
    fn collect(
        &self,
        request: GatherRequest,
    ) -> BoxFuture<'_, Result<Box<dyn Harvest>, GatherError>> {
        let settings = self.0.clone();
        let collect = move || -> Result<Box<dyn Harvest>, GatherError> {
            Ok(Box::new(lines::SyntheticHarvest::collect(&request, settings)?))
        };
        async move {
            tokio::task::spawn_blocking(collect)
                .await
                .map_err(|e| GatherError::Thread(e.to_string()))?
        }
        .boxed()
    }
}

impl ServiceHandler for Synthetic {
    fn name(&self) -> &str {
        "synthetic"
    }
    fn resource_types(&self) -> Vec<String> {
        vec![inventory::RESOURCE_TYPE.to_owned()]
    }
    fn inventory<'a>(
        &'a self,
        request: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<InventoryBatch, GatherError>> {
        let (settings, watch) = (self.0.clone(), request.watch.clone());
        let list = move || inventory::inventory(&settings, &watch);
        async move {
            tokio::task::spawn_blocking(list)
                .await
                .map_err(|e| GatherError::Thread(e.to_string()))?
        }
        .boxed()
    }
}

impl IdentityResolver for Synthetic {
    fn resolve(
        &self,
        request: &ResolveRequest,
        take: &mut dyn FnMut(IdentityResolution) -> Result<(), GatherError>,
    ) -> Result<Resolved, GatherError> {
        (0..self.0.resources).try_for_each(|resource| {
            take(resolutions::resolution(&self.0, request.date, resource))
        })?;
        Ok(Resolved::default())
    }
}

/// The dates of a source.
fn dates(settings: &SyntheticSettings) -> Result<Vec<UnitDate>, GatherError> {
    let date = |n: u32| settings.start.plus_days(i64::from(n));
    let dates: Result<Vec<_>, TimeError> = (0..settings.dates).map(date).collect();
    dates.map_err(|error| {
        GatherError::Config(format!(
            "the dates of the synthetic source leave the calendar: {error}"
        ))
    })
}

/// How lines and resolutions name a resource.
fn resource_id(resource: u32) -> String {
    format!("resource-{resource:010}")
}

/// How resolutions and inventory name an identity.
fn identity_id(identity: u64) -> String {
    format!("{}:sa-{identity:010}", inventory::IDENTITY_TYPE)
}

/// The next of a sequence of well mixed numbers (SplitMix64); `state` moves on.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of its own for each place: the same on every machine.
fn sequence(seed: u64, date: UnitDate, place: [u32; 2]) -> u64 {
    let mut state = seed ^ (date.epoch_days() as u64).rotate_left(32);
    for number in place {
        state = next(&mut state) ^ u64::from(number);
    }
    next(&mut state)
}
