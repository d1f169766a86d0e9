//! Rows as records of cells, for a table of any format.
//!
//! Cells are written as they are, without a guard against formulas: other programs join on them.

use csv::ByteRecord;
use proto::line::{Lines, Measure};
use proto::money::{Amount, Share};

use super::allocated;
use super::cells::{Batch, push, push_number};
use super::columns::{Allocated, Column, Content, OWN, Version, of_provider};
use super::split::{self, Parts};
use crate::emission::{Origin, Place, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Fault, Table};

/// Writes rows.
pub struct Layout<T: Table> {
    out: T,
    place: Place,
    columns: &'static [Column],
    /// The provider's columns: the name that is written, and their own. Together with the header they are there once it
    /// is written.
    provider: Option<Vec<(String, String)>>,
    batch: Option<Batch>,
    common: ByteRecord,
    record: ByteRecord,
    /// Scratch space.
    parts: Parts,
    json: Vec<u8>,
}

/// What the rows of a line that was split have of their own.
struct Parted {
    /// Of [`super::columns::SPLIT_CELLS`], by row.
    cells: [Vec<Amount>; 2],
    /// Of the whole, by row; empty where the line was not split, or nobody asks.
    ratios: Vec<Amount>,
}

impl<T: Table> Layout<T> {
    /// Nothing written yet.
    #[must_use]
    pub fn new(out: T, place: &Place, version: Version) -> Self {
        Self {
            out,
            place: place.clone(),
            columns: version.columns(),
            provider: None,
            batch: None,
            common: ByteRecord::new(),
            record: ByteRecord::new(),
            parts: Parts::default(),
            json: Vec::new(),
        }
    }

    /// Writes the header, unless it is there: the columns of FOCUS, ours, and then the provider's own of these names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn head(&mut self, provider: &[String]) -> Result<(), EmitterError> {
        if self.provider.is_some() {
            return Ok(());
        }
        let provider = of_provider(provider);
        let names = self.columns.iter().map(|column| column.name).chain(OWN);
        names
            .chain(provider.iter().map(|(name, _)| name.as_str()))
            .for_each(|name| self.record.push_field(name.as_bytes()));
        self.provider = Some(provider);
        self.end_record()
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
        self.head(&[])?;
        let Origin { lines, at, .. } = origin;
        let mut batch = match self.batch.take() {
            Some(batch) if batch.is(lines) => batch,
            Some(_) | None => {
                let provider = self.provider.iter().flatten().map(|(_, own)| own.as_str());
                Batch::new(lines, self.columns, provider)
            }
        };
        self.common.clear();
        batch.common(*at, &self.place, &mut self.common);
        let wholes = wholes(lines, *at);
        let parted = self.split(batch.split_cells(*at), &wholes, lines, *at, rows);
        for (number, row) in rows.iter().enumerate() {
            self.focus(row, number, &parted, batch.tags_begun(*at));
            self.own(row, &wholes, rows.len());
            for at in self.columns.len()..self.common.len() {
                self.record.push_field(&self.common[at]);
            }
            self.end_record()?;
        }
        self.batch = Some(batch);
        Ok(())
    }

    fn split(
        &mut self,
        cells: [Option<Amount>; 2],
        wholes: &[Amount; 4],
        lines: &Lines,
        at: usize,
        rows: &[VisibleRow],
    ) -> Parted {
        let is_told = |column: &Column| matches!(column.content, Content::Allocated(_));
        let ratio = self.columns.iter().any(is_told) && allocated::is_split(rows);
        let wanted = [cells[0], cells[1], ratio.then_some(Amount::ONE)];
        let mut parts = wanted.map(|_| Vec::new());
        if wanted != [None; 3] {
            let own = split::own(rows, wholes, [0, 1].map(|quantity| lines.quantity(quantity, at)));
            let shares: Vec<_> =
                rows.iter().filter_map(|r| Some(r.origin.as_ref()?.share)).collect();
            parts = wanted.map(|number| match number {
                Some(number) => self.parts.split(number, &own, &shares).to_vec(),
                None => Vec::new(),
            });
        }
        let [first, second, ratios] = parts;
        Parted { cells: [first, second], ratios }
    }

    /// The columns of FOCUS, of row `number` of its line.
    fn focus(&mut self, row: &VisibleRow, number: usize, parted: &Parted, tags: &str) {
        let out = &mut self.record;
        for (column, common) in self.columns.iter().zip(&self.common) {
            let part = match column.content {
                Content::Cost(measure) => Some(row.measures[measure as usize]),
                Content::Quantity(quantity) => row.quantities[quantity],
                Content::Split(cell) => parted.cells[cell].get(number).copied(),
                Content::Allocated(what) => {
                    self.json.clear();
                    if let Some(ratio) = parted.ratios.get(number) {
                        allocated(row, what, *ratio, tags, &mut self.json);
                    }
                    out.push_field(&self.json);
                    continue;
                }
                Content::Number
                | Content::Time(_)
                | Content::Currency
                | Content::Json
                | Content::Object
                | Content::Text(_) => {
                    out.push_field(common);
                    continue;
                }
            };
            match part {
                Some(part) => push_number(out, part),
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

    /// Writes what is buffered, the header at least, and gives the target back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<T::Out, EmitterError> {
        self.head(&[])?;
        let place = self.place;
        self.out.finish().map_err(|fault| failed(&place, fault))
    }

    fn end_record(&mut self) -> Result<(), EmitterError> {
        let written = self.out.record(&self.record);
        self.record.clear();
        written.map_err(|fault| failed(&self.place, fault))
    }
}

/// Appends what a row of a split line has in a column.
fn allocated(row: &VisibleRow, what: Allocated, ratio: Amount, tags: &str, out: &mut Vec<u8>) {
    let receiver = allocated::receiver(&row.why);
    match what {
        Allocated::Method => allocated::method(&row.why, out),
        Allocated::Details => {
            let share = row.origin.as_ref().map_or(Share::ONE, |origin| origin.share);
            allocated::details(&row.why, ratio, share, out);
        }
        Allocated::Receiver => out.extend_from_slice(receiver.unwrap_or_default().as_bytes()),
        Allocated::Tags => {
            if let Some(owner) = receiver {
                allocated::tags(tags, owner, out);
            }
        }
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
