//! Samples of a range of days, day by day: pure. A moment belongs to exactly one day.

use std::collections::BTreeMap;

use proto::money::ExactSum;
use proto::time::{UnitDate, UtcSeconds};

use crate::error::GatherError;
use crate::metrics::{MetricTable, Sampling, Window};

/// Seconds of a UTC day.
pub const DAY: i64 = 86_400;

/// What was measured on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Sum over all moments and series.
    pub sum: ExactSum,
    /// Number of moments with a sample.
    pub moments: u32,
}

/// The window of the days from `first` to `last`, both included.
pub fn window(first: UnitDate, last: UnitDate) -> Window {
    Window { start: first.start(), end: UtcSeconds(last.start().0 + DAY) }
}

/// Sums by day. Days without any sample are not there.
///
/// # Errors
/// When a sample lies outside the calendar.
pub fn by_day(
    table: &MetricTable,
    sampling: Sampling,
) -> Result<BTreeMap<UnitDate, Measurement>, GatherError> {
    let mut days: BTreeMap<UnitDate, Measurement> = BTreeMap::new();
    for (at, sum) in table.totals() {
        // A step that ends at midnight is the last one of the day before.
        let inside = match sampling {
            Sampling::Forward => at,
            Sampling::Backward => UtcSeconds(at.0 - 1),
        };
        let date = inside.date().map_err(|error| {
            GatherError::Config(format!("a sample leaves the calendar: {error}"))
        })?;
        let day = days.entry(date).or_insert(Measurement { sum: ExactSum::ZERO, moments: 0 });
        day.sum.merge(&sum);
        day.moments += 1;
    }
    Ok(days)
}

/// How many moments a day has.
pub fn moments_of_a_day(step: u32) -> u32 {
    (DAY as u32).div_ceil(step.max(1))
}
