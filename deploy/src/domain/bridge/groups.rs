//! Which money at a place is looked at together.

use std::collections::{BTreeMap, BTreeSet};

use proto::money::ExactSum;

use super::item::{Item, Pair};
use super::{Bridge, Cell, Effect, Origin, Path, Place, Pool};

/// Methods whose shares stand in the rule, or come from a group that stands there.
const SAID_BY_RULES: [&str; 2] = ["fixed", "even"];

/// Paths between which a bill is divided.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    /// The tiers and parts of one rule.
    Rule(&'a str),
    /// Those that took something before and nothing after, and those that took their place, wholly or from some day on.
    Replaced,
}

/// Adds up what was paid at a place, and what became of it. `rules`: where rules of the source changed, those that took
/// anything of it in each period.
pub fn explain(
    place: &Place,
    pools: &BTreeMap<Path, Pool>,
    rules: Option<&[BTreeSet<String>; 2]>,
    bridge: &mut Bridge,
) {
    let changed = rules.is_some();
    // A rule that came or went within a period shares the place with what it takes the place of.
    let is_new_or_gone = |path: &Path| {
        rules.is_some_and(|rules| rules[0].contains(&path.rule) != rules[1].contains(&path.rule))
    };
    let shifted = pools.keys().any(is_new_or_gone);
    let uses: Vec<[bool; 2]> =
        pools.values().map(|pool| pool.all().map(|sum| !sum.is_zero())).collect();
    let replaced = uses.contains(&[true, false]) && uses.contains(&[false, true]);
    let mut groups: BTreeMap<Group<'_>, Vec<(&Path, &Pool)>> = BTreeMap::new();
    for ((path, pool), used) in pools.iter().zip(&uses) {
        let in_both = used[0] == used[1];
        let group = match () {
            () if replaced && !in_both => Group::Replaced,
            () if pool.is_direct(place) && (in_both || !shifted) => {
                direct(place, path, pool, bridge);
                continue;
            }
            () if shifted => Group::Replaced,
            () => Group::Rule(&path.rule),
        };
        groups.entry(group).or_default().push((path, pool));
    }
    for (group, pools) in groups {
        divided(place, &group, &pools, changed, bridge);
    }
}

impl Pool {
    fn all(&self) -> Pair {
        sum(self.cells.values().map(|cell| cell.all))
    }

    /// Each line goes to somebody as a whole, and who else has lines here says nothing: what an identity is charged is a
    /// bill of its own. Only where all lines of a resource go to one owner it matters when that becomes another.
    fn is_direct(&self, place: &Place) -> bool {
        let (all, own) = (self.all(), sum(self.cells.values().map(|cell| cell.own)));
        let is_one_owners = [0, 1].iter().all(|at| own[*at].is_zero() || own[*at] == all[*at]);
        self.whole && (place.resource.is_empty() || !is_one_owners)
    }
}

fn sum(pairs: impl Iterator<Item = Pair>) -> Pair {
    pairs.fold(Pair::default(), |mut sum, pair| {
        sum.iter_mut().zip(&pair).for_each(|(sum, one)| sum.merge(one));
        sum
    })
}

fn less(all: &Pair, first: &Pair) -> Pair {
    [0, 1].map(|at| all[at].difference(&first[at]))
}

/// Each identity has a bill of its own.
fn direct(place: &Place, path: &Path, pool: &Pool, bridge: &mut Bridge) {
    let rules = rules([(path, pool)].into_iter());
    for (identity, cell) in &pool.cells {
        let Cell { own, all, first } = *cell;
        let restated = less(&all, &first);
        let (path_effect, share_effect) = (Effect::Rule, Effect::UsageShare);
        let item =
            Item { bill: all, restated, pool: all, identity: all, own, path_effect, share_effect };
        tell(place, identity, &rules, &item, bridge);
    }
}

/// The paths divide one bill.
fn divided(
    place: &Place,
    group: &Group<'_>,
    pools: &[(&Path, &Pool)],
    changed: bool,
    bridge: &mut Bridge,
) {
    let cells = || pools.iter().flat_map(|(_, pool)| pool.cells.values());
    let bill = sum(cells().map(|cell| cell.all));
    let restated = less(&bill, &sum(cells().map(|cell| cell.first)));
    let rules = rules(pools.iter().copied());
    // The same rules take whole lines otherwise: what the lines say of themselves is what changed.
    let by_tags = *group == Group::Replaced && !changed && pools.iter().all(|(_, pool)| pool.whole);
    let path_effect = if by_tags { Effect::Mapping } else { Effect::Rule };
    for (path, pool) in pools {
        let share_effect = match () {
            () if pool.whole => Effect::Mapping,
            () if changed && SAID_BY_RULES.contains(&path.method.as_str()) => Effect::Rule,
            () => Effect::UsageShare,
        };
        let all = pool.all();
        for (identity, cell) in &pool.cells {
            let (pool, own) = (all, cell.own);
            let item =
                Item { bill, restated, pool, identity: cell.all, own, path_effect, share_effect };
            tell(place, identity, &rules, &item, bridge);
        }
    }
}

/// The rules that took something, before and after.
fn rules<'a>(pools: impl Iterator<Item = (&'a Path, &'a Pool)>) -> [BTreeSet<String>; 2] {
    let mut rules = [BTreeSet::new(), BTreeSet::new()];
    for (path, pool) in pools {
        for (rules, all) in rules.iter_mut().zip(pool.all()) {
            if !all.is_zero() {
                rules.insert(path.rule.clone());
            }
        }
    }
    rules
}

fn tell(
    place: &Place,
    identity: &str,
    rules: &[BTreeSet<String>; 2],
    item: &Item,
    bridge: &mut Bridge,
) {
    if item.own.iter().all(ExactSum::is_zero) {
        return;
    }
    let sums = bridge.sums.entry(place.currency.clone()).or_default();
    sums.before.merge(&item.own[0]);
    sums.after.merge(&item.own[1]);
    for (effect, amount) in Effect::ALL.into_iter().zip(item.effects()) {
        sums.effects[effect as usize].merge(&amount);
        if amount.is_zero() {
            continue;
        }
        let identity = match effect {
            Effect::UsageShare | Effect::Mapping => identity.to_owned(),
            Effect::Bill | Effect::Rule | Effect::Restatement => String::new(),
        };
        let origin = Origin { place: place.clone(), identity, rules: rules.clone() };
        bridge.parts.entry((origin, effect)).or_default().merge(&amount);
    }
}
