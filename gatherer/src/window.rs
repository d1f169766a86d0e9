//! Which dates a gather asks for and speaks for: a pure rule.

use proto::task::Gather;
use proto::time::UnitDate;

/// The dates that a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: Option<UnitDate>,
    until: Option<UnitDate>,
    today: UnitDate,
}

impl Window {
    /// The window of a task.
    #[must_use]
    pub fn of(task: &Gather) -> Self {
        Self { from: task.from, until: task.until, today: task.today }
    }

    /// Whether a date is asked for.
    #[must_use]
    pub fn contains(&self, date: UnitDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.until.is_none_or(|until| date <= until)
    }

    /// First and last date that a gather speaks for, which found and knows `dates` in the window: the window where it
    /// is bounded, else these dates; today where there are none at all.
    #[must_use]
    pub fn covered(&self, dates: impl Iterator<Item = UnitDate> + Clone) -> (UnitDate, UnitDate) {
        let found = dates.filter(|date| self.contains(*date));
        let first = found.clone().min();
        let last = found.max();
        let from = self.from.or(first).or(self.until).unwrap_or(self.today);
        let to = self.until.or(last).unwrap_or(self.today);
        (from, to.max(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gather_speaks_for_its_window_or_for_what_it_found() {
        let day = |n: i64| proto::time::FIRST_DATE.plus_days(n).unwrap();
        let window = |from: Option<i64>, until: Option<i64>| Window {
            from: from.map(day),
            until: until.map(day),
            today: day(100),
        };
        let covered = |w: Window, dates: &[i64]| w.covered(dates.iter().map(|n| day(*n)));
        assert_eq!(covered(window(None, None), &[7, 3, 9]), (day(3), day(9)));
        assert_eq!(covered(window(None, None), &[]), (day(100), day(100)));
        assert_eq!(covered(window(Some(5), None), &[3, 9]), (day(5), day(9)));
        assert_eq!(covered(window(Some(95), None), &[3]), (day(95), day(100)));
        assert_eq!(covered(window(Some(5), Some(20)), &[3, 9, 30]), (day(5), day(20)));
        assert_eq!(covered(window(None, Some(20)), &[30]), (day(20), day(20)));
        assert!(
            window(Some(5), Some(20)).contains(day(20))
                && !window(Some(5), Some(20)).contains(day(21))
        );
        assert!(!window(Some(5), None).contains(day(4)));
    }
}
