//! When a source is gathered next.
//!
//! Cron expressions mean the clock of their time zone. A time that the clock skips, because it is put forward, is run at
//! the first instant after the gap; a time that it shows twice, because it is put back, is run once, the first time. Ticks
//! that passed while a gather was under way, or while nobody led, are made up by one gather. Zones come from the database
//! that the program carries, so that every machine knows the same ones.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use proto::config::Schedule;

/// A schedule that names no times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not a cron expression.
    #[error(
        "{said}: write minute, hour, day of month, month and day of week, such as \"0 6 * * *\", or seconds before them"
    )]
    Cron {
        /// What is wrong with it.
        said: String,
    },
    /// It is one, and names no time that ever comes.
    #[error("such a time never comes: write one that does")]
    Never,
    /// Nobody knows the zone.
    #[error(
        "there is no time zone {0:?}: write a name of the tz database, such as Europe/Berlin, or UTC"
    )]
    Zone(String),
    /// The calendar ends.
    #[error("{0} lies outside of the calendar")]
    Calendar(String),
}

/// The time zone of that name.
///
/// # Errors
/// When there is none.
pub fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))
}

/// Names of time zones.
#[must_use]
pub fn zones() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// Reads a cron expression: five fields, or six with seconds first.
///
/// # Errors
/// When it is none.
fn cron(expression: &str) -> Result<Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| ScheduleError::Cron {
        said: error.to_string().trim_end_matches('.').to_owned(),
    })
}

/// Whether a schedule names times.
///
/// # Errors
/// When it does not.
pub fn check(schedule: &Schedule) -> Result<(), ScheduleError> {
    next_gather(schedule, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).map(|_| ())
}

/// When a source is to be gathered next, whose last gather was sent out at `last` and is over `now`.
///
/// An interval counts from the end of the last gather. A cron expression's next time is the first after `last`: where
/// that lies before `now` it is made up at once, once, however many were missed.
///
/// # Errors
/// When the schedule names no time.
pub fn next_gather(
    schedule: &Schedule,
    last: Timestamp,
    now: Timestamp,
) -> Result<Timestamp, ScheduleError> {
    match schedule {
        Schedule::Every(seconds) => now
            .checked_add(SignedDuration::from_secs((*seconds).into()))
            .map_err(|_| ScheduleError::Calendar(now.to_string())),
        Schedule::Cron { expression, time_zone } => {
            let (cron, zone) = (cron(expression)?, zone(time_zone)?);
            let mut clock = zone.to_datetime(last);
            // Times of day in order are instants in order, some of them the same: those of a clock that is put back or
            // forward. So this ends within an hour of them.
            loop {
                clock =
                    cron.find_next_occurrence(&clock, false).map_err(|_| ScheduleError::Never)?;
                let at = instant(&zone, clock)?;
                if at > last {
                    return Ok(at);
                }
            }
        }
    }
}

