//! A record of cells that come one by one, from a format whose records are no text.

use super::{Field, Record};

/// Cells of one record, and the line of CSV that would hold them.
#[derive(Default)]
pub struct Assembled {
    line: u64,
    raw: Vec<u8>,
    scratch: Vec<u8>,
    fields: Vec<Field>,
}

impl Assembled {
    /// Starts a record, whose number is `line`.
    pub fn begin(&mut self, line: u64) {
        self.line = line;
        self.raw.clear();
        self.scratch.clear();
        self.fields.clear();
    }

    /// Adds a cell.
    pub fn field(&mut self, text: &[u8]) {
        let all = |out: &mut Vec<u8>| {
            out.extend_from_slice(text);
            Ok::<(), std::convert::Infallible>(())
        };
        match self.field_with(all) {
            Ok(()) => {}
        }
    }

    /// Adds the cell that `write` appends.
    ///
    /// # Errors
    /// What `write` answers.
    pub fn field_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.fields.is_empty() {
            self.raw.push(b',');
        }
        let start = self.raw.len();
        write(&mut self.raw)?;
        let cell = &self.raw[start..];
        if memchr::memchr(b'"', cell).is_some() {
            let kept = self.scratch.len();
            self.scratch.extend_from_slice(cell);
            self.raw.truncate(start);
            self.raw.push(b'"');
            for byte in &self.scratch[kept..] {
                self.raw.push(*byte);
                if *byte == b'"' {
                    self.raw.push(b'"');
                }
            }
            self.raw.push(b'"');
            self.fields.push(Field::Unquoted(kept..self.scratch.len()));
        } else if memchr::memchr3(b',', b'\n', b'\r', cell).is_some() {
            self.raw.insert(start, b'"');
            self.fields.push(Field::Plain(start + 1..self.raw.len()));
            self.raw.push(b'"');
        } else {
            self.fields.push(Field::Plain(start..self.raw.len()));
        }
        Ok(())
    }

    /// The record of the cells that were added.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            line: self.line,
            raw: &self.raw,
            buffer: &self.raw,
            scratch: &self.scratch,
            fields: &self.fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_again_and_stand_as_in_csv() {
        let cells = ["a", "", "b,c", "say \"hi\"", "\n", "\"", "é"];
        let mut record = Assembled::default();
        for line in [7, 8] {
            record.begin(line);
            cells.iter().for_each(|cell| record.field(cell.as_bytes()));
            let found = record.record();
            assert_eq!((found.line, found.fields()), (line, cells.len()));
            for (at, cell) in cells.iter().enumerate() {
                assert_eq!(found.field(at), cell.as_bytes());
            }
            let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
            csv.write_record(cells).unwrap();
            assert_eq!(found.raw, csv.into_inner().unwrap().strip_suffix(b"\n").unwrap());
        }
    }
}
