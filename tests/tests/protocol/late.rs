//! What comes late, was made with other settings, or cannot be brought back: none of it is believed, and nothing waits
//! for it for ever.

use std::collections::BTreeMap;

use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::{Attempt, EmitterId, Generation};
use proto::report::{Emitted, Failed, FailureClass, GatherDone, Report};
use proto::task::Task;
use proto::time::UtcSeconds;

use crate::desk::{Desk, lines, rows};
use crate::{DAY, allocating, committed, done, gather, gathered, published};

/// Tenants with one source each, all with these settings.
fn configs(tenants: &[&str], cost: &str, dir: &str) -> Vec<TenantConfig> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tenants")).unwrap();
    let text = format!(
        "sources:\n  cloud: {{ kind: focus, files: [\"bill.csv\"], cost: {cost} }}\nemitters:\n  csv: {{ dir: {dir} }}\n"
    );
    for tenant in tenants {
        std::fs::write(folder.path().join(format!("tenants/{tenant}.yaml")), &text).unwrap();
    }
    let loaded: BTreeMap<_, _> =
        coordinator::config::load(folder.path(), &|_| None).unwrap().tenants;
    loaded.into_values().collect()
}

fn failed(step: &str, generation: Generation, class: FailureClass, reason: &str) -> Report {
    let units = vec![(DAY.parse().unwrap(), generation)];
    Report::Failed(Failed { step: step.into(), units, class, reason: reason.into() })
}

