//! Rows, or sums of them, as CSV: UTF-8, LF, RFC 4180. Pure.

use std::io::Write;

use csv::{ByteRecord, Writer};
use proto::config::{Aggregation, EmitterConfig};

use super::columns::{Column, Scratch};
use super::totals::{Bucket, Output, Totals};
use crate::emission::{Place, VisibleRow};
use crate::error::EmitterError;
use crate::files::csv_writer;

/// What an emitter's files hold.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Names of the columns.
    header: Vec<String>,
    rows: Rows,
}

#[derive(Debug, Clone)]
enum Rows {
    /// Every row as it is.
    Each(Vec<Column>),
    /// Rows with equal cells in `group` as one, with `sums`.
    Added { bucket: Bucket, group: Vec<Column>, sums: Vec<Column>, columns: Vec<Output> },
}

impl Shape {
    /// As configured.
    ///
    /// # Errors
    /// What is asked for that CSV files do not do.
    pub fn of(settings: &EmitterConfig) -> Result<Self, String> {
        let bucket = match settings.aggregation {
            Aggregation::None if settings.group_by.is_empty() => None,
            Aggregation::None => {
                return Err("`group_by` does nothing without `aggregation`: add it".to_owned());
            }
            Aggregation::Hourly => {
                return Err("costs are kept by day: write `aggregation: daily`".to_owned());
            }
            Aggregation::Daily => Some(Bucket::Day),
            Aggregation::Monthly => Some(Bucket::Month),
        };
        let there = settings.csv_columns();
        let header: Vec<&str> = match settings.columns.is_empty() {
            true => there.clone(),
            false => settings.columns.iter().map(String::as_str).collect(),
        };
        let found = |names: &[&str]| {
            let column = |name: &&str| {
                Column::named(name).ok_or_else(|| format!("there is no column `{name}`: remove it"))
            };
            names.iter().map(column).collect::<Result<Vec<_>, _>>()
        };
        let rows = match bucket {
            None => Rows::Each(found(&header)?),
            Some(bucket) => {
                let (group, sums) = there.split_at(settings.csv_group_by().len());
                let output = |name: &&str| {
                    let of = |names: &[&str]| names.iter().position(|column| column == name);
                    let output = of(group).map(Output::Group).or_else(|| of(sums).map(Output::Sum));
                    output.ok_or_else(|| {
                        format!("`{name}` is neither grouped by nor a sum: remove it")
                    })
                };
                let columns = header.iter().map(output).collect::<Result<_, _>>()?;
                Rows::Added { bucket, group: found(group)?, sums: found(sums)?, columns }
            }
        };
        Ok(Self { header: header.into_iter().map(str::to_owned).collect(), rows })
    }
}

/// Writes rows.
pub struct Layout<W: Write> {
    out: Writer<W>,
    place: Place,
    rows: Mode,
    scratch: Scratch,
    record: ByteRecord,
}

/// How [`Rows`] are written.
enum Mode {
    Each(Vec<Column>),
    Added(Totals, Vec<Output>),
}

impl<W: Write> Layout<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, place: &Place, shape: &Shape) -> Result<Self, EmitterError> {
        let rows = match &shape.rows {
            Rows::Each(columns) => Mode::Each(columns.clone()),
            Rows::Added { bucket, group, sums, columns } => {
                Mode::Added(Totals::new(*bucket, group.clone(), sums.clone()), columns.clone())
            }
        };
        let mut layout = Self {
            out: csv_writer(out),
            place: place.clone(),
            rows,
            scratch: Scratch::default(),
            record: shape.header.iter().map(String::as_bytes).collect(),
        };
        layout.end_record()?;
        Ok(layout)
    }

    /// Writes a row, or adds it up.
    ///
    /// # Errors
    /// When it cannot be written, there are too many groups, or the source's kind is not known.
    pub fn row(&mut self, row: &VisibleRow) -> Result<(), EmitterError> {
        if self.place.ecosystem.is_none() {
            let text =
                format!("source {} has visible rows but is not configured", self.place.source);
            return Err(EmitterError::Settings(text));
        }
        match &mut self.rows {
            Mode::Added(totals, _) => totals.add(row, &self.place, &mut self.scratch),
            Mode::Each(columns) => {
                let span = [row.charge_start, row.charge_end];
                for column in columns {
                    let cell = column.cell(row, &self.place, span, &mut self.scratch);
                    cell.push(&mut self.record);
                }
                self.end_record()
            }
        }
    }

    /// Writes what is added up or buffered, and gives the target back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<W, EmitterError> {
        let Self { mut out, place, rows, .. } = self;
        if let Mode::Added(totals, columns) = rows {
            totals.write(&columns, |record| {
                out.write_byte_record(record).map_err(|error| failed(&place, error.into()))
            })?;
        }
        out.into_inner().map_err(|error| failed(&place, error.into_error()))
    }

    fn end_record(&mut self) -> Result<(), EmitterError> {
        let written = self.out.write_byte_record(&self.record);
        self.record.clear();
        written.map_err(|error| failed(&self.place, error.into()))
    }
}

