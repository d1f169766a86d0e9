//! Tiers that did not apply, remembered so that the row that finally results can say so.

use std::collections::HashMap;

use super::program::{Program, TierId};

/// Longest detail of a row, in characters.
const DETAIL_MAX: usize = 500;

/// What rows say where a metric could not be had, so that others got the cost than would have.
const METRICS_FETCH_FAILED: &str = "metrics_fetch_failed";

/// Place of a list of notes in [`Notes`].
pub type NotesId = usize;

/// No notes.
pub const NO_NOTES: NotesId = 0;

/// Why a tier did not apply, where a person should know. A field without value is not worth a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Miss {
    /// The directory is strict and does not list an owner.
    UnknownOwner,
    /// The line's resolution key has no resolution, or the line has none.
    NoResolution,
    /// The set is empty.
    NoIdentities,
    /// A metric could not be had.
    MetricsFailed,
    /// No usage was measured.
    NoUsage,
    /// All usage is 0.
    ZeroUsage,
    /// Usage is negative in total.
    NegativeUsage,
    /// A driver gives no weights.
    NoWeights,
    /// No owner has a positive cost there.
    NoCost,
    /// The cost there is in several currencies.
    SeveralCurrencies,
    /// The line lacks a field that must be equal.
    NoWithin,
}

impl Miss {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::UnknownOwner => "an owner is not in the directory",
            Self::NoResolution => "no resolution for the line",
            Self::NoIdentities => "no identities",
            Self::MetricsFailed => METRICS_FETCH_FAILED,
            Self::NoUsage => "no usage",
            Self::ZeroUsage => "all usage is 0",
            Self::NegativeUsage => "usage is negative in total",
            Self::NoWeights => "no weights",
            Self::NoCost => "no cost to share by",
            Self::SeveralCurrencies => "cost in several currencies",
            Self::NoWithin => "the line lacks a field that must be equal",
        }
    }
}

#[derive(Debug, Default)]
struct List {
    text: String,
    unknown_owner: bool,
    metrics_failed: bool,
}

/// Every list of notes that came up, each once.
#[derive(Debug)]
pub struct Notes {
    lists: Vec<List>,
    longer: HashMap<(NotesId, TierId, Miss), NotesId>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { lists: vec![List::default()], longer: HashMap::new() }
    }
}

impl Notes {
    /// The list with one more note.
    pub fn add(&mut self, list: NotesId, tier: TierId, miss: Miss, program: &Program) -> NotesId {
        *self.longer.entry((list, tier, miss)).or_insert_with(|| {
            let before = &self.lists[list];
            let separator = if before.text.is_empty() { "" } else { "; " };
            let label = &program.tiers[tier].label;
            let text = format!("{}{separator}{label}: {}", before.text, miss.text());
            let unknown_owner = before.unknown_owner || miss == Miss::UnknownOwner;
            let metrics_failed = before.metrics_failed || miss == Miss::MetricsFailed;
            self.lists.push(List { text, unknown_owner, metrics_failed });
            self.lists.len() - 1
        })
    }

    /// The detail of a row that a tier gave after these.
    pub fn detail(&self, list: NotesId) -> Option<String> {
        let text = &self.lists[list].text;
        (!text.is_empty()).then(|| cut(text.clone()))
    }

    /// The detail that a tier states, as far as it is true: it speaks of what there is, not of what could not be had or
    /// was refused.
    pub fn stated<'s>(&self, list: NotesId, detail: Option<&'s String>) -> Option<&'s str> {
        let detail = detail?;
        let List { unknown_owner, metrics_failed, .. } = self.lists[list];
        match (unknown_owner, metrics_failed) {
            (true, _) => None,
            (false, true) => Some(METRICS_FETCH_FAILED),
            (false, false) => Some(detail),
        }
    }

    /// The detail of a row that nobody pays: the reason, then what was tried.
    pub fn reason(&self, list: NotesId, reason: &str) -> String {
        match self.detail(list) {
            Some(tried) => cut(format!("{reason}: {tried}")),
            None => reason.to_owned(),
        }
    }

    /// Whether the directory refused an owner.
    pub fn unknown_owner(&self, list: NotesId) -> bool {
        self.lists[list].unknown_owner
    }
}

/// A detail of bounded length.
pub fn cut(mut detail: String) -> String {
    if let Some((end, _)) = detail.char_indices().nth(DETAIL_MAX) {
        detail.truncate(end);
        detail.push('…');
    }
    detail
}
