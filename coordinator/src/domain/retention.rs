//! Which months of a tenant may be removed: old ones, whole, and only when nothing of them is still to be done.
//!
//! A month goes with all its dates of all sources or not at all: files of a month are written from all of them, and
//! weights of a month are added up over all of them.

use proto::time::{BillingPeriod, UnitDate};

/// What is still to be done about the dates of a month; each number counts dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Month {
    /// Dates that are kept now.
    pub dates: i64,
    /// Of those: on their way, or set aside.
    pub moving: i64,
    /// Not final: estimated, provisional, or never visible.
    pub open: i64,
    /// Of which a withdrawal waits for time or a person, or that a quarantined record holds.
    pub pending: i64,
    /// That an emitter which carries them has not put outside yet, or that are being compared or taken away there.
    pub unemitted: i64,
    /// Whose cost counts in the weights of a date of another month.
    pub counted: i64,
}

/// The first day that stays, on `today`: that of the month which the last `days` days, `horizon` at least, reach into.
#[must_use]
pub fn first_kept(today: UnitDate, days: u32, horizon: u64) -> UnitDate {
    let days = u64::from(days).max(horizon);
    let back = i64::try_from(days).ok().and_then(|days| today.plus_days(-days).ok());
    back.map_or(proto::time::FIRST_DATE, |date| date.period().days().0)
}

/// Whether a month goes whose days all lie before `kept`; else what it waits for, if it is old enough.
///
/// # Errors
/// What it waits for; `None`: nothing, it is too young.
pub fn judge(
    period: BillingPeriod,
    month: Month,
    kept: UnitDate,
) -> Result<(), Option<&'static str>> {
    if period.days().1 > kept {
        return Err(None);
    }
    let reasons = [
        (month.moving, "dates of it are not calculated"),
        (month.open, "dates of it are not final"),
        (month.pending, "dates of it wait for a person, or are held by bad records"),
        (month.unemitted, "dates of it are not emitted"),
        (month.counted, "its cost counts for dates of a later month"),
    ];
    match reasons.into_iter().find(|(dates, _)| *dates > 0) {
        Some((_, why)) => Err(Some(why)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> UnitDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_month_that_the_last_days_reach_into_stays_whole() {
        assert_eq!(first_kept(day("2026-05-20"), 50, 35), day("2026-03-01"));
        assert_eq!(first_kept(day("2026-05-20"), 49, 35), day("2026-04-01"));
        assert_eq!(first_kept(day("2026-05-20"), 19, 0), day("2026-05-01"));
        assert_eq!(
            first_kept(day("2026-05-20"), 1, 35),
            day("2026-04-01"),
            "never below the horizon"
        );
    }

    #[test]
    fn what_is_not_done_keeps_its_month() {
        let april: BillingPeriod = "2026-04".parse().unwrap();
        let done = Month { dates: 30, ..Month::default() };
        assert_eq!(judge(april, done, day("2026-05-01")), Ok(()));
        assert_eq!(judge(april, done, day("2026-04-01")), Err(None));
        for month in [
            Month { moving: 1, ..done },
            Month { open: 1, ..done },
            Month { pending: 1, ..done },
            Month { unemitted: 1, ..done },
            Month { counted: 1, ..done },
        ] {
            assert!(matches!(judge(april, month, day("2026-05-01")), Err(Some(_))), "{month:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_younger_than_asked_or_than_the_horizon_goes(
            today in 7_400_i64..20_000, age in 0_i64..3_000, days in 1_u32..2_000, horizon in 0_u64..400,
            month in (0_i64..3, 0_i64..3, 0_i64..3, 0_i64..3, 0_i64..3),
        ) {
            let today = day("2000-01-01").plus_days(today).unwrap();
            let date = today.plus_days(-age).unwrap();
            let (moving, open, pending, unemitted, counted) = month;
            let month = Month { dates: 3, moving, open, pending, unemitted, counted };
            let kept = first_kept(today, days, horizon);
            if judge(date.period(), month, kept).is_ok() {
                prop_assert!(age > i64::from(days) && age.unsigned_abs() > horizon);
                prop_assert_eq!((moving, open, pending, unemitted, counted), (0, 0, 0, 0, 0));
            } else {
                prop_assert!(moving + open + pending + unemitted + counted > 0 || date >= kept);
            }
        }
    }
}
