//! What did not go well in a run: what, where, how to mend it.

use anyhow::Result;
use postgres::Transaction;

use super::describe;
use super::model::Summary;
use crate::store::{self, Quarantined, SourceRow};

/// How many of a kind are listed.
pub const LISTED_MAX: i64 = 10;

/// One kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is.
    pub what: String,
    /// How many there are.
    pub count: i64,
    /// The first of them, one line each.
    pub list: Vec<String>,
    /// How to mend it.
    pub mend: &'static str,
}

impl Trouble {
    /// How many are not listed.
    #[must_use]
    pub fn more(&self) -> i64 {
        self.count - self.list.len() as i64
    }
}

/// Everything that did not go well.
pub fn troubles(txn: &mut Transaction<'_>, run: &str, summary: &Summary) -> Result<Vec<Trouble>> {
    let mut found = Vec::new();
    let failed: Vec<SourceRow> = store::sources(txn)?
        .into_iter()
        .filter(|source| source.failed_run.as_deref() == Some(run))
        .collect();
    found.extend(trouble(
        failed.len() as i64,
        "could not be gathered",
        ("source", "sources"),
        failed.iter().map(of_source).collect(),
        "mend it and run again; what was gathered before stays visible",
    ));
    let stuck = store::stuck(txn, LISTED_MAX, false)?;
    found.extend(trouble(
        stuck.all,
        "not visible as of now",
        ("date is", "dates are"),
        stuck.first.iter().map(describe::unit).collect(),
        "mend what the reason names (bill or rules) and run again; the versions before stay visible",
    ));
    let emissions = store::emissions(txn, LISTED_MAX, false)?;
    found.extend(trouble(
        emissions.all,
        "not emitted",
        ("date is", "dates are"),
        emissions.first.iter().map(describe::emission).collect(),
        "mend what the reason names and run again",
    ));
    let quarantined = store::quarantined(txn, LISTED_MAX)?;
    found.extend(trouble(
        quarantined.all,
        "quarantined: no part of what is visible",
        ("record is", "records are"),
        quarantined.first.iter().map(of_record).collect(),
        "mend the lines and run again, or accept them with --allow-quarantine",
    ));
    let gaps = summary.gaps();
    found.extend(trouble(
        gaps.len() as i64,
        "not 0",
        ("difference is", "differences are"),
        gaps.iter().map(|(place, gap)| format!("{place} {}: {}", gap.what, gap.difference)).collect(),
        "this is a defect: keep the data folder and report it",
    ));
    Ok(found)
}

fn trouble(
    count: i64,
    what: &str,
    (one, many): (&str, &str),
    list: Vec<String>,
    mend: &'static str,
) -> Option<Trouble> {
    let noun = if count == 1 { one } else { many };
    (count > 0).then(|| Trouble { what: format!("{count} {noun} {what}"), count, list, mend })
}

fn of_source(source: &SourceRow) -> String {
    let (tenant, name) = &source.key;
    format!("{tenant}/{name}: {}", source.last_error.as_deref().unwrap_or("no reason was given"))
}

fn of_record(record: &Quarantined) -> String {
    let ((tenant, source), (file, line)) = (&record.key, &record.place);
    let column = record.column.as_deref().map(|column| format!(":{column}")).unwrap_or_default();
    let text: String = record.text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut = if record.text.chars().count() > 80 { "…" } else { "" };
    format!("{tenant}/{source} {file}:{line}{column}: {} [{text}{cut}]", record.reason)
}
