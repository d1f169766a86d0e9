//! The arithmetic of one item.

use proto::money::{Amount, ExactSum, MIN_SPLIT_SCALE};

use super::Effect;

/// Before and after.
pub type Pair = [ExactSum; 2];

/// One identity at one place, by one path. Each of these is a part of the one before it, and has its sign.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// What the lines cost.
    pub bill: Pair,
    /// What of that was not there when they were first visible.
    pub restated: Pair,
    /// What the path took.
    pub pool: Pair,
    /// What the identity got.
    pub identity: Pair,
    /// What the owner pays of that.
    pub own: Pair,
    /// What a change of the path is called.
    pub path_effect: Effect,
    /// What a change of the share is called.
    pub share_effect: Effect,
}

/// A part of a whole, before and after; where one of them has no whole, it is as in the other.
#[derive(Clone, Copy)]
struct Ratio([(ExactSum, ExactSum); 2]);

impl Ratio {
    /// `None`: there is no whole at all.
    fn of(part: &Pair, whole: &Pair) -> Option<Self> {
        let at = |at: usize| (!whole[at].is_zero()).then(|| (part[at], whole[at]));
        Some(match (at(0), at(1)) {
            (Some(before), Some(after)) => Self([before, after]),
            (Some(one), None) | (None, Some(one)) => Self([one, one]),
            (None, None) => return None,
        })
    }

    /// `of` times the ratio, before and after.
    fn times(&self, of: &ExactSum) -> Pair {
        self.0.map(|(part, whole)| of.portion(&part, &whole).unwrap_or_default())
    }

    /// `of` times the mean of both.
    fn mean(&self, of: &ExactSum) -> ExactSum {
        mean(&self.times(of))
    }

    /// `of` times the change.
    fn change(&self, of: &ExactSum) -> ExactSum {
        change(&self.times(of))
    }
}

fn change([before, after]: &Pair) -> ExactSum {
    after.difference(before)
}

fn mean([before, after]: &Pair) -> ExactSum {
    let mut sum = *before;
    sum.merge(after);
    sum.portion(&Amount::ONE.into(), &Amount::from(2).into()).unwrap_or_default()
}

impl Item {
    /// What changed, in the order of [`Effect::ALL`]; it adds up to the change of what the owner pays.
    pub fn effects(&self) -> [ExactSum; 5] {
        let ratios = (
            Ratio::of(&self.pool, &self.bill),
            Ratio::of(&self.identity, &self.pool),
            Ratio::of(&self.own, &self.identity),
        );
        // Without a whole there are no parts: the owner pays nothing, before and after.
        let (Some(path), Some(share), Some(held)) = ratios else { return Default::default() };
        let down = |of: &ExactSum| held.mean(&share.mean(&path.mean(of)));
        let restated = change(&self.restated);
        let mut exact = [ExactSum::ZERO; 5];
        let mut tell = |effect: Effect, amount: ExactSum| exact[effect as usize].merge(&amount);
        tell(Effect::Restatement, down(&restated));
        tell(Effect::Bill, down(&change(&self.bill).difference(&restated)));
        tell(self.path_effect, held.mean(&share.mean(&path.change(&mean(&self.bill)))));
        tell(self.share_effect, held.mean(&share.change(&mean(&self.pool))));
        tell(Effect::Mapping, held.change(&mean(&self.identity)));
        rounded(&exact, &change(&self.own))
    }
}

/// Rounded, and the largest takes what is left of the whole; of equally large ones, the first.
fn rounded(exact: &[ExactSum; 5], whole: &ExactSum) -> [ExactSum; 5] {
    let mut effects = exact.map(|effect| effect.rounded(MIN_SPLIT_SCALE));
    let mut largest = 0;
    for at in 1..exact.len() {
        if exact[at].size() > exact[largest].size() {
            largest = at;
        }
    }
    let rest = effects.iter().fold(*whole, |rest, effect| rest.difference(effect));
    effects[largest].merge(&rest);
    effects
}
