//! Servers that die, stop, come back empty or damaged: cases 6 and 9.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tests::faults::ground::Ground;
use tests::faults::rig::{PATIENCE, Rig};

use crate::{Case, Held};

pub const CASES: [Case; 2] = [
    Case { id: "6", what: "stop and kill -9 nats-server in load", everyday: true, run: nats },
    Case { id: "9", what: "stop and kill -9 Postgres in load", everyday: false, run: postgres },
];

/// The work of three tenants begins; at that moment of it something happens.
fn in_load(rig: &mut Rig, seed: u64, moment: Duration) -> Result<()> {
    for (at, tenant) in ["acme", "nord", "zeta"].iter().enumerate() {
        rig.bill(tenant, seed + 100 * at as u64, 8, 15)?;
    }
    rig.begin(Vec::new())?;
    let since = Instant::now();
    rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() >= moment).then_some(())))
}

fn nats(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "nats")?;
    rig.workers()?;
    let mut longest = Duration::ZERO;
    for number in 0..if ground.everyday { 2 } else { 12 } {
        in_load(&mut rig, 2_000 + number, Duration::from_millis(250 + 130 * number))?;
        if number % 2 == 0 {
            rig.nats.kill9()?;
        } else {
            rig.nats.stop()?;
        }
        rig.injected += 1;
        rig.nats.restart()?;
        let since = Instant::now();
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{looks} looks of a reader") })
}

fn postgres(_: &Ground) -> Result<Held> {
    let mut rig = Rig::with_postgres("postgres")?;
    rig.workers()?;
    let mut longest = Duration::ZERO;
    for number in 0..12 {
        in_load(&mut rig, 3_000 + number, Duration::from_millis(250 + 130 * number))?;
        let server = rig.postgres.as_mut().context("it has one of its own")?;
        if number % 2 == 0 {
            server.kill9()?;
        } else {
            server.stop()?;
        }
        server.restart()?;
        rig.injected += 1;
        let since = Instant::now();
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{looks} looks of a reader") })
}
