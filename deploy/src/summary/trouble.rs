//! What did not go well in a run: what, where, how to mend it.

use anyhow::Result;
use postgres::Transaction;

use super::describe;
use super::model::Summary;
use crate::guard::text::name;
use crate::store::{self, Population, Quarantined, SourceRow};

/// How many of a kind are listed.
pub const LISTED_MAX: i64 = 10;

/// One kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is, for many.
    pub what: &'static str,
    /// Does it fail the run, whatever was accepted?
    pub missing: bool,
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
    let given_up = |source: &SourceRow| source.failed_run.as_deref() == Some(run);
    let failed: Vec<SourceRow> = store::sources(txn)?.into_iter().filter(given_up).collect();
    let stuck = store::stuck(txn, LISTED_MAX, false)?;
    let emissions = store::emissions(txn, LISTED_MAX, false)?;
    let quarantined = store::quarantined(txn, LISTED_MAX)?;
    let mut waiting = store::populations(txn)?;
    waiting.retain(|population| population.waiting > 0);
    let findings = store::findings(txn, LISTED_MAX)?;
    let gaps = summary.gaps();
    let mut found = vec![
        Trouble {
            what: "sources could not be gathered",
            missing: true,
            count: failed.len() as i64,
            list: failed.iter().map(of_source).collect(),
            mend: "mend it and run again; what was gathered before stays visible",
        },
        Trouble {
            what: "dates are not visible as of now",
            missing: true,
            count: stuck.all,
            list: stuck.first.iter().map(describe::unit).collect(),
            mend: "mend what the reason names (bill or rules) and run again; what was visible before stays so",
        },
        Trouble {
            what: "dates are not emitted",
            missing: true,
            count: emissions.all,
            list: emissions.first.iter().map(describe::emission).collect(),
            mend: "mend what the reason names and run again",
        },
        Trouble {
            what: "records are quarantined and no part of what is visible",
            missing: false,
            count: quarantined.all,
            list: quarantined.first.iter().map(of_record).collect(),
            mend: "mend the lines and run again, or accept them with --allow-quarantine",
        },
        Trouble {
            what: "sources no longer have much of what they had: it stays until that is certain",
            missing: false,
            count: waiting.len() as i64,
            list: waiting.iter().map(of_population).collect(),
            mend: "`apportion deletions list` and `apportion withdrawals list` show what: confirm it, reject it, or wait",
        },
        Trouble {
            what: "visible dates are not stored as they were made",
            missing: true,
            count: findings.all,
            list: findings.first.iter().map(describe::finding).collect(),
            mend: "somebody altered the tables, or a disk did: restore a backup. Rows alone are made anew when their date \
                   is calculated again; `apportion reconcile` looks again",
        },
        Trouble {
            what: "differences are not 0",
            missing: true,
            count: gaps.len() as i64,
            list: gaps
                .iter()
                .map(|(at, gap)| format!("{at} {}: {}", gap.what, gap.difference))
                .collect(),
            mend: "this is a defect: keep the data folder and report it",
        },
    ];
    found.retain(|trouble| trouble.count > 0);
    Ok(found)
}

fn of_source(source: &SourceRow) -> String {
    let (tenant, name) = &source.key;
    format!("{tenant}/{name}: {}", source.last_error.as_deref().unwrap_or("no reason was given"))
}

fn of_population(population: &Population) -> String {
    let (waiting, active, name) = (population.waiting, population.active, name(population));
    format!("{waiting} of {active}: {name}")
}

fn of_record(record: &Quarantined) -> String {
    let ((tenant, source), (file, line)) = (&record.key, &record.place);
    let column = record.column.as_deref().map(|column| format!(":{column}")).unwrap_or_default();
    let text: String =
        record.text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut = if record.text.chars().count() > 80 { "…" } else { "" };
    format!("{tenant}/{source} {file}:{line}{column}: {} [{text}{cut}]", record.reason)
}
