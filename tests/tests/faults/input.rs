//! What comes in wrong, late, twice or too new: cases 18, 19, 21 to 27, 29 and 31.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nix::sys::signal::Signal;
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::subject::{self, Lane, Step, Stream};
use proto::task::{Remove, Task};
use runtime::bus::{Bus, BusError, Put};
use tests::confluent::{Fault, Organization, everything};
use tests::faults::ground::Ground;
use tests::faults::oracle::{Bill, COST};
use tests::faults::rig::{PATIENCE, Rig};
use tests::faults::role::With;
use tests::http::Answer;
use tests::world::{self, Line};

use crate::{Case, Held};

pub const CASES: [Case; 10] = [
    Case {
        id: "18",
        what: "bad records in bills, undecodable and impossible messages",
        everyday: false,
        run: poison,
    },
    Case { id: "19", what: "records too large for any message", everyday: false, run: oversized },
    Case {
        id: "21",
        what: "three backfills of the same dates at once, beside a live gather",
        everyday: false,
        run: backfills,
    },
    Case {
        id: "22",
        what: "a bill that changes while it is gathered, again and again",
        everyday: false,
        run: revisions,
    },
    Case {
        id: "23",
        what: "an API that has nothing, 404, 500, an empty page; 24: told twice",
        everyday: false,
        run: nothing,
    },
    Case {
        id: "25",
        what: "the same batch published again, long after",
        everyday: false,
        run: published_again,
    },
    Case {
        id: "26",
        what: "streams that aged out before rules change",
        everyday: false,
        run: aged,
    },
    Case {
        id: "27",
        what: "all tasks and reports that are under way vanish",
        everyday: false,
        run: vanished,
    },
    Case { id: "29", what: "a task of a newer schema", everyday: false, run: newer },
    Case {
        id: "31",
        what: "emitted files cut, changed, removed; half a file beside one",
        everyday: false,
        run: files,
    },
];

const SECONDS: Duration = Duration::from_secs(5);

fn ended(rig: Rig, longest: Duration, note: &str) -> Result<Held> {
    let faults = rig.injected;
    let looks = rig.finish()?;
    Ok(Held { faults, recovered: Some(longest), note: format!("{note}{looks} looks of a reader") })
}

/// Works on the bus of a case.
fn on_bus<T>(rig: &Rig, work: impl AsyncFnOnce(Bus) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = rig.nats.url();
    runtime.block_on(async { work(Bus::connect(&url, "test").await?).await })
}

fn acme() -> Result<(TenantId, SourceId)> {
    Ok((TenantId::parse("acme")?, SourceId::parse("cloud")?))
}

/// What is wrong with a line.
const MISTAKES: [(&str, &str); 7] = [
    ("EffectiveCost", "12,5"),
    ("EffectiveCost", "NaN"),
    ("EffectiveCost", "1e400"),
    ("EffectiveCost", "79228162514264337593543950336123"),
    ("EffectiveCost", " "),
    ("ChargePeriodStart", "2026-13-01"),
    ("BillingCurrency", "dollars"),
];

/// Lays a bill there, of whose records some are bad.
fn lay_bad(rig: &mut Rig, seed: u64, bad: &[Line]) -> Result<()> {
    let lines = world::bill(seed, "USD", "2026-05-01".parse()?, 4, 10);
    let contents = world::csv(bad.iter().chain(&lines));
    rig.lay("acme", Bill { lines, bad: bad.len() }, Some(contents))
}

fn poison(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "poison")?;
    rig.workers()?;
    let line = || Ok::<_, anyhow::Error>(Line::new("2026-05-02".parse()?, "USD", "7.25"));
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let bad = MISTAKES.map(|(column, cell)| Ok(line()?.set(column, cell)));
        let bad = bad.into_iter().collect::<Result<Vec<_>>>()?;
        rig.injected += bad.len() as u64;
        lay_bad(&mut rig, 10_000 + round, &bad)?;
        rig.bill("nord", 10_100 + round, 4, 10)?;
        rig.begin(Vec::new())?;
        let (tenant, source) = acme()?;
        let sent = on_bus(&rig, async |bus| {
            let at = |generation| {
                subject::task(&Step::Allocate, Lane::Live, &tenant, &source, None, generation)
            };
            let header = Header::new::<Task>(tenant.clone(), Generation(1), Attempt(0));
            // Junk; no source; something behind the body; nothing at all.
            let task = Task::Remove(Remove { files: Vec::new() });
            let no_source = envelope::encode(&header, &task)?;
            let whole = envelope::encode(&header.of_source(source.clone()), &task)?;
            let trailing = [whole, b"more".to_vec()].concat();
            let messages = [b"no message".to_vec(), no_source, trailing, Vec::new()];
            for (number, message) in messages.into_iter().enumerate() {
                let generation = Generation(900_000 + 10 * round as i64 + number as i64);
                bus.append(&at(generation), Bytes::from(message)).await?;
            }
            for junk in [&b"no report"[..], &[0xc1, 0xff]] {
                bus.append(&subject::report(&tenant, &source), Bytes::from(junk)).await?;
            }
            Ok(6)
        })?;
        rig.injected += sent;
        let since = Instant::now();
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    // Reports are read by a coordinator that leads.
    rig.settle(Vec::new())?;
    let wanted = usize::try_from(rig.injected)? - 3 * MISTAKES.len();
    let refused = on_bus(&rig, async |bus| Ok(bus.refused_list(1, 100).await?.len()))?;
    ensure!(refused == wanted, "{refused} of {wanted} messages are set aside with their reason");
    ended(rig, longest, &format!("{refused} messages refused; "))
}

