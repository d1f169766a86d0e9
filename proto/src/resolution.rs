//! `IdentityResolution`: who could have caused a cost, with measured usage. Facts only: no ratios, no policy.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::column::{AmountColumn, ColumnError, IntColumn, TextColumn, check_items};
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::line::hash_amount;
use crate::money::Amount;
use crate::time::UtcSeconds;

/// What is known of one resolution key (a resource and window, or an owner key that lines carry).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityResolution {
    /// What lines name it by.
    pub key: String,
    /// Start of the window, inclusive.
    pub window_start: UtcSeconds,
    /// End of the window, exclusive.
    pub window_end: UtcSeconds,
    /// Identities tied to the resource in the window, sorted.
    pub resource_active: Vec<String>,
    /// Identities seen in the metrics of the window, sorted.
    pub metrics_derived: Vec<String>,
    /// All identities alive in the window, sentinels apart, sorted.
    pub tenant_period: Vec<String>,
    /// Measured usage: metric, identity, value; sorted by metric, then identity.
    pub usage: Vec<(String, String, Amount)>,
    /// Metrics that were asked for and could not be had, sorted: what is missing of them is not known to be nothing.
    pub failed_metrics: Vec<String>,
}

/// How well a window fits a charge period, the smallest best: the very same; one that holds all of it; else one that
/// holds its start. Of several the one that starts last, then the shortest.
pub type WindowFit = (bool, bool, Reverse<i64>, i64);

/// The fit of a window and a charge period, as seconds from start to end; `None`: the window does not hold its start.
/// So an hourly line finds its hour, a daily one its day and a monthly one its month, whatever else is resolved.
#[must_use]
pub fn window_fit(window: (i64, i64), charge: (i64, i64)) -> Option<WindowFit> {
    let holds = window.0 <= charge.0 && charge.0 < window.1;
    holds.then_some((window != charge, window.1 < charge.1, Reverse(window.0), window.1))
}

impl IdentityResolution {
    /// How well it fits a charge period: see [`window_fit`].
    #[must_use]
    pub fn fit(&self, start: UtcSeconds, end: UtcSeconds) -> Option<WindowFit> {
        window_fit((self.window_start.0, self.window_end.0), (start.0, end.0))
    }

    /// Hash over everything in it.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.key.len() as u64).to_le_bytes());
        hasher.update(self.key.as_bytes());
        hasher.update(&self.window_start.0.to_le_bytes());
        hasher.update(&self.window_end.0.to_le_bytes());
        for entry in self.entries() {
            let (which, metric, identity, value) = entry;
            hasher.update(&[which]);
            for text in [metric, identity] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            hash_amount(&mut hasher, value);
        }
        // Nothing where nothing failed: as it was before this was told.
        for metric in &self.failed_metrics {
            hasher.update(&[4]);
            hasher.update(&(metric.len() as u64).to_le_bytes());
            hasher.update(metric.as_bytes());
        }
        Hash128::finish(&hasher.finalize())
    }

    fn entries(&self) -> impl Iterator<Item = (u8, &str, &str, Option<Amount>)> {
        let sets =
            [(0, &self.resource_active), (1, &self.metrics_derived), (2, &self.tenant_period)];
        let sets = sets
            .into_iter()
            .flat_map(|(which, set)| set.iter().map(move |id| (which, "", id.as_str(), None)));
        sets.chain(
            self.usage
                .iter()
                .map(|(metric, id, value)| (3, metric.as_str(), id.as_str(), Some(*value))),
        )
    }
}

/// Resolutions of one unit and generation as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolutionBatch {
    len: u32,
    keys: Vec<String>,
    window_start: IntColumn,
    window_end: IntColumn,
    /// Entries per resolution.
    counts: IntColumn,
    /// 0 `resource_active`, 1 `metrics_derived`, 2 `tenant_period`, 3 usage.
    #[serde(with = "serde_bytes")]
    which: Vec<u8>,
    metric: TextColumn,
    identity: TextColumn,
    value: AmountColumn,
    /// Metrics that could not be had, per resolution; left out where none failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedMetric>,
}

