//! Bounded memory for any number of records: kept by date, handed back sorted.
//!
//! An external sort. Records are bytes whose order is the canonical order. They gather in memory; beyond the budget
//! the largest date's are sorted and written out as one run. A date is read back as the merge of its runs. All runs
//! lie in one unnamed temporary file, so nothing is left behind however the process ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use proto::time::UnitDate;

/// Bytes of records that one spool keeps in memory.
pub const MEMORY_BYTES: usize = 32 << 20;
/// Bytes of one date's records above which they are written out, so that growing never needs much at once.
const DATE_BYTES: usize = 8 << 20;
/// Memory that the read buffers of one merge share.
const MERGE_BYTES: usize = 16 << 20;
/// Bounds of the read buffer of one run.
const READ_BYTES: (usize, usize) = (4 << 10, 256 << 10);
/// Bytes in front of a record: its length.
const PREFIX: usize = 4;

/// Why records cannot be kept or given back.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The temporary file.
    #[error(
        "failed to use the temporary file for records in {folder}: is there space? (TMPDIR names the folder)"
    )]
    Io {
        /// Where it lies.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// It does not hold what was written.
    #[error("the temporary file for records is damaged")]
    Damaged,
}

impl SpoolError {
    /// Of a temporary file.
    #[must_use]
    pub fn io(source: std::io::Error) -> Self {
        Self::Io { folder: std::env::temp_dir().display().to_string(), source }
    }
}

/// Records of one date in memory: each its length, then itself.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Pending {
    fn size(&self) -> usize {
        self.bytes.capacity() + PREFIX * self.starts.capacity()
    }
    fn record(&self, start: u32) -> &[u8] {
        record_at(&self.bytes, start as usize).unwrap_or_default()
    }
    /// The records, sorted.
    fn sorted(mut self) -> Vec<u8> {
        let mut starts = std::mem::take(&mut self.starts);
        starts.sort_unstable_by(|a, b| self.record(*a).cmp(self.record(*b)));
        let mut out = Vec::with_capacity(self.bytes.len());
        for start in starts {
            let record = self.record(start);
            out.extend_from_slice(&(record.len() as u32).to_le_bytes());
            out.extend_from_slice(record);
        }
        out
    }
}

/// The record whose length stands at `at`.
fn record_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (prefix, rest) = bytes.get(at..)?.split_first_chunk::<PREFIX>()?;
    rest.get(..u32::from_le_bytes(*prefix) as usize)
}

/// A sorted run of one date.
enum Run {
    Memory(Vec<u8>),
    File { offset: u64, bytes: u64 },
}

/// Takes records in any order.
pub struct Spool {
    memory: usize,
    used: usize,
    pending: BTreeMap<UnitDate, Pending>,
    runs: BTreeMap<UnitDate, Vec<Run>>,
    file: Option<File>,
    written: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self::new(MEMORY_BYTES)
    }
}

impl Spool {
    /// An empty spool that keeps at most about `memory` bytes in memory.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        Self {
            memory,
            used: 0,
            pending: BTreeMap::new(),
            runs: BTreeMap::new(),
            file: None,
            written: 0,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&mut self, date: UnitDate, record: &[u8]) -> Result<(), SpoolError> {
        let pending = self.pending.entry(date).or_default();
        let before = pending.size();
        pending.starts.push(u32::try_from(pending.bytes.len()).map_err(|_| SpoolError::Damaged)?);
        pending.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        pending.bytes.extend_from_slice(record);
        let size = pending.size();
        self.used = self.used - before + size;
        if size > DATE_BYTES.min(self.memory) {
            self.spill(date)?;
        }
        while self.used > self.memory {
            let Some((largest, _)) = self.pending.iter().max_by_key(|(_, p)| p.size()) else {
                break;
            };
            self.spill(*largest)?;
        }
        Ok(())
    }

    /// Writes a date's records out as one sorted run.
    fn spill(&mut self, date: UnitDate) -> Result<(), SpoolError> {
        let Some(pending) = self.pending.remove(&date) else { return Ok(()) };
        self.used -= pending.size();
        let sorted = pending.sorted();
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile().map_err(SpoolError::io)?);
        }
        if let Some(file) = &self.file {
            file.write_all_at(&sorted, self.written).map_err(SpoolError::io)?;
        }
        let run = Run::File { offset: self.written, bytes: sorted.len() as u64 };
        self.written += sorted.len() as u64;
        self.runs.entry(date).or_default().push(run);
        Ok(())
    }

    /// No more records: what is in memory is sorted there.
    #[must_use]
    pub fn seal(mut self) -> Sorted {
        for (date, pending) in std::mem::take(&mut self.pending) {
            self.runs.entry(date).or_default().push(Run::Memory(pending.sorted()));
        }
        Sorted { runs: self.runs, file: self.file.map(Arc::new) }
    }
}

/// Gives the records of each date back in their order, as often as asked.
pub struct Sorted {
    runs: BTreeMap<UnitDate, Vec<Run>>,
    file: Option<Arc<File>>,
}

