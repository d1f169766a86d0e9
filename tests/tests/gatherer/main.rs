//! A whole gatherer over a real nats-server: tasks in, lines, resolutions and reports out.

use apportion::servers::{EmbeddedNats, NatsOptions};
use proto::hash::SetHash;
use proto::line::{BillingLineItem, LineBatch};
use proto::manifest::Totals;
use proto::report::{FailureClass, GatheredDate};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::subject::Stream;
use proto::task::Task;
use runtime::bus::Bus;
use runtime::data::Configs;
use runtime::process::{Process, Shutdown};
use runtime::settings::Settings;

#[cfg(test)]
mod desk;
#[cfg(test)]
mod metrics;

use desk::{after, answer, batches, gather, inventory, publish_config, resolve, send};

const HEADER: &str =
    "BilledCost,ListCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ResourceId,Tags\n";

#[cfg(test)]
fn bill(lines: usize) -> String {
    let line = |n: usize| {
        let (day, hour) = (n % 2 + 1, n % 24);
        format!(
            "{n}.25,{n}.50,USD,2026-05-{day:02}T{hour:02}:00:00Z,2026-05-{day:02}T{hour:02}:59:59Z,resource-{},\"{{\"\"team\"\":\"\"t{}\"\"}}\"\n",
            n * 7_919 % 10_007,
            n % 40,
        )
    };
    (0..lines).map(line).collect()
}

#[cfg(test)]
/// The lines of a date as they lie in the stream, checked against the report.
async fn lines(bus: &Bus, id: &str, gathered: &GatheredDate) -> Vec<BillingLineItem> {
    let mut all = Vec::new();
    for batch in batches::<LineBatch>(bus, Stream::Line, id, gathered.date, &gathered.lines).await {
        let lines = batch.open().unwrap();
        all.extend((0..lines.len()).map(|i| lines.item(i).unwrap()));
    }
    let (mut hash, mut totals) = (SetHash::default(), Totals::default());
    all.iter().for_each(|line| {
        hash.add(line.hash());
        totals.add_line(line);
    });
    assert_eq!((hash.value(), all.len() as u64), (gathered.lines.hash, gathered.lines.items));
    assert_eq!((&totals, &totals), (&gathered.lines.totals, &gathered.received));
    all
}

#[cfg(test)]
async fn files(bus: &Bus) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let file = std::fs::File::options().append(true).open(folder.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60))
            .unwrap();
    };
    let bad = "\"12,5\",1,USD,2026-05-01,2026-05-02,r,\n".repeat(450);
    write("a.csv", format!("{HEADER}{}{bad}", bill(10_000)).as_bytes());
    let task = gather(folder.path());
    send(bus, "cloud", 10, &Task::Gather(task.clone())).await;
    let first = answer(bus, 10).await;
    let done = first.done.unwrap();
    assert_eq!((done.records, done.quarantined, done.dates.len()), (10_450, 450, 2));
    assert_eq!(
        (done.files.as_slice(), done.files_read.as_slice()),
        (&["a.csv".to_owned()][..], &["a.csv".to_owned()][..])
    );
    assert_eq!(
        (done.covered_from.to_string(), done.covered_to.to_string()),
        ("2026-05-01".into(), "2026-05-02".into())
    );
    assert!(first.quarantined.len() == 450 && first.quarantined[449].reason.contains("write 12.5"));
    for (gathered, told) in first.dates.iter().zip(&done.dates) {
        assert!(gathered.lines.batches.len() > 1 && Some(gathered.lines.attempt) == first.attempt);
        assert_eq!(
            (gathered.date, gathered.lines.hash, told.unchanged),
            (told.date, told.hash, false)
        );
        assert_eq!(lines(bus, "cloud", gathered).await.len(), 5_000);
    }

    // Nothing changed: one report, and that at once.
    let task = after(&task, &done);
    send(bus, "cloud", 11, &Task::Gather(task.clone())).await;
    let again = answer(bus, 11).await;
    let unchanged = again.done.unwrap();
    assert!(
        again.dates.is_empty()
            && unchanged.files_read.is_empty()
            && unchanged.dates.iter().all(|d| d.unchanged)
    );

    // Batches are gone: the same content at a new address.
    let mut republish = after(&task, &unchanged);
    republish.republish = vec![first.dates[1].date];
    send(bus, "cloud", 12, &Task::Gather(republish)).await;
    let again = answer(bus, 12).await;
    assert_eq!((again.dates.len(), again.dates[0].lines.hash), (1, first.dates[1].lines.hash));
    assert_ne!(again.dates[0].lines.generation, first.dates[1].lines.generation);
    assert_eq!(lines(bus, "cloud", &again.dates[0]).await.len(), 5_000);

    // A download that broke off: nothing counts.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, format!("{HEADER}{}", bill(3_000)).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    write("b.csv.gz", &packed[..packed.len() - 9]);
    send(bus, "cloud", 13, &Task::Gather(task)).await;
    let broken = answer(bus, 13).await;
    let failed = broken.failed.unwrap();
    assert!(
        broken.dates.is_empty() && failed.class == FailureClass::Data && failed.step == "gather"
    );
    assert!(failed.reason.contains("b.csv.gz breaks off"), "{}", failed.reason);
}

