//! Numbers with units, percents and dates as text. Pure.

use proto::money::{Amount, ExactSum};

/// Whole days: `5d`, `2w`.
///
/// # Errors
/// How to write it.
pub fn days(text: &str) -> Result<u32, String> {
    let seconds = seconds(text).map_err(|_| "write whole days, such as 5d".to_owned())?;
    match (seconds % 86_400, u32::try_from(seconds / 86_400)) {
        (0, Ok(days)) if days <= 36_500 => Ok(days),
        _ => Err("write whole days, such as 5d, at most 36500d".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed() {
        assert_eq!(days("5d"), Ok(5));
        assert_eq!(days("48h"), Ok(2));
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
