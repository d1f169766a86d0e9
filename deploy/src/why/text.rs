//! A bridge for people, for documents and for programs. Pure.

use std::cmp::Reverse;

use anyhow::Result;
use proto::money::ExactSum;
use serde_json::{Map, Value, json};

use super::{Explained, Why};
use crate::domain::bridge::{Effect, Origin, Sums};
use crate::plan::markdown_name;
use crate::summary::table;

/// Parts of a currency that people are shown; programs get all.
const SHOWN_MAX: usize = 15;

const BRIDGE: [&str; 3] = ["currency", "", "amount"];
const PARTS: [&str; 7] = ["currency", "effect", "of", "resource", "identity", "rule", "amount"];

type Part<'a> = (&'a (Origin, Effect), &'a ExactSum);

/// What it is about, in one line.
fn title(why: &Why, explained: &Explained, name: impl Fn(&str) -> String) -> String {
    let [before, after] = explained.dates;
    let owner = why.owner.as_deref().map_or_else(|| "everybody".to_owned(), &name);
    let source =
        why.source.as_ref().map(|id| format!("/{}", name(id.as_str()))).unwrap_or_default();
    let (tenant, from, vs) = (name(explained.tenant.as_str()), &why.from, &why.vs);
    format!("{tenant}{source}: {owner}, {from} ({after} dates) against {vs} ({before} dates)")
}

/// From what was paid before to what is paid now, an effect each.
fn bridge(why: &Why, explained: &Explained) -> Vec<Vec<String>> {
    let row = |code: &str, what: &str, amount: &ExactSum| {
        vec![code.to_owned(), what.to_owned(), amount.to_string()]
    };
    let one = |(code, sums): (&String, &Sums)| {
        let mut rows = vec![row(code, &why.vs.to_string(), &sums.before)];
        let effects = Effect::ALL.iter().zip(&sums.effects).filter(|(_, amount)| !amount.is_zero());
        rows.extend(effects.map(|(effect, amount)| row(code, effect.words(), amount)));
        rows.push(row(code, &format!("= {}", why.from), &sums.after));
        rows
    };
    explained.bridge.sums.iter().flat_map(one).collect()
}

/// By currency, the largest first.
fn parts(explained: &Explained) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = explained.bridge.parts.iter().collect();
    parts.sort_by_cached_key(|part| {
        let ((origin, effect), amount) = *part;
        (&origin.place.currency, Reverse(amount.size()), *effect, origin)
    });
    parts
}

fn cells(((origin, effect), amount): &Part<'_>) -> Vec<String> {
    let Origin { place, identity, rules } = origin;
    let [before, after] = rules.each_ref().map(|rules| {
        let named: Vec<&str> =
            rules.iter().map(String::as_str).filter(|rule| !rule.is_empty()).collect();
        named.join(", ")
    });
    let rule = match (before.is_empty(), after.is_empty()) {
        (true, _) => after,
        (_, true) => before,
        (false, false) if before == after => before,
        (false, false) => format!("{before} -> {after}"),
    };
    let named = [&place.source, &place.product, &place.category]
        .into_iter()
        .filter(|name| !name.is_empty());
    let of = named.map(String::as_str).collect::<Vec<_>>().join(" / ");
    let texts = [place.currency.clone(), effect.words().to_owned(), of, place.resource.clone()];
    let rest = [identity.clone(), rule, amount.to_string()];
    texts.into_iter().chain(rest).collect()
}

fn shown(explained: &Explained) -> (Vec<Vec<String>>, usize) {
    let parts = parts(explained);
    let of_currency = parts.chunk_by(|a, b| a.0.0.place.currency == b.0.0.place.currency);
    let shown: Vec<_> =
        of_currency.flat_map(|parts| parts.iter().take(SHOWN_MAX)).map(cells).collect();
    let more = parts.len() - shown.len();
    (shown, more)
}

/// The proof.
fn proof(code: &str, sums: &Sums) -> String {
    let (all, explained) = (sums.difference(), sums.explained());
    format!(
        "{code}: difference {all}, Σ effects {explained}, unexplained {}",
        all.difference(&explained)
    )
}

