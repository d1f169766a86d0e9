//! One gather of a `focus` source: decide, read, hand out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use proto::config::{Duplicates, FocusSettings};
use proto::hash::Hash128;
use proto::report::{QuarantinedRecord, Warning};
use proto::time::UnitDate;

use super::codec::Decoder;
use super::error::FocusError;
use super::files::{self, Listed};
use super::header::ColumnNames;
use super::map::Wanted;
use super::plan::{FileState, FocusCursor, plan};
use super::read::Reader;
use crate::error::GatherError;
use crate::ports::{GatherRequest, Harvest, Summary, TakeLine};
use crate::quarantine::Quarantine;
use crate::sources::cursor;
use crate::spool::{Sorted, SpoolError};
use crate::window::Window;

/// Reads what changed since the last gather. Blocks.
///
/// # Errors
/// When any file cannot be read to its end: nothing of the gather counts then.
pub fn collect(
    request: &GatherRequest,
    settings: &FocusSettings,
) -> Result<FocusHarvest, GatherError> {
    let config = &request.config;
    let hash = config
        .gather_hash(&request.source)
        .map_err(|error| GatherError::Config(error.to_string()))?;
    let wanted = Wanted {
        tenant: request.tenant.clone(),
        source: request.source.clone(),
        cost: settings.cost,
        currencies: config.currency.clone(),
        today: request.task.today,
    };
    let listed = files::list(Path::new(&request.task.folder), &settings.files)?;
    let bytes = request.task.cursor.as_ref().filter(|_| !request.task.rehash);
    let before = bytes
        .and_then(|bytes| cursor::decode::<FocusCursor>(bytes))
        .filter(|before| before.settings == hash);
    let gather = Gather { request, settings, wanted: &wanted, listed: &listed, hash };
    match gather.run(before.as_ref())? {
        Some(harvest) => Ok(harvest),
        None => {
            tracing::warn!(tenant = %request.tenant, source = %request.source, "a file changed unnoticed: reading all");
            gather.run(None)?.ok_or_else(|| FocusError::Changed(settings.files.join(", ")).into())
        }
    }
}

struct Gather<'a> {
    request: &'a GatherRequest,
    settings: &'a FocusSettings,
    wanted: &'a Wanted,
    listed: &'a [Listed],
    hash: Hash128,
}

impl Gather<'_> {
    /// `None`: a file that seemed unchanged is not, so the cursor is worth nothing.
    fn run(&self, before: Option<&FocusCursor>) -> Result<Option<FocusHarvest>, GatherError> {
        let task = &self.request.task;
        let window = Window::of(task);
        let asked = |date: UnitDate| window.contains(date);
        let known: BTreeMap<UnitDate, Hash128> =
            task.known.iter().map(|k| (k.date, k.hash)).collect();
        let plan = plan(self.listed, before, &known, &task.republish, &asked);
        let was = before.map_or(&[][..], |before| before.files.as_slice());

        let mut reader = Reader::new(self.wanted, &self.request.watch);
        let mut contents = Contents::new(self.settings.duplicates);
        for (at, state) in &plan.kept {
            contents.add(&self.listed[*at], was[*state].content)?;
        }
        let mut states: Vec<FileState> = Vec::with_capacity(self.listed.len());
        for at in &plan.whole {
            let state = reader.whole(&self.listed[*at], &asked)?;
            contents.add(&self.listed[*at], state.content)?;
            states.push(state);
        }
        let mut touched = plan.touched;
        touched.extend(reader.received.keys());
        let mut unchanged = BTreeSet::new();
        for (at, state) in &plan.kept {
            let state = &was[*state];
            unchanged.extend(state.days.iter().filter(|date| !touched.contains(date)));
            if state.days.iter().any(|date| touched.contains(&date))
                && reader.part(&self.listed[*at], &touched)? != state.content
            {
                return Ok(None);
            }
            states.push(state.clone());
        }
        states.sort_by(|a, b| a.name.cmp(&b.name));
        let hashes = before.map_or(&[][..], |before| before.dates.as_slice());
        let summary = Summary {
            unchanged: hashes
                .iter()
                .copied()
                .filter(|(date, _)| asked(*date) && unchanged.contains(date))
                .collect(),
            files_read: plan.whole.iter().map(|at| self.listed[*at].name.clone()).collect(),
            files_bad: states.iter().filter(|s| s.bad).map(|s| s.name.clone()).collect(),
            records: reader.records,
            quarantined: reader.quarantine.records(),
            warnings: warnings(&states),
            provider_columns: reader.names.of_provider().map(str::to_owned).collect(),
            read: reader.received,
        };
        let (sorted, names, quarantine) = (reader.spool.seal(), reader.names, reader.quarantine);
        Ok(Some(FocusHarvest {
            summary,
            sorted,
            names,
            quarantine,
            files: states,
            settings: self.hash,
        }))
    }
}

/// Finds files with the same bytes.
struct Contents<'a> {
    duplicates: Duplicates,
    seen: HashMap<Hash128, &'a str>,
}

impl<'a> Contents<'a> {
    fn new(duplicates: Duplicates) -> Self {
        Self { duplicates, seen: HashMap::new() }
    }
    fn add(&mut self, file: &'a Listed, content: Hash128) -> Result<(), FocusError> {
        let first = self.seen.insert(content, &file.name);
        match (first, self.duplicates) {
            (Some(first), Duplicates::Error) => {
                let (first, second) =
                    if *first < *file.name { (first, &*file.name) } else { (&*file.name, first) };
                Err(FocusError::Duplicates { first: first.to_owned(), second: second.to_owned() })
            }
            (Some(_), Duplicates::Allow) | (None, _) => Ok(()),
        }
    }
}

/// The same warning of several files is one, which names the first of them.
fn warnings(states: &[FileState]) -> Vec<Warning> {
    let mut merged: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for state in states {
        for (text, count) in &state.warnings {
            merged.entry(text).or_insert((0, &state.name)).0 += count;
        }
    }
    let told = |(text, (count, file)): (&str, (u64, &str))| Warning {
        text: format!("{text} (first in {file})"),
        count,
    };
    merged.into_iter().map(told).collect()
}

/// What a gather of files found.
pub struct FocusHarvest {
    summary: Summary,
    sorted: Sorted,
    names: ColumnNames,
    quarantine: Quarantine,
    files: Vec<FileState>,
    settings: Hash128,
}

impl Harvest for FocusHarvest {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn lines(&mut self, date: UnitDate, take: TakeLine<'_>) -> Result<(), GatherError> {
        let mut decoder = Decoder::new(&self.names);
        let mut each = |record: &[u8]| -> Result<(), GatherError> {
            take(decoder.line(record).ok_or(SpoolError::Damaged)?)
        };
        self.sorted.each(date, &mut each)
    }

    fn quarantined(
        &mut self,
        take: &mut dyn FnMut(QuarantinedRecord) -> Result<(), GatherError>,
    ) -> Result<(), GatherError> {
        self.quarantine.each(take)
    }

    fn cursor(&self, dates: &BTreeMap<UnitDate, Hash128>) -> Option<Vec<u8>> {
        let dates = dates.iter().map(|(date, hash)| (*date, *hash)).collect();
        cursor::encode(&FocusCursor { settings: self.settings, files: self.files.clone(), dates })
    }
}
