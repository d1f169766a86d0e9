//! Gauges of exact sums of money. They are added up exactly and become floats only on the page.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use proto::money::ExactSum;

use super::Labels;

/// One gauge per labels.
#[derive(Debug)]
pub struct ExactSums {
    name: &'static str,
    help: &'static str,
    sums: Mutex<BTreeMap<Labels, ExactSum>>,
}

impl ExactSums {
    /// None yet.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, sums: Mutex::default() }
    }

    /// Counts money in.
    pub fn add(&self, labels: Labels, sum: &ExactSum) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.entry(labels).or_default().merge(sum);
    }
}

impl Collector for ExactSums {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metric =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (labels, sum) in sums.iter() {
            let value: f64 = sum.to_string().parse().map_err(|_| fmt::Error)?;
            metric.encode_family(labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
