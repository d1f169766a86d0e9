//! Every gather is a run, with its dates and steps; what a person asks for leaves the source's own gathers alone.

use proto::ids::Attempt;
use proto::report::{Failed, FailureClass, Report};

use crate::desk::{Desk, lines, rows};
use crate::{DAY, allocating, committed, done, gather, gathered, published};

const OPEN: &str = "select count(*) from pipeline_runs where kind = 'gather' and ended_at is null";
const DONE: &str = "select count(*) from pipeline_runs where kind = 'gather' and status = 'done'";

async fn ask(desk: &Desk) {
    let sql = "insert into pipeline_runs (run_id, trigger, kind, status, tenant, source, from_date, to_date)
               values ('mine', 'manual', 'gather', 'requested', 'acme', 'cloud', '2026-05-01', '2026-05-01')";
    assert_eq!(desk.execute(sql).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gather_is_a_run_until_its_dates_are_visible_and_emitted() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    desk.report(generation, Attempt(1), &published(generation, rows(generation, Attempt(1), "10")))
        .await;
    desk.apply().await;
    desk.flip(DAY, generation).await;
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    desk.sweep().await;
    assert_eq!(desk.number(OPEN).await, 1, "the emission is still out");
    // As after a change of the configuration.
    desk.execute("delete from emitters").await;
    desk.execute("update run_units set settled_at = now()").await;
    desk.sweep().await;
    assert_eq!((desk.number(OPEN).await, desk.number(DONE).await), (0, 1));
    let steps =
        "select count(*) from run_steps where units = 1 and items = 1 and ended_at is not null";
    assert_eq!(desk.number(steps).await, 3, "gather, allocate, commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gather_that_fails_stays_one_run() {
    let mut desk = Desk::start().await;
    for attempt in 1..=3 {
        desk.execute("update source_state set next_attempt_at = now()").await;
        desk.sweep().await;
        let (generation, _) = desk.task("gather").await;
        let (class, step) = (FailureClass::Transient, "gather".to_owned());
        let failed = Failed { step, units: vec![], class, reason: "it is away".into() };
        desk.report(generation, Attempt(attempt), &Report::Failed(failed)).await;
        desk.apply().await;
        let noted =
            "select count(*) from pipeline_runs where kind = 'gather' and error = 'it is away'";
        assert_eq!((desk.number(OPEN).await, desk.number(noted).await), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_asks_for_leaves_the_next_gather_as_it_was() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(1), "10").await;
    desk.execute("update source_state set cursor = 'x', covered_from = '2026-04-01'").await;
    ask(&desk).await;
    desk.sweep().await;
    let (again, proto::task::Task::Gather(task)) = desk.task_body("gather").await else {
        panic!("a gather task")
    };
    let date = DAY.parse().unwrap();
    assert_eq!((task.from, task.until, task.rehash), (Some(date), Some(date), true));
    let manifest = lines(again, Attempt(2), "11");
    desk.report(again, Attempt(2), &gathered(&manifest)).await;
    desk.report(again, Attempt(2), &done(&[(&manifest, false)])).await;
    desk.apply().await;
    assert_eq!(desk.lines_in_force(DAY).await.0, again);
    let kept =
        "select count(*) from source_state where cursor = 'x' and covered_from = '2026-04-01'
                and gather_generation is null and settled_run = 'run'";
    assert_eq!(desk.number(kept).await, 1);
    let waits = "select count(*) from run_units where settled_at is null";
    assert_eq!(desk.number(waits).await, 2, "both gathers brought the date");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_served_fails_and_the_source_goes_on() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(1), "10").await;
    ask(&desk).await;
    desk.sweep().await;
    let (again, _) = desk.task("gather").await;
    let (class, step) = (FailureClass::Data, "gather".to_owned());
    let failed = Failed { step, units: vec![], class, reason: "no such file".into() };
    desk.report(again, Attempt(2), &Report::Failed(failed)).await;
    desk.apply().await;
    let mine = "select count(*) from pipeline_runs where run_id = 'mine' and status = 'failed' and error = 'no such file'";
    assert_eq!(desk.number(mine).await, 1);
    let well = "select count(*) from source_state where failed_run is null and last_error is null";
    assert_eq!(desk.number(well).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_are_forgotten_and_those_that_changed_nothing_soon() {
    let mut desk = Desk::start().await;
    for (run, trigger, units, days) in [
        ("old", "manual", 1, 401),
        ("idle", "schedule", 0, 8),
        ("new", "schedule", 0, 6),
        ("busy", "schedule", 1, 8),
        ("mine", "manual", 0, 8),
    ] {
        let sql = format!(
            "insert into pipeline_runs (run_id, trigger, kind, status, tenant, source, units, started_at, ended_at)
             values ('{run}', '{trigger}', 'gather', 'done', 'acme', 'cloud', {units},
               now() - interval '{days} days', now() - interval '{days} days')"
        );
        assert_eq!(desk.execute(&sql).await, 1);
    }
    desk.sweep().await;
    let kept = "select count(*) from pipeline_runs where run_id in ('new', 'busy', 'mine')";
    assert_eq!(desk.number(kept).await, 3);
    let gone = "select count(*) from pipeline_runs where run_id in ('old', 'idle')";
    assert_eq!(desk.number(gone).await, 0);
}
