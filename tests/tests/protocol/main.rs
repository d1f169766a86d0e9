//! Each hole that the protocol names, closed: the coordinator against a real nats-server and a real Postgres, the test
//! in the place of the workers.

#[cfg(test)]
mod desk;
#[cfg(test)]
mod emission;
#[cfg(test)]
mod incarnation;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod late;
#[cfg(test)]
mod removal;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod resolve;
mod restore;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod withdrawal;

use desk::{Desk, lines, rows};
use proto::ids::{Attempt, Generation};
use proto::report::{
    Committed, Failed, FailureClass, GatherDone, GatheredDate, GatheredHash, Published, Report,
    Warning,
};
use proto::task::Task;

const DAY: &str = "2026-05-01";

#[cfg(test)]
fn done(dates: &[(&proto::manifest::Manifest, bool)]) -> Report {
    let date = DAY.parse().unwrap();
    let dates = dates
        .iter()
        .map(|(m, unchanged)| GatheredHash { date, hash: m.hash, unchanged: *unchanged })
        .collect();
    Report::GatherDone(GatherDone {
        covered_from: date,
        covered_to: date,
        dates,
        files_read: vec![],
        files: vec![],
        quarantined: 0,
        records: 1,
        warnings: vec![],
        cursor: None,
        final_before: None,
        provider_columns: vec![],
        inventory: None,
    })
}

#[cfg(test)]
fn gathered(lines: &proto::manifest::Manifest) -> Report {
    let received = lines.totals.clone();
    Report::GatheredDate(GatheredDate {
        date: DAY.parse().unwrap(),
        lines: lines.clone(),
        received,
    })
}

#[cfg(test)]
/// Reports a gather of one date under `attempt` and gives its manifest.
async fn gather(
    desk: &mut Desk,
    generation: Generation,
    attempt: Attempt,
    amount: &str,
) -> proto::manifest::Manifest {
    let manifest = lines(generation, attempt, amount);
    desk.report(generation, attempt, &gathered(&manifest)).await;
    desk.report(generation, attempt, &done(&[(&manifest, false)])).await;
    desk.apply_all(2).await;
    manifest
}

#[cfg(test)]
fn published(generation: Generation, manifest: proto::manifest::Manifest) -> Report {
    Report::Allocated(vec![Published {
        date: DAY.parse().unwrap(),
        generation,
        manifest,
        warnings: vec![],
        lacking: None,
        drivers: vec![],
        identities: vec![],
    }])
}

#[cfg(test)]
fn committed(generation: Generation, visible: bool) -> Report {
    Report::Committed(vec![Committed { date: DAY.parse().unwrap(), generation, visible }])
}

