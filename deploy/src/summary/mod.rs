//! The summary at the end of `run --once`: what came, where it went, and the proof that nothing is lost.

pub mod describe;
mod gather;
mod model;
#[cfg(test)]
mod tests;
mod text;
mod trouble;

pub use gather::summary;
pub use model::{Gap, Money, Source, Summary};
pub use text::{percent, share, table};

use std::io::Write;

use anyhow::{Context, Result};

use crate::say::say;
use crate::store;

/// What a summary writes to stdout. Troubles are always told: with text on stdout, else on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Tables for people.
    Text,
    /// One JSON document.
    Json,
    /// Nothing: somebody else tells.
    Nothing,
}

/// What is summarised, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The database.
    pub database_url: &'a str,
    /// The run that has ended.
    pub run: &'a str,
    /// The exit code that it ended with, 0 or 1.
    pub code: u8,
    /// What is printed on stdout.
    pub told: Told,
    /// Quarantined records are accepted.
    pub allow_quarantine: bool,
}

/// Prints the summary of a run that has ended and says the exit code of the whole: 0, or 1 when something is missing,
/// quarantined or does not add up; and what was summarised. Must not be called on a runtime's thread.
///
/// # Errors
/// When the database cannot be read or nobody listens on stdout.
pub fn summarise(request: &Request<'_>) -> Result<(u8, Summary)> {
    let mut client = store::connect(request.database_url)?;
    let mut view = store::view(&mut client)?;
    let summary = gather::summary(&mut view, request.run)?;
    let troubles = trouble::troubles(&mut view, request.run, &summary)?;
    view.commit().context("the database lost its view")?;
    let troubles_text = text::troubles(&troubles);
    match request.told {
        Told::Text => say(&(text::summary(&summary) + &troubles_text))?,
        Told::Json => say(&format!("{}\n", serde_json::to_string(&summary.document())?))?,
        Told::Nothing => {}
    }
    if request.told != Told::Text {
        std::io::stderr().lock().write_all(troubles_text.as_bytes())?;
    }
    let missing = troubles.iter().any(|trouble| trouble.missing);
    let code = summary.exit_code(request.code, missing, request.allow_quarantine);
    Ok((code, summary))
}
