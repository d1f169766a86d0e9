//! What tasks and reports say about the items and the money that went in and out. Pure.

use std::collections::BTreeSet;

use proto::ids::Generation;
use proto::manifest::{Manifest, Totals};
use proto::report::Report;
use proto::task::{CommitUnit, Task};
use proto::time::UnitDate;

/// Items of one kind that went into a step or came out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// `in` or `out`.
    pub direction: &'static str,
    /// `lines`, `resolutions`, `rows`, `records`.
    pub kind: &'static str,
    /// How many.
    pub items: u64,
    /// Their money; empty for what carries none.
    pub totals: Totals,
}

impl Count {
    fn of(direction: &'static str, kind: &'static str, manifest: &Manifest) -> Self {
        Self { direction, kind, items: manifest.items, totals: manifest.totals.clone() }
    }
    fn number(direction: &'static str, kind: &'static str, items: u64) -> Self {
        Self { direction, kind, items, totals: Totals::default() }
    }
}

/// What a report says came out.
#[must_use]
pub fn out(report: &Report) -> Vec<Count> {
    match report {
        Report::GatheredDate(date) => vec![Count::of("out", "lines", &date.lines)],
        Report::Quarantined(records) => {
            vec![Count::number("out", "quarantined", records.len() as u64)]
        }
        Report::Resolved(units) => {
            units.iter().map(|unit| Count::of("out", "resolutions", &unit.manifest)).collect()
        }
        Report::Allocated(units) => {
            units.iter().map(|unit| Count::of("out", "rows", &unit.manifest)).collect()
        }
        Report::Restored(units) => {
            units.iter().map(|unit| Count::of("out", "lines", &unit.lines)).collect()
        }
        Report::Emitted(units) => {
            units.iter().map(|unit| Count::number("out", "rows", unit.rows)).collect()
        }
        Report::GatherDone(done) => vec![Count::number("in", "records", done.records)],
        Report::Driver(_) | Report::Committed(_) | Report::Removed(_) | Report::Failed(_) => {
            Vec::new()
        }
    }
}

/// What each unit of a task has to use.
#[must_use]
pub fn inputs(task: &Task) -> Vec<((UnitDate, Generation), Count)> {
    let lines =
        |date, generation, lines: &Manifest| ((date, generation), Count::of("in", "lines", lines));
    match task {
        Task::Resolve(task) => {
            task.units.iter().map(|unit| lines(unit.date, unit.generation, &unit.lines)).collect()
        }
        Task::Allocate(task) => {
            task.units.iter().map(|unit| lines(unit.date, unit.generation, &unit.lines)).collect()
        }
        Task::Commit(task) => {
            let both = |unit: &CommitUnit| {
                let rows = Count::of("in", "rows", &unit.rows);
                let key = (unit.date, unit.generation);
                [lines(unit.date, unit.generation, &unit.lines), (key, rows)]
            };
            task.units.iter().flat_map(both).collect()
        }
        Task::Gather(_) | Task::Driver(_) | Task::Restore(_) | Task::Emit(_) | Task::Remove(_) => {
            Vec::new()
        }
    }
}

/// What of these inputs the units used that these reports say are done.
#[must_use]
pub fn used(inputs: Vec<((UnitDate, Generation), Count)>, reports: &[Report]) -> Vec<Count> {
    let done = done(reports);
    let of_done = inputs.into_iter().filter(|(unit, _)| done.contains(unit));
    of_done.map(|(_, count)| count).collect()
}

fn done(reports: &[Report]) -> BTreeSet<(UnitDate, Generation)> {
    let of = |report: &Report| -> Vec<(UnitDate, Generation)> {
        match report {
            Report::Resolved(units) | Report::Allocated(units) => {
                units.iter().map(|unit| (unit.date, unit.generation)).collect()
            }
            Report::Committed(units) => {
                let visible = units.iter().filter(|unit| unit.visible);
                visible.map(|unit| (unit.date, unit.generation)).collect()
            }
            Report::GatheredDate(_)
            | Report::Quarantined(_)
            | Report::GatherDone(_)
            | Report::Restored(_)
            | Report::Driver(_)
            | Report::Emitted(_)
            | Report::Removed(_)
            | Report::Failed(_) => Vec::new(),
        }
    };
    reports.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use proto::ids::Attempt;
    use proto::manifest::ManifestBuilder;
    use proto::report::Published;
    use proto::task::{Allocate, AllocateUnit};

    use super::*;

    fn manifest(items: usize) -> Manifest {
        let mut builder = ManifestBuilder::default();
        builder.add_items(items, proto::hash::SetHash::default());
        builder.finish(Generation(1), Attempt(1))
    }

    #[test]
    fn only_units_that_are_done_count_as_used() {
        let day = |text: &str| text.parse::<UnitDate>().unwrap();
        let unit = |date, items| AllocateUnit {
            date,
            generation: Generation(7),
            lines: manifest(items),
            resolutions: None,
            drivers: Vec::new(),
        };
        let (first, second) = (day("2026-05-01"), day("2026-05-02"));
        let units = vec![unit(first, 3), unit(second, 5)];
        let task = Task::Allocate(Allocate { config: Default::default(), units });
        let published = Published {
            date: second,
            generation: Generation(7),
            manifest: manifest(9),
            warnings: Vec::new(),
            lacking: None,
            drivers: Vec::new(),
            identities: Vec::new(),
        };
        let reports = [Report::Allocated(vec![published])];
        let used: Vec<u64> =
            used(inputs(&task), &reports).iter().map(|count| count.items).collect();
        assert_eq!(used, [5]);
        assert_eq!(out(&reports[0])[0].items, 9);
        assert_eq!(out(&reports[0])[0].kind, "rows");
    }
}
