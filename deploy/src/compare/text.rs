//! A comparison for people and for programs. Pure.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::money::ExactSum;
use serde_json::{Value, json};

use super::judge::{Cause, Pair};

/// Rows of a currency that people are shown; programs get all.
const SHOWN_MAX: usize = 40;

/// Theirs, ours and the difference per currency.
fn totals(pairs: &[Pair]) -> BTreeMap<&str, [ExactSum; 3]> {
    let mut totals: BTreeMap<&str, [ExactSum; 3]> = BTreeMap::new();
    for pair in pairs {
        let of_currency = totals.entry(&pair.key.2).or_default();
        let sums = [&pair.theirs, &pair.ours, &pair.difference];
        of_currency.iter_mut().zip(sums).for_each(|(total, sum)| total.merge(sum));
    }
    totals
}

/// What differs, and the totals.
#[must_use]
pub fn table(pairs: &[Pair]) -> String {
    let different: Vec<&Pair> = pairs.iter().filter(|p| p.cause != Cause::Equal).collect();
    let row = |pair: &&Pair| {
        let (owner, product, currency) = &pair.key;
        let texts = [owner, product, pair.cause.words(), currency].map(ToString::to_string);
        let sums = [&pair.theirs, &pair.ours, &pair.difference].map(ToString::to_string);
        texts.into_iter().chain(sums).collect::<Vec<_>>()
    };
    let of_currency = different.chunk_by(|a, b| a.key.2 == b.key.2);
    let rows: Vec<_> =
        of_currency.flat_map(|pairs| pairs.iter().take(SHOWN_MAX)).map(row).collect();
    let equal = pairs.len() - different.len();
    let mut text = String::new();
    if !rows.is_empty() {
        let header = ["owner", "product", "cause", "currency", "theirs", "ours", "difference"];
        text.push_str(&crate::summary::table(&header, 4, &rows));
        if different.len() > rows.len() {
            text.push_str(&format!(
                "and {} more: --json lists all\n",
                different.len() - rows.len()
            ));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "{} pairs of owner and product: {equal} equal, {} differ\n",
        pairs.len(),
        different.len()
    ));
    for (currency, [theirs, ours, difference]) in totals(pairs) {
        text.push_str(&format!(
            "{currency}: theirs {theirs}, ours {ours}, difference {difference}\n"
        ));
    }
    text
}

/// One document of all pairs.
///
/// # Errors
/// Never for what is compared here.
pub fn document(pairs: &[Pair]) -> Result<String> {
    let one = |pair: &Pair| {
        let (owner, product, currency) = &pair.key;
        json!({"owner": owner, "product": product, "currency": currency, "cause": pair.cause,
            "theirs": pair.theirs.to_string(), "ours": pair.ours.to_string(),
            "difference": pair.difference.to_string()})
    };
    let total = |(currency, [theirs, ours, difference]): (&str, [ExactSum; 3])| {
        let sums = json!({"theirs": theirs.to_string(), "ours": ours.to_string(), "difference": difference.to_string()});
        (currency.to_owned(), sums)
    };
    let totals: serde_json::Map<String, Value> = totals(pairs).into_iter().map(total).collect();
    let pairs: Vec<Value> = pairs.iter().map(one).collect();
    Ok(format!("{}\n", serde_json::to_string(&json!({"pairs": pairs, "totals": totals}))?))
}
