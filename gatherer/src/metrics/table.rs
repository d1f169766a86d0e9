//! What was answered, in one order whatever the server's, and sums of it: pure.

use std::collections::BTreeMap;

use proto::money::{Amount, ExactSum};
use proto::time::UtcSeconds;

/// The answer to one query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricTable {
    /// The labels that count, in the query's order.
    pub labels: Vec<String>,
    /// Series with one sample or more, sorted by all their labels, also those that do not count.
    pub series: Vec<Series>,
    /// Values that were no number (`NaN`): they count as not measured.
    pub not_numbers: u64,
    /// What the server remarked about the query.
    pub remarks: Vec<String>,
}

/// The values of one combination of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Values of the labels that count, in the table's order; `None`: it does not carry it.
    pub values: Vec<Option<String>>,
    /// Sorted by time, one at most for every moment.
    pub samples: Vec<Sample>,
}

/// A value at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: UtcSeconds,
    /// How much, exactly as the server writes it.
    pub value: Amount,
}

/// Usage per identity.
pub type Usage<'t> = BTreeMap<&'t str, ExactSum>;

impl MetricTable {
    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.series.iter().map(|series| series.samples.len() as u64).sum()
    }

    /// Sums over the whole window for every combination of these labels' values, in the order asked for. `None`: the
    /// series does not carry the label, or the table does not know it.
    #[must_use]
    pub fn sums(&self, by: &[&str]) -> BTreeMap<Vec<Option<&str>>, ExactSum> {
        let places: Vec<Option<usize>> =
            by.iter().map(|label| self.labels.iter().position(|known| known == label)).collect();
        let mut sums: BTreeMap<Vec<Option<&str>>, ExactSum> = BTreeMap::new();
        for series in &self.series {
            let value = |place: &Option<usize>| series.values[(*place)?].as_deref();
            let sum = sums.entry(places.iter().map(value).collect()).or_insert(ExactSum::ZERO);
            series.samples.iter().for_each(|sample| sum.add(sample.value));
        }
        sums
    }

    /// Usage of every resource by identity, where one query speaks of all resources. Series that carry only one of
    /// the two labels speak of nobody, and are left out.
    #[must_use]
    pub fn usage(&self, resource: &str, identity: &str) -> BTreeMap<&str, Usage<'_>> {
        let mut usage: BTreeMap<&str, Usage<'_>> = BTreeMap::new();
        for (values, sum) in self.sums(&[resource, identity]) {
            if let [Some(resource), Some(identity)] = values[..] {
                usage.entry(resource).or_default().insert(identity, sum);
            }
        }
        usage
    }

    /// The sums of all series at each moment that has any.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<UtcSeconds, ExactSum> {
        let mut totals: BTreeMap<UtcSeconds, ExactSum> = BTreeMap::new();
        for sample in self.series.iter().flat_map(|series| &series.samples) {
            totals.entry(sample.at).or_insert(ExactSum::ZERO).add(sample.value);
        }
        totals
    }
}

/// Usage above nothing, by metric and identity, as amounts. A sum with more digits than an amount holds is told, and
/// does not count.
#[must_use]
pub fn amounts(
    usage: BTreeMap<(String, String), ExactSum>,
    lacking: &mut Vec<String>,
) -> Vec<(String, String, Amount)> {
    let mut all = Vec::with_capacity(usage.len());
    for ((metric, identity), sum) in usage {
        if sum.is_negative() || sum.is_zero() {
            continue;
        }
        match sum.priced(Amount::ONE, 1, 1) {
            Some(value) => all.push((metric, identity, value)),
            None => lacking.push(format!(
                "the usage of {identity} in {metric} is too large: divide it in the query"
            )),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> MetricTable {
        let series = |values: [Option<&str>; 2], samples: &[(i64, &str)]| Series {
            values: values.iter().map(|value| value.map(str::to_owned)).collect(),
            samples: samples
                .iter()
                .map(|(at, value)| Sample { at: UtcSeconds(*at), value: value.parse().unwrap() })
                .collect(),
        };
        MetricTable {
            labels: vec!["cluster".into(), "principal".into()],
            series: vec![
                series([Some("c1"), Some("a")], &[(0, "0.1"), (1, "0.2")]),
                series([Some("c1"), Some("a")], &[(1, "0.3")]),
                series(
                    [Some("c1"), Some("b")],
                    &[(0, "1e-28"), (1, "79228162514264337593543950335")],
                ),
                series([Some("c2"), Some("a")], &[(0, "5")]),
                series([None, Some("a")], &[(0, "7")]),
                series([Some("c2"), None], &[(1, "-9")]),
            ],
            ..MetricTable::default()
        }
    }

    #[test]
    fn sums_are_exact_and_by_label() {
        let table = table();
        let usage = table.usage("cluster", "principal");
        let text = |cluster: &str, principal: &str| usage[cluster][principal].to_string();
        assert_eq!(text("c1", "a"), "0.6");
        assert_eq!(text("c1", "b"), "79228162514264337593543950335.0000000000000000000000000001");
        assert_eq!(text("c2", "a"), "5");
        assert_eq!((usage.len(), usage["c2"].len()), (2, 1));
        let by = table.sums(&["cluster"]);
        assert_eq!(by[&vec![None]].to_string(), "7");
        assert_eq!(by[&vec![Some("c2")]].to_string(), "-4");
        assert_eq!(table.sums(&["unknown"]).keys().collect::<Vec<_>>(), [&vec![None]]);
        assert_eq!(table.samples(), 8);
    }

    #[test]
    fn totals_are_by_moment() {
        let totals = table().totals();
        let text = |at: i64| totals[&UtcSeconds(at)].to_string();
        assert_eq!(text(0), "12.1000000000000000000000000001");
        assert_eq!(text(1), "79228162514264337593543950326.5");
    }
}
