//! Who could have caused the costs of a resource in a window: pure rules over the inventory of that time.
//!
//! | costs of | who |
//! |---|---|
//! | Kafka clusters, schema registries | the owners of the API keys for them |
//! | connectors | whoever they run as |
//! | ksqlDB clusters | whose credentials they use |
//! | Flink compute pools | the principals of the pool's statements |
//! | the organization | nobody in particular: everybody who can own anything |

use std::collections::{BTreeMap, BTreeSet};

use proto::inventory::{Identity, InventoryBatch, MADE_UP, Resource};
use proto::time::UtcSeconds;

use super::inventory::{identity_id, kind};

/// Types of identities that own nothing themselves.
const OWN_NOTHING: [&str; 3] = ["api_key", "identity_provider", MADE_UP];
/// Who a connector runs as, where nothing says so.
const CONNECTOR: &str = "connector_credentials";
const KSQLDB: &str = "ksqldb_credentials";
/// The owner of statements that no inventory lists.
pub const UNKNOWN_STATEMENT: &str = "flink_statement_owner:flink_stmt_owner_unknown";

/// What says who could have caused a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// API keys, and the principals that moved bytes.
    Keys,
    /// Whose credentials a connector uses.
    Connect,
    /// Whose credentials a cluster uses.
    Ksqldb,
    /// Statements, and what they used.
    Flink,
    /// Nothing but that somebody could.
    Organization,
}

/// The service of a type of product.
pub fn service(product_type: &str) -> Service {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| product_type.starts_with(p));
    if starts(&["KAFKA_", "SCHEMA_REGISTRY", "GOVERNANCE_", "NUM_RULES"]) {
        Service::Keys
    } else if starts(&["CONNECT_", "CUSTOM_CONNECT_"]) {
        Service::Connect
    } else if starts(&["KSQL_"]) {
        Service::Ksqldb
    } else if starts(&["FLINK_"]) {
        Service::Flink
    } else {
        Service::Organization
    }
}

/// Identities that are named, and that no inventory lists, by id.
#[derive(Debug, Default)]
pub struct MadeUp(BTreeMap<String, Identity>);

impl MadeUp {
    /// Names one. Its id says of what type it would be.
    pub fn name(&mut self, id: &str) {
        if self.0.contains_key(id) {
            return;
        }
        let kind = id.split_once(':').map_or("unknown", |(kind, _)| kind);
        let identity = Identity {
            id: id.to_owned(),
            kind: MADE_UP.to_owned(),
            display_name: Some(format!("Unknown {kind}")),
            created_at: None,
            deleted_at: None,
            attributes: [("type".to_owned(), kind.to_owned())].into(),
        };
        self.0.insert(id.to_owned(), identity);
    }
    /// All of them, sorted by id.
    pub fn all(self) -> Vec<Identity> {
        self.0.into_values().collect()
    }
}

/// The inventory of a window.
pub struct Living<'i> {
    /// Everybody who can own anything, sorted.
    pub period: Vec<String>,
    identities: BTreeSet<&'i str>,
    /// Owner by key, as the last word on it.
    keys: BTreeMap<&'i str, Option<&'i str>>,
    /// Owners of the keys for a resource.
    holders: BTreeMap<&'i str, BTreeSet<&'i str>>,
    /// The last word on each, by type and id.
    resources: BTreeMap<(&'i str, &'i str), &'i Resource>,
    /// By pool and name.
    statements: BTreeMap<&'i str, BTreeMap<&'i str, &'i Resource>>,
}

fn lives(life: (Option<UtcSeconds>, Option<UtcSeconds>), window: (UtcSeconds, UtcSeconds)) -> bool {
    life.0.is_none_or(|from| from < window.1) && life.1.is_none_or(|to| window.0 < to)
}

impl<'i> Living<'i> {
    /// Of an inventory, what lived in a window, its end not included.
    pub fn new(inventory: &'i InventoryBatch, window: (UtcSeconds, UtcSeconds)) -> Self {
        let mut living = Self {
            period: Vec::new(),
            identities: BTreeSet::new(),
            keys: BTreeMap::new(),
            holders: BTreeMap::new(),
            resources: BTreeMap::new(),
            statements: BTreeMap::new(),
        };
        let mut period = BTreeSet::new();
        let alive = inventory.identities.iter();
        for one in alive.filter(|one| lives((one.created_at, one.deleted_at), window)) {
            living.identities.insert(&one.id);
            if !OWN_NOTHING.contains(&one.kind.as_str()) {
                period.insert(one.id.clone());
            }
            if let Some(key) = one.id.strip_prefix("api_key:") {
                let attribute = |name: &str| one.attributes.get(name).map(String::as_str);
                let owner = attribute("owner");
                living.keys.insert(key, owner);
                if let (Some(resource), Some(owner)) = (attribute("resource"), owner) {
                    living.holders.entry(resource).or_default().insert(owner);
                }
            }
        }
        living.period = period.into_iter().collect();
        let alive = inventory.resources.iter();
        for one in alive.filter(|one| lives((one.created_at, one.deleted_at), window)) {
            living.resources.insert((&one.kind, &one.id), one);
            if one.kind == kind::FLINK_STATEMENT
                && let (Some(pool), Some(name)) = (&one.parent, &one.display_name)
            {
                living.statements.entry(pool).or_default().insert(name, one);
            }
        }
        living
    }

