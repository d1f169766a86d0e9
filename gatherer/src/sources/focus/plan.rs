//! What of the files must be read again: a pure rule over what the last gather left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::hash::Hash128;
use proto::time::UnitDate;
use serde::{Deserialize, Serialize};

use super::files::{Listed, Stamp};
use crate::sources::cursor::{DateHashes, Days};

/// What one gather leaves for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FocusCursor {
    /// Hash of the settings that the files were read with.
    pub settings: Hash128,
    /// The files as they were.
    pub files: Vec<FileState>,
    /// The dates that were in the window, with the hash of their lines.
    pub dates: DateHashes,
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// How reports call it.
    pub name: String,
    /// Its state then.
    pub stamp: Stamp,
    /// Hash of its bytes.
    pub content: Hash128,
    /// The dates that it holds lines of, in the window or not.
    pub days: Days,
    /// The dates out of the window that it holds records of which no line can be made. They are told once the window
    /// reaches them.
    pub refused: Days,
    /// Whether it holds quarantined records that were told.
    pub bad: bool,
    /// Whether its stamp is not to be trusted, or what it said depended on the day.
    pub again: bool,
    /// What a person should know, and how often.
    pub warnings: Vec<(String, u64)>,
}

impl FileState {
    /// Whether a file need not be read whole again.
    fn holds(&self, file: &Listed, asked: &dyn Fn(UnitDate) -> bool) -> bool {
        self.stamp == file.stamp && !self.again && !self.refused.iter().any(asked)
    }
}

/// What a gather does about the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files to be read whole, by place in the list.
    pub whole: Vec<usize>,
    /// Files that have not changed: place in the list and in the cursor.
    pub kept: Vec<(usize, usize)>,
    /// Dates whose lines may differ from what is in force, as far as the unread files tell.
    pub touched: BTreeSet<UnitDate>,
}

/// Decides. `republish` names dates whose batches are gone, `known` what is in force, `asked` the window of dates.
#[must_use]
pub fn plan(
    listed: &[Listed],
    before: Option<&FocusCursor>,
    known: &BTreeMap<UnitDate, Hash128>,
    republish: &[UnitDate],
    asked: &dyn Fn(UnitDate) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    let Some(before) = before else {
        plan.whole = (0..listed.len()).collect();
        return plan;
    };
    let places: HashMap<&str, usize> =
        before.files.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut kept = vec![false; before.files.len()];
    for (at, file) in listed.iter().enumerate() {
        match places.get(file.name.as_str()) {
            Some(&was) if before.files[was].holds(file, asked) => {
                kept[was] = true;
                plan.kept.push((at, was));
            }
            _ => plan.whole.push(at),
        }
    }
    let hashes: BTreeMap<UnitDate, Hash128> = before.dates.iter().copied().collect();
    for (file, kept) in before.files.iter().zip(kept) {
        let stale = |date: &UnitDate| {
            let in_force = known.get(date);
            in_force.is_none() || in_force != hashes.get(date) || republish.contains(date)
        };
        plan.touched.extend(file.days.iter().filter(|date| asked(*date) && (!kept || stale(date))));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> UnitDate {
        proto::time::FIRST_DATE.plus_days(n).unwrap()
    }
    fn hash(n: i64) -> Hash128 {
        Hash128::of(&n.to_le_bytes())
    }
    fn listed(folder: &std::path::Path, name: &str) -> Listed {
        let path = folder.join(name);
        std::fs::write(&path, name).unwrap();
        Listed { stamp: Stamp::of(&path.metadata().unwrap()), path, name: name.to_owned() }
    }
    fn state(file: &Listed, days: &[i64]) -> FileState {
        let days = days.iter().map(|n| day(*n)).collect();
        let (name, stamp) = (file.name.clone(), file.stamp);
        let (content, refused, warnings) = (hash(0), Days::default(), Vec::new());
        FileState { name, stamp, content, days, refused, bad: false, again: false, warnings }
    }

    #[test]
    fn only_what_changed_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| listed(folder.path(), name));
        let cursor = FocusCursor {
            settings: hash(9),
            files: vec![state(&a, &[1, 2]), state(&b, &[2, 3]), state(&c, &[4])],
            dates: (1..=4).map(|n| (day(n), hash(n))).collect(),
        };
        let known: BTreeMap<_, _> = cursor.dates.iter().copied().collect();
        let days = |days: &[i64]| days.iter().map(|n| day(*n)).collect::<BTreeSet<_>>();
        let all = [a.clone(), b.clone(), c.clone()];
        let every = |_: UnitDate| true;
        let run = |files: &[Listed],
                   cursor: &FocusCursor,
                   known: &BTreeMap<_, _>,
                   republish: &[UnitDate]| {
            plan(files, Some(cursor), known, republish, &every)
        };
        assert_eq!(plan(&all, None, &known, &[], &every).whole, [0, 1, 2]);
        let same = run(&all, &cursor, &known, &[]);
        assert_eq!((same.whole.len(), same.kept.len(), same.touched.len()), (0, 3, 0));
        // One file gone: its dates are looked at again, in the files that share them.
        let gone = run(&all[1..], &cursor, &known, &[]);
        assert_eq!(
            (gone.whole.len(), gone.kept.clone(), gone.touched),
            (0, vec![(0, 1), (1, 2)], days(&[1, 2]))
        );
        // One file changed.
        let mut other = all.clone();
        other[2].stamp = b.stamp;
        let changed = run(&other, &cursor, &known, &[]);
        assert_eq!((changed.whole, changed.touched), (vec![2], days(&[4])));
        // What is in force is not what was found; a date is wanted again; one has come into the window.
        let mut old = known.clone();
        old.insert(day(3), hash(7));
        old.remove(&day(1));
        assert_eq!(run(&all, &cursor, &old, &[day(4)]).touched, days(&[1, 3, 4]));
        let mut narrow = cursor.clone();
        narrow.dates.pop();
        assert_eq!(run(&all, &narrow, &known, &[]).touched, days(&[4]));
        assert_eq!(plan(&all, Some(&narrow), &known, &[], &|d| d < day(4)).touched, days(&[]));
        let mut doubted = cursor;
        doubted.files[0].again = true;
        assert_eq!(run(&all, &doubted, &known, &[]).whole, [0]);
    }
}
