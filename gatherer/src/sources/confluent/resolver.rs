//! Resolutions: who could have caused the costs of each resource of the bill, and who moved how much there.
//!
//! The metrics are those that Confluent's export for Prometheus gives. One question per metric and window, whatever the
//! number of resources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::money::{Amount, ExactSum};
use proto::resolution::IdentityResolution;
use proto::time::UtcSeconds;

use super::people::{Living, MadeUp, Service, service};
use crate::error::GatherError;
use crate::metrics::{
    self, MetricQuery, MetricTable, MetricsError, MetricsOutcome, MetricsSource, Sampling, Shape,
    Window,
};
use crate::ports::{ResolveRequest, Resolved};

/// Bytes that came into a cluster.
const BYTES_IN: &str = "bytes_in";
/// Bytes that left a cluster.
const BYTES_OUT: &str = "bytes_out";
/// What the statements of each owner used.
const CFU: &str = "stmt_owner_cfu";
const CLUSTER: &str = "kafka_id";
const PRINCIPAL: &str = "principal_id";
const POOL: &str = "compute_pool_id";
const STATEMENT: &str = "flink_statement_name";

/// Where the metrics come from.
pub struct Asked {
    /// Who is asked.
    pub source: Arc<dyn MetricsSource>,
    /// Seconds between two samples.
    pub step: u32,
}

impl Asked {
    /// Every sample of a metric speaks of the time since the one before it, so all samples of a step are added up.
    fn query(&self, name: &str, metric: &str, labels: [&str; 2]) -> MetricQuery {
        let ([resource, who], step) = (labels, self.step);
        MetricQuery {
            name: name.to_owned(),
            expression: format!("sum by ({resource}, {who}) (sum_over_time({metric}[{step}s]))"),
            labels: labels.map(str::to_owned).into(),
            sampling: Sampling::Backward,
            shape: Shape::Range { step },
        }
    }

    async fn traffic(&self, window: Window) -> Vec<(&'static str, MetricsOutcome)> {
        let labels = [CLUSTER, PRINCIPAL];
        let queries = [
            self.query(BYTES_IN, "confluent_kafka_server_request_bytes", labels),
            self.query(BYTES_OUT, "confluent_kafka_server_response_bytes", labels),
        ];
        [BYTES_IN, BYTES_OUT].into_iter().zip(self.source.fetch(&queries, window).await).collect()
    }

    /// What statements used, under the metric's name of today, else under the one that it had.
    async fn cfu(&self, window: Window) -> Option<MetricsOutcome> {
        let names = [
            "confluent_flink_num_cfu",
            "confluent_flink_statement_utilization_cfu_minutes_consumed",
        ];
        let mut last = None;
        for name in names {
            let query = [self.query(CFU, name, [POOL, STATEMENT])];
            last = self.source.fetch(&query, window).await.pop();
            if !matches!(last, Some(MetricsOutcome::NoSamples(_))) {
                break;
            }
        }
        last
    }
}

/// What was measured in a window, by resource.
#[derive(Default)]
struct Traffic {
    seen: BTreeMap<String, BTreeSet<String>>,
    /// By metric and identity.
    usage: BTreeMap<String, BTreeMap<(String, String), ExactSum>>,
    /// Metrics that could not be had, of clusters and of pools.
    failed: [BTreeSet<String>; 2],
}

impl Traffic {
    fn add(
        &mut self,
        metric: &str,
        (resource, identity, shares): (&str, String, bool),
        sum: &ExactSum,
    ) {
        if shares {
            self.seen.entry(resource.to_owned()).or_default().insert(identity.clone());
        }
        let usage = self.usage.entry(resource.to_owned()).or_default();
        usage.entry((metric.to_owned(), identity)).or_insert(ExactSum::ZERO).merge(sum);
    }

    /// Which of the two kinds of metrics a service is measured by.
    fn failed_of(&self, service: Service) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        match service {
            Service::Keys => &self.failed[0],
            Service::Flink => &self.failed[1],
            Service::Connect | Service::Ksqldb | Service::Organization => &NONE,
        }
    }
}