/// For a terminal.
#[must_use]
pub fn text(why: &Why, all: &[Explained]) -> String {
    let one = |explained: &Explained| {
        let mut text = format!("{}\n", title(why, explained, str::to_owned));
        for note in &explained.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        if explained.bridge.sums.is_empty() {
            return format!("{text}nothing was paid in either period\n");
        }
        text.push_str(&format!("\n{}\n", table(&BRIDGE, 2, &bridge(why, explained))));
        for (code, sums) in &explained.bridge.sums {
            text.push_str(&format!("{}\n", proof(code, sums)));
        }
        let (shown, more) = shown(explained);
        if !shown.is_empty() {
            text.push_str(&format!("\n{}", table(&PARTS, 6, &shown)));
        }
        if more > 0 {
            text.push_str(&format!("and {more} more: --json lists all\n"));
        }
        text
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// For a document.
#[must_use]
pub fn markdown(why: &Why, all: &[Explained]) -> String {
    let rows = |header: &[&str], rows: Vec<Vec<String>>| {
        let mut text =
            format!("\n| {} |\n|{}---:|\n", header.join(" | "), "---|".repeat(header.len() - 1));
        for cells in rows {
            let last = cells.len() - 1;
            let safe = |(at, cell): (usize, &String)| match at == last || cell.is_empty() {
                true => cell.clone(),
                false => markdown_name(cell),
            };
            let cells: Vec<String> = cells.iter().enumerate().map(safe).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text
    };
    let one = |explained: &Explained| {
        let mut text = format!("### Apportion why: {}\n", title(why, explained, markdown_name));
        for note in &explained.notes {
            text.push_str(&format!("\n> {}\n", markdown_name(note)));
        }
        if explained.bridge.sums.is_empty() {
            return format!("{text}\nNothing was paid in either period.\n");
        }
        text.push_str(&rows(&BRIDGE, bridge(why, explained)));
        for (code, sums) in &explained.bridge.sums {
            text.push_str(&format!("\n{}\n", proof(code, sums)));
        }
        let (shown, more) = shown(explained);
        if !shown.is_empty() {
            text.push_str(&rows(&PARTS, shown));
        }
        if more > 0 {
            text.push_str(&format!("\nand {more} more\n"));
        }
        text
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// One document for all tenants.
///
/// # Errors
/// Never for what is explained here.
pub fn document(why: &Why, all: &[Explained]) -> Result<String> {
    let period = |period: &super::Period, dates: usize| json!({"from": period.from, "to": period.to, "dates": dates});
    let sums = |(code, sums): (&String, &Sums)| {
        let effects = Effect::ALL.iter().zip(&sums.effects).filter(|(_, amount)| !amount.is_zero());
        let effects: Vec<Value> =
            effects.map(|(effect, amount)| json!({"effect": effect, "amount": amount})).collect();
        let difference = sums.difference();
        let value = json!({"before": sums.before, "after": sums.after, "difference": difference, "effects": effects,
            "unexplained": difference.difference(&sums.explained())});
        (code.clone(), value)
    };
    let part = |((origin, effect), amount): Part<'_>| {
        let Origin { place, identity, rules: [before, after] } = origin;
        json!({"currency": place.currency, "effect": effect, "source": place.source, "product": place.product,
            "category": place.category, "resource": place.resource, "identity": identity, "rules_before": before,
            "rules_after": after, "amount": amount})
    };
    let tenant = |explained: &Explained| {
        let [before, after] = explained.dates;
        let currencies: Map<String, Value> = explained.bridge.sums.iter().map(sums).collect();
        let parts: Vec<Value> = parts(explained).into_iter().map(part).collect();
        json!({"tenant": explained.tenant, "owner": why.owner, "period": period(&why.from, after),
            "vs": period(&why.vs, before), "notes": explained.notes, "currencies": currencies, "parts": parts})
    };
    let tenants: Vec<Value> = all.iter().map(tenant).collect();
    Ok(format!("{}\n", serde_json::to_string(&json!({ "tenants": tenants }))?))
}
