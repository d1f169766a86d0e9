//! Days, seconds and billing periods: UTC, exact, no clock.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text or number that is no date, time or period here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a calendar day.
    #[error("{0:?} is not a date: write YYYY-MM-DD")]
    Date(String),
    /// Not a point in time.
    #[error("{0:?} is not a time: write YYYY-MM-DDTHH:MM:SSZ")]
    Time(String),
    /// Not a month.
    #[error("{0:?} is not a billing period: write YYYY-MM")]
    Period(String),
}

/// UTC calendar day of a charge period's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitDate(Date);

/// The first day that can be held; older dates are quarantined.
pub const FIRST_DATE: UnitDate = UnitDate(jiff::civil::date(2000, 1, 1));
/// How many days ahead of today a date may lie.
pub const DAYS_AHEAD: i64 = 400;

impl UnitDate {
    /// The day of a civil date.
    #[must_use]
    pub fn new(date: Date) -> Self {
        Self(date)
    }
    /// The civil date.
    #[must_use]
    pub fn civil(self) -> Date {
        self.0
    }
    /// `yyyymmdd`, as subjects carry it.
    #[must_use]
    pub fn token(self) -> String {
        format!("{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }
    /// Days since 1970-01-01.
    #[must_use]
    pub fn epoch_days(self) -> i64 {
        self.start().0.div_euclid(86_400)
    }
    /// The day `days` later (earlier if negative).
    ///
    /// # Errors
    /// When it leaves the calendar.
    pub fn plus_days(self, days: i64) -> Result<Self, TimeError> {
        UtcSeconds(self.start().0.saturating_add(days.saturating_mul(86_400))).date()
    }
    /// Midnight UTC at its start.
    #[must_use]
    pub fn start(self) -> UtcSeconds {
        let days = self.0.since(jiff::civil::date(1970, 1, 1)).map_or(0, |span| span.get_days());
        UtcSeconds(i64::from(days) * 86_400)
    }
    /// The calendar month that it lies in.
    #[must_use]
    pub fn period(self) -> BillingPeriod {
        BillingPeriod { year: self.0.year(), month: self.0.month() }
    }
}

impl fmt::Display for UnitDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl FromStr for UnitDate {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let shaped = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
        let date = shaped.then(|| text.parse::<Date>().ok()).flatten();
        date.map(Self).ok_or_else(|| TimeError::Date(text.to_owned()))
    }
}

/// A point in time, whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UtcSeconds(pub i64);

impl UtcSeconds {
    /// The UTC day that it lies in.
    ///
    /// # Errors
    /// When it lies outside the calendar.
    pub fn date(self) -> Result<UnitDate, TimeError> {
        Timestamp::from_second(self.0)
            .map(|t| UnitDate(jiff::tz::Offset::UTC.to_datetime(t).date()))
            .map_err(|_| TimeError::Time(self.0.to_string()))
    }
}

impl fmt::Display for UtcSeconds {
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A timestamp ends before the last day of the year 9999, which bills name as the end of what does not end.
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        match Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time:.0}"),
            Err(_) => match epoch.checked_add(jiff::SignedDuration::from_secs(self.0)) {
                Ok(time) => write!(f, "{time:.0}Z"),
                Err(_) => write!(f, "{}", self.0),
            },
        }
    }
}

/// The provider's month of a line, written `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillingPeriod {
    year: i16,
    month: i8,
}

impl BillingPeriod {
    /// Its first day, and the first day after it.
    #[must_use]
    pub fn days(self) -> (UnitDate, UnitDate) {
        let first = jiff::civil::date(self.year, self.month, 1);
        let next = match self.month {
            12 => self.year.checked_add(1).filter(|year| *year <= 9999).map(|year| (year, 1)),
            month => Some((self.year, month + 1)),
        };
        let after = next.map_or(first, |(year, month)| jiff::civil::date(year, month, 1));
        (UnitDate(first), UnitDate(after))
    }
}

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for BillingPeriod {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError::Period(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(error)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(error());
        }
        let (year, month) =
            (year.parse().map_err(|_| error())?, month.parse().map_err(|_| error())?);
        if (1..=12).contains(&month) && year > 0 { Ok(Self { year, month }) } else { Err(error()) }
    }
}

fn text_serialize<T: fmt::Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

fn text_deserialize<'de, T, D>(d: D) -> Result<T, D::Error>
where
    T: FromStr<Err = TimeError>,
    D: Deserializer<'de>,
{
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

impl Serialize for UnitDate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        text_serialize(self, s)
    }
}
impl<'de> Deserialize<'de> for UnitDate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        text_deserialize(d)
    }
}
impl Serialize for BillingPeriod {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        text_serialize(self, s)
    }
}
impl<'de> Deserialize<'de> for BillingPeriod {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        text_deserialize(d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_seconds_and_periods_agree() {
        let day: UnitDate = "2024-02-29".parse().unwrap();
        assert_eq!(day.token(), "20240229");
        assert_eq!(day.start().to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(UtcSeconds(day.start().0 + 86_399).date().unwrap(), day);
        assert_eq!(day.plus_days(1).unwrap().to_string(), "2024-03-01");
        assert_eq!(day.period().to_string(), "2024-02");
        assert_eq!("2024-02".parse::<BillingPeriod>().unwrap(), day.period());
        assert_eq!(UtcSeconds(-1).date().unwrap().to_string(), "1969-12-31");
        assert_eq!(UtcSeconds(253_402_300_799).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(UtcSeconds(i64::MAX).to_string(), i64::MAX.to_string());
        for bad in ["2024-13-01", "2023-02-29", "20240229", "2024-2-29", ""] {
            assert_eq!(bad.parse::<UnitDate>(), Err(TimeError::Date(bad.to_owned())));
        }
        assert!("2024-13".parse::<BillingPeriod>().is_err());
    }
}
