//! What an allocator is given over a real nats-server, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proto::config::{
    CostShare, CostWindow, Duplicates, Field, FocusSettings, Match, Pattern, Reason, Receivers,
    ResolutionSet, Rule, SourceConfig, SourceScope, SourceSettings, TenantConfig, Tier, Timing,
    Validity,
};
use proto::envelope::{self, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::line::{BillingLineItem, LineBatchBuilder, LineId, Measure};
use proto::manifest::Manifest;
use proto::money::Amount;
use proto::report::{Published, Report};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::row::RowBatch;
use proto::subject::{self, Lane, Step, Stream};
use proto::task::{Allocate, AllocateUnit, Task};
use proto::time::{UnitDate, UtcSeconds};
use runtime::bus::Bus;
use runtime::data::{BatchReader, BatchWriter};

pub fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub fn source() -> SourceId {
    SourceId::parse("cloud").unwrap()
}

pub fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

pub fn rule(id: &str, matcher: Match, chain: Vec<Tier>) -> Rule {
    Rule { id: id.to_owned(), sources: Vec::new(), matcher, valid: Validity::default(), chain }
}

pub fn config() -> TenantConfig {
    let category = |text: &str| {
        Match::Field(Field::parse("ChargeCategory").unwrap(), Pattern::Exact(text.to_owned()))
    };
    let share = CostShare::Ledger {
        of: None,
        within: Vec::new(),
        to: None,
        sources: SourceScope::Own,
        window: CostWindow::Date,
    };
    let owner = vec![Field::parse("tag.team").unwrap()];
    let settings = FocusSettings {
        files: vec!["*.csv".to_owned()],
        cost: Measure::Billed,
        owner,
        duplicates: Duplicates::Error,
    };
    let nobody = |reason| Tier::Unallocated(reason);
    let direct = Tier::Direct { fields: Vec::new() };
    let active = Tier::Even(Receivers::Set(ResolutionSet::ResourceActive));
    let source = SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: source(),
        settings: SourceSettings::Focus(settings),
        built_in_rules: Vec::new(),
        default_rule: rule("default", Match::every_line(), vec![direct, nobody(Reason::Untagged)]),
    };
    TenantConfig {
        tenant: tenant(),
        currency: Vec::new(),
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: Default::default(),
        sources: vec![source],
        owners: None,
        tags: BTreeMap::new(),
        tables: BTreeMap::new(),
        groups: BTreeMap::new(),
        drivers: BTreeMap::new(),
        allocation: vec![
            rule(
                "credit",
                category("Credit"),
                vec![Tier::InProportionToCost(share), nobody(Reason::NoDriver)],
            ),
            rule("shared", category("Shared"), vec![active, nobody(Reason::NoDriver)]),
        ],
        tests: Vec::new(),
        emitters: Vec::new(),
        guards: Default::default(),
    }
}

pub fn line(
    date: UnitDate,
    number: u32,
    cost: &str,
    category: &str,
    team: &str,
) -> BillingLineItem {
    let cells =
        [("ChargeCategory", category.to_owned()), ("Tags", format!(r#"{{"team":"{team}"}}"#))];
    BillingLineItem {
        id: LineId(Hash128::of(&number.to_le_bytes())),
        charge_start: date.start(),
        charge_end: UtcSeconds(date.start().0 + 86_400),
        billing_period: date.period(),
        currency: "USD".parse().unwrap(),
        amount: Amount::parse(cost).unwrap(),
        measures: [None; 4],
        quantities: [None; 2],
        resolution_key: (category == "Shared").then(|| "k".to_owned()),
        cells: cells.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

pub const GATHERED: Generation = Generation(10);
pub const GATHER_ATTEMPT: Attempt = Attempt(1);

pub async fn publish(
    bus: &Bus,
    date: UnitDate,
    lines: &[BillingLineItem],
    per_batch: usize,
) -> Manifest {
    let mut writer =
        BatchWriter::new(bus, Stream::Line, &tenant(), &source(), date, GATHERED, GATHER_ATTEMPT);
    for lines in lines.chunks(per_batch) {
        let mut batch = LineBatchBuilder::default();
        for line in lines {
            batch.push(line);
            writer.manifest.add_item(line.hash());
            writer.manifest.totals.add_line(line);
        }
        writer.write(&batch.take(), lines.len()).await.unwrap();
    }
    writer.finish().await.unwrap()
}

pub async fn publish_resolution(bus: &Bus, date: UnitDate) -> Manifest {
    let resolution = IdentityResolution {
        key: "k".to_owned(),
        window_start: date.start(),
        window_end: UtcSeconds(date.start().0 + 86_400),
        resource_active: vec!["sa:x".to_owned(), "sa:y".to_owned(), "sa:z".to_owned()],
        metrics_derived: Vec::new(),
        tenant_period: Vec::new(),
        usage: Vec::new(),
        failed_metrics: Vec::new(),
    };
    let mut writer = BatchWriter::new(
        bus,
        Stream::Resolution,
        &tenant(),
        &source(),
        date,
        GATHERED,
        GATHER_ATTEMPT,
    );
    writer.manifest.add_item(resolution.hash());
    writer.write(&ResolutionBatch::new(&[resolution]), 1).await.unwrap();
    writer.finish().await.unwrap()
}

pub async fn send(bus: &Bus, generation: i64, units: Vec<AllocateUnit>) {
    let config = config();
    let hash = config.config_hash().unwrap();
    let bytes = |header: &Header, task: &Task| Bytes::from(envelope::encode(header, task).unwrap());
    let generation = Generation(generation);
    let header = Header::new::<TenantConfig>(tenant(), GATHERED, GATHER_ATTEMPT);
    let payload = Bytes::from(envelope::encode(&header, &config).unwrap());
    bus.put(Stream::Config, &subject::config(&tenant(), hash), payload).await.unwrap();
    let header = Header::new::<Task>(tenant(), generation, Attempt(0)).of_source(source());
    let task = Task::Allocate(Allocate { config: hash, units });
    let to = subject::task(&Step::Allocate, Lane::Live, &tenant(), &source(), None, generation);
    bus.send_task(&to, bytes(&header, &task)).await.unwrap();
}

pub async fn reports(bus: &Bus, wanted: usize) -> Vec<(Header, Report)> {
    let mut found = Vec::new();
    while found.len() < wanted {
        let deliveries = bus.reports(10, Duration::from_secs(10)).await.unwrap();
        assert!(!deliveries.is_empty(), "no report came");
        for delivery in deliveries {
            found.push(envelope::decode::<Report>(delivery.payload()).unwrap());
            delivery.done().await;
        }
    }
    found
}

pub async fn owners(bus: &Bus, date: UnitDate, rows: &Manifest) -> Vec<(String, String)> {
    let mut reader: BatchReader<RowBatch> =
        BatchReader::new(bus, Stream::Row, &tenant(), &source(), date, rows);
    let mut found = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        let rows = batch.open().unwrap();
        found.extend(
            rows.iter()
                .map(|(dimension, money)| (dimension.owner.clone(), money.amount.to_string())),
        );
    }
    found
}

pub fn unit(date: UnitDate, generation: i64, lines: Manifest) -> AllocateUnit {
    let generation = Generation(generation);
    AllocateUnit { date, generation, lines, resolutions: None, drivers: Vec::new() }
}

/// The published units of a report, by date.
pub fn allocated(report: &Report) -> Vec<&Published> {
    let Report::Allocated(published) = report else { panic!("{report:?}") };
    published.iter().collect()
}
