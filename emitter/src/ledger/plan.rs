//! What is to be done with the units of a commit. Pure.

use std::collections::BTreeMap;

use proto::hash::Hash128;
use proto::task::CommitUnit;
use proto::time::UnitDate;

/// Units share a transaction up to so many lines and rows; a larger unit has one of its own.
const GROUP_ITEMS: u64 = 20_000;

/// What the database says of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// The generation that is wanted.
    pub wanted: i64,
    /// The visible generation; 0 for none.
    pub visible: i64,
    /// Generation and hash of the visible lines.
    pub lines: Option<(i64, Hash128)>,
    /// Generation and hash of the resolutions that the visible rows were made from.
    pub resolutions: Option<(i64, Hash128)>,
}

/// A unit that is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The unit.
    pub unit: &'a CommitUnit,
    /// Its lines are not stored yet.
    pub store_lines: bool,
    /// Under which generation its lines are stored.
    pub lines_generation: i64,
    /// Its resolutions are not archived yet.
    pub archive_resolutions: bool,
    /// Under which generation its resolutions are archived, if it has any.
    pub resolutions: Option<(i64, Hash128)>,
    /// The visible generation until now; 0 for none.
    pub previous: i64,
}

/// What is to be done with a unit.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// An earlier attempt made it visible; its report was lost.
    AlreadyVisible,
    /// A newer generation is wanted or visible, or the unit is gone.
    Superseded,
    /// Store it.
    Store(Work<'a>),
}

/// What is to be done with `unit`, given its state.
#[must_use]
pub fn step<'a>(unit: &'a CommitUnit, states: &BTreeMap<UnitDate, State>) -> Step<'a> {
    let generation = unit.generation.0;
    let Some(state) = states.get(&unit.date) else { return Step::Superseded };
    if state.visible == generation {
        return Step::AlreadyVisible;
    }
    if state.wanted != generation || state.visible > generation {
        return Step::Superseded;
    }
    let stored = |known: Option<(i64, Hash128)>, hash| {
        known.filter(|(_, known)| *known == hash).map(|(g, _)| g)
    };
    let lines = stored(state.lines, unit.lines.hash);
    let resolutions = unit.resolutions.as_ref().map(|manifest| {
        let archived = stored(state.resolutions, manifest.hash);
        (archived.is_some(), archived.unwrap_or(manifest.generation.0), manifest.hash)
    });
    Step::Store(Work {
        unit,
        store_lines: lines.is_none(),
        lines_generation: lines.unwrap_or(unit.lines.generation.0),
        archive_resolutions: resolutions.is_some_and(|(archived, ..)| !archived),
        resolutions: resolutions.map(|(_, generation, hash)| (generation, hash)),
        previous: state.visible,
    })
}

/// Units that share a transaction, all in order of date.
#[must_use]
pub fn groups(units: &[CommitUnit]) -> Vec<Vec<&CommitUnit>> {
    let mut sorted: Vec<&CommitUnit> = units.iter().collect();
    sorted.sort_by_key(|unit| (unit.date, unit.generation));
    let (mut groups, mut items) = (Vec::<Vec<&CommitUnit>>::new(), 0);
    for unit in sorted {
        let size = unit.lines.items + unit.rows.items;
        match groups.last_mut() {
            // A date twice in one statement would be updated once.
            Some(group)
                if items + size <= GROUP_ITEMS
                    && group.iter().all(|other| other.date != unit.date) =>
            {
                group.push(unit);
                items += size;
            }
            _ => {
                groups.push(vec![unit]);
                items = size;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::ids::{Attempt, Generation};
    use proto::manifest::ManifestBuilder;

    fn unit(date: &str, generation: i64, items: u64) -> CommitUnit {
        let manifest = |generation, hash: &[u8]| {
            let mut builder = ManifestBuilder::default();
            builder.add_item(Hash128::of(hash));
            builder.finish(Generation(generation), Attempt(1))
        };
        let mut rows = manifest(generation, b"rows");
        rows.items = items;
        CommitUnit {
            date: date.parse().unwrap(),
            generation: Generation(generation),
            lines: manifest(3, b"lines"),
            resolutions: Some(manifest(4, b"resolutions")),
            rows,
            config: Hash128::default(),
            rules: Hash128::default(),
        }
    }

    fn of(unit: &CommitUnit, state: State) -> Step<'_> {
        step(unit, &BTreeMap::from([(unit.date, state)]))
    }

    #[test]
    fn only_what_is_wanted_and_newer_is_stored() {
        let unit = unit("2026-05-01", 7, 1);
        let state = State { wanted: 7, ..State::default() };
        assert!(matches!(step(&unit, &BTreeMap::new()), Step::Superseded));
        assert!(matches!(of(&unit, State { wanted: 8, ..state }), Step::Superseded));
        assert!(matches!(of(&unit, State { wanted: 7, visible: 9, ..state }), Step::Superseded));
        assert!(matches!(
            of(&unit, State { wanted: 9, visible: 7, ..state }),
            Step::AlreadyVisible
        ));
        let Step::Store(work) = of(&unit, state) else { panic!("not stored") };
        assert!(work.store_lines && work.archive_resolutions);
        assert_eq!((work.lines_generation, work.resolutions.unwrap().0, work.previous), (3, 4, 0));
    }

    #[test]
    fn equal_lines_and_resolutions_are_stored_once() {
        let unit = unit("2026-05-01", 7, 1);
        let resolutions = unit.resolutions.as_ref().unwrap().hash;
        let state = State {
            wanted: 7,
            visible: 6,
            lines: Some((1, unit.lines.hash)),
            resolutions: Some((2, resolutions)),
        };
        let Step::Store(work) = of(&unit, state) else { panic!("not stored") };
        assert!(!work.store_lines && !work.archive_resolutions);
        assert_eq!((work.lines_generation, work.resolutions.unwrap().0, work.previous), (1, 2, 6));
        let other = State { lines: Some((1, Hash128::of(b"other"))), resolutions: None, ..state };
        let Step::Store(work) = of(&unit, other) else { panic!("not stored") };
        assert!(work.store_lines && work.archive_resolutions);
    }

    #[test]
    fn small_units_share_and_large_ones_do_not() {
        let dates = |groups: Vec<Vec<&CommitUnit>>| -> Vec<Vec<String>> {
            groups
                .iter()
                .map(|g| g.iter().map(|u| u.date.to_string()[8..].to_owned()).collect())
                .collect()
        };
        let units = [
            unit("2026-05-03", 7, 10),
            unit("2026-05-01", 7, 19_000),
            unit("2026-05-02", 7, 900),
            unit("2026-05-04", 7, 5_000_000),
            unit("2026-05-05", 7, 10),
            unit("2026-05-05", 8, 10),
        ];
        assert_eq!(
            dates(groups(&units)),
            [vec!["01", "02", "03"], vec!["04"], vec!["05"], vec!["05"]]
        );
        assert!(groups(&[]).is_empty());
    }
}
