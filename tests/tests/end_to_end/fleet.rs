//! Who dies, freezes or drains, and who takes over: coordinators by their lease, workers by what they hold.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use proto::ids::TenantId;
use proto::line::Measure;
use proto::subject::partition;
use tests::faults::rig::{PATIENCE as RIG_PATIENCE, Rig};
use tests::faults::role::With;
use tests::processes::{is_alive, kill9, signal};
use tests::roles::{self, Role};
use tests::stand::{PATIENCE, Stand, Started};
use tests::world::{self, Line};

use crate::{assert_holds, day};

const COST: Measure = Measure::Effective;

/// A tenant with a bill of some days; a coordinator that leads takes it up within seconds.
fn tenant(stand: &Stand, name: &str, seed: u64) -> Vec<Line> {
    let lines = world::bill(seed, "USD", day("2026-05-01"), 6, 20);
    let files = format!("bills/{name}.csv");
    stand.write(&files, world::csv(&lines));
    stand.write(&format!("tenants/{name}.yaml"), world::tenant("USD", &files, COST));
    lines
}

/// Waits until all six dates of a tenant are visible.
fn until_visible(stand: &Stand, up: &mut Started, name: &str) {
    up.until(&format!("{name} is visible"), |_| {
        let sql =
            "select count(*) from apportion.pipeline_state where tenant = $1 and state = 'visible'";
        let ask =
            |client: &mut postgres::Client| Ok(client.query_one(sql, &[&name])?.get::<_, i64>(0));
        (stand.database(ask).ok()? == 6).then_some(())
    })
    .expect("it becomes visible");
}

/// Ends a standing run politely; what it left is complete, exact and emitted.
fn assert_whole(stand: &Stand, mut up: Started, tenants: &[(&str, Vec<Line>)]) {
    up.signal(Signal::SIGTERM).expect("it runs");
    assert_eq!(up.end(PATIENCE).expect("it ends").code(), Some(0), "{}", up.said());
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_eq!(run.summary["units"], 0, "all was done before: {}", run.summary);
    for (name, lines) in tenants {
        assert_holds(stand, &run, name, lines, COST);
    }
}

fn leads(role: &&Role) -> bool {
    role.metric("apportion_leads").as_deref() == Some("1")
}

#[test]
fn a_coordinator_that_freezes_or_dies_is_followed_and_wakes_up_to_do_no_harm() {
    let stand = Stand::with_servers("coordinators", None).unwrap();
    let acme = tenant(&stand, "acme", 51);
    let mut up = stand.start(&["up", "--coordinators", "2"]);
    let all = roles::all(&mut up).unwrap();
    let pair: Vec<Role> = all.into_iter().filter(|r| r.name.starts_with("coordinator")).collect();
    assert_eq!(pair.len(), 2);
    until_visible(&stand, &mut up, "acme");
    let first = up.until("one leads", |_| pair.iter().find(leads)).unwrap();
    let second = pair.iter().find(|role| role.name != first.name).unwrap();
    assert!(!leads(&second), "two lead at once");

    // Frozen, the leader keeps what it holds and its connections: only its lease tells.
    let frozen = first.process(&up).unwrap();
    assert!(signal(frozen.pid, Signal::SIGSTOP));
    let since = Instant::now();
    up.until("the other leads", |_| leads(&second).then_some(())).unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "took over after {:?}", since.elapsed());
    let zeta = tenant(&stand, "zeta", 52);
    until_visible(&stand, &mut up, "zeta");

    // Awake again it still believes that it leads, until Postgres tells it otherwise.
    assert!(signal(frozen.pid, Signal::SIGCONT));
    up.until("it knows that it does not lead", |_| {
        (first.metric("apportion_leads").as_deref() == Some("0")).then_some(())
    })
    .unwrap();
    assert!(leads(&second) && is_alive(&frozen));
    let nord = tenant(&stand, "nord", 53);
    until_visible(&stand, &mut up, "nord");

    // Killed, it is started again and leads on: the lease is its own.
    let killed = second.process(&up).unwrap();
    assert!(kill9(killed.pid));
    let since = Instant::now();
    up.until("one leads again", |_| pair.iter().find(leads)).unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "led after {:?}", since.elapsed());
    let last = tenant(&stand, "omega", 54);
    until_visible(&stand, &mut up, "omega");
    assert_whole(&stand, up, &[("acme", acme), ("zeta", zeta), ("nord", nord), ("omega", last)]);
}

