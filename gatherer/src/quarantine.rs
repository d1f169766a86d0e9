//! Records that could not be understood, kept until everything was read: a few in memory, many in a temporary file.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use proto::report::QuarantinedRecord;
use tempfile::SpooledTempFile;

use crate::spool::SpoolError;

/// Bytes that are kept in memory.
const MEMORY_BYTES: usize = 1 << 20;

/// Takes quarantined records, and gives them back in the same order.
pub struct Quarantine {
    file: SpooledTempFile,
    records: u64,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { file: SpooledTempFile::new(MEMORY_BYTES), records: 0 }
    }
}

impl Quarantine {
    /// Adds a record.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&mut self, record: &QuarantinedRecord) -> Result<(), SpoolError> {
        let mut bytes = vec![0; 4];
        rmp_serde::encode::write_named(&mut bytes, record).map_err(|_| SpoolError::Damaged)?;
        let length = u32::try_from(bytes.len() - 4).map_err(|_| SpoolError::Damaged)?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.file.write_all(&bytes).map_err(SpoolError::io)?;
        self.records += 1;
        Ok(())
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Hands out all records, in the order in which they came.
    ///
    /// # Errors
    /// When the temporary file cannot be read; what `take` answers otherwise.
    pub fn each<E: From<SpoolError>>(
        &mut self,
        take: &mut dyn FnMut(QuarantinedRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        self.file.seek(SeekFrom::Start(0)).map_err(SpoolError::io)?;
        let mut reader = BufReader::new(&mut self.file);
        let mut bytes = Vec::new();
        for _ in 0..self.records {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(SpoolError::io)?;
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            reader.read_exact(&mut bytes).map_err(SpoolError::io)?;
            take(rmp_serde::from_slice(&bytes).map_err(|_| SpoolError::Damaged)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_come_back_in_order() {
        let record = |n: u64| QuarantinedRecord {
            file: "a.csv".into(),
            line: n,
            column: (n.is_multiple_of(2)).then(|| "BilledCost".into()),
            reason: "bad number".into(),
            text: "x".repeat(n as usize % 1_000),
            date: None,
            amount: Some(("USD".parse().unwrap(), proto::money::Amount::from(n))),
        };
        let mut quarantine = Quarantine::default();
        (0..3_000).for_each(|n| quarantine.push(&record(n)).unwrap());
        let mut next = 0;
        let mut take = |found: QuarantinedRecord| -> Result<(), SpoolError> {
            assert_eq!(found, record(next));
            next += 1;
            Ok(())
        };
        quarantine.each(&mut take).unwrap();
        assert_eq!((next, quarantine.records()), (3_000, 3_000));
    }
}
