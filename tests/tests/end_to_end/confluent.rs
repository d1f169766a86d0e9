//! An organization at Confluent Cloud through all processes: its API as documented and as it misbehaves, its metrics in
//! Prometheus itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use proto::time::{UnitDate, UtcSeconds};
use serde_json::json;
use tests::confluent::{Fault, Organization, everything, item, key};
use tests::http::Answer;
use tests::prometheus::Prometheus;
use tests::stand::{Finished, Stand};

const DAY: i64 = 86_400;
/// Samples come every quarter of an hour.
const QUARTER: i64 = 900;
const COSTS: &str = "billing/v1/costs";
/// What a day costs.
const OF_A_DAY: &str = "160.00";

/// The three whole days before today.
fn days() -> [UnitDate; 3] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let today = UtcSeconds(now as i64).date().expect("today is a date");
    [-3, -2, -1].map(|back| today.plus_days(back).expect("a date"))
}

/// What each principal moved between two samples, as Confluent's export tells it; one is told by its key.
fn samples(days: [UnitDate; 3]) -> String {
    let mut text = String::new();
    let cluster = |principal: &str| format!("kafka_id=\"lkc-1\",principal_id=\"{principal}\"");
    let pool = |name: &str| format!("compute_pool_id=\"lfcp-1\",flink_statement_name=\"{name}\"");
    let metrics = [
        (
            "confluent_kafka_server_request_bytes",
            vec![(cluster("sa-1"), 300), (cluster("KEY2"), 100)],
        ),
        (
            "confluent_kafka_server_response_bytes",
            vec![(cluster("sa-1"), 100), (cluster("pool-7"), 100), (cluster("sa-2"), 200)],
        ),
        (
            "confluent_flink_num_cfu",
            vec![(pool("joins"), 3), (pool("counts"), 1), (pool("gone"), 1)],
        ),
    ];
    for (name, series) in metrics {
        writeln!(text, "# TYPE {name} gauge").expect("a text takes all");
        for (labels, value) in series {
            for at in (days[0].start().0..days[2].start().0 + DAY).step_by(QUARTER as usize) {
                let at = at + QUARTER / 2;
                writeln!(text, "{name}{{{labels}}} {value} {at}").expect("a text takes all");
            }
        }
    }
    text
}

struct World {
    stand: Stand,
    organization: Organization,
    prometheus: Prometheus,
    days: [UnitDate; 3],
}

