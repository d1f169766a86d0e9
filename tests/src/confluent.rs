//! An organization at Confluent Cloud, as its API's documents describe the answers, and as it misbehaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use proto::time::UnitDate;
use serde_json::{Value, json};

use crate::http::{Answer, Asked, HttpServer};

/// What an organization's API does wrong, by path.
pub type Faults = BTreeMap<&'static str, Fault>;

/// What is wrong with an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// These, one after the other; then all is well.
    Passing(Vec<Answer>),
    /// This, every time.
    Lasting(Answer),
    /// A page links to itself.
    Repeats,
    /// An empty page comes first; the next one holds everything.
    EmptyFirst,
}

/// The bill, the inventory, and the faults.
#[derive(Debug, Default)]
pub struct State {
    /// Rows of the bill.
    pub rows: Vec<Value>,
    /// Lists by path, and by path and environment.
    pub lists: BTreeMap<String, Vec<Value>>,
    /// Connectors by name.
    pub connectors: Value,
    /// What is wrong.
    pub faults: Faults,
}

/// The API of an organization.
pub struct Organization {
    /// Where it is.
    pub server: HttpServer,
    state: Arc<Mutex<State>>,
}

impl Organization {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(state: State) -> Result<Self> {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(move |asked| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.answer(asked)
        })?;
        Ok(Self { server, state })
    }

    /// What it holds, to be changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.authorization.is_empty() {
            return Answer::Status(401, None);
        }
        let path = asked.path.trim_start_matches('/');
        let again = format!(
            "{}{}page_token=again",
            asked.target,
            if asked.query.is_empty() { "?" } else { "&" }
        );
        let paged = asked.value("page_token").is_some();
        match self.faults.get_mut(path) {
            Some(Fault::Passing(answers)) if !answers.is_empty() => return answers.remove(0),
            Some(Fault::Lasting(answer)) => return answer.clone(),
            Some(Fault::Repeats) => {
                let next = if paged { asked.target.clone() } else { again };
                return Answer::Json(json!({"metadata": {"next": next}, "data": []}));
            }
            Some(Fault::EmptyFirst) if !paged => {
                return Answer::Json(json!({"metadata": {"next": again}, "data": []}));
            }
            Some(Fault::Passing(_) | Fault::EmptyFirst) | None => {}
        }
        if path == "billing/v1/costs" {
            return self.costs(asked);
        }
        if path.ends_with("/connectors") {
            return Answer::Json(self.connectors.clone());
        }
        match self.lists.get(path) {
            Some(items) => list(items),
            None => Answer::Status(404, None),
        }
    }

    /// The rows of the days that are asked for, two a page.
    fn costs(&self, asked: &Asked) -> Answer {
        let within = |row: &&Value| {
            let day = row["start_date"].as_str().unwrap_or_default();
            asked.value("start_date").unwrap_or_default() <= day
                && day < asked.value("end_date").unwrap_or_default()
        };
        let rows: Vec<&Value> = self.rows.iter().filter(within).collect();
        let from: usize = asked.value("page_token").and_then(|page| page.parse().ok()).unwrap_or(0);
        let page: Vec<&Value> = rows.iter().skip(from).take(2).copied().collect();
        let next = (from + 2 < rows.len()).then(|| {
            let (path, from_date, until) =
                (&asked.path, asked.value("start_date"), asked.value("end_date"));
            let (from_date, until) = (from_date.unwrap_or_default(), until.unwrap_or_default());
            format!("{path}?start_date={from_date}&end_date={until}&page_token={}", from + 2)
        });
        let metadata = json!({"next": next, "total_size": rows.len()});
        Answer::Json(
            json!({"api_version": "billing/v1", "kind": "CostList", "metadata": metadata, "data": page}),
        )
    }
}

fn list(items: &[Value]) -> Answer {
    Answer::Json(json!({"metadata": {"total_size": items.len()}, "data": items}))
}

/// A row of the bill, as the API writes them.
#[must_use]
pub fn row(date: UnitDate, product: &str, resource: Option<&str>, amount: &str) -> Value {
    let amount: Value = serde_json::from_str(amount).unwrap_or_default();
    let until = date.plus_days(1).unwrap_or(date);
    json!({
        "id": format!("{date}-{product}-{}", resource.unwrap_or("none")),
        "start_date": date.to_string(),
        "end_date": until.to_string(),
        "granularity": "DAILY",
        "network_access_type": "INTERNET",
        "product": "KAFKA",
        "line_type": product,
        "price": 1,
        "unit": "unit",
        "quantity": amount,
        "original_amount": amount,
        "discount_amount": 0,
        "amount": amount,
        "resource": resource.map(|id| json!({"id": id, "display_name": id, "environment": {"id": "env-1"}})),
    })
}

