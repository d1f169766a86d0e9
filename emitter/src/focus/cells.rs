//! The cells of a line as FOCUS wants them. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use csv::ByteRecord;
use proto::column::TextColumn;
use proto::line::{Lines, cell};
use proto::moment;
use proto::money::Amount;
use proto::tags;
use proto::time::UtcSeconds;
use serde_json::{Map, Value};

use super::allocated;
use super::columns::{Column, Content, Missing, SPLIT_CELLS, Time};
use crate::clock::Clock;
use crate::emission::Place;

/// What FOCUS calls everything else.
const OTHER: &str = "Other";
/// What stands for a unit that a bill does not name.
const UNIT: &str = "Count";

/// A batch of lines, looked at once for all its lines.
pub struct Batch {
    lines: Arc<Lines>,
    columns: Vec<Found>,
    /// Places among the cells of the provider's own columns.
    provider: Vec<Option<usize>>,
    /// Start of each billing period and of the month after it, by code.
    months: Vec<[String; 2]>,
    /// Each value of the tags up to where the receiver's tag comes; the first is for lines without tags.
    tags: Vec<String>,
    tags_at: Option<usize>,
    clocks: [Clock; 2],
}

/// A column of FOCUS in a batch.
struct Found {
    content: Content,
    /// Its place among the cells.
    at: Option<usize>,
    /// Its values in the form that FOCUS wants, by code, where that can be another; `None` where there is no such form.
    mended: Vec<Option<String>>,
}

