//! What a replay came to: the difference between what was visible before it and what it made visible.

use anyhow::{Context, Result};
use postgres::Transaction;
use proto::ids::TenantId;

use crate::plan::{self, Difference, Planned};
use crate::store::{self, PlannedUnit, Replayed, RunUnit, VisibleUnit, WholeRun};

/// Dates that are named in a note.
const NAMED_MAX: usize = 5;

/// The difference, as one JSON document, as Markdown, or else for a terminal.
///
/// # Errors
/// When the database cannot be read.
pub fn told(view: &mut Transaction<'_>, whole: &WholeRun, how: (bool, bool)) -> Result<String> {
    plan::told(&[difference(view, whole)?], how)
}

fn difference(view: &mut Transaction<'_>, (run, _, dates): &WholeRun) -> Result<Planned> {
    let tenant = run.tenant.as_deref().context("the run is of no tenant")?;
    let tenant = TenantId::parse(tenant).context("a stored tenant id is none")?;
    let replayed = store::replayed(view, &tenant, &run.run)?;
    let (mut difference, mut units) = (Difference::default(), Vec::new());
    let mut count = |unit: &VisibleUnit, before: bool| -> Result<()> {
        for (key, sum) in store::unit_sums(view, unit)? {
            let moved = difference.of(key)?;
            let side = if before { &mut moved.before } else { &mut moved.after };
            side.merge(&sum);
        }
        Ok(())
    };
    for Replayed { after, after_is_kept, before, before_is_gone } in &replayed {
        units.push(PlannedUnit {
            source: after.source.to_string(),
            date: after.date.to_string(),
            lines_hash: after.lines_hash,
            rows_hash: after.rows_hash,
            rows: u64::try_from(after.rows).unwrap_or_default(),
        });
        if !after_is_kept || *before_is_gone {
            continue;
        }
        count(after, false)?;
        before.iter().try_for_each(|before| count(before, true))?;
    }
    let digest = plan::digest(&units);
    let (visible, notes) = (dates.len(), notes(run.run.as_str(), dates, &replayed));
    Ok(Planned { tenant, visible, units, notes, difference, digest, done: true })
}

fn notes(run: &str, dates: &[RunUnit], replayed: &[Replayed]) -> Vec<String> {
    let named = |what: &str, dates: Vec<String>| {
        let all = dates.len();
        let more = all.saturating_sub(NAMED_MAX);
        let some = dates.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (all > 0).then(|| format!("{what}: {some}{more}"))
    };
    let date = |unit: &RunUnit| format!("{} {}", unit.source, unit.date);
    let restored = dates.iter().filter(|unit| unit.restored).map(date).collect();
    let failed = |unit: &RunUnit| Some(format!("{}: {}", date(unit), unit.error.as_ref()?));
    let gone = |unit: &&Replayed| !unit.after_is_kept || unit.before_is_gone;
    let gone = replayed
        .iter()
        .filter(gone)
        .map(|Replayed { after, .. }| format!("{} {}", after.source, after.date));
    let restored_from = "the stream holds these no more, the archive of lines served";
    let gone_by = "rows of these have been deleted since, and are not in the difference";
    let restored = named(restored_from, restored);
    let open = dates.iter().filter(|unit| !unit.settled).count();
    let open = (open > 0).then(|| format!("{open} dates of {run} are not done yet"));
    let mut notes: Vec<String> =
        restored.into_iter().chain(named(gone_by, gone.collect())).collect();
    notes.extend(open);
    notes.extend(dates.iter().filter_map(failed));
    notes
}