    /// An identity by its typed id, made up if no inventory lists it.
    fn known(&self, id: &str, made: &mut MadeUp) -> String {
        if !self.identities.contains(id) {
            made.name(id);
        }
        id.to_owned()
    }

    /// Who is tied to a resource.
    pub fn active(&self, service: Service, key: &str, made: &mut MadeUp) -> BTreeSet<String> {
        let one = |id: &str, made: &mut MadeUp| [self.known(id, made)].into();
        match service {
            Service::Keys => {
                let holders = self.holders.get(key).into_iter().flatten();
                holders.map(|owner| self.known(owner, made)).collect()
            }
            Service::Connect => {
                let word = self.connector(key);
                one(&word, made)
            }
            Service::Ksqldb => match self.resources.get(&(kind::KSQLDB, key)) {
                None => one(&format!("{KSQLDB}:ksqldb_deleted_when_calc_started"), made),
                Some(cluster) => match &cluster.owner {
                    Some(owner) => one(owner, made),
                    None => one(&format!("{KSQLDB}:ksqldb_owner_unknown"), made),
                },
            },
            Service::Flink => {
                let all = self.statements.get(key).into_iter().flat_map(BTreeMap::values);
                let running = all.filter(|one| !one.attributes.contains_key("stopped"));
                running.map(|one| self.known(statement_owner(one), made)).collect()
            }
            Service::Organization => BTreeSet::new(),
        }
    }

    /// Who a connector runs as.
    fn connector(&self, id: &str) -> String {
        let nobody = |word: &str| format!("{CONNECTOR}:{word}");
        let Some(connector) = self.resources.get(&(kind::CONNECTOR, id)) else {
            return nobody("connector_credentials_masked");
        };
        let attribute = |name: &str| connector.attributes.get(name).map(String::as_str);
        let unknown = || nobody("connector_credentials_unknown");
        match attribute("auth_mode") {
            Some("SERVICE_ACCOUNT") => connector.owner.clone().unwrap_or_else(unknown),
            Some("KAFKA_API_KEY") => match attribute("api_key") {
                None => unknown(),
                Some(key) if key.bytes().all(|byte| byte == b'*') => {
                    nobody("connector_api_key_masked")
                }
                Some(key) => match self.keys.get(key) {
                    None => nobody("connector_api_key_not_found"),
                    Some(owner) => owner.map_or_else(unknown, str::to_owned),
                },
            },
            Some(_) | None => format!("connector:{id}"),
        }
    }

    /// Who a principal in the metrics is: the owner of a key stands for the key. A key that nobody owns is itself, and
    /// nobody who could share what was not measured: `false`.
    pub fn principal(&self, principal: &str, made: &mut MadeUp) -> (String, bool) {
        match self.keys.get(principal) {
            Some(Some(owner)) => (self.known(owner, made), true),
            Some(None) => (format!("api_key:{principal}"), false),
            None => (self.known(&identity_id(principal), made), true),
        }
    }

    /// Whose a pool's statement is.
    pub fn statement(&self, pool: &str, name: &str, made: &mut MadeUp) -> String {
        let found = self.statements.get(pool).and_then(|all| all.get(name));
        self.known(found.map_or(UNKNOWN_STATEMENT, |one| statement_owner(one)), made)
    }

    /// What each owner of statements of a pool has running, where nothing was measured: a statement weighs 1.
    pub fn statements_running(&self, pool: &str, made: &mut MadeUp) -> BTreeMap<String, u32> {
        let mut running = BTreeMap::new();
        for one in self.statements.get(pool).into_iter().flat_map(BTreeMap::values) {
            if !one.attributes.contains_key("stopped") {
                *running.entry(self.known(statement_owner(one), made)).or_default() += 1;
            }
        }
        running
    }
}

fn statement_owner(statement: &Resource) -> &str {
    statement.owner.as_deref().unwrap_or(UNKNOWN_STATEMENT)
}
