//! A row of the bill to a line: pure, and exact or refused.

use std::collections::BTreeMap;

use proto::currency::Currency;
use proto::ids::{SourceId, TenantId};
use proto::line::cell;
use proto::money::{Amount, ExactSum};
use proto::report::QuarantinedRecord;
use proto::time::{FIRST_DATE, UnitDate};
use serde_json::Value;

use super::windows::Days;
use crate::identity::tag;
use crate::sources::focus::codec::{Encoder, Head};
use crate::sources::focus::header::ColumnNames;
use crate::sources::focus::map::LINE_BYTES_MAX;

/// Characters of a refused row that are kept.
const QUOTED_CHARS: usize = 1_000;
/// The line type of credits.
const CREDIT: &str = "PROMO_CREDIT";
/// The line type of support contracts.
const SUPPORT: &str = "SUPPORT";
/// What stands in [`AMOUNT_SOURCE`] where the row has no amount.
const DERIVED: &str = "original_amount - discount_amount";
/// The cell that says that an amount was derived, and how.
pub const AMOUNT_SOURCE: &str = "x_AmountSource";

/// What became of a row.
#[derive(Debug)]
pub enum Outcome {
    /// A line; its bytes are in the buffer that was given.
    Line(UnitDate, Box<Head>),
    /// A sound row of a day that was not asked for: another question has it.
    Elsewhere,
    /// No line can be made of it.
    Refused(Box<QuarantinedRecord>),
}

/// Maps rows of the bill.
pub struct Mapper {
    encoder: Encoder,
    currency: Currency,
    /// Names of cells.
    pub names: ColumnNames,
    /// What a person should know, and how often.
    pub warnings: BTreeMap<String, u64>,
}

/// Why no line can be made: the field at fault, and what is wrong.
struct Refusal(Option<&'static str>, String);

impl Mapper {
    /// A mapper of a source's rows.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        Self {
            encoder: Encoder::new(tenant, source),
            // The bill names no currency: Confluent bills in US dollars.
            currency: "USD".parse().expect("USD is a currency"),
            names: ColumnNames::default(),
            warnings: BTreeMap::new(),
        }
    }

    /// Maps row `number` (from 1) of a question named `file`; the line's bytes go to `out`.
    pub fn map(
        &mut self,
        file: &str,
        number: u64,
        days: Days,
        row: &Value,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match self.line(days, row, out) {
            Ok(Some((date, head))) => Outcome::Line(date, head),
            Ok(None) => {
                self.warn(
                    "a row of a day that was not asked for: left to the question for that day",
                );
                Outcome::Elsewhere
            }
            Err(Refusal(column, reason)) => {
                let amount = amounts(row).ok().map(|amounts| (self.currency, amounts.amount));
                Outcome::Refused(Box::new(QuarantinedRecord {
                    file: file.to_owned(),
                    line: number,
                    column: column.map(str::to_owned),
                    reason,
                    text: row.to_string().chars().take(QUOTED_CHARS).collect(),
                    date: date(row, "start_date").ok().flatten(),
                    amount,
                }))
            }
        }
    }

    fn line(
        &mut self,
        days: Days,
        row: &Value,
        out: &mut Vec<u8>,
    ) -> Result<Option<(UnitDate, Box<Head>)>, Refusal> {
        if !row.is_object() {
            return Err(Refusal(None, "no row of a bill: a JSON object is expected".to_owned()));
        }
        let none = || Refusal(Some("start_date"), "no date: YYYY-MM-DD is expected".to_owned());
        let start = date(row, "start_date")?.ok_or_else(none)?;
        if start < FIRST_DATE {
            let reason = format!("bad date: before {FIRST_DATE}");
            return Err(Refusal(Some("start_date"), reason));
        }
        let amounts = amounts(row)?;
        let end = match date(row, "end_date")? {
            Some(end) if end <= start => {
                let reason = "bad date: the row ends before it starts".to_owned();
                return Err(Refusal(Some("end_date"), reason));
            }
            Some(end) => end.start(),
            None => {
                self.warn("no end_date: taken to be the end of the day");
                start.plus_days(1).map_err(|e| Refusal(Some("start_date"), e.to_string()))?.start()
            }
        };
        if !days.contains(start) {
            return Ok(None);
        }
        let quantity = self.number(row, "quantity");
        let head = Head {
            charge_start: start.start(),
            charge_end: end,
            billing_period: start.period(),
            currency: self.currency,
            amount: amounts.amount,
            measures: [None, None, None, amounts.list.filter(|list| *list != amounts.amount)],
            quantities: [quantity, quantity],
        };
        self.cells(row, &amounts)?;
        self.encoder.finish(&head, out);
        Ok(Some((start, Box::new(head))))
    }

    /// Writes the cells, sorted by name.
    fn cells(&mut self, row: &Value, amounts: &Amounts) -> Result<(), Refusal> {
        let text = |path: &str| row.pointer(path).and_then(words);
        let kind = text("/line_type").unwrap_or_else(|| "UNKNOWN".to_owned());
        let product = text("/product").unwrap_or_else(|| "UNKNOWN".to_owned());
        let unit = text("/unit");
        let category = match kind.as_str() {
            CREDIT => "Credit",
            SUPPORT => "Purchase",
            _ => "Usage",
        };
        let derived = amounts.derived.then(|| DERIVED.to_owned());
        if amounts.derived {
            self.warn("no amount: original_amount less discount_amount stands for it");
        }
        let price = self.number(row, "price").map(|price| price.to_string());
        // By name; a number is no part of what makes a line that line.
        let cells: [(&str, bool, Option<String>); 17] = [
            (cell::CHARGE_CATEGORY, true, Some(category.to_owned())),
            ("ChargeDescription", true, text("/description")),
            (cell::CONSUMED_UNIT, true, unit.clone()),
            ("ListUnitPrice", false, price),
            (cell::PRICING_UNIT, true, unit),
            (cell::PROVIDER, true, Some("Confluent".to_owned())),
            (cell::RESOURCE_ID, true, text("/resource/id")),
            ("ResourceName", true, text("/resource/display_name")),
            (cell::PRODUCT_CATEGORY, true, Some(product.clone())),
            (cell::SERVICE, true, Some(product)),
            (cell::SUB_ACCOUNT, true, text("/resource/environment/id")),
            (AMOUNT_SOURCE, true, derived),
            ("x_DiscountAmount", false, amounts.discount.map(|discount| discount.to_string())),
            ("x_Granularity", true, text("/granularity")),
            ("x_NetworkAccessType", true, text("/network_access_type")),
            (cell::PRODUCT_TYPE, true, Some(kind)),
            ("x_TierDimensions", true, text("/tier_dimensions")),
        ];
        let bytes: usize =
            cells.iter().filter_map(|(.., text)| text.as_ref().map(String::len)).sum();
        if bytes > LINE_BYTES_MAX {
            let reason =
                format!("too large: {bytes} bytes, at most {LINE_BYTES_MAX} can be carried");
            return Err(Refusal(None, reason));
        }
        self.encoder.begin();
        for (name, is_text, text) in cells {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            if text.contains('\0') {
                let reason = format!("the text of {name} holds a NUL character");
                return Err(Refusal(None, reason));
            }
            let number = self.names.number_of(name);
            if name == cell::RESOURCE_ID {
                self.encoder.resource(number, tag(name), text.as_bytes());
            } else {
                self.encoder.cell(number, is_text.then(|| tag(name)), text.as_bytes());
            }
        }
        Ok(())
    }

    /// A number that is not money: unreadable ones are told, and cost no line.
    fn number(&mut self, row: &Value, name: &'static str) -> Option<Amount> {
        number(row, name).unwrap_or_else(|Refusal(_, reason)| {
            self.warn(&format!("{name}: {reason}: left out"));
            None
        })
    }

    fn warn(&mut self, text: &str) {
        *self.warnings.entry(text.to_owned()).or_default() += 1;
    }
}