impl World {
    fn new(name: &str) -> Self {
        let days = days();
        let prometheus = Prometheus::start(&samples(days)).expect("Prometheus");
        let organization = Organization::start(everything(&days)).expect("a free port");
        let stand = Stand::with_servers(name, None).expect("servers").impatient();
        let secret = stand.config().join("secret");
        stand.write("secret", "hush");
        let (url, metrics, secret) =
            (organization.server.url(), prometheus.url(), secret.display().to_string());
        let tenant = format!(
            "lookback: 10d
sources:
  cloud:
    kind: confluent_cloud
    api_key: KEY
    api_secret: \"file:{secret}\"
    url: \"{url}\"
    attempts: 4
    metrics: {{ kind: prometheus, url: \"{metrics}\", attempts: 1 }}
    flink: [ {{ cloud: aws, region: eu-west-1, api_key: FLINK, api_secret: \"file:{secret}\", url: \"{url}\" }} ]
emitters: {{ csv: {{ dir: out/csv }} }}
"
        );
        stand.write("tenants/acme.yaml", tenant);
        Self { stand, organization, prometheus, days }
    }

    /// Key and value of every row that a query gives, as text.
    fn ask(&self, sql: &str) -> BTreeMap<String, String> {
        let rows = self.stand.database(|client| Ok(client.query(sql, &[])?)).expect("an answer");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn good(&self) -> Finished {
        let run = self.stand.run_once(&[]);
        assert_eq!(run.code, 0, "{} {}", run.summary, run.said);
        run
    }

    /// What a date's rows say, with their amounts.
    fn rows(&self, date: UnitDate) -> BTreeMap<String, String> {
        self.ask(&format!(
            "select concat_ws(' ', product_type, identity_id, cost_type, allocation_method, allocation_detail),
               trim_scale(sum(amount))::text from apportion.chargebacks where date = '{date}' group by 1"
        ))
    }

    fn visible(&self) -> BTreeMap<String, String> {
        self.ask("select date::text, visible_generation::text from apportion.pipeline_state")
    }

    fn finality(&self) -> BTreeSet<String> {
        let of = "select date::text, finality from apportion.units where visible_generation > 0";
        let all = self.ask(of);
        assert_eq!(all.len(), 3, "{all:?}");
        all.into_values().collect()
    }

    /// Every line's rows add up to it, and each day to the bill.
    fn adds_up(&self) {
        let days =
            self.ask("select date::text, sum(amount)::text from apportion.chargebacks group by 1");
        let exact = |text: &String| text.trim_end_matches('0').trim_end_matches('.') == "160";
        assert!(days.len() == 3 && days.values().all(exact), "{days:?} are not {OF_A_DAY}");
    }
}

fn text(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(row, amount)| ((*row).to_owned(), (*amount).to_owned())).collect()
}

/// The rows of a day of which everything is known.
fn whole() -> BTreeMap<String, String> {
    text(&[
        ("CONNECT_CAPACITY service_account:sa-2 shared even_split", "5"),
        ("CONNECT_NUM_TASKS user:u-1 usage even_split", "3"),
        (
            "CONNECT_THROUGHPUT connector_credentials:connector_credentials_masked usage even_split",
            "2",
        ),
        (
            "FLINK_NUM_CFU flink_statement_owner:flink_stmt_owner_unknown usage usage_ratio usage_ratio_allocation",
            "2",
        ),
        ("FLINK_NUM_CFU service_account:sa-1 usage usage_ratio usage_ratio_allocation", "6"),
        ("FLINK_NUM_CFU user:u-1 usage usage_ratio usage_ratio_allocation", "2"),
        ("FUTURE_THING UNALLOCATED shared unallocated no_rule", "1.25"),
        ("KAFKA_NETWORK_READ identity_pool:pool-7 usage usage_ratio usage_ratio_allocation", "2"),
        ("KAFKA_NETWORK_READ service_account:sa-1 usage usage_ratio usage_ratio_allocation", "2"),
        ("KAFKA_NETWORK_READ service_account:sa-2 usage usage_ratio usage_ratio_allocation", "4"),
        ("KAFKA_NETWORK_WRITE service_account:sa-1 usage usage_ratio usage_ratio_allocation", "3"),
        ("KAFKA_NETWORK_WRITE user:u-1 usage usage_ratio usage_ratio_allocation", "1"),
        ("KAFKA_NUM_CKU identity_pool:pool-7 usage even_split", "7.5"),
        ("KAFKA_NUM_CKU identity_pool:pool-7 usage usage_ratio usage_ratio_allocation", "8.75"),
        ("KAFKA_NUM_CKU service_account:sa-1 usage even_split", "7.5"),
        ("KAFKA_NUM_CKU service_account:sa-1 usage usage_ratio usage_ratio_allocation", "35"),
        ("KAFKA_NUM_CKU service_account:sa-2 usage even_split", "7.5"),
        ("KAFKA_NUM_CKU service_account:sa-2 usage usage_ratio usage_ratio_allocation", "17.5"),
        ("KAFKA_NUM_CKU user:u-1 usage even_split", "7.5"),
        ("KAFKA_NUM_CKU user:u-1 usage usage_ratio usage_ratio_allocation", "8.75"),
        ("KAFKA_STORAGE identity_pool:pool-7 shared even_split no_metrics_located", "1"),
        ("KAFKA_STORAGE service_account:sa-1 shared even_split no_metrics_located", "1"),
        ("KAFKA_STORAGE service_account:sa-2 shared even_split no_metrics_located", "1"),
        ("KAFKA_STORAGE user:u-1 shared even_split no_metrics_located", "1"),
        ("KSQL_NUM_CSU service_account:sa-1 usage even_split", "7"),
        ("SCHEMA_REGISTRY service_account:sa-9 usage even_split", "6"),
        ("SUPPORT service_account:sa-1 shared even_split", "3.25"),
        ("SUPPORT service_account:sa-2 shared even_split", "3.25"),
        ("SUPPORT user:u-1 shared even_split", "3.25"),
    ])
}

#[test]
fn the_bill_is_shared_as_inventory_and_metrics_say_to_the_last_decimal() {
    let world = World::new("confluent");
    world.good();
    for day in world.days {
        assert_eq!(world.rows(day), whole(), "{day}");
    }
    world.adds_up();
    assert_eq!(world.finality(), BTreeSet::from(["final".to_owned()]));

    // Whoever the bill or the metrics name, and no list has, is known by a word.
    let made_up =
        world.ask("select id, display_name from apportion.identities where type = 'made_up'");
    let names = text(&[
        ("connector_credentials:connector_credentials_masked", "Unknown connector_credentials"),
        ("flink_statement_owner:flink_stmt_owner_unknown", "Unknown flink_statement_owner"),
        ("identity_pool:pool-7", "Unknown identity_pool"),
        ("service_account:sa-9", "Unknown service_account"),
    ]);
    assert_eq!(made_up, names);
    let resources = world.ask("select type, count(*)::text from apportion.resources group by 1");
    let types = [
        ("connector", "2"),
        ("environment", "1"),
        ("flink_compute_pool", "1"),
        ("flink_statement", "3"),
        ("kafka_cluster", "1"),
        ("ksqldb_cluster", "1"),
        ("schema_registry", "1"),
    ];
    assert_eq!(resources, text(&types));

    // The same again: nothing is calculated, and nobody made up is missed.
    let before = world.visible();
    world.good();
    assert_eq!(world.visible(), before);
    let missing = "select id, type from apportion.identities where missing_generation is not null";
    assert_eq!(world.ask(missing), BTreeMap::new());

    // Somebody came yesterday: what everybody shares is shared anew for that day, and for no other.
    let yesterday = world.days[2];
    let mut ada = item("u-2", json!({}));
    ada["metadata"]["created_at"] = json!(format!("{yesterday}T12:00:00Z"));
    world.organization.state().lists.get_mut("iam/v2/users").unwrap().push(ada);
    world.good();
    let after = world.visible();
    let changed: Vec<&String> =
        before.iter().filter(|(day, of)| after[*day] != **of).map(|(day, _)| day).collect();
    assert_eq!(changed, [&yesterday.to_string()]);
    let rows = world.rows(yesterday);
    assert_eq!(rows["SUPPORT user:u-2 shared even_split"], "2.4375");
    assert_eq!(rows["SUPPORT user:u-1 shared even_split"], "2.4375");
    world.adds_up();
}

#[test]
fn faults_of_the_api_change_nothing_and_mend_themselves() {
    let world = World::new("faults");
    // What passes by itself is ridden over, from the first day on.
    let passing = vec![Answer::Status(429, Some(0)), Answer::Status(500, None), Answer::Cut];
    let state = |change: &dyn Fn(&mut tests::confluent::State)| {
        let mut state = world.organization.state();
        state.faults.clear();
        change(&mut state);
    };
    state(&|state| {
        state.faults.insert(COSTS, Fault::EmptyFirst);
        for path in ["iam/v2/users", "org/v2/environments"] {
            state.faults.insert(path, Fault::Passing(passing.clone()));
        }
    });
    world.good();
    assert_eq!(world.rows(world.days[0]), whole());
    let (before, everybody) =
        (world.visible(), "select id, type from apportion.identities where valid_to = 'infinity'");
    let identities = world.ask(everybody);

    // A list that cannot be had is never an empty one: nothing is deleted, and the dates stay as they are.
    let same = |world: &World, what: &str| {
        assert_eq!(world.visible(), before, "{what}");
        assert_eq!(world.ask(everybody), identities, "{what}");
    };
    for path in ["iam/v2/users", "iam/v2/api-keys", "org/v2/environments", "fcpm/v2/compute-pools"]
    {
        state(&|state| {
            state.faults.insert(path, Fault::Lasting(Answer::Status(404, None)));
        });
        world.good();
        let told = world.ask("select source, warnings::text from apportion.source_state");
        assert!(told["cloud"].contains("cannot be listed"), "{path}: {told:?}");
        same(&world, path);
    }

    // Nor is a bill that cannot be read to its end: the run gives up after a minute of attempts.
    state(&|state| {
        state.faults.insert(COSTS, Fault::Repeats);
    });
    let run = world.stand.run_once(&[]);
    assert_eq!(run.code, 1, "{}", run.said);
    assert!(run.said.contains("read before"), "{}", run.said);
    same(&world, COSTS);

    // All is well again, and a new key counts from then on.
    state(&|state| {
        state.lists.get_mut("iam/v2/api-keys").unwrap().push(key("KEY4", "sa-2", "lsrc-1"));
    });
    world.good();
    let rows = world.rows(world.days[0]);
    assert_eq!(rows["SCHEMA_REGISTRY service_account:sa-2 usage even_split"], "3");
    assert_eq!(rows["SCHEMA_REGISTRY service_account:sa-9 usage even_split"], "3");
    world.adds_up();
}

#[test]
fn without_metrics_dates_are_provisional_and_become_final_by_themselves() {
    let mut world = World::new("no-metrics");
    world.prometheus.stop().unwrap();
    world.good();
    assert_eq!(world.finality(), BTreeSet::from(["provisional".to_owned()]));
    let rows = world.rows(world.days[0]);
    let of = |row: &str| rows.get(row).unwrap_or_else(|| panic!("{row}: {rows:?}")).as_str();
    // Owners of keys are known without metrics: they share what cannot be measured.
    let write = "KAFKA_NETWORK_WRITE service_account:sa-1 shared even_split metrics_fetch_failed";
    assert_eq!(of(write), "2");
    assert_eq!(of("FLINK_NUM_CFU service_account:sa-1 usage even_split metrics_fetch_failed"), "5");
    assert_eq!(of("SUPPORT user:u-1 shared even_split"), "3.25");
    world.adds_up();
    let lacking = world.ask("select date::text, resolve_lacking from apportion.units");
    assert!(lacking.values().all(|why| why.contains("no whole answer")), "{lacking:?}");

    world.prometheus.restart().unwrap();
    world.good();
    assert_eq!(world.finality(), BTreeSet::from(["final".to_owned()]));
    assert_eq!(world.rows(world.days[0]), whole());
    world.adds_up();
}

#[test]
fn metrics_and_flink_that_are_configured_later_resolve_old_dates_too() {
    let world = World::new("later");
    let file = world.stand.config().join("tenants/acme.yaml");
    let full = std::fs::read_to_string(file).expect("it was written");
    let without = |keys: &[&str]| -> String {
        let left = |line: &&str| !keys.iter().any(|key| line.trim_start().starts_with(key));
        full.lines().filter(left).map(|line| format!("{line}\n")).collect()
    };
    world.stand.write("tenants/acme.yaml", without(&["metrics:", "flink:"]));
    world.good();
    let first = world.visible();
    assert_ne!(world.rows(world.days[0]), whole());
    world.stand.write("tenants/acme.yaml", without(&["flink:"]));
    world.good();
    let measured = world.visible();
    assert!(first.iter().all(|(date, generation)| measured[date] != *generation), "{measured:?}");
    assert_ne!(world.rows(world.days[0]), whole());
    world.stand.write("tenants/acme.yaml", &full);
    world.good();
    assert_eq!(world.rows(world.days[0]), whole());
    world.adds_up();
}
