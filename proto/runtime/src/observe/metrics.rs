//! Counters of this process, and the page that shows all metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use proto::money::ExactSum;
use proto::report::FailureClass;
use proto::subject::Queue;

use super::counts::Count;
use super::sampled::{Sample, Sampled};
use super::sums::ExactSums;
use super::{Labels, labels};
use crate::store::Store;

/// How tasks end, as labels.
pub const OUTCOMES: [&str; 5] = ["done", "failed", "retried", "released", "refused"];
/// How comparisons of stored units end, as labels.
const COMPARED: [&str; 3] = ["clean", "differs", "failed"];
const CLASSES: [FailureClass; 3] =
    [FailureClass::Transient, FailureClass::Data, FailureClass::InputMissing];
/// Bounds of the seconds that tasks take.
const SECONDS: [f64; 10] = [0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// The metrics of a process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    build: Family<Labels, Gauge>,
    tasks: Family<Labels, Counter>,
    running: Family<Labels, Gauge>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    redelivered: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    items: Family<Labels, Counter>,
    amounts: Arc<ExactSums>,
    unreconciled: Arc<ExactSums>,
    failures: Family<Labels, Counter>,
    gathers_failed: Family<Labels, Counter>,
    visible: Family<Labels, Counter>,
    compared: Family<Labels, Counter>,
    leads: Family<Labels, Gauge>,
    epoch: Family<Labels, Gauge>,
    pools: Arc<Pools>,
    sampled: Arc<Sampled>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let seconds: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let amounts = Arc::new(ExactSums::new(
            "apportion_amount",
            "Money that went through a step since the process started, by direction and currency",
        ));
        let unreconciled = Arc::new(ExactSums::new(
            "apportion_unreconciled_amount",
            "Differences between lines and rows that were found, signs left out: anything but 0 is a defect",
        ));
        let (pools, sampled) = (Arc::new(Pools::default()), Arc::new(Sampled::default()));
        let (build, tasks, running) = (Family::default(), Family::default(), Family::default());
        let (redelivered, refused, items) =
            (Family::default(), Family::default(), Family::default());
        let (failures, gathers_failed, visible) =
            (Family::default(), Family::default(), Family::default());
        let (leads, epoch, compared) = (Family::default(), Family::default(), Family::default());
        let r = &mut registry;
        r.register("apportion_build_info", "What runs here", Family::clone(&build));
        r.register("apportion_tasks", "Tasks by step and how they ended", Family::clone(&tasks));
        r.register(
            "apportion_tasks_running",
            "Tasks under way in this process, by step",
            Family::clone(&running),
        );
        r.register(
            "apportion_task_duration_seconds",
            "How long tasks took, by step",
            Family::clone(&seconds),
        );
        r.register(
            "apportion_redeliveries",
            "Tasks that had been given to a worker before",
            Family::clone(&redelivered),
        );
        r.register(
            "apportion_refused",
            "Messages that will never work and were set aside",
            Family::clone(&refused),
        );
        r.register(
            "apportion_items",
            "Records, lines, resolutions and rows by step and direction",
            Family::clone(&items),
        );
        r.register(
            "apportion_unit_failures",
            "Failed attempts at units, by whose fault it was",
            Family::clone(&failures),
        );
        r.register("apportion_gather_failures", "Failed gathers", Family::clone(&gathers_failed));
        r.register("apportion_units_visible", "Units made visible", Family::clone(&visible));
        r.register(
            "apportion_reconcile_checks",
            "Visible units whose stored facts were compared with what they were made of, by outcome",
            Family::clone(&compared),
        );
        r.register("apportion_leads", "1: this coordinator leads", Family::clone(&leads));
        r.register(
            "apportion_leader_epoch",
            "Epoch of the leader that this process last heard of",
            Family::clone(&epoch),
        );
        r.register_collector(Box::new(Arc::clone(&amounts)));
        r.register_collector(Box::new(Arc::clone(&unreconciled)));
        r.register_collector(Box::new(Arc::clone(&pools)));
        r.register_collector(Box::new(Arc::clone(&sampled)));
        Self(Arc::new(Inner {
            registry,
            build,
            tasks,
            running,
            seconds,
            redelivered,
            refused,
            items,
            amounts,
            unreconciled,
            failures,
            gathers_failed,
            visible,
            compared,
            leads,
            epoch,
            pools,
            sampled,
        }))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The step that a task is counted under: all emitters together.
fn step_label(step: &str) -> &str {
    if step.starts_with("emit-") { "emit" } else { step }
}

impl Metrics {
    /// What runs here.
    pub(crate) fn build(&self, role: &str) {
        let build = [("role", role), ("version", env!("CARGO_PKG_VERSION"))];
        self.0.build.get_or_create(&labels(build)).set(1);
    }

    /// Shows the series of a queue with 0 before anything happens, so that a first failure is a rise.
    pub(crate) fn serves(&self, queue: Queue) {
        let step = queue.token();
        for outcome in OUTCOMES {
            self.0.tasks.get_or_create(&labels([("step", step), ("outcome", outcome)])).inc_by(0);
        }
        self.0.running.get_or_create(&labels([("step", step)])).set(0);
        self.0.redelivered.get_or_create(&labels([("step", step)])).inc_by(0);
        self.0.refused.get_or_create(&labels([("message", "task"), ("step", step)])).inc_by(0);
    }

    /// A task starts.
    pub(crate) fn task_started(&self, step: &str, redelivered: bool) {
        let labels = labels([("step", step_label(step))]);
        self.0.running.get_or_create(&labels).inc();
        self.0.redelivered.get_or_create(&labels).inc_by(u64::from(redelivered));
    }

    /// A task ended: how is one of [`OUTCOMES`].
    pub(crate) fn task_ended(&self, step: &str, outcome: &str, took: Duration) {
        let step = step_label(step);
        self.0.running.get_or_create(&labels([("step", step)])).dec();
        self.0.tasks.get_or_create(&labels([("step", step), ("outcome", outcome)])).inc();
        self.0.seconds.get_or_create(&labels([("step", step)])).observe(took.as_secs_f64());
    }

    /// A message was refused: `message` is `task` or `report`.
    pub fn refused(&self, message: &str, step: &str) {
        let labels = labels([("message", message), ("step", step_label(step))]);
        self.0.refused.get_or_create(&labels).inc();
    }

    /// Items and money went in or out.
    pub(crate) fn counted(&self, step: &str, counts: &[Count]) {
        let step = step_label(step);
        for count in counts {
            let of = labels([("step", step), ("direction", count.direction), ("kind", count.kind)]);
            self.0.items.get_or_create(&of).inc_by(count.items);
            for (currency, _, sums) in count.totals.iter() {
                let currency = currency.to_string();
                let of = [("step", step), ("direction", count.direction), ("kind", count.kind)];
                let mut of = labels(of);
                of.push(("currency", currency));
                self.0.amounts.add(of, &sums.amount);
            }
        }
    }

    /// Rows of a unit and their lines were compared; `difference` is 0 unless something is wrong.
    pub fn reconciled(&self, currency: &str, difference: &ExactSum) {
        self.0.unreconciled.add(labels([("currency", currency)]), &difference.size());
    }

    /// An attempt at a unit failed.
    pub fn unit_failed(&self, class: FailureClass) {
        self.0.failures.get_or_create(&labels([("class", class_label(class))])).inc();
    }

    /// A gather failed.
    pub fn gather_failed(&self) {
        self.0.gathers_failed.get_or_create(&Labels::new()).inc();
    }

    /// So many units were made visible.
    pub fn units_visible(&self, units: u64) {
        self.0.visible.get_or_create(&Labels::new()).inc_by(units);
    }

    /// Shows the outcomes of comparisons with 0 before there is any, so that a first difference is a rise.
    pub fn reconciles(&self) {
        for outcome in COMPARED {
            self.0.compared.get_or_create(&labels([("outcome", outcome)])).inc_by(0);
        }
    }

    /// What is stored of a unit was compared: `outcome` is `clean`, `differs` or `failed`.
    pub fn reconcile_checked(&self, outcome: &str) {
        self.0.compared.get_or_create(&labels([("outcome", outcome)])).inc();
    }

    /// This coordinator leads, or does not.
    pub fn leads(&self, leads: bool) {
        self.0.leads.get_or_create(&Labels::new()).set(i64::from(leads));
        for class in CLASSES {
            self.0.failures.get_or_create(&labels([("class", class_label(class))])).inc_by(0);
        }
        self.0.gathers_failed.get_or_create(&Labels::new()).inc_by(0);
        self.0.visible.get_or_create(&Labels::new()).inc_by(0);
        self.0.refused.get_or_create(&labels([("message", "report"), ("step", "")])).inc_by(0);
        if !leads {
            self.0.sampled.put(None);
        }
    }

    /// A leader was heard of.
    pub(crate) fn leader_heard(&self, epoch: i64) {
        self.0.epoch.get_or_create(&Labels::new()).set(epoch);
    }

    /// Takes the place of the sample before.
    pub fn sampled(&self, samples: Vec<Sample>) {
        self.0.sampled.put(Some(samples));
    }

    /// Shows how a pool is used.
    pub(crate) fn pool(&self, name: &'static str, store: Store) {
        self.0.pools.add(name, store);
    }

    /// The page.
    ///
    /// # Errors
    /// When a value cannot be written, which is a defect.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        prometheus_text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }
}

fn class_label(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::Data => "data",
        FailureClass::InputMissing => "input_missing",
    }
}

