//! Emissions are compared with what lies there, and no comparison holds up a run for ever.

use proto::hash::Hash128;
use proto::ids::{Attempt, EmitterId, Generation};
use proto::report::{Emitted, Failed, FailureClass, Report};
use proto::task::{Content, EmitUnit, Task};
use proto::time::UtcSeconds;

use crate::desk::{Desk, rows};
use crate::{DAY, allocating, committed, published};

const STEP: &str = "emit-csv";

/// A visible date that was emitted with this content; gives its generation.
async fn emitted(desk: &mut Desk, content: Content) -> Generation {
    let generation = allocating(desk).await;
    let made = rows(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &published(generation, made)).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    desk.sweep().await;
    assert_eq!(emission(desk).await, (generation, None));
    let (task, _) = desk.task(STEP).await;
    desk.report(task, Attempt(1), &done(generation, content)).await;
    desk.apply().await;
    generation
}

fn done(generation: Generation, content: Content) -> Report {
    Report::Emitted(vec![Emitted {
        emitter: EmitterId::parse("csv").unwrap(),
        date: DAY.parse().unwrap(),
        generation,
        target: "out/a.csv".into(),
        rows: 1,
        bytes: content.bytes,
        hash: content.hash,
        at: UtcSeconds(0),
    }])
}

/// Generation and recorded content of the one emission that is out.
async fn emission(desk: &Desk) -> (Generation, Option<Content>) {
    let (_, Task::Emit(task)) = desk.task_body(STEP).await else { panic!("an emit task") };
    let [EmitUnit { generation, recorded, .. }] = task.units[..] else { panic!("one unit") };
    (generation, recorded)
}

/// Emissions that the run waits for, and what failed in it.
async fn waits(desk: &Desk, run: &str) -> (i64, i64) {
    let now = desk.state.run_unsettled(run).await.unwrap();
    (now.emissions, now.failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_until_what_was_emitted_is_compared_but_not_for_ever() {
    let mut desk = Desk::start().await;
    let content = Content { bytes: 10, hash: Hash128::of(b"rows") };
    let generation = emitted(&mut desk, content).await;
    assert_eq!(waits(&desk, "run").await, (0, 0));
    desk.sweep().await;
    assert_eq!(desk.execute("select 1 from tasks").await, 0, "nothing is compared twice in a row");

    // The next run compares. Its task is lost, so it is sent again; what the emitter says is the end of it.
    desk.run_again("second").await;
    desk.sweep().await;
    assert_eq!(waits(&desk, "second").await, (1, 0));
    assert_eq!(emission(&desk).await, (generation, Some(content)));
    let (task, subject) = desk.task(STEP).await;
    desk.take(&subject).await;
    desk.resend().await;
    assert!(desk.queued().await.contains(&subject));
    desk.report(task, Attempt(2), &done(generation, content)).await;
    desk.apply().await;
    assert_eq!(waits(&desk, "second").await, (0, 0));

    // A third one cannot look: it tries again, gives up in the end, and says so.
    desk.run_again("third").await;
    desk.sweep().await;
    let failed = Failed {
        step: STEP.into(),
        units: vec![(DAY.parse().unwrap(), generation)],
        class: FailureClass::Transient,
        reason: "failed to read out/a.csv".into(),
    };
    let (task, _) = desk.task(STEP).await;
    desk.report(task, Attempt(3), &Report::Failed(failed)).await;
    desk.apply().await;
    assert_eq!(waits(&desk, "third").await, (1, 0), "one failure is not the end");
    assert_eq!(desk.execute("update emission_records set attempts = attempts + 7").await, 1);
    assert_eq!(waits(&desk, "third").await, (0, 1));

    // The fourth gets its chance again.
    desk.run_again("fourth").await;
    desk.sweep().await;
    assert_eq!(emission(&desk).await, (generation, Some(content)));
    let (task, _) = desk.task(STEP).await;
    desk.report(task, Attempt(4), &done(generation, content)).await;
    desk.apply().await;
    assert_eq!(waits(&desk, "fourth").await, (0, 0));
}
