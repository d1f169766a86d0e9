//! An explanation for programs: everything, as one JSON document. Pure.

use allocator::domain::trace::{Outcome, Received, Step};
use anyhow::Result;
use proto::line::Measure;
use proto::money::Amount;
use serde_json::{Map, Value, json};

use super::{Explained, Listed};

/// One document.
///
/// # Errors
/// Never for what is explained here.
pub fn document(
    explained: &Explained,
    listed: Option<&Listed>,
    row: Option<&str>,
) -> Result<String> {
    let (unit, line) = (&explained.unit, &explained.line);
    let cells: Map<String, Value> =
        line.cells.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let costs: Map<String, Value> = Measure::ALL
        .iter()
        .map(|measure| (measure.word().to_owned(), json!(line.measure(*measure).to_string())))
        .collect();
    let text = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
    let [pricing, consumed] = line.quantities.map(text);
    let resolution = explained.resolution.as_ref().map(|resolution| {
        let usage: Vec<Value> = resolution
            .usage
            .iter()
            .map(|(metric, id, value)| json!({"metric": metric, "identity": id, "value": value.to_string()}))
            .collect();
        json!({"key": resolution.key, "from": resolution.window_start.to_string(), "to": resolution.window_end.to_string(),
            "resource_active": resolution.resource_active, "metrics_derived": resolution.metrics_derived,
            "tenant_period": resolution.tenant_period, "usage": usage,
            "failed_metrics": resolution.failed_metrics})
    });
    let rows: Vec<Value> = explained
        .keys()
        .iter()
        .zip(&explained.trace.rows)
        .map(|(key, (why, money))| json!({"key": key, "row": super::as_stored(why, money), "wanted": row == Some(key)}))
        .collect();
    let document = json!({
        "tenant": unit.tenant, "source": unit.source, "date": unit.date.to_string(),
        "line": {
            "id": line.id.to_string(), "charge_period_start": line.charge_start.to_string(),
            "charge_period_end": line.charge_end.to_string(), "billing_period": line.billing_period.to_string(),
            "currency": line.currency.to_string(), "amount": line.amount.to_string(),
            "cost": explained.cost.map(Measure::column), "costs": costs, "pricing_quantity": pricing,
            "consumed_quantity": consumed, "resolution_key": line.resolution_key, "cells": cells,
        },
        "resolution": resolution,
        "configuration": {"hash": unit.config.to_string(), "rules": unit.rules.to_string(), "commit": explained.commit,
            "place": explained.place},
        "rules": explained.trace.rules,
        "steps": explained.trace.steps.iter().map(step).collect::<Vec<_>>(),
        "failed": explained.trace.failed,
        "rows": rows,
        "stored": {"generation": unit.generation, "same": explained.same, "rows": explained.stored},
        "emitted": explained.emitted,
        "listed": listed.map(|listed| json!({"all": listed.all, "lines": listed.lines.iter().map(|(source, line)|
            json!({"source": source, "line": line})).collect::<Vec<_>>()})),
    });
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}

fn step(step: &Step) -> Value {
    let inputs: Vec<Value> =
        step.inputs.iter().map(|(field, value)| json!({"field": field, "value": value})).collect();
    let (outcome, received, why) = match &step.outcome {
        Outcome::Passed(why) => ("does_not_apply", Vec::new(), Some(why)),
        Outcome::Parts(parts) => ("parts", parts.iter().map(part).collect(), None),
        Outcome::Gave(parts) => ("applies", parts.iter().map(part).collect(), None),
    };
    json!({"depth": step.depth, "tier": step.tier, "part": step.part, "label": step.label, "inputs": inputs,
        "outcome": outcome, "why": why, "received": received})
}

fn part(to: &Received) -> Value {
    let working = &to.working;
    json!({"identity": to.identity, "owner": to.owner, "share": to.share.to_string(),
        "floor": working.floor.to_string(), "remainder": working.remainder.to_string(),
        "rounded_up": working.rounded_up, "part": working.part.to_string()})
}
