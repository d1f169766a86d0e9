//! Records of cells as Parquet: typed columns, zstd, real nulls.
//!
//! All numbers of an emitter's files have the same count of decimals: readers of many files take the types of one for
//! all, and some round without a word what has more. A number that has more is an error here, never rounded.
//!
//! Memory follows the size of a row group, not of a file.

mod column;

use std::io::Write;
use std::sync::Arc;

use csv::ByteRecord;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::table::{Fault, Table};
use column::Column;

/// The most rows of a row group.
const GROUP_ROWS: usize = 50_000;
/// Bytes of text in one row group, about.
const GROUP_BYTES: usize = 32 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An exact number: a decimal of 38 digits.
    Decimal,
    /// A whole number of 64 bits.
    Whole,
    /// A point in time: microseconds, UTC.
    Time,
}

/// A Parquet file under way.
pub struct Parquet<W: Write + Send> {
    kind: fn(&str) -> Kind,
    decimals: u32,
    state: State<W>,
    rows: usize,
    bytes: usize,
}

enum State<W: Write + Send> {
    /// Before the columns are known.
    New(W),
    Begun(Box<SerializedFileWriter<W>>, Vec<Column>),
    /// It could not be begun.
    Failed,
}

impl<W: Write + Send> Parquet<W> {
    /// A file in `out` whose columns hold what `kind` says of their names, and whose numbers have so many decimals.
    #[must_use]
    pub fn new(out: W, kind: fn(&str) -> Kind, decimals: u32) -> Self {
        Self { kind, decimals, state: State::New(out), rows: 0, bytes: 0 }
    }

    fn begin(&mut self, header: &ByteRecord) -> Result<(), Fault> {
        let columns = header.iter().map(|name| {
            let name = String::from_utf8_lossy(name).into_owned();
            let kind = (self.kind)(&name);
            Column::new(name, kind, self.decimals)
        });
        let columns: Vec<Column> = columns.collect();
        if let State::New(out) = std::mem::replace(&mut self.state, State::Failed) {
            let writer = writer(out, &columns).map_err(failed)?;
            self.state = State::Begun(Box::new(writer), columns);
        }
        Ok(())
    }

