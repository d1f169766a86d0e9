//! How long a failed piece of work waits, and when it is given up.

use std::time::Duration;

/// Equal data errors after which a unit is quarantined.
pub const EQUAL_ERRORS_MAX: i32 = 3;
/// Transient failures of one source or emission after which a single run gives up; a standing one never does.
pub const ATTEMPTS_OF_A_RUN: i32 = 8;
/// A step that takes longer gets a new generation.
pub const STEP_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A task that was sent this long ago, and is neither queued nor held nor reported, is sent again.
pub const RESEND_AFTER: Duration = Duration::from_secs(30);

/// The pause before attempt number `attempts` + 1: the `first` one, doubling, at most a minute.
#[must_use]
pub fn pause(first: Duration, attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(7);
    (first * (1 << doublings)).min(Duration::from_secs(60))
}

/// The pause before a date is resolved again that lacks something after `attempts` attempts, `None` when there were
/// `most` of them. Five minutes, six times longer each time, at most a day: a server that is away for an hour is no
/// reason to do without it for ever.
#[must_use]
pub fn resolve_again(attempts: i32, most: u32) -> Option<Duration> {
    let made = u32::try_from(attempts).unwrap_or(0);
    let longer = 6_u64.saturating_pow(made.saturating_sub(1).min(4));
    (made < most).then(|| Duration::from_secs(300 * longer).min(Duration::from_secs(86_400)))
}

/// Samples come late: a window is asked about once more when it has been over for so long, in seconds.
const SAMPLES_LATE: i64 = 600;

/// The pause before a window that ends at `until` is measured again, `None` when it was over; both in seconds since
/// 1970. An hour while it runs.
#[must_use]
pub fn measure_again(now: i64, until: i64) -> Option<Duration> {
    let left = until.saturating_add(SAMPLES_LATE).saturating_sub(now);
    u64::try_from(left)
        .ok()
        .filter(|left| *left > 0)
        .map(|left| Duration::from_secs(left.min(3_600)))
}

/// A reason without the number of the attempt's generation, which alone does not make it another error.
#[must_use]
pub fn without_generation(reason: &str, generation: i64) -> String {
    let generation = generation.to_string();
    let mut kept = String::with_capacity(reason.len());
    let mut rest = reason;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, after) = digits.split_at(end);
        kept.push_str(before);
        if number != generation {
            kept.push_str(number);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_resolved_again_so_often() {
        let minutes = |attempts, most| resolve_again(attempts, most).map(|d| d.as_secs() / 60);
        assert_eq!([1, 2, 3].map(|n| minutes(n, 3)), [Some(5), Some(30), None]);
        assert_eq!(minutes(9, 10), Some(1_440));
        assert_eq!(minutes(1, 1), None);
    }

    #[test]
    fn a_window_is_measured_again_until_it_has_been_over_for_a_while() {
        let seconds = |now| measure_again(now, 100_000).map(|pause| pause.as_secs());
        assert_eq!([0, 99_000, 100_599].map(seconds), [Some(3_600), Some(1_600), Some(1)]);
        assert_eq!([100_600, i64::MAX].map(seconds), [None, None]);
    }

    #[test]
    fn errors_of_two_generations_are_equal() {
        let reason =
            |g: i64| format!("integrity: rows of 2026-05-01, generation {g}: 112 too many");
        assert_eq!(without_generation(&reason(12), 12), without_generation(&reason(907), 907));
        assert!(without_generation(&reason(12), 12).contains("112 too many"));
        assert_eq!(without_generation("7", 7), "");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let of = |attempts| pause(Duration::from_millis(500), attempts);
        assert_eq!(of(0), Duration::from_millis(500));
        assert_eq!(of(1), Duration::from_millis(500));
        assert_eq!(of(3), Duration::from_secs(2));
        assert_eq!(of(8), Duration::from_secs(60));
        assert_eq!(of(i32::MAX), Duration::from_secs(60));
    }
}
