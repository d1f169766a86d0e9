//! Rows as records of cells, for a table of any format.
//!
//! Cells are written as they are, without a guard against formulas: other programs join on them.

use csv::ByteRecord;
use proto::line::{Lines, Measure};
use proto::money::Amount;

use super::cells::{Batch, push, push_number};
use super::columns::{COLUMNS, Content, OWN};
use super::split::{self, Parts};
use crate::emission::{Origin, Place, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Fault, Table};

/// Writes rows.
pub struct Layout<T: Table> {
    out: T,
    place: Place,
    batch: Option<Batch>,
    common: ByteRecord,
    record: ByteRecord,
    parts: Parts,
}

impl<T: Table> Layout<T> {
    /// Writes the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: T, place: &Place) -> Result<Self, EmitterError> {
        let mut layout = Self {
            out,
            place: place.clone(),
            batch: None,
            common: ByteRecord::new(),
            record: ByteRecord::new(),
            parts: Parts::default(),
        };
        let names = COLUMNS.iter().map(|column| column.name).chain(OWN);
        names.for_each(|name| layout.record.push_field(name.as_bytes()));
        layout.end_record()?;
        Ok(layout)
    }

    /// Writes all rows of one line.
    ///
    /// # Errors
    /// When they cannot be written, or come without their line.
    pub fn line(&mut self, rows: &[VisibleRow]) -> Result<(), EmitterError> {
        let Some(origin) = rows.first().and_then(|row| row.origin.as_ref()) else {
            let text = format!("{}: a row came without its line", self.place.date);
            return Err(EmitterError::Integrity(text));
        };
        let Origin { lines, at, .. } = origin;
        let batch = match self.batch.take() {
            Some(batch) if batch.is(lines) => batch,
            Some(_) | None => Batch::new(lines),
        };
        self.common.clear();
        batch.common(*at, &self.place, &mut self.common);
        let wholes = wholes(lines, *at);
        let cells = batch.split_cells(*at);
        self.batch = Some(batch);
        let split = self.split(cells, &wholes, lines, *at, rows);
        for (number, row) in rows.iter().enumerate() {
            self.focus(row, &split.each_ref().map(|parts| parts.get(number).copied()));
            self.own(row, &wholes, rows.len());
            self.end_record()?;
        }
        Ok(())
    }

    fn split(
        &mut self,
        cells: [Option<Amount>; 2],
        wholes: &[Amount; 4],
        lines: &Lines,
        at: usize,
        rows: &[VisibleRow],
    ) -> [Vec<Amount>; 2] {
        if cells == [None, None] {
            return [Vec::new(), Vec::new()];
        }
        let own = split::own(rows, wholes, [0, 1].map(|quantity| lines.quantity(quantity, at)));
        let shares: Vec<_> = rows.iter().filter_map(|r| Some(r.origin.as_ref()?.share)).collect();
        cells.map(|cell| match cell {
            Some(number) => self.parts.split(number, &own, &shares).to_vec(),
            None => Vec::new(),
        })
    }

    /// The columns of FOCUS.
    fn focus(&mut self, row: &VisibleRow, split: &[Option<Amount>; 2]) {
        let out = &mut self.record;
        for (column, common) in COLUMNS.iter().zip(&self.common) {
            let number = match column.content {
                Content::Cost(measure) => Some(row.measures[measure as usize]),
                Content::Quantity(quantity) => row.quantities[quantity],
                Content::Split(cell) => split[cell],
                Content::Number
                | Content::Time(_)
                | Content::Currency
                | Content::Json
                | Content::Text(_) => {
                    out.push_field(common);
                    continue;
                }
            };
            match number {
                Some(number) => push_number(out, number),
                None => out.push_field(b""),
            }
        }
    }

    /// Our own columns, in the order of [`OWN`].
    fn own(&mut self, row: &VisibleRow, wholes: &[Amount; 4], rows: usize) {
        let (out, why) = (&mut self.record, &row.why);
        push(out, Some(self.place.tenant.as_str()));
        push(out, Some(self.place.source.as_str()));
        push(out, Some(&why.identity));
        push(out, Some(&why.owner));
        push(out, Some(&why.cost_type));
        push(out, Some(&why.rule));
        push(out, Some(&why.tier.to_string()));
        push(out, Some(&why.part.to_string()));
        push(out, Some(&why.method));
        push(out, why.detail.as_deref());
        let share = row.origin.as_ref().map(|origin| origin.share.to_string());
        push(out, share.as_deref());
        push(out, Some(&why.booking_period));
        push(out, Some(&why.entry));
        push(out, Some(&row.line.to_string()));
        wholes.iter().for_each(|whole| push_number(out, *whole));
        push(out, Some(&rows.to_string()));
    }

    /// Writes what is buffered and gives the target back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<T::Out, EmitterError> {
        let place = self.place;
        self.out.finish().map_err(|fault| failed(&place, fault))
    }

    fn end_record(&mut self) -> Result<(), EmitterError> {
        let written = self.out.record(&self.record);
        self.record.clear();
        written.map_err(|fault| failed(&self.place, fault))
    }
}

/// The four costs of a line.
fn wholes(lines: &Lines, at: usize) -> [Amount; 4] {
    Measure::ALL.map(|m| lines.measure(m as usize, at).unwrap_or(lines.amount[at]))
}

fn failed(place: &Place, fault: Fault) -> EmitterError {
    let path = format!("the FOCUS file of {}/{} for {}", place.tenant, place.source, place.date);
    match fault {
        Fault::Io(error) => EmitterError::File { what: "write", path, error },
        Fault::Cell(what) => EmitterError::Settings(format!("failed to write {path}: {what}")),
    }
}