fn oversized(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "oversized")?;
    rig.workers()?;
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let line = |bytes: usize| {
            let line = Line::new("2026-05-02".parse()?, "USD", "7.25");
            Ok::<_, anyhow::Error>(line.set("x_Note", &"x".repeat(bytes)))
        };
        let bad = [line(100_000)?, line(300_000)?, line(900_000)?];
        rig.injected += bad.len() as u64;
        lay_bad(&mut rig, 11_000 + round, &bad)?;
        // As large as may be, and many of them: they are carried, in as many batches as it takes.
        let mut bill = rig.oracle.now().remove("acme").context("it was laid there")?;
        bill.lines.extend((0..8).map(|_| line(90_000)).collect::<Result<Vec<_>>>()?);
        let contents = world::csv(bad.iter().chain(&bill.lines));
        rig.lay("acme", bill, Some(contents))?;
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "")
}

fn backfills(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "backfills")?;
    rig.workers()?;
    rig.start("allocator-2", "allocator", With::default())?;
    rig.start("emitter-2", "emitter", With::default())?;
    let mut longest = Duration::ZERO;
    rig.bill("acme", 12_000, 6, 12)?;
    rig.bill("nord", 12_100, 6, 12)?;
    rig.lead("leader", With::default())?;
    rig.until_right(PATIENCE)?;
    for round in 1..5 {
        rig.bill("acme", 12_000 + round, 6, 12)?;
        for _ in 0..3 {
            rig.ask(&[
                "backfill",
                "--tenant",
                "acme",
                "--source",
                "cloud",
                "--from",
                "2026-05-01",
                "--to",
                "2026-05-06",
                "--detach",
            ])?;
            rig.injected += 1;
        }
        // A new tenant is live work beside them, and so are workers that die.
        rig.bill(&format!("live-{round}"), 12_200 + round, 4, 8)?;
        rig.signal("allocator-2", Signal::SIGKILL)?;
        rig.signal("emitter-2", Signal::SIGKILL)?;
        longest = longest.max(rig.until_right(PATIENCE)?);
    }
    ended(rig, longest, "")
}

fn revisions(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "revisions")?;
    rig.workers()?;
    let (mut longest, mut seed) = (Duration::ZERO, 13_000);
    for _ in 0..4 {
        rig.begin(Vec::new())?;
        for _ in 0..10 {
            seed += 1;
            rig.bill("acme", seed, 6, 40)?;
            rig.injected += 1;
            let since = Instant::now();
            let pause = Duration::from_millis(60);
            rig.until("its moment", PATIENCE, |_| Ok((since.elapsed() > pause).then_some(())))?;
        }
        let since = Instant::now();
        rig.settled()?;
        // It may have read a bill before the last one, whole; the next gather brings the last.
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "")
}

/// Resources and identities that live, and dates that are visible.
const ALIVE: &str = "
select (select count(*) from apportion.resources where valid_to = 'infinity'),
  (select count(*) from apportion.identities where valid_to = 'infinity'),
  (select count(*) from apportion.pipeline_state where visible_rows > 0)";

