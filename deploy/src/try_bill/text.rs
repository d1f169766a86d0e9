//! What a tried bill came to, for people and for programs, and the rules that it was calculated by. Pure.

use std::path::Path;

use anyhow::Result;
use proto::line::Measure;
use proto::money::ExactSum;
use proto::row::UNALLOCATED;
use serde_json::{Map, Value, json};

use super::choose::Ranked;
use super::scan::Scanned;
use super::{Outcome, proved};
use crate::summary::{Money, percent, table};

/// Keys that people are shown.
pub const KEYS_SHOWN: usize = 6;
/// Owners that people are shown; programs get all.
const OWNERS_SHOWN: usize = 30;
/// Files that people are shown.
const FILES_SHOWN: usize = 10;

/// What written rules have besides those that were tried: their output.
pub const EMITTERS: &str = "emitters:\n  csv: { dir: out/csv }\n";

/// The rules for a bill: its files, its cost, its owners' key.
#[must_use]
pub fn rules(scanned: &Scanned, by: Option<&Ranked>, (tenant, source): (&str, &str)) -> String {
    // JSON's quotes are YAML's.
    let quoted = |text: &str| Value::from(text).to_string();
    let files: Vec<String> = scanned
        .files
        .iter()
        .map(|file| format!("      - {}\n", quoted(&escaped(&file.path))))
        .collect();
    let mut text = format!("# Rules of {tenant}, as `apportion try` proposes them.\n");
    let owner = match by {
        None => "# No key names owners: nobody pays until rules say who.\n".to_owned(),
        Some(by) => {
            let field = quoted(&by.field.to_string());
            text.push_str(&format!(
                "# {} has a value on {:.2} % of the cost.\n",
                by.field, by.coverage
            ));
            if by.mixed_case {
                let values = "values: [trim, lowercase]";
                text.push_str(&format!("tags:\n  owner: {{ from: [{field}], {values} }}\n"));
                "    owner: [vtag.owner]\n".to_owned()
            } else {
                format!("    owner: [{field}]\n")
            }
        }
    };
    let (files, cost) = (files.concat(), scanned.cost.column());
    text.push_str(&format!(
        "sources:\n  {source}:\n    kind: focus\n    files:\n{files}    cost: {cost}\n{owner}"
    ));
    text
}

/// A path as a pattern that means itself.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    if !text.contains(['*', '?', '[', ']']) {
        return text.into_owned();
    }
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']');
    let one = |c: char| if special(c) { format!("[{c}]") } else { c.to_string() };
    text.chars().map(one).collect()
}

/// For a terminal.
#[must_use]
pub fn report(outcome: &Outcome) -> String {
    let Outcome { scanned, keys, by, .. } = outcome;
    let mut text = String::new();
    for file in scanned.files.iter().take(FILES_SHOWN) {
        let (name, version, format, lines) = (&file.name, file.version, file.format, file.lines);
        text.push_str(&format!("{name}: FOCUS {version}, {format}, {lines} lines\n"));
    }
    let more = scanned.files.len().saturating_sub(FILES_SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more files\n"));
    }
    let currency = scanned.main_currency().map(|code| format!(" in {code}")).unwrap_or_default();
    let key = |key: &Ranked| {
        format!(
            "{} ({:.2} % of the cost{currency}, {} values)",
            key.field, key.coverage, key.values
        )
    };
    match by {
        Some(by) => text.push_str(&format!("owners by {}\n", key(by))),
        None => text.push_str("no tag, account or resource names owners: nobody pays\n"),
    }
    if by.as_ref().is_some_and(|by| by.mixed_case) {
        text.push_str("  values that differ in case only are one owner\n");
    }
    for other in keys.iter().filter(|key| Some(*key) != by.as_ref()).take(KEYS_SHOWN - 1) {
        text.push_str(&format!("  or --by {}\n", key(other)));
    }
    for (code, money) in &outcome.money {
        text.push_str(&format!("\n{}", owners(outcome, code)));
        if !money.unallocated.is_empty() {
            let sums: Vec<ExactSum> = money.unallocated.values().map(|sums| sums.amount).collect();
            let reasons = money.unallocated.keys().cloned();
            let rows: Vec<Vec<String>> =
                reasons.zip(decimals(&sums)).map(|(reason, sum)| vec![reason, sum]).collect();
            text.push_str(&format!("\n{}", table(&["nobody pays because", code], 1, &rows)));
        }
    }
    text.push('\n');
    for (code, money) in &outcome.money {
        for cost in proved(scanned) {
            let Proof { billed, allocated, unallocated, quarantined, difference } =
                proof(money, cost, scanned.cost);
            let bad = if quarantined.is_zero() {
                String::new()
            } else {
                format!(" + quarantined {quarantined}")
            };
            text.push_str(&format!(
                "proof: {code} {}: billed {billed} = allocated {allocated} + unallocated {unallocated}{bad}: difference \
                 {difference}\n",
                cost.column()
            ));
        }
    }
    for (warning, count) in &outcome.warnings {
        text.push_str(&format!("warning: {warning} ({count} times)\n"));
    }
    text.push_str(&outcome.written.as_deref().map(next).unwrap_or_default());
    text
}