/// Place of a resolution in its batch, and a metric of it that could not be had.
type FailedMetric = (u32, String);

impl Body for ResolutionBatch {
    const KIND: MessageKind = MessageKind::Resolution;
}

impl ResolutionBatch {
    /// A batch of these.
    #[must_use]
    pub fn new(items: &[IdentityResolution]) -> Self {
        let entries = || items.iter().flat_map(IdentityResolution::entries);
        Self {
            len: items.len() as u32,
            keys: items.iter().map(|r| r.key.clone()).collect(),
            window_start: items.iter().map(|r| r.window_start.0).collect(),
            window_end: items.iter().map(|r| r.window_end.0).collect(),
            counts: items.iter().map(|r| r.entries().count() as i64).collect(),
            which: entries().map(|e| e.0).collect(),
            metric: entries().map(|e| Some(e.1)).collect(),
            identity: entries().map(|e| Some(e.2)).collect(),
            value: entries().map(|e| e.3).collect(),
            failed: (0..)
                .zip(items)
                .flat_map(|(at, item)| item.failed_metrics.iter().map(move |m| (at, m.clone())))
                .collect(),
        }
    }
    /// Number of resolutions that it claims.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }
    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The resolutions, every column checked.
    ///
    /// # Errors
    /// When a column is damaged or its length differs.
    pub fn open(self) -> Result<Vec<IdentityResolution>, ColumnError> {
        let (len, entries) = (self.len(), self.which.len());
        check_items(len)?;
        if self.keys.len() != len {
            return Err(ColumnError::Length { column: "keys", got: self.keys.len(), want: len });
        }
        self.metric.check("metric", entries)?;
        self.identity.check("identity", entries)?;
        let starts = self.window_start.decode("window_start", len)?;
        let ends = self.window_end.decode("window_end", len)?;
        let counts = self.counts.decode("counts", len)?;
        let values = self.value.decode("value", entries)?;
        let (mut at, mut out) = (0_usize, Vec::with_capacity(len));
        for (i, key) in self.keys.into_iter().enumerate() {
            let end = usize::try_from(counts[i])
                .ok()
                .and_then(|n| at.checked_add(n))
                .filter(|end| *end <= entries);
            let end = end.ok_or(ColumnError::Damaged {
                column: "counts",
                what: "more entries than there are",
            })?;
            let mut item = IdentityResolution {
                key,
                window_start: UtcSeconds(starts[i]),
                window_end: UtcSeconds(ends[i]),
                resource_active: Vec::new(),
                metrics_derived: Vec::new(),
                tenant_period: Vec::new(),
                usage: Vec::new(),
                failed_metrics: Vec::new(),
            };
            for (e, value) in values.iter().enumerate().take(end).skip(at) {
                let identity = self.identity.get(e).unwrap_or_default().to_owned();
                match self.which[e] {
                    0 => item.resource_active.push(identity),
                    1 => item.metrics_derived.push(identity),
                    2 => item.tenant_period.push(identity),
                    3 => {
                        let value = value.ok_or(ColumnError::Damaged {
                            column: "value",
                            what: "usage without value",
                        })?;
                        item.usage.push((
                            self.metric.get(e).unwrap_or_default().to_owned(),
                            identity,
                            value,
                        ));
                    }
                    _ => {
                        return Err(ColumnError::Damaged {
                            column: "which",
                            what: "an unknown set",
                        });
                    }
                }
            }
            at = end;
            out.push(item);
        }
        if at != entries {
            return Err(ColumnError::Length { column: "counts", got: at, want: entries });
        }
        for (at, metric) in self.failed {
            let item = out.get_mut(at as usize).ok_or(ColumnError::Damaged {
                column: "failed",
                what: "a metric of no resolution",
            })?;
            item.failed_metrics.push(metric);
        }
        Ok(out)
    }
}
