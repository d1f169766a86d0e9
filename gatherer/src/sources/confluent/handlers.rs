//! The services of Confluent Cloud, and what each of them lists.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::inventory::{InventoryBatch, Resource};
use serde_json::Value;

use super::inventory::{self, kind};
use crate::error::GatherError;
use crate::http::client::Question;
use crate::http::pages::{self, Place};
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
}

/// Lists what one service has.
pub struct Handler {
    service: Service,
    client: HttpClient,
}

impl Handler {
    /// All services.
    #[must_use]
    pub fn all(client: &HttpClient) -> Vec<Self> {
        let all = [
            Service::Kafka,
            Service::SchemaRegistry,
            Service::Connect,
            Service::Ksqldb,
            Service::Flink,
        ];
        all.map(|service| Self { service, client: client.clone() }).into()
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
            Service::SchemaRegistry => ("srcm/v3/clusters", kind::SCHEMA_REGISTRY),
            Service::Ksqldb => ("ksqldbcm/v2/clusters", kind::KSQLDB),
            Service::Flink => ("fcpm/v2/compute-pools", kind::FLINK_POOL),
        };
        for environment in &environments {
            batch.resources.extend(api.of(path.0, &environment.id, path.1).await?);
        }
        Ok(batch)
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
        }
    }

    fn resource_types(&self) -> Vec<String> {
        let types: &[&str] = match self.service {
            Service::Kafka => &[kind::ENVIRONMENT, kind::KAFKA],
            Service::SchemaRegistry => &[kind::SCHEMA_REGISTRY],
            Service::Connect => &[kind::CONNECTOR],
            Service::Ksqldb => &[kind::KSQLDB],
            Service::Flink => &[kind::FLINK_POOL],
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
