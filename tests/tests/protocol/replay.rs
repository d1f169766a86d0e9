//! Replays: beside live work, from what was gathered, by the rules in force or by older ones.

use proto::ids::{Attempt, Generation};
use proto::report::{Failed, FailureClass, Report};
use proto::task::Task;

use crate::desk::{Desk, rows};
use crate::{DAY, allocating, committed, gather, published};

const OF_RUN: &str = "select coalesce(generation, 0) from run_units where run_id = 'again'";

async fn ask(desk: &Desk, run: &str, kind: &str, rules: &str) {
    let sql = format!(
        "insert into pipeline_runs (run_id, trigger, kind, status, tenant, from_date, to_date, rules)
         values ('{run}', 'replay', '{kind}', 'requested', 'acme', '2026-04-01', '2026-05-31', {rules})"
    );
    assert_eq!(desk.execute(&sql).await, 1);
}

/// One visible date.
async fn visible(desk: &mut Desk) -> Generation {
    let generation = allocating(desk).await;
    become_visible(desk, generation, "10").await;
    generation
}

/// What is allocated under that generation is published, committed and reported.
async fn become_visible(desk: &mut Desk, generation: Generation, amount: &str) {
    let rows = rows(generation, Attempt(1), amount);
    desk.report(generation, Attempt(1), &published(generation, rows)).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_by_its_own_lane_and_asks_nobody_outside() {
    let mut desk = Desk::start().await;
    let first = visible(&mut desk).await;
    ask(&desk, "again", "replay", "'current'").await;
    desk.sweep().await;
    let (generation, subject) = desk.task("allocate").await;
    assert!(generation > first && subject.contains(".replay."), "{subject}");
    assert_eq!(desk.tasks("gather").await + desk.tasks("resolve").await, 0);
    // A second replay of what is under way joins it.
    ask(&desk, "too", "replay", "'current'").await;
    desk.sweep().await;
    assert_eq!(desk.task("allocate").await, (generation, subject));
    desk.report(generation, Attempt(1), &published(generation, rows(generation, Attempt(1), "10")))
        .await;
    desk.apply().await;
    assert!(desk.task("commit").await.1.contains(".replay."));
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    let both =
        "select count(*) from run_units where generation is not null and before_generation > 0
                and run_id in ('again', 'too')";
    assert_eq!(desk.number(both).await, 2);
    assert_eq!(desk.number(OF_RUN).await, generation.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_lines_take_a_date_out_of_the_replay_which_waits_for_them() {
    let mut desk = Desk::start().await;
    visible(&mut desk).await;
    ask(&desk, "again", "replay", "'current'").await;
    desk.sweep().await;
    let (old, subject) = desk.task("allocate").await;
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(2), "12").await;
    desk.sweep().await;
    let (live, to) = desk.task("allocate").await;
    assert!(live > old && to.contains(".live."), "{to}");
    desk.until_withdrawn(&subject).await;
    // What the replay made comes too late.
    desk.report(old, Attempt(1), &published(old, rows(old, Attempt(1), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("allocating".into(), live));
    become_visible(&mut desk, live, "12").await;
    assert_eq!(desk.number(OF_RUN).await, live.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_on_the_stream_nor_archived_stays_as_it_is() {
    let mut desk = Desk::start().await;
    let first = visible(&mut desk).await;
    ask(&desk, "again", "replay", "'current'").await;
    desk.sweep().await;
    let (generation, _) = desk.task("allocate").await;
    let failed = Failed {
        step: "allocate".into(),
        units: vec![(DAY.parse().unwrap(), generation)],
        class: FailureClass::InputMissing,
        reason: "batch 0 is gone".into(),
    };
    desk.execute("update pipeline_state set visible_archive_damaged = true").await;
    desk.report(generation, Attempt(1), &Report::Failed(failed)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "waiting");
    desk.sweep().await;
    assert_eq!(desk.unit(DAY).await.0, "visible");
    assert_eq!(desk.tasks("gather").await, 0, "the source is not asked");
    let seen = "select count(*) from pipeline_state where visible_generation = wanted_generation";
    assert_eq!(desk.number(seen).await, 0, "{first}");
    let told = "select count(*) from pipeline_runs where run_id = 'again' and status = 'failed'
                and error like '%backfill --tenant acme --source cloud --from 2026-05-01%'";
    assert_eq!(desk.number(told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn former_rules_pin_a_date_until_it_is_unpinned() {
    let mut desk = Desk::start().await;
    visible(&mut desk).await;
    let configs = "select count(distinct config_hash) from config_history";
    let pinned = "select count(*) from pipeline_state where pinned";
    desk.run_rules("second", "search").await;
    desk.sweep().await;
    let (second, _) = desk.task("allocate").await;
    become_visible(&mut desk, second, "10").await;
    assert_eq!((desk.number(configs).await, desk.number(pinned).await), (2, 0));

    // No configuration was known on that day: the first one counts.
    ask(&desk, "again", "replay", "'as-of'").await;
    desk.sweep().await;
    let (former, Task::Allocate(task)) = desk.task_body("allocate").await else {
        panic!("an allocate task")
    };
    let first =
        "select count(*) from config_history where since = (select min(since) from config_history)
                 and config_hash = (select config_hash from pipeline_state)";
    assert_eq!((desk.number(first).await, desk.number(pinned).await), (1, 1));
    become_visible(&mut desk, former, "10").await;
    // The next change of the rules leaves it alone, and so does a restart under them.
    desk.run_rules("third", "platform").await;
    desk.sweep().await;
    assert_eq!(desk.tasks("allocate").await, 0);
    // A restatement is calculated by the pinned rules.
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(2), "10.5").await;
    desk.sweep().await;
    let (restated, Task::Allocate(again)) = desk.task_body("allocate").await else {
        panic!("an allocate task")
    };
    assert_eq!(again.config, task.config);
    become_visible(&mut desk, restated, "10.5").await;

    ask(&desk, "free", "unpin", "null").await;
    desk.sweep().await;
    let (_, Task::Allocate(free)) = desk.task_body("allocate").await else {
        panic!("an allocate task")
    };
    assert!(free.config != task.config);
    assert_eq!(desk.number(pinned).await, 0);
    let current = "select count(*) from tenants t join pipeline_state p using (tenant)
                   where t.config_hash = p.config_hash";
    assert_eq!(desk.number(current).await, 1);
}
