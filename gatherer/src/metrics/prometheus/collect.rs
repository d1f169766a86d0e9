//! From answers to one table: pure. An answer that lacks anything, or holds what cannot be used, is an error.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, Kind, Samples};
use crate::metrics::outcome::MetricsError;
use crate::metrics::query::{MetricQuery, Moments};
use crate::metrics::table::{MetricTable, Sample, Series};

/// What a remark begins with that says nothing about the data's being whole.
const REMARK: &str = "PromQL info";
/// Labels that are told where one is missing.
const TOLD_LABELS: usize = 10;

/// Collects the answers to one query.
#[derive(Debug)]
pub struct Collected {
    samples_max: u64,
    samples: u64,
    not_numbers: u64,
    series: BTreeMap<BTreeMap<String, String>, Vec<Sample>>,
    remarks: BTreeSet<String>,
}

impl Collected {
    /// Nothing yet; so many samples at most.
    #[must_use]
    pub fn new(samples_max: u64) -> Self {
        Self {
            samples_max,
            samples: 0,
            not_numbers: 0,
            series: BTreeMap::new(),
            remarks: BTreeSet::new(),
        }
    }

    /// Adds the answer about some moments. What it says about others (servers that align what they are asked do) is
    /// left out.
    ///
    /// # Errors
    /// When the answer is not whole, or cannot be used.
    pub fn add(
        &mut self,
        query: &MetricQuery,
        moments: Moments,
        body: &[u8],
    ) -> Result<(), MetricsError> {
        let malformed = |what: String| MetricsError::Malformed { query: query.name.clone(), what };
        let answer: Answer = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            Err(error) => {
                let kind = Kind::single(body).ok_or_else(|| malformed(error.to_string()))?;
                let what =
                    format!("a {kind}: write a query that gives series, as `vector(…)` does");
                return Err(MetricsError::Kind { query: query.name.clone(), what });
            }
        };
        if answer.status != "success" {
            return Err(malformed(answer.error.unwrap_or(format!("status {:?}", answer.status))));
        }
        let data = answer.data.ok_or_else(|| malformed("it has no `data`".to_owned()))?;
        let (remarks, missing): (Vec<String>, Vec<String>) =
            answer.warnings.into_iter().partition(|text| text.starts_with(REMARK));
        if answer.is_partial || !missing.is_empty() {
            let what = if missing.is_empty() { "isPartial".to_owned() } else { missing.join("; ") };
            return Err(MetricsError::Partial { query: query.name.clone(), what });
        }
        self.remarks.extend(remarks.into_iter().chain(answer.infos));
        for series in data.result {
            if series.histograms.is_some() || series.histogram.is_some() {
                let what = "native histograms: write `histogram_sum(…)` or `histogram_count(…)`";
                return Err(MetricsError::Kind {
                    query: query.name.clone(),
                    what: what.to_owned(),
                });
            }
            self.series(query, moments, &series.metric, series.values)?;
            if let Some(one) = series.value {
                self.series(query, moments, &series.metric, one.0)?;
            }
        }
        Ok(())
    }

    fn series(
        &mut self,
        query: &MetricQuery,
        moments: Moments,
        metric: &BTreeMap<String, String>,
        samples: Samples,
    ) -> Result<(), MetricsError> {
        if let Some(odd) = samples.odd {
            return Err(MetricsError::Value {
                query: query.name.clone(),
                value: odd.text,
                series: written(metric),
                at: odd.at.to_string(),
                mend: odd.mend,
            });
        }
        self.not_numbers += samples.not_numbers;
        let mut numbers = samples.numbers;
        numbers.retain(|sample| moments.contains(sample.at.0));
        if numbers.is_empty() {
            return Ok(());
        }
        self.samples += numbers.len() as u64;
        if self.samples > self.samples_max {
            let max = self.samples_max;
            return Err(MetricsError::TooMany { query: query.name.clone(), max });
        }
        match self.series.get_mut(metric) {
            Some(known) => known.append(&mut numbers),
            None => _ = self.series.insert(metric.clone(), numbers),
        }
        Ok(())
    }

    /// The table of all answers.
    ///
    /// # Errors
    /// When a series has two values at one moment, or no series carries a label that counts.
    pub fn table(self, query: &MetricQuery) -> Result<MetricTable, MetricsError> {
        for label in &query.labels {
            let carried = self.series.keys().any(|metric| metric.contains_key(label));
            if !carried && !self.series.is_empty() {
                return Err(self.no_label(query, label));
            }
        }
        let mut series = Vec::with_capacity(self.series.len());
        for (metric, mut samples) in self.series {
            samples.sort_by_key(|sample| sample.at);
            if let Some(two) = samples.windows(2).find(|two| two[0].at == two[1].at) {
                let what = format!("{} has two values at {}", written(&metric), two[0].at);
                return Err(MetricsError::Malformed { query: query.name.clone(), what });
            }
            let values = query.labels.iter().map(|label| metric.get(label).cloned()).collect();
            series.push(Series { values, samples });
        }
        Ok(MetricTable {
            labels: query.labels.clone(),
            series,
            not_numbers: self.not_numbers,
            remarks: self.remarks.into_iter().collect(),
        })
    }

    fn no_label(&self, query: &MetricQuery, label: &str) -> MetricsError {
        let found: BTreeSet<&str> =
            self.series.keys().flat_map(|metric| metric.keys().map(String::as_str)).collect();
        let mut told: Vec<&str> = found.iter().copied().take(TOLD_LABELS).collect();
        if told.is_empty() {
            told.push("none");
        } else if found.len() > TOLD_LABELS {
            told.push("…");
        }
        MetricsError::Label {
            query: query.name.clone(),
            label: label.to_owned(),
            series: self.series.len(),
            found: told.join(", "),
        }
    }
}

/// A series as Prometheus writes it.
fn written(metric: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> =
        metric.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{{{}}}", labels.join(", "))
}
