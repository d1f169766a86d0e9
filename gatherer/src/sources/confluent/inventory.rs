//! What the API lists to resources and identities: pure. An item without an id is an error: what cannot be counted
//! must not seem to be gone.

use std::collections::BTreeMap;

use proto::inventory::{Identity, Resource};
use proto::moment;
use proto::time::UtcSeconds;
use serde_json::Value;

/// Types of resources.
pub mod kind {
    /// Environment.
    pub const ENVIRONMENT: &str = "environment";
    /// Kafka cluster.
    pub const KAFKA: &str = "kafka_cluster";
    /// Schema registry.
    pub const SCHEMA_REGISTRY: &str = "schema_registry";
    /// Connector.
    pub const CONNECTOR: &str = "connector";
    /// ksqlDB cluster.
    pub const KSQLDB: &str = "ksqldb_cluster";
    /// Flink compute pool.
    pub const FLINK_POOL: &str = "flink_compute_pool";
    /// Flink statement.
    pub const FLINK_STATEMENT: &str = "flink_statement";
}

/// The identity of an owner by its bare id: `sa-1` is `service_account:sa-1`.
#[must_use]
pub fn identity_id(id: &str) -> String {
    format!("{}:{id}", owner_kind(id))
}

fn owner_kind(id: &str) -> &'static str {
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("sa") => "service_account",
        Some("u") => "user",
        Some("pool") => "identity_pool",
        Some(_) | None => "unknown",
    }
}

/// A resource of the usual form: `id`, `metadata`, `spec`.
///
/// # Errors
/// What it lacks.
pub fn resource(kind: &str, item: &Value) -> Result<Resource, String> {
    let text = |path: &str| text(item, path);
    let parent = match kind {
        kind::KSQLDB => text("/spec/kafka_cluster/id"),
        _ => text("/spec/environment/id"),
    };
    let names = ["/spec/display_name", "/display_name"];
    let owner = text("/spec/credential_identity/id").map(|id| identity_id(&id));
    Ok(Resource {
        id: id(item, kind)?,
        kind: kind.to_owned(),
        display_name: names.into_iter().find_map(text),
        parent,
        owner,
        created_at: created(item),
        deleted_at: None,
        attributes: attributes(
            item,
            &[
                ("cloud", "/spec/cloud"),
                ("region", "/spec/region"),
                ("region", "/spec/region/id"),
                ("availability", "/spec/availability"),
                ("package", "/spec/package"),
                ("environment", "/spec/environment/id"),
                ("resource_name", "/metadata/resource_name"),
            ],
        ),
    })
}

/// An identity of the usual form.
///
/// # Errors
/// What it lacks.
pub fn identity(kind: &str, item: &Value) -> Result<Identity, String> {
    let names = ["/display_name", "/full_name", "/spec/display_name"];
    let mut attributes = attributes(
        item,
        &[
            ("resource", "/spec/resource/id"),
            ("resource_kind", "/spec/resource/kind"),
            ("description", "/description"),
        ],
    );
    if let Some(owner) = text(item, "/spec/owner/id") {
        attributes.insert("owner".to_owned(), identity_id(&owner));
    }
    Ok(Identity {
        id: format!("{kind}:{}", id(item, kind)?),
        kind: kind.to_owned(),
        display_name: names.into_iter().find_map(|path| text(item, path)),
        created_at: created(item),
        deleted_at: None,
        attributes,
    })
}

