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

/// The pause before attempt number `attempts` + 1: half a second, doubling, at most a minute.
#[must_use]
pub fn pause(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(7);
    Duration::from_millis(500 << doublings).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause(0), Duration::from_millis(500));
        assert_eq!(pause(1), Duration::from_millis(500));
        assert_eq!(pause(3), Duration::from_secs(2));
        assert_eq!(pause(8), Duration::from_secs(60));
        assert_eq!(pause(i32::MAX), Duration::from_secs(60));
    }
}
