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
    tags: Known,
    /// The last time and its one form: lines mostly share the end of their billing period.
    time: (Vec<u8>, Option<String>),
}

impl Cells {
    /// For the lines of a source.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        Self { encoder: Encoder::new(tenant, source), tags: Known::new(), time: (Vec::new(), None) }
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
                    if self.time.0 != text {
                        self.time = (text.to_vec(), moment::canonical(text));
                    }
                    let one = self.time.1.as_ref().map_or(text, |one| one.as_bytes());
                    self.encoder.cell(column.number, Some(column.tag), one);
                }
                Kind::Tags => {
                    let one = known(&mut self.tags, text);
                    if one.is_none() {
                        warnings.add("Tags are not a JSON object: the line is kept without tags");
                    }
                    self.encoder.cell(column.number, Some(column.tag), one.unwrap_or(text));
                }
                Kind::Decimal if !layout.quantities.contains(&field) => {
                    // By value: 1.50 and 1.5 are one price.
                    let value = if is_short(text) { None } else { number(text).ok() };
                    let value = value.map(Amount::to_text);
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

/// Texts of tags in their one form; `None`: they are none.
type Known = HashMap<Vec<u8>, Option<Box<str>>>;

fn known<'k>(known: &'k mut Known, text: &[u8]) -> Option<&'k [u8]> {
    if !known.contains_key(text) {
        if known.len() == KNOWN_MAX {
            known.clear();
        }
        let text_of = std::str::from_utf8(text).ok();
        let one = text_of.and_then(|text| tags::canonical(text).ok()).map(String::into_boxed_str);
        known.insert(text.to_vec(), one);
    }
    known.get(text)?.as_deref().map(str::as_bytes)
}

/// Whether a number is written in its one form already, as far as that is seen at a glance.
fn is_short(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, decimals) = match memchr::memchr(b'.', digits) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let all_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let ends = |decimals: &[u8]| all_digits(decimals) && !decimals.ends_with(b"0");
    digits.len() <= 28
        && all_digits(whole)
        && (whole == b"0" || !whole.starts_with(b"0"))
        && decimals.is_none_or(ends)
        && text != b"-0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_their_one_form_are_seen() {
        for text in ["0", "-1", "10", "0.5", "-0.05", "12.000000000000000000000001"] {
            assert!(is_short(text.as_bytes()), "{text}");
            assert_eq!(number(text.as_bytes()).unwrap().to_text().as_bytes(), text.as_bytes());
        }
        for text in
            ["", "-", "-0", "-0.0", "00", "01.5", ".5", "5.", "1.50", "+1", "1e3", "1,5", " 1"]
        {
            assert!(!is_short(text.as_bytes()), "{text}");
        }
    }
}
