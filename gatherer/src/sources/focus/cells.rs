//! The cells that a line keeps as text.

use std::collections::HashMap;

use proto::ids::{SourceId, TenantId};

use super::codec::{Encoder, Head};
use super::columns::{self, Kind};
use super::header::Layout;
use super::records::Record;
use super::refusal::{Warnings, is_null, number};

/// Texts of tags that were looked at, remembered at a time.
const TAGS_KNOWN_MAX: usize = 4_096;

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
    tags: HashMap<Vec<u8>, bool>,
}

impl Cells {
    /// For the lines of a source.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        Self { encoder: Encoder::new(tenant, source), tags: HashMap::new() }
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
                Kind::Decimal if !layout.quantities.contains(&field) => {
                    self.encoder.cell(column.number, None, text)
                }
                Kind::Decimal if number(text).is_ok() => {}
                Kind::Decimal => {
                    self.encoder.cell(column.number, None, text);
                    let name = &layout.written[column.field];
                    warnings.add(&format!("{name} is no number: kept as text, without a quantity"));
                }
            }
            if field == layout.tags && !self.tags_are_sound(text) {
                warnings.add("Tags are not a JSON object: the line is kept without tags");
            }
        }
        self.encoder.finish(head, out);
    }

    fn tags_are_sound(&mut self, text: &[u8]) -> bool {
        if let Some(sound) = self.tags.get(text) {
            return *sound;
        }
        let sound = std::str::from_utf8(text).is_ok_and(|text| proto::tags::parse(text).is_ok());
        if self.tags.len() == TAGS_KNOWN_MAX {
            self.tags.clear();
        }
        self.tags.insert(text.to_vec(), sound);
        sound
    }
}
