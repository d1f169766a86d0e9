//! Source `confluent_cloud`: the bill and the inventory of an organization at Confluent Cloud.
//!
//! | file | what |
//! |---|---|
//! | [`windows`] | which days one question asks for (pure) |
//! | [`map`] | a row of the bill to a line (pure) |
//! | [`collect`] | one gather of the bill |
//! | [`inventory`] | what the API lists to resources and identities (pure) |
//! | [`handlers`] | the services, and what each of them lists |
//! | [`people`] | who could have caused the costs of a resource (pure) |
//! | [`resolver`] | resolutions, with what was measured |
//!
//! Every row of the bill is a line of its own. Rows of one resource, product and day that differ in price (tiers) stay
//! apart with their prices, and are added where costs are.

pub mod collect;
pub mod handlers;
pub mod inventory;
pub mod map;
pub mod people;
pub mod resolver;
pub mod windows;

#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::{ConfluentSettings, MetricsConfig};
use proto::resolution::IdentityResolution;

use crate::error::GatherError;
use crate::http::HttpClient;
use crate::http::patience::Patience;
use crate::metrics;
use crate::ports::{
    CostInput, EcosystemPlugin, GatherRequest, Harvest, IdentityResolver, ResolveRequest, Resolved,
    ServiceHandler,
};
use handlers::{Handler, Region};
use resolver::Asked;

/// A `confluent_cloud` source.
pub struct Confluent {
    client: HttpClient,
    settings: ConfluentSettings,
    handlers: Vec<Handler>,
    metrics: Option<Asked>,
}

impl Confluent {
    /// The organization that is configured, with what measures its usage, if anything does.
    ///
    /// # Errors
    /// When its settings cannot be used, or a secret cannot be had.
    pub fn new(
        settings: &ConfluentSettings,
        metrics: Option<&MetricsConfig>,
    ) -> Result<Self, GatherError> {
        Self::with_patience(settings, metrics, Patience::default())
    }

    /// The same with other pauses between attempts.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(
        settings: &ConfluentSettings,
        metrics: Option<&MetricsConfig>,
        patience: Patience,
    ) -> Result<Self, GatherError> {
        let client = HttpClient::with_patience(&settings.server, patience)?;
        let regions = settings.flink.iter().map(|region| Region::new(region, patience));
        let handlers = Handler::all(&client, regions.collect::<Result<_, _>>()?);
        let asked = |config: &MetricsConfig| -> Result<Asked, GatherError> {
            Ok(Asked { source: metrics::source(config)?, step: config.step_seconds })
        };
        let metrics = metrics.map(asked).transpose()?;
        Ok(Self { client, settings: settings.clone(), handlers, metrics })
    }
}

impl EcosystemPlugin for Confluent {
    fn cost_input(&self) -> &dyn CostInput {
        self
    }
    fn service_handlers(&self) -> Vec<&dyn ServiceHandler> {
        self.handlers.iter().map(|handler| handler as &dyn ServiceHandler).collect()
    }
    fn identity_resolver(&self) -> Option<&dyn IdentityResolver> {
        Some(self)
    }
}

impl IdentityResolver for Confluent {
    fn looks_at_lines(&self) -> bool {
        true
    }
    fn resolve(
        &self,
        request: &ResolveRequest,
        take: &mut dyn FnMut(IdentityResolution) -> Result<(), GatherError>,
    ) -> Result<Resolved, GatherError> {
        let resolve = resolver::resolve(self.metrics.as_ref(), request, take);
        tokio::runtime::Handle::current().block_on(resolve)
    }
}

impl CostInput for Confluent {
    fn available<'a>(
        &'a self,
        request: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<(), GatherError>> {
        collect::available(&self.client, &self.settings, request).boxed()
    }
    fn collect(
        &self,
        request: GatherRequest,
    ) -> BoxFuture<'_, Result<Box<dyn Harvest>, GatherError>> {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        async move {
            // Lines beyond what memory takes go to a file: not on a thread that others wait for.
            let runtime = tokio::runtime::Handle::current();
            let collect = move || -> Result<Box<dyn Harvest>, GatherError> {
                let harvest = runtime.block_on(collect::collect(&client, &settings, &request))?;
                Ok(Box::new(harvest))
            };
            tokio::task::spawn_blocking(collect)
                .await
                .map_err(|e| GatherError::Thread(e.to_string()))?
        }
        .boxed()
    }
}
