//! The same lines and rules give the same bytes, whatever the order, the number of processes, the server, the past.

use std::collections::BTreeMap;

use proto::line::Measure;
use tests::output::{contents, files, touched};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Billed;
const DATES: usize = 3;

fn lines() -> Vec<Line> {
    world::bill(21, "USD", day("2026-04-29"), 3, 40)
}

fn set_up(stand: &Stand, files: &[&[Line]]) {
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/*.csv", COST));
    for (number, lines) in files.iter().enumerate() {
        stand.write(&format!("bills/{number}.csv"), world::csv(*lines));
    }
}

/// The files of a first run.
fn emitted(stand: &Stand, more: &[&str]) -> BTreeMap<String, String> {
    let run = stand.run_once(more);
    assert_done(&run, DATES);
    assert_holds(stand, &run, "acme", &lines(), COST);
    contents(&stand.csv()).expect("files that can be read")
}

/// First runs over both, side by side, emit the same.
fn assert_same(one: (&Stand, &[&str]), other: (&Stand, &[&str])) {
    let (one, other) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| emitted(other.0, other.1));
        (emitted(one.0, one.1), beside.join().expect("the other run passes its checks"))
    });
    assert!(one == other, "{one:#?}\nand\n{other:#?}");
}

#[test]
fn order_of_lines_and_number_of_allocators_do_not_show() {
    let (stand, other) = (Stand::new("order"), Stand::new("shuffled"));
    set_up(&stand, &[&lines()]);
    let shuffled = world::shuffled(&lines(), 22);
    set_up(&other, &[&shuffled[..50], &shuffled[50..]]);
    let more = ["--allocators", "3", "--gatherers", "2", "--emitters", "2"];
    assert_same((&stand, &[]), (&other, &more));
}

#[test]
fn a_wiped_nats_costs_nothing_but_time() {
    let mut stand = Stand::new("wiped");
    set_up(&stand, &[&lines()]);
    let expected = emitted(&stand, &[]);
    let before = files(&stand.csv()).unwrap();
    stand.wipe_nats().unwrap();
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(touched(&before, &files(&stand.csv()).unwrap()), Vec::<String>::new());

    // Other rules need the lines again, which the stream no longer holds.
    let rules = world::tenant("USD", "bills/*.csv", COST);
    stand.wipe_nats().unwrap();
    stand.write(
        "tenants/acme.yaml",
        rules.replace("checkout: 60, search: 39.5", "checkout: 59, search: 40.5"),
    );
    let run = stand.run_once(&[]);
    assert_done(&run, DATES);
    assert_holds(&stand, &run, "acme", &lines(), COST);
    assert_ne!(contents(&stand.csv()).unwrap(), expected);

    // And back, once more without it: as if nothing had been.
    stand.wipe_nats().unwrap();
    stand.write("tenants/acme.yaml", rules);
    assert_eq!(emitted(&stand, &[]), expected);
}

#[test]
fn majors_of_postgres_do_not_show() {
    let newest = Stand::with_servers("newest", None).unwrap();
    set_up(&newest, &[&lines()]);
    // The oldest that is here: 15 on Debian 12, and beside the newest in the pinned tools.
    let oldest = (14..18).find_map(|major| {
        let stand = Stand::with_servers("oldest", Some(major));
        stand.inspect_err(|error| println!("Postgres {major}: {error:#}")).ok()
    });
    let Some(oldest) = oldest else {
        println!("skipped: there is no other Postgres here");
        return;
    };
    let version = |stand: &Stand| {
        let sql = "select current_setting('server_version_num')::int / 10000";
        stand.database(|client| Ok(client.query_one(sql, &[])?.get::<_, i32>(0))).unwrap()
    };
    let majors = (version(&oldest), version(&newest));
    assert!(majors.0 < majors.1, "{majors:?}");
    set_up(&oldest, &[&lines()]);
    assert_same((&newest, &[]), (&oldest, &[]));
    println!("the same bytes on Postgres {majors:?}");
}
