//! Files that no emitter writes any more are taken away, once what takes their place lies there.

use proto::hash::Hash128;
use proto::ids::{Attempt, EmitterId, Generation};
use proto::report::{Emitted, Failed, FailureClass, Removed, Report};
use proto::task::{Content, EmittedFile, Task};
use proto::time::UtcSeconds;

use crate::DAY;
use crate::desk::Desk;
use crate::emission::{emitted, waits};

const STEP: &str = "remove";

fn content(text: &str) -> Content {
    Content { bytes: text.len() as u64, hash: Hash128::of(text.as_bytes()) }
}

/// The one emission that is out put its file there.
async fn put(desk: &mut Desk, (emitter, target): (&str, &str), generation: Generation) {
    desk.sweep().await;
    assert_eq!(
        desk.tasks(STEP).await,
        0,
        "nothing is removed before what takes its place is there"
    );
    let (task, _) = desk.task(&format!("emit-{emitter}")).await;
    desk.report(task, Attempt(1), &done((emitter, target), generation)).await;
    desk.apply().await;
}

fn done((emitter, target): (&str, &str), generation: Generation) -> Report {
    let Content { bytes, hash } = content(target);
    Report::Emitted(vec![Emitted {
        emitter: EmitterId::parse(emitter).unwrap(),
        date: DAY.parse().unwrap(),
        generation,
        target: target.into(),
        rows: 1,
        bytes,
        hash,
        at: UtcSeconds(0),
        dir: target.split_once('/').map(|(dir, _)| dir.to_owned()),
    }])
}

/// The one removal that is out: its task and its one file.
async fn removal(desk: &mut Desk) -> (Generation, EmittedFile) {
    desk.sweep().await;
    let (task, Task::Remove(remove)) = desk.task_body(STEP).await else { panic!("a removal") };
    let [file] = &remove.files[..] else { panic!("one file") };
    (task, file.clone())
}

async fn removed(desk: &mut Desk, task: Generation, target: &str, kept: Option<&str>) {
    let file = Removed { target: target.into(), kept: kept.map(str::to_owned) };
    desk.report(task, Attempt(1), &Report::Removed(vec![file])).await;
    desk.apply().await;
}

