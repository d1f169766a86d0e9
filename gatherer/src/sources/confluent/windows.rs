//! Which days one question asks for: pure rules.

use proto::config::ConfluentSettings;
use proto::time::{TimeError, UnitDate};

use crate::window::Window;

/// How many days back the API answers for.
const DAYS_BACK: i64 = 364;

/// Days of one question: `from` inclusive, `until` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// Inclusive.
    pub from: UnitDate,
    /// Exclusive.
    pub until: UnitDate,
}

impl Days {
    /// Whether a date is one of them.
    #[must_use]
    pub fn contains(&self, date: UnitDate) -> bool {
        self.from <= date && date < self.until
    }
}

/// The questions for everything of a window that the API can answer, each day in exactly one of them. Today is not
/// over, and so not asked for.
///
/// # Errors
/// When a day lies outside the calendar.
pub fn questions(window: Window, today: UnitDate, days: u32) -> Result<Vec<Days>, TimeError> {
    let days = i64::from(days.clamp(1, ConfluentSettings::DAYS_PER_QUERY_MAX));
    let (mut all, mut open) = (Vec::new(), None::<Days>);
    for back in (1..=DAYS_BACK).rev() {
        let date = today.plus_days(-back)?;
        if !window.contains(date) {
            continue;
        }
        let until = date.plus_days(1)?;
        match &mut open {
            Some(open) if date.epoch_days() - open.from.epoch_days() < days => open.until = until,
            _ => all.extend(open.replace(Days { from: date, until })),
        }
    }
    all.extend(open);
    Ok(all)
}

/// Whether the API still answers for a date.
#[must_use]
pub fn is_in_reach(date: UnitDate, today: UnitDate) -> bool {
    (1..=DAYS_BACK).contains(&(today.epoch_days() - date.epoch_days()))
}