fn failed(place: &Place, error: std::io::Error) -> EmitterError {
    let path = format!("the CSV file of {}/{} for {}", place.tenant, place.source, place.date);
    EmitterError::File { what: "write", path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::fixture::{place, row, settings};
    use proto::money::Amount;

    fn plain() -> Shape {
        Shape::of(&settings(Aggregation::None, &[], &[])).unwrap()
    }

    fn written(rows: &[VisibleRow]) -> String {
        shaped(&plain(), rows)
    }

    fn shaped(shape: &Shape, rows: &[VisibleRow]) -> String {
        let mut layout = Layout::new(Vec::new(), &place(), shape).unwrap();
        rows.iter().for_each(|row| layout.row(row).unwrap());
        String::from_utf8(layout.finish().unwrap()).unwrap()
    }

    const HEAD: &str = "ecosystem,tenant_id,source,timestamp,resource_id,product_category,product_type,identity_id,\
        cost_type,amount,currency,allocation_method,allocation_detail,line_id,rule,charge_period_end,billing_period,\
        booking_period,invoice_id,provider,billing_account_id,sub_account_id,service,charge_category,charge_class,\
        owner_id,quantity,unit,billed,effective,contracted,list,entry\n";

    #[test]
    fn a_row_is_written_to_the_letter() {
        let cells = "focus,acme,cloud,2026-05-01T00:00:00Z,\"a, \"\"b\"\"\nc\",'＝x,,principal:é,shared,\
            -0.0000000000000000000000000001,USD,even,\"a\rb\",abababababababababababababababab,by-account,\
            2026-05-01T01:00:00Z,2026-05,2026-06,'-7,'@p,0123,'\tx,'=1+1,Usage,,team-a,-3,'+GB,\
            -12.5,0,0.0000001,79228162514264337593543950335,original\n";
        assert_eq!(written(&[row()]), format!("{HEAD}{cells}"));
        assert_eq!(written(&[]), HEAD);
    }

    #[test]
    fn quantities_fall_back_and_may_be_absent() {
        let (mut consumed, mut none) = (row(), row());
        consumed.quantities = [None, Amount::parse("4").ok()];
        none.quantities = [None, None];
        let text = written(&[consumed, none]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let cells = |record: csv::StringRecord| [record[26].to_owned(), record[27].to_owned()];
        let found: Vec<_> = reader.records().map(|record| cells(record.unwrap())).collect();
        assert_eq!(found, [["4", "B"], ["", ""]]);
    }

    #[test]
    fn rows_of_a_source_that_is_not_configured_are_refused() {
        let mut layout =
            Layout::new(Vec::new(), &Place { ecosystem: None, ..place() }, &plain()).unwrap();
        assert!(layout.row(&row()).unwrap_err().to_string().contains("source cloud"));
    }

    #[test]
    fn columns_are_chosen_and_put_in_order() {
        let shape = Shape::of(&settings(Aggregation::None, &[], &["list", "service", "amount"]));
        let text = shaped(&shape.unwrap(), &[row()]);
        let wanted = "list,service,amount\n79228162514264337593543950335,'=1+1,-0.0000000000000000000000000001\n";
        assert_eq!(text, wanted);
        for (aggregation, group, columns) in [
            (Aggregation::None, &[][..], &["lists"][..]),
            (Aggregation::None, &["service"], &[]),
            (Aggregation::Hourly, &[], &[]),
            (Aggregation::Daily, &["services"], &[]),
            (Aggregation::Daily, &["service"], &["rule"]),
        ] {
            assert!(Shape::of(&settings(aggregation, group, columns)).is_err(), "{columns:?}");
        }
    }
}
