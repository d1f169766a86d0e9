//! Records of a CSV file (RFC 4180): bounded memory, line numbers, no copy of what needs none.
//!
//! Our own, because a quote that never closes must not swallow the rest of a file into memory, and because a bill's
//! records are read by the million. A test compares it with the `csv` crate.

mod assembled;

use std::io::Read;
use std::ops::Range;

pub use assembled::Assembled;

/// The longest record, in bytes: a longer one is a quote that never closes, or no CSV.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
const BUFFER_BYTES: usize = 256 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why no more records can be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file cannot be read on.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A record above the limit.
    #[error(
        "the record that starts here has more than {RECORD_BYTES_MAX} bytes: is there a quote that never closes?"
    )]
    TooLong,
    /// The end comes inside quotes.
    #[error("the file ends inside quotes: is it cut off, or is there a quote that never closes?")]
    Unclosed,
    /// What is there cannot be decoded.
    #[error("{0}")]
    Damaged(String),
}

/// Where a field lies: in the buffer as it stands, or in the scratch with its quotes taken off.
#[derive(Debug, Clone)]
enum Field {
    Plain(Range<usize>),
    Unquoted(Range<usize>),
}

/// Reads records one after the other.
pub struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    /// Unread bytes of the buffer.
    rest: Range<usize>,
    at_end: bool,
    begun: bool,
    /// Line that the next record starts in, from 1.
    line: u64,
    fields: Vec<Field>,
    scratch: Vec<u8>,
}

/// One record. Blank lines are none.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Line of the file that it starts in, from 1; where the format has no lines, the number of the row, from 1.
    pub line: u64,
    /// As it stands in the file, or would stand in one of CSV, without its line end.
    pub raw: &'a [u8],
    buffer: &'a [u8],
    scratch: &'a [u8],
    fields: &'a [Field],
}

impl<'a> Record<'a> {
    /// Number of fields, 1 or more.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.fields.len()
    }
    /// Field `i`, if there are so many.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        (i < self.fields.len()).then(|| self.field(i))
    }
    /// Field `i`, which must be below [`Self::fields`], without its quotes.
    #[must_use]
    pub fn field(&self, i: usize) -> &'a [u8] {
        match &self.fields[i] {
            Field::Plain(range) => &self.buffer[range.clone()],
            Field::Unquoted(range) => &self.scratch[range.clone()],
        }
    }
}

impl<R: Read> Records<R> {
    /// A reader of `input`, which must be decompressed.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES],
            rest: 0..0,
            at_end: false,
            begun: false,
            line: 1,
            fields: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Line of the file where the next record starts, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is read from.
    #[must_use]
    pub fn input(&self) -> &R {
        &self.input
    }

    /// What was read from.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next record that is not blank; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on, or has no sound record here.
    pub fn read(&mut self) -> Result<Option<Record<'_>>, RecordsError> {
        loop {
            let found = if self.begun { self.scan()? } else { None };
            let Some((end, next)) = found else {
                self.fill()?;
                continue;
            };
            let start = self.rest.start;
            if start == next {
                return Ok(None);
            }
            let line = self.line;
            self.rest.start = next;
            self.line += memchr::memchr_iter(b'\n', &self.buffer[start..next]).count() as u64;
            if end > start {
                let raw = &self.buffer[start..end];
                let (buffer, scratch, fields) =
                    (&self.buffer[..], &self.scratch[..], &self.fields[..]);
                return Ok(Some(Record { line, raw, buffer, scratch, fields }));
            }
        }
    }

    /// Reads on. What is left of the buffer moves to its front; the buffer grows while one record needs it.
    fn fill(&mut self) -> Result<(), RecordsError> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        if self.rest.end == self.buffer.len() {
            if self.buffer.len() >= RECORD_BYTES_MAX {
                return Err(RecordsError::TooLong);
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.rest.end..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.at_end = read == 0;
        self.rest.end += read;
        if !self.begun && (self.at_end || self.rest.len() >= BOM.len()) {
            self.begun = true;
            if self.buffer[self.rest.clone()].starts_with(BOM) {
                self.rest.start = BOM.len();
            }
        }
        Ok(())
    }

    /// Splits the record at the front of the unread bytes: where it ends and where the next one starts, which is the
    /// same place only where nothing is left. `None`: it ends beyond them, so read on and start over.
    fn scan(&mut self) -> Result<Option<(usize, usize)>, RecordsError> {
        self.fields.clear();
        self.scratch.clear();
        let data = &self.buffer[..self.rest.end];
        let mut at = self.rest.start;
        loop {
            let (first, kept, quoted) = (at, self.scratch.len(), data.get(at) == Some(&b'"'));
            if quoted {
                match closing(data, at + 1, self.at_end, &mut self.scratch) {
                    Some(after) => at = after,
                    None if self.at_end => return Err(RecordsError::Unclosed),
                    None => return Ok(None),
                }
            }
            let (stop, next, last) = match memchr::memchr2(b',', b'\n', &data[at..]) {
                Some(n) if data[at + n] == b',' => (at + n, at + n + 1, false),
                Some(n) => (before_return(data, at, at + n), at + n + 1, true),
                None if self.at_end => (before_return(data, at, data.len()), data.len(), true),
                None => return Ok(None),
            };
            self.fields.push(if !quoted {
                Field::Plain(first..stop)
            } else if at == stop && self.scratch.len() == kept {
                Field::Plain(first + 1..at - 1)
            } else {
                if self.scratch.len() == kept {
                    self.scratch.extend_from_slice(&data[first + 1..at - 1]);
                }
                self.scratch.extend_from_slice(&data[at..stop]);
                Field::Unquoted(kept..self.scratch.len())
            });
            if last {
                return Ok(Some((stop, next)));
            }
            at = next;
        }
    }
}

