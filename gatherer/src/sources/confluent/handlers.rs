//! The services of Confluent Cloud, and what each of them lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::FlinkRegion;
use proto::inventory::{InventoryBatch, Resource};
use serde_json::Value;

use super::inventory::{self, kind};
use crate::error::GatherError;
use crate::http::client::Question;
use crate::http::pages::{self, Place};
use crate::http::patience::Patience;
use crate::http::{HttpClient, HttpError};
use crate::ports::{GatherRequest, ServiceHandler, Watch};

/// Items of one page where the API is not asked for more.
const PAGE_SIZE: &str = "100";

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// Environments, clusters, and everybody who may use them.
    Kafka,
    SchemaRegistry,
    Connect,
    Ksqldb,
    Flink,
    /// At servers of their own.
    FlinkStatements,
}

/// Lists what one service has.
pub struct Handler {
    service: Service,
    client: HttpClient,
    regions: Arc<[Region]>,
}

/// The server of a region's statements.
pub struct Region {
    cloud: String,
    name: String,
    client: HttpClient,
}

impl Region {
    /// Of its settings.
    ///
    /// # Errors
    /// When they cannot be used, or a secret cannot be had.
    pub fn new(settings: &FlinkRegion, patience: Patience) -> Result<Self, HttpError> {
        let client = HttpClient::with_patience(&settings.server, patience)?;
        Ok(Self { cloud: settings.cloud.clone(), name: settings.region.clone(), client })
    }
}

impl Handler {
    /// All services; statements of Flink where a region's server is configured.
    #[must_use]
    pub fn all(client: &HttpClient, regions: Vec<Region>) -> Vec<Self> {
        let all = [
            Service::Kafka,
            Service::SchemaRegistry,
            Service::Connect,
            Service::Ksqldb,
            Service::Flink,
            Service::FlinkStatements,
        ];
        let regions: Arc<[Region]> = regions.into();
        let of = |service| Self { service, client: client.clone(), regions: Arc::clone(&regions) };
        let asked = |service: &Service| *service != Service::FlinkStatements || !regions.is_empty();
        all.into_iter().filter(asked).map(of).collect()
    }

    async fn list(&self, watch: &Watch) -> Result<InventoryBatch, GatherError> {
        let api = Api { client: &self.client, watch };
        let mut batch = InventoryBatch::default();
        let environments = api.environments().await?;
        let path = match self.service {
            Service::Kafka => {
                for environment in &environments {
                    let path = "cmk/v2/clusters";
                    batch.resources.extend(api.of(path, &environment.id, kind::KAFKA).await?);
                }
                batch.resources.extend(environments);
                batch.identities = api.identities().await?;
                return Ok(batch);
            }
            Service::Connect => {
                for environment in &environments {
                    for cluster in api.of("cmk/v2/clusters", &environment.id, kind::KAFKA).await? {
                        batch.resources.extend(api.connectors(&environment.id, &cluster.id).await?);
                    }
                }
                return Ok(batch);
            }
            Service::FlinkStatements => {
                let mut pools = Vec::new();
                for environment in &environments {
                    let path = "fcpm/v2/compute-pools";
                    pools.extend(api.of(path, &environment.id, kind::FLINK_POOL).await?);
                }
                batch.resources = self.statements(watch, &pools).await?;
                return Ok(batch);
            }
            Service::SchemaRegistry => ("srcm/v3/clusters", kind::SCHEMA_REGISTRY),
            Service::Ksqldb => ("ksqldbcm/v2/clusters", kind::KSQLDB),
            Service::Flink => ("fcpm/v2/compute-pools", kind::FLINK_POOL),
        };
        for environment in &environments {
            batch.resources.extend(api.of(path.0, &environment.id, path.1).await?);
        }
        Ok(batch)
    }

    /// The statements of all environments that have pools in a region of which the server is known.
    async fn statements(
        &self,
        watch: &Watch,
        pools: &[Resource],
    ) -> Result<Vec<Resource>, GatherError> {
        let places: BTreeSet<inventory::FlinkPlace> =
            pools.iter().filter_map(inventory::flink_place).collect();
        let mut all = Vec::new();
        for place in places {
            let known =
                |region: &&Region| (&region.cloud, &region.name) == (&place.cloud, &place.region);
            let Some(region) = self.regions.iter().find(known) else {
                tracing::warn!(
                    cloud = place.cloud,
                    region = place.region,
                    "statements of Flink are not listed: the source's `flink` does not name the region"
                );
                continue;
            };
            let api = Api { client: &region.client, watch };
            let (organization, environment) = (&place.organization, &place.environment);
            let path = format!(
                "sql/v1/organizations/{organization}/environments/{environment}/statements"
            );
            let question = region.client.get(&path, &[("page_size", PAGE_SIZE)]);
            let statement = |item: &Value| inventory::statement(environment, item);
            all.extend(api.all(question, statement).await?);
        }
        Ok(all)
    }
}

