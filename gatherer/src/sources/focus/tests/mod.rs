//! Tests of whole gathers over files that are written here.

mod again;
#[cfg(feature = "parquet")]
mod columnar;
mod refused;
mod shared;
mod shuffle;
mod speed;
mod traps;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proto::config::{
    Duplicates, FocusSettings, OnBadLine, Rule, SourceConfig, SourceSettings, TenantConfig, Tier,
};
use proto::config::{Guards, Match, Reason};
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, Measure};
use proto::money::ExactSum;
use proto::report::{GatheredHash, QuarantinedRecord, Warning};
use proto::task::{Gather, KnownDate};
use proto::time::UnitDate;

use super::collect::collect;
use crate::cut::{Cut, cut};
use crate::error::GatherError;
use crate::ports::{GatherRequest, Harvest, Watch};

/// A tenant with one `focus` source in a folder of its own.
struct Tenant {
    folder: tempfile::TempDir,
    settings: FocusSettings,
    config: TenantConfig,
    task: Gather,
}

/// What a gather found and would publish.
#[derive(Debug, Default)]
struct Found {
    lines: BTreeMap<UnitDate, Vec<BillingLineItem>>,
    /// The batches of each date as bytes.
    batches: BTreeMap<UnitDate, Vec<Vec<u8>>>,
    quarantined: Vec<QuarantinedRecord>,
    dates: Vec<GatheredHash>,
    warnings: Vec<Warning>,
    files_read: Vec<String>,
    files_bad: Vec<String>,
    records: u64,
    cursor: Option<Vec<u8>>,
}