fn nothing(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "nothing")?;
    rig.oracle.others();
    rig.workers()?;
    let today = jiff::Timestamp::now().to_string();
    let today: proto::time::UnitDate = today[..10].parse()?;
    let days = [4, 3, 2].map(|back| today.plus_days(-back));
    let days = days.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let organization = Organization::start(everything(&days))?;
    let (url, secret) = (organization.server.url(), rig.config().join("secret"));
    rig.write("secret", "hush")?;
    rig.write(
        "tenants/acme.yaml",
        format!(
            "lookback: 10d
sources:
  cloud: {{ kind: confluent_cloud, api_key: KEY, api_secret: \"file:{}\", url: \"{url}\", attempts: 2 }}
emitters: {{ csv: {{ dir: out/csv }} }}
",
            secret.display()
        ),
    )?;
    rig.settle(Vec::new())?;
    let alive = |rig: &Rig| -> Result<(i64, i64, i64)> {
        let row = rig.client()?.query_one(ALIVE, &[])?;
        Ok((row.get(0), row.get(1), row.get(2)))
    };
    let before = alive(&rig)?;
    ensure!(before.0 > 3 && before.1 > 3 && before.2 == 3, "too little is alive: {before:?}");
    let empty = |path: &'static str| (path, Fault::EmptyFirst);
    let lasting = |path: &'static str, status| (path, Fault::Lasting(Answer::Status(status, None)));
    let faults = [
        lasting("iam/v2/service-accounts", 404),
        lasting("cmk/v2/clusters", 500),
        lasting("fcpm/v2/compute-pools", 403),
        ("iam/v2/api-keys", Fault::Repeats),
        empty("iam/v2/service-accounts"),
        empty("cmk/v2/clusters"),
    ];
    for (path, fault) in faults {
        organization.state().faults = [(path, fault)].into();
        rig.injected += 1;
        rig.settle(Vec::new())?;
        ensure!(alive(&rig)? == before, "I8: {path} went wrong, and {:?} are alive", alive(&rig)?);
    }
    organization.state().faults.clear();
    // Nothing at all, twice as often as a threshold alone would allow: a day has not passed.
    let lists = organization.state().lists.clone();
    organization.state().lists.values_mut().for_each(Vec::clear);
    for _ in 0..6 {
        rig.injected += 1;
        rig.settle(Vec::new())?;
        ensure!(alive(&rig)? == before, "I8: nothing is listed, and {:?} are alive", alive(&rig)?);
    }
    // Told twice (24): a report of a gather is applied once, and its streak counted once.
    let streak = "select coalesce(max(streak), 0)::bigint from apportion.populations";
    let streak = rig.client()?.query_one(streak, &[]).map(|row| row.get::<_, i64>(0));
    organization.state().lists = lists;
    rig.settle(Vec::new())?;
    ensure!(alive(&rig)? == before, "I8: all is listed again, and {:?} are alive", alive(&rig)?);
    let faults = rig.injected;
    rig.leave()?;
    let note = format!("{before:?} resources, identities, dates stay; streak {streak:?}");
    Ok(Held { faults, recovered: None, note })
}

fn published_again(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "again")?;
    rig.workers()?;
    rig.bill("acme", 14_000, 4, 10)?;
    rig.settle(Vec::new())?;
    let client = async |bus: Bus| {
        let mut tried = 0;
        for number in 0..20 {
            let subject = format!("{}{number}", batch_prefix()?);
            let bytes = Bytes::from(format!("batch {number}"));
            ensure!(bus.put(Stream::Line, &subject, bytes.clone()).await? == Put::Stored);
            // No window of deduplication is asked: the subject itself takes one message and no other.
            ensure!(bus.put(Stream::Line, &subject, bytes).await? == Put::AlreadyThere);
            let other = bus.put(Stream::Line, &subject, Bytes::from_static(b"other")).await;
            ensure!(matches!(other, Err(BusError::Conflict(_))), "{other:?}");
            tried += 2;
        }
        Ok(tried)
    };
    rig.injected += on_bus(&rig, client)?;
    rig.bill("acme", 14_001, 4, 10)?;
    let since = Instant::now();
    rig.settle(Vec::new())?;
    let took = since.elapsed();
    rig.check()?;
    ended(rig, took, "")
}

/// The subject of the batches of a unit that nobody else has, up to the batch.
fn batch_prefix() -> Result<String> {
    let (tenant, source) = acme()?;
    let date = "2026-05-01".parse()?;
    let (generation, attempt) = (Generation(1), Attempt(rand::random()));
    let at =
        proto::subject::UnitAddress::new(Stream::Line, &tenant, &source, date, generation, attempt);
    Ok(at.batch(7))
}

