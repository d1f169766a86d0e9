//! Lifetimes of resources and identities: intervals with history. An entity may end and come back; what has ended is
//! never changed again.
//!
//! An entity's history is a row of [`Lifetime`]s, one after the other without overlap. Only the newest may still run.
//! What a gather saw changes it through [`meet`], which never ends anything: what was not found is marked as missing,
//! and [`super::guard`] says when the missing end.

use proto::ids::Generation;
use proto::time::UtcSeconds;

/// When something lived: from `from` (included; `None`: since ever) to `to` (not included; `None`: it still lives).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Start.
    pub from: Option<UtcSeconds>,
    /// End.
    pub to: Option<UtcSeconds>,
}

impl Lifetime {
    /// Whether it lived at `t`.
    #[must_use]
    pub fn active_at(self, t: UtcSeconds) -> bool {
        self.from.is_none_or(|from| from <= t) && self.to.is_none_or(|to| t < to)
    }
    /// Whether it lived at some moment of [`start`, `end`). What ended exactly at `start` did not.
    #[must_use]
    pub fn alive_in(self, start: UtcSeconds, end: UtcSeconds) -> bool {
        start < end
            && self.from.is_none_or(|from| from < end)
            && self.to.is_none_or(|to| start < to)
    }
}

/// What no gather has found since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first complete gather that did not find it.
    pub generation: Generation,
    /// When that gather was applied.
    pub since: UtcSeconds,
    /// When it ended, if it did: as the provider says, else `since`.
    pub ends: UtcSeconds,
}

/// The newest lifetime of an entity, as it is stored; `F` is what a person or rule can ask of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<F> {
    /// When.
    pub life: Lifetime,
    /// What it was all that time.
    pub facts: F,
    /// Set while it lives and was not found.
    pub missing: Option<Missing>,
}

/// An entity as a gather found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<F> {
    /// When the provider says that it began.
    pub created_at: Option<UtcSeconds>,
    /// When the provider says that it ended, or will end.
    pub deleted_at: Option<UtcSeconds>,
    /// What it is.
    pub facts: F,
}

/// What a gather changes of an entity's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// A new lifetime begins.
    Open(Lifetime),
    /// It lives on as something else: the running lifetime ends here and the next begins.
    Turn(UtcSeconds),
    /// What the running lifetime says of it was never true yet: it begins later than now.
    Correct,
    /// It is there again after it was missing; its lifetime goes on.
    Back,
    /// It is missing.
    Miss(Missing),
}

/// What becomes of an entity of which `known` is the newest lifetime and that the gather `generation`, applied `at`,
/// found so, or not. `scanned`: the gather speaks for all entities of its type, so that not to be found says something.
pub fn meet<F: PartialEq>(
    known: Option<&Known<F>>,
    found: Option<&Found<F>>,
    scanned: bool,
    (generation, at): (Generation, UtcSeconds),
) -> Change {
    let Some(known) = known else {
        return found.map_or(Change::Nothing, |found| {
            first(Lifetime { from: found.created_at, to: found.deleted_at })
        });
    };
    let gone = found.map_or(Some(at), |found| found.deleted_at);
    match (known.life.to, found, gone) {
        (Some(ended), Some(found), gone) => again(ended, found, gone, at),
        (Some(_), None, _) => Change::Nothing,
        // What the provider says has ended counts as not found: how much may go at once is for the guard to say.
        (None, found, Some(ends)) if scanned => {
            let said = found.is_some();
            match known.missing {
                Some(missing) if !said || missing.ends == ends => Change::Nothing,
                Some(missing) => Change::Miss(Missing { ends, ..missing }),
                None => Change::Miss(Missing { generation, since: at, ends }),
            }
        }
        (None, Some(found), None) => {
            if known.facts != found.facts {
                let begun = known.life.from.is_none_or(|from| from < at);
                if begun { Change::Turn(at) } else { Change::Correct }
            } else if known.missing.is_some() {
                Change::Back
            } else {
                Change::Nothing
            }
        }
        (None, _, _) => Change::Nothing,
    }
}

fn first(life: Lifetime) -> Change {
    match (life.from, life.to) {
        (Some(from), Some(to)) if to <= from => Change::Nothing,
        _ => Change::Open(life),
    }
}

