//! Records of cells into a file, whatever its format.

use std::io::{self, Write};

use csv::{ByteRecord, Writer};

/// Why a record cannot be written.
#[derive(Debug)]
pub enum Fault {
    /// The file.
    Io(io::Error),
    /// A cell that the format cannot hold exactly: which, and how to mend it.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "CSV holds every cell"))]
    Cell(String),
}

/// Takes records of one width one after the other. The first one holds the columns' names.
pub trait Table: Send {
    /// What was written to.
    type Out;
    /// Writes a record. Empty cells are null.
    ///
    /// # Errors
    /// When it cannot be written.
    fn record(&mut self, record: &ByteRecord) -> Result<(), Fault>;
    /// Writes what is buffered and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(self) -> Result<Self::Out, Fault>;
}

impl<W: Write + Send> Table for Writer<W> {
    type Out = W;
    fn record(&mut self, record: &ByteRecord) -> Result<(), Fault> {
        self.write_byte_record(record).map_err(|error| Fault::Io(error.into()))
    }
    fn finish(self) -> Result<W, Fault> {
        self.into_inner().map_err(|error| Fault::Io(error.into_error()))
    }
}