/// What to do with rules that were written to `path`.
#[must_use]
pub fn next(path: &Path) -> String {
    let folder = path.parent().and_then(Path::parent).unwrap_or(path);
    let (path, folder) = (path.display(), folder.display());
    format!(
        "\nwritten: {path}\nnext: apportion run --once --config {folder} --data-dir {folder}/.apportion\n"
    )
}

/// Owners of one currency, who owes most first, nobody last, and their sum.
fn owners(outcome: &Outcome, code: &str) -> String {
    let none = Default::default();
    let all = outcome.owners.get(code).unwrap_or(&none);
    let mut some: Vec<(&str, ExactSum)> =
        all.iter().map(|(owner, sum)| (owner.as_str(), *sum)).collect();
    some.sort_by(|(a, x), (b, y)| (*a == UNALLOCATED, y, a).cmp(&(*b == UNALLOCATED, x, b)));
    let mut total = ExactSum::ZERO;
    some.iter().for_each(|(_, sum)| total.merge(sum));
    let nobody = some.pop_if(|(owner, _)| *owner == UNALLOCATED);
    let mut rest = ExactSum::ZERO;
    let cut = some.split_off(some.len().min(OWNERS_SHOWN));
    cut.iter().for_each(|(_, sum)| rest.merge(sum));
    let more = format!("and {} more (--json lists all)", cut.len());
    if !cut.is_empty() {
        some.push((&more, rest));
    }
    some.extend(nobody);
    some.push(("= the bill", total));
    let sums: Vec<ExactSum> = some.iter().map(|(_, sum)| *sum).collect();
    let row = |((owner, sum), shown): (&(&str, ExactSum), String)| {
        vec![(*owner).to_owned(), shown, percent(sum, &total)]
    };
    let rows: Vec<Vec<String>> = some.iter().zip(decimals(&sums)).map(row).collect();
    table(&["owner", code, "share"], 1, &rows)
}

/// Sums with as many decimals each, so that people can add them up.
fn decimals(sums: &[ExactSum]) -> Vec<String> {
    let texts: Vec<String> = sums.iter().map(ToString::to_string).collect();
    let places = |text: &String| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let most = texts.iter().map(places).max().unwrap_or_default();
    let filled = |text: String| {
        let zeros = "0".repeat(most - places(&text));
        let point = if places(&text) == 0 && most > 0 { "." } else { "" };
        format!("{text}{point}{zeros}")
    };
    texts.into_iter().map(filled).collect()
}

/// What must add up.
struct Proof {
    billed: ExactSum,
    allocated: ExactSum,
    unallocated: ExactSum,
    quarantined: ExactSum,
    difference: ExactSum,
}

/// Of the cost that is shared, quarantined records are known; of others, only the lines.
fn proof(money: &Money, cost: Measure, shared: Measure) -> Proof {
    if cost == shared {
        return Proof {
            billed: money.came(),
            allocated: money.allocated.amount,
            unallocated: money.nobodys().amount,
            quarantined: money.quarantined,
            difference: money.difference(),
        };
    }
    Proof {
        billed: *money.received.measure(cost),
        allocated: *money.allocated.measure(cost),
        unallocated: *money.nobodys().measure(cost),
        quarantined: ExactSum::ZERO,
        difference: money.measure_difference(cost),
    }
}

/// For programs.
///
/// # Errors
/// Never for what is tried here.
pub fn document(outcome: &Outcome) -> Result<String> {
    let scanned = &outcome.scanned;
    let key = |key: &Ranked| {
        let (field, coverage) = (key.field.to_string(), key.coverage.to_string());
        json!({"field": field, "coverage_percent": coverage, "values": key.values})
    };
    let file = |file: &super::scan::BillFile| json!({"name": file.name, "focus": file.version, "format": file.format, "lines": file.lines});
    let currency = |(code, money): (&String, &Money)| {
        let reasons: Map<String, Value> = money
            .unallocated
            .iter()
            .map(|(reason, sums)| (reason.clone(), json!(sums.amount)))
            .collect();
        let proofs = proved(scanned).into_iter().map(|cost| {
            let p = proof(money, cost, scanned.cost);
            let proof = json!({"billed": p.billed, "allocated": p.allocated, "unallocated": p.unallocated,
                "quarantined": p.quarantined, "difference": p.difference});
            (cost.column().to_owned(), proof)
        });
        let proofs: Map<String, Value> = proofs.collect();
        let value =
            json!({"owners": outcome.owners.get(code), "unallocated": reasons, "proof": proofs});
        (code.clone(), value)
    };
    let currencies: Map<String, Value> = outcome.money.iter().map(currency).collect();
    let document = json!({
        "files": scanned.files.iter().map(file).collect::<Vec<_>>(),
        "cost": scanned.cost.column(),
        "by": outcome.by.as_ref().map(key),
        "keys": outcome.keys.iter().map(key).collect::<Vec<_>>(),
        "currencies": currencies,
        "warnings": outcome.warnings.iter().map(|(text, count)| json!({"text": text, "count": count})).collect::<Vec<_>>(),
        "written": outcome.written,
    });
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}
