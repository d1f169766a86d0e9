//! Who runs, and what is left when the supervising parent is killed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use proto::line::Measure;
use tests::output::{contents, csv_sums};
use tests::processes::{below, is_alive};
use tests::stand::{PATIENCE, Stand};
use tests::world;

use crate::{assert_holds, day};

const COST: Measure = Measure::Effective;
const ROLES: [&str; 6] =
    ["allocator", "coordinator", "emitter", "gatherer", "nats-server", "postgres"];

#[test]
fn roles_and_servers_are_processes_of_their_own_and_end_with_their_parent() {
    let stand = Stand::new("kills");
    let lines = world::bill(31, "USD", day("2026-05-01"), 5, 40);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/*.csv", COST));
    stand.write("bills/all.csv", world::csv(&lines));

    let mut up = stand.start(&["up"]);
    let children = up.until("every role and server runs", |up| {
        let children = below(up.pid());
        let roles: BTreeSet<_> = children.iter().filter_map(|child| child.role()).collect();
        (roles == ROLES.into()).then_some(children)
    });
    let children = children.unwrap();
    up.signal(Signal::SIGKILL).unwrap();
    let killed = Instant::now();
    up.end(PATIENCE).unwrap();
    while let Some(child) = children.iter().find(|child| is_alive(child)) {
        assert!(killed.elapsed() < Duration::from_secs(5), "{child:?} outlives its parent");
        std::thread::sleep(Duration::from_millis(5));
    }

    // A rerun takes up whatever state that left, and finishes exactly.
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let doubled = stand.database(|client| {
        let sql = "select count(*) from (select line, dimension, share_num, generation from apportion.chargeback_facts
                   group by 1, 2, 3, 4 having count(*) > 1) doubled";
        Ok(client.query_one(sql, &[])?.get::<_, i64>(0))
    });
    assert_eq!(doubled.unwrap(), 0);

    // Asked politely, everything that runs is drained and ends well.
    let mut up = stand.start(&["up"]);
    let before = contents(&stand.csv()).unwrap();
    up.until("the coordinator runs", |up| {
        below(up.pid()).iter().any(|child| child.role() == Some("coordinator")).then_some(())
    })
    .unwrap();
    let children = below(up.pid());
    up.signal(Signal::SIGTERM).unwrap();
    let status = up.end(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(0), "{}", up.said());
    assert!(!children.iter().any(is_alive));
    assert_eq!(contents(&stand.csv()).unwrap(), before);
    assert_eq!(csv_sums(&stand.csv()).unwrap().len(), 1);
}