/// An item of a list.
#[must_use]
pub fn item(id: &str, spec: Value) -> Value {
    json!({"id": id, "metadata": {"created_at": "2020-01-02T03:04:05Z"}, "spec": spec})
}

/// A key, of an owner, for a resource.
#[must_use]
pub fn key(id: &str, owner: &str, resource: &str) -> Value {
    item(id, json!({"owner": {"id": owner}, "resource": {"id": resource, "kind": "Cluster"}}))
}

/// A statement of the pool `lfcp-1`.
#[must_use]
pub fn statement(name: &str, principal: &str, phase: &str) -> Value {
    json!({
        "name": name,
        "metadata": {"uid": format!("uid-{name}"), "created_at": "2020-01-02T03:04:05Z"},
        "spec": {"compute_pool_id": "lfcp-1", "principal": principal, "stopped": false},
        "status": {"phase": phase},
    })
}

/// An organization with something of everything, billed the same on each of these days.
#[must_use]
pub fn everything(dates: &[UnitDate]) -> State {
    let environment = json!({"id": "env-1"});
    let pool = json!({
        "id": "lfcp-1",
        "metadata": {
            "created_at": "2020-01-02T03:04:05Z",
            "resource_name": "crn://confluent.cloud/organization=org-1/environment=env-1/flink-region=aws.eu-west-1/compute-pool=lfcp-1",
        },
        "spec": {"cloud": "AWS", "region": "eu-west-1", "environment": environment},
    });
    let ksql = json!({"kafka_cluster": {"id": "lkc-1"}, "credential_identity": {"id": "sa-1"}});
    let lists = [
        ("org/v2/environments", vec![json!({"id": "env-1", "display_name": "prod"})]),
        ("cmk/v2/clusters", vec![item("lkc-1", json!({"environment": environment}))]),
        ("srcm/v3/clusters", vec![item("lsrc-1", json!({"environment": environment}))]),
        ("ksqldbcm/v2/clusters", vec![item("lksqlc-1", ksql)]),
        ("fcpm/v2/compute-pools", vec![pool]),
        (
            "sql/v1/organizations/org-1/environments/env-1/statements",
            vec![
                statement("joins", "sa-1", "RUNNING"),
                statement("counts", "u-1", "RUNNING"),
                statement("old", "sa-2", "COMPLETED"),
            ],
        ),
        ("iam/v2/service-accounts", vec![item("sa-1", json!({})), item("sa-2", json!({}))]),
        ("iam/v2/users", vec![item("u-1", json!({}))]),
        (
            "iam/v2/api-keys",
            vec![
                key("KEY1", "sa-1", "lkc-1"),
                key("KEY2", "u-1", "lkc-1"),
                key("KEY3", "sa-9", "lsrc-1"),
            ],
        ),
        ("iam/v2/identity-providers", vec![]),
    ];
    let runs_as = |id: &str, config: Value| json!({"id": {"id": id}, "info": {"config": config}, "status": {"connector": {"state": "RUNNING"}}});
    let account = json!({"kafka.auth.mode": "SERVICE_ACCOUNT", "kafka.service.account.id": "sa-2"});
    let by_key = json!({"kafka.auth.mode": "KAFKA_API_KEY", "kafka.api.key": "KEY2"});
    let bill = [
        ("KAFKA_NUM_CKU", Some("lkc-1"), "100"),
        ("KAFKA_NETWORK_READ", Some("lkc-1"), "8"),
        ("KAFKA_NETWORK_WRITE", Some("lkc-1"), "4"),
        ("KAFKA_STORAGE", Some("lkc-1"), "4"),
        ("SCHEMA_REGISTRY", Some("lsrc-1"), "6"),
        ("CONNECT_CAPACITY", Some("lcc-1"), "5"),
        ("CONNECT_NUM_TASKS", Some("lcc-2"), "3"),
        ("CONNECT_THROUGHPUT", Some("lcc-404"), "2"),
        ("KSQL_NUM_CSU", Some("lksqlc-1"), "7"),
        ("FLINK_NUM_CFU", Some("lfcp-1"), "10"),
        ("SUPPORT", None, "9.75"),
        ("FUTURE_THING", Some("new-1"), "1.25"),
    ];
    let rows = dates.iter().flat_map(|date| {
        bill.iter().map(|(product, resource, amount)| row(*date, product, *resource, amount))
    });
    State {
        rows: rows.collect(),
        lists: lists.map(|(path, items)| (path.to_owned(), items)).into(),
        connectors: json!({"sink": runs_as("lcc-1", account), "source": runs_as("lcc-2", by_key)}),
        faults: Faults::new(),
    }
}
