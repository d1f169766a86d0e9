//! Servers and disks that die, fill up, come back empty or damaged, or refuse: cases 6, 8, 9, 10 and 16.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tests::faults::ground::Ground;
use tests::faults::oracle::COST;
use tests::faults::rig::{PATIENCE, Rig};
use tests::faults::role::With;
use tests::world;

use crate::{Case, Held};

pub const CASES: [Case; 5] = [
    Case { id: "6", what: "stop and kill -9 nats-server in load", everyday: true, run: nats },
    Case {
        id: "8",
        what: "flip, cut and remove what nats-server stores; wipe all of it",
        everyday: false,
        run: damage,
    },
    Case { id: "9", what: "stop and kill -9 Postgres in load", everyday: false, run: postgres },
    Case {
        id: "10",
        what: "SQLSTATE 40001, 40P01, 53300, 25006; a database that takes nobody in",
        everyday: false,
        run: refusals,
    },
    Case {
        id: "16",
        what: "full streams of NATS, a full disk of an emitter",
        everyday: false,
        run: full,
    },
];

const TENANTS: [&str; 3] = ["acme", "nord", "zeta"];

fn lay(rig: &mut Rig, seed: u64) -> Result<()> {
    for (at, tenant) in TENANTS.iter().enumerate() {
        rig.bill(tenant, seed + 100 * at as u64, 8, 15)?;
    }
    Ok(())
}

/// The work of three tenants begins; it is let be until that moment.
fn in_load(rig: &mut Rig, seed: u64, moment: Duration) -> Result<()> {
    lay(rig, seed)?;
    rig.begin(Vec::new())?;
    pass(rig, moment)
}

fn pass(rig: &mut Rig, time: Duration) -> Result<()> {
    let since = Instant::now();
    rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() >= time).then_some(())))
}

fn ended(rig: Rig, longest: Duration, note: &str) -> Result<Held> {
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{note}{looks} looks of a reader") })
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
    ended(rig, longest, "")
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
    ended(rig, longest, "")
}

/// Rules that split otherwise: every date is calculated again, from the lines on the stream.
fn other_rules(rig: &Rig, odd: bool) -> Result<()> {
    for tenant in TENANTS {
        let rules = world::tenant("USD", &format!("bills/{tenant}.csv"), COST);
        let other =
            rules.replace("search: 39.5, data-platform: 0.5", "search: 38, data-platform: 2");
        ensure!(other != rules, "the rules are others");
        rig.write(&format!("tenants/{tenant}.yaml"), if odd { other } else { rules })?;
    }
    Ok(())
}

/// The message blocks of streams.
fn blocks(rig: &Rig, stream: &str) -> Result<Vec<PathBuf>> {
    let streams = rig.path("nats/store/jetstream/$G/streams");
    let folder = streams.join(stream).join("msgs");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "blk") {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "{} holds no block", folder.display());
    Ok(found)
}

fn flip(path: &Path) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 0x10], middle)?;
    Ok(())
}

fn cut(path: &Path) -> Result<()> {
    let file = fs::File::options().write(true).open(path)?;
    let len = file.metadata()?.len();
    Ok(file.set_len(len / 2)?)
}

type Damage = fn(&Rig) -> Result<()>;

fn damage(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "damage")?;
    rig.workers()?;
    let damages: [Damage; 4] = [
        |rig| blocks(rig, "APPORTION_LINE")?.iter().try_for_each(|path| flip(path)),
        |rig| blocks(rig, "APPORTION_LINE")?.iter().try_for_each(|path| cut(path)),
        |rig| Ok(fs::remove_dir_all(rig.path("nats/store/jetstream/$G/streams/APPORTION_LINE"))?),
        |rig| Ok(fs::remove_dir_all(rig.path("nats/store"))?),
    ];
    let mut longest = Duration::ZERO;
    for (number, damage) in damages.iter().cycle().take(8).enumerate() {
        lay(&mut rig, 7_000 + number as u64)?;
        rig.settle(Vec::new())?;
        rig.check()?;
        rig.nats.stop()?;
        damage(&rig)?;
        fs::create_dir_all(rig.path("nats/store"))?;
        rig.injected += 1;
        rig.nats.restart()?;
        // Nothing that was visible changed.
        rig.check()?;
        other_rules(&rig, number % 2 == 0)?;
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "")
}

/// Of so many statements that write, one fails; a sequence counts, which no rollback turns back.
const TRIGGER: &str = "
create sequence public.injected;
create or replace function public.inject() returns trigger language plpgsql as $$
begin
  if random() < 0.012 then
    perform nextval('public.injected');
    raise exception 'injected' using errcode = tg_argv[0];
  end if;
  return null;
end $$;";
const TABLES: [&str; 6] =
    ["commits", "pipeline_state", "tasks", "emission_records", "staged_dates", "line_archive"];

