//! Rows as records of cells, for a table of any format.
//!
//! Cells are written as they are, without a guard against formulas: other programs join on them.

use csv::ByteRecord;
use proto::line::{Lines, Measure};
use proto::money::{Amount, Share};

use super::allocated;
use super::cells::Batch;
use super::columns::{Allocated, Column, Content, OWN, Version, of_provider};
use super::split::{self, Parts};
use crate::emission::{Origin, Place, VisibleRow};
use crate::error::EmitterError;
use crate::files::{Cell, Fault, Table};

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
    /// The last share as text.
    share: (Share, String),
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
            share: (Share::ONE, Share::ONE.to_string()),
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
            .try_for_each(|name| self.out.cell(Cell::Text(name.as_bytes())))
            .and_then(|()| self.out.end())
            .map_err(|fault| failed(&self.place, fault))?;
        self.provider = Some(provider);
        Ok(())
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
        let id = lines.id[*at].0.hex();
        for (number, row) in rows.iter().enumerate() {
            self.focus(row, number, &parted, batch.tags_begun(*at))
                .and_then(|()| self.own(row, &id, &wholes, rows.len()))
                .and_then(|()| {
                    let mut provider = self.columns.len()..self.common.len();
                    provider.try_for_each(|at| self.out.cell(Cell::Text(&self.common[at])))
                })
                .and_then(|()| self.out.end())
                .map_err(|fault| failed(&self.place, fault))?;
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
    fn focus(
        &mut self,
        row: &VisibleRow,
        number: usize,
        parted: &Parted,
        tags: &str,
    ) -> Result<(), Fault> {
        for (column, common) in self.columns.iter().zip(&self.common) {
            let cell = match column.content {
                Content::Cost(measure) => Cell::Number(row.measures[measure as usize]),
                Content::Quantity(quantity) => Cell::number(row.quantities[quantity]),
                Content::Split(cell) => Cell::number(parted.cells[cell].get(number).copied()),
                Content::Allocated(what) => {
                    self.json.clear();
                    if let Some(ratio) = parted.ratios.get(number) {
                        allocated(row, what, *ratio, tags, &mut self.json);
                    }
                    Cell::Text(&self.json)
                }
                Content::Number
                | Content::Time(_)
                | Content::Currency
                | Content::Json
                | Content::Object
                | Content::Text(_) => Cell::Text(common),
            };
            self.out.cell(cell)?;
        }
        Ok(())
    }

    /// Our own columns, in the order of [`OWN`]; `id` is the line's.
    fn own(
        &mut self,
        row: &VisibleRow,
        id: &[u8],
        wholes: &[Amount; 4],
        rows: usize,
    ) -> Result<(), Fault> {
        let share = row.origin.as_ref().map(|origin| origin.share);
        if let Some(share) = share
            && share != self.share.0
        {
            self.share = (share, share.to_string());
        }
        let (place, why) = (&self.place, &row.why);
        let cells: [Cell<'_>; OWN.len()] = [
            Cell::text(Some(place.tenant.as_str())),
            Cell::text(Some(place.source.as_str())),
            Cell::text(Some(&why.identity)),
            Cell::text(Some(&why.owner)),
            Cell::text(Some(&why.cost_type)),
            Cell::text(Some(&why.rule)),
            Cell::Whole(why.tier.into()),
            Cell::Whole(why.part.into()),
            Cell::text(Some(&why.method)),
            Cell::text(why.detail.as_deref()),
            Cell::text(share.map(|_| self.share.1.as_str())),
            Cell::text(Some(&why.booking_period)),
            Cell::text(Some(&why.entry)),
            Cell::Text(id),
            Cell::Number(wholes[0]),
            Cell::Number(wholes[1]),
            Cell::Number(wholes[2]),
            Cell::Number(wholes[3]),
            Cell::Whole(i64::try_from(rows).unwrap_or(i64::MAX)),
        ];
        cells.iter().try_for_each(|cell| self.out.cell(*cell))
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
