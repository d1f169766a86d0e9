//! What happens between processes and servers: cases 11, 12 and 15.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tests::faults::ground::Ground;
use tests::faults::rig::{PATIENCE, Rig};
use tests::faults::role::With;
use tests::http::get;
use tests::proxy::{Proxy, Target, Way};

use crate::{Case, Held};

pub const CASES: [Case; 3] = [
    Case {
        id: "11",
        what: "cut or stall (half-open) a process off NATS, Postgres, both",
        everyday: true,
        run: partitions,
    },
    Case {
        id: "12",
        what: "deliver tasks again and again: patience of 100 ms",
        everyday: false,
        run: redeliveries,
    },
    Case { id: "15", what: "a slow NATS and a slow Postgres", everyday: false, run: slow },
];

const ROUND: Duration = Duration::from_secs(5);
/// A half-open connection heals after this time at the latest.
const STALLED_MAX: Duration = Duration::from_secs(12);

/// The ways of a role to its servers.
struct Ways {
    nats: Proxy,
    postgres: Proxy,
}

impl Ways {
    fn of(rig: &Rig) -> Result<Self> {
        let nats = Proxy::start(Target::Tcp(rig.nats.address()))?;
        let postgres = Proxy::start(Target::Unix(rig.database.socket.clone()))?;
        Ok(Self { nats, postgres })
    }

    fn with(&self, rig: &Rig) -> Result<With> {
        let url = rig.nats.url();
        let (token, _) = url.rsplit_once('@').context("a token")?;
        let (address, database) = (self.postgres.address(), &rig.database.name);
        Ok(With {
            nats: Some(format!("{token}@{}", self.nats.address())),
            database: Some(format!("postgresql://apportion@{address}/{database}")),
            ..With::default()
        })
    }
}

/// Of which server a process loses sight.
const SIGHTS: [(&str, bool, bool); 9] = [
    ("gatherer", true, false),
    ("allocator", true, false),
    ("emitter", true, false),
    ("emitter", false, true),
    ("emitter", true, true),
    ("coordinator", true, false),
    ("coordinator", false, true),
    ("coordinator", true, true),
    ("gatherer", true, true),
];

fn partitions(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "partitions")?;
    rig.workers()?;
    let (mut longest, mut seed) = (Duration::ZERO, 4_000);
    let times = if ground.everyday { 1 } else { 2 };
    let sights = if ground.everyday { &SIGHTS[3..5] } else { &SIGHTS[..] };
    for time in 0..times {
        for (at, (kind, nats, postgres)) in sights.iter().copied().enumerate() {
            let ways = Ways::of(&rig)?;
            let stalls = (at + time) % 2 == 0;
            let with = ways.with(&rig)?;
            seed += 1;
            rig.bill("acme", seed, 6, 12)?;
            if kind == "coordinator" {
                rig.lead("coordinator", With { once: true, ..with })?;
            } else {
                rig.end(kind, Signal::SIGTERM, ROUND)?;
                rig.start("cut-off", kind, with)?;
                rig.begin(Vec::new())?;
            }
            let since = Instant::now();
            let moment = Duration::from_millis(300 + 90 * at as u64);
            rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() >= moment).then_some(())))?;
            for proxy in [nats.then_some(&ways.nats), postgres.then_some(&ways.postgres)] {
                let Some(proxy) = proxy else { continue };
                rig.injected += 1;
                proxy.set(if stalls { Way::Stalled } else { Way::Closed });
                if !stalls {
                    proxy.cut();
                }
            }
            let since = Instant::now();
            if kind != "coordinator" {
                rig.start(kind, kind, With::default())?;
            }
            // Whoever can goes on; what nobody else can do waits until it heals.
            let healed = if kind == "coordinator" { Duration::from_secs(3) } else { STALLED_MAX };
            rig.until("others did it, or it heals", PATIENCE, |rig| {
                let done = rig.has_ended("coordinator") || since.elapsed() > healed;
                Ok(done.then_some(()))
            })?;
            ways.nats.set(Way::Open);
            ways.postgres.set(Way::Open);
            rig.settled()?;
            longest = longest.max(since.elapsed());
            rig.check()?;
            if kind != "coordinator" {
                // Alone with the next bill it has ended its old work when that one is settled.
                rig.end(kind, Signal::SIGTERM, ROUND)?;
                seed += 1;
                rig.bill("acme", seed, 6, 12)?;
                rig.settle(Vec::new())?;
                rig.check()?;
                rig.end("cut-off", Signal::SIGTERM, Duration::from_secs(20))?;
                rig.start(kind, kind, With::default())?;
            }
        }
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{looks} looks of a reader") })
}

/// Every task is delivered to somebody else while it is being done.
fn redeliveries(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "redeliveries")?;
    rig.env = vec![("APPORTION_TASK_PATIENCE_MS", "100".to_owned())];
    let kinds = ["gatherer", "allocator", "emitter"];
    let mut addresses = Vec::new();
    for name in 1..=2 {
        for kind in kinds {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
            let env = vec![("APPORTION_METRICS", free.clone())];
            addresses.push(free);
            rig.start(&format!("{kind}-{name}"), kind, With { env, ..With::default() })?;
        }
    }
    let since = Instant::now();
    for seed in 0..6 {
        rig.bill("acme", 5_000 + seed, 6, 150)?;
        rig.bill("nord", 5_100 + seed, 6, 150)?;
        rig.settle(Vec::new())?;
        rig.check()?;
    }
    let longest = since.elapsed() / 6;
    let redelivered: u64 = addresses.iter().map(|address| counted(address)).sum();
    ensure!(redelivered > 0, "nothing was ever delivered twice");
    let looks = rig.finish()?;
    let note = format!("redeliveries; time of a bill; {looks} looks of a reader");
    Ok(Held { faults: redelivered, recovered: Some(longest), note })
}

fn counted(address: &str) -> u64 {
    let page = get(address, "/metrics");
    let counts = page.lines().filter(|line| line.starts_with("apportion_redeliveries_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Bytes per second.
const SLOW: u64 = 128 * 1024;
/// What a worker may take of memory; unoptimised it is larger than in production.
const MEMORY_MAX: u64 = 300 * 1024 * 1024;

fn slow(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "slow")?;
    rig.env.clear();
    rig.workers()?;
    let (mut longest, mut most) = (Duration::ZERO, 0);
    for (number, kind) in ["emitter", "allocator", "gatherer"].into_iter().enumerate() {
        let ways = Ways::of(&rig)?;
        ways.nats.set(Way::Slow(SLOW));
        ways.postgres.set(Way::Slow(SLOW));
        rig.injected += 2;
        rig.end(kind, Signal::SIGTERM, ROUND)?;
        let with = ways.with(&rig)?;
        rig.start("slow", kind, with)?;
        rig.bill("acme", 6_000 + number as u64, 2, 2_000)?;
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        let pid = rig.pid("slow")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(peak.context("its peak memory")? * 1024);
        let carried = ways.nats.carried() + ways.postgres.carried();
        ensure!(carried > SLOW, "only {carried} bytes passed the slow ways");
        rig.end("slow", Signal::SIGTERM, Duration::from_secs(20))?;
        rig.start(kind, kind, With::default())?;
    }
    ensure!(most < MEMORY_MAX, "a worker took {most} bytes of memory");
    let faults = rig.injected;
    let looks = rig.finish()?;
    let mega = most / 1_000_000;
    let note = format!("128 KiB/s; {mega} MB of memory at most; {looks} looks of a reader");
    Ok(Held { faults, recovered: Some(longest), note })
}
