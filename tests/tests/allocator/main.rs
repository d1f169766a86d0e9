//! A whole allocator over a real nats-server: tasks in, rows and reports out.

use apportion::servers::{EmbeddedNats, NatsOptions};
use bytes::Bytes;
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation};
use proto::report::{FailureClass, Report};
use proto::subject::{self, Lane, Step};
use proto::task::{Allocate, Task};
use runtime::bus::Bus;
use runtime::data::Configs;
use runtime::process::{Process, Shutdown};
use runtime::settings::Settings;

#[cfg(test)]
mod chains;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod desk;

use desk::{
    allocated, day, line, owners, publish, publish_resolution, reports, send, source, tenant, unit,
};

#[cfg(test)]
async fn scenario(bus: Bus) {
    let (small, large, gone, odd) =
        (day("2026-07-01"), day("2026-07-02"), day("2026-07-03"), day("2026-07-04"));
    let lines = [
        line(small, 1, "-9", "Credit", ""),
        line(small, 2, "1", "Usage", "a"),
        line(small, 3, "2", "Usage", "b"),
        line(small, 4, "1", "Shared", ""),
    ];
    let small_lines = publish(&bus, small, &lines, 3).await;
    // More batches than are kept between the passes.
    let lines: Vec<_> =
        (0..70).map(|i| line(large, 100 + i, "1", "Usage", ["a", "b"][i as usize % 2])).collect();
    let large_lines =
        publish(&bus, large, &[&[line(large, 99, "-70", "Credit", "")], &lines[..]].concat(), 1)
            .await;
    let mut gone_lines = publish(&bus, gone, &[line(gone, 5, "1", "Usage", "a")], 1).await;
    gone_lines.batches.push(gone_lines.batches[0]);
    let mut odd_lines = publish(&bus, odd, &[line(odd, 6, "1", "Usage", "a")], 1).await;
    odd_lines.totals = small_lines.totals.clone();
    let resolved = publish_resolution(&bus, small).await;
    let units = |base: i64| {
        let mut first = unit(small, base + 1, small_lines.clone());
        first.resolutions = Some(resolved.clone());
        vec![
            unit(gone, base + 3, gone_lines.clone()),
            first,
            unit(odd, base + 4, odd_lines.clone()),
            unit(large, base + 2, large_lines.clone()),
        ]
    };
    send(&bus, 20, units(20)).await;
    let first = reports(&bus, 3).await;
    let failed = first.iter().filter_map(|(_, report)| {
        let Report::Failed(failed) = report else { return None };
        Some((failed.class, failed.units.clone(), failed.reason.as_str()))
    });
    let failed: Vec<_> = failed.collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(
        (failed[0].0, &failed[0].1),
        (FailureClass::InputMissing, &vec![(gone, Generation(23))])
    );
    assert!(failed[0].2.contains("is gone from the stream"), "{}", failed[0].2);
    assert_eq!((failed[1].0, &failed[1].1), (FailureClass::Data, &vec![(odd, Generation(24))]));
    assert!(
        failed[1].2.starts_with("the rows of the unit differ from its lines"),
        "{}",
        failed[1].2
    );
    let (header, done) =
        first.iter().find(|(_, report)| matches!(report, Report::Allocated(_))).unwrap();
    let done = allocated(done);
    assert_eq!(
        done.iter().map(|p| (p.date, p.generation.0)).collect::<Vec<_>>(),
        [(small, 21), (large, 22)]
    );
    assert!(done.iter().all(|p| p.manifest.attempt == header.attempt));
    assert_eq!(done[0].manifest.totals, small_lines.totals);
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(owner, sum)| ((*owner).to_owned(), (*sum).to_owned())).collect()
    };
    assert_eq!(
        owners(&bus, small, &done[0].manifest).await,
        of(&[
            ("a", "-3"),
            ("b", "-6"),
            ("a", "1"),
            ("b", "2"),
            ("x", "0.3333333334"),
            ("y", "0.3333333333"),
            ("z", "0.3333333333")
        ])
    );
    assert_eq!(done[1].manifest.items, 72);
    assert_eq!(
        owners(&bus, large, &done[1].manifest).await[..2],
        of(&[("a", "-35"), ("b", "-35")])
    );
    // Again as another generation: another attempt, the same rows.
    send(&bus, 30, units(30)[1..2].to_vec()).await;
    let again = reports(&bus, 1).await;
    let again_done = allocated(&again[0].1);
    assert_ne!(again_done[0].manifest.attempt, done[0].manifest.attempt);
    assert_eq!(again_done[0].manifest.hash, done[0].manifest.hash);
    // A configuration that is gone fails the whole task, and names what is missing. No gather would bring it back.
    let header = Header::new::<Task>(tenant(), Generation(40), Attempt(0)).of_source(source());
    let task =
        Task::Allocate(Allocate { config: Hash128::of(b"none"), units: units(40)[1..2].to_vec() });
    let to = subject::task(&Step::Allocate, Lane::Live, &tenant(), &source(), None, Generation(40));
    bus.send_task(&to, Bytes::from(envelope::encode(&header, &task).unwrap())).await.unwrap();
    let failed = &reports(&bus, 1).await[0].1;
    let Report::Failed(failed) = failed else { panic!("{failed:?}") };
    assert_eq!(
        (failed.class, failed.units.len()),
        (FailureClass::Transient, 1),
        "{}",
        failed.reason
    );
    assert!(failed.reason.starts_with("configuration "), "{}", failed.reason);
}

#[test]
fn tasks_become_rows_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let nats = EmbeddedNats::start(folder.path(), NatsOptions::default()).unwrap();
    let url = nats.url();
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    });
    system.block_on(async move {
        let settings = Settings { nats_url: url.clone(), ..Settings::load().unwrap() };
        let bus = Bus::connect(&url, "test").await.unwrap();
        bus.ensure_streams(&settings, &[]).await.unwrap();
        let (switch, shutdown) = Shutdown::channel();
        let configs = Configs::new(bus.clone());
        let process = Process {
            role: "allocator",
            settings,
            bus: bus.clone(),
            configs,
            shutdown,
            observe: Default::default(),
        };
        // Beside each other on this thread: keepers need the system that runs here.
        let ended = tokio::join!(allocator::live(process), async {
            scenario(bus).await;
            switch.send(true).unwrap();
        });
        ended.0.unwrap();
    });
}
