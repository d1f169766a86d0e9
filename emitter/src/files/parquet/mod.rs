//! Records of cells as Parquet: typed columns, zstd, real nulls.
//!
//! All numbers of an emitter's files have the same count of decimals: readers of many files take the types of one for
//! all, and some round without a word what has more. A number that has more is an error here, never rounded.
//!
//! Memory follows the size of a row group, not of a file.

mod column;

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use super::table::{Cell, Fault, Table};
use column::{CELL_BYTES, Column};

/// The most rows of a row group.
const GROUP_ROWS: usize = 50_000;
/// Bytes that the cells of one row group take, about.
const GROUP_BYTES: usize = 32 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An exact number: a decimal of 38 digits.
    Decimal,
    /// One that hardly ever is another row's too: a dictionary of them is larger and slower than they are.
    Cost,
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
    /// Column of the next cell.
    at: usize,
    rows: usize,
    bytes: usize,
}

enum State<W: Write + Send> {
    /// Before all columns are known: these are.
    New(W, Vec<Column>),
    Begun(Box<SerializedFileWriter<W>>, Vec<Column>),
    /// It could not be begun.
    Failed,
}

impl<W: Write + Send> Parquet<W> {
    /// A file in `out` whose columns hold what `kind` says of their names, and whose numbers have so many decimals.
    #[must_use]
    pub fn new(out: W, kind: fn(&str) -> Kind, decimals: u32) -> Self {
        Self { kind, decimals, state: State::New(out, Vec::new()), at: 0, rows: 0, bytes: 0 }
    }

    /// Writes what is buffered as a row group.
    fn flush(&mut self) -> Result<(), Fault> {
        let State::Begun(writer, columns) = &mut self.state else { return Ok(()) };
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group().map_err(failed)?;
        for column in columns {
            let out = group.next_column().map_err(failed)?.ok_or_else(unbegun)?;
            column.write(out).map_err(failed)?;
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
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in columns.iter().filter(|column| column.kind() == Kind::Cost) {
        let path = ColumnPath::from(column.name());
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))
}

impl<W: Write + Send> Table for Parquet<W> {
    type Out = W;

    fn cell(&mut self, cell: Cell<'_>) -> Result<(), Fault> {
        match &mut self.state {
            State::Begun(_, columns) => {
                let column = columns.get_mut(self.at).ok_or_else(unbegun)?;
                self.bytes += CELL_BYTES + column.push(cell).map_err(Fault::Cell)?;
                self.at += 1;
            }
            State::New(_, columns) => {
                let Cell::Text(name) = cell else { return Err(unbegun()) };
                let name = String::from_utf8_lossy(name).into_owned();
                let kind = (self.kind)(&name);
                columns.push(Column::new(name, kind, self.decimals));
            }
            State::Failed => return Err(unbegun()),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.at = 0;
        if matches!(self.state, State::New(..))
            && let State::New(out, columns) = std::mem::replace(&mut self.state, State::Failed)
        {
            let writer = writer(out, &columns).map_err(failed)?;
            self.state = State::Begun(Box::new(writer), columns);
            return Ok(());
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.bytes > GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<W, Fault> {
        self.flush()?;
        match self.state {
            State::Begun(writer, _) => writer.into_inner().map_err(failed),
            State::New(..) | State::Failed => Err(unbegun()),
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
    use proto::money::Amount;

    use super::*;

    fn kind(name: &str) -> Kind {
        match name.chars().next() {
            Some('n') => Kind::Decimal,
            Some('c') => Kind::Cost,
            Some('w') => Kind::Whole,
            Some('t') => Kind::Time,
            _ => Kind::Text,
        }
    }

    fn write(records: &[&[&str]], decimals: u32) -> Result<Vec<u8>, Fault> {
        let mut table = Parquet::new(Vec::new(), kind, decimals);
        for (record, cells) in records.iter().enumerate() {
            for (text, name) in cells.iter().zip(records[0]) {
                let whole = text.parse().ok().filter(|_| record > 0 && name.starts_with('w'));
                table.cell(whole.map_or(Cell::text(Some(text)), Cell::Whole))?;
            }
            table.end()?;
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
            &["n", "w", "t", "s", "c"],
            &["-1.50", "7", "2026-05-01T00:00:00Z", "a,\"b\"\n", "1.5"],
            &["", "", "", "", ""],
            &["79228162514.264337593543950335", "-1", "9999-12-31T23:59:59Z", "é", "-1e-18"],
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
        let costs = [0, 2].map(|at| rows[at].get_decimal(4).unwrap().data().to_vec());
        assert_eq!(costs, [15 * 10_i128.pow(17), -1].map(|units| units.to_be_bytes()));
        for at in 0..5 {
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
        let mut record = |n: &str, s: &str, number: Option<Amount>| {
            table.cell(number.map_or(Cell::text(Some(n)), Cell::Number)).unwrap();
            table.cell(Cell::text(Some(s))).unwrap();
            table.end().unwrap();
        };
        // A thousand rows of the same text take no more room than one; of texts of their own, all that they have.
        let long = |n: u64| match n {
            0..50_000 => String::new(),
            50_000..90_000 => "x".repeat(1 << 10),
            _ => format!("{n:01024}"),
        };
        record("n", "s", None);
        (0..140_000).for_each(|n| record("", &long(n), Some(Amount::from(n))));
        let reader =
            SerializedFileReader::new(bytes::Bytes::from(table.finish().unwrap())).unwrap();
        let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows());
        let groups: Vec<i64> = groups.collect();
        assert_eq!((&groups[..2], groups.len()), (&[50_000; 2][..], 4), "{groups:?}");
        assert!((25_000..35_000).contains(&groups[2]), "{groups:?}");
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap).zip(0_u64..);
        let mut count = 0;
        for (row, n) in rows {
            let units = i128::from(n) * 100;
            assert_eq!(row.get_decimal(0).unwrap().data(), units.to_be_bytes());
            let text = row.get_string(1).map_or("", String::as_str);
            assert_eq!(text, long(n));
            count += 1;
        }
        assert_eq!(count, 140_000);
    }
}
