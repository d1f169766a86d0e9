//! What fails does so alone, and for no longer than its cause lasts.

use proto::ids::{Attempt, Generation};
use proto::manifest::Manifest;
use proto::report::{
    Failed, FailureClass, GatherDone, GatheredDate, GatheredHash, Published, Report,
};
use proto::time::UnitDate;

use crate::desk::{Desk, lines, rows};
use crate::{DAY, committed, done};

const OTHER: &str = "2026-05-02";

fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

/// A gather of both dates, whose lines cost so much.
async fn gather(desk: &mut Desk, unchanged: bool) {
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let made: Vec<(UnitDate, Manifest)> = [(DAY, "10"), (OTHER, "20")]
        .map(|(date, cost)| (day(date), lines(generation, Attempt(1), cost)))
        .into();
    for (date, lines) in made.iter().filter(|_| !unchanged) {
        let (date, received) = (*date, lines.totals.clone());
        let gathered = GatheredDate { date, lines: lines.clone(), received };
        desk.report(generation, Attempt(1), &Report::GatheredDate(gathered)).await;
    }
    let Report::GatherDone(end) = done(&[]) else { panic!("the end of a gather") };
    let hash = |(date, lines): &(UnitDate, Manifest)| GatheredHash {
        date: *date,
        hash: lines.hash,
        unchanged,
    };
    let dates = made.iter().map(hash).collect();
    let end = GatherDone { covered_to: day(OTHER), dates, ..end };
    desk.report(generation, Attempt(1), &Report::GatherDone(end)).await;
    desk.apply().await;
}

fn refused(date: &str, generation: Generation) -> Report {
    Report::Failed(Failed {
        step: "allocate".into(),
        units: vec![(day(date), generation)],
        class: FailureClass::Data,
        reason: "no sense".into(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_17_4_a_date_that_always_fails_is_set_aside_and_stops_no_other() {
    let mut desk = Desk::start().await;
    gather(&mut desk, false).await;
    desk.sweep().await;
    let (_, other) = desk.unit(OTHER).await;
    for attempt in 1..=3 {
        let (state, generation) = desk.unit(DAY).await;
        assert_eq!(state, "allocating", "attempt {attempt}");
        let (task, _) = desk.task("allocate").await;
        desk.report(task, Attempt(1), &refused(DAY, generation)).await;
        desk.apply().await;
        if attempt == 1 {
            // The other one of the same task goes on meanwhile.
            let published = Published {
                date: day(OTHER),
                generation: other,
                manifest: rows(other, Attempt(1), "20"),
                warnings: vec![],
                lacking: None,
                drivers: vec![],
                identities: vec![],
            };
            desk.report(task, Attempt(1), &Report::Allocated(vec![published])).await;
            desk.apply().await;
            assert_eq!(desk.flip(OTHER, other).await, 1);
            let Report::Committed(mut units) = committed(other, true) else { panic!("a commit") };
            units[0].date = day(OTHER);
            desk.report(other, Attempt(1), &Report::Committed(units)).await;
            desk.apply().await;
            assert_eq!(desk.unit(OTHER).await.0, "visible");
        }
        // The same bill is gathered again in between: that is no fresh start.
        gather(&mut desk, true).await;
        desk.execute("update pipeline_state set next_attempt_at = now()").await;
        desk.sweep().await;
    }
    assert_eq!(desk.unit(DAY).await.0, "quarantined");
    assert_eq!((desk.tasks("allocate").await, desk.unit(OTHER).await.0.as_str()), (0, "visible"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_gathered_recovers_by_itself() {
    let mut desk = Desk::start().await;
    gather(&mut desk, false).await;
    desk.leader.every(Some(std::time::Duration::from_secs(900)));
    for attempt in 1..=12 {
        desk.execute("update source_state set settled_run = null, next_attempt_at = now()").await;
        desk.sweep().await;
        let (generation, _) = desk.task("gather").await;
        let failed = Failed {
            step: "gather".into(),
            units: vec![],
            class: FailureClass::Data,
            reason: "the key is refused".into(),
        };
        desk.report(generation, Attempt(1), &Report::Failed(failed)).await;
        desk.apply().await;
        let waits = "select count(*) from source_state where next_attempt_at > now()
            and next_attempt_at < now() + interval '20 minutes' and last_error like '%refused%'";
        assert_eq!(desk.number(waits).await, 1, "attempt {attempt} is not the last one");
    }
    // The key is let in again: nobody has to say so.
    desk.execute("update source_state set next_attempt_at = now()").await;
    gather(&mut desk, true).await;
    let well = "select count(*) from source_state where attempts = 0 and last_error is null";
    assert_eq!(desk.number(well).await, 1);
}
