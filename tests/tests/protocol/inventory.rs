//! Lifetimes and the guard over them: what gathers find reaches the coordinator over a real nats-server, and is kept in
//! a real Postgres.

use std::collections::BTreeMap;

use proto::hash::Hash128;
use proto::ids::{Attempt, Generation};
use proto::inventory::{GatheredInventory, Identity, InventoryBatch, Resource};
use proto::report::{Failed, FailureClass, GatherDone, Report};
use proto::task::Task;
use proto::time::UtcSeconds;
use runtime::data::BatchWriter;

use crate::desk::Desk;
use crate::done;

const RUNNING: &str = "select count(*) from resources where valid_to = 'infinity'";
const WAITING: &str = "select coalesce(sum(waiting), 0)::bigint from populations";
const STREAK: &str =
    "select streak::bigint from populations where class = 'resource' and type = 'cluster'";

fn resource(id: usize) -> Resource {
    Resource {
        id: format!("lkc-{id}"),
        kind: "cluster".into(),
        display_name: None,
        parent: None,
        owner: None,
        created_at: Some(UtcSeconds(1_700_000_000)),
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

fn resources(count: usize) -> Vec<Resource> {
    (0..count).map(resource).collect()
}

fn user(id: &str) -> Identity {
    Identity {
        id: format!("user:{id}"),
        kind: "user".into(),
        display_name: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

/// A gather is out: its generation, and the content that the task says is in force.
async fn asked(desk: &mut Desk) -> (Generation, Option<Hash128>) {
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, Task::Gather(task)) = desk.task_body("gather").await else {
        panic!("a gather task")
    };
    (generation, task.inventory)
}

/// Publishes what was found, of these types and whole or not, as a gatherer does.
async fn publish(
    desk: &Desk,
    generation: Generation,
    found: &InventoryBatch,
    (types, identities): (&[&str], bool),
) -> GatheredInventory {
    let (tenant, source) = desk.at();
    let mut writer = BatchWriter::of_inventory(desk.bus(), tenant, source, generation, Attempt(1));
    found.resources.iter().for_each(|item| writer.manifest.add_item(item.hash()));
    found.identities.iter().for_each(|item| writer.manifest.add_item(item.hash()));
    let items = found.resources.len() + found.identities.len();
    if items > 0 {
        writer.write(found, items).await.unwrap();
    }
    GatheredInventory {
        found: writer.finish().await.unwrap(),
        unchanged: false,
        resource_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        identities,
    }
}

fn ended(inventory: GatheredInventory) -> Report {
    let Report::GatherDone(done) = done(&[]) else { panic!("the end of a gather") };
    Report::GatherDone(GatherDone { inventory: Some(inventory), ..done })
}

/// A whole gather that found these clusters, and nobody.
async fn gather(desk: &mut Desk, found: &[Resource]) -> Generation {
    let found = InventoryBatch { resources: found.to_vec(), identities: Vec::new() };
    let (generation, _) = asked(desk).await;
    let inventory = publish(desk, generation, &found, (&["cluster"], true)).await;
    desk.report(generation, Attempt(1), &ended(inventory)).await;
    desk.apply().await;
    generation
}

/// As if everything so far had happened a day earlier.
pub async fn a_day_later(desk: &Desk) {
    for (table, running) in [("resources", "valid_to = 'infinity'"), ("pipeline_state", "true")] {
        desk.execute(&format!(
            "update {table} set missing_since = missing_since - interval '1 day'
             where missing_generation is not null and {running}"
        ))
        .await;
    }
    desk.execute("update populations set first_at = first_at - interval '1 day'").await;
}

pub async fn decide(desk: &mut Desk, decision: &str) {
    let sql = format!(
        "insert into guard_decisions (tenant, source, class, type, decision, generation, decided_by)
         select tenant, source, class, type, '{decision}', counted_generation, 'test' from populations where waiting > 0"
    );
    assert_eq!(desk.execute(&sql).await, 1, "one population waits");
    desk.sweep().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_found_deletes_only_after_three_gathers_and_a_day() {
    let mut desk = Desk::start().await;
    gather(&mut desk, &resources(1_000)).await;
    assert_eq!(desk.number(RUNNING).await, 1_000);
    let unallocated =
        "select count(*) from identities where id = 'UNALLOCATED' and valid_to = 'infinity'";
    assert_eq!(desk.number(unallocated).await, 1);
    let mut missed = Vec::new();
    for streak in 1..=2 {
        missed.push(gather(&mut desk, &[]).await);
        assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (1_000, streak));
    }
    // Another coordinator leads on: all that is remembered lies in Postgres.
    desk.run_again("second").await;
    let (generation, _) = asked(&mut desk).await;
    let nothing =
        publish(&desk, generation, &InventoryBatch::default(), (&["cluster"], true)).await;
    let report = ended(nothing);
    // Delivered twice, in one group and again later: it counts once.
    for _ in 0..2 {
        desk.report(generation, Attempt(1), &report).await;
    }
    desk.apply().await;
    desk.report(generation, Attempt(1), &report).await;
    desk.apply().await;
    assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (1_000, 3));
    assert_eq!(desk.number(WAITING).await, 1_000);
    a_day_later(&desk).await;
    assert_eq!(desk.number(RUNNING).await, 1_000, "time alone deletes nothing");
    gather(&mut desk, &[]).await;
    assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (0, 0));
    assert_eq!(desk.number(WAITING).await, 0);
    let first_missed = format!(
        "select count(*) from resources where valid_to = ends_at and missing_generation = {}",
        missed[0].0
    );
    assert_eq!(desk.number(&first_missed).await, 1_000, "they ended when they were first missed");
    assert_eq!(desk.number(unallocated).await, 1, "nobody takes UNALLOCATED away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_or_partial_gather_never_counts() {
    let mut desk = Desk::start().await;
    let there = InventoryBatch { resources: resources(20), identities: vec![user("a"), user("b")] };
    let (generation, _) = asked(&mut desk).await;
    let inventory = publish(&desk, generation, &there, (&["cluster"], true)).await;
    desk.report(generation, Attempt(1), &ended(inventory)).await;
    desk.apply().await;
    let all = "select (select count(*) from resources where valid_to = 'infinity')
                 + (select count(*) from identities where valid_to = 'infinity' and type = 'user')";
    assert_eq!(desk.number(all).await, 22);
    let known = desk.number("select max(counted_generation) from populations").await;
    // A 404, a cut connection: the gather failed.
    let (generation, _) = asked(&mut desk).await;
    let failed = Failed {
        step: "gather".into(),
        units: Vec::new(),
        class: FailureClass::Data,
        reason: "404".into(),
    };
    desk.report(generation, Attempt(1), &Report::Failed(failed)).await;
    desk.apply().await;
    desk.execute("update source_state set next_attempt_at = now()").await;
    // One service answered nothing at all: what it declares is not spoken of, and neither is anybody.
    for _ in 0..4 {
        let (generation, _) = asked(&mut desk).await;
        let nothing = publish(&desk, generation, &InventoryBatch::default(), (&[], false)).await;
        desk.report(generation, Attempt(1), &ended(nothing)).await;
        desk.apply().await;
        a_day_later(&desk).await;
    }
    assert_eq!(desk.number(all).await, 22);
    assert_eq!(desk.number("select max(counted_generation) from populations").await, known);
    assert_eq!(
        desk.number("select count(*) from resources where missing_generation is not null").await,
        0
    );
    // All clusters were listed, nobody's account was.
    let (generation, _) = asked(&mut desk).await;
    let found = InventoryBatch { resources: resources(19), identities: Vec::new() };
    let inventory = publish(&desk, generation, &found, (&["cluster"], false)).await;
    desk.report(generation, Attempt(1), &ended(inventory)).await;
    desk.apply().await;
    assert_eq!((desk.number(RUNNING).await, desk.number(all).await), (19, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_drop_waits_for_a_person_or_for_time() {
    let mut desk = Desk::start().await;
    gather(&mut desk, &resources(1_000)).await;
    gather(&mut desk, &resources(1)).await;
    assert_eq!((desk.number(RUNNING).await, desk.number(WAITING).await), (1_000, 999));
    // More is missed after the person looked: that is not decided.
    let sql = "insert into guard_decisions (tenant, source, class, type, decision, generation, decided_by)
               select tenant, source, class, type, 'confirmed', counted_generation, 'test' from populations where waiting > 0";
    assert_eq!(desk.execute(sql).await, 1);
    gather(&mut desk, &[]).await;
    assert_eq!((desk.number(RUNNING).await, desk.number(WAITING).await), (1, 1));
    assert_eq!(desk.number("select affected from guard_decisions").await, 999);
    // What a person rejects is kept, however often it is missed, until it is found again.
    decide(&mut desk, "rejected").await;
    for _ in 0..4 {
        gather(&mut desk, &[]).await;
        a_day_later(&desk).await;
    }
    assert_eq!((desk.number(RUNNING).await, desk.number(WAITING).await), (1, 0));
    gather(&mut desk, &resources(1)).await;
    assert_eq!(desk.number("select count(*) from resources where kept").await, 0);
    // Nobody decides: enough gathers and time do.
    gather(&mut desk, &resources(40)).await;
    for streak in 1..=3 {
        gather(&mut desk, &resources(20)).await;
        assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (40, streak));
    }
    a_day_later(&desk).await;
    gather(&mut desk, &resources(20)).await;
    assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_begins_a_new_lifetime() {
    let mut desk = Desk::start().await;
    gather(&mut desk, &resources(100)).await;
    // One of a hundred is no doubt.
    gather(&mut desk, &resources(99)).await;
    assert_eq!((desk.number(RUNNING).await, desk.number(WAITING).await), (99, 0));
    gather(&mut desk, &resources(100)).await;
    let lives = "select count(*) from resources where id = 'lkc-99'";
    assert_eq!((desk.number(RUNNING).await, desk.number(lives).await), (100, 2));
    let apart = "select count(*) from resources a join resources b using (tenant, source, type, id)
                 where a.valid_from < b.valid_from and a.valid_to <= b.valid_from";
    assert_eq!(desk.number(apart).await, 1, "one after the other");
    let then = "select count(*) from resources_at('acme', to_timestamp(1700000000))";
    assert_eq!(desk.number(then).await, 100, "the past is as it was");
    let before =
        "select count(*) from resources_in('acme', to_timestamp(0), to_timestamp(1700000000))";
    assert_eq!(desk.number(before).await, 0);
    let rewrite =
        desk.try_execute("update resources set owner = 'x' where valid_to < 'infinity'").await;
    assert!(rewrite.unwrap_err().contains("it is never changed"));
    // Another owner counts from now on.
    let mut owned = resources(100);
    owned[5].owner = Some("user:a".into());
    gather(&mut desk, &owned).await;
    let owner = |at: &str| format!("select count(owner) from resources_at('acme', {at})");
    assert_eq!(desk.number(&owner("now()")).await, 1);
    assert_eq!(desk.number(&owner("to_timestamp(1700000000)")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_inventory_counts_without_being_published() {
    let mut desk = Desk::start().await;
    gather(&mut desk, &resources(3)).await;
    gather(&mut desk, &[]).await;
    for streak in 2..=3 {
        let (generation, in_force) = asked(&mut desk).await;
        let nothing = InventoryBatch::default();
        let inventory = publish(&desk, generation, &nothing, (&["cluster"], true)).await;
        assert_eq!(in_force, Some(inventory.content()));
        let same = GatheredInventory { unchanged: true, ..inventory };
        desk.report(generation, Attempt(1), &ended(same)).await;
        desk.apply().await;
        assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (3, streak));
    }
    // Unchanged against what is no longer in force: nothing of the gather counts.
    let (generation, _) = asked(&mut desk).await;
    let found = InventoryBatch { resources: resources(2), identities: Vec::new() };
    let inventory = publish(&desk, generation, &found, (&["cluster"], true)).await;
    let other = GatheredInventory { unchanged: true, ..inventory };
    desk.report(generation, Attempt(1), &ended(other)).await;
    desk.apply().await;
    assert_eq!((desk.number(RUNNING).await, desk.number(STREAK).await), (3, 3));
    let error =
        "select count(*) from source_state where last_error like '%another one is in force%'";
    assert_eq!(desk.number(error).await, 1);
    // Neither does one whose batches are gone.
    desk.execute("update source_state set next_attempt_at = now()").await;
    let (generation, _) = asked(&mut desk).await;
    let mut inventory = publish(&desk, generation, &found, (&["cluster"], true)).await;
    inventory.found.attempt = Attempt(2);
    desk.report(generation, Attempt(1), &ended(inventory)).await;
    desk.apply().await;
    let error = "select count(*) from source_state where last_error like '%cannot be read%'";
    assert_eq!((desk.number(error).await, desk.number(STREAK).await), (1, 3));
}
