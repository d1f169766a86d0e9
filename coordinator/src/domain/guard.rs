//! When what is missing may go: the guard over populations.
//!
//! A population is all that a source has of one type of resource or identity, or all its visible dates. Only complete
//! gathers are judged, each once. What vanishes a little at a time goes at once; a gather that finds nothing at all, or
//! [`Guards::max_drop_percent`] less than there was, may be a fault of the provider: then everything waits until enough
//! gathers in a row say so and enough time has passed, or a person decides.

use proto::config::Guards;
use proto::ids::Generation;
use proto::time::UtcSeconds;

/// What a population is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Resources of one type.
    Resource,
    /// Identities of one type.
    Identity,
    /// Visible dates.
    Date,
}

impl Class {
    /// As stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Identity => "identity",
            Self::Date => "date",
        }
    }
    /// How many may be missing without a doubt, whatever the percentage.
    #[must_use]
    pub fn few(self) -> u64 {
        match self {
            Self::Resource | Self::Identity => 10,
            Self::Date => 2,
        }
    }
}

impl std::str::FromStr for Class {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Resource, Self::Identity, Self::Date];
        let class = all.into_iter().find(|class| class.word() == text);
        class.ok_or_else(|| format!("{text:?} is no class of a population"))
    }
}

/// What is remembered of a population from gather to gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    /// Doubtful gathers in a row.
    pub length: u32,
    /// When the first of them was applied.
    pub first_at: Option<UtcSeconds>,
    /// The last gather that was counted.
    pub counted: Generation,
}

impl Streak {
    /// Of a population that no gather was counted for yet.
    pub const NONE: Self = Self { length: 0, first_at: None, counted: Generation(0) };
}

/// What a complete gather found of a population. What a person decided to keep counts neither as living nor as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// How many lived before.
    pub active: u64,
    /// How many of those the gather did not find.
    pub missing: u64,
    /// How many living ones it found, new ones included.
    pub found: u64,
}

/// What a gather lets happen to the missing of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are none, or this gather was counted before.
    Nothing,
    /// All go: nothing is doubtful.
    All,
    /// Those go that have been missing for [`Guards::min_wall_seconds`]: the doubt has lasted long enough.
    Lasting,
    /// They wait, for more gathers, for time, or for a person.
    Wait,
}

/// Whether a gather is doubtful: it found nothing of what lives, or far less.
#[must_use]
pub fn is_doubtful(guards: &Guards, class: Class, census: Census) -> bool {
    census.missing > 0
        && (census.found == 0 || (census.missing > class.few() && exceeds(guards, census)))
}

/// Whether more than the allowed percentage is missing. Exact: percent = mantissa / 10^scale.
fn exceeds(guards: &Guards, Census { active, missing, .. }: Census) -> bool {
    let percent = guards.max_drop_percent;
    let scaled = 10_i128.checked_pow(percent.scale() + 2);
    let missing = scaled.and_then(|scaled| scaled.checked_mul(i128::from(missing)));
    let allowed = percent.mantissa().checked_mul(i128::from(active));
    match (missing, allowed) {
        (Some(missing), Some(allowed)) => missing > allowed,
        // Numbers that long are no percentage that anybody meant: waiting does no harm.
        _ => true,
    }
}

/// Judges a complete gather `generation`, applied `at`.
#[must_use]
pub fn judge(
    guards: &Guards,
    class: Class,
    streak: Streak,
    census: Census,
    (generation, at): (Generation, UtcSeconds),
) -> (Streak, Verdict) {
    if generation <= streak.counted {
        return (streak, Verdict::Nothing);
    }
    let calm = Streak { length: 0, first_at: None, counted: generation };
    if !is_doubtful(guards, class, census) {
        return (calm, if census.missing == 0 { Verdict::Nothing } else { Verdict::All });
    }
    let first_at = streak.first_at.unwrap_or(at);
    let length = streak.length.saturating_add(1);
    let streak = Streak { length, first_at: Some(first_at), counted: generation };
    let enough = guards.zero_gather_threshold.is_some_and(|threshold| length >= threshold);
    let verdict =
        if enough && has_lasted(guards, first_at, at) { Verdict::Lasting } else { Verdict::Wait };
    (streak, verdict)
}