/// The byte after the quote that closes what opened before `from`. Where the field holds doubled quotes, its text
/// goes to `scratch`; else nothing does. `None`: the data ends first, or may go on with the second of two quotes.
fn closing(data: &[u8], from: usize, at_end: bool, scratch: &mut Vec<u8>) -> Option<usize> {
    let (mut start, kept) = (from, scratch.len());
    loop {
        let quote = start + memchr::memchr(b'"', &data[start..])?;
        match data.get(quote + 1) {
            Some(b'"') => {
                scratch.extend_from_slice(&data[start..=quote]);
                start = quote + 2;
            }
            None if !at_end => return None,
            _ => {
                if scratch.len() > kept {
                    scratch.extend_from_slice(&data[start..quote]);
                }
                return Some(quote + 1);
            }
        }
    }
}

/// `end`, or the carriage return before it.
fn before_return(data: &[u8], from: usize, end: usize) -> usize {
    if data[from..end].ends_with(b"\r") { end - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);
    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            let (head, tail) = self.0.split_at(n);
            out[..n].copy_from_slice(head);
            self.0 = tail;
            Ok(n)
        }
    }

    type Found = (u64, Vec<Vec<u8>>);

    fn all(input: impl Read) -> Result<Vec<Found>, RecordsError> {
        let (mut records, mut out) = (Records::new(input), Vec::new());
        while let Some(record) = records.read()? {
            out.push((
                record.line,
                (0..record.fields()).map(|i| record.field(i).to_vec()).collect(),
            ));
        }
        Ok(out)
    }

    fn texts(record: &[&str]) -> Vec<Vec<u8>> {
        record.iter().map(|t| t.as_bytes().to_vec()).collect()
    }

    #[test]
    fn lines_are_counted_through_quotes_and_blanks() {
        let text =
            "\u{feff}a,\"b\"\r\n\r\n\"x\ny\",\"say \"\"hi\"\"\"\n\n1,\"2\"3\r\n5\" disk,\"\"";
        for step in [1, 2, 7, 1000] {
            let want = [
                (1, texts(&["a", "b"])),
                (3, texts(&["x\ny", "say \"hi\""])),
                (6, texts(&["1", "23"])),
                (7, texts(&["5\" disk", ""])),
            ];
            assert_eq!(all(Drip(text.as_bytes(), step)).unwrap(), want, "{step}");
        }
        assert!(all(&b""[..]).unwrap().is_empty() && all(&b"\xef\xbb\xbf"[..]).unwrap().is_empty());
    }

    #[test]
    fn a_quote_that_never_closes_is_told_and_bounded() {
        assert!(matches!(all(&b"a,b\n1,\"2\n3,4\n"[..]), Err(RecordsError::Unclosed)));
        let endless = std::io::Read::chain(&b"a\n\""[..], std::io::repeat(b'x'));
        assert!(matches!(all(endless), Err(RecordsError::TooLong)));
        let mut long = vec![b'y'; RECORD_BYTES_MAX - 10];
        long.extend_from_slice(b"\nz");
        assert_eq!(all(long.as_slice()).unwrap().len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn agrees_with_the_csv_crate(parts in prop::collection::vec(0..9_usize, 0..60), step in 1..9_usize) {
            let pieces = ["a", "bc", ",", ",", "\n", "\r\n", "\"", "\"\"", " "];
            let text: String = parts.iter().map(|p| pieces[*p]).collect();
            let found = all(Drip(text.as_bytes(), step));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let want: Vec<Vec<Vec<u8>>> = reader
                .byte_records()
                .map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            // The csv crate closes a quote at the end of the file by itself; we say that it never closed.
            if let Ok(found) = found {
                prop_assert_eq!(found.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), want);
            } else {
                prop_assert!(text.contains('"'));
            }
        }
    }
}