/// A connector, from the map of connectors of a cluster. Says in `auth_mode` whose credentials it uses.
///
/// # Errors
/// What it lacks.
pub fn connector(name: &str, cluster: &str, item: &Value) -> Result<Resource, String> {
    let id = text(item, "/id/id").ok_or_else(|| format!("connector {name} has no id"))?;
    // Names of settings hold dots.
    let setting = |key: &str| {
        let text = item.pointer("/info/config")?.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (key, account) = (setting("kafka.api.key"), setting("kafka.service.account.id"));
    let mode = setting("kafka.auth.mode").unwrap_or_else(|| {
        let mode = match (&key, &account) {
            (Some(_), _) => "KAFKA_API_KEY",
            (None, Some(_)) => "SERVICE_ACCOUNT",
            (None, None) => "UNKNOWN",
        };
        mode.to_owned()
    });
    let owner = account.filter(|_| mode == "SERVICE_ACCOUNT").map(|id| identity_id(&id));
    let mut attributes = BTreeMap::from([("auth_mode".to_owned(), mode)]);
    let more = [
        ("api_key", key),
        ("class", setting("connector.class")),
        ("state", text(item, "/status/connector/state")),
    ];
    attributes.extend(more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
    Ok(Resource {
        id,
        kind: kind::CONNECTOR.to_owned(),
        display_name: Some(name.to_owned()),
        parent: Some(cluster.to_owned()),
        owner,
        // The API does not say when.
        created_at: None,
        deleted_at: None,
        attributes,
    })
}

/// Where the statements of a compute pool are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlinkPlace {
    /// `aws`, in lower case.
    pub cloud: String,
    /// `eu-west-1`, in lower case.
    pub region: String,
    /// The organization's id.
    pub organization: String,
    /// The environment's id.
    pub environment: String,
}

/// Where a pool's statements are listed, if the pool says so: its name tells its organization
/// (`crn://confluent.cloud/organization=…/environment=…/…`).
#[must_use]
pub fn flink_place(pool: &Resource) -> Option<FlinkPlace> {
    let attribute = |name: &str| pool.attributes.get(name);
    let name = attribute("resource_name")?;
    let organization = name.split('/').find_map(|part| part.strip_prefix("organization="))?;
    // Both become part of a path.
    let plain = |text: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (!text.is_empty() && text.chars().all(legal)).then(|| text.to_owned())
    };
    Some(FlinkPlace {
        cloud: attribute("cloud")?.to_lowercase(),
        region: attribute("region")?.to_lowercase(),
        organization: plain(organization)?,
        environment: plain(pool.parent.as_deref()?)?,
    })
}

/// A statement of Flink. Says in `stopped` that it runs no more.
///
/// # Errors
/// What it lacks.
pub fn statement(environment: &str, item: &Value) -> Result<Resource, String> {
    let name = text(item, "/name").ok_or("a statement has no name")?;
    // Names come again once a statement is gone.
    let id = text(item, "/metadata/uid").unwrap_or_else(|| format!("{environment}:{name}"));
    let phase = text(item, "/status/phase").unwrap_or_default();
    let asked = item.pointer("/spec/stopped").and_then(Value::as_bool).unwrap_or_default();
    let mut attributes = BTreeMap::from([("environment".to_owned(), environment.to_owned())]);
    if asked || matches!(phase.as_str(), "COMPLETED" | "FAILED" | "STOPPED") {
        attributes.insert("stopped".to_owned(), "true".to_owned());
    }
    Ok(Resource {
        id,
        kind: kind::FLINK_STATEMENT.to_owned(),
        display_name: Some(name),
        parent: text(item, "/spec/compute_pool_id"),
        owner: text(item, "/spec/principal").map(|id| identity_id(&id)),
        created_at: created(item),
        deleted_at: None,
        attributes,
    })
}

/// The id of an item.
///
/// # Errors
/// That it has none.
pub fn id(item: &Value, kind: &str) -> Result<String, String> {
    text(item, "/id").ok_or_else(|| format!("an item of type {kind} has no id"))
}

fn text(item: &Value, path: &str) -> Option<String> {
    let text = item.pointer(path)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn created(item: &Value) -> Option<UtcSeconds> {
    let text = text(item, "/metadata/created_at")?;
    moment::parse(text.as_bytes()).map(|moment| moment.at)
}

fn attributes(item: &Value, wanted: &[(&str, &str)]) -> BTreeMap<String, String> {
    let found =
        wanted.iter().filter_map(|(name, path)| Some(((*name).to_owned(), text(item, path)?)));
    found.collect()
}