#[cfg(test)]
async fn made(bus: &Bus) {
    let task = gather(std::path::Path::new("/"));
    send(bus, "made", 20, &Task::Gather(task.clone())).await;
    let first = answer(bus, 20).await;
    let done = first.done.unwrap();
    assert_eq!((first.dates.len(), done.records), (2, 7_200));
    let told = done.inventory.clone().unwrap();
    assert!(!told.unchanged && told.identities && told.resource_types == ["synthetic"]);
    let found = inventory(bus, "made", &told.found).await;
    assert_eq!((found.resources.len(), found.identities.len()), (900, 50));
    let mut hash = SetHash::default();
    found.resources.iter().for_each(|item| hash.add(item.hash()));
    found.identities.iter().for_each(|item| hash.add(item.hash()));
    assert_eq!((hash.value(), told.found.items), (told.found.hash, 950));
    send(bus, "made", 21, &Task::Gather(after(&task, &done))).await;
    let again = answer(bus, 21).await;
    let again_done = again.done.unwrap();
    assert!(again.dates.is_empty() && again_done.dates.iter().all(|d| d.unchanged));
    let same = again_done.inventory.unwrap();
    assert!(same.unchanged && same.found.batches.is_empty() && same.content() == told.content());

    let units: Vec<_> = first.dates.iter().zip(30..).map(|(d, g)| (d.date, g, &d.lines)).collect();
    send(bus, "made", 22, &resolve(&units)).await;
    let answered = answer(bus, 22).await;
    for ((date, generation, _), gathered) in units.iter().zip(&first.dates) {
        let manifest = &answered.resolved[date];
        assert_eq!(
            (manifest.generation.0, manifest.items, Some(manifest.attempt)),
            (*generation, 900, answered.attempt)
        );
        let found =
            batches::<ResolutionBatch>(bus, Stream::Resolution, "made", *date, manifest).await;
        assert!(found.len() > 1);
        let found: Vec<IdentityResolution> =
            found.into_iter().flat_map(|batch| batch.open().unwrap()).collect();
        let mut hash = SetHash::default();
        found.iter().for_each(|resolution| hash.add(resolution.hash()));
        assert_eq!(hash.value(), manifest.hash);
        let keys: std::collections::BTreeSet<_> =
            found.iter().map(|r| Some(r.key.as_str())).collect();
        let lines = lines(bus, "made", gathered).await;
        assert!(
            lines.len() == 3_600
                && lines.iter().all(|line| keys.contains(&line.resolution_key.as_deref()))
        );
    }
}

#[cfg(test)]
async fn refused(bus: &Bus) {
    let task = Task::Gather(gather(std::path::Path::new("/")));
    for (id, generation, what) in
        [("later", 40, "of kind aws, which does not run yet"), ("none", 41, "has no source none")]
    {
        send(bus, id, generation, &task).await;
        let failed = answer(bus, generation).await.failed.unwrap();
        assert!(
            failed.class == FailureClass::Data && failed.reason.contains(what),
            "{}",
            failed.reason
        );
    }
}

#[test]
fn tasks_become_lines_resolutions_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let nats = EmbeddedNats::start(folder.path(), NatsOptions::default()).unwrap();
    let url = nats.url();
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    });
    system.block_on(async move {
        runtime::keeper::prepare();
        let settings = Settings { nats_url: url.clone(), ..Settings::load().unwrap() };
        let bus = Bus::connect(&url, "test").await.unwrap();
        bus.ensure_streams(&settings, &[]).await.unwrap();
        let (switch, shutdown) = Shutdown::channel();
        let configs = Configs::new(bus.clone());
        let process = Process {
            role: "gatherer",
            settings,
            bus: bus.clone(),
            configs,
            shutdown,
            observe: Default::default(),
        };
        let ended = tokio::join!(gatherer::live(process), async {
            publish_config(&bus).await;
            files(&bus).await;
            made(&bus).await;
            refused(&bus).await;
            switch.send(true).unwrap();
        });
        ended.0.unwrap();
    });
}
