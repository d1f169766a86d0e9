//! Batches that have left the stream come back from the archive, and from the source where the archive does not help.

use proto::ids::{Attempt, Generation};
use proto::report::{Failed, FailureClass, Report, Restored};
use proto::subject::Stream;
use proto::task::Task;

use super::desk::{Desk, lines, rows};
use super::{DAY, allocating, committed, gather, published};

fn failed(step: &str, generation: Generation, class: FailureClass) -> Report {
    let units = vec![(DAY.parse().expect("a date"), generation)];
    Report::Failed(Failed { step: step.into(), units, class, reason: "batch 0 is gone".into() })
}

/// A visible date that is calculated again under other rules, whose lines are gone from the stream by then.
async fn gone(desk: &mut Desk) {
    let first = allocating(desk).await;
    desk.report(first, Attempt(1), &published(first, rows(first, Attempt(1), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, first).await, 1);
    desk.report(first, Attempt(1), &committed(first, true)).await;
    desk.apply().await;
    desk.calculate_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("allocate").await;
    desk.report(
        generation,
        Attempt(2),
        &failed("allocate", generation, FailureClass::InputMissing),
    )
    .await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visible_date_is_restored_without_asking_the_source() {
    let mut desk = Desk::start().await;
    gone(&mut desk).await;
    desk.sweep().await;
    let (generation, Task::Restore(task)) = desk.task_body("restore").await else {
        panic!("a restore task")
    };
    let (_, _, hash) = desk.lines_in_force(DAY).await;
    assert_eq!((task.units[0].lines, task.units[0].generation), (hash, generation));
    assert_eq!(desk.tasks("gather").await, 0);
    let manifest = lines(generation, Attempt(5), "10");
    let restored = |lines| {
        let date = DAY.parse().unwrap();
        Report::Restored(vec![Restored { date, generation, lines, resolutions: None }])
    };
    desk.report(generation, Attempt(5), &restored(manifest)).await;
    desk.apply().await;
    assert_eq!(desk.lines_in_force(DAY).await, (generation, Attempt(5), hash));
    desk.sweep().await;
    let (again, Task::Allocate(task)) = desk.task_body("allocate").await else {
        panic!("an allocate task")
    };
    assert_eq!(task.units[0].lines.attempt, Attempt(5));
    // A second attempt at the restore reports late.
    desk.report(generation, Attempt(6), &restored(lines(generation, Attempt(6), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("allocating".into(), again));
    assert_eq!(desk.lines_in_force(DAY).await.1, Attempt(5));
    // What was restored leaves the stream once it has served; what a gather brought stays.
    desk.put_batch(DAY, generation, Attempt(5)).await;
    desk.put_batch(DAY, Generation(1), Attempt(1)).await;
    desk.report(again, Attempt(1), &published(again, rows(again, Attempt(1), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, again).await, 1);
    desk.until_messages(Stream::Line, 2).await;
    desk.report(again, Attempt(1), &committed(again, true)).await;
    desk.apply().await;
    desk.until_messages(Stream::Line, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_gone_again_and_again_are_not_fetched_without_a_pause() {
    let mut desk = Desk::start().await;
    gone(&mut desk).await;
    for round in 1..=2 {
        desk.sweep().await;
        let (restoring, _) = desk.task("restore").await;
        let (date, lines) = (DAY.parse().unwrap(), lines(restoring, Attempt(5), "10"));
        let restored = Restored { date, generation: restoring, lines, resolutions: None };
        desk.report(restoring, Attempt(5), &Report::Restored(vec![restored])).await;
        desk.apply().await;
        desk.retry_now().await;
        desk.sweep().await;
        let (allocating, _) = desk.task("allocate").await;
        let missing = failed("allocate", allocating, FailureClass::InputMissing);
        desk.report(allocating, Attempt(6), &missing).await;
        desk.apply().await;
        desk.sweep().await;
        assert_eq!((desk.unit(DAY).await.0.as_str(), desk.tasks("restore").await), ("waiting", 0));
        assert_eq!(desk.attempts(DAY).await, 1 + round);
        desk.retry_now().await;
    }
    // The source's word does not start the count anew, unless the unit had been given up.
    let damaged = |generation| failed("restore", generation, FailureClass::Data);
    desk.sweep().await;
    let (restoring, _) = desk.task("restore").await;
    desk.report(restoring, Attempt(7), &damaged(restoring)).await;
    desk.apply().await;
    desk.retry_now().await;
    desk.sweep().await;
    let (reading, _) = desk.task("gather").await;
    gather(&mut desk, reading, Attempt(7), "10").await;
    assert_eq!((desk.unit(DAY).await.0.as_str(), desk.attempts(DAY).await), ("gathered", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_asked_where_the_archive_is_damaged() {
    let mut desk = Desk::start().await;
    gone(&mut desk).await;
    desk.sweep().await;
    let (generation, _) = desk.task("restore").await;
    // What may heal is tried again; what is damaged is not.
    desk.report(generation, Attempt(5), &failed("restore", generation, FailureClass::Transient))
        .await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "waiting");
    desk.retry_now().await;
    desk.sweep().await;
    let (generation, _) = desk.task("restore").await;
    desk.report(generation, Attempt(6), &failed("restore", generation, FailureClass::Data)).await;
    desk.apply().await;
    desk.retry_now().await;
    desk.sweep().await;
    assert_eq!(desk.tasks("restore").await, 0);
    let (again, Task::Gather(task)) = desk.task_body("gather").await else {
        panic!("a gather task")
    };
    assert_eq!(task.republish, [DAY.parse().unwrap()]);
    gather(&mut desk, again, Attempt(7), "10").await;
    assert_eq!(desk.unit(DAY).await.0, "gathered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gather_that_began_before_a_restore_still_counts() {
    let mut desk = Desk::start().await;
    let first = allocating(&mut desk).await;
    desk.report(first, Attempt(1), &published(first, rows(first, Attempt(1), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, first).await, 1);
    desk.report(first, Attempt(1), &committed(first, true)).await;
    desk.apply().await;
    // Rules change, and the source is read again, which takes a while.
    desk.calculate_again().await;
    desk.gather_again().await;
    desk.sweep().await;
    let (reading, _) = desk.task("gather").await;
    let (allocating, _) = desk.task("allocate").await;
    let missing = failed("allocate", allocating, FailureClass::InputMissing);
    desk.report(allocating, Attempt(2), &missing).await;
    desk.apply().await;
    desk.sweep().await;
    let (restoring, _) = desk.task("restore").await;
    assert!(restoring > reading);
    let manifest = lines(restoring, Attempt(5), "10");
    let date = DAY.parse().unwrap();
    let restored = Restored { date, generation: restoring, lines: manifest, resolutions: None };
    desk.report(restoring, Attempt(5), &Report::Restored(vec![restored])).await;
    desk.apply().await;
    desk.sweep().await;
    // What the source brings is newer than what was restored, whatever the numbers say.
    let changed = gather(&mut desk, reading, Attempt(7), "12").await;
    assert_eq!(desk.lines_in_force(DAY).await, (reading, Attempt(7), changed.hash));
    assert_eq!(desk.unit(DAY).await.0, "gathered");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_lines_do_not_wait_until_a_long_history_is_restored() {
    let mut desk = Desk::start().await;
    gone(&mut desk).await;
    // With its emission, as many tasks of the tenant are out as may be, less one; and a date has new lines.
    assert_eq!(desk.tasks("emit-csv").await, 1);
    let copy = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
          lines_manifest, received, config_hash, rules_hash, state, task, dispatched_at)
        select tenant, source, date + n, lines_generation, lines_hash, lines_items, lines_manifest, received,
          config_hash, rules_hash, 'allocating', 't' || n, now()
        from pipeline_state, generate_series(1, 62) n";
    assert_eq!(desk.execute(copy).await, 62);
    let out = "insert into tasks (subject, tenant, source, step, generation, message)
        select task, tenant, source, 'allocate', 0, '' from pipeline_state where task is not null";
    assert_eq!(desk.execute(out).await, 62);
    let new = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
          lines_manifest, received, config_hash, rules_hash, state)
        select tenant, source, date + 64, lines_generation, lines_hash, lines_items, lines_manifest, received,
          config_hash, rules_hash, 'gathered'
        from pipeline_state where state = 'waiting'";
    assert_eq!(desk.execute(new).await, 1);
    desk.sweep().await;
    assert_eq!((desk.tasks("allocate").await, desk.tasks("restore").await), (63, 0));
    // Once a place is free, it is restored.
    desk.execute("update pipeline_state set state = 'visible', task = null where task = 't1'")
        .await;
    desk.execute("delete from tasks where subject = 't1'").await;
    desk.sweep().await;
    assert_eq!(desk.tasks("restore").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_restored_while_a_stream_is_nearly_full() {
    let mut desk = Desk::start_with(1 << 20).await;
    gone(&mut desk).await;
    desk.leader.every(Some(std::time::Duration::from_secs(900)));
    desk.fill(900 << 10).await;
    desk.leader.streams_ensure().await.unwrap();
    desk.sweep().await;
    assert_eq!((desk.tasks("restore").await, desk.tasks("gather").await), (0, 0));
    // A single run goes on, and ends with what the stream refuses.
    desk.leader.every(None);
    desk.sweep().await;
    assert_eq!(desk.tasks("restore").await, 1);
}
