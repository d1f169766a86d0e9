//! The cells of a line as FOCUS 1.2 wants them. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use csv::ByteRecord;
use proto::column::TextColumn;
use proto::line::{Lines, cell};
use proto::moment;
use proto::money::Amount;
use proto::tags;
use proto::time::UtcSeconds;

use super::columns::{COLUMNS, Content, Missing, SPLIT_CELLS, Time};
use crate::emission::Place;

/// The kind of product, which FOCUS has no column for.
const OTHER: &str = "Other";
/// What stands for a unit that a bill does not name.
const UNIT: &str = "Count";

/// A batch of lines, looked at once for all its lines.
pub struct Batch {
    lines: Arc<Lines>,
    /// For each column, its place among the cells; and its values as flat JSON, by code.
    columns: Vec<(Option<usize>, Vec<Option<String>>)>,
}

impl Batch {
    /// Looks at a batch.
    #[must_use]
    pub fn new(lines: &Arc<Lines>) -> Self {
        let column = |name: &str| lines.cells.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok();
        let prepare = |content: Content, at: Option<usize>| match (content, at) {
            (Content::Json, Some(at)) => flat_values(&lines.cells[at].1),
            (_, Some(_) | None) => Vec::new(),
        };
        let columns = COLUMNS.iter().map(|c| {
            let at = column(c.name);
            (at, prepare(c.content, at))
        });
        Self { columns: columns.collect(), lines: Arc::clone(lines) }
    }

    /// Whether it is this batch.
    #[must_use]
    pub fn is(&self, lines: &Arc<Lines>) -> bool {
        Arc::ptr_eq(&self.lines, lines)
    }

    /// Writes what all rows of line `at` have in common: a field for each column of FOCUS, empty where rows differ.
    pub fn common(&self, at: usize, place: &Place, out: &mut ByteRecord) {
        let line = Line { lines: &self.lines, at, place };
        for (column, (found, flat)) in COLUMNS.iter().zip(&self.columns) {
            let cell = found.map(|found| &self.lines.cells[found].1);
            let text = cell.and_then(|cell| cell.get(at));
            match column.content {
                Content::Cost(_) | Content::Quantity(_) | Content::Split(_) => out.push_field(b""),
                Content::Number => match text.and_then(|text| Amount::parse(text).ok()) {
                    Some(amount) => push_number(out, amount),
                    None => out.push_field(b""),
                },
                Content::Time(time) => push(out, Some(&line.time(time, text))),
                Content::Currency => push(out, self.lines.currency.get(at)),
                Content::Json => {
                    let code = cell.map_or(0, |cell| cell.code(at) as usize);
                    let flat = code.checked_sub(1).and_then(|value| flat.get(value));
                    push(out, flat.and_then(Option::as_deref));
                }
                Content::Text(missing) => match text {
                    Some(text) => push(out, Some(text)),
                    None => push(out, line.missing(missing).as_deref()),
                },
            }
        }
    }

    /// The numbers of line `at` that rows have parts of: [`SPLIT_CELLS`].
    #[must_use]
    pub fn split_cells(&self, at: usize) -> [Option<Amount>; 2] {
        SPLIT_CELLS.map(|name| {
            let text = self.lines.cell(name).and_then(|cell| cell.get(at));
            text.and_then(|text| Amount::parse(text).ok())
        })
    }
}

/// The values of a column as flat JSON; `None` where one is no JSON object.
fn flat_values(column: &TextColumn) -> Vec<Option<String>> {
    column.values().iter().map(|text| tags::flat(text).ok().map(Cow::into_owned)).collect()
}

/// One line.
struct Line<'a> {
    lines: &'a Lines,
    at: usize,
    place: &'a Place,
}

impl<'a> Line<'a> {
    fn cell(&self, name: &str) -> Option<&'a str> {
        self.lines.cell(name)?.get(self.at)
    }

    /// A time; `text` is the bill's own, where it is kept.
    fn time(&self, time: Time, text: Option<&str>) -> String {
        let said = || Some(moment::parse(text?.as_bytes())?.at.to_string());
        match time {
            Time::ChargeStart => UtcSeconds(self.lines.charge_start[self.at]).to_string(),
            Time::ChargeEnd => UtcSeconds(self.lines.charge_end[self.at]).to_string(),
            Time::BillingStart => said().unwrap_or_else(|| self.month(0)),
            Time::BillingEnd => said().unwrap_or_else(|| self.month(1)),
        }
    }

    /// The start of the billing period, or of the month after it.
    fn month(&self, after: i64) -> String {
        let period = self.lines.billing_period.get(self.at).unwrap_or_default();
        let (year, month) = period.split_once('-').unwrap_or_default();
        let months =
            year.parse::<i64>().unwrap_or_default() * 12 + month.parse::<i64>().unwrap_or(1) - 1
                + after;
        format!("{:04}-{:02}-01T00:00:00Z", months / 12, months % 12 + 1)
    }

    fn missing(&self, missing: Missing) -> Option<Cow<'a, str>> {
        let word = |word: &'static str| Some(Cow::Borrowed(word));
        match missing {
            Missing::Null => None,
            Missing::OfProvider(columns) => {
                let found = columns.iter().find_map(|column| self.cell(column));
                Some(found.map_or_else(
                    || Cow::Owned(self.place.source.as_str().to_owned()),
                    Cow::Borrowed,
                ))
            }
            Missing::Tenant => Some(Cow::Owned(self.place.tenant.as_str().to_owned())),
            Missing::Word(it) => word(it),
            Missing::Frequency => word(match self.cell(cell::CHARGE_CATEGORY) {
                Some("Usage") | None => "Usage-Based",
                Some("Purchase") => "Recurring",
                Some(_) => "One-Time",
            }),
            Missing::Service => {
                let kind = self.cell(cell::PRODUCT_TYPE);
                Some(Cow::Borrowed(
                    kind.or_else(|| self.cell(cell::PRODUCT_CATEGORY)).unwrap_or(OTHER),
                ))
            }
            Missing::Subcategory => {
                let category = self.cell(cell::PRODUCT_CATEGORY).unwrap_or(OTHER);
                Some(Cow::Owned(format!("Other ({category})")))
            }
            Missing::Same(column) => self.cell(column).map(Cow::Borrowed),
            Missing::If(column, it) => self.cell(column).and_then(|_| word(it)),
            Missing::Unit(quantity) => {
                self.lines.quantity(quantity, self.at).and_then(|_| word(UNIT))
            }
        }
    }
}

/// Appends a text, or an empty field.
pub fn push(out: &mut ByteRecord, text: Option<&str>) {
    out.push_field(text.unwrap_or_default().as_bytes());
}

/// Appends a number with at least one decimal: readers that guess types take other numbers for whole ones.
pub fn push_number(out: &mut ByteRecord, amount: Amount) {
    let text = amount.to_text();
    if amount.scale() > 0 && text.as_bytes().contains(&b'.') {
        out.push_field(text.as_bytes());
    } else {
        out.push_field(format!("{text}.0").as_bytes());
    }
}
