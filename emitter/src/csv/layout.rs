//! Columns, their order, and how values are written. Pure.

use std::io::Write;

use csv::{ByteRecord, Writer};
use proto::line::Measure;

use crate::emission::{Place, VisibleRow};
use crate::error::EmitterError;
use crate::files::csv_writer;

/// The header, in order.
pub const HEADER: [&str; 33] = [
    "ecosystem",
    "tenant_id",
    "source",
    "timestamp",
    "resource_id",
    "product_category",
    "product_type",
    "identity_id",
    "cost_type",
    "amount",
    "currency",
    "allocation_method",
    "allocation_detail",
    "line_id",
    "rule",
    "charge_period_end",
    "billing_period",
    "booking_period",
    "invoice_id",
    "provider",
    "billing_account_id",
    "sub_account_id",
    "service",
    "charge_category",
    "charge_class",
    "owner_id",
    "quantity",
    "unit",
    "billed",
    "effective",
    "contracted",
    "list",
    "entry",
];

/// Writes rows as CSV: UTF-8, LF, RFC 4180.
pub struct Layout<W: Write> {
    out: Writer<W>,
    place: Place,
    record: ByteRecord,
}

impl<W: Write> Layout<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, place: &Place) -> Result<Self, EmitterError> {
        let mut layout =
            Self { out: csv_writer(out), place: place.clone(), record: ByteRecord::new() };
        HEADER.iter().for_each(|name| layout.record.push_field(name.as_bytes()));
        layout.end_record()?;
        Ok(layout)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When it cannot be written, or the source's kind is not known.
    pub fn row(&mut self, row: &VisibleRow) -> Result<(), EmitterError> {
        let (line, why) = (&row.of, &row.why);
        let Some(ecosystem) = &self.place.ecosystem else {
            let text =
                format!("source {} has visible rows but is not configured", self.place.source);
            return Err(EmitterError::Settings(text));
        };
        let out = &mut self.record;
        text(out, Some(ecosystem));
        text(out, Some(self.place.tenant.as_str()));
        text(out, Some(self.place.source.as_str()));
        plain(out, &row.charge_start.to_string());
        text(out, line.resource_id.as_deref());
        text(out, line.product_category.as_deref());
        text(out, line.product_type.as_deref());
        text(out, Some(&why.identity));
        text(out, Some(&why.cost_type));
        plain(out, &row.amount.to_text());
        text(out, Some(&line.currency));
        text(out, Some(&why.method));
        text(out, why.detail.as_deref());
        text(out, Some(&row.line.to_string()));
        text(out, Some(&why.rule));
        plain(out, &row.charge_end.to_string());
        text(out, Some(&line.billing_period));
        text(out, Some(&why.booking_period));
        text(out, line.invoice_id.as_deref());
        text(out, line.provider.as_deref());
        text(out, line.billing_account_id.as_deref());
        text(out, line.sub_account_id.as_deref());
        text(out, line.service.as_deref());
        text(out, line.charge_category.as_deref());
        text(out, line.charge_class.as_deref());
        text(out, Some(&why.owner));
        match row.quantity() {
            Some((quantity, unit)) => {
                plain(out, &quantity.to_text());
                text(out, Some(unit));
            }
            None => {
                text(out, None);
                text(out, None);
            }
        }
        Measure::ALL
            .iter()
            .for_each(|measure| plain(out, &row.measures[*measure as usize].to_text()));
        text(out, Some(&why.entry));
        self.end_record()
    }

    /// Writes what is buffered and gives the target back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<W, EmitterError> {
        let failed =
            |error: csv::IntoInnerError<Writer<W>>| failed(&self.place, error.into_error());
        self.out.into_inner().map_err(failed)
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

/// A number or time: written as it is.
fn plain(out: &mut ByteRecord, value: &str) {
    out.push_field(value.as_bytes());
}

/// A text cell: one that a spreadsheet would run as a formula gets an apostrophe in front.
fn text(out: &mut ByteRecord, value: Option<&str>) {
    let value = value.unwrap_or_default();
    let formula = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
    if value.starts_with(formula) {
        out.push_field(format!("'{value}").as_bytes());
    } else {
        out.push_field(value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::emission::texts::{LineText, RowText};
    use proto::hash::Hash128;
    use proto::ids::{SourceId, TenantId};
    use proto::line::LineId;
    use proto::money::Amount;
    use proto::time::UtcSeconds;

    fn place() -> Place {
        Place {
            tenant: TenantId::parse("acme").unwrap(),
            source: SourceId::parse("cloud").unwrap(),
            date: "2026-05-01".parse().unwrap(),
            ecosystem: Some("focus".into()),
        }
    }

    fn row() -> VisibleRow {
        let amount = |text: &str| Amount::parse(text).unwrap();
        let some = |text: &str| Some(text.to_owned());
        VisibleRow {
            charge_start: UtcSeconds(1_777_593_600),
            charge_end: UtcSeconds(1_777_597_200),
            line: LineId(Hash128([0xab; 16])),
            amount: amount("-0.0000000000000000000000000001"),
            measures: [
                amount("-12.5"),
                amount("0"),
                amount("1e-7"),
                amount("79228162514264337593543950335"),
            ],
            quantities: [Some(amount("-3")), Some(amount("4"))],
            of: Arc::new(LineText {
                currency: "USD".into(),
                billing_period: "2026-05".into(),
                invoice_id: some("-7"),
                resource_id: some("a, \"b\"\nc"),
                product_category: some("＝x"),
                product_type: None,
                provider: some("@p"),
                billing_account_id: some("0123"),
                sub_account_id: some("\tx"),
                service: some("=1+1"),
                charge_category: some("Usage"),
                charge_class: None,
                pricing_unit: some("+GB"),
                consumed_unit: some("B"),
            }),
            why: Arc::new(RowText {
                tier: 1,
                part: 0,
                identity: "principal:é".into(),
                owner: "team-a".into(),
                rule: "by-account".into(),
                cost_type: "shared".into(),
                method: "even".into(),
                detail: some("a\rb"),
                booking_period: "2026-06".into(),
                entry: "original".into(),
            }),
            origin: None,
        }
    }

    fn written(rows: &[VisibleRow]) -> String {
        let mut layout = Layout::new(Vec::new(), &place()).unwrap();
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
        let mut layout = Layout::new(Vec::new(), &Place { ecosystem: None, ..place() }).unwrap();
        assert!(layout.row(&row()).unwrap_err().to_string().contains("source cloud"));
    }
}