/// Whether [`Guards::min_wall_seconds`] lie between the two.
#[must_use]
pub fn has_lasted(guards: &Guards, since: UtcSeconds, at: UtcSeconds) -> bool {
    at >= lasts_until(guards, since)
}

/// When what is doubtful since then has lasted long enough.
#[must_use]
pub fn lasts_until(guards: &Guards, since: UtcSeconds) -> UtcSeconds {
    let wall = i64::try_from(guards.min_wall_seconds).unwrap_or(i64::MAX);
    UtcSeconds(since.0.saturating_add(wall))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400;

    /// Nothing new was found.
    fn census(active: u64, missing: u64) -> Census {
        Census { active, missing, found: active - missing }
    }

    /// Gathers in a row: when, how many live, how many of them are missing.
    fn verdicts(guards: &Guards, class: Class, gathers: &[(i64, u64, u64)]) -> Vec<Verdict> {
        let mut streak = Streak::NONE;
        let mut judged = Vec::new();
        for (number, (at, active, missing)) in (1..).zip(gathers) {
            let census = census(*active, *missing);
            let by = (Generation(number), UtcSeconds(*at));
            let (next, verdict) = judge(guards, class, streak, census, by);
            streak = next;
            judged.push(verdict);
        }
        judged
    }

    #[test]
    fn nothing_found_waits_for_the_third_gather_and_a_day() {
        use Verdict::{All, Lasting, Nothing, Wait};
        let of =
            |gathers: &[(i64, u64, u64)]| verdicts(&Guards::default(), Class::Resource, gathers);
        // Three within a minute delete nothing.
        assert_eq!(of(&[(0, 1000, 1000), (20, 1000, 1000), (40, 1000, 1000)]), [Wait; 3]);
        // Neither does a day with two of them.
        assert_eq!(of(&[(0, 1000, 1000), (DAY, 1000, 1000)]), [Wait; 2]);
        let long = [(0, 5, 5), (20, 5, 5), (DAY - 1, 5, 5), (DAY, 5, 5)];
        assert_eq!(of(&long), [Wait, Wait, Wait, Lasting]);
        // A good gather in between starts all over.
        let broken = [(0, 5, 5), (20, 5, 5), (40, 5, 0), (DAY, 5, 5), (DAY + 20, 5, 5)];
        assert_eq!(of(&broken), [Wait, Wait, Nothing, Wait, Wait]);
        let few_gone = [(0, 100, 100), (20, 100, 3), (DAY, 97, 97)];
        assert_eq!(of(&few_gone), [Wait, All, Wait]);
        assert_eq!(of(&[(0, 0, 0)]), [Nothing]);
    }

    #[test]
    fn a_large_drop_waits_likewise() {
        use Verdict::{All, Lasting, Wait};
        let of = |active, missing| {
            verdicts(&Guards::default(), Class::Resource, &[(0, active, missing)])
        };
        assert_eq!(of(1000, 999), [Wait]);
        assert_eq!(of(1000, 201), [Wait]);
        assert_eq!(of(1000, 200), [All], "20 % is not more than 20 %");
        assert_eq!(of(20, 10), [All], "10 are not more than 10");
        assert_eq!(of(20, 11), [Wait]);
        // One that took another's place is no doubt; a thousand that did are.
        let replaced = |n| {
            is_doubtful(
                &Guards::default(),
                Class::Resource,
                Census { active: n, missing: n, found: n },
            )
        };
        assert!(!replaced(1) && replaced(1000));
        let of =
            |gathers: &[(i64, u64, u64)]| verdicts(&Guards::default(), Class::Resource, gathers);
        // One kind of doubt goes on where the other left.
        assert_eq!(of(&[(0, 90, 90), (9, 90, 45), (DAY, 90, 45)]), [Wait, Wait, Lasting]);
    }

    #[test]
    fn dates_are_few_when_they_are_two() {
        use Verdict::{All, Wait};
        let of =
            |active, missing| verdicts(&Guards::default(), Class::Date, &[(0, active, missing)]);
        assert_eq!(of(10, 3), [Wait]);
        assert_eq!(of(15, 3), [All]);
        assert_eq!(of(9, 2), [All]);
        assert_eq!(of(2, 2), [Wait], "nothing is left");
    }

    #[test]
    fn settings_are_kept_to() {
        let percent = |text: &str| Guards {
            max_drop_percent: proto::money::Amount::parse(text).unwrap(),
            ..Guards::default()
        };
        let doubtful = |guards: &Guards, active, missing| {
            is_doubtful(guards, Class::Resource, census(active, missing))
        };
        assert!(!doubtful(&percent("33.3"), 1000, 333) && doubtful(&percent("33.3"), 1000, 334));
        assert!(doubtful(&percent("0"), 100_000, 11) && !doubtful(&percent("100"), 1000, 999));
        assert!(doubtful(&percent("100"), 1000, 1000), "nothing found is always doubtful");
        let never = Guards { zero_gather_threshold: None, ..Guards::default() };
        let gathers: Vec<_> = (0..50).map(|n| (n * DAY, 9, 9)).collect();
        assert!(verdicts(&never, Class::Resource, &gathers).iter().all(|v| *v == Verdict::Wait));
        let hasty =
            Guards { zero_gather_threshold: Some(1), min_wall_seconds: 0, ..Guards::default() };
        assert_eq!(verdicts(&hasty, Class::Resource, &[(7, 9, 9)]), [Verdict::Lasting]);
    }

    #[test]
    fn a_gather_counts_once() {
        let guards = Guards { min_wall_seconds: 0, ..Guards::default() };
        let census = census(9, 9);
        let mut streak = Streak::NONE;
        for _ in 0..9 {
            let by = (Generation(7), UtcSeconds(0));
            streak = judge(&guards, Class::Resource, streak, census, by).0;
        }
        assert_eq!(streak.length, 1);
        let old = judge(&guards, Class::Resource, streak, census, (Generation(6), UtcSeconds(9)));
        assert_eq!(old, (streak, Verdict::Nothing));
    }

    proptest! {
        /// Nothing that is doubtful goes before the threshold and the wall, whatever the gathers; and whatever goes at
        /// once was little, and left something.
        #[test]
        fn doubt_always_waits(
            threshold in 1..5_u32,
            wall in 0..5_000_u64,
            gathers in prop::collection::vec((1..2_000_i64, 0..200_u64, 0..=100_u64), 1..60)
        ) {
            let guards = Guards {
                zero_gather_threshold: Some(threshold), min_wall_seconds: wall, ..Guards::default()
            };
            let (mut streak, mut at, mut doubts) = (Streak::NONE, 0, Vec::new());
            for (number, (pause, active, percent)) in (1..).zip(gathers) {
                at += pause;
                let census = census(active, active * percent / 100);
                let (next, verdict) =
                    judge(&guards, Class::Resource, streak, census, (Generation(number), UtcSeconds(at)));
                streak = next;
                if is_doubtful(&guards, Class::Resource, census) {
                    doubts.push(at);
                    let lasted = doubts.len() >= threshold as usize && at - doubts[0] >= wall as i64;
                    prop_assert_eq!(verdict, if lasted { Verdict::Lasting } else { Verdict::Wait });
                } else {
                    doubts.clear();
                    prop_assert!(verdict == Verdict::Nothing || verdict == Verdict::All);
                    prop_assert!(census.missing <= 10 || census.missing * 5 <= active);
                    prop_assert!(census.missing < active || active == 0);
                }
                prop_assert_eq!(streak.length as usize, doubts.len());
            }
        }
    }
}
