//! Source `confluent_cloud`: the bill and the inventory of an organization at Confluent Cloud.
//!
//! | file | what |
//! |---|---|
//! | [`windows`] | which days one question asks for (pure) |
//! | [`map`] | a row of the bill to a line (pure) |
//! | [`collect`] | one gather of the bill |
//! | [`inventory`] | what the API lists to resources and identities (pure) |
//! | [`handlers`] | the services, and what each of them lists |
//!
//! Every row of the bill is a line of its own. Rows of one resource, product and day that differ in price (tiers) stay
//! apart with their prices, and are added where costs are.
//!
//! Not built yet: statements of Flink (they lie at regional servers with keys of their own), and resolutions.

pub mod collect;
pub mod handlers;
pub mod inventory;
pub mod map;
pub mod windows;

#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::ConfluentSettings;

use crate::error::GatherError;
use crate::http::patience::Patience;
use crate::http::{HttpClient, HttpError};
use crate::ports::{
    CostInput, EcosystemPlugin, GatherRequest, Harvest, IdentityResolver, ServiceHandler,
};
use handlers::Handler;

/// A `confluent_cloud` source.
pub struct Confluent {
    client: HttpClient,
    settings: ConfluentSettings,
    handlers: Vec<Handler>,
}

impl Confluent {
    /// The organization that is configured.
    ///
    /// # Errors
    /// When its settings cannot be used, or a secret cannot be had.
    pub fn new(settings: &ConfluentSettings) -> Result<Self, HttpError> {
        Self::with_patience(settings, Patience::default())
    }

    /// The same with other pauses between attempts.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(
        settings: &ConfluentSettings,
        patience: Patience,
    ) -> Result<Self, HttpError> {
        let client = HttpClient::with_patience(&settings.server, patience)?;
        let handlers = Handler::all(&client);
        Ok(Self { client, settings: settings.clone(), handlers })
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
        None
    }
}

impl CostInput for Confluent {
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
