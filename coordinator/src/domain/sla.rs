//! By when dates are to be visible.
//!
//! Each date is judged once, when its time has come, in order. Where it starts nothing older is judged: what was there
//! before somebody asked, what is gathered or calculated again, can break no promise.

use jiff::Timestamp;
use jiff::civil::Time;
use proto::config::Sla;
use proto::time::UnitDate;

use super::schedule::{ScheduleError, instant, zone};

/// A date and when it is to be visible.
pub type Due = (UnitDate, Timestamp);

/// When a date is to be visible.
///
/// # Errors
/// When the zone is unknown, or the calendar ends.
pub fn due(sla: &Sla, date: UnitDate) -> Result<Timestamp, ScheduleError> {
    let outside = || ScheduleError::Calendar(date.to_string());
    let day = date.plus_days(sla.after_days.into()).map_err(|_| outside())?;
    let (hour, minute) = (sla.visible_by / 60, sla.visible_by % 60);
    let (hour, minute) = (i8::try_from(hour).unwrap_or(23), i8::try_from(minute).unwrap_or(59));
    let time = Time::new(hour, minute, 0, 0).map_err(|_| outside())?;
    instant(&zone(&sla.time_zone)?, day.civil().to_datetime(time))
}

/// The first date from `from` on whose time is still to come.
///
/// # Errors
/// As [`due`].
pub fn first(sla: &Sla, from: UnitDate, now: Timestamp) -> Result<Due, ScheduleError> {
    let mut date = from;
    loop {
        let at = due(sla, date)?;
        if at > now {
            return Ok((date, at));
        }
        date = after(date)?;
    }
}

/// The dates from `from` on whose time has come, `most` at a time; and the one that is judged next.
///
/// # Errors
/// As [`due`].
pub fn passed(
    sla: &Sla,
    from: UnitDate,
    now: Timestamp,
    most: usize,
) -> Result<(Vec<Due>, Due), ScheduleError> {
    let mut passed = Vec::new();
    let mut date = from;
    loop {
        let at = due(sla, date)?;
        if at > now || passed.len() == most {
            return Ok((passed, (date, at)));
        }
        passed.push((date, at));
        date = after(date)?;
    }
}

fn after(date: UnitDate) -> Result<UnitDate, ScheduleError> {
    date.plus_days(1).map_err(|_| ScheduleError::Calendar(date.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sla(visible_by: u16, time_zone: &str, after_days: u32) -> Sla {
        Sla { visible_by, time_zone: time_zone.to_owned(), after_days }
    }

    fn day(text: &str) -> UnitDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_date_is_due_some_days_after_it_by_the_clock_of_the_zone() {
        let of = |sla: &Sla, date: &str| due(sla, day(date)).unwrap().to_string();
        assert_eq!(of(&sla(480, "UTC", 1), "2026-05-01"), "2026-05-02T08:00:00Z");
        assert_eq!(of(&sla(480, "Europe/Berlin", 1), "2026-03-27"), "2026-03-28T07:00:00Z");
        assert_eq!(of(&sla(480, "Europe/Berlin", 1), "2026-03-28"), "2026-03-29T06:00:00Z");
        // 02:30 does not exist on that day.
        assert_eq!(of(&sla(150, "Europe/Berlin", 1), "2026-03-28"), "2026-03-29T01:00:00Z");
        assert_eq!(of(&sla(0, "UTC", 0), "2026-05-01"), "2026-05-01T00:00:00Z");
        assert!(due(&sla(0, "UTC+1h", 0), day("2026-05-01")).is_err());
    }

    #[test]
    fn what_is_older_than_the_first_question_is_never_judged() {
        let sla = sla(480, "UTC", 1);
        let next = |now| first(&sla, day("2026-05-03"), at(now)).unwrap();
        assert_eq!(next("2026-05-03T09:00:00Z"), (day("2026-05-03"), at("2026-05-04T08:00:00Z")));
        assert_eq!(next("2026-05-04T08:00:00Z"), (day("2026-05-04"), at("2026-05-05T08:00:00Z")));
    }

    #[test]
    fn dates_are_judged_in_order_and_a_bounded_number_at_a_time() {
        let sla = sla(480, "UTC", 1);
        let now = at("2026-05-05T08:00:00Z");
        let (dates, next) = passed(&sla, day("2026-05-01"), now, 3).unwrap();
        assert_eq!(dates.len(), 3);
        assert_eq!(next, (day("2026-05-04"), now));
        let (rest, next) = passed(&sla, next.0, now, 3).unwrap();
        assert_eq!(rest, [(day("2026-05-04"), now)]);
        assert_eq!(next.0, day("2026-05-05"));
        assert_eq!(passed(&sla, next.0, now, 3).unwrap(), (vec![], next));
    }

    proptest! {
        #[test]
        fn every_date_is_judged_once_whenever_somebody_looks(
            visible_by in 0..1_440_u16,
            after_days in 0..4_u32,
            looks in prop::collection::vec(1..200_i64, 1..20),
        ) {
            let sla = sla(visible_by, "Europe/Berlin", after_days);
            let mut now = at("2026-03-20T12:00:00Z");
            let (start, _) = first(&sla, day("2026-03-20"), now).unwrap();
            let (mut next, mut judged) = (start, Vec::new());
            for hours in looks {
                now = now.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
                let (dates, (to, ahead)) = passed(&sla, next, now, 1_000).unwrap();
                prop_assert!(dates.iter().all(|(_, at)| *at <= now) && ahead > now);
                judged.extend(dates.into_iter().map(|(date, _)| date));
                next = to;
            }
            let all: Vec<UnitDate> = (0..).map(|n| start.plus_days(n).unwrap()).take_while(|date| *date < next).collect();
            prop_assert_eq!(judged, all);
        }
    }
}