/// The Postgres pools of this process, looked at when the page is asked for.
#[derive(Default)]
struct Pools(std::sync::Mutex<Vec<(&'static str, Store)>>);

impl Pools {
    fn add(&self, name: &'static str, store: Store) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name, store));
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pools")
    }
}

impl Collector for Pools {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let pools = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pools.is_empty() {
            return Ok(());
        }
        let help =
            "Connections of a Postgres pool: max allowed, open, idle; and tasks that wait for one";
        let mut metric = encoder.encode_descriptor(
            "apportion_pool_connections",
            help,
            None,
            MetricType::Gauge,
        )?;
        for (name, store) in pools.iter() {
            let usage = store.usage();
            let states = [
                ("max", usage.max),
                ("open", usage.open),
                ("idle", usage.idle),
                ("waiting", usage.waiting),
            ];
            for (state, value) in states {
                let of = labels([("pool", name), ("state", state)]);
                metric.encode_family(&of)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_happened_in_the_classic_text_format() {
        let metrics = Metrics::default();
        metrics.serves(Queue::Commit);
        metrics.task_started("emit-csv", true);
        metrics.task_ended("emit-csv", "done", Duration::from_millis(300));
        metrics.reconciled("USD", &ExactSum::parse("-0.30").unwrap());
        metrics.reconciled("USD", &ExactSum::parse("0.1").unwrap());
        let page = metrics.page().unwrap();
        for line in [
            "# TYPE apportion_tasks_total counter",
            "apportion_tasks_total{step=\"emit\",outcome=\"done\"} 1",
            "apportion_tasks_total{step=\"commit\",outcome=\"failed\"} 0",
            "apportion_redeliveries_total{step=\"emit\"} 1",
            "apportion_tasks_running{step=\"emit\"} 0",
            "apportion_task_duration_seconds_bucket{step=\"emit\",le=\"0.5\"} 1",
            "apportion_unreconciled_amount{currency=\"USD\"} 0.4",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        // Only who leads samples.
        assert!(!page.contains("apportion_lag_seconds"), "{page}");
        metrics.sampled(vec![Sample {
            gauge: super::super::sampled::LAG,
            labels: labels([("tenant", "acme")]),
            value: 7.0,
        }]);
        let page = metrics.page().unwrap();
        assert!(page.contains("apportion_lag_seconds{tenant=\"acme\"} 7"), "{page}");
        metrics.leads(false);
        assert!(!metrics.page().unwrap().contains("apportion_lag_seconds"));
    }
}