#[test]
fn what_a_frozen_or_killed_worker_holds_is_taken_over_and_who_drains_ends_in_time() {
    let stand = Stand::with_servers("workers", None).unwrap();
    let acme = tenant(&stand, "acme", 61);
    let args = ["up", "--gatherers", "2", "--allocators", "2", "--emitters", "2"];
    let mut up = stand.start(&args);
    let all = roles::all(&mut up).unwrap();
    until_visible(&stand, &mut up, "acme");

    // A frozen worker's requests for work stay open, so tasks are still handed to it: it holds what it never does.
    let of_each = ["gatherer-1", "allocator-1", "emitter-1"];
    let frozen = of_each.map(|name| {
        let role = all.iter().find(|role| role.name == name).unwrap();
        role.process(&up).unwrap()
    });
    for process in &frozen {
        assert!(signal(process.pid, Signal::SIGSTOP));
    }
    let zeta = tenant(&stand, "zeta", 62);
    until_visible(&stand, &mut up, "zeta");
    for process in &frozen {
        assert!(signal(process.pid, Signal::SIGCONT));
    }

    // Killed without a word while work is under way.
    let nord = tenant(&stand, "nord", 63);
    for process in &frozen {
        assert!(kill9(process.pid));
    }
    until_visible(&stand, &mut up, "nord");

    // Asked to end while work is under way, a worker finishes or hands back; the work goes on with the others.
    let omega = tenant(&stand, "omega", 64);
    for name in ["gatherer-2", "allocator-2", "emitter-2"] {
        let role = all.iter().find(|role| role.name == name).unwrap();
        let drained = role.process(&up).unwrap();
        assert!(signal(drained.pid, Signal::SIGTERM));
        let since = Instant::now();
        up.until("it has ended", |_| (!is_alive(&drained)).then_some(())).unwrap();
        assert!(since.elapsed() < Duration::from_secs(20), "{name}: {:?}", since.elapsed());
    }
    until_visible(&stand, &mut up, "omega");
    assert_whole(&stand, up, &[("acme", acme), ("zeta", zeta), ("nord", nord), ("omega", omega)]);
}

/// Every process that did a step of a tenant's, with the tenant.
const WHO: &str = "select distinct r.tenant, unnest(s.workers) from apportion.run_steps s
                   join apportion.pipeline_runs r using (run_id) where r.tenant is not null";

#[test]
fn workers_serve_the_tenants_of_their_partitions_and_no_others() {
    let mut rig = Rig::with_postgres("shares").unwrap();
    rig.env.push(("APPORTION_SHARDS", "2".to_owned()));
    let is_low = |name: &str| partition(&TenantId::parse(name).expect("an id")) < 32;
    let names = ["acme", "globex", "initech", "nordwind", "pixelforge", "sunbird"];
    let (low, high): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| is_low(name));
    assert!(!low.is_empty() && !high.is_empty(), "{low:?} {high:?}");
    for (seed, name) in names.iter().enumerate() {
        rig.bill(name, 70 + seed as u64, 2, 4).unwrap();
    }
    let start = |rig: &mut Rig, half: &str, partitions: &'static str| {
        for kind in ["gatherer", "allocator", "emitter"] {
            let name = format!("{kind}-{half}");
            let env = vec![("APPORTION_NAME", name.clone())];
            let args = vec!["--partitions", partitions];
            rig.start(&name, kind, With { args, env, ..With::default() }).expect("it starts");
        }
    };
    let visible = "select distinct tenant from apportion.pipeline_state where state = 'visible' order by tenant";
    let gathering = "select tenant from apportion.source_state where gather_subject is not null order by tenant";
    let tenants = |rig: &Rig, sql: &str| -> anyhow::Result<Vec<String>> {
        Ok(rig.client()?.query(sql, &[])?.iter().map(|row| row.get(0)).collect())
    };
    start(&mut rig, "low", "0-31");
    rig.lead("coordinator", With::default()).unwrap();
    rig.until("one half is visible", RIG_PATIENCE, |rig| {
        Ok((tenants(rig, visible)? == low).then_some(()))
    })
    .unwrap();
    assert_eq!(tenants(&rig, gathering).unwrap(), high, "nobody took the other half");

    start(&mut rig, "high", "32-63");
    rig.until_right(RIG_PATIENCE).unwrap();
    let half = |name: &str| if is_low(name) { "low" } else { "high" };
    let kinds = |name: &str| {
        ["allocator", "emitter", "gatherer"].map(|kind| format!("{kind}-{}", half(name)))
    };
    let wanted =
        names.iter().flat_map(|name| kinds(name).map(|worker| ((*name).to_owned(), worker)));
    let wanted: Vec<(String, String)> = wanted.collect();
    let seen = rig.until("every step is counted", RIG_PATIENCE, |rig| {
        let rows = rig.client()?.query(WHO, &[])?;
        let mut seen: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        seen.sort();
        Ok((seen.len() >= wanted.len()).then_some(seen))
    });
    assert_eq!(seen.unwrap(), wanted);
    rig.finish().unwrap();
}
