//! Dates that are resolved again: who is due, and what an equal answer costs.

use proto::hash::Hash128;
use proto::ids::{Attempt, Generation};
use proto::manifest::{Manifest, ManifestBuilder};
use proto::report::{Published, Report};

use crate::desk::{Desk, lines, rows};
use crate::{DAY, committed, done, gather, published};

const RESOLVED: &str =
    "select count(*) from pipeline_state where resolution_lines_hash = lines_hash";

/// A source whose dates are resolved, with so many of its identities taking part.
fn source(fanout: u32) -> String {
    format!(
        "{{ kind: synthetic, start: 2026-05-01, dates: 1, resources: 1, products: 1, fanout: {fanout}, identities: 9 }}"
    )
}

fn resolutions(generation: Generation, who: &str) -> Manifest {
    let mut builder = ManifestBuilder::default();
    builder.add_item(Hash128::of(who.as_bytes()));
    builder.add_batch(1, who.as_bytes());
    builder.finish(generation, Attempt(1))
}

/// Answers the one resolve task that is out.
async fn resolve(desk: &mut Desk, who: &str) {
    answer(desk, who, None).await;
}

async fn answer(desk: &mut Desk, who: &str, lacking: Option<&str>) {
    let (generation, _) = desk.task("resolve").await;
    let unit = Published {
        date: DAY.parse().unwrap(),
        generation,
        manifest: resolutions(generation, who),
        warnings: vec![],
        lacking: lacking.map(str::to_owned),
        drivers: vec![],
        identities: vec![],
    };
    desk.report(generation, Attempt(1), &Report::Resolved(vec![unit])).await;
    desk.apply().await;
}

/// Answers the allocation and the commit that follow; the ledger keeps what it was made from.
async fn allocate(desk: &mut Desk) -> Generation {
    desk.sweep().await;
    let (generation, _) = desk.task("allocate").await;
    desk.report(generation, Attempt(1), &published(generation, rows(generation, Attempt(1), "10")))
        .await;
    desk.apply().await;
    let commit = "insert into commits (tenant, source, date, generation, lines_generation, lines_hash, lines,
            resolution_generation, resolution_hash, rows_hash, rows, rules, config)
        select tenant, source, date, wanted_generation, lines_generation, lines_hash, 1, resolution_generation,
            resolution_hash, '', 1, rules_hash, config_hash from pipeline_state";
    assert_eq!(desk.execute(commit).await, 1);
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.execute("update pipeline_state set visible_rules = rules_hash").await;
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "visible");
    generation
}

/// One date, resolved and visible.
async fn visible(desk: &mut Desk) -> Generation {
    desk.run_source("first", &source(1)).await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(desk, generation, Attempt(1), "10").await;
    desk.sweep().await;
    resolve(desk, "alice").await;
    allocate(desk).await
}

async fn state(desk: &Desk) -> String {
    desk.unit(DAY).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_resolution_ends_there() {
    let mut desk = Desk::start().await;
    let before = visible(&mut desk).await;
    let again = "update pipeline_state set resolve_again_at = now()";
    desk.execute(again).await;
    desk.sweep().await;
    assert_eq!(state(&desk).await, "resolving");
    resolve(&mut desk, "alice").await;
    assert_eq!(state(&desk).await, "visible");
    desk.sweep().await;
    assert_eq!((desk.tasks("resolve").await, desk.tasks("allocate").await), (0, 0));
    let seen = desk.number("select visible_generation from pipeline_state").await;
    assert_eq!(Generation(seen), before);
    // Another answer, other rows.
    desk.execute(again).await;
    desk.sweep().await;
    resolve(&mut desk, "bob").await;
    assert_eq!(state(&desk).await, "gathered");
    assert!(allocate(&mut desk).await > before);
    // Equal resolutions, but other lines, other rules, or an archive that has to be stored again.
    for other in ["visible_lines_hash = ''", "visible_rules = ''", "visible_archive_damaged = true"]
    {
        desk.execute(again).await;
        desk.sweep().await;
        desk.execute(&format!("update pipeline_state set {other}")).await;
        resolve(&mut desk, "bob").await;
        assert_eq!(state(&desk).await, "gathered", "{other}");
        allocate(&mut desk).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_have_exactly_what_they_resolved_resolved_again() {
    let mut desk = Desk::start().await;
    let before = visible(&mut desk).await;
    // What resolutions are not made with.
    desk.run_source("same", &source(1)).await;
    desk.sweep().await;
    assert_eq!((state(&desk).await.as_str(), desk.number(RESOLVED).await), ("visible", 1));
    let (_, subject) = desk.task("gather").await;
    desk.take(&subject).await;
    // What they are made with: the source is gathered first, for its inventory may be another one, too.
    desk.run_source("changed", &source(2)).await;
    desk.sweep().await;
    assert_eq!((state(&desk).await.as_str(), desk.number(RESOLVED).await), ("visible", 1));
    let (generation, _) = desk.task("gather").await;
    let same = lines(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &done(&[(&same, true)])).await;
    desk.apply().await;
    assert_eq!(state(&desk).await, "visible");
    desk.sweep().await;
    assert_eq!((state(&desk).await.as_str(), desk.number(RESOLVED).await), ("resolving", 0));
    // They change again while it is out: what it answers is of no use.
    desk.run_source("again", &source(3)).await;
    let (late, _) = desk.task("resolve").await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let same = lines(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &done(&[(&same, true)])).await;
    desk.apply().await;
    desk.sweep().await;
    assert!(desk.task("resolve").await.0 > late);
    resolve(&mut desk, "alice").await;
    assert_eq!(state(&desk).await, "visible", "they say the same");
    desk.sweep().await;
    desk.sweep().await;
    assert_eq!((desk.tasks("resolve").await, desk.tasks("allocate").await), (0, 0));
    let seen = desk.number("select visible_generation from pipeline_state").await;
    assert_eq!(Generation(seen), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_once_stays_when_it_cannot_be_had_again() {
    let mut desk = Desk::start().await;
    let before = visible(&mut desk).await;
    for (attempt, waits) in [(1, 1), (2, 1), (3, 0)] {
        desk.execute("update pipeline_state set resolve_again_at = now()").await;
        desk.sweep().await;
        answer(&mut desk, "nobody", Some("the server has forgotten")).await;
        assert_eq!(state(&desk).await, "visible");
        let waiting = "select count(*) from pipeline_state where resolve_again_at > now()";
        assert_eq!(desk.number(waiting).await, waits, "attempt {attempt}");
    }
    let seen = desk.number("select visible_generation from pipeline_state").await;
    assert_eq!((Generation(seen), desk.tasks("allocate").await), (before, 0));
    // Other lines never had any: they take what there is.
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    gather(&mut desk, generation, Attempt(1), "11").await;
    desk.sweep().await;
    answer(&mut desk, "nobody", Some("the server has forgotten")).await;
    assert_eq!(state(&desk).await, "gathered");
    assert!(allocate(&mut desk).await > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_resolved_before_settings_were_noted_stays() {
    let mut desk = Desk::start().await;
    visible(&mut desk).await;
    desk.execute("update pipeline_state set resolve_settings = null").await;
    desk.execute("update source_state set resolve_settings = null").await;
    desk.run_source("upgraded", &source(1)).await;
    desk.sweep().await;
    assert_eq!(state(&desk).await, "visible");
    let noted = "select count(*) from pipeline_state p join source_state s using (tenant, source)
        where p.resolve_settings = s.resolve_settings and not s.resolve_changed";
    assert_eq!(desk.number(noted).await, 1);
}