fn refusals(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "refusals")?;
    rig.workers()?;
    rig.client()?.batch_execute(TRIGGER)?;
    let mut longest = Duration::ZERO;
    for (number, code) in ["40001", "40P01", "53300", "25006"].into_iter().enumerate() {
        let mut client = rig.client()?;
        for table in TABLES {
            client.batch_execute(&format!(
                "create trigger inject after insert or update on apportion.{table}
                 for each statement execute function public.inject('{code}')"
            ))?;
        }
        for round in 0..3 {
            let since = Instant::now();
            in_load(&mut rig, 8_000 + 10 * number as u64 + round, Duration::from_millis(100))?;
            rig.settled()?;
            longest = longest.max(since.elapsed());
            rig.check()?;
        }
        for table in TABLES {
            client.batch_execute(&format!("drop trigger inject on apportion.{table}"))?;
        }
    }
    let sql = "select case when is_called then last_value else 0 end from public.injected";
    let injected = rig.client()?.query_one(sql, &[])?.get::<_, i64>(0);
    rig.injected += u64::try_from(injected)?;
    ensure!(injected > 20, "only {injected} statements failed");
    // Read-only as after a failover, then closed to all.
    let name = rig.database.name.clone();
    let away = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = $1 and application_name like 'apportion %'";
    for (number, (ill, well)) in [
        ("set default_transaction_read_only = on", "reset default_transaction_read_only"),
        ("allow_connections false", "allow_connections true"),
    ]
    .into_iter()
    .enumerate()
    {
        in_load(&mut rig, 8_500 + number as u64, Duration::from_millis(400))?;
        let mut client = ground.client()?;
        client.batch_execute(&format!("alter database {name} {ill}"))?;
        client.execute(away, &[&name])?;
        rig.injected += 1;
        pass(&mut rig, Duration::from_secs(2))?;
        client.batch_execute(&format!("alter database {name} {well}"))?;
        // Sessions of the meantime are still read-only.
        client.execute(away, &[&name])?;
        let since = Instant::now();
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "")
}

/// A disk of its own, if this account may have one.
struct Disk(PathBuf);

impl Disk {
    fn at(folder: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder)
            .output()?;
        Ok(mounted.status.success().then(|| Self(folder.to_owned())))
    }

    fn room(&self) -> Result<()> {
        let mounted =
            Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).output()?;
        ensure!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        match Command::new("umount").arg("-l").arg(&self.0).output() {
            Ok(done) if done.status.success() => {}
            failed => eprintln!("{} stays mounted: {failed:?}", self.0.display()),
        }
    }
}

fn full(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "full")?;
    rig.workers()?;
    // A stream that holds a bill and not the next one: gathers wait, and what is visible stays.
    let small = vec![("APPORTION_STREAM_BYTES_MAX", "400000".to_owned())];
    let mut longest = Duration::ZERO;
    let mut seed = 9_000;
    rig.lead("small", With { env: small, ..With::default() })?;
    let refused = loop {
        seed += 1;
        rig.bill("acme", seed, 6, 150)?;
        let right = rig.until_right(Duration::from_secs(12));
        if right.is_err() {
            break rig.check().is_err();
        }
        ensure!(seed < 9_010, "the streams never were full");
        rig.end("small", Signal::SIGTERM, Duration::from_secs(5))?;
        let small = vec![("APPORTION_STREAM_BYTES_MAX", "400000".to_owned())];
        rig.lead("small", With { env: small, ..With::default() })?;
    };
    ensure!(refused, "a bill that does not fit is visible");
    rig.injected += 1;
    rig.end("small", Signal::SIGTERM, Duration::from_secs(5))?;
    let since = Instant::now();
    rig.settle(Vec::new())?;
    longest = longest.max(since.elapsed());
    rig.check()?;
    let mut note = "streams, a file in the way of the folder";
    let out = rig.config().join("out");
    fs::rename(rig.csv(), out.join("aside"))?;
    fs::write(rig.csv(), "in the way")?;
    rig.injected += 1;
    rig.bill("acme", 9_100, 6, 20)?;
    rig.begin(Vec::new())?;
    pass(&mut rig, Duration::from_secs(3))?;
    fs::remove_file(rig.csv())?;
    fs::rename(out.join("aside"), rig.csv())?;
    let since = Instant::now();
    rig.settled()?;
    longest = longest.max(since.elapsed());
    rig.check()?;
    if let Some(disk) = Disk::at(&rig.path("disk"))? {
        note = "streams, a file in the way of the folder, a disk of 64 KiB";
        // The next start of a coordinator finds the old files in another place, and writes them there.
        fs::remove_dir_all(rig.csv())?;
        std::os::unix::fs::symlink(rig.path("disk"), rig.csv())?;
        rig.injected += 1;
        rig.bill("acme", 9_101, 6, 60)?;
        rig.begin(Vec::new())?;
        pass(&mut rig, Duration::from_secs(4))?;
        ensure!(!rig.has_ended("coordinator"), "64 KiB were enough");
        disk.room()?;
        let since = Instant::now();
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        // The disk goes away, and with it every file.
        fs::remove_file(rig.csv())?;
        drop(disk);
        rig.injected += 1;
        rig.settle(Vec::new())?;
        rig.check()?;
    }
    ended(rig, longest, &format!("{note}; "))
}
