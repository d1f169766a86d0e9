//! Cuts what a gather found into batches. Blocks; knows no network, so that tests see every batch.

use std::collections::{BTreeMap, BTreeSet};

use proto::column::ITEMS_MAX;
use proto::envelope::BATCH_BYTES;
use proto::hash::{Hash128, SetHash};
use proto::line::{BillingLineItem, LineBatch, LineBatchBuilder};
use proto::manifest::Totals;
use proto::report::{GatheredHash, QuarantinedRecord};
use proto::task::Gather;
use proto::time::UnitDate;

use crate::error::GatherError;
use crate::ports::{Harvest, Received, Watch};

/// Bytes of lines between two looks at a batch's size, at least.
const LOOK_BYTES: usize = 16 * 1024;
/// Most records, and about the most bytes, of one report of quarantined records.
const QUARANTINE_CHUNK: (usize, usize) = (200, 300_000);

/// What is to be published, in order.
#[derive(Debug)]
pub enum Cut {
    /// The next batch of a date.
    Batch(Box<Batch>),
    /// A date's last batch was handed out.
    Date {
        /// Which.
        date: UnitDate,
        /// What was counted when its records were read.
        received: Totals,
        /// Hash of its lines.
        hash: Hash128,
    },
    /// Records that could not be understood.
    Quarantined(Vec<QuarantinedRecord>),
}

/// Lines of one date.
#[derive(Debug)]
pub struct Batch {
    /// Which.
    pub date: UnitDate,
    /// The lines.
    pub lines: LineBatch,
    /// Hash of each.
    pub hashes: Vec<Hash128>,
    /// Their money.
    pub totals: Totals,
}

/// What a gather came to.
#[derive(Debug, Default)]
pub struct Ended {
    /// Every date that the source has.
    pub dates: Vec<GatheredHash>,
    /// For the next gather.
    pub cursor: Option<Vec<u8>>,
}

/// Takes what is cut.
pub type TakeCut<'a> = &'a mut dyn FnMut(Cut) -> Result<(), GatherError>;

/// Hands everything that is to be published to `take`. A date whose lines are those in force is not, unless it is to
/// be published again.
///
/// # Errors
/// When lines cannot be read back, or are not those that were received; what `take` answers otherwise.
pub fn cut(
    harvest: &mut dyn Harvest,
    task: &Gather,
    watch: &Watch,
    take: TakeCut<'_>,
) -> Result<Ended, GatherError> {
    let known: BTreeMap<UnitDate, Hash128> = task.known.iter().map(|k| (k.date, k.hash)).collect();
    let republish: BTreeSet<UnitDate> = task.republish.iter().copied().collect();
    let read = harvest.summary().read.clone();
    let mut dates: BTreeMap<UnitDate, (Hash128, bool)> =
        harvest.summary().unchanged.iter().map(|(date, hash)| (*date, (*hash, true))).collect();
    for (date, received) in read {
        let known = known.get(&date).filter(|_| !republish.contains(&date));
        if let Some(known) = known
            && count(harvest, date, &received, watch)? == *known
        {
            dates.insert(date, (*known, true));
            continue;
        }
        let hash = publish(harvest, date, &received, watch, take)?;
        take(Cut::Date { date, received: received.totals, hash })?;
        dates.insert(date, (hash, false));
    }
    quarantined(harvest, take)?;
    let hashes = dates.iter().map(|(date, (hash, _))| (*date, *hash)).collect();
    let cursor = harvest.cursor(&hashes);
    let told = |(date, (hash, unchanged))| GatheredHash { date, hash, unchanged };
    Ok(Ended { dates: dates.into_iter().map(told).collect(), cursor })
}

/// The hash of a date's lines.
fn count(
    harvest: &mut dyn Harvest,
    date: UnitDate,
    received: &Received,
    watch: &Watch,
) -> Result<Hash128, GatherError> {
    let (mut hash, mut counted) = (SetHash::default(), Received::default());
    let mut each = |line: &BillingLineItem| {
        hash.add(line.hash());
        add(&mut counted, line);
        if counted.lines.is_multiple_of(4_096) { watch.tick() } else { Ok(()) }
    };
    harvest.lines(date, &mut each)?;
    balanced(date, received, &counted)?;
    Ok(hash.value())
}

