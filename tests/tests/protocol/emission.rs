//! Emissions are compared with what lies there, and no comparison holds up a run for ever.

use proto::hash::Hash128;
use proto::ids::{Attempt, EmitterId, Generation};
use proto::report::{Emitted, Failed, FailureClass, Report};
use proto::task::{Content, Emit, EmitUnit, Task};
use proto::time::{UnitDate, UtcSeconds};

use crate::desk::{Desk, rows};
use crate::{DAY, allocating, committed, published};

const STEP: &str = "emit-csv";

/// A visible date that was emitted with this content; gives its generation.
pub async fn emitted(desk: &mut Desk, content: Content) -> Generation {
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
    all_done(&[(DAY.parse().unwrap(), generation)], content)
}

/// All of these went into one file.
fn all_done(units: &[(UnitDate, Generation)], content: Content) -> Report {
    let one = |(date, generation): &(UnitDate, Generation)| Emitted {
        emitter: EmitterId::parse("csv").unwrap(),
        date: *date,
        generation: *generation,
        target: "out/a.csv".into(),
        rows: 1,
        bytes: content.bytes,
        hash: content.hash,
        at: UtcSeconds(0),
        dir: Some("out".into()),
    };
    Report::Emitted(units.iter().map(one).collect())
}

/// Generation and recorded content of the one emission that is out.
async fn emission(desk: &Desk) -> (Generation, Option<Content>) {
    let (_, Task::Emit(task)) = desk.task_body(STEP).await else { panic!("an emit task") };
    let [EmitUnit { generation, recorded, .. }] = task.units[..] else { panic!("one unit") };
    (generation, recorded)
}

/// Emissions that the run waits for, and what failed in it.
pub async fn waits(desk: &Desk, run: &str) -> (i64, i64) {
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

/// An emission that is out: its task, the last days of its dates, what was recorded of each.
struct Out {
    task: Generation,
    units: Vec<(UnitDate, Generation)>,
    days: Vec<String>,
    recorded: Vec<Option<Content>>,
}

/// The emissions that are out, by month.
async fn out(desk: &Desk) -> Vec<Out> {
    let one = |(task, body)| {
        let Task::Emit(Emit { units, .. }) = body else { panic!("an emit task") };
        Out {
            task,
            units: units.iter().map(|unit| (unit.date, unit.generation)).collect(),
            days: units.iter().map(|unit| unit.date.to_string()[5..].to_owned()).collect(),
            recorded: units.iter().map(|unit| unit.recorded).collect(),
        }
    };
    let mut out: Vec<Out> = desk.task_bodies(STEP).await.into_iter().map(one).collect();
    out.sort_by(|a, b| a.days.cmp(&b.days));
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_out_whole_when_its_dates_have_settled() {
    let mut desk = Desk::start().await;
    let content = |text: &str| Content { bytes: 10, hash: Hash128::of(text.as_bytes()) };
    emitted(&mut desk, content("a date")).await;
    for date in ["2026-05-02", "2026-05-31", "2026-06-01"] {
        let sql = format!(
            "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items, lines_manifest,
               received, config_hash, rules_hash, state, wanted_generation, visible_generation, visible_rows,
               visible_lines_hash, visible_at)
             select tenant, source, '{date}', lines_generation, lines_hash, lines_items, lines_manifest,
               received, config_hash, rules_hash, state, wanted_generation, visible_generation, visible_rows,
               visible_lines_hash, visible_at
             from pipeline_state p where date = '{DAY}'"
        );
        assert_eq!(desk.execute(&sql).await, 1);
    }
    desk.execute("update pipeline_state set visible_at = now()").await;
    // A date of May is on its way: May waits for it, June does not.
    let on_its_way = "update pipeline_state set state = 'allocating', dispatched_at = now() where date = '2026-05-31'";
    assert_eq!(desk.execute(on_its_way).await, 1);
    desk.run_monthly("second").await;
    desk.sweep().await;
    let first = out(&desk).await;
    let [june] = &first[..] else { panic!("one month is out") };
    assert_eq!((june.days.join(" "), &june.recorded[..]), ("06-01".into(), &[None][..]));
    assert_eq!(waits(&desk, "second").await, (4, 0), "the run waits for all of them");
    // But not for ever, and what is visible of the last date goes along.
    desk.execute("update pipeline_state set visible_at = now() - interval '11 minutes' where date = '2026-05-02'").await;
    desk.sweep().await;
    let both = out(&desk).await;
    let [may, june] = &both[..] else { panic!("two months are out") };
    assert_eq!(
        (may.days.join(" "), &may.recorded[..]),
        ("05-01 05-02 05-31".into(), &[None; 3][..])
    );
    desk.execute("update pipeline_state set state = 'visible' where date = '2026-05-31'").await;

    // It fails as a whole, and is tried again as a whole.
    let failed = Failed {
        step: STEP.into(),
        units: may.units.clone(),
        class: FailureClass::Transient,
        reason: "failed to write out/a.csv".into(),
    };
    desk.report(june.task, Attempt(1), &all_done(&june.units, content("june"))).await;
    desk.report(may.task, Attempt(1), &Report::Failed(failed)).await;
    desk.apply().await;
    assert_eq!(waits(&desk, "second").await, (3, 0));
    assert_eq!(
        desk.execute("update emission_records set next_attempt_at = now() where attempts = 1")
            .await,
        3
    );
    desk.sweep().await;
    let again = out(&desk).await;
    let [may] = &again[..] else { panic!("one month is out") };
    assert_eq!(may.units.len(), 3);
    desk.report(may.task, Attempt(2), &all_done(&may.units, content("may"))).await;
    desk.apply().await;
    assert_eq!(waits(&desk, "second").await, (0, 0));

    // The next run compares both files. While May is out, one of its dates changes: it is not dispatched twice.
    desk.run_again("third").await;
    desk.sweep().await;
    let compared = out(&desk).await;
    let [may, june] = &compared[..] else { panic!("two months are out") };
    assert_eq!(may.recorded, [Some(content("may")); 3]);
    assert_eq!(june.recorded, [Some(content("june"))]);
    let newer = "update pipeline_state set visible_generation = visible_generation + 1, wanted_generation = wanted_generation + 1
                 where date = '2026-05-02'";
    assert_eq!(desk.execute(newer).await, 1);
    desk.sweep().await;
    assert_eq!(out(&desk).await.len(), 2);
    for month in [may, june] {
        let content = month.recorded[0].unwrap();
        desk.report(month.task, Attempt(3), &all_done(&month.units, content)).await;
    }
    desk.apply().await;
    assert_eq!(waits(&desk, "third").await, (1, 0));
    desk.run_again("fourth").await;
    desk.sweep().await;
    let changed = out(&desk).await;
    let [may, _] = &changed[..] else { panic!("two months are out") };
    assert_eq!(may.recorded, [None; 3], "what lies there is not what is visible");
    // A file that was put there for two of its dates is not the month's either.
    desk.report(may.task, Attempt(4), &all_done(&may.units[..2], content("two dates"))).await;
    desk.apply().await;
    assert_eq!(
        desk.execute("update emission_records set task = null where date = '2026-05-31'").await,
        1
    );
    desk.sweep().await;
    let [may, _] = &out(&desk).await[..] else { panic!("two months are out") };
    assert_eq!((may.units.len(), &may.recorded[..]), (3, &[None; 3][..]));
}
