//! Tests of whole gathers over files that are written here.

mod again;
#[cfg(feature = "parquet")]
mod columnar;
mod refused;
mod shared;
mod shuffle;
mod speed;
mod traps;

use std::path::Path;

use proto::config::{Duplicates, FocusSettings, SourceSettings, TenantConfig};
use proto::line::Measure;
use proto::task::{Gather, KnownDate};

use super::collect::collect;
use crate::error::GatherError;
use crate::fixture::{self, Found};
use crate::ports::{GatherRequest, Harvest};

/// A tenant with one `focus` source in a folder of its own.
struct Tenant {
    folder: tempfile::TempDir,
    settings: FocusSettings,
    config: TenantConfig,
    task: Gather,
}

impl Tenant {
    fn new(cost: Measure, files: &[&str]) -> Self {
        let files = files.iter().map(|f| (*f).to_owned()).collect();
        let settings =
            FocusSettings { files, cost, owner: Vec::new(), duplicates: Duplicates::Error };
        let config = fixture::tenant(SourceSettings::Focus(settings.clone()));
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
        fixture::request(config, &self.task)
    }

    fn try_gather(&self) -> Result<Found, GatherError> {
        let request = self.request();
        let mut harvest = collect(&request, &self.settings)?;
        Found::of(&mut harvest, &request)
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