/// Hands out a date's batches; answers the hash of its lines.
fn publish(
    harvest: &mut dyn Harvest,
    date: UnitDate,
    received: &Received,
    watch: &Watch,
    take: TakeCut<'_>,
) -> Result<Hash128, GatherError> {
    let (mut hash, mut counted) = (SetHash::default(), Received::default());
    let mut cutter = Cutter::new(date);
    let mut each = |line: &BillingLineItem| {
        let item = line.hash();
        hash.add(item);
        add(&mut counted, line);
        if let Some(batch) = cutter.push(line, item) {
            watch.tick()?;
            take(Cut::Batch(Box::new(batch)))?;
        }
        Ok(())
    };
    harvest.lines(date, &mut each)?;
    if let Some(batch) = cutter.finish() {
        take(Cut::Batch(Box::new(batch)))?;
    }
    balanced(date, received, &counted)?;
    Ok(hash.value())
}

fn add(counted: &mut Received, line: &BillingLineItem) {
    counted.lines += 1;
    counted.totals.add_line(line);
}

fn balanced(date: UnitDate, received: &Received, counted: &Received) -> Result<(), GatherError> {
    if received == counted {
        return Ok(());
    }
    let (got, gave) = (received.lines, counted.lines);
    Err(GatherError::Unbalanced(format!("{date} ({got} lines received, {gave} handed out)")))
}

/// Gathers lines until they fill a batch.
struct Cutter {
    date: UnitDate,
    builder: LineBatchBuilder,
    hashes: Vec<Hash128>,
    totals: Totals,
    /// Bytes of lines since the batch's size was looked at, and how many there may be before the next look.
    since: usize,
    room: usize,
}

impl Cutter {
    fn new(date: UnitDate) -> Self {
        let (builder, hashes, totals) =
            (LineBatchBuilder::default(), Vec::new(), Totals::default());
        Self { date, builder, hashes, totals, since: 0, room: BATCH_BYTES }
    }

    /// Adds a line; answers a batch once there is enough for one.
    fn push(&mut self, line: &BillingLineItem, hash: Hash128) -> Option<Batch> {
        self.builder.push(line);
        self.hashes.push(hash);
        self.totals.add_line(line);
        let texts = line.cells.iter().map(|(_, text)| text.len() + 4).sum::<usize>();
        self.since += texts + line.resolution_key.as_ref().map_or(0, String::len) + 64;
        if self.since < self.room && self.hashes.len() < ITEMS_MAX {
            return None;
        }
        // A batch never grows by more than its lines' bytes, so its size need not be asked for each line.
        let size = self.builder.size();
        self.since = 0;
        self.room = BATCH_BYTES.saturating_sub(size).max(LOOK_BYTES);
        if size < BATCH_BYTES && self.hashes.len() < ITEMS_MAX { None } else { self.finish() }
    }

    fn finish(&mut self) -> Option<Batch> {
        (self.since, self.room) = (0, BATCH_BYTES);
        let (hashes, totals) = (std::mem::take(&mut self.hashes), std::mem::take(&mut self.totals));
        let batch = |lines| Batch { date: self.date, lines, hashes, totals };
        (!self.builder.is_empty()).then(|| self.builder.take()).map(batch)
    }
}

fn quarantined(harvest: &mut dyn Harvest, take: TakeCut<'_>) -> Result<(), GatherError> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    let mut each = |record: QuarantinedRecord| {
        bytes += record.text.len() + record.reason.len() + record.file.len() + 100;
        chunk.push(record);
        if chunk.len() < QUARANTINE_CHUNK.0 && bytes < QUARANTINE_CHUNK.1 {
            return Ok(());
        }
        bytes = 0;
        take(Cut::Quarantined(std::mem::take(&mut chunk)))
    };
    harvest.quarantined(&mut each)?;
    if chunk.is_empty() { Ok(()) } else { take(Cut::Quarantined(chunk)) }
}