fn aged(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "aged")?;
    rig.workers()?;
    let mut longest = Duration::ZERO;
    for round in 0..4 {
        rig.bill("acme", 15_000 + round, 6, 12)?;
        rig.settle(Vec::new())?;
        rig.check()?;
        // As if the horizon had passed: everything that a manifest names is gone.
        let address = rig.nats.url();
        let gone = on_bus(&rig, async |_| {
            let (token, server) =
                address.trim_start_matches("nats://").split_once('@').context("a token")?;
            let client =
                async_nats::ConnectOptions::with_token(token.into()).connect(server).await?;
            let jetstream = async_nats::jetstream::new(client);
            let mut gone = 0;
            for stream in [Stream::Line, Stream::Row] {
                let stream = jetstream.get_stream(stream.name()).await?;
                gone += stream.purge().await?.purged;
            }
            Ok(gone)
        })?;
        ensure!(gone > 0, "nothing was on the streams");
        rig.injected += gone;
        let rules = world::tenant("USD", "bills/acme.csv", COST);
        let other = rules.replace(
            "search: 39.5, data-platform: 0.5",
            &format!("search: {}, data-platform: {}", 39 - round, 1 + round),
        );
        rig.write("tenants/acme.yaml", other)?;
        if round % 2 == 1 {
            // The archive is damaged, too: the source is asked.
            rig.client()?.execute("delete from apportion.line_archive", &[])?;
        }
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "messages gone; ")
}

fn vanished(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "vanished")?;
    let mut longest = Duration::ZERO;
    for round in 0..2 {
        rig.bill("acme", 16_000 + round, 4, 10)?;
        // Nobody works yet: the tasks are out, and then they are not.
        rig.begin(Vec::new())?;
        rig.until("a task is out", PATIENCE, |rig| {
            let out = rig
                .client()?
                .query_one("select count(*) from apportion.tasks where sent_at is not null", &[])?;
            Ok((out.get::<_, i64>(0) > 0).then_some(()))
        })?;
        on_bus(&rig, async |bus| {
            bus.purge(Stream::Task, &Stream::Task.wildcard()).await?;
            bus.purge(Stream::Report, &Stream::Report.wildcard()).await?;
            Ok(())
        })?;
        rig.injected += 1;
        let since = Instant::now();
        rig.workers()?;
        rig.settled()?;
        longest = longest.max(since.elapsed());
        rig.check()?;
        for kind in ["gatherer", "allocator", "emitter"] {
            rig.end(kind, Signal::SIGTERM, SECONDS)?;
        }
    }
    ended(rig, longest, "")
}

fn newer(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "newer")?;
    rig.workers()?;
    rig.bill("acme", 17_000, 4, 10)?;
    rig.settle(Vec::new())?;
    let (tenant, source) = acme()?;
    let subjects: Vec<String> = (0..6)
        .map(|number| {
            let step = if number % 2 == 0 { Step::Allocate } else { Step::Commit };
            // Above what was ever drawn it would be of another database.
            subject::task(&step, Lane::Live, &tenant, &source, None, Generation(1 + number))
        })
        .collect();
    on_bus(&rig, async |bus| {
        for subject in &subjects {
            let header = Header::new::<Task>(tenant.clone(), Generation(1), Attempt(0));
            let mut header = header.of_source(source.clone());
            header.schema += 1;
            let bytes = envelope::encode(&header, &Task::Remove(Remove { files: Vec::new() }))?;
            bus.append(subject, Bytes::from(bytes)).await?;
        }
        Ok(())
    })?;
    rig.injected += subjects.len() as u64;
    rig.bill("acme", 17_001, 4, 10)?;
    let since = Instant::now();
    rig.settle(Vec::new())?;
    let took = since.elapsed();
    rig.check()?;
    let (left, refused) = on_bus(&rig, async |bus| {
        let queued = bus.queued_tasks().await?;
        let left = subjects.iter().filter(|subject| queued.contains(*subject)).count();
        Ok((left, bus.refused_list(1, 10).await?.len()))
    })?;
    ensure!(refused == 0, "{refused} tasks of a newer build are refused as if they were poison");
    ensure!(left == subjects.len(), "{left} tasks of a newer build are left for it");
    ended(rig, took, "left for a newer build; ")
}

fn files(ground: &Ground) -> Result<Held> {
    let mut rig = Rig::new(ground, "files")?;
    rig.workers()?;
    rig.bill("acme", 18_000, 8, 12)?;
    rig.settle(Vec::new())?;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let file = |day: u32| rig.csv().join(format!("acme_cloud_2026-05-0{day}.csv"));
        fs::write(file(1), "ecosystem,tenant_id")?;
        let whole = fs::read_to_string(file(2))?;
        fs::write(file(2), whole.replacen("search", "growth", 1))?;
        fs::remove_file(file(3))?;
        fs::create_dir_all(rig.csv().join(".acme_cloud_2026-05-04.csv.tmp"))?;
        fs::write(rig.csv().join(".acme_cloud_2026-05-04.csv.tmp/0123456789abcdef"), &whole[..50])?;
        fs::write(file(4), &whole[..whole.len() / 2])?;
        rig.injected += 4;
        // A new leader compares what lies there with what is recorded.
        let since = Instant::now();
        rig.settle(Vec::new())?;
        longest = longest.max(since.elapsed());
        rig.check()?;
    }
    ended(rig, longest, "")
}