/// Number of files that are known to lie outside.
async fn files(desk: &Desk) -> u64 {
    desk.execute("select 1 from emitted_files").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_when_another_has_taken_its_place() {
    let mut desk = Desk::start().await;
    let generation = emitted(&mut desk, content("rows")).await;
    desk.sweep().await;
    assert_eq!((desk.tasks(STEP).await, files(&desk).await), (0, 1));

    desk.run_with("second", "csv: { dir: new }").await;
    put(&mut desk, ("csv", "new/b.csv"), generation).await;
    assert_eq!(waits(&desk, "second").await, (1, 0), "the run waits for the removal");
    let (task, file) = removal(&mut desk).await;
    let wanted = EmittedFile {
        target: "out/a.csv".into(),
        dir: "out".into(),
        content: content("rows"),
        live: vec!["new/b.csv".into()],
    };
    assert_eq!(file, wanted);

    // Nothing of the source is written meanwhile: it might be taken for what is to go.
    assert_eq!(desk.execute("update emission_records set compare = true").await, 1);
    desk.sweep().await;
    assert_eq!(desk.tasks("emit-csv").await, 0);
    assert_eq!(desk.execute("update emission_records set compare = false").await, 1);

    // It cannot be removed now: again, after a pause, and not for ever.
    let failed = Failed {
        step: STEP.into(),
        units: Vec::new(),
        class: FailureClass::Transient,
        reason: "failed to remove out/a.csv".into(),
    };
    desk.report(task, Attempt(1), &Report::Failed(failed)).await;
    desk.apply().await;
    assert_eq!(desk.execute("update emitted_files set attempts = 8 where attempts = 1").await, 1);
    assert_eq!(waits(&desk, "second").await, (0, 1));
    desk.run_again("third").await;
    desk.sweep().await;
    desk.report(desk.task("emit-csv").await.0, Attempt(2), &done(("csv", "new/b.csv"), generation))
        .await;
    desk.apply().await;

    // Somebody changed it: it is kept, nobody waits for it, and the next run looks again.
    let (again, _) = removal(&mut desk).await;
    removed(&mut desk, task, "out/a.csv", None).await;
    assert_eq!(files(&desk).await, 2, "the answer to a task that is no longer out");
    removed(&mut desk, again, "out/a.csv", Some("it was changed")).await;
    assert_eq!(waits(&desk, "third").await, (0, 0));
    desk.sweep().await;
    assert_eq!(desk.tasks(STEP).await, 0);
    assert_eq!(desk.execute("select 1 from stale_files where kept = 'it was changed'").await, 1);
    desk.run_again("fourth").await;
    desk.sweep().await;
    desk.report(desk.task("emit-csv").await.0, Attempt(3), &done(("csv", "new/b.csv"), generation))
        .await;
    desk.apply().await;
    let (last, _) = removal(&mut desk).await;
    assert_eq!(waits(&desk, "fourth").await, (1, 0));
    removed(&mut desk, last, "out/a.csv", None).await;
    assert_eq!((waits(&desk, "fourth").await, files(&desk).await), ((0, 0), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_emitter_that_is_gone_go_and_come_back_with_it() {
    let mut desk = Desk::start().await;
    let generation = emitted(&mut desk, content("rows")).await;
    // Another emitter writes the very same file: it stays.
    desk.run_with("second", "files: { kind: csv, dir: out }").await;
    put(&mut desk, ("files", "out/a.csv"), generation).await;
    desk.sweep().await;
    assert_eq!((desk.tasks(STEP).await, files(&desk).await), (0, 1));
    // And then elsewhere.
    desk.run_with("third", "files: { kind: csv, dir: new }").await;
    put(&mut desk, ("files", "new/b.csv"), generation).await;
    let (task, file) = removal(&mut desk).await;
    assert_eq!((file.target.as_str(), file.content), ("out/a.csv", content("out/a.csv")));
    removed(&mut desk, task, "out/a.csv", None).await;
    assert_eq!(desk.execute("select 1 from emission_records where emitter = 'files'").await, 1);
    // The first one again, as it was: what it wrote is gone, so it is due.
    desk.run_with("fourth", "csv: { dir: out }").await;
    put(&mut desk, ("csv", "out/a.csv"), generation).await;
    let (task, file) = removal(&mut desk).await;
    assert_eq!(file.target, "new/b.csv");
    removed(&mut desk, task, "new/b.csv", None).await;
    assert_eq!(waits(&desk, "fourth").await, (0, 0));
    // A source that is no longer configured keeps its files: nothing takes their place.
    assert_eq!(desk.execute("update source_state set in_force = false").await, 1);
    desk.execute("delete from emitters").await;
    desk.sweep().await;
    assert_eq!((desk.tasks(STEP).await, files(&desk).await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_told_of_too_late_is_known_and_goes() {
    let mut desk = Desk::start().await;
    let generation = emitted(&mut desk, content("rows")).await;
    desk.run_with("second", "csv: { dir: new }").await;
    desk.sweep().await;
    let (late, _) = desk.task("emit-csv").await;
    // The folder changes again while the emission is out: its file is put there all the same.
    desk.execute("update emission_records set task = null").await;
    desk.run_with("third", "csv: { dir: newer }").await;
    put(&mut desk, ("csv", "newer/c.csv"), generation).await;
    let (task, file) = removal(&mut desk).await;
    assert_eq!(file.target, "out/a.csv");
    removed(&mut desk, task, "out/a.csv", None).await;
    desk.report(late, Attempt(1), &done(("csv", "new/b.csv"), generation)).await;
    desk.apply().await;
    let (task, file) = removal(&mut desk).await;
    assert_eq!((file.target.as_str(), file.live), ("new/b.csv", vec!["newer/c.csv".to_owned()]));
    removed(&mut desk, task, "new/b.csv", None).await;
    assert_eq!((waits(&desk, "third").await, files(&desk).await), ((0, 0), 1));
}