#[cfg(test)]
/// Gathers one date and sweeps, so that an allocate task is out; gives its generation.
async fn allocating(desk: &mut Desk) -> Generation {
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(desk, generation, Attempt(1), "10").await;
    desk.sweep().await;
    desk.task("allocate").await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_attempt_changes_nothing() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let (zombie, alive) = (Attempt(1), Attempt(2));
    // The zombie reports its date, stalls, and its task is done by another worker.
    let stale = lines(generation, zombie, "1");
    desk.report(generation, zombie, &gathered(&stale)).await;
    let good = gather(&mut desk, generation, alive, "2").await;
    assert_eq!(desk.lines_in_force(DAY).await, (generation, alive, good.hash));
    // It wakes up and says that it is done.
    desk.report(generation, zombie, &done(&[(&stale, false)])).await;
    desk.apply().await;
    assert_eq!(desk.lines_in_force(DAY).await, (generation, alive, good.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sent_twice_is_queued_once() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (_, subject) = desk.task("gather").await;
    desk.resend().await;
    desk.resend().await;
    assert_eq!(desk.queued().await, [subject]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_report_costs_a_second_attempt_and_nothing_else() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    let (_, subject) = desk.task("allocate").await;
    // A worker did the task and acknowledged it; its report never arrived.
    desk.take(&subject).await;
    assert!(!desk.queued().await.contains(&subject));
    desk.resend().await;
    assert!(desk.queued().await.contains(&subject), "a task that nobody answers for is sent again");
    desk.report(generation, Attempt(9), &published(generation, rows(generation, Attempt(9), "10")))
        .await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("committing".into(), generation));
    let (_, Task::Commit(commit)) = desk.task_body("commit").await else { panic!("a commit task") };
    assert_eq!(
        commit.units[0].rows.attempt,
        Attempt(9),
        "the ledger reads what the second attempt wrote"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_task_and_report_streams_are_made_again_and_all_that_is_out_is_sent() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    let (_, subject) = desk.task("allocate").await;
    desk.lose_queues().await;
    desk.leader.streams_ensure().await.unwrap();
    assert_eq!(desk.queued().await, [subject]);
    desk.report(generation, Attempt(3), &published(generation, rows(generation, Attempt(3), "10")))
        .await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "committing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_batch_is_republished_and_read_at_its_new_address() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    let failed = Failed {
        step: "allocate".into(),
        units: vec![(DAY.parse().unwrap(), generation)],
        class: FailureClass::InputMissing,
        reason: "batch 0 is gone".into(),
    };
    desk.report(generation, Attempt(1), &Report::Failed(failed)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "waiting");
    desk.sweep().await;
    let (again, Task::Gather(task)) = desk.task_body("gather").await else {
        panic!("a gather task")
    };
    assert_eq!(task.republish, [DAY.parse().unwrap()]);
    let manifest = gather(&mut desk, again, Attempt(7), "10").await;
    assert_eq!(desk.lines_in_force(DAY).await, (again, Attempt(7), manifest.hash));
    desk.sweep().await;
    let (newer, Task::Allocate(task)) = desk.task_body("allocate").await else {
        panic!("an allocate task")
    };
    assert_eq!((task.units[0].lines.generation, task.units[0].lines.attempt), (again, Attempt(7)));
    assert!(newer > generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_commit_becomes_neither_visible_nor_believed() {
    let mut desk = Desk::start().await;
    let old = allocating(&mut desk).await;
    desk.report(old, Attempt(1), &published(old, rows(old, Attempt(1), "10"))).await;
    desk.apply().await;
    let (_, commit) = desk.task("commit").await;
    assert!(desk.queued().await.contains(&commit));
    // The bill changes while the ledger copies.
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(2), "11").await;
    desk.sweep().await;
    let (new, _) = desk.task("allocate").await;
    assert!(new > old);
    desk.until_withdrawn(&commit).await;
    assert_eq!(desk.flip(DAY, old).await, 0, "the fence refuses the old generation");
    desk.report(old, Attempt(1), &committed(old, true)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("allocating".into(), new), "a late report is no edge");
    // The new one goes through.
    desk.report(new, Attempt(2), &published(new, rows(new, Attempt(2), "11"))).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, new).await, 1);
    desk.report(new, Attempt(2), &committed(new, true)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("visible".into(), new));
    assert_eq!(desk.flip(DAY, old).await, 0, "visible generations only grow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_lower_generation_does_not_come_into_force() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (low, _) = desk.task("gather").await;
    let first = gather(&mut desk, low, Attempt(1), "10").await;
    desk.gather_again().await;
    desk.sweep().await;
    let (high, _) = desk.task("gather").await;
    assert!(high > low);
    let second = gather(&mut desk, high, Attempt(2), "12").await;
    assert_ne!(first.hash, second.hash);
    gather(&mut desk, low, Attempt(3), "10").await;
    assert_eq!(desk.lines_in_force(DAY).await, (high, Attempt(2), second.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_gather_waits_for_every_date_that_it_names() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let manifest = lines(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &done(&[(&manifest, false)])).await;
    desk.apply().await;
    assert!(!desk.has_unit(DAY).await, "nothing counts before all of it is there");
    desk.report(generation, Attempt(1), &gathered(&manifest)).await;
    desk.apply_until_unit(DAY).await;
    assert_eq!(desk.lines_in_force(DAY).await.2, manifest.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leaders_cannot_both_write() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    desk.usurp().await;
    let refused = desk.leader.sweep().await.unwrap_err();
    assert!(matches!(refused, coordinator::store::StateError::LostLead), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_equal_data_error_quarantines_the_unit_and_an_undecodable_report_is_refused() {
    let mut desk = Desk::start().await;
    let mut generation = allocating(&mut desk).await;
    desk.garbage().await;
    for expected in ["gathered", "gathered", "quarantined"] {
        let units = vec![(DAY.parse().unwrap(), generation)];
        let failed = Failed {
            step: "allocate".into(),
            units,
            class: FailureClass::Data,
            reason: "no sense".into(),
        };
        desk.report(generation, Attempt(1), &Report::Failed(failed)).await;
        desk.apply().await;
        assert_eq!(desk.unit(DAY).await.0, expected);
        if expected == "gathered" {
            desk.retry_now().await;
            desk.sweep().await;
            generation = desk.task("allocate").await.0;
        }
    }
    assert_eq!(desk.refused().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn finality_follows_the_day() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    assert_eq!(desk.finality(None).await, None, "what is not visible has none");
    assert_eq!(desk.flip(DAY, generation).await, 1);
    assert_eq!(desk.finality(None).await.as_deref(), Some("final"));
    assert_eq!(desk.finality(Some(1)).await.as_deref(), Some("final"));
    assert_eq!(desk.finality(Some(100_000)).await.as_deref(), Some("estimated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn gathers_of_a_standing_run_pause_while_a_stream_is_nearly_full() {
    let mut desk = Desk::start_with(1 << 20).await;
    desk.leader.every(Some(std::time::Duration::from_secs(900)));
    desk.fill(900 << 10).await;
    desk.leader.streams_ensure().await.unwrap();
    desk.sweep().await;
    assert_eq!(desk.queued().await, Vec::<String>::new());
    // A single run goes on, and ends with what the stream refuses.
    desk.leader.every(None);
    desk.sweep().await;
    assert_eq!(desk.queued().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_allocation_warns_of_is_kept() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    let manifest = rows(generation, Attempt(4), "10");
    let warnings = vec![Warning { text: "owner `chekout` is not listed".into(), count: 3 }];
    let date = DAY.parse().unwrap();
    let (drivers, identities) = (vec![], vec![]);
    let done =
        Published { date, generation, manifest, warnings, lacking: None, drivers, identities };
    desk.report(generation, Attempt(4), &Report::Allocated(vec![done])).await;
    desk.apply().await;
    let stored = "select 1 from pipeline_state where warnings @> '[{\"count\": 3, \"text\": \"owner `chekout` is not listed\"}]'";
    assert_eq!(desk.execute(stored).await, 1);
}
