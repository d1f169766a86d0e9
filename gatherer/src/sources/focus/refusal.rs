//! Cells that say nothing, numbers, and what is kept of a record that no line can be made of.

use std::collections::BTreeMap;

use proto::line::Measure;
use proto::money::{Amount, AmountError};
use proto::report::QuarantinedRecord;
use proto::time::UnitDate;

use super::header::Layout;
use super::records::Record;

/// Characters of a bad record or cell that are kept.
const QUOTED_CHARS: usize = 1_000;

/// Why no line can be made of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The column at fault, as the file writes it.
    pub column: Option<String>,
    /// What is wrong and how to mend it.
    pub reason: String,
    /// The cell; `None`: the record as a whole.
    pub text: Option<String>,
    /// Whether tomorrow may see it otherwise: it lies too far ahead.
    pub too_early: bool,
}

impl Refusal {
    /// Because of the record as a whole.
    #[must_use]
    pub fn of_record(reason: String) -> Self {
        Self { column: None, reason, text: None, too_early: false }
    }

    /// Because of one of its cells.
    #[must_use]
    pub fn of_cell(
        layout: &Layout,
        record: &Record<'_>,
        field: usize,
        reason: impl Into<String>,
    ) -> Self {
        let column = Some(layout.written[field].clone());
        let text = Some(String::from_utf8_lossy(record.field(field)).into_owned());
        Self { column, reason: reason.into(), text, too_early: false }
    }

    /// What is kept of the record. The date is the caller's to read; the amount is kept where it and its currency can
    /// be read.
    #[must_use]
    pub fn quarantined(
        self,
        file: &str,
        record: &Record<'_>,
        layout: &Layout,
        cost: Measure,
        date: Option<UnitDate>,
    ) -> QuarantinedRecord {
        let cell = |field: Option<usize>| {
            std::str::from_utf8(field.and_then(|field| record.get(field))?).ok()
        };
        let whole = record.fields() == layout.width;
        let currency = cell(Some(layout.currency)).and_then(|text| text.trim().parse().ok());
        let amount =
            cell(layout.measures[cost as usize]).and_then(|text| number(text.as_bytes()).ok());
        let text = self.text.unwrap_or_else(|| String::from_utf8_lossy(record.raw).into_owned());
        // Databases take no NUL.
        let text = text
            .chars()
            .take(QUOTED_CHARS)
            .map(|c| if c == '\0' { '\u{fffd}' } else { c })
            .collect();
        QuarantinedRecord {
            file: file.to_owned(),
            line: record.line,
            column: self.column,
            reason: self.reason,
            text,
            date: date.filter(|_| whole),
            amount: currency.zip(amount).filter(|_| whole),
        }
    }
}

/// Whether a cell says nothing: it is empty, blanks only, or the literal `NULL` that databases export.
#[must_use]
pub fn is_null(text: &[u8]) -> bool {
    match text {
        b"" | b"NULL" => true,
        [first, ..] if first.is_ascii_whitespace() => matches!(text.trim_ascii(), b"" | b"NULL"),
        _ => false,
    }
}

/// The number in a cell.
///
/// # Errors
/// What is wrong with it.
pub fn number(text: &[u8]) -> Result<Amount, AmountError> {
    Amount::parse(std::str::from_utf8(text).unwrap_or("\u{fffd}"))
}

/// Why a cell is no number, in the words that people look for.
#[must_use]
pub fn number_reason(error: &AmountError) -> String {
    let word = if matches!(error, AmountError::TooManyDigits { .. }) {
        "too many digits"
    } else {
        "bad number"
    };
    format!("{word}: {error}")
}

/// What a person should know of a file, and how often.
#[derive(Debug, Default)]
pub struct Warnings(pub BTreeMap<String, u64>);

impl Warnings {
    /// Counts one.
    pub fn add(&mut self, text: &str) {
        match self.0.get_mut(text) {
            Some(count) => *count += 1,
            None => _ = self.0.insert(text.to_owned(), 1),
        }
    }
}