    /// Writes what is buffered as a row group.
    fn flush(&mut self) -> Result<(), Fault> {
        let State::Begun(writer, columns) = &mut self.state else { return Ok(()) };
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group().map_err(failed)?;
        for column in columns {
            let mut out = group.next_column().map_err(failed)?.ok_or_else(unbegun)?;
            column.write(&mut out).map_err(failed)?;
            out.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn writer<W: Write + Send>(
    out: W,
    columns: &[Column],
) -> Result<SerializedFileWriter<W>, ParquetError> {
    let fields = columns.iter().map(Column::schema).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder("focus").with_fields(fields).build()?;
    // Smallest and largest of each row group; those of each page cost more than readers of such files gain.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))
}

impl<W: Write + Send> Table for Parquet<W> {
    type Out = W;

    fn record(&mut self, record: &ByteRecord) -> Result<(), Fault> {
        let State::Begun(_, columns) = &mut self.state else { return self.begin(record) };
        for (column, cell) in columns.iter_mut().zip(record) {
            column.push(cell).map_err(Fault::Cell)?;
        }
        self.rows += 1;
        self.bytes += record.as_slice().len();
        if self.rows == GROUP_ROWS || self.bytes > GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<W, Fault> {
        self.flush()?;
        match self.state {
            State::Begun(writer, _) => writer.into_inner().map_err(failed),
            State::New(_) | State::Failed => Err(unbegun()),
        }
    }
}

fn unbegun() -> Fault {
    Fault::Io(std::io::Error::other("the file was not begun"))
}

fn failed(error: ParquetError) -> Fault {
    let ParquetError::External(error) = error else {
        return Fault::Io(std::io::Error::other(error));
    };
    Fault::Io(match error.downcast::<std::io::Error>() {
        Ok(error) => *error,
        Err(error) => std::io::Error::other(error),
    })
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    fn kind(name: &str) -> Kind {
        match name.chars().next() {
            Some('n') => Kind::Decimal,
            Some('w') => Kind::Whole,
            Some('t') => Kind::Time,
            _ => Kind::Text,
        }
    }

    fn write(records: &[&[&str]], decimals: u32) -> Result<Vec<u8>, Fault> {
        let mut table = Parquet::new(Vec::new(), kind, decimals);
        for record in records {
            table.record(&ByteRecord::from(record.to_vec()))?;
        }
        table.finish()
    }

    fn refused(number: &str, decimals: u32) -> String {
        match write(&[&["n"], &[number]], decimals) {
            Err(Fault::Cell(text)) => text,
            other => panic!("{number} with {decimals} decimals: {other:?}"),
        }
    }

    #[test]
    fn every_kind_comes_back_and_equal_records_are_equal_bytes() {
        let records: &[&[&str]] = &[
            &["n", "w", "t", "s"],
            &["-1.50", "7", "2026-05-01T00:00:00Z", "a,\"b\"\n"],
            &["", "", "", ""],
            &["79228162514.264337593543950335", "-1", "9999-12-31T23:59:59Z", "é"],
        ];
        let bytes = write(records, 18).unwrap();
        assert_eq!(bytes, write(records, 18).unwrap());
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        let units = |at: usize| rows[at].get_decimal(0).unwrap().data().to_vec();
        assert_eq!(units(0), (-15 * 10_i128.pow(17)).to_be_bytes());
        assert_eq!(units(2), 79_228_162_514_264_337_593_543_950_335_i128.to_be_bytes());
        assert_eq!((rows[0].get_long(1).unwrap(), rows[2].get_long(1).unwrap()), (7, -1));
        assert_eq!(rows[0].get_timestamp_micros(2).unwrap(), 1_777_593_600_000_000);
        assert_eq!(rows[2].get_timestamp_micros(2).unwrap(), 253_402_300_799_000_000);
        assert_eq!(
            (rows[0].get_string(3).unwrap().as_str(), rows[2].get_string(3).unwrap().as_str()),
            ("a,\"b\"\n", "é")
        );
        for at in 0..4 {
            assert!(matches!(
                rows[1].get_column_iter().nth(at),
                Some((_, parquet::record::Field::Null))
            ));
        }
        let none = SerializedFileReader::new(bytes::Bytes::from(write(&[&["n"]], 18).unwrap()));
        assert_eq!(none.unwrap().metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn no_number_is_rounded() {
        let text = refused("0.0000000000000000001", 18);
        for part in ["n is 0.0000000000000000001", "19 decimals", "`decimals: 19`", "`format: csv`"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let text = refused("100000000000000000000", 18);
        assert!(text.contains("fewer `decimals`") && text.contains("`format: csv`"), "{text}");
        assert!(refused("x", 18).contains("is no number"));
        assert!(write(&[&["n"], &["0.0000000000000000000000000001"]], 28).is_ok());
        assert!(write(&[&["n"], &["79228162514264337593543950335.0"]], 9).is_ok());
        assert!(write(&[&["n"], &["1.500000000000000000000"]], 1).is_ok(), "zeros say nothing");
    }

    #[test]
    fn row_groups_bound_memory() {
        let mut table = Parquet::new(Vec::new(), kind, 2);
        table.record(&ByteRecord::from(vec!["n", "s"])).unwrap();
        let long = "x".repeat(1 << 10);
        for n in 0..60_000 {
            let text = if n < 50_000 { "" } else { long.as_str() };
            table.record(&ByteRecord::from(vec![n.to_string().as_str(), text])).unwrap();
        }
        let reader =
            SerializedFileReader::new(bytes::Bytes::from(table.finish().unwrap())).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap).enumerate();
        for (n, row) in rows {
            assert_eq!(row.get_decimal(0).unwrap().data(), (n as i128 * 100).to_be_bytes());
            let text = row.get_string(1).map(String::as_str).ok();
            assert_eq!(text, (n >= 50_000).then_some(long.as_str()));
        }
    }
}
