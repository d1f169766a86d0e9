//! The cluster, and what its metrics of the last hours name: brokers, topics, principals and their teams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::config::{Charge, Discovered, MeasuredSettings};
use proto::inventory::{Identity, InventoryBatch, Resource};
use proto::time::UtcSeconds;

use super::people::{PRINCIPAL, TEAM, team, team_of, typed};
use crate::error::GatherError;
use crate::metrics::{MetricQuery, MetricsError, MetricsSource, Sampling, Shape, Window};

/// Type of the cluster.
pub const CLUSTER: &str = "cluster";

/// What is there without asking: the cluster, and the identities that are listed.
pub struct Cluster(pub MeasuredSettings);

/// What the metrics name.
pub struct Found {
    /// Of the source.
    pub settings: MeasuredSettings,
    /// Who is asked.
    pub metrics: Arc<dyn MetricsSource>,
}

fn word(kind: Discovered) -> &'static str {
    match kind {
        Discovered::Broker => "broker",
        Discovered::Topic => "topic",
        Discovered::Principal => PRINCIPAL,
    }
}

impl Cluster {
    /// Lists it.
    pub fn list(&self) -> InventoryBatch {
        let settings = &self.0;
        let mut attributes = BTreeMap::new();
        if let Some(region) = &settings.region {
            attributes.insert("region".to_owned(), region.clone());
        }
        let display_name = settings.display_name.clone();
        let cluster =
            Resource { display_name, attributes, ..resource(CLUSTER, settings.cluster.clone()) };
        let people = &settings.identities;
        let mut identities = Vec::new();
        let mut teams = BTreeSet::new();
        for listed in &people.listed {
            let team = team_of(people, listed);
            teams.insert(team);
            let name = listed.display_name.as_deref().unwrap_or(team);
            identities.push(identity(&listed.kind, &listed.id, name, Some(team)));
        }
        identities.extend(teams_of(settings, teams));
        InventoryBatch { resources: vec![cluster], identities }
    }
}

impl Found {
    /// Types of resources that it lists.
    pub fn types(&self) -> Vec<String> {
        let kinds = self.settings.discovery.iter().map(|found| found.kind);
        let kinds = kinds.filter(|kind| *kind != Discovered::Principal);
        kinds.map(|kind| word(kind).to_owned()).collect()
    }

    /// Lists what there is now.
    ///
    /// # Errors
    /// When a metric cannot be had.
    pub async fn list(&self) -> Result<InventoryBatch, GatherError> {
        let settings = &self.settings;
        let query = |found: &proto::config::Discovery| MetricQuery {
            name: format!("discovery of {}s", word(found.kind)),
            expression: found.query.clone(),
            labels: vec![found.label.clone()],
            sampling: Sampling::Backward,
            shape: Shape::Instant,
        };
        let queries: Vec<MetricQuery> = settings.discovery.iter().map(query).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = UtcSeconds(now.map_or(0, |now| now.as_secs() as i64));
        let window = Window { start: UtcSeconds(end.0 - 1), end };
        let outcomes = self.metrics.fetch(&queries, window).await;
        let (mut batch, mut teams) = (InventoryBatch::default(), BTreeSet::new());
        for (found, outcome) in settings.discovery.iter().zip(outcomes) {
            // Metrics that tell no brokers or topics apart have none to list; without principals nobody is found.
            if let Some(MetricsError::Label { .. }) = outcome.error()
                && found.kind != Discovered::Principal
            {
                continue;
            }
            let table = outcome.whole()?;
            let named: BTreeSet<&str> = table
                .series
                .iter()
                .filter_map(|series| series.values.first()?.as_deref())
                .filter(|name| !name.is_empty())
                .collect();
            for name in named {
                if found.kind == Discovered::Principal {
                    let team = team(&settings.identities, name);
                    teams.insert(team);
                    batch.identities.push(identity(PRINCIPAL, name, team, Some(team)));
                } else {
                    let (kind, cluster) = (word(found.kind), &settings.cluster);
                    let id = format!("{cluster}:{kind}:{name}");
                    let (parent, display_name) = (Some(cluster.clone()), Some(name.to_owned()));
                    batch.resources.push(Resource { parent, display_name, ..resource(kind, id) });
                }
            }
        }
        batch.identities.extend(teams_of(settings, teams));
        Ok(batch)
    }
}

/// Teams are identities where they are charged.
fn teams_of(settings: &MeasuredSettings, teams: BTreeSet<&str>) -> Vec<Identity> {
    match settings.identities.charge {
        Charge::Principal => Vec::new(),
        Charge::Team => teams.into_iter().map(|team| identity(TEAM, team, team, None)).collect(),
    }
}

fn resource(kind: &str, id: String) -> Resource {
    Resource {
        id,
        kind: kind.to_owned(),
        display_name: None,
        parent: None,
        owner: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

fn identity(kind: &str, id: &str, name: &str, team: Option<&str>) -> Identity {
    let team = team.map(|team| (TEAM.to_owned(), team.to_owned()));
    Identity {
        id: typed(kind, id),
        kind: kind.to_owned(),
        display_name: Some(name.to_owned()),
        created_at: None,
        deleted_at: None,
        attributes: team.into_iter().collect(),
    }
}
