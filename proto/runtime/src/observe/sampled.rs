//! Gauges of the state as a whole. The leading coordinator reads them from Postgres and NATS every few seconds; every
//! sample replaces the one before, so that what is gone disappears.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::Labels;

/// A gauge and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// For people.
    pub help: &'static str,
}

macro_rules! gauges {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $help:literal;)*) => {
        $($(#[$doc])* pub const $constant: Gauge = Gauge { name: $name, help: $help };)*
        /// All of them, in the order of the page.
        pub const ALL: &[Gauge] = &[$($constant),*];
    };
}

gauges! {
    /// By `state`; visible units are not counted, there may be millions of them.
    UNITS = "apportion_units", "Units that are not up to date, by state: gathered is due, quarantined needs a person";
    /// None.
    RETRYING = "apportion_units_retrying", "Units whose last attempt failed and that are tried again";
    /// By `tenant`.
    LAG = "apportion_lag_seconds", "Age of a tenant's oldest unit that is due or under way; 0: up to date";
    /// By `step`.
    TASKS_OUT = "apportion_tasks_out", "Tasks that are written down and not answered, by step";
    /// By `step`.
    OLDEST_TASK = "apportion_oldest_task_seconds", "Age of the oldest task that is not answered, by step";
    /// None.
    SOURCES_FAILING = "apportion_sources_failing", "Sources in force whose last gather failed";
    /// By `tenant` and `source`.
    SOURCE_FAILING = "apportion_source_failing_seconds", "Time since which a source cannot be gathered; nothing where it can";
    /// By `tenant` and `source`.
    SLA_OPEN = "apportion_sla_breaches_open", "Dates that were to be visible in the last seven days, were not, and still are not";
    /// None.
    GATHER_AGE = "apportion_oldest_gather_seconds", "Time since the last good gather of the source where it is longest; of one with a schedule, since its time has come";
    /// By `tenant`.
    PROVISIONAL = "apportion_provisional_dates", "Visible dates that a missing or changing driver makes provisional";
    /// By `tenant`, `source`, `class`, `type`.
    GUARD_STREAK = "apportion_guard_streak", "Gathers in a row that found none or far fewer of what exists";
    /// By `tenant`, `source`, `class`, `type`.
    GUARD_WAITING = "apportion_guard_waiting", "Entities or dates that wait to be deleted or withdrawn";
    /// None.
    QUARANTINED = "apportion_quarantined_records", "Records in force that could not be understood";
    /// None.
    RECONCILE_FINDINGS = "apportion_reconcile_findings", "Visible dates whose stored facts are not what they were made of";
    /// None; nothing where nothing is compared.
    RECONCILE_AGE = "apportion_reconcile_oldest_seconds", "Time since the visible date where it is longest was compared or became visible";
    /// None; nothing where nothing is compared.
    RECONCILE_EVERY = "apportion_reconcile_period_seconds", "Time within which every visible date is to be compared";
    /// By `stream`.
    STREAM_MESSAGES = "apportion_stream_messages", "Messages in a stream";
    /// By `stream`.
    STREAM_BYTES = "apportion_stream_bytes", "Bytes in a stream";
    /// By `stream`.
    STREAM_BYTES_MAX = "apportion_stream_bytes_max", "Bytes that a stream may hold";
    /// By `queue` and `lane`.
    QUEUE_PENDING = "apportion_queue_pending", "Tasks that no worker has yet, by queue and lane";
    /// By `queue` and `lane`.
    QUEUE_HELD = "apportion_queue_held", "Tasks that a worker has, by queue and lane";
}

/// One point of a gauge.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which gauge.
    pub gauge: Gauge,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// The last sample; `None` where this process does not lead.
#[derive(Debug, Default)]
pub(super) struct Sampled(Mutex<Option<Vec<Sample>>>);

impl Sampled {
    pub(super) fn put(&self, samples: Option<Vec<Sample>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = samples;
    }
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(samples) = samples.as_ref() else { return Ok(()) };
        for gauge in ALL {
            let mut metric =
                encoder.encode_descriptor(gauge.name, gauge.help, None, MetricType::Gauge)?;
            for sample in samples.iter().filter(|sample| sample.gauge == *gauge) {
                metric.encode_family(&sample.labels)?.encode_gauge(&sample.value)?;
            }
        }
        Ok(())
    }
}