/// The money of a row.
struct Amounts {
    amount: Amount,
    list: Option<Amount>,
    discount: Option<Amount>,
    derived: bool,
}

fn amounts(row: &Value) -> Result<Amounts, Refusal> {
    let (list, discount) = (number(row, "original_amount")?, number(row, "discount_amount")?);
    if let Some(amount) = number(row, "amount")? {
        return Ok(Amounts { amount, list, discount, derived: false });
    }
    let none = || Refusal(Some("amount"), "neither an amount nor an original amount".to_owned());
    let mut sum = ExactSum::from(list.ok_or_else(none)?);
    sum.sub(discount.unwrap_or_default());
    let many = || Refusal(Some("amount"), format!("{sum} has more digits than can be held"));
    Ok(Amounts { amount: sum.to_amount().ok_or_else(many)?, list, discount, derived: true })
}

/// A number by its text; the API may quote it.
fn number(row: &Value, name: &'static str) -> Result<Option<Amount>, Refusal> {
    let text = match row.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(Refusal(Some(name), "bad number: a decimal number is expected".to_owned()));
        }
    };
    let bad =
        |error: proto::money::AmountError| Refusal(Some(name), format!("bad number: {error}"));
    Amount::parse(&text).map(Some).map_err(bad)
}

fn date(row: &Value, name: &'static str) -> Result<Option<UnitDate>, Refusal> {
    match row.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let bad = || Refusal(Some(name), "bad date: YYYY-MM-DD is expected".to_owned());
            // Some answers carry the time too: `2026-09-01T00:00:00Z`.
            let text = value.as_str().ok_or_else(bad)?;
            let day = text.strip_suffix("T00:00:00Z").unwrap_or(text);
            day.parse().map(Some).map_err(|_| bad())
        }
    }
}

/// What a person would read: texts as they are, everything else as JSON.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}
