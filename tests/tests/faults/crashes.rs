//! Processes that die at every point that matters: cases 1 to 4.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::faults::ground::Ground;
use tests::faults::rig::Rig;
use tests::faults::role::With;
use tests::output;

use crate::{Case, Held};

pub const CASES: [Case; 4] = [
    Case {
        id: "1",
        what: "abort a gatherer from its first line to its acknowledgement",
        everyday: false,
        run: |ground| workers(ground, "gatherer", &GATHERER, 6),
    },
    Case {
        id: "2",
        what: "abort an allocator from its first read to its acknowledgement",
        everyday: false,
        run: |ground| workers(ground, "allocator", &ALLOCATOR, 6),
    },
    Case {
        id: "3",
        what: "abort an emitter around COPY, reveal, commit and rename",
        everyday: false,
        run: |ground| workers(ground, "emitter", &EMITTER, 6),
    },
    Case {
        id: "4",
        what: "abort a coordinator between its commits and its messages",
        everyday: false,
        run: coordinator,
    },
];

const GATHERER: [&str; 9] = [
    "gatherer.collected",
    "gatherer.batch",
    "gatherer.batch:4",
    "gatherer.date_stored:2",
    "gatherer.date_reported",
    "gatherer.date_reported:5",
    "worker.performed",
    "worker.reported",
    "worker.acknowledged",
];
const ALLOCATOR: [&str; 8] = [
    "allocator.read",
    "allocator.batch",
    "allocator.batch:3",
    "allocator.stored",
    "allocator.stored:4",
    "worker.performed",
    "worker.reported",
    "worker.acknowledged",
];
const EMITTER: [&str; 15] = [
    "ledger.group",
    "ledger.lines",
    "ledger.copied",
    "ledger.flipped",
    "ledger.committed",
    "worker.performed",
    "worker.reported",
    "worker.acknowledged",
    "emission.drafted:2",
    "file.sealed",
    "file.sealed:3",
    "file.renamed",
    "file.renamed:4",
    "emission.published",
    "worker.reported:3",
];
const COORDINATOR: [&str; 14] = [
    "coordinator.planned",
    "coordinator.written",
    "coordinator.written:2",
    "coordinator.written:3",
    "coordinator.task",
    "coordinator.task:2",
    "coordinator.sent",
    "coordinator.sent:2",
    "coordinator.applying",
    "coordinator.applying:2",
    "coordinator.applied",
    "coordinator.applied:3",
    "coordinator.acknowledged",
    "coordinator.acknowledged:2",
];

/// Bills that follow each other over and over: of every date each says something else.
const VERSIONS: u64 = 4;
const TENANTS: [&str; 2] = ["acme", "nord"];
/// A role that dies without end is armed with so many faults before a bill changes.
const FAULTS_OF_A_ROUND: usize = 4;

type Files = BTreeMap<String, String>;

fn lay(rig: &mut Rig, version: u64) -> Result<()> {
    for (number, tenant) in TENANTS.iter().enumerate() {
        rig.bill(tenant, 100 * number as u64 + version, 6, 8)?;
    }
    Ok(())
}

/// What each bill comes to while nothing fails: every fault must leave just these files (I9).
fn quiet(rig: &mut Rig) -> Result<Vec<Files>> {
    let mut files = Vec::new();
    for version in 0..VERSIONS {
        lay(rig, version)?;
        rig.settle(Vec::new())?;
        rig.check()?;
        files.push(output::contents(&rig.csv())?);
    }
    Ok(files)
}

fn same(rig: &Rig, wanted: &Files) -> Result<()> {
    rig.check()?;
    ensure!(output::contents(&rig.csv())? == *wanted, "I9: the files are not those of a quiet run");
    Ok(())
}

/// Every point was come by.
fn all_crashed(rig: &Rig, points: &[&str]) -> Result<()> {
    let name = |point: &&str| point.split(':').next().unwrap_or_default().to_owned();
    let wanted: BTreeSet<String> = points.iter().map(name).collect();
    let never: Vec<_> = wanted.iter().filter(|p| !rig.crashed.contains_key(*p)).collect();
    ensure!(
        never.is_empty(),
        "nobody ever died at {never:?}: was the program built with `--features faults`?"
    );
    Ok(())
}

fn workers(ground: &Ground, kind: &'static str, points: &[&str], times: usize) -> Result<Held> {
    let mut rig = Rig::new(ground, kind)?;
    rig.workers()?;
    let quiet = quiet(&mut rig)?;
    let (mut longest, mut version) = (Duration::ZERO, 0);
    let all: Vec<&str> = std::iter::repeat_n(points, times).flatten().copied().collect();
    for faults in all.chunks(FAULTS_OF_A_ROUND) {
        rig.end(kind, nix::sys::signal::Signal::SIGTERM, Duration::from_secs(5))?;
        rig.start(kind, kind, With::faults(faults.iter().copied()))?;
        lay(&mut rig, version)?;
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        let wanted = quiet.get(usize::try_from(version)?);
        wanted.map_or(Ok(()), |wanted| same(&rig, wanted))?;
        version = (version + 1) % VERSIONS;
    }
    ended(rig, points, longest)
}

fn coordinator(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "coordinator")?;
    rig.workers()?;
    let quiet = quiet(&mut rig)?;
    let (mut longest, mut version) = (Duration::ZERO, 0);
    let all: Vec<&str> = std::iter::repeat_n(&COORDINATOR, 8).flatten().copied().collect();
    for faults in all.chunks(FAULTS_OF_A_ROUND) {
        lay(&mut rig, version)?;
        let since = Instant::now();
        rig.settle(faults.iter().map(|fault| (*fault).to_owned()).collect())?;
        longest = longest.max(since.elapsed());
        let wanted = quiet.get(usize::try_from(version)?);
        wanted.map_or(Ok(()), |wanted| same(&rig, wanted))?;
        version = (version + 1) % VERSIONS;
    }
    ended(rig, &COORDINATOR, longest)
}

fn ended(rig: Rig, points: &[&str], longest: Duration) -> Result<Held> {
    all_crashed(&rig, points)?;
    let (faults, points) = (rig.injected, rig.crashed.len());
    let looks = rig.finish()?;
    let note = format!("{points} points, {looks} looks of a reader");
    Ok(Held { faults, recovered: Some(longest), note })
}
