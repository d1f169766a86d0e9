//! What is asked again, and when: pure rules.

use std::time::Duration;

use jiff::Timestamp;

/// Seconds from which on a time of the headers is meant as seconds since 1970.
const EPOCH_FROM: i64 = 1_000_000_000;

/// Pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before the second attempt; doubled before each further one, plus up to as much again by chance.
    pub first: Duration,
    /// Longest of these.
    pub longest: Duration,
    /// Longest pause that a server may ask for; one that asks for more is not asked again for now.
    pub wait_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            wait_max: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// The pause before the next attempt; `None`: there is none. `planned`: the pause that would be made anyway.
    #[must_use]
    pub fn pause(&self, planned: Option<Duration>, asked: Option<Duration>) -> Option<Duration> {
        let planned = planned?;
        match asked {
            Some(asked) if asked > self.wait_max => None,
            // Others were told the same: some chance stays in it.
            Some(asked) => Some(asked.saturating_add(planned.min(self.first))),
            None => Some(planned),
        }
    }
}

/// Whether a refusal may pass by itself.
#[must_use]
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// How long a server wants to be left alone. `header` gives the text of a header by its lower-case name.
///
/// `Retry-After` holds seconds or a date; the headers of rate limits hold seconds, or seconds since 1970.
#[must_use]
pub fn asked_pause<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now: Timestamp,
) -> Option<Duration> {
    if let Some(text) = header("retry-after") {
        return seconds(text, now).or_else(|| {
            let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
            until(date.as_second(), now)
        });
    }
    ["ratelimit-reset", "x-ratelimit-reset"]
        .into_iter()
        .find_map(|name| seconds(header(name)?, now))
}

fn seconds(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds: i64 = text.trim().parse().ok()?;
    if seconds >= EPOCH_FROM {
        return until(seconds, now);
    }
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// From now until then; nothing if that is past.
fn until(then: i64, now: Timestamp) -> Option<Duration> {
    let left = then.saturating_sub(now.as_second()).max(0);
    u64::try_from(left).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_asked_again() {
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 599] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 204, 301, 400, 401, 403, 404, 409, 410, 422, 428, 431] {
            assert!(!is_transient(status), "{status}");
        }
    }

    #[test]
    fn servers_say_how_long_to_wait_in_several_ways() {
        let now: Timestamp = "2026-10-01T12:00:00Z".parse().unwrap();
        let asked = |name: &'static str, text: &'static str| {
            asked_pause(|wanted| (wanted == name).then_some(text), now).map(|d| d.as_secs())
        };
        assert_eq!(asked("retry-after", "7"), Some(7));
        assert_eq!(asked("retry-after", "0"), Some(0));
        assert_eq!(asked("retry-after", "Thu, 01 Oct 2026 12:00:30 GMT"), Some(30));
        assert_eq!(asked("retry-after", "Thu, 01 Oct 2026 11:00:00 GMT"), Some(0));
        assert_eq!(asked("ratelimit-reset", "59"), Some(59));
        assert_eq!(asked("x-ratelimit-reset", "1790856060"), Some(60));
        for (name, text) in
            [("retry-after", "soon"), ("retry-after", "-1"), ("retry-after", ""), ("other", "7")]
        {
            assert_eq!(asked(name, text), None, "{name} {text}");
        }
        // What Retry-After says counts, whatever else is there.
        let both = |name: &str| Some(if name == "retry-after" { "3" } else { "60" });
        assert_eq!(asked_pause(both, now), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_server_that_asks_for_too_much_is_not_asked_again() {
        let patience = Patience::default();
        let seconds = |n: u64| Some(Duration::from_secs(n));
        assert_eq!(patience.pause(seconds(4), None), seconds(4));
        assert_eq!(patience.pause(seconds(4), seconds(10)), seconds(11));
        assert_eq!(patience.pause(seconds(4), seconds(120)), seconds(121));
        assert_eq!(patience.pause(seconds(4), seconds(121)), None);
        assert_eq!(patience.pause(None, seconds(1)), None);
    }
}
