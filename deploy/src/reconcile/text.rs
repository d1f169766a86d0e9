//! What was compared, for people and programs. Pure.

use anyhow::Result;
use emitter::reconcile::Difference;
use proto::ids::{Generation, UnitKey};
use serde_json::{Value, json};

/// Dates that people are shown; programs get all.
const SHOWN_MAX: usize = 100;

/// What was compared.
#[derive(Debug, Default)]
pub struct Told {
    /// Dates.
    pub dates: u64,
    /// Their lines.
    pub lines: u64,
    /// Their rows.
    pub rows: u64,
    /// Those that are not stored as they were made.
    pub differing: Vec<(UnitKey, Generation, Vec<Difference>)>,
}

/// For a terminal.
#[must_use]
pub fn text(told: &Told) -> String {
    let mut text = String::new();
    for (unit, generation, differences) in told.differing.iter().take(SHOWN_MAX) {
        text.push_str(&format!("{unit}, generation {generation}:\n"));
        for Difference { what, expected, found } in differences {
            text.push_str(&format!("  {what}: expected {expected}, found {found}\n"));
        }
    }
    let more = told.differing.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        text.push_str(&format!("and {more} dates more: --json lists all\n"));
    }
    let Told { dates, lines, rows, differing } = told;
    text.push_str(&format!("{dates} dates compared, {lines} lines and {rows} rows: "));
    match differing.len() {
        0 => text.push_str("all are stored as they were made\n"),
        count => text.push_str(&format!(
            "{count} are not stored as they were made. Somebody altered the tables, or a disk did: restore a backup. \
             Rows alone are made anew when their date is calculated again\n"
        )),
    }
    text
}

/// For programs.
///
/// # Errors
/// Never for what is told here.
pub fn json(told: &Told) -> Result<String> {
    let difference = |Difference { what, expected, found }: &Difference| json!({ "what": what, "expected": expected, "found": found });
    let unit = |(unit, generation, differences): &(UnitKey, Generation, Vec<Difference>)| {
        json!({
            "tenant": unit.tenant.as_str(),
            "source": unit.source.as_str(),
            "date": unit.date.to_string(),
            "generation": generation.0,
            "differences": differences.iter().map(difference).collect::<Vec<Value>>(),
        })
    };
    let document = json!({
        "dates": told.dates,
        "lines": told.lines,
        "rows": told.rows,
        "differing": told.differing.iter().map(unit).collect::<Vec<Value>>(),
    });
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let unit = UnitKey {
            tenant: "acme".parse().unwrap(),
            source: "aws".parse().unwrap(),
            date: "2026-09-03".parse().unwrap(),
        };
        let difference =
            Difference { what: "rows".into(), expected: "81".into(), found: "80".into() };
        Told {
            dates: 3,
            lines: 40,
            rows: 80,
            differing: vec![(unit, Generation(7), vec![difference])],
        }
    }

    #[test]
    fn what_differs_is_named_with_expected_and_found() {
        let text = text(&told());
        let start = "acme/aws/2026-09-03, generation 7:\n  rows: expected 81, found 80\n3 dates compared, 40 lines and 80 rows: 1 ";
        assert!(text.starts_with(start), "{text}");
        let document: Value = serde_json::from_str(&json(&told()).unwrap()).unwrap();
        assert_eq!(document["differing"][0]["differences"][0]["found"], "80");
        let clean = Told { differing: Vec::new(), ..told() };
        let text = super::text(&clean);
        assert_eq!(
            text,
            "3 dates compared, 40 lines and 80 rows: all are stored as they were made\n"
        );
    }
}
