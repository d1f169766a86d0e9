//! Metric drivers: what is asked of which source, and who the answers name.

use std::collections::BTreeMap;

use super::TenantConfig;
use super::driver::Driver;
use crate::hash::Hash128;
use crate::ids::{DriverId, SourceId};

/// What is asked for the weights of a driver, whatever the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDriver {
    /// Hash of all that decides the weights.
    pub id: DriverId,
    /// The driver's name.
    pub name: String,
    /// The source whose server of metrics is asked.
    pub source: SourceId,
    /// The query, in the server's language.
    pub query: String,
    /// The label whose values have the weights.
    pub label: String,
    /// Seconds between two samples; 0: the source has no metrics.
    pub step: u32,
}

impl TenantConfig {
    /// The metric driver of this name; `None`: there is none, or nothing says which label names who used what.
    #[must_use]
    pub fn metric_driver(&self, name: &str) -> Option<MetricDriver> {
        let Some(Driver::Metric { metric, source, owner }) = self.drivers.get(name) else {
            return None;
        };
        let label = match owner {
            Some(owner) => owner.key.as_str(),
            None => only_label(metric)?,
        };
        let metrics = self.source(source).and_then(|source| source.metrics.as_ref());
        let step = metrics.map_or(0, |metrics| metrics.step_seconds);
        let seconds = step.to_string();
        let hash = Hash128::of_texts([source.as_str(), metric, label, &seconds]);
        Some(MetricDriver {
            id: DriverId::parse(&format!("metric-{hash}")).ok()?,
            name: name.to_owned(),
            source: source.clone(),
            query: metric.clone(),
            label: label.to_owned(),
            step,
        })
    }

    /// Every metric driver, by id.
    #[must_use]
    pub fn metric_drivers(&self) -> BTreeMap<DriverId, MetricDriver> {
        let drivers = self.drivers.keys().filter_map(|name| self.metric_driver(name));
        drivers.map(|driver| (driver.id.clone(), driver)).collect()
    }
}

/// The one label that a query's `by (…)` names; `None`: none, several, or not the same everywhere.
#[must_use]
pub fn only_label(query: &str) -> Option<&str> {
    let mut found = None;
    let mut rest = query;
    while let Some(at) = rest.find("by") {
        let word = rest[..at].ends_with([' ', ')']) || at == 0;
        rest = &rest[at + 2..];
        let Some((label, _)) = rest.trim_start().strip_prefix('(').and_then(|r| r.split_once(')'))
        else {
            continue;
        };
        let label = label.trim();
        let names_one = !label.is_empty() && !label.contains([',', ' ', '(']);
        match found {
            _ if !word => {}
            None if names_one => found = Some(label),
            Some(before) if before == label => {}
            _ => return None,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::only_label;

    #[test]
    fn a_query_names_its_label_where_it_names_but_one() {
        for (query, label) in [
            ("sum by (principal) (increase(x[1h]))", Some("principal")),
            ("sum(rate(standby(x)[1h])) by( user )", Some("user")),
            ("sum by (a) (max by (a) (x))", Some("a")),
            ("sum by (a) (max by (a, b) (x))", None),
            ("sum by (a, b) (x)", None),
            ("bytes_total", None),
        ] {
            assert_eq!(only_label(query), label, "{query}");
        }
    }
}
