//! What is asked, and at which moments: pure rules.

use proto::time::UtcSeconds;

/// Most moments that one question asks about: servers refuse more than 11,000.
pub const MOMENTS_MAX: i64 = 10_000;

/// A window of time: `start` belongs to it, `end` to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Inclusive.
    pub start: UtcSeconds,
    /// Exclusive.
    pub end: UtcSeconds,
}

/// A query about all resources of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetricQuery {
    /// What the metric is called here: `bytes_in`.
    pub name: String,
    /// The query, in the server's language.
    pub expression: String,
    /// Labels that count. A series that agrees with another one in all of them is added to it where sums are made.
    pub labels: Vec<String>,
    /// Where in a step its value belongs.
    pub sampling: Sampling,
    /// How many values there are.
    pub shape: Shape,
}

/// Which part of time a value at a moment speaks of. It decides which of the two moments at the ends of a window
/// belongs to it: one of them always does, the other one belongs to the neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// The moment, and the step that begins there: sizes, numbers of things. Moments of `[start, end)`.
    Forward,
    /// The step that ends there: `increase(x[1h])`. Moments of `(start, end]`.
    Backward,
}

/// How many values a series has in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One per step.
    Range {
        /// Seconds, 1 or more.
        step: u32,
    },
    /// One, as if the window were a single step.
    Instant,
}

/// Moments that are asked about: `first`, `first + step`, … `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moments {
    /// The first one.
    pub first: UtcSeconds,
    /// The last one, not before the first.
    pub last: UtcSeconds,
    /// Seconds between two, 1 or more.
    pub step: i64,
}

impl MetricQuery {
    /// The moments that belong to a window. `None`: it is too short to have any.
    #[must_use]
    pub fn moments(&self, window: Window) -> Option<Moments> {
        let (start, end) = (window.start.0, window.end.0);
        let length = end.checked_sub(start).filter(|length| *length > 0)?;
        let step = match self.shape {
            Shape::Range { step } => i64::from(step.max(1)),
            Shape::Instant => length,
        };
        let (first, count) = match self.sampling {
            Sampling::Forward => (start, (length - 1) / step + 1),
            Sampling::Backward => (start.checked_add(step)?, length / step),
        };
        let last = first.checked_add((count - 1).checked_mul(step)?)?;
        (count > 0).then_some(Moments { first: UtcSeconds(first), last: UtcSeconds(last), step })
    }
}

impl Moments {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> i64 {
        (self.last.0 - self.first.0) / self.step + 1
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, at: i64) -> bool {
        (self.first.0..=self.last.0).contains(&at) && (at - self.first.0) % self.step == 0
    }

    /// The first `count` of them, and the rest. `None`: there is no rest.
    #[must_use]
    pub fn split(&self, count: i64) -> Option<(Self, Self)> {
        if !(1..self.count()).contains(&count) {
            return None;
        }
        let cut = self.first.0 + count * self.step;
        let (head, tail) = (UtcSeconds(cut - self.step), UtcSeconds(cut));
        Some((Self { last: head, ..*self }, Self { first: tail, ..*self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn moments(sampling: Sampling, shape: Shape, start: i64, end: i64) -> Option<Moments> {
        let query = MetricQuery {
            name: "m".into(),
            expression: "m".into(),
            labels: Vec::new(),
            sampling,
            shape,
        };
        query.moments(Window { start: UtcSeconds(start), end: UtcSeconds(end) })
    }

    fn all(moments: Moments) -> Vec<i64> {
        (0..moments.count()).map(|n| moments.first.0 + n * moments.step).collect()
    }

    #[test]
    fn a_moment_belongs_to_exactly_one_of_two_neighbours() {
        for sampling in [Sampling::Forward, Sampling::Backward] {
            for step in [1, 60, 3_600, 7_200, DAY as u32] {
                let shape = Shape::Range { step };
                let one = all(moments(sampling, shape, 0, DAY).unwrap());
                let two = all(moments(sampling, shape, DAY, 2 * DAY).unwrap());
                let both = all(moments(sampling, shape, 0, 2 * DAY).unwrap());
                assert_eq!([one, two].concat(), both, "{sampling:?} {step}");
            }
        }
        let hours =
            |sampling| all(moments(sampling, Shape::Range { step: 3_600 }, 0, DAY).unwrap());
        assert_eq!((hours(Sampling::Forward).len(), hours(Sampling::Backward).len()), (24, 24));
        assert_eq!((hours(Sampling::Forward)[0], hours(Sampling::Backward)[0]), (0, 3_600));
        assert_eq!(hours(Sampling::Backward)[23], DAY);
    }

    #[test]
    fn an_instant_is_a_window_of_one_step() {
        let at = |sampling| all(moments(sampling, Shape::Instant, 100, 200).unwrap());
        assert_eq!((at(Sampling::Forward), at(Sampling::Backward)), (vec![100], vec![200]));
    }

    #[test]
    fn windows_that_are_no_whole_number_of_steps() {
        let range = Shape::Range { step: 40 };
        assert_eq!(all(moments(Sampling::Forward, range, 0, 100).unwrap()), [0, 40, 80]);
        assert_eq!(all(moments(Sampling::Backward, range, 0, 100).unwrap()), [40, 80]);
        assert_eq!(moments(Sampling::Backward, range, 0, 39), None);
        assert_eq!(moments(Sampling::Forward, range, 5, 5), None);
        assert_eq!(moments(Sampling::Forward, range, 5, 4), None);
        assert_eq!(moments(Sampling::Backward, range, i64::MAX - 30, i64::MAX), None);
    }

    #[test]
    fn a_split_loses_and_repeats_nothing() {
        let whole = moments(Sampling::Forward, Shape::Range { step: 7 }, 3, 100).unwrap();
        for count in 1..whole.count() {
            let (head, tail) = whole.split(count).unwrap();
            assert_eq!(head.count(), count);
            assert_eq!([all(head), all(tail)].concat(), all(whole));
        }
        assert_eq!((whole.split(0), whole.split(whole.count())), (None, None));
        assert!(whole.contains(3) && whole.contains(10) && !whole.contains(4));
        assert!(!whole.contains(-4) && !whole.contains(101));
    }
}