impl Tenant {
    fn new(cost: Measure, files: &[&str]) -> Self {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        let settings =
            FocusSettings { files, cost, owner: Vec::new(), duplicates: Duplicates::Error };
        let default_rule = Rule {
            id: "focus/default".to_owned(),
            sources: Vec::new(),
            matcher: Match::every_line(),
            valid: proto::config::Validity::default(),
            chain: vec![Tier::Unallocated(Reason::Untagged)],
        };
        let source = SourceConfig {
            metrics: None,
            id: SourceId::parse("cloud").unwrap(),
            settings: SourceSettings::Focus(settings.clone()),
            built_in_rules: Vec::new(),
            default_rule,
        };
        let config = TenantConfig {
            tenant: TenantId::parse("acme").unwrap(),
            currency: Vec::new(),
            lookback_days: None,
            cutoff_days: None,
            final_after_days: None,
            on_bad_line: OnBadLine::default(),
            sources: vec![source],
            owners: None,
            tags: BTreeMap::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            drivers: BTreeMap::new(),
            allocation: Vec::new(),
            tests: Vec::new(),
            emitters: Vec::new(),
            guards: Guards::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let task = Gather::first(
            proto::hash::Hash128([0; 16]),
            folder.path().to_str().unwrap().to_owned(),
            "2026-06-15".parse().unwrap(),
        );
        Self { folder, settings, config, task }
    }

    /// One file `bill.csv` with these bytes.
    fn of(bytes: impl AsRef<[u8]>) -> Self {
        let tenant = Self::new(Measure::Billed, &["bill.csv"]);
        tenant.write("bill.csv", bytes);
        tenant
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        // As if it had lain here for a while: its stamp can be trusted.
        self.age(name, 3_600);
    }

    fn age(&self, name: &str, seconds: u64) {
        let file =
            std::fs::File::options().append(true).open(self.folder.path().join(name)).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        file.set_modified(then).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn request(&self) -> GatherRequest {
        let mut config = self.config.clone();
        config.sources[0].settings = SourceSettings::Focus(self.settings.clone());
        GatherRequest {
            tenant: config.tenant.clone(),
            source: config.sources[0].id.clone(),
            config: Arc::new(config),
            task: Arc::new(self.task.clone()),
            watch: Watch::default(),
        }
    }

    fn try_gather(&self) -> Result<Found, GatherError> {
        let request = self.request();
        let mut harvest = collect(&request, &self.settings)?;
        let mut found = Found::default();
        let mut take = |cut: Cut| -> Result<(), GatherError> {
            match cut {
                Cut::Batch(batch) => {
                    let mut bytes = Vec::new();
                    rmp_serde::encode::write_named(&mut bytes, &batch.lines).unwrap();
                    assert!(
                        bytes.len() < proto::envelope::BATCH_BYTES_MAX,
                        "a batch of {} bytes",
                        bytes.len()
                    );
                    found.batches.entry(batch.date).or_default().push(bytes);
                    let lines = batch.lines.open().unwrap();
                    assert_eq!(lines.len(), batch.hashes.len());
                    let items = (0..lines.len()).map(|i| lines.item(i).unwrap());
                    found.lines.entry(batch.date).or_default().extend(items);
                }
                Cut::Date { date, received, hash } => {
                    let lines = &found.lines[&date];
                    let (mut set, mut totals) =
                        (proto::hash::SetHash::default(), proto::manifest::Totals::default());
                    lines.iter().for_each(|line| {
                        set.add(line.hash());
                        totals.add_line(line);
                    });
                    assert_eq!(
                        (set.value(), totals),
                        (hash, received),
                        "{date}: what is published is what was received"
                    );
                    let ids: std::collections::BTreeSet<_> =
                        lines.iter().map(|line| line.id).collect();
                    assert_eq!(ids.len(), lines.len(), "{date}: every line has an id of its own");
                }
                Cut::Quarantined(records) => found.quarantined.extend(records),
            }
            Ok(())
        };
        let ended = cut(&mut harvest, &request.task, &request.watch, &mut take)?;
        let summary = harvest.summary();
        found.dates = ended.dates;
        found.cursor = ended.cursor;
        found.warnings = summary.warnings.clone();
        found.files_read = summary.files_read.clone();
        found.files_bad = summary.files_bad.clone();
        found.records = summary.records;
        assert_eq!(summary.quarantined, found.quarantined.len() as u64);
        Ok(found)
    }

    fn gather(&self) -> Found {
        self.try_gather().unwrap()
    }

    /// Gathers, and takes what was found as what is in force, as the coordinator does.
    fn gather_on(&mut self) -> Found {
        let found = self.gather();
        self.task.known =
            found.dates.iter().map(|d| KnownDate { date: d.date, hash: d.hash }).collect();
        self.task.cursor = found.cursor.clone().map(serde_bytes::ByteBuf::from);
        found
    }

    /// Why nothing can be gathered.
    fn error(&self) -> String {
        proto::fault::chain(&self.try_gather().unwrap_err())
    }
}

impl Found {
    fn all(&self) -> Vec<&BillingLineItem> {
        self.lines.values().flatten().collect()
    }
    fn one(&self) -> &BillingLineItem {
        let all = self.all();
        assert_eq!((all.len(), self.quarantined.len()), (1, 0), "{:?}", self.quarantined);
        all[0]
    }
    fn sum(&self, measure: Measure) -> String {
        self.all().iter().map(|line| line.measure(measure)).collect::<ExactSum>().to_string()
    }
    fn warning(&self, part: &str) -> u64 {
        self.warnings.iter().filter(|w| w.text.contains(part)).map(|w| w.count).sum()
    }
    /// Dates that would be published.
    fn published(&self) -> Vec<String> {
        self.dates.iter().filter(|d| !d.unchanged).map(|d| d.date.to_string()).collect()
    }
    fn unchanged(&self) -> usize {
        self.dates.iter().filter(|d| d.unchanged).count()
    }
}

/// The columns that most fixtures have.
const HEADER: &str = "BilledCost,EffectiveCost,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,\
                      ChargeCategory,ResourceId,ServiceName,PricingQuantity,Tags\n";

/// A file of fixtures: the header, then a line per date and cost.
fn bill(lines: &[(&str, &str)]) -> String {
    let line = |(n, (date, cost)): (usize, &(&str, &str))| {
        format!("{cost},{cost},USD,2024-09-01,{date},{date}T23:00:00Z,Usage,r-{n},Compute,{n},\n")
    };
    HEADER.to_owned() + &lines.iter().enumerate().map(line).collect::<String>()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// The folder of shared bills, if this machine has it.
fn shared() -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/focus");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}