impl Batch {
    /// Looks at a batch: for `columns` of FOCUS and for columns of the provider, by their own names.
    #[must_use]
    pub fn new<'n>(
        lines: &Arc<Lines>,
        columns: &[Column],
        provider: impl Iterator<Item = &'n str>,
    ) -> Self {
        let place = |name: &str| lines.cells.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok();
        let found = columns.iter().map(|column| {
            let at = place(column.name);
            let mended = at.map_or_else(Vec::new, |at| mended(column.content, &lines.cells[at].1));
            Found { content: column.content, at, mended }
        });
        let tags_at = place(cell::TAGS);
        let flat = tags_at.map_or_else(Vec::new, |at| mended(Content::Json, &lines.cells[at].1));
        let begun = flat.iter().map(Option::as_deref).map(allocated::tags_begun);
        Self {
            columns: found.collect(),
            provider: provider.map(place).collect(),
            months: lines.billing_period.values().iter().map(|period| months(period)).collect(),
            tags: [allocated::tags_begun(None)].into_iter().chain(begun).collect(),
            tags_at,
            clocks: Default::default(),
            lines: Arc::clone(lines),
        }
    }

    /// Whether it is this batch.
    #[must_use]
    pub fn is(&self, lines: &Arc<Lines>) -> bool {
        Arc::ptr_eq(&self.lines, lines)
    }

    /// Writes what all rows of line `at` have in common: a field for each column of FOCUS, empty where rows differ, and
    /// one for each of the provider.
    pub fn common(&mut self, at: usize, place: &Place, out: &mut ByteRecord) {
        let line = Line { lines: &self.lines, at, place };
        for column in &self.columns {
            let cell = column.at.map(|found| &self.lines.cells[found].1);
            let code = cell.map_or(0, |cell| cell.code(at) as usize);
            let mended = || column.mended.get(code.checked_sub(1)?)?.as_deref();
            match column.content {
                Content::Cost(_) | Content::Quantity(_) | Content::Split(_) => out.push_field(b""),
                Content::Allocated(_) => out.push_field(b""),
                Content::Number | Content::Json | Content::Object => push(out, mended()),
                Content::Time(time) => {
                    let period = self.lines.billing_period.code(at) as usize;
                    let month =
                        |of: usize| Some(self.months.get(period.checked_sub(1)?)?[of].as_str());
                    match time {
                        Time::ChargeStart => {
                            let start = UtcSeconds(self.lines.charge_start[at]);
                            out.push_field(self.clocks[0].text(start));
                        }
                        Time::ChargeEnd => {
                            let end = UtcSeconds(self.lines.charge_end[at]);
                            out.push_field(self.clocks[1].text(end));
                        }
                        Time::BillingStart => push(out, mended().or_else(|| month(0))),
                        Time::BillingEnd => push(out, mended().or_else(|| month(1))),
                    }
                }
                Content::Currency => push(out, self.lines.currency.get(at)),
                Content::Text(missing) => match cell.and_then(|cell| cell.get(at)) {
                    Some(text) => push(out, Some(text)),
                    None => push(out, line.missing(missing).as_deref()),
                },
            }
        }
        for found in &self.provider {
            push(out, found.and_then(|found| self.lines.cells[found].1.get(at)));
        }
    }

    /// The tags of line `at`, up to where the receiver's comes.
    #[must_use]
    pub fn tags_begun(&self, at: usize) -> &str {
        let code = self.tags_at.map_or(0, |found| self.lines.cells[found].1.code(at) as usize);
        &self.tags[code]
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

/// The values of a column as what stands in it wants them.
fn mended(content: Content, column: &TextColumn) -> Vec<Option<String>> {
    let values = column.values().iter();
    match content {
        Content::Number => values.map(|text| Amount::parse(text).ok().map(number)).collect(),
        Content::Json => values.map(|text| tags::flat(text).ok().map(Cow::into_owned)).collect(),
        Content::Object => values
            .map(|text| {
                let object = serde_json::from_str::<Map<String, Value>>(text);
                object.is_ok().then(|| text.clone())
            })
            .collect(),
        Content::Time(Time::BillingStart | Time::BillingEnd) => values
            .map(|text| moment::parse(text.as_bytes()).map(|moment| moment.at.to_string()))
            .collect(),
        Content::Time(Time::ChargeStart | Time::ChargeEnd)
        | Content::Cost(_)
        | Content::Quantity(_)
        | Content::Split(_)
        | Content::Currency
        | Content::Allocated(_)
        | Content::Text(_) => Vec::new(),
    }
}

/// A number with at least one decimal.
fn number(amount: Amount) -> String {
    let decimals = if amount.scale() > 0 { "" } else { ".0" };
    format!("{amount}{decimals}")
}

/// The start of a billing period, and of the month after it.
fn months(period: &str) -> [String; 2] {
    let (year, month) = period.split_once('-').unwrap_or_default();
    let first =
        year.parse::<i64>().unwrap_or_default() * 12 + month.parse::<i64>().unwrap_or(1) - 1;
    [first, first + 1].map(|month| format!("{:04}-{:02}-01T00:00:00Z", month / 12, month % 12 + 1))
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

    fn missing(&self, missing: Missing) -> Option<Cow<'a, str>> {
        let word = |word: &'static str| Some(Cow::Borrowed(word));
        match missing {
            Missing::Null => None,
            Missing::OfProvider(columns) => {
                let found = columns.iter().find_map(|column| self.cell(column));
                Some(Cow::Borrowed(found.unwrap_or(self.place.source.as_str())))
            }
            Missing::Tenant => Some(Cow::Borrowed(self.place.tenant.as_str())),
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
fn push(out: &mut ByteRecord, text: Option<&str>) {
    out.push_field(text.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::focus::columns::Version;
    use proto::ids::{SourceId, TenantId};
    use proto::line::{BillingLineItem, LineBatchBuilder, LineId};
    use std::collections::BTreeMap;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    /// The fields of a line with these cells, which come sorted.
    fn common(cells: &[(&str, &str)]) -> BTreeMap<&'static str, String> {
        let mut builder = LineBatchBuilder::default();
        builder.push(&BillingLineItem {
            id: LineId::default(),
            charge_start: UtcSeconds(1_798_675_200),
            charge_end: UtcSeconds(1_798_678_800),
            billing_period: "2026-12".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            amount: amount("1"),
            measures: [None; 4],
            quantities: [None, Some(amount("2"))],
            resolution_key: None,
            cells: cells.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        });
        let lines = Arc::new(builder.take().open().unwrap());
        let place = Place {
            tenant: TenantId::parse("acme").unwrap(),
            source: SourceId::parse("cloud").unwrap(),
            date: "2026-12-31".parse().unwrap(),
            ecosystem: None,
        };
        let (mut out, columns) = (ByteRecord::new(), Version::V1_3.columns());
        Batch::new(&lines, columns, ["x_ProductType"].into_iter()).common(0, &place, &mut out);
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
        let names = columns.iter().map(|c| c.name).chain(["x_ProductType"]);
        names.zip(out.iter().map(text)).collect()
    }

    #[test]
    fn what_a_bill_lacks_is_filled_where_focus_wants_it() {
        let line = common(&[]);
        let filled: Vec<_> = line.iter().filter(|(_, text)| !text.is_empty()).collect();
        let filled: Vec<String> = filled.iter().map(|(k, v)| format!("{k} {v}")).collect();
        let wanted = [
            "BillingAccountId acme",
            "BillingAccountType Billing Account",
            "BillingCurrency USD",
            "BillingPeriodEnd 2027-01-01T00:00:00Z",
            "BillingPeriodStart 2026-12-01T00:00:00Z",
            "ChargeCategory Usage",
            "ChargeFrequency Usage-Based",
            "ChargePeriodEnd 2026-12-31T01:00:00Z",
            "ChargePeriodStart 2026-12-31T00:00:00Z",
            "ConsumedUnit Count",
            "HostProviderName cloud",
            "InvoiceIssuerName cloud",
            "ProviderName cloud",
            "PublisherName cloud",
            "ServiceCategory Other",
            "ServiceName Other",
            "ServiceProviderName cloud",
            "ServiceSubcategory Other (Other)",
        ];
        assert_eq!(filled, wanted);
    }

    #[test]
    fn cells_are_kept_and_mended_only_in_form() {
        let line = common(&[
            ("BillingPeriodEnd", "2026-12-31 00:00:00+02:00"),
            ("ChargeCategory", "Tax"),
            ("ContractApplied", r#"{ "Elements":[{"ContractID":"1"}]}"#),
            ("ListUnitPrice", "3"),
            ("ProviderName", "=AWS"),
            ("SkuPriceDetails", "none"),
            ("SubAccountId", "0042"),
            ("Tags", r#"{"a":[1], "b":"x"}"#),
            ("x_ProductType", "KAFKA"),
        ]);
        for (column, want) in [
            ("BillingPeriodEnd", "2026-12-30T22:00:00Z"),
            ("ChargeFrequency", "One-Time"),
            ("ContractApplied", r#"{ "Elements":[{"ContractID":"1"}]}"#),
            ("ContractedUnitPrice", ""),
            ("HostProviderName", "=AWS"),
            ("InvoiceIssuerName", "=AWS"),
            ("ListUnitPrice", "3.0"),
            ("ServiceName", "KAFKA"),
            ("SkuPriceDetails", ""),
            ("SubAccountId", "0042"),
            ("SubAccountName", "0042"),
            ("SubAccountType", "Sub Account"),
            ("Tags", r#"{"a":"[1]","b":"x"}"#),
            ("x_ProductType", "KAFKA"),
        ] {
            assert_eq!(line[column], want, "{column}");
        }
    }
}
