//! Sources `self_managed_kafka` and `generic_metrics`: nobody sends a bill, so costs are measured quantities times
//! prices, one line a day and product type.
//!
//! | module | what |
//! |---|---|
//! | [`days`] | samples of a range, day by day (pure) |
//! | [`costs`] | quantities, prices, lines (pure) |
//! | [`collect`] | asks for a range of days, one question per metric |
//! | [`people`] | from labels to identities and teams (pure) |
//! | [`inventory`] | the cluster, and what its metrics name |
//! | [`resolver`] | who used how much on a day |
//!
//! Days are UTC days, whatever the hour at which a gather runs: the same samples give the same lines at every time.

mod collect;
mod costs;
mod days;
mod inventory;
mod people;
mod resolver;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::{MeasuredSettings, MetricsConfig, SourceConfig};
use proto::inventory::InventoryBatch;
use proto::resolution::IdentityResolution;

use crate::error::GatherError;
use crate::metrics::{self, MetricsSource};
use crate::ports::{
    CostInput, EcosystemPlugin, GatherRequest, Harvest, IdentityResolver, ResolveRequest, Resolved,
    ServiceHandler,
};

/// A source whose costs are measured.
pub struct Measured {
    settings: MeasuredSettings,
    /// `ServiceName` of its lines.
    service: &'static str,
    /// Seconds between two samples.
    step: u32,
    metrics: Arc<dyn MetricsSource>,
    cluster: inventory::Cluster,
    found: inventory::Found,
}

impl Measured {
    /// The source that is configured.
    ///
    /// # Errors
    /// When its metrics cannot be asked for as they are configured.
    pub fn new(
        config: &SourceConfig,
        settings: &MeasuredSettings,
        service: &'static str,
    ) -> Result<Self, GatherError> {
        let none = || GatherError::Config(format!("source {} lacks `metrics`", config.id));
        let asked: &MetricsConfig = config.metrics.as_ref().ok_or_else(none)?;
        let metrics = metrics::source(asked)?;
        let settings = settings.clone();
        let cluster = inventory::Cluster(settings.clone());
        let found = inventory::Found { settings: settings.clone(), metrics: Arc::clone(&metrics) };
        Ok(Self { settings, service, step: asked.step_seconds, metrics, cluster, found })
    }
}

impl EcosystemPlugin for Measured {
    fn cost_input(&self) -> &dyn CostInput {
        self
    }
    fn service_handlers(&self) -> Vec<&dyn ServiceHandler> {
        vec![&self.cluster, &self.found]
    }
    fn identity_resolver(&self) -> Option<&dyn IdentityResolver> {
        Some(self)
    }
}

impl CostInput for Measured {
    fn available<'a>(&'a self, _: &'a GatherRequest) -> BoxFuture<'a, Result<(), GatherError>> {
        // Costs of which nothing is measured come about without any server.
        let asks = self.settings.costs.iter().any(|cost| cost.quantity.query().is_some());
        async move { if asks { Ok(self.metrics.available().await?) } else { Ok(()) } }.boxed()
    }
    fn collect(
        &self,
        request: GatherRequest,
    ) -> BoxFuture<'_, Result<Box<dyn Harvest>, GatherError>> {
        async move {
            let harvest = collect::collect(self, &request).await?;
            Ok(Box::new(harvest) as Box<dyn Harvest>)
        }
        .boxed()
    }
}

impl IdentityResolver for Measured {
    fn resolve(
        &self,
        request: &ResolveRequest,
        take: &mut dyn FnMut(IdentityResolution) -> Result<(), GatherError>,
    ) -> Result<Resolved, GatherError> {
        let (resolution, resolved) =
            tokio::runtime::Handle::current().block_on(resolver::resolution(self, request.date));
        take(resolution)?;
        Ok(resolved)
    }
}

impl ServiceHandler for inventory::Cluster {
    fn name(&self) -> &str {
        "cluster"
    }
    fn resource_types(&self) -> Vec<String> {
        vec![inventory::CLUSTER.to_owned()]
    }
    fn inventory<'a>(
        &'a self,
        _: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<InventoryBatch, GatherError>> {
        async move { Ok(self.list()) }.boxed()
    }
}

impl ServiceHandler for inventory::Found {
    fn name(&self) -> &str {
        "metrics"
    }
    fn resource_types(&self) -> Vec<String> {
        self.types()
    }
    fn inventory<'a>(
        &'a self,
        _: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<InventoryBatch, GatherError>> {
        self.list().boxed()
    }
}
