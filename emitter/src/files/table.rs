//! Records of cells into a file, whatever its format.

use std::io::{self, Write};

use csv::Writer;
use proto::money::Amount;

/// Why a record cannot be written.
#[derive(Debug)]
pub enum Fault {
    /// The file.
    Io(io::Error),
    /// A cell that the format cannot hold exactly: which, and how to mend it.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "CSV holds every cell"))]
    Cell(String),
}

/// What stands in a cell.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Text, or a number or time as text; empty is null.
    Text(&'a [u8]),
    /// A number.
    Number(Amount),
    /// A whole number.
    Whole(i64),
}

impl<'a> Cell<'a> {
    /// Null.
    pub const NULL: Cell<'static> = Cell::Text(b"");

    /// A text that may be absent.
    #[must_use]
    pub fn text(text: Option<&'a str>) -> Self {
        Self::Text(text.unwrap_or_default().as_bytes())
    }
    /// A number that may be absent.
    #[must_use]
    pub fn number(number: Option<Amount>) -> Self {
        number.map_or(Self::NULL, Self::Number)
    }
}

/// Takes records of one width one after the other. The first one holds the columns' names, as text.
pub trait Table: Send {
    /// What was written to.
    type Out;
    /// Adds a cell to the record.
    ///
    /// # Errors
    /// When it cannot be written.
    fn cell(&mut self, cell: Cell<'_>) -> Result<(), Fault>;
    /// Ends the record.
    ///
    /// # Errors
    /// When it cannot be written.
    fn end(&mut self) -> Result<(), Fault>;
    /// Writes what is buffered and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(self) -> Result<Self::Out, Fault>;
}

impl<W: Write + Send> Table for Writer<W> {
    type Out = W;
    fn cell(&mut self, cell: Cell<'_>) -> Result<(), Fault> {
        let written = match cell {
            Cell::Text(text) => self.write_field(text),
            Cell::Number(number) => write_number(self, number),
            Cell::Whole(number) => {
                let mut bytes = [0; 20];
                self.write_field(digits(number, &mut bytes))
            }
        };
        written.map_err(|error| Fault::Io(error.into()))
    }
    fn end(&mut self) -> Result<(), Fault> {
        self.write_record(None::<&[u8]>).map_err(|error| Fault::Io(error.into()))
    }
    fn finish(self) -> Result<W, Fault> {
        self.into_inner().map_err(|error| Fault::Io(error.into_error()))
    }
}

/// Writes a number with at least one decimal: readers that guess types take other numbers for whole ones.
fn write_number<W: Write>(out: &mut Writer<W>, number: Amount) -> csv::Result<()> {
    let text = number.to_text();
    if number.scale() > 0 {
        return out.write_field(text.as_bytes());
    }
    let mut bytes = [b'0'; 34];
    let (whole, decimals) = bytes.split_at_mut(text.len());
    whole.copy_from_slice(text.as_bytes());
    decimals[0] = b'.';
    out.write_field(&bytes[..text.len() + 2])
}

/// A whole number as text, in the room that is given.
fn digits(number: i64, room: &mut [u8; 20]) -> &[u8] {
    let (mut rest, mut at) = (number.unsigned_abs(), room.len());
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        room[at] = b'-';
    }
    &room[at..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv_writer;

    #[test]
    fn numbers_have_a_decimal_and_whole_ones_none() {
        let mut table = csv_writer(Vec::new());
        for number in ["0", "-5", "1e3", "0.10", "-1e-7"] {
            table.cell(Cell::Number(Amount::parse(number).unwrap())).unwrap();
        }
        for number in [0, 7, -10, i64::MIN, i64::MAX] {
            table.cell(Cell::Whole(number)).unwrap();
        }
        [Cell::number(None), Cell::text(None), Cell::text(Some("a,b"))]
            .iter()
            .for_each(|cell| table.cell(*cell).unwrap());
        table.end().unwrap();
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        let wanted = "0.0,-5.0,1000.0,0.1,-0.0000001,0,7,-10,-9223372036854775808,9223372036854775807,,,\"a,b\"\n";
        assert_eq!(text, wanted);
    }
}
