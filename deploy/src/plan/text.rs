//! A plan for people, for pull requests and for programs. Pure.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::Planned;
use super::difference::{Line, Moved};
use super::markdown;
use crate::summary::percent;

/// Lines of a currency in a table that people are shown; programs get all.
const SHOWN_MAX: usize = 30;
/// Rules of a currency that are shown.
const RULES_MAX: usize = 10;

const SUMS: [&str; 3] = ["before", "after", "delta"];

fn sums(moved: &Moved) -> [String; 3] {
    [moved.before, moved.after, moved.delta()].map(|sum| sum.to_string())
}

fn cells(lines: &[Line<'_>], most: usize) -> Vec<Vec<String>> {
    let line = |((name, currency), moved): &Line<'_>| {
        let texts = [(*name).to_owned(), (*currency).to_owned()];
        texts.into_iter().chain(sums(moved)).collect()
    };
    let of_currency = lines.chunk_by(|a, b| a.0.1 == b.0.1);
    of_currency.flat_map(|lines| lines.iter().take(most)).map(line).collect()
}

/// Of each currency: its code, coverage before and after, all money.
fn coverage(planned: &Planned) -> Vec<(&str, [String; 2], Moved)> {
    let totals = planned.difference.totals().into_iter();
    let percents = |allocated: &Moved, all: &Moved| {
        [percent(&allocated.before, &all.before), percent(&allocated.after, &all.after)]
    };
    totals.map(|(code, (all, allocated))| (code, percents(&allocated, &all), all)).collect()
}

/// What it covers, in one line.
fn scope(planned: &Planned) -> String {
    let (units, all) = (planned.units.len(), planned.visible);
    let (of, were) = match planned.done {
        true => ("dates", "were calculated"),
        false => ("visible dates", "would be calculated"),
    };
    let dates = planned.units.iter().map(|unit| unit.date.as_str());
    match (dates.clone().min(), dates.max()) {
        (Some(first), Some(last)) => {
            format!("{units} of {all} {of} {were} again, {first} to {last}")
        }
        _ => format!("none of {all} {of} {were} again"),
    }
}

/// For a terminal.
#[must_use]
pub fn table(planned: &Planned) -> String {
    let mut text = format!("{}: {}\n", planned.tenant, scope(planned));
    for note in &planned.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    if planned.units.is_empty() {
        return text;
    }
    let owners = planned.difference.owners();
    let header = |name| [[name, "currency"].as_slice(), &SUMS].concat();
    let shown = cells(&owners, SHOWN_MAX);
    text.push_str(&format!("\n{}", crate::summary::table(&header("owner"), 2, &shown)));
    if owners.len() > shown.len() {
        text.push_str(&format!("and {} more: --json lists all\n", owners.len() - shown.len()));
    }
    text.push('\n');
    for (code, [before, after], all) in coverage(planned) {
        text.push_str(&format!(
            "{code}: before {}, after {}, Σ delta {}; allocated {before} before, {after} after\n",
            all.before,
            all.after,
            all.delta()
        ));
    }
    let rules = cells(&planned.difference.rules(), RULES_MAX);
    text.push_str(&format!("\n{}", crate::summary::table(&header("rule"), 2, &rules)));
    text.push_str(&format!("\ndigest {}\n", planned.digest));
    text
}

/// For a comment on a pull request.
#[must_use]
pub fn markdown(planned: &Planned) -> String {
    let mut text = format!(
        "### Apportion {}: {}\n\n{}.\n",
        if planned.done { "replay" } else { "plan" },
        planned.tenant,
        scope(planned)
    );
    for note in &planned.notes {
        text.push_str(&format!("\n> {note}\n"));
    }
    if planned.units.is_empty() {
        return text;
    }
    let table = |name: &str, lines: &[Line<'_>], most: usize| {
        let mut rows =
            format!("\n| {name} | currency | before | after | delta |\n|---|---|---:|---:|---:|\n");
        let shown = cells(lines, most);
        let more = lines.len() - shown.len();
        for mut cells in shown {
            // The others are ours: a currency and numbers.
            cells[0] = markdown::name(&cells[0]);
            rows.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        if more > 0 {
            rows.push_str(&format!("\nand {more} more\n"));
        }
        rows
    };
    text.push_str(&table("owner", &planned.difference.owners(), SHOWN_MAX));
    text.push_str("\n| currency | coverage before | coverage after | Σ before | Σ after | Σ delta |\n|---|---:|---:|---:|---:|---:|\n");
    for (code, [before, after], all) in coverage(planned) {
        let [all_before, all_after, delta] = sums(&all);
        text.push_str(&format!(
            "| {code} | {before} | {after} | {all_before} | {all_after} | {delta} |\n"
        ));
    }
    let rules = table("rule", &planned.difference.rules(), RULES_MAX);
    text.push_str(&format!("\n<details><summary>Top rules</summary>\n{rules}\n</details>\n"));
    text.push_str(&format!("\nDigest `{}`\n", planned.digest));
    text
}

/// One document for all tenants.
///
/// # Errors
/// Never for what is planned here.
pub fn document(all: &[Planned]) -> Result<String> {
    let moved = |moved: &Moved| {
        let [before, after, delta] = sums(moved);
        json!({"before": before, "after": after, "delta": delta})
    };
    let line = |name: &str, ((what, currency), sums): &Line<'_>| {
        let mut value = moved(sums);
        value[name] = json!(what);
        value["currency"] = json!(currency);
        value
    };
    let tenant = |planned: &Planned| {
        let owners: Vec<Value> =
            planned.difference.owners().iter().map(|l| line("owner", l)).collect();
        let rules: Vec<Value> =
            planned.difference.rules().iter().map(|l| line("rule", l)).collect();
        let differences: Vec<Value> = planned
            .difference
            .moved()
            .into_iter()
            .map(|([owner, identity, product, currency], [before, after])| {
                let mut value = moved(&Moved { before, after });
                for (name, text) in [
                    ("owner", owner),
                    ("identity", identity),
                    ("product", product),
                    ("currency", currency),
                ] {
                    value[name] = json!(text);
                }
                value
            })
            .collect();
        let totals: Map<String, Value> = coverage(planned)
            .into_iter()
            .map(|(code, [before, after], all)| {
                let mut value = moved(&all);
                value["coverage_before"] = json!(before);
                value["coverage_after"] = json!(after);
                (code.to_owned(), value)
            })
            .collect();
        json!({"tenant": planned.tenant, "done": planned.done, "digest": planned.digest.to_string(), "visible": planned.visible,
            "notes": planned.notes, "units": planned.units, "owners": owners, "rules": rules,
            "differences": differences, "totals": totals})
    };
    let tenants: Vec<Value> = all.iter().map(tenant).collect();
    Ok(format!("{}\n", serde_json::to_string(&json!({"tenants": tenants}))?))
}