impl ServiceHandler for Handler {
    fn name(&self) -> &str {
        match self.service {
            Service::Kafka => "kafka",
            Service::SchemaRegistry => "schema_registry",
            Service::Connect => "connector",
            Service::Ksqldb => "ksqldb",
            Service::Flink => "flink",
            Service::FlinkStatements => "flink_statements",
        }
    }

    fn resource_types(&self) -> Vec<String> {
        let types: &[&str] = match self.service {
            Service::Kafka => &[kind::ENVIRONMENT, kind::KAFKA],
            Service::SchemaRegistry => &[kind::SCHEMA_REGISTRY],
            Service::Connect => &[kind::CONNECTOR],
            Service::Ksqldb => &[kind::KSQLDB],
            Service::Flink => &[kind::FLINK_POOL],
            Service::FlinkStatements => &[kind::FLINK_STATEMENT],
        };
        types.iter().map(|kind| (*kind).to_owned()).collect()
    }

    fn inventory<'a>(
        &'a self,
        request: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<InventoryBatch, GatherError>> {
        self.list(&request.watch).boxed()
    }
}

struct Api<'a> {
    client: &'a HttpClient,
    watch: &'a Watch,
}

impl Api<'_> {
    /// Everything of a list, each item made something else.
    async fn all<T: Send>(
        &self,
        question: Question,
        map: impl Fn(&Value) -> Result<T, String> + Send + Sync,
    ) -> Result<Vec<T>, GatherError> {
        let (mut all, at) = (Vec::new(), question.at());
        let mut take = |_: Place, item: Value| -> Result<(), GatherError> {
            let malformed = |what| HttpError::Malformed { at: at.clone(), what };
            all.push(map(&item).map_err(malformed)?);
            self.watch.tick()
        };
        pages::each(self.client, question, &mut take).await?;
        Ok(all)
    }

    async fn environments(&self) -> Result<Vec<Resource>, GatherError> {
        let question = self.client.get("org/v2/environments", &[("page_size", PAGE_SIZE)]);
        self.all(question, |item| inventory::resource(kind::ENVIRONMENT, item)).await
    }

    /// The resources of an environment.
    async fn of(
        &self,
        path: &str,
        environment: &str,
        kind: &str,
    ) -> Result<Vec<Resource>, GatherError> {
        let query = [("environment", environment), ("page_size", PAGE_SIZE)];
        self.all(self.client.get(path, &query), |item| inventory::resource(kind, item)).await
    }

    /// The connectors of a cluster: one map, not in pages.
    async fn connectors(
        &self,
        environment: &str,
        cluster: &str,
    ) -> Result<Vec<Resource>, GatherError> {
        self.watch.tick()?;
        let path = format!("connect/v1/environments/{environment}/clusters/{cluster}/connectors");
        let question = self.client.get(&path, &[("expand", "info,status,id")]);
        let body = self.client.ask(&question).await?;
        let malformed = |what: String| HttpError::Malformed { at: question.at(), what };
        let all: BTreeMap<String, Value> =
            serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
        let all = all.iter().map(|(name, item)| inventory::connector(name, cluster, item));
        all.map(|each| each.map_err(|what| malformed(what).into())).collect()
    }

    /// Everybody who can cause cost.
    async fn identities(&self) -> Result<Vec<proto::inventory::Identity>, GatherError> {
        let mut all = Vec::new();
        for (path, kind) in [
            ("iam/v2/service-accounts", "service_account"),
            ("iam/v2/users", "user"),
            ("iam/v2/api-keys", "api_key"),
            ("iam/v2/identity-providers", "identity_provider"),
        ] {
            let question = self.client.get(path, &[("page_size", PAGE_SIZE)]);
            let found = self.all(question, |item| {
                Ok((inventory::id(item, kind)?, inventory::identity(kind, item)?))
            });
            for (id, identity) in found.await? {
                if kind == "identity_provider" {
                    let path = format!("{path}/{id}/identity-pools");
                    let question = self.client.get(&path, &[("page_size", PAGE_SIZE)]);
                    let pools = |item: &Value| inventory::identity("identity_pool", item);
                    all.extend(self.all(question, pools).await?);
                }
                all.push(identity);
            }
        }
        Ok(all)
    }
}