/// When a clock of that zone shows this: the first time, or the first instant after the gap where it never does.
///
/// # Errors
/// When it lies outside the calendar.
pub fn instant(zone: &TimeZone, clock: DateTime) -> Result<Timestamp, ScheduleError> {
    let outside = |_| ScheduleError::Calendar(clock.to_string());
    let ambiguous = zone.to_ambiguous_timestamp(clock);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().map_err(outside)
        }
        AmbiguousOffset::Gap { .. } => {
            // By the offset before the gap it lies as far behind its start as it stands in the gap.
            let later = ambiguous.later().map_err(outside)?;
            let after = later.checked_add(SignedDuration::from_nanos(1)).map_err(outside)?;
            Ok(zone.preceding(after).next().map_or(later, |change| change.timestamp()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin(expression: &str) -> Schedule {
        let (expression, time_zone) = (expression.to_owned(), "Europe/Berlin".to_owned());
        Schedule::Cron { expression, time_zone }
    }

    /// The next times after that one.
    fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut last = at(after);
        let mut step = || {
            last = next_gather(schedule, last, last).unwrap();
            last.to_string()
        };
        (0..count).map(|_| step()).collect()
    }

    #[test]
    fn an_interval_counts_from_the_end_of_the_last_gather() {
        let (sent, over) = (at("2026-05-01T06:00:00Z"), at("2026-05-01T06:20:00Z"));
        let due = next_gather(&Schedule::Every(900), sent, over).unwrap();
        assert_eq!(due, at("2026-05-01T06:35:00Z"));
    }

    #[test]
    fn a_cron_expression_means_the_clock_of_its_zone() {
        let daily = next(&berlin("0 6 * * *"), "2026-03-28T00:00:00Z", 3);
        assert_eq!(daily, ["2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"]);
        let workdays = next(&berlin("30 7 * * MON-FRI"), "2026-05-01T12:00:00Z", 1);
        assert_eq!(workdays, ["2026-05-04T05:30:00Z"]);
        let seconds = next(&berlin("*/20 * * * * *"), "2026-05-01T12:00:01.5Z", 2);
        assert_eq!(seconds, ["2026-05-01T12:00:20Z", "2026-05-01T12:00:40Z"]);
    }

    #[test]
    fn a_time_that_does_not_exist_is_run_at_the_next_instant_that_does() {
        // 2026-03-29 in Berlin: 02:00 is 03:00.
        let gap = "2026-03-29T01:00:00Z";
        let daily = next(&berlin("30 2 * * *"), "2026-03-28T12:00:00Z", 2);
        assert_eq!(daily, [gap, "2026-03-30T00:30:00Z"]);
        let start = next(&berlin("0 2 * * *"), "2026-03-28T12:00:00Z", 2);
        assert_eq!(start, [gap, "2026-03-30T00:00:00Z"]);
        // Sixty times that fall into the gap are one.
        let often = next(&berlin("*/10 * * * *"), "2026-03-29T00:45:00Z", 3);
        assert_eq!(often, ["2026-03-29T00:50:00Z", gap, "2026-03-29T01:10:00Z"]);
    }

    #[test]
    fn a_doubled_time_is_run_once() {
        // 2026-10-25 in Berlin: 03:00 is 02:00 again.
        let daily = next(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2);
        assert_eq!(daily, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let often = next(&berlin("*/30 * * * *"), "2026-10-24T23:45:00Z", 4);
        let wanted = [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z",
        ];
        assert_eq!(often, wanted);
        // Asked within the second showing.
        let second = next(&berlin("* * * * * *"), "2026-10-25T01:30:00Z", 1);
        assert_eq!(second, ["2026-10-25T02:00:00Z"]);
    }

    #[test]
    fn missed_times_are_made_up_once() {
        let hourly = berlin("0 * * * *");
        let (sent, now) = (at("2026-05-01T06:00:01Z"), at("2026-05-02T06:30:00Z"));
        let missed = next_gather(&hourly, sent, sent).unwrap();
        assert!(missed < now);
        // It is sent out at once; the one after it lies ahead.
        assert!(next_gather(&hourly, now, now).unwrap() > now);
    }

    #[test]
    fn what_names_no_time_is_refused() {
        let said = |expression: &str| check(&berlin(expression)).unwrap_err().to_string();
        for wrong in
            ["", "0 6 * *", "61 * * * *", "0 25 * * *", "0 6 * * * * *", "at six", "@reboot"]
        {
            assert!(said(wrong).contains("such as \"0 6 * * *\""), "{wrong:?}: {}", said(wrong));
        }
        assert_eq!(check(&berlin("0 6 30 2 *")), Err(ScheduleError::Never));
        let zone = check(&Schedule::Cron {
            expression: "0 6 * * *".to_owned(),
            time_zone: "Europe/Berln".to_owned(),
        });
        assert_eq!(zone, Err(ScheduleError::Zone("Europe/Berln".to_owned())));
        assert!(zones().iter().any(|name| name == "Europe/Berlin"));
    }

    proptest! {
        #[test]
        fn times_come_in_order_and_on_the_clock_but_for_gaps(
            minute in 0..60_i8,
            hour in 0..24_i8,
            seconds in 1_700_000_000..1_900_000_000_i64,
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let schedule = Schedule::Cron {
                expression: format!("{minute} {hour} * * *"),
                time_zone: name.to_owned(),
            };
            let zone = zone(name).unwrap();
            let (mut last, mut days) = (Timestamp::from_second(seconds).unwrap(), Vec::new());
            for _ in 0..8 {
                let due = next_gather(&schedule, last, last).unwrap();
                prop_assert!(due > last);
                let clock = zone.to_datetime(due);
                let exact = (clock.hour(), clock.minute()) == (hour, minute);
                let wanted = clock.date().at(hour, minute, 0, 0);
                let gap = matches!(zone.to_ambiguous_timestamp(wanted).offset(), AmbiguousOffset::Gap { .. });
                prop_assert!(exact || gap && clock > wanted.checked_sub(SignedDuration::from_hours(1)).unwrap(), "{} {}", clock, wanted);
                days.push(clock.date());
                last = due;
            }
            // Once a day, no day left out.
            prop_assert!(days.windows(2).all(|pair| pair[0].tomorrow().unwrap() == pair[1]), "{:?}", days);
        }
    }
}
