//! Periods as people write them: `2026-10`, `2026-10-05`, `2026-10-01..2026-10-15`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use proto::time::{BillingPeriod, UnitDate};

use crate::store::Range;

/// Days in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// As it was written.
    name: String,
    /// The first day.
    pub from: UnitDate,
    /// The last day, inclusive.
    pub to: UnitDate,
}

impl Period {
    /// First and last day.
    #[must_use]
    pub fn range(&self) -> Range {
        (Some(self.from), Some(self.to))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Period {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim().to_owned();
        if let Ok(month) = name.parse::<BillingPeriod>() {
            let (from, after) = month.days();
            return Ok(Self { name, from, to: after.plus_days(-1)? });
        }
        let (from, to) = name.split_once("..").unwrap_or((&name, &name));
        let (Ok(from), Ok(to)) = (from.trim().parse(), to.trim().parse()) else {
            bail!(
                "{text:?} is no period: write a month such as 2026-10, a day such as 2026-10-05, or \
                 2026-10-01..2026-10-15"
            );
        };
        ensure!(from <= to, "{from} is after {to}: no date lies between them");
        Ok(Self { name, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_days_and_ranges_are_periods() {
        for (text, from, to) in [
            ("2026-10", "2026-10-01", "2026-10-31"),
            ("2024-02", "2024-02-01", "2024-02-29"),
            ("2026-12", "2026-12-01", "2026-12-31"),
            ("2026-10-05", "2026-10-05", "2026-10-05"),
            ("2026-09-28..2026-10-04", "2026-09-28", "2026-10-04"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!([period.from.to_string(), period.to.to_string()], [from, to]);
            assert_eq!(period.to_string(), text);
        }
        for bad in ["", "2026", "2026-13", "2026-10..2026-11", "yesterday"] {
            assert!(
                bad.parse::<Period>().unwrap_err().to_string().contains("is no period"),
                "{bad}"
            );
        }
        let error = "2026-10-02..2026-10-01".parse::<Period>().unwrap_err().to_string();
        assert!(error.contains("2026-10-02 is after 2026-10-01"), "{error}");
    }
}
