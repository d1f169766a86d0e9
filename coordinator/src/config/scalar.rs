//! Numbers with units, percents and dates as text. Pure.

use proto::money::{Amount, ExactSum};
use proto::time::UnitDate;

/// Whole days: `5d`, `2w`.
///
/// # Errors
/// How to write it.
pub fn days(text: &str) -> Result<u32, String> {
    let seconds = seconds(text).map_err(|_| match text.parse::<u16>() {
        Ok(days) => format!("write its unit: did you mean `{days}d`?"),
        Err(_) => "write whole days, such as 5d".to_owned(),
    })?;
    match (seconds % 86_400, u32::try_from(seconds / 86_400)) {
        (0, Ok(days)) if days <= 36_500 => Ok(days),
        _ => Err("write whole days, such as 5d, at most 36500d".to_owned()),
    }
}

/// Whole days back from today, at least one.
///
/// # Errors
/// How to write it.
pub fn lookback(text: &str) -> Result<u32, String> {
    match days(text)? {
        0 => {
            Err("that leaves out every date: write at least 1d, or remove it for all dates"
                .to_owned())
        }
        days => Ok(days),
    }
}

/// Seconds of a duration: `90s`, `30m`, `24h`, `5d`, `2w`.
///
/// # Errors
/// How to write it.
pub fn seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800)];
    number_with_unit(text, &units)
        .ok_or_else(|| "write a number with its unit, such as 90s, 30m, 24h, 5d or 2w".to_owned())
}

/// Seconds of a duration that is none: a second or more, and less than a century.
///
/// # Errors
/// How to write it.
pub fn some_seconds(text: &str) -> Result<u32, String> {
    match u32::try_from(seconds(text)?) {
        Ok(0) => Err("write at least 1s".to_owned()),
        Ok(seconds) => Ok(seconds),
        Err(_) => Err("that is longer than a century".to_owned()),
    }
}

/// The same, or 0 for `never`.
///
/// # Errors
/// How to write it.
pub fn seconds_or_never(text: &str) -> Result<u32, String> {
    match text {
        "never" => Ok(0),
        _ => some_seconds(text).map_err(|error| format!("{error}, or `never`")),
    }
}

/// Minutes of the day of a time on the clock: `08:00`.
///
/// # Errors
/// How to write it.
pub fn clock(text: &str) -> Result<u16, String> {
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| digits)
    };
    let minutes = text.split_once(':').and_then(|(hour, minute)| {
        let (hour, minute) = (number(hour)?, number(minute)?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    });
    minutes.ok_or_else(|| "write hours and minutes in quotes, such as \"08:00\"".to_owned())
}

/// The address of a web server: `http://host:9090/prefix`, without credentials and query.
///
/// # Errors
/// How to write it.
pub fn web_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let form = "write http://HOST:PORT or https://HOST";
    let host = rest.ok_or(form)?.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err("write it without credentials: they have keys of their own".to_owned());
    }
    if text.contains(['?', '#']) {
        return Err("write it without a query: end it with the path".to_owned());
    }
    if host.is_empty() || text.contains(char::is_whitespace) {
        return Err(form.to_owned());
    }
    Ok(text.to_owned())
}

/// Bytes of a size: `100B`, `64KiB`, `10MB`, `1GiB`.
///
/// # Errors
/// How to write it.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    number_with_unit(text, &units)
        .ok_or_else(|| "write a number with its unit, such as 64KiB, 10MB or 1GiB".to_owned())
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A percentage from 0 to 100: `60`, `33.3`, `20%`.
///
/// # Errors
/// What is wrong with it.
pub fn percent(text: &str) -> Result<Amount, String> {
    let number = text.trim_end().strip_suffix('%').unwrap_or(text);
    let amount = Amount::parse(number).map_err(|error| error.to_string())?;
    let hundred = Amount::parse("100").map_err(|error| error.to_string())?;
    if amount.is_negative() || amount > hundred {
        return Err("a percentage lies between 0 and 100".to_owned());
    }
    Ok(amount)
}

/// What percents add to, if not 100.
#[must_use]
pub fn sum_not_100<'a>(percents: impl IntoIterator<Item = &'a Amount>) -> Option<String> {
    let mut sum = ExactSum::ZERO;
    percents.into_iter().for_each(|percent| sum.add(*percent));
    let text = sum.to_string();
    (text != "100").then_some(text)
}