/// What has ended stays as it was: something of the same name begins anew, no earlier than that end.
fn again<F>(
    ended: UtcSeconds,
    found: &Found<F>,
    gone: Option<UtcSeconds>,
    at: UtcSeconds,
) -> Change {
    let created = found.created_at.filter(|created| *created >= ended);
    match (created, gone) {
        (created, None) => {
            Change::Open(Lifetime { from: Some(created.unwrap_or(at.max(ended))), to: None })
        }
        // It lived and ended between two gathers.
        (Some(created), Some(gone)) => first(Lifetime { from: Some(created), to: Some(gone) }),
        // The end that is known already.
        (None, Some(_)) => Change::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the statement that ends what is missing: never before it has begun.
    fn end(from: Option<UtcSeconds>, ends: UtcSeconds) -> UtcSeconds {
        from.map_or(ends, |from| ends.max(UtcSeconds(from.0.saturating_add(1))))
    }

    fn t(seconds: i64) -> UtcSeconds {
        UtcSeconds(seconds)
    }
    fn life(from: Option<i64>, to: Option<i64>) -> Lifetime {
        Lifetime { from: from.map(t), to: to.map(t) }
    }

    #[test]
    fn intervals_are_half_open() {
        let lived = life(Some(10), Some(20));
        assert!(!lived.active_at(t(9)) && lived.active_at(t(10)));
        assert!(lived.active_at(t(19)) && !lived.active_at(t(20)));
        for (start, end, alive) in
            [(0, 10, false), (0, 11, true), (19, 20, true), (20, 30, false), (15, 15, false)]
        {
            assert_eq!(lived.alive_in(t(start), t(end)), alive, "[{start}, {end})");
        }
        let ever = life(None, None);
        assert!(ever.active_at(t(i64::MIN)) && ever.alive_in(t(0), t(1)));
    }

    /// A provider and a store that does what [`meet`] says; everything that is missing ends at once where `delete`.
    #[derive(Default)]
    struct Store {
        ended: Vec<(Lifetime, u8)>,
        running: Option<(Lifetime, u8, Option<Missing>)>,
    }

    impl Store {
        fn newest(&self) -> Option<Known<u8>> {
            let known = |(life, facts, missing)| Known { life, facts, missing };
            let ended = self.ended.last().map(|(life, facts)| (*life, *facts, None));
            self.running.or(ended).map(known)
        }
        fn gather(&mut self, found: Option<Found<u8>>, scanned: bool, at: i64, delete: bool) {
            let facts = found.as_ref().map_or(0, |found| found.facts);
            match meet(self.newest().as_ref(), found.as_ref(), scanned, (Generation(at), t(at))) {
                Change::Nothing => {}
                Change::Open(life) if life.to.is_some() => self.ended.push((life, facts)),
                Change::Open(life) => self.running = Some((life, facts, None)),
                Change::Turn(turn) => {
                    let (life, was, _) = self.running.take().expect("only what runs turns");
                    self.ended.push((Lifetime { to: Some(turn), ..life }, was));
                    self.running = Some((Lifetime { from: Some(turn), to: None }, facts, None));
                }
                Change::Correct => self.running.as_mut().expect("it runs").1 = facts,
                Change::Back => self.running.as_mut().expect("it runs").2 = None,
                Change::Miss(missing) => {
                    self.running.as_mut().expect("it runs").2 = Some(missing);
                }
            }
            if delete && let Some((life, facts, Some(missing))) = self.running {
                self.running = None;
                let to = Some(end(life.from, missing.ends));
                self.ended.push((Lifetime { to, ..life }, facts));
            }
        }
        fn all(&self) -> Vec<Lifetime> {
            let running = self.running.iter().map(|(life, ..)| *life);
            self.ended.iter().map(|(life, _)| *life).chain(running).collect()
        }
    }

    #[test]
    fn what_comes_back_begins_anew_and_the_past_stays() {
        let there = Found { created_at: None, deleted_at: None, facts: 1 };
        let mut store = Store::default();
        store.gather(Some(there), true, 100, true);
        store.gather(None, true, 200, true);
        store.gather(None, true, 300, true);
        store.gather(Some(there), true, 400, true);
        assert_eq!(store.all(), [life(None, Some(200)), life(Some(400), None)]);
        // The provider knows when the second began.
        store.gather(None, true, 500, true);
        store.gather(Some(Found { created_at: Some(t(550)), ..there }), true, 600, true);
        assert_eq!(store.all()[2], life(Some(550), None));
        // One that is found again before it was deleted has lived on.
        store.gather(None, true, 700, false);
        store.gather(Some(there), true, 800, false);
        assert_eq!(store.running.unwrap(), (life(Some(550), None), 1, None));
    }

    #[test]
    fn the_provider_knows_best_when_something_ended() {
        let there = Found { created_at: Some(t(50)), deleted_at: None, facts: 1 };
        let ended = Found { deleted_at: Some(t(180)), ..there };
        let mut store = Store::default();
        store.gather(Some(there), true, 100, false);
        store.gather(Some(ended), true, 200, false);
        let missing = Missing { generation: Generation(200), since: t(200), ends: t(180) };
        assert_eq!(store.running.unwrap().2, Some(missing));
        store.gather(Some(ended), true, 300, true);
        assert_eq!(store.all(), [life(Some(50), Some(180))]);
        // It is listed as ended for ever after, and that changes nothing.
        store.gather(Some(ended), true, 400, true);
        assert_eq!(store.all().len(), 1);
        // What was never seen alive is known all the same.
        let mut store = Store::default();
        store.gather(Some(ended), true, 400, true);
        assert_eq!(store.all(), [life(Some(50), Some(180))]);
    }

    #[test]
    fn what_no_complete_gather_missed_is_not_missing() {
        let there = Found { created_at: None, deleted_at: None, facts: 1 };
        let mut store = Store::default();
        store.gather(Some(there), true, 100, true);
        store.gather(None, false, 200, true);
        store.gather(Some(Found { deleted_at: Some(t(150)), ..there }), false, 300, true);
        assert_eq!(store.all(), [life(None, None)]);
    }

    #[test]
    fn another_owner_counts_from_when_it_was_seen() {
        let there = Found { created_at: Some(t(50)), deleted_at: None, facts: 1 };
        let mut store = Store::default();
        store.gather(Some(there), true, 100, true);
        store.gather(Some(Found { facts: 2, ..there }), true, 200, true);
        assert_eq!(store.ended, [(life(Some(50), Some(200)), 1)]);
        assert_eq!(store.running.unwrap(), (life(Some(200), None), 2, None));
        // One that begins tomorrow has not been anything yet.
        let mut store = Store::default();
        let tomorrow = Found { created_at: Some(t(900)), ..there };
        store.gather(Some(tomorrow), true, 100, true);
        store.gather(Some(Found { facts: 2, ..tomorrow }), true, 200, true);
        assert_eq!(store.running.unwrap(), (life(Some(900), None), 2, None));
    }

    fn found() -> impl Strategy<Value = Option<Found<u8>>> {
        let moment = || prop::option::of((0..2_000_i64).prop_map(t));
        let one = (moment(), moment(), 0..3_u8).prop_map(|(created_at, deleted_at, facts)| Found {
            created_at,
            deleted_at,
            facts,
        });
        prop::option::of(one)
    }

    proptest! {
        /// Whatever providers say, in whatever order: lifetimes do not overlap, none is empty, and what has ended is
        /// never touched again.
        #[test]
        fn history_is_never_rewritten(
            gathers in prop::collection::vec((found(), any::<bool>(), any::<bool>()), 1..40)
        ) {
            let mut store = Store::default();
            let mut past = Vec::new();
            for (number, (found, scanned, delete)) in gathers.into_iter().enumerate() {
                store.gather(found, scanned, number as i64 * 50, delete);
                prop_assert_eq!(&store.ended[..past.len()], &past[..]);
                past.clone_from(&store.ended);
                let all = store.all();
                for life in &all {
                    prop_assert!(life.from.is_none() || life.to.is_none() || life.from < life.to, "{:?}", all);
                }
                for pair in all.windows(2) {
                    prop_assert!(pair[0].to.is_some() && pair[0].to <= pair[1].from, "{:?}", all);
                }
            }
        }

        /// Point and period agree: something is alive in a period exactly when it is active at one of its seconds.
        #[test]
        fn point_and_period_agree(
            from in prop::option::of(0..60_i64), to in prop::option::of(0..60_i64), start in 0..60_i64, long in 0..20_i64
        ) {
            let lived = life(from, to);
            prop_assume!(from.is_none() || to.is_none() || from < to);
            let any = (start..start + long).any(|second| lived.active_at(t(second)));
            prop_assert_eq!(lived.alive_in(t(start), t(start + long)), any);
        }
    }
}
