//! What a gatherer is given over a real nats-server, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proto::config::{
    Duplicates, FocusSettings, Match, Reason, Rule, SourceConfig, SourceSettings,
    SyntheticSettings, TenantConfig, Tier, Timing, Validity,
};
use proto::envelope::{self, Body, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::inventory::{GatheredInventory, InventoryBatch};
use proto::line::Measure;
use proto::manifest::Manifest;
use proto::report::{Failed, GatherDone, GatheredDate, QuarantinedRecord, Report};
use proto::subject::{self, Lane, Step, Stream};
use proto::task::{Gather, KnownDate, Resolve, ResolveUnit, Task};
use proto::time::UnitDate;
use runtime::bus::Bus;
use runtime::data::BatchReader;

pub fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub fn source(id: &str) -> SourceId {
    SourceId::parse(id).unwrap()
}

pub fn synthetic() -> SyntheticSettings {
    let start = "2026-05-01".parse().unwrap();
    SyntheticSettings {
        seed: 3,
        start,
        dates: 2,
        resources: 900,
        products: 4,
        fanout: 3,
        identities: 50,
    }
}

/// A tenant with a source of each kind.
pub fn config() -> TenantConfig {
    let default_rule = Rule {
        id: "default".to_owned(),
        sources: Vec::new(),
        matcher: Match::every_line(),
        valid: Validity::default(),
        chain: vec![Tier::Unallocated(Reason::Untagged)],
    };
    let focus = FocusSettings {
        files: vec!["*.csv*".to_owned()],
        cost: Measure::Billed,
        owner: Vec::new(),
        duplicates: Duplicates::Error,
    };
    let unbuilt = SourceSettings::Unbuilt { kind: "aws".to_owned(), settings: None };
    let of = |(id, settings): (&str, SourceSettings)| SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: source(id),
        settings,
        built_in_rules: Vec::new(),
        default_rule: default_rule.clone(),
    };
    let sources = [
        ("later", unbuilt),
        ("made", SourceSettings::Synthetic(synthetic())),
        ("cloud", SourceSettings::Focus(focus)),
    ];
    TenantConfig {
        tenant: tenant(),
        currency: Vec::new(),
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: Default::default(),
        sources: sources.map(of).into(),
        owners: None,
        tags: BTreeMap::new(),
        tables: BTreeMap::new(),
        groups: BTreeMap::new(),
        drivers: BTreeMap::new(),
        allocation: Vec::new(),
        tests: Vec::new(),
        emitters: Vec::new(),
        guards: Default::default(),
    }
}

/// A gather of all there is in `folder`.
pub fn gather(folder: &std::path::Path) -> Gather {
    Gather::first(
        config().config_hash().unwrap(),
        folder.to_str().unwrap().to_owned(),
        "2026-06-15".parse().unwrap(),
    )
}

/// The gather that follows one that ended so.
pub fn after(gather: &Gather, done: &GatherDone) -> Gather {
    let known = done.dates.iter().map(|d| KnownDate { date: d.date, hash: d.hash }).collect();
    let inventory = done.inventory.as_ref().map(GatheredInventory::content);
    Gather { known, cursor: done.cursor.clone(), inventory, ..gather.clone() }
}

pub fn resolve(units: &[(UnitDate, i64, &Manifest)]) -> Task {
    let unit = |(date, generation, lines): &(UnitDate, i64, &Manifest)| ResolveUnit {
        date: *date,
        generation: Generation(*generation),
        lines: (*lines).clone(),
        inventory: None,
    };
    Task::Resolve(Resolve {
        config: config().config_hash().unwrap(),
        units: units.iter().map(unit).collect(),
        inventory: None,
    })
}

pub async fn publish_config(bus: &Bus) {
    let config = config();
    let header = Header::new::<TenantConfig>(tenant(), Generation(1), Attempt(0));
    let payload = Bytes::from(envelope::encode(&header, &config).unwrap());
    let to = subject::config(&tenant(), config.config_hash().unwrap());
    bus.put(Stream::Config, &to, payload).await.unwrap();
}

pub async fn send(bus: &Bus, id: &str, generation: i64, task: &Task) {
    let (source, generation) = (source(id), Generation(generation));
    let step = if matches!(task, Task::Gather(_)) { Step::Gather } else { Step::Resolve };
    let header = Header::new::<Task>(tenant(), generation, Attempt(0)).of_source(source.clone());
    let to = subject::task(&step, Lane::Live, &tenant(), &source, None, generation);
    bus.send_task(&to, Bytes::from(envelope::encode(&header, task).unwrap())).await.unwrap();
}

/// What a task was answered with.
#[derive(Debug, Default)]
pub struct Answer {
    pub attempt: Option<Attempt>,
    pub dates: Vec<GatheredDate>,
    pub quarantined: Vec<QuarantinedRecord>,
    pub done: Option<GatherDone>,
    pub resolved: BTreeMap<UnitDate, Manifest>,
    pub failed: Option<Failed>,
}

/// All reports of a task up to the one that ends it.
pub async fn answer(bus: &Bus, generation: i64) -> Answer {
    let mut answer = Answer::default();
    while answer.done.is_none() && answer.failed.is_none() && answer.resolved.is_empty() {
        let deliveries = bus.reports(10, Duration::from_secs(30)).await.unwrap();
        assert!(!deliveries.is_empty(), "no report came; so far {answer:?}");
        for delivery in deliveries {
            let (header, report) = envelope::decode::<Report>(delivery.payload()).unwrap();
            delivery.done().await;
            assert_eq!(header.generation, Generation(generation), "{report:?}");
            assert!(answer.attempt.is_none_or(|attempt| attempt == header.attempt));
            answer.attempt = Some(header.attempt);
            match report {
                Report::GatheredDate(date) => answer.dates.push(date),
                Report::Quarantined(records) => answer.quarantined.extend(records),
                Report::GatherDone(done) => answer.done = Some(done),
                Report::Resolved(units) => {
                    answer.resolved = units.into_iter().map(|u| (u.date, u.manifest)).collect();
                }
                Report::Failed(failed) => answer.failed = Some(failed),
                other @ (Report::Allocated(_)
                | Report::Restored(_)
                | Report::Driver(_)
                | Report::Committed(_)
                | Report::Emitted(_)
                | Report::Removed(_)) => {
                    panic!("{other:?}")
                }
            }
        }
    }
    answer
}

/// The batches that a manifest names.
pub async fn batches<B: Body>(
    bus: &Bus,
    stream: Stream,
    id: &str,
    date: UnitDate,
    manifest: &Manifest,
) -> Vec<B> {
    let mut reader = BatchReader::new(bus, stream, &tenant(), &source(id), date, manifest);
    let mut found = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        found.push(batch);
    }
    found
}

/// What a gather found.
pub async fn inventory(bus: &Bus, id: &str, manifest: &Manifest) -> InventoryBatch {
    let mut reader = BatchReader::of_inventory(bus, &tenant(), &source(id), manifest);
    let mut all = InventoryBatch::default();
    while let Some(batch) = reader.next().await.unwrap() {
        let InventoryBatch { resources, identities } = batch;
        all.resources.extend(resources);
        all.identities.extend(identities);
    }
    all
}
