//! `status` for people. Pure.

use std::path::Path;

use super::look::{Breach, Change, DriverStatus, Problem, SourceStatus, Standing};
use crate::guard::text::populations;
use crate::summary::table;

/// Nothing runs and no database is known.
#[must_use]
pub fn nothing(data_dir: &Path, json: bool) -> String {
    if json {
        return "{\"pid\":null,\"sources\":[]}\n".to_owned();
    }
    format!(
        "nothing runs over {}: start it with `apportion up --data-dir {0}`, or name another folder with --data-dir, or \
         a database with DATABASE_URL\n",
        data_dir.display()
    )
}

/// Where everything stands.
#[must_use]
pub fn standing(standing: &Standing) -> String {
    let mut text = match standing.pid {
        Some(pid) => format!("apportion runs (pid {pid})"),
        None => "no apportion of this data folder runs".to_owned(),
    };
    match &standing.leader {
        Some(holder) => text.push_str(&format!("; coordinator {holder} leads\n")),
        None => text.push_str("; no coordinator leads: nothing is calculated\n"),
    }
    if let Some(url) = &standing.database {
        text.push_str(&format!("psql '{url}'    (schema apportion)\n"));
    }
    if standing.sources.is_empty() {
        text.push_str("\nno source is in force yet\n");
        return text;
    }
    let leads = standing.leader.is_some();
    let rows: Vec<Vec<String>> = standing.sources.iter().map(|source| row(source, leads)).collect();
    let header = [
        "tenant",
        "source",
        "kind",
        "visible",
        "last gather",
        "next gather",
        "dates",
        "waiting",
        "quarantined",
        "last read",
        "bad records",
        "emissions due",
    ];
    text.push_str(&format!("\n{}", table(&header, 6, &rows)));
    let out: Vec<String> =
        standing.tasks.iter().map(|(step, count)| format!("{step} {count}")).collect();
    let out = if out.is_empty() { "none".to_owned() } else { out.join(", ") };
    text.push_str(&format!("\ntasks out: {out}\n"));
    if let Some(streams) = &standing.streams {
        let rows: Vec<Vec<String>> = streams
            .iter()
            .map(|s| vec![s.stream.clone(), s.messages.to_string(), s.bytes.to_string()])
            .collect();
        text.push_str(&format!("\n{}", table(&["stream", "messages", "bytes"], 1, &rows)));
    }
    if !standing.populations.is_empty() {
        text.push_str(&format!("\n{}", populations(&standing.populations)));
    }
    if !standing.changes.is_empty() {
        text.push_str(&format!("\n{}", changes(&standing.changes)));
    }
    for kept in &standing.retention {
        let from = kept
            .kept_from
            .as_deref()
            .map_or("all dates".to_owned(), |from| format!("dates from {from} on"));
        text.push_str(&format!("\n{} keeps {from}", kept.tenant));
        if let (Some(last), Some(at)) = (&kept.last_removed, &kept.removed_at) {
            text.push_str(&format!(
                "; {} up to {last} were removed, the last ones at {at}",
                kept.removed
            ));
        }
        text.push('\n');
    }
    for source in &standing.sources {
        let name = format!("{}/{}", source.tenant, source.source);
        if source.provisional > 0 {
            text.push_str(&format!(
                "\n{name}: {} dates are provisional, see the view `units`\n",
                source.provisional
            ));
        }
        if let Some(error) = &source.error {
            let since = source.failing_since.as_deref();
            let since = since.map_or(String::new(), |since| format!(" since {since}"));
            let next = source.next_gather_at.as_deref().filter(|_| leads && !source.gathering);
            let next = next.map_or(String::new(), |next| format!("; next try at {next}"));
            text.push_str(&format!(
                "\n{name} cannot be gathered{since} ({} attempts): {error}{next}\n",
                source.failed_gathers
            ));
        }
        for warning in &source.warnings {
            text.push_str(&format!(
                "\nwarning: {name}: {} ({} times)\n",
                warning.text, warning.count
            ));
        }
    }
    let of = |problem: &Problem| problem.text.clone();
    text.push_str(&list(
        "visible dates that are not stored as they were made: `apportion reconcile` looks again",
        standing.findings.iter().map(|finding| finding.text.clone()),
        standing.findings_count,
    ));
    text.push_str(&list(
        "dates that were not visible when they were to be, in the last seven days",
        standing.breaches.iter().map(breach),
        standing.breaches_count,
    ));
    text.push_str(&list(
        "dates that do not go on",
        standing.waiting.iter().map(of),
        standing.waiting_count,
    ));
    let driver = |of: &DriverStatus| {
        let DriverStatus { tenant, driver, from, until, state } = of;
        format!("{tenant}: {driver} from {from} until {until}: {state}")
    };
    text.push_str(&list(
        "drivers whose weights are not up to date",
        standing.drivers.iter().map(driver),
        standing.drivers_count,
    ));
    text.push_str(&list(
        "emissions that failed",
        standing.emissions_failed.iter().map(of),
        standing.emissions_failed_count,
    ));
    text.push_str(&list(
        "files that no emitter writes any more: remove them by hand, or they are added up with the others",
        standing.files_left.iter().map(|left| format!("{} ({}): {}", left.file, left.source, left.why)),
        standing.files_left_count,
    ));
    text
}

