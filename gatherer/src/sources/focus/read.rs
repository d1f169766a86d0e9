//! Reads files into the spool, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use proto::hash::Hash128;
use proto::time::UnitDate;

use super::files::Listed;
use super::header::ColumnNames;
use super::input::Input;
use super::map::{Mapper, Outcome, Wanted};
use super::plan::FileState;
use crate::error::GatherError;
use crate::ports::{Received, Watch};
use crate::quarantine::Quarantine;
use crate::spool::Spool;

/// Records between two looks at whether to go on.
const TICK_RECORDS: u64 = 4_096;

/// Collects what files hold.
pub struct Reader<'a> {
    wanted: &'a Wanted,
    watch: &'a Watch,
    /// The lines.
    pub spool: Spool,
    /// What was counted of the lines, independently of what becomes of them.
    pub received: BTreeMap<UnitDate, Received>,
    /// Names of columns.
    pub names: ColumnNames,
    /// What could not be understood.
    pub quarantine: Quarantine,
    /// Records of files that were read whole, lines of asked dates and quarantined ones.
    pub records: u64,
}

/// What was seen of one file.
struct Seen {
    content: Hash128,
    days: BTreeSet<UnitDate>,
    refused: BTreeSet<UnitDate>,
    too_early: bool,
    warnings: BTreeMap<String, u64>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(wanted: &'a Wanted, watch: &'a Watch) -> Self {
        let (spool, received, quarantine) =
            (Spool::default(), BTreeMap::new(), Quarantine::default());
        Self {
            wanted,
            watch,
            spool,
            received,
            names: ColumnNames::default(),
            quarantine,
            records: 0,
        }
    }

    /// Reads a file whole; keeps its lines of the dates that are asked for, and what could not be understood.
    ///
    /// # Errors
    /// When it cannot be read to its end, or has changed meanwhile.
    pub fn whole(
        &mut self,
        file: &Listed,
        asked: &dyn Fn(UnitDate) -> bool,
    ) -> Result<FileState, GatherError> {
        let fresh = file.stamp.is_fresh(SystemTime::now());
        let before = self.quarantine.records();
        let seen = self.file(file, asked, true)?;
        Ok(FileState {
            name: file.name.clone(),
            stamp: file.stamp,
            content: seen.content,
            days: seen.days.into_iter().collect(),
            refused: seen.refused.into_iter().collect(),
            bad: self.quarantine.records() > before,
            again: fresh || seen.too_early,
            warnings: seen.warnings.into_iter().collect(),
        })
    }

    /// Reads only a file's lines of some dates; what could not be understood was reported when it was read whole.
    ///
    /// # Errors
    /// When it cannot be read to its end, or has changed meanwhile.
    pub fn part(
        &mut self,
        file: &Listed,
        dates: &BTreeSet<UnitDate>,
    ) -> Result<Hash128, GatherError> {
        Ok(self.file(file, &|date| dates.contains(&date), false)?.content)
    }

    fn file(
        &mut self,
        file: &Listed,
        asked: &dyn Fn(UnitDate) -> bool,
        whole: bool,
    ) -> Result<Seen, GatherError> {
        tracing::debug!(file = file.name, whole, "reading");
        let mut records = Input::open(file)?;
        let layout = records.header(file, self.wanted.cost, &mut self.names)?;
        let mut mapper = Mapper::new(self.wanted, &layout);
        let (mut bytes, mut days, mut refused) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let (mut too_early, mut count) = (false, 0_u64);
        loop {
            let record = match records.read() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => return Err(records.damaged(file, error).into()),
            };
            count += 1;
            if count.is_multiple_of(TICK_RECORDS) {
                self.watch.tick()?;
            }
            match mapper.map(&record, asked, &mut bytes) {
                Outcome::Line(date, head) => {
                    let received = self.received.entry(date).or_default();
                    received.lines += 1;
                    received.totals.add(
                        head.currency,
                        head.billing_period,
                        head.amount,
                        &head.measures,
                    );
                    self.spool.push(date, &bytes)?;
                    self.records += u64::from(whole);
                    days.insert(date);
                }
                Outcome::Elsewhere(date) => _ = days.insert(date),
                Outcome::Refused(refusal) if whole => {
                    too_early |= refusal.too_early;
                    let bad = mapper.quarantine(&file.name, &record, *refusal);
                    if let Some(date) = bad.date.filter(|date| !asked(*date)) {
                        refused.insert(date);
                    } else {
                        self.quarantine.push(&bad)?;
                        self.records += 1;
                    }
                }
                Outcome::Refused(_) => {}
            }
        }
        let warnings = std::mem::take(&mut mapper.warnings).0;
        let content = records.close(file)?;
        self.watch.tick()?;
        Ok(Seen { content, days, refused, too_early, warnings })
    }
}
