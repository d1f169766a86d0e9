//! The cells that a line keeps as text.

use std::collections::HashMap;

use proto::ids::{SourceId, TenantId};
use proto::money::Amount;
use proto::{moment, tags};

use super::codec::{Encoder, Head};
use super::columns::{self, Kind};
use super::header::Layout;
use super::records::Record;
use super::refusal::{Warnings, is_null, number};

/// Texts that were looked at, remembered at a time.
const KNOWN_MAX: usize = 4_096;

/// Which times a line keeps as text too, because its numbers say less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTimes {
    /// Start of the charge period.
    pub charge_start: bool,
    /// End of the charge period.
    pub charge_end: bool,
    /// Start of the billing period.
    pub billing_start: bool,
}

/// Writes the cells of records.
pub struct Cells {
    encoder: Encoder,
    /// In their one form; `None`: they are none.
    tags: Known,
    times: Known,
}

impl Cells {
    /// For the lines of a source.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        Self { encoder: Encoder::new(tenant, source), tags: Known::new(), times: Known::new() }
    }

    /// Writes the line of a record to `out`: its head and its cells. Of the columns that are numbers or times in the
    /// head, only what says more than these is kept.
    pub fn write(
        &mut self,
        record: &Record<'_>,
        layout: &Layout,
        head: &Head,
        kept: KeptTimes,
        warnings: &mut Warnings,
        out: &mut Vec<u8>,
    ) {
        self.encoder.begin();
        for (at, column) in layout.cells.iter().enumerate() {
            let text = record.field(column.field);
            let field = Some(column.field);
            let in_head = (column.field == layout.charge_start && !kept.charge_start)
                || (field == layout.charge_end && !kept.charge_end)
                || (field == layout.billing_start && !kept.billing_start);
            if in_head || is_null(text) {
                continue;
            }
            match column.kind {
                Kind::Text if Some(at) == layout.resource => {
                    self.encoder.resource(column.number, column.tag, text)
                }
                Kind::Text => self.encoder.cell(column.number, Some(column.tag), text),
                Kind::Enum(allowed) => {
                    let text = std::str::from_utf8(text).unwrap_or_default();
                    let text = columns::mend_case(text, allowed);
                    self.encoder.cell(column.number, Some(column.tag), text.as_bytes());
                }
                Kind::Time => {
                    let one = one(&mut self.times, text, |text| moment::canonical(text.as_bytes()));
                    self.encoder.cell(column.number, Some(column.tag), one.unwrap_or(text));
                }
                Kind::Tags => {
                    let one = one(&mut self.tags, text, |text| tags::canonical(text).ok());
                    if one.is_none() {
                        warnings.add("Tags are not a JSON object: the line is kept without tags");
                    }
                    self.encoder.cell(column.number, Some(column.tag), one.unwrap_or(text));
                }
                Kind::Decimal if !layout.quantities.contains(&field) => {
                    // By value: 1.50 and 1.5 are one price.
                    let value = number(text).ok().map(Amount::to_text);
                    let value = value.as_ref().map_or(text, |value| value.as_bytes());
                    self.encoder.cell(column.number, None, value);
                }
                Kind::Decimal if number(text).is_ok() => {}
                Kind::Decimal => {
                    self.encoder.cell(column.number, None, text);
                    let name = &layout.written[column.field];
                    warnings.add(&format!("{name} is no number: kept as text, without a quantity"));
                }
            }
        }
        self.encoder.finish(head, out);
    }
}

/// Texts, and what each becomes.
type Known = HashMap<Vec<u8>, Option<Box<str>>>;

/// The one form of a text; `None`: it is nothing of its kind.
fn one<'k>(
    known: &'k mut Known,
    text: &[u8],
    make: impl FnOnce(&str) -> Option<String>,
) -> Option<&'k [u8]> {
    if !known.contains_key(text) {
        if known.len() == KNOWN_MAX {
            known.clear();
        }
        let made = std::str::from_utf8(text).ok().and_then(make).map(String::into_boxed_str);
        known.insert(text.to_vec(), made);
    }
    known.get(text)?.as_deref().map(str::as_bytes)
}
