//! Runs, for people and programs. Pure.

use anyhow::Result;
use serde_json::json;

use crate::store::{Run, RunStep, WholeRun};
use crate::summary::table;

/// Dates that people are shown of a run; programs get all.
const SHOWN_MAX: usize = 40;

fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

/// What it is about: tenant, source and dates, as far as they are named.
fn about(run: &Run) -> String {
    let mut parts = Vec::new();
    parts.extend(run.tenant.clone());
    parts.extend(run.source.clone());
    let mut text = if parts.is_empty() { "all".to_owned() } else { parts.join("/") };
    if let (Some(from), Some(to)) = (&run.from, &run.to) {
        text.push_str(&format!(" {from}..{to}"));
    }
    text
}

/// The list for a terminal.
#[must_use]
pub fn listed(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "there are no runs yet\n".to_owned();
    }
    let header =
        ["run", "kind", "trigger", "of", "by", "started", "ended", "status", "dates", "failed"];
    let row = |run: &Run| {
        let ended = or_dash(run.ended_at.as_ref());
        let texts = [run.run.clone(), run.kind.clone(), run.trigger.clone(), about(run)];
        let rest = [or_dash(run.by.as_ref()), run.started_at.clone(), ended, run.status.clone()];
        let numbers = [run.units.to_string(), run.failed.to_string()];
        texts.into_iter().chain(rest).chain(numbers).collect()
    };
    table(&header, 8, &runs.iter().map(row).collect::<Vec<_>>())
}

/// The list for programs.
///
/// # Errors
/// Never for what is listed here.
pub fn listed_json(runs: &[Run]) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string(&json!({ "runs": runs }))?))
}

/// One run for a terminal.
#[must_use]
pub fn shown((run, steps, units): &WholeRun) -> String {
    let mut text = format!("run {}: {} of {}, {}\n", run.run, run.kind, about(run), run.status);
    let by = run.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    text.push_str(&format!("{}{by}; started {}", run.trigger, run.started_at));
    if let Some(ended) = &run.ended_at {
        text.push_str(&format!(", ended {ended}"));
    }
    if let Some(config) = &run.config {
        text.push_str(&format!("; configuration {config}"));
    }
    text.push('\n');
    if let Some(error) = &run.error {
        text.push_str(&format!("error: {error}\n"));
    }
    if !steps.is_empty() {
        let row = |step: &RunStep| {
            let took = format!("{}.{:03} s", step.milliseconds / 1_000, step.milliseconds % 1_000);
            let workers = step.workers.join(", ");
            vec![step.step.clone(), workers, step.units.to_string(), step.items.to_string(), took]
        };
        let rows: Vec<_> = steps.iter().map(row).collect();
        text.push_str(&format!("\n{}", table(&["step", "by", "dates", "items", "took"], 2, &rows)));
    }
    let settled = units.iter().filter(|unit| unit.settled).count();
    text.push_str(&format!("\n{settled} of {} dates are done\n", units.len()));
    for unit in units.iter().take(SHOWN_MAX) {
        let state = match (&unit.error, unit.generation, unit.settled) {
            (Some(error), ..) => error.clone(),
            (None, Some(generation), true) => format!("generation {} -> {generation}", unit.before),
            (None, Some(generation), false) => format!("visible as {generation}, not emitted yet"),
            (None, None, _) => "under way".to_owned(),
        };
        text.push_str(&format!("  {} {}: {state}\n", unit.source, unit.date));
    }
    if units.len() > SHOWN_MAX {
        text.push_str(&format!("  and {} more: --json lists all\n", units.len() - SHOWN_MAX));
    }
    text
}

/// One run for programs.
///
/// # Errors
/// Never for what is shown here.
pub fn shown_json((run, steps, units): &WholeRun) -> Result<String> {
    let mut document = serde_json::to_value(run)?;
    document["steps"] = json!(steps);
    document["dates"] = json!(units);
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RunUnit;

    #[test]
    fn a_run_is_told_with_its_steps_and_dates() {
        let run = Run {
            run: "gather-7".into(),
            kind: "gather".into(),
            trigger: "manual".into(),
            status: "failed".into(),
            tenant: Some("acme".into()),
            source: Some("cloud".into()),
            from: Some("2026-05-01".into()),
            to: Some("2026-05-02".into()),
            by: Some("kim".into()),
            started_at: "2026-06-01T00:00:00Z".into(),
            ..Run::default()
        };
        let unit = |date: &str, generation, error: Option<&str>| RunUnit {
            source: "cloud".into(),
            date: date.into(),
            before: 3,
            generation,
            settled: true,
            restored: false,
            error: error.map(str::to_owned),
        };
        let steps = vec![RunStep {
            step: "gather".into(),
            milliseconds: 1_234,
            units: 2,
            items: 90,
            workers: vec!["gatherer-1".into(), "gatherer-2".into()],
        }];
        let units = vec![unit("2026-05-01", Some(9), None), unit("2026-05-02", None, Some("bad"))];
        let listing = listed(std::slice::from_ref(&run));
        assert!(listing.contains("acme/cloud 2026-05-01..2026-05-02"), "{listing}");
        let text = shown(&(run, steps, units));
        for part in [
            "manual by kim",
            "gatherer-1, gatherer-2",
            "1.234 s",
            "2 of 2 dates are done",
            "generation 3 -> 9",
            ": bad",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
