//! Workers and coordinators that freeze, wake up, drain, or all die: cases 14, 20, 32, 33, replays while they do (21), and
//! the time until another worker has what a dead one held.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tests::faults::ground::Ground;
use tests::faults::rig::{PATIENCE, Rig};
use tests::faults::role::With;

use crate::{Case, Held};

pub const CASES: [Case; 6] = [
    Case {
        id: "14",
        what: "freeze a worker past its lease; wake it when others did its work",
        everyday: false,
        run: zombies,
    },
    Case {
        id: "20",
        what: "freeze the leading coordinator; wake it when another leads",
        everyday: false,
        run: leaders,
    },
    Case {
        id: "21r",
        what: "three replays, a restatement and a rolling restart of all workers",
        everyday: false,
        run: replays,
    },
    Case { id: "32", what: "SIGTERM every worker in load", everyday: false, run: drains },
    Case {
        id: "33",
        what: "kill -9 everything at once, servers too; start it again",
        everyday: false,
        run: power,
    },
    Case {
        id: "T",
        what: "kill the last worker with default settings; start another one",
        everyday: false,
        run: takeover,
    },
];

const ROUND: Duration = Duration::from_secs(5);

const ZOMBIES: [(&str, &str); 15] = [
    ("gatherer", "gatherer.batch:3"),
    ("gatherer", "gatherer.date_stored:2"),
    ("gatherer", "worker.performed:1"),
    ("gatherer", "worker.reported:1"),
    ("allocator", "allocator.batch:2"),
    ("allocator", "allocator.stored:3"),
    ("allocator", "worker.performed:1"),
    ("emitter", "ledger.copied:1"),
    ("emitter", "ledger.flipped:1"),
    ("emitter", "ledger.committed:1"),
    ("emitter", "worker.performed:1"),
    ("emitter", "worker.reported:1"),
    ("emitter", "emission.drafted:2"),
    ("emitter", "file.sealed:1"),
    ("emitter", "file.renamed:3"),
];

/// While one is frozen another does its work, and a newer bill's; awake again it finishes into the void.
fn zombies(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "zombies")?;
    rig.workers()?;
    let (mut longest, mut seed) = (Duration::ZERO, 0);
    let mut next = |rig: &mut Rig| {
        seed += 1;
        rig.bill("acme", seed, 5, 8)
    };
    for (kind, point) in ZOMBIES {
        rig.end(kind, Signal::SIGTERM, ROUND)?;
        rig.start("zombie", kind, With::faults([format!("{point}:freeze")]))?;
        next(&mut rig)?;
        rig.begin(Vec::new())?;
        rig.frozen("zombie")?;
        let since = Instant::now();
        rig.start(kind, kind, With::default())?;
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        next(&mut rig)?;
        rig.settle(Vec::new())?;
        rig.check()?;
        // Alone with the next bill, it has ended its old work when that one is settled.
        rig.signal("zombie", Signal::SIGCONT)?;
        rig.end(kind, Signal::SIGTERM, ROUND)?;
        next(&mut rig)?;
        rig.settle(Vec::new())?;
        rig.check()?;
        rig.end("zombie", Signal::SIGTERM, ROUND)?;
        rig.start(kind, kind, With::default())?;
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    let note = format!("{} points, {looks} looks of a reader", ZOMBIES.len());
    Ok(Held { faults, recovered: Some(longest), note })
}

const REPLAY: [&str; 8] =
    ["replay", "--tenant", "acme", "--from", "2026-05-01", "--to", "2026-05-31", "--detach"];
const ROUNDS: i64 = 4;

/// Whatever comes first, one result: that of the last bill.
fn replays(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "replays")?;
    rig.workers()?;
    let mut longest = Duration::ZERO;
    for round in 1..=ROUNDS {
        rig.bill("acme", 700 + round.unsigned_abs(), 10, 40)?;
        rig.settle(Vec::new())?;
        for _ in 0..3 {
            rig.ask(&REPLAY)?;
        }
        rig.bill("acme", 800 + round.unsigned_abs(), 10, 40)?;
        rig.injected += 4;
        let since = Instant::now();
        rig.begin(Vec::new())?;
        for kind in ["gatherer", "allocator", "emitter"] {
            rig.end(kind, Signal::SIGTERM, ROUND)?;
            rig.injected += 1;
            rig.start(kind, kind, With::default())?;
        }
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        let sql = "select count(*), count(*) filter (where status = 'done' and units >= 10)
                   from apportion.pipeline_runs where kind = 'replay'";
        let row = rig.client()?.query_one(sql, &[])?;
        let (asked, done): (i64, i64) = (row.get(0), row.get(1));
        ensure!((asked, done) == (3 * round, 3 * round), "{done} of {asked} replays are done");
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    let note = format!("{} replays, {looks} looks of a reader", 3 * ROUNDS);
    Ok(Held { faults, recovered: Some(longest), note })
}

const LEADERS: [&str; 4] = [
    "coordinator.planned:1",
    "coordinator.written:2",
    "coordinator.applying:2",
    "coordinator.applied:2",
];

