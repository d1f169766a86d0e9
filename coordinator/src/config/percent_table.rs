//! Tables that `fixed` takes its percents from: on every day they add to exactly 100.

use std::collections::BTreeSet;

use proto::config::{Table, TableRow};
use proto::money::Amount;
use proto::time::UnitDate;

use super::names;
use super::problem::Place;
use super::read::Cx;
use super::scalar;

/// Checks the table `name`, if it could be read.
pub fn check(name: &str, at: &Place, cx: &mut Cx<'_>) {
    let Some(table) = cx.names.contents.get(name) else { return };
    if table.key.len() != 1 || !table.patterns.is_empty() {
        let what = format!("table `{name}` cannot give percents");
        cx.report.at(
            at,
            what,
            "`fixed` needs a table with one key column (the owner) and no patterns",
        );
        return;
    }
    let mut percents: Vec<(&TableRow, Amount)> = Vec::new();
    for row in &table.rows {
        let owner = row.key.concat();
        names::owner(&owner, at, &cx.names, cx.report);
        match scalar::percent(&row.value) {
            Ok(percent) => percents.push((row, percent)),
            Err(error) => {
                let what =
                    format!("table `{name}` gives owner `{owner}` {:?} as a percentage", row.value);
                cx.report.at(at, what, error);
            }
        }
    }
    if percents.len() < table.rows.len() {
        return;
    }
    for start in starts(table) {
        let holds = |row: &TableRow| match start {
            Some(date) => row.valid.contains(date),
            None => row.valid.from.is_none(),
        };
        let now: Vec<Amount> =
            percents.iter().filter(|(row, _)| holds(row)).map(|(_, percent)| *percent).collect();
        // Days without rows are no error: the tier does not apply to them.
        if !now.is_empty()
            && let Some(sum) = scalar::sum_not_100(&now)
        {
            let days = start.map_or_else(String::new, |date| format!(" from {date} on"));
            let what = format!("the percents of table `{name}` add to {sum}{days}, not 100");
            cx.report.at(at, what, "change its rows until they add to exactly 100 on every day");
        }
    }
}

/// Days on which the rows in force change; `None`: since ever.
fn starts(table: &Table) -> BTreeSet<Option<UnitDate>> {
    let changes = table.rows.iter().flat_map(|row| [row.valid.from, row.valid.until]);
    changes.chain([None]).collect()
}
