//! What is not allocated, for people and for programs. Pure.

use anyhow::Result;
use proto::ids::TenantId;
use serde_json::{Value, json};

use super::Suggested;
use super::evidence::Evidence;
use super::suggest::Change;
use crate::summary::table;

/// For a terminal.
#[must_use]
pub fn text(
    tenant: &TenantId,
    evidence: &Evidence,
    suggested: &[Suggested],
    with_files: bool,
) -> String {
    if evidence.reasons.is_empty() {
        return format!("{tenant}: everything is allocated\n");
    }
    let row = |((currency, reason), sum): (&(String, String), &_)| {
        vec![reason.clone(), currency.clone(), format!("{sum}")]
    };
    let reasons: Vec<_> = evidence.reasons.iter().map(row).collect();
    let mut said = format!(
        "{tenant}\n\n{}",
        table(&["unallocated because", "currency", "amount"], 2, &reasons)
    );
    let large: Vec<Vec<String>> = evidence
        .largest
        .iter()
        .map(|line| {
            let reason = line.reason.split(':').next().unwrap_or_default();
            [&line.line[..12], &line.date, &line.service, reason, &line.currency]
                .map(str::to_owned)
                .into_iter()
                .chain([line.amount.to_string()])
                .collect()
        })
        .collect();
    let header = ["line", "date", "service", "because", "currency", "amount"];
    said.push_str(&format!(
        "\nthe largest lines (`apportion explain` tells more)\n{}",
        table(&header, 5, &large)
    ));
    for one in suggested {
        said.push_str(&format!("\n{}: moves {}\n", one.suggestion.because, moves(one)));
        for (owner, currency, delta) in &one.owners {
            said.push_str(&format!("  {owner} {delta} {currency}\n"));
        }
        said.push_str(&one.diff);
    }
    if !with_files {
        said.push_str("\n--config DIR, the folder with your files, suggests changes and what each would move\n");
    } else if suggested.is_empty() {
        said.push_str("\nno change suggests itself\n");
    }
    said
}

fn moves(one: &Suggested) -> String {
    let sums = one.moves.iter().map(|(currency, sum)| format!("{sum} {currency}"));
    sums.collect::<Vec<_>>().join(", ")
}

/// One document.
///
/// # Errors
/// Never for what is found here.
pub fn document(tenant: &TenantId, evidence: &Evidence, suggested: &[Suggested]) -> Result<String> {
    let reasons: Vec<Value> = evidence
        .reasons
        .iter()
        .map(|((currency, reason), sum)| {
            json!({"reason": reason, "currency": currency, "amount": sum.to_string()})
        })
        .collect();
    let suggestion = |one: &Suggested| {
        let change = match &one.suggestion.change {
            Change::Alias { value, owner } => json!({"alias": value, "owner": owner}),
            Change::Row { table, key, owner } => {
                json!({"table": table, "key": key, "owner": owner})
            }
        };
        let moves: Vec<Value> = one
            .moves
            .iter()
            .map(|(currency, sum)| json!({"currency": currency, "amount": sum.to_string()}))
            .collect();
        let owners: Vec<Value> = one
            .owners
            .iter()
            .map(|(owner, currency, delta)| {
                json!({"owner": owner, "currency": currency, "delta": delta.to_string()})
            })
            .collect();
        json!({"change": change, "because": one.suggestion.because, "moves": moves, "owners": owners, "diff": one.diff})
    };
    let document = json!({"tenant": tenant, "reasons": reasons, "largest": evidence.largest,
        "suggestions": suggested.iter().map(suggestion).collect::<Vec<_>>()});
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}