/// The percentage, from the last one back, that alone can be changed so that all add to exactly 100: its index, and
/// what to write there. `None`: no single change does it, or would leave nothing there.
#[must_use]
pub fn change_to_100(percents: &[Amount]) -> Option<(usize, String)> {
    let changed = |(index, percent): (usize, &Amount)| {
        let mut rest = ExactSum::from(Amount::parse("100").ok()?);
        percents.iter().for_each(|percent| rest.sub(*percent));
        rest.add(*percent);
        let text = rest.to_string();
        self::percent(&text).is_ok_and(|rest| !rest.is_zero()).then_some((index, text))
    };
    percents.iter().enumerate().rev().find_map(changed)
}

/// The day that a date in another notation means, where only one can be meant: `2026-7-1`, `2026/07/01`, `1.7.2026`.
#[must_use]
pub fn date_meant(text: &str) -> Option<UnitDate> {
    let parts: Vec<&str> = text.split(['-', '/', '.']).map(str::trim).collect();
    let [first, second, third] = parts[..] else { return None };
    let number = |part: &str| part.parse::<u16>().ok();
    let (year, month, day) = match (number(first)?, number(second)?, number(third)?) {
        (year, month, day) if first.len() == 4 => (year, month, day),
        (day, month, year) if third.len() == 4 && (text.contains('.') || day > 12) => {
            (year, month, day)
        }
        (month, day, year) if third.len() == 4 && day > 12 => (year, month, day),
        (..) => return None,
    };
    format!("{year:04}-{month:02}-{day:02}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed() {
        assert_eq!(days("5d"), Ok(5));
        assert_eq!(days("48h"), Ok(2));
        assert_eq!(lookback("1d"), Ok(1));
        assert_eq!([clock("00:00"), clock("08:05"), clock("23:59")], [Ok(0), Ok(485), Ok(1_439)]);
        for wrong in ["8:00", "24:00", "08:60", "08:0", "0800", "+8:00", "480", ""] {
            assert!(clock(wrong).unwrap_err().contains("\"08:00\""), "{wrong}");
        }
        assert!(lookback("0d").unwrap_err().contains("at least 1d"));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(bytes("1GiB"), Ok(1 << 30));
        assert_eq!(bytes("10 MB"), Ok(10_000_000));
        for bad in ["5", "d", "", "-1d", "1.5d", "5 days", "99999999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(days("36h").unwrap_err().contains("such as 5d"));
        assert!(bytes("10").unwrap_err().contains("64KiB"));
    }

    #[test]
    fn dates_are_guessed_where_one_can_be_meant() {
        let meant = |text: &str| date_meant(text).map(|date| date.to_string());
        for text in ["2026-7-1", "2026/07/01", "01.07.2026", "1.7.2026"] {
            assert_eq!(meant(text).unwrap(), "2026-07-01", "{text}");
        }
        assert_eq!(meant("7/31/2026").unwrap(), "2026-07-31");
        assert_eq!(meant("31/7/2026").unwrap(), "2026-07-31");
        for text in ["07/01/2026", "01-07-2026", "2026-13-01", "2026-06-31", "2026-07", "soon", ""]
        {
            assert_eq!(meant(text), None, "{text}");
        }
    }

    #[test]
    fn one_percentage_is_changed_where_that_is_enough() {
        let change = |texts: &[&str]| {
            change_to_100(&texts.iter().map(|t| percent(t).unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(change(&["60", "39"]), Some((1, "40".to_owned())));
        assert_eq!(change(&["33.33", "33.33", "33.33"]), Some((2, "33.34".to_owned())));
        assert_eq!(change(&["90", "10", "5"]), Some((1, "5".to_owned())));
        assert_eq!(change(&["60", "60", "60"]), None);
        assert_eq!(change(&[]), None);
    }

    #[test]
    fn percents_are_exact() {
        let read = |text: &str| percent(text).map(|amount| amount.to_string());
        assert_eq!(read("33.3").unwrap(), "33.3");
        assert_eq!(read("20%").unwrap(), "20");
        assert_eq!(read("0").unwrap(), "0");
        assert_eq!(read("100").unwrap(), "100");
        for bad in ["-1", "100.0000001", "many", "", "1,5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let sum = |texts: &[&str]| {
            sum_not_100(&texts.iter().map(|t| percent(t).unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(sum(&["33.3", "33.3", "33.4"]), None);
        assert_eq!(sum(&["60", "39"]).unwrap(), "99");
        assert_eq!(sum(&["33.33", "33.33", "33.33"]).unwrap(), "99.99");
    }
}
