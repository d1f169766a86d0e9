//! What tests of every source need.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::config::{
    Guards, Match, OnBadLine, Reason, Rule, SourceConfig, SourceSettings, TenantConfig, Tier,
    Timing, Validity,
};
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, Measure};
use proto::money::ExactSum;
use proto::report::{GatheredHash, QuarantinedRecord, Warning};
use proto::task::Gather;
use proto::time::UnitDate;

use crate::cut::{Cut, cut};
use crate::error::GatherError;
use crate::ports::{GatherRequest, Harvest, Watch};

/// Tenant `acme` with one source, `cloud`, whose costs go to nobody.
pub fn tenant(settings: SourceSettings) -> TenantConfig {
    let default_rule = Rule {
        id: "all".to_owned(),
        sources: Vec::new(),
        matcher: Match::every_line(),
        valid: Validity::default(),
        chain: vec![Tier::Unallocated(Reason::Untagged)],
    };
    let source = SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: SourceId::parse("cloud").unwrap(),
        settings,
        built_in_rules: Vec::new(),
        default_rule,
    };
    TenantConfig {
        tenant: TenantId::parse("acme").unwrap(),
        currency: Vec::new(),
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
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
    }
}

/// A gather of the only source of a tenant.
pub fn request(config: TenantConfig, task: &Gather) -> GatherRequest {
    GatherRequest {
        tenant: config.tenant.clone(),
        source: config.sources[0].id.clone(),
        config: Arc::new(config),
        task: Arc::new(task.clone()),
        watch: Watch::default(),
    }
}

/// What a gather found and would publish.
#[derive(Debug, Default)]
pub struct Found {
    pub lines: BTreeMap<UnitDate, Vec<BillingLineItem>>,
    /// The batches of each date as bytes.
    pub batches: BTreeMap<UnitDate, Vec<Vec<u8>>>,
    pub quarantined: Vec<QuarantinedRecord>,
    pub dates: Vec<GatheredHash>,
    pub warnings: Vec<Warning>,
    pub files_read: Vec<String>,
    pub files_bad: Vec<String>,
    pub records: u64,
    pub cursor: Option<Vec<u8>>,
}

impl Found {
    /// What is cut of a harvest, every promise about it checked.
    pub fn of(harvest: &mut dyn Harvest, request: &GatherRequest) -> Result<Self, GatherError> {
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
        let ended = cut(harvest, &request.task, &request.watch, &mut take)?;
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

    pub fn all(&self) -> Vec<&BillingLineItem> {
        self.lines.values().flatten().collect()
    }
    pub fn one(&self) -> &BillingLineItem {
        let all = self.all();
        assert_eq!((all.len(), self.quarantined.len()), (1, 0), "{:?}", self.quarantined);
        all[0]
    }
    pub fn sum(&self, measure: Measure) -> String {
        self.all().iter().map(|line| line.measure(measure)).collect::<ExactSum>().to_string()
    }
    pub fn warning(&self, part: &str) -> u64 {
        self.warnings.iter().filter(|w| w.text.contains(part)).map(|w| w.count).sum()
    }
    /// Dates that would be published.
    pub fn published(&self) -> Vec<String> {
        self.dates.iter().filter(|d| !d.unchanged).map(|d| d.date.to_string()).collect()
    }
    pub fn unchanged(&self) -> usize {
        self.dates.iter().filter(|d| d.unchanged).count()
    }
}