impl Sorted {
    /// Hands each record of a date to `take`, sorted, until that says no.
    ///
    /// # Errors
    /// When the temporary file cannot be read; what `take` answers otherwise.
    pub fn each<E: From<SpoolError>>(
        &self,
        date: UnitDate,
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let runs = self.runs.get(&date).map_or(&[][..], Vec::as_slice);
        let buffer = (MERGE_BYTES / runs.len().max(1)).clamp(READ_BYTES.0, READ_BYTES.1);
        let mut heap = Vec::with_capacity(runs.len());
        for run in runs {
            let mut cursor = Cursor::new(run, self.file.clone(), buffer);
            if cursor.advance()? {
                heap.push(cursor);
            }
        }
        for at in (0..heap.len() / 2).rev() {
            sink(&mut heap, at);
        }
        while let Some(first) = heap.first_mut() {
            take(first.record())?;
            if !first.advance()? {
                heap.swap_remove(0);
            }
            sink(&mut heap, 0);
        }
        Ok(())
    }
}

/// Restores a heap, smallest record first, whose element `at` may be too large for its place.
fn sink(heap: &mut [Cursor<'_>], mut at: usize) {
    loop {
        let children = (2 * at + 1)..heap.len().min(2 * at + 3);
        let Some(child) = children.min_by(|a, b| heap[*a].record().cmp(heap[*b].record())) else {
            return;
        };
        if heap[at].record() <= heap[child].record() {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// A place in a run.
struct Cursor<'r> {
    file: Option<Arc<File>>,
    /// What of the run is in memory, and the part of the file that is not yet.
    bytes: std::borrow::Cow<'r, [u8]>,
    unread: std::ops::Range<u64>,
    buffer: usize,
    /// The record at hand, without its length, and where the next one starts.
    record: std::ops::Range<usize>,
}

impl<'r> Cursor<'r> {
    fn new(run: &'r Run, file: Option<Arc<File>>, buffer: usize) -> Self {
        let (bytes, unread) = match run {
            Run::Memory(bytes) => (bytes.as_slice().into(), 0..0),
            Run::File { offset, bytes } => (Vec::new().into(), *offset..offset + bytes),
        };
        Self { file, bytes, unread, buffer, record: 0..0 }
    }

    fn record(&self) -> &[u8] {
        &self.bytes[self.record.clone()]
    }

    /// Moves to the next record; false after the last.
    fn advance(&mut self) -> Result<bool, SpoolError> {
        let mut at = self.record.end;
        loop {
            if let Some(record) = record_at(&self.bytes, at) {
                self.record = at + PREFIX..at + PREFIX + record.len();
                return Ok(true);
            }
            if self.unread.is_empty() {
                return if at == self.bytes.len() { Ok(false) } else { Err(SpoolError::Damaged) };
            }
            self.fill(at)?;
            at = 0;
        }
    }

    /// Reads on, keeping what comes after `at`.
    fn fill(&mut self, at: usize) -> Result<(), SpoolError> {
        let file = self.file.as_ref().ok_or(SpoolError::Damaged)?;
        let bytes = self.bytes.to_mut();
        bytes.drain(..at);
        let (kept, left) = (bytes.len(), self.unread.end - self.unread.start);
        let more = left.min((self.buffer.max(kept)) as u64);
        bytes.resize(kept + more as usize, 0);
        file.read_exact_at(&mut bytes[kept..], self.unread.start).map_err(SpoolError::io)?;
        self.unread.start += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> UnitDate {
        proto::time::FIRST_DATE.plus_days(n).unwrap()
    }

    fn read(sorted: &Sorted, date: UnitDate) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut take = |record: &[u8]| -> Result<(), SpoolError> {
            out.push(record.to_vec());
            Ok(())
        };
        sorted.each(date, &mut take).unwrap();
        out
    }

    #[test]
    fn records_come_back_sorted_by_date_whatever_fits_in_memory() {
        // A fixed sequence that jumps about; lengths from 0 to 8,999 bytes, so that some exceed a read buffer.
        let records: Vec<(UnitDate, Vec<u8>)> = (0..3_000_u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .map(|x| (day((x % 7) as i64), vec![(x >> 32) as u8; (x % 9_000) as usize]))
            .collect();
        for memory in [usize::MAX, 1 << 20, 40_000, 1] {
            let mut spool = Spool::new(memory);
            records.iter().for_each(|(date, record)| spool.push(*date, record).unwrap());
            assert!(memory == usize::MAX || spool.used <= memory, "{} of {memory}", spool.used);
            let sorted = spool.seal();
            for n in 0..7 {
                let mut want: Vec<Vec<u8>> =
                    records.iter().filter(|(d, _)| *d == day(n)).map(|(_, r)| r.clone()).collect();
                want.sort();
                assert_eq!(read(&sorted, day(n)), want, "memory {memory}");
                assert_eq!(read(&sorted, day(n)).len(), want.len(), "a second time");
            }
            assert!(read(&sorted, day(9)).is_empty());
        }
    }

    #[test]
    fn the_taker_can_stop() {
        let mut spool = Spool::default();
        (0..5).for_each(|i| spool.push(day(0), &[i]).unwrap());
        let mut seen = 0;
        let mut take = |_: &[u8]| {
            seen += 1;
            if seen == 2 { Err(SpoolError::Damaged) } else { Ok(()) }
        };
        assert!(spool.seal().each(day(0), &mut take).is_err());
        assert_eq!(seen, 2);
    }
}