fn breach(breach: &Breach) -> String {
    let Breach { unit, due, visible, late_seconds } = breach;
    match visible {
        Some(at) => {
            let late = late_seconds.unwrap_or(0);
            let (hours, minutes) = (late / 3_600, late / 60 % 60);
            format!("{unit}: due {due}, visible {at}, {hours}:{minutes:02}:{:02} late", late % 60)
        }
        None => format!("{unit}: due {due}, not visible yet"),
    }
}

fn row(source: &SourceStatus, leads: bool) -> Vec<String> {
    let count =
        |states: &[&str]| states.iter().filter_map(|state| source.dates.get(*state)).sum::<i64>();
    let all: i64 = source.dates.values().sum();
    let visible = match &source.visible {
        Some((first, last)) => format!("{first} to {last}"),
        None => "nothing".to_owned(),
    };
    let gathered = match (&source.gathered_at, source.gathering) {
        (_, true) => "under way".to_owned(),
        (Some(at), false) => at.clone(),
        (None, false) => "never".to_owned(),
    };
    let next = match &source.next_gather_at {
        Some(at) if leads && !source.gathering => at.clone(),
        Some(_) | None => String::new(),
    };
    let quarantined = count(&["quarantined"]);
    let numbers = [
        all,
        all - count(&["visible"]) - quarantined,
        quarantined,
        source.records.unwrap_or(0),
        source.quarantined,
        source.emissions_due,
    ];
    [source.tenant.clone(), source.source.clone(), source.kind.clone(), visible, gathered, next]
        .into_iter()
        .chain(numbers.map(|number| number.to_string()))
        .collect()
}

fn changes(changes: &[Change]) -> String {
    let known = |total: &Option<String>| total.clone().unwrap_or_else(|| "?".to_owned());
    let row = |change: &Change| {
        vec![
            change.at.clone(),
            change.unit.clone(),
            change.cause.clone(),
            change.currency.clone().unwrap_or_default(),
            known(&change.old_total),
            known(&change.new_total),
            known(&change.difference),
        ]
    };
    let header =
        ["changed at", "date", "cause", "currency", "old total", "new total", "difference"];
    table(&header, 4, &changes.iter().map(row).collect::<Vec<_>>())
}

fn list(what: &str, problems: impl ExactSizeIterator<Item = String>, count: i64) -> String {
    if count == 0 {
        return String::new();
    }
    let rest = count - problems.len() as i64;
    let mut text = format!("\n{what} ({count}):\n");
    for problem in problems {
        text.push_str(&format!("  {problem}\n"));
    }
    if rest > 0 {
        text.push_str(&format!("  and {rest} more\n"));
    }
    text
}