/// Hands the resolutions of a date to `take`, by window and key.
///
/// # Errors
/// What `take` answers. That metrics cannot be had is no error: the resolutions say so.
pub async fn resolve(
    asked: Option<&Asked>,
    request: &ResolveRequest,
    take: &mut (dyn FnMut(IdentityResolution) -> Result<(), GatherError> + '_),
) -> Result<Resolved, GatherError> {
    let mut windows: BTreeMap<(UtcSeconds, UtcSeconds), BTreeMap<&str, BTreeSet<Service>>> =
        BTreeMap::new();
    for wanted in &request.wanted {
        let keys = windows.entry((wanted.start, wanted.end)).or_default();
        keys.entry(&wanted.key).or_default().insert(service(&wanted.product_type));
    }
    let (mut resolved, mut made) = (Resolved::default(), MadeUp::default());
    for ((start, end), keys) in windows {
        let living = Living::new(&request.inventory, (start, end));
        let services: BTreeSet<Service> = keys.values().flatten().copied().collect();
        let window = Window { start, end };
        let mut traffic =
            measured(asked, window, (&living, &services), (&mut made, &mut resolved)).await;
        for (key, services) in keys {
            let (mut active, mut failed) = (BTreeSet::new(), BTreeSet::new());
            for service in &services {
                let service = *service;
                active.extend(living.active(service, key, &mut made));
                failed.extend(traffic.failed_of(service).iter().cloned());
            }
            let mut usage = traffic.usage.remove(key).unwrap_or_default();
            if services.contains(&Service::Flink) && usage.is_empty() && failed.is_empty() {
                // Nothing was measured: statements that run weigh the same.
                for (owner, count) in living.statements_running(key, &mut made) {
                    let weight = ExactSum::from(Amount::from(u64::from(count)));
                    usage.insert((CFU.to_owned(), owner), weight);
                }
            }
            take(IdentityResolution {
                key: key.to_owned(),
                window_start: start,
                window_end: end,
                resource_active: active.into_iter().collect(),
                metrics_derived: traffic.seen.remove(key).unwrap_or_default().into_iter().collect(),
                tenant_period: living.period.clone(),
                usage: metrics::amounts(usage, &mut resolved.lacking),
                failed_metrics: failed.into_iter().collect(),
            })?;
        }
    }
    resolved.identities = made.all();
    Ok(resolved)
}

/// Asks for what the services in a window are measured by.
async fn measured(
    asked: Option<&Asked>,
    window: Window,
    (living, services): (&Living<'_>, &BTreeSet<Service>),
    (made, resolved): (&mut MadeUp, &mut Resolved),
) -> Traffic {
    let mut traffic = Traffic::default();
    let mut failed = |place: &mut BTreeSet<String>, metric: &str, error: &MetricsError| {
        place.insert(metric.to_owned());
        resolved.lacking.push(error.to_string());
    };
    if let Some(asked) = asked.filter(|_| services.contains(&Service::Keys)) {
        for (metric, outcome) in asked.traffic(window).await {
            if let Some(error) = outcome.error() {
                failed(&mut traffic.failed[0], metric, error);
            }
            for ((cluster, principal), sum) in sums(outcome.table(), [CLUSTER, PRINCIPAL]) {
                let (identity, shares) = living.principal(principal, made);
                traffic.add(metric, (cluster, identity, shares), &sum);
            }
        }
    }
    if services.contains(&Service::Flink) {
        let outcome = match asked {
            Some(asked) => asked.cfu(window).await,
            None => None,
        };
        if let Some(error) = outcome.as_ref().and_then(MetricsOutcome::error) {
            failed(&mut traffic.failed[1], CFU, error);
        }
        let table = outcome.as_ref().and_then(MetricsOutcome::table);
        for ((pool, statement), sum) in sums(table, [POOL, STATEMENT]) {
            let owner = living.statement(pool, statement, made);
            traffic.add(CFU, (pool, owner, true), &sum);
        }
    }
    traffic
}

/// Sums over the window by two labels; series that lack one of them speak of nobody, and who moved
/// nothing is not seen.
fn sums<'t>(
    table: Option<&'t MetricTable>,
    labels: [&str; 2],
) -> Vec<((&'t str, &'t str), ExactSum)> {
    let usage = table.map(|table| table.usage(labels[0], labels[1])).unwrap_or_default();
    let each = usage.into_iter().flat_map(|(resource, by)| {
        by.into_iter().map(move |(identity, sum)| ((resource, identity), sum))
    });
    let counts = |sum: &ExactSum| !sum.is_negative() && !sum.is_zero();
    each.filter(|((resource, identity), sum)| {
        !resource.is_empty() && !identity.is_empty() && counts(sum)
    })
    .collect()
}