fn leaders(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "leaders")?;
    rig.workers()?;
    let (mut longest, mut seed) = (Duration::ZERO, 500);
    for (number, point) in LEADERS.into_iter().enumerate() {
        seed += 1;
        rig.bill("acme", seed, 4, 8)?;
        let (first, second) = (format!("first-{number}"), format!("second-{number}"));
        rig.lead(&first, With::faults([format!("{point}:freeze")]))?;
        rig.frozen(&first)?;
        // Of another run, so that it gathers, too.
        let since = Instant::now();
        rig.lead(&second, With::default())?;
        rig.until_right(PATIENCE)?;
        longest = longest.max(since.elapsed());
        // Awake it still believes that it leads, while the other one has a new tenant's bill to do.
        rig.signal(&first, Signal::SIGCONT)?;
        seed += 1;
        rig.bill(&format!("nord-{number}"), seed, 4, 8)?;
        rig.until_right(PATIENCE)?;
        let epoch = "select epoch, holder from apportion.leader";
        let row = rig.client()?.query_one(epoch, &[])?;
        ensure!(row.get::<_, String>(1) == second, "{first} leads again");
        for name in [&first, &second] {
            rig.end(name, Signal::SIGTERM, ROUND)?;
        }
        rig.check()?;
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    let note = format!("{} points, {looks} looks of a reader", LEADERS.len());
    Ok(Held { faults, recovered: Some(longest), note })
}

/// A task that a drained worker did not hand back would wait for the default patience.
fn drains(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "drains")?;
    rig.env.clear();
    let kinds = ["gatherer", "allocator", "emitter"];
    let (mut longest, mut slowest, mut seed) = (Duration::ZERO, Duration::ZERO, 700);
    for kind in kinds {
        rig.start(&format!("{kind}-0"), kind, With::default())?;
    }
    for number in 0..4 {
        for tenant in ["acme", "nord", "zeta"] {
            seed += 1;
            rig.bill(tenant, seed, 20, 40)?;
        }
        rig.begin(Vec::new())?;
        let since = Instant::now();
        for kind in kinds {
            rig.start(&format!("{kind}-{}", number + 1), kind, With::default())?;
        }
        for (at, kind) in kinds.into_iter().enumerate() {
            // At another moment of the work each time.
            let moment = Duration::from_millis(150 * (at as u64 + number));
            rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() >= moment).then_some(())))?;
            rig.injected += 1;
            let asked = Instant::now();
            let status = rig.end(&format!("{kind}-{number}"), Signal::SIGTERM, PATIENCE)?;
            longest = longest.max(asked.elapsed());
            ensure!(status.success(), "a drained {kind} ended with {status}");
        }
        rig.settled()?;
        slowest = slowest.max(since.elapsed());
        rig.check()?;
    }
    ensure!(longest < Duration::from_secs(20), "a drain took {longest:?}");
    ensure!(slowest < Duration::from_secs(20), "work waited for a drained worker: {slowest:?}");
    let (faults, slowest) = (rig.injected, slowest.as_secs_f32());
    rig.finish()?;
    let note = format!("time of a drain; the work took {slowest:.1} s at most");
    Ok(Held { faults, recovered: Some(longest), note })
}

fn power(_: &Ground) -> Result<Held> {
    let mut rig = Rig::with_postgres("power")?;
    let mut longest = Duration::ZERO;
    for number in 0..6 {
        for (at, tenant) in ["acme", "nord"].iter().enumerate() {
            rig.bill(tenant, 800 + 10 * number + at as u64, 8, 15)?;
        }
        rig.workers()?;
        rig.begin(Vec::new())?;
        let since = Instant::now();
        let moment = Duration::from_millis(300 + 200 * number);
        rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() >= moment).then_some(())))?;
        rig.kill_all();
        rig.nats.kill9()?;
        if let Some(postgres) = &mut rig.postgres {
            postgres.kill9()?;
            postgres.restart()?;
        }
        rig.nats.restart()?;
        rig.injected += 2;
        let since = Instant::now();
        rig.workers()?;
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        rig.kill_all();
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{looks} looks of a reader") })
}

const LAST: [(&str, &str); 4] = [
    ("gatherer", "gatherer.batch:2"),
    ("allocator", "allocator.batch:2"),
    ("emitter", "ledger.copied:1"),
    ("emitter", "file.sealed:2"),
];

fn takeover(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "takeover")?;
    rig.env.clear();
    rig.workers()?;
    let (mut longest, mut told) = (Duration::ZERO, Vec::new());
    for (number, (kind, point)) in LAST.into_iter().enumerate() {
        let last = format!("last-{number}");
        rig.end(kind, Signal::SIGTERM, ROUND)?;
        rig.start(&last, kind, With { mortal: true, ..With::faults([point]) })?;
        rig.bill("acme", 900 + number as u64, 4, 10)?;
        rig.begin(Vec::new())?;
        let dead = |rig: &mut Rig| Ok(rig.has_ended(&last).then_some(()));
        rig.until("it dies", PATIENCE, dead)?;
        let since = Instant::now();
        rig.start(kind, kind, With::default())?;
        rig.settled()?;
        let took = since.elapsed();
        ensure!(took < Duration::from_secs(30), "{kind} was replaced after {took:?}");
        longest = longest.max(took);
        told.push(format!("{kind} {:.1} s", took.as_secs_f32()));
        rig.check()?;
    }
    let faults = rig.injected;
    rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{}; limit 30 s", told.join(", ")) })
}
