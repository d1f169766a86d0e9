//! Who used how much on a day. One question per metric and day, whatever the number of identities.

use std::collections::{BTreeMap, BTreeSet};

use proto::money::ExactSum;
use proto::resolution::IdentityResolution;
use proto::time::UnitDate;

use super::{Measured, days, people};
use crate::metrics::{self, MetricQuery, MetricTable, Sampling, Shape};
use crate::ports::Resolved;

/// The resolution of a day, with what could not be had.
pub async fn resolution(source: &Measured, date: UnitDate) -> (IdentityResolution, Resolved) {
    let settings = &source.settings;
    let identities = &settings.identities;
    let shape = Shape::Range { step: source.step };
    let query = |name: &str, query: &str, label: &str, sampling| MetricQuery {
        name: name.to_owned(),
        expression: query.to_owned(),
        labels: vec![label.to_owned()],
        sampling,
        shape,
    };
    let asks = settings.usage.iter();
    let mut queries: Vec<MetricQuery> =
        asks.map(|ask| query(&ask.metric, &ask.query, &ask.label, Sampling::Backward)).collect();
    let active = identities.query.as_deref().filter(|_| identities.measured);
    queries.extend(
        active.map(|text| query("active identities", text, &identities.label, Sampling::Forward)),
    );
    let window = days::window(date, date);
    let mut silent = !settings.usage.is_empty();
    let outcomes = source.metrics.fetch(&queries, window).await;
    let mut resolved = Resolved::default();
    let (mut derived, mut usage) = (BTreeSet::new(), BTreeMap::new());
    let mut failed = BTreeSet::new();
    for (at, (query, outcome)) in queries.iter().zip(outcomes).enumerate() {
        match outcome.whole() {
            Ok(table) => {
                silent &= at >= settings.usage.len() || table.series.is_empty();
                for (principal, sum) in sums(&table) {
                    let identity = people::charged(identities, principal);
                    let is_usage = at < settings.usage.len();
                    if !is_usage || identities.measured {
                        derived.insert(identity.clone());
                    }
                    if is_usage {
                        let key = (query.name.clone(), identity);
                        usage.entry(key).or_insert(ExactSum::ZERO).merge(&sum);
                    }
                }
            }
            Err(error) => {
                silent = false;
                failed.insert(query.name.clone());
                resolved.lacking.push(error.to_string());
            }
        }
    }
    if silent {
        // Nobody used anything, or the server has forgotten who did.
        resolved.lacking.push("no usage was measured on this day".to_owned());
    }
    let listed = identities.listed.iter().map(|listed| people::charged_listed(identities, listed));
    let active: BTreeSet<String> = listed.collect();
    let period: BTreeSet<String> = active.union(&derived).cloned().collect();
    let resolution = IdentityResolution {
        key: settings.cluster.clone(),
        window_start: window.start,
        window_end: window.end,
        resource_active: active.into_iter().collect(),
        metrics_derived: derived.into_iter().collect(),
        tenant_period: period.into_iter().collect(),
        usage: metrics::amounts(usage, &mut resolved.lacking),
        failed_metrics: failed.into_iter().collect(),
    };
    (resolution, resolved)
}

/// Sums over the day by the value of the one label.
fn sums(table: &MetricTable) -> BTreeMap<&str, ExactSum> {
    let Some(label) = table.labels.first() else { return BTreeMap::new() };
    let sums = table.sums(&[label]).into_iter();
    sums.filter_map(|(key, sum)| Some((key.first().copied()??, sum)))
        .filter(|(value, _)| !value.is_empty())
        .collect()
}