/// The end of a gather that was not asked for the day.
fn elsewhere() -> Report {
    let Report::GatherDone(done) = done(&[]) else { panic!("the end of a gather") };
    let day = "2026-06-01".parse().unwrap();
    Report::GatherDone(GatherDone { covered_from: day, covered_to: day, ..done })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_with_other_settings_does_not_count() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (old, _) = desk.task("gather").await;
    let stale = lines(old, Attempt(1), "1");
    desk.report(old, Attempt(1), &gathered(&stale)).await;
    desk.apply().await;
    // The same settings again change nothing; another cost does.
    desk.leader.configs_apply(configs(&["acme"], "EffectiveCost", "out"), None).await.unwrap();
    desk.sweep().await;
    assert_eq!(desk.task("gather").await.0, old);
    desk.leader.configs_apply(configs(&["acme"], "BilledCost", "out"), None).await.unwrap();
    desk.report(old, Attempt(1), &done(&[(&stale, false)])).await;
    desk.apply().await;
    assert!(!desk.has_unit(DAY).await, "lines of the old cost are none of the new one");
    desk.sweep().await;
    let (new, _) = desk.task("gather").await;
    assert!(new > old);
    let good = gather(&mut desk, new, Attempt(2), "2").await;
    assert_eq!(desk.lines_in_force(DAY).await, (new, Attempt(2), good.hash));
    // A source that goes takes its gather along.
    desk.gather_again().await;
    desk.sweep().await;
    desk.leader.configs_apply(configs(&["other"], "BilledCost", "out"), None).await.unwrap();
    let out = "select 1 from source_state where tenant = 'acme' and gather_generation is not null";
    assert_eq!(desk.execute(out).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_no_gather_brings_back_is_given_up_by_the_run_and_asked_for_by_the_next() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    desk.report(
        generation,
        Attempt(1),
        &failed("allocate", generation, FailureClass::InputMissing, "gone"),
    )
    .await;
    desk.apply().await;
    desk.sweep().await;
    let (again, _) = desk.task("gather").await;
    desk.report(again, Attempt(1), &elsewhere()).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "waiting");
    desk.sweep().await;
    assert_eq!(desk.execute("select 1 from tasks").await, 0, "no gather after the other");
    let now = desk.state.run_unsettled("run").await.unwrap();
    assert_eq!((now.sources, now.units, now.failed), (0, 0, 1));
    // The next run asks for it, and gets it.
    desk.run_again("second").await;
    desk.sweep().await;
    let (generation, Task::Gather(task)) = desk.task_body("gather").await else {
        panic!("a gather task")
    };
    assert_eq!(task.republish, [DAY.parse().unwrap()]);
    gather(&mut desk, generation, Attempt(2), "10").await;
    assert_eq!(desk.unit(DAY).await.0, "gathered");
    // A withdrawn date has no batches that could be missing.
    let withdrawn =
        "update pipeline_state set state = 'waiting', lines_items = 0, withdrawn = true";
    assert_eq!(desk.execute(withdrawn).await, 1);
    desk.sweep().await;
    let (again, _) = desk.task("gather").await;
    desk.report(again, Attempt(3), &elsewhere()).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "gathered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_fails_only_while_the_unit_is_at_it() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    let made = rows(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &published(generation, made)).await;
    desk.apply().await;
    // A second attempt at the allocation, given up late.
    let late = failed("allocate", generation, FailureClass::InputMissing, "gone");
    desk.report(generation, Attempt(2), &late).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await, ("committing".into(), generation));
    // Rows that are gone are made again from the lines; no gather is needed for that.
    let gone = failed("commit", generation, FailureClass::InputMissing, "gone");
    desk.report(generation, Attempt(1), &gone).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "gathered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_quotes_any_bytes_is_kept() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let failure = Failed {
        step: "gather".into(),
        units: vec![],
        class: FailureClass::Data,
        reason: "no column B\0i\0l\0l".into(),
    };
    desk.report(generation, Attempt(1), &Report::Failed(failure)).await;
    desk.apply().await;
    assert_eq!(desk.refused().await, 0);
    let kept = "select 1 from source_state where last_error like 'no column B_i_l_l' and failed_run = 'run'";
    assert_eq!(desk.execute(kept).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_elsewhere_is_no_emission_of_the_settings_in_force() {
    let mut desk = Desk::start().await;
    let generation = allocating(&mut desk).await;
    desk.report(generation, Attempt(1), &published(generation, rows(generation, Attempt(1), "10")))
        .await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    desk.sweep().await;
    let (old, _) = desk.task("emit-csv").await;
    let emitted = |target: &str| {
        Report::Emitted(vec![Emitted {
            emitter: EmitterId::parse("csv").unwrap(),
            date: DAY.parse().unwrap(),
            generation,
            target: target.into(),
            rows: 1,
            bytes: 1,
            hash: Hash128::of(b"rows"),
            at: UtcSeconds(0),
            dir: None,
        }])
    };
    // The folder changes while the emission is out.
    desk.leader.configs_apply(configs(&["acme"], "EffectiveCost", "new"), None).await.unwrap();
    desk.report(old, Attempt(1), &emitted("out/a.csv")).await;
    desk.apply().await;
    desk.sweep().await;
    let (new, _) = desk.task("emit-csv").await;
    assert!(new > old, "the date goes to the new folder, too");
    // The old report again: it is not the answer to the new task.
    desk.report(old, Attempt(1), &emitted("out/a.csv")).await;
    let late = failed("emit-csv", generation, FailureClass::Transient, "late");
    desk.report(old, Attempt(2), &late).await;
    desk.apply().await;
    assert_eq!(desk.task("emit-csv").await.0, new);
    desk.report(new, Attempt(1), &emitted("new/a.csv")).await;
    desk.apply().await;
    desk.sweep().await;
    assert_eq!(desk.execute("select 1 from tasks").await, 0);
    assert_eq!(desk.execute("select 1 from emission_records where target = 'new/a.csv'").await, 1);
    // An emitter that goes takes its tasks along: they would count as out until their time is over.
    desk.leader.configs_apply(configs(&["acme"], "EffectiveCost", "other"), None).await.unwrap();
    desk.sweep().await;
    assert_eq!(desk.execute("select 1 from tasks").await, 1);
    let mut without = configs(&["acme"], "EffectiveCost", "other");
    without[0].emitters.clear();
    desk.leader.configs_apply(without, None).await.unwrap();
    desk.sweep().await;
    assert_eq!(desk.execute("select 1 from tasks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_another_database_gives_way() {
    let mut desk = Desk::start().await;
    desk.sweep().await;
    let (_, subject) = desk.task("gather").await;
    desk.take(&subject).await;
    desk.foreign(&subject).await;
    desk.resend().await;
    assert!(desk.queued().await.is_empty(), "what is none of ours is removed");
    desk.resend().await;
    assert_eq!(desk.queued().await, [subject]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_thousands_of_dates_does_not_stand_before_the_others() {
    let mut desk = Desk::start().await;
    let tenants = configs(&["aaa", "acme"], "EffectiveCost", "out");
    desk.leader.configs_apply(tenants, None).await.unwrap();
    desk.execute("update source_state set settled_run = 'run' where tenant = 'aaa'").await;
    allocating(&mut desk).await;
    // Large dates, so that each is a task of its own; and acme's one is due again.
    let many = "insert into pipeline_state (tenant, source, date, lines_generation, lines_hash, lines_items,
          lines_manifest, received, config_hash, rules_hash, state)
        select 'aaa', source, date - n, lines_generation, lines_hash, lines_items, lines_manifest, received,
          (select config_hash from tenants where tenant = 'aaa'), rules_hash, 'gathered'
        from pipeline_state, generate_series(1, 5000) n where tenant = 'acme'";
    assert_eq!(desk.execute(many).await, 5_000);
    let full = "insert into tasks (subject, tenant, source, step, generation, message)
        select 't' || n, 'aaa', 'cloud', 'allocate', 0, '' from generate_series(1, 64) n";
    assert_eq!(desk.execute(full).await, 64);
    let held = "update pipeline_state p set task = 't' || (date '2026-05-01' - date), state = 'allocating', dispatched_at = now()
        where tenant = 'aaa' and date >= date '2026-05-01' - 64";
    assert_eq!(desk.execute(held).await, 64);
    let due = "update pipeline_state set state = 'gathered', task = null where tenant = 'acme'";
    assert_eq!(desk.execute(due).await, 1);
    desk.sweep().await;
    let out = "select 1 from pipeline_state where tenant = 'acme' and state = 'allocating'";
    assert_eq!(desk.execute(out).await, 1);
}
