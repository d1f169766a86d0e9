//! Dates and times as bills write them, read exactly or refused.

use crate::time::UtcSeconds;

/// A point in time as a bill gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Whole seconds, towards the past.
    pub at: UtcSeconds,
    /// Whether the text says more than that: a part of a second.
    pub more: bool,
}

/// What a refused text should have looked like.
pub const FORM: &str = "write YYYY-MM-DDTHH:MM:SSZ";

/// Reads `YYYY-MM-DD`, then optionally `T` or a blank and `HH:MM`, `:SS`, `.fraction`, then optionally `Z`, `UTC` or
/// an offset such as `+02:00`, `+0200` or `+02`. Without a zone it is UTC. `None`: it is none of these, or no such
/// day or time exists.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Moment> {
    let mut rest = text.trim_ascii();
    let days = date(&mut rest)?;
    let (mut seconds, mut more) = (0, false);
    if let [b'T' | b't' | b' ', tail @ ..] = rest {
        rest = tail.trim_ascii_start();
        (seconds, more) = time(&mut rest)?;
    }
    let offset = zone(rest.trim_ascii())?;
    Some(Moment { at: UtcSeconds(days * 86_400 + seconds - offset), more })
}

/// The one text of a point in time, whatever form a bill gives it in: `YYYY-MM-DDTHH:MM:SSZ`, with parts of a second
/// where it says them, without zeros at their end. `None`: it is none, or of a year that has no such text.
#[must_use]
pub fn canonical(text: &[u8]) -> Option<String> {
    let moment = parse(text)?;
    let mut written = moment.at.to_string();
    if !written.ends_with('Z') {
        return None;
    }
    if moment.more {
        let parts = text.iter().skip_while(|b| !matches!(b, b'.' | b',')).skip(1);
        let parts: String =
            parts.take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
        written.truncate(written.len() - 1);
        written = format!("{written}.{}Z", parts.trim_end_matches('0'));
    }
    Some(written)
}

fn date(rest: &mut &[u8]) -> Option<i64> {
    let (year, month, day) = (number(rest, 4)?, after(rest, b'-', 2)?, after(rest, b'-', 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    ((1..=last).contains(&day) && year > 0).then(|| days(year, month, day))
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar. Years start in March here, so that the leap
/// day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn time(rest: &mut &[u8]) -> Option<(i64, bool)> {
    let (hour, minute) = (number(rest, 2)?, after(rest, b':', 2)?);
    let second = if rest.first() == Some(&b':') { after(rest, b':', 2)? } else { 0 };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut more = false;
    if let [b'.' | b',', tail @ ..] = *rest {
        let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        more = tail[..digits].iter().any(|b| *b != b'0');
        *rest = &tail[digits..];
    }
    Some((hour * 3_600 + minute * 60 + second, more))
}

/// Seconds that local time is ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match text {
        [] | b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = number(&mut rest, 2)?;
    if rest.first() == Some(&b':') {
        rest = &rest[1..];
    }
    let minutes = if rest.is_empty() { 0 } else { number(&mut rest, 2)? };
    (rest.is_empty() && hours <= 18 && minutes <= 59)
        .then_some(sign * (hours * 3_600 + minutes * 60))
}

fn after(rest: &mut &[u8], mark: u8, digits: usize) -> Option<i64> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if *first == mark { number(rest, digits) } else { None }
}

fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(|moment| moment.at.to_string())
    }

    #[test]
    fn every_form_of_the_wild_is_read() {
        for (text, want) in [
            ("2024-09-18T22:00:00Z", "2024-09-18T22:00:00Z"),
            ("2024-09-18 22:00:00", "2024-09-18T22:00:00Z"),
            ("2024-09-18 22:00:00 UTC", "2024-09-18T22:00:00Z"),
            ("2024-09-18 22:00:00+00", "2024-09-18T22:00:00Z"),
            ("2024-09-18T22:00Z", "2024-09-18T22:00:00Z"),
            ("2024-09-18", "2024-09-18T00:00:00Z"),
            ("2024-09-18Z", "2024-09-18T00:00:00Z"),
            ("2024-09-18T01:30:00+02:00", "2024-09-17T23:30:00Z"),
            ("2024-12-31T23:30:00-0130", "2025-01-01T01:00:00Z"),
            ("  2024-02-29T00:00:00.000Z ", "2024-02-29T00:00:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(parse(b"2024-09-18T22:00:00.250Z").map(|m| m.more), Some(true));
        assert_eq!(parse(b"2024-09-18T22:00:00.000Z").map(|m| m.more), Some(false));
    }

    #[test]
    fn a_time_has_one_text() {
        for (text, want) in [
            ("2024-09-18", Some("2024-09-18T00:00:00Z")),
            ("2024-09-18 22:00:00.000", Some("2024-09-18T22:00:00Z")),
            ("2024-09-18T22:00:00,2500+02:00", Some("2024-09-18T20:00:00.25Z")),
            (" 2024-09-18t22:00:00.000000001Z", Some("2024-09-18T22:00:00.000000001Z")),
            ("soon", None),
        ] {
            assert_eq!(canonical(text.as_bytes()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024-13-01",
            "2024-00-10",
            "2023-02-29",
            "2024-04-31",
            "2024-09-18T24:00:00Z",
            "2024-09-18T22:60:00Z",
            "09/18/2024",
            "18.09.2024",
            "20240918",
            "2024-9-18",
            "2024-09-18X",
            "2024-09-18T",
            "2024-09-18T22",
            "2024-09-18T22:00:00 CET",
            "2024-09-18T22:00:00+2",
            "2024-09-18T22:00:00.Z",
            "45553",
            "NULL",
            "0000-01-01",
            "2024-09-18T22:00:00+02:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn days_agree_with_the_calendar() {
        for day in (-800_000..200_000).step_by(37) {
            let Ok(date) = UtcSeconds(day * 86_400).date() else { continue };
            if date.civil().year() > 0 {
                assert_eq!(
                    parse(date.to_string().as_bytes()).map(|m| m.at),
                    Some(date.start()),
                    "{date}"
                );
            }
        }
    }
}
