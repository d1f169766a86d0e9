//! `cargo bench -p tests --bench million [-- LINES]`: FOCUS lines of one tenant over 30 dates, one owner each, from the
//! file to visible rows in Postgres and CSV files, through the real program with durable servers. Prints the time from
//! start to visible, the time of the whole run, and the peak resident memory of each process.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tests::processes;
use tests::stand::Stand;

const LINES: u64 = 1_000_000;
const TENANT: &str = "currency: USD
sources:
  cloud: { kind: focus, files: [\"bill.csv\"], cost: EffectiveCost, owner: [tag.team] }
emitters:
  csv: { dir: out/csv }
";

fn main() -> Result<()> {
    let lines = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(LINES);
    let stand = Stand::new("million");
    stand.write("tenants/big.yaml", TENANT);
    bill(&stand, lines).context("cannot write the bill")?;
    let bytes = stand.config().join("bill.csv").metadata()?.len();
    println!("{lines} lines, {} MB", bytes / 1_000_000);

    // Builds the program where needed, which is not to be measured.
    tests::program::apportion();
    let started = Instant::now();
    let mut run = stand.start(&["run", "--once", "--json"]);
    let mut peaks = BTreeMap::new();
    let mut roles_ended = None;
    let status = loop {
        let found = watch(run.pid(), &mut peaks);
        if !found && peaks.contains_key("coordinator") && roles_ended.is_none() {
            roles_ended = Some(started.elapsed());
        }
        match run.end(Duration::from_millis(100)) {
            Ok(status) => break status,
            // Still running: that is what the error says.
            Err(_) => {
                ensure!(started.elapsed() < Duration::from_secs(3600), "the run does not end")
            }
        }
    };
    ensure!(status.success(), "the run failed: {status}\n{}", run.said());
    let summary: serde_json::Value = serde_json::from_str(&run.output())?;
    let usd = &summary["tenants"][0]["totals"]["USD"];
    ensure!(
        usd["difference"] == "0" && summary["tenants"][0]["lines"] == lines,
        "not conserved: {summary}"
    );
    let settled = roles_ended.unwrap_or_else(|| started.elapsed());
    println!("start to visible and emitted: {:.1} s", settled.as_secs_f64());
    println!("with the summary:             {:.1} s", started.elapsed().as_secs_f64());
    for (role, peak) in peaks {
        println!("peak resident {role:<12} {:>4} MB", peak.div_ceil(1024));
    }
    Ok(())
}

/// Notes the peak memory of each process below `pid`; whether the coordinator is among them.
fn watch(pid: u32, peaks: &mut BTreeMap<&'static str, u64>) -> bool {
    let mut coordinator = false;
    for process in processes::below(pid) {
        let Some(role) = process.role() else { continue };
        coordinator |= role == "coordinator";
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        let known = peaks.entry(role).or_default();
        *known = peak.max(*known);
    }
    coordinator
}

fn bill(stand: &Stand, lines: u64) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(7);
    let mut out = BufWriter::new(std::fs::File::create(stand.config().join("bill.csv"))?);
    writeln!(
        out,
        "BillingAccountId,BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingPeriodStart,\
         BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeDescription,ProviderName,\
         ServiceCategory,ServiceName,ResourceId,SubAccountId,PricingQuantity,PricingUnit,ConsumedQuantity,ConsumedUnit,\
         RegionId,SkuId,InvoiceId,Tags"
    )?;
    let services = [
        ("Compute", "AmazonEC2"),
        ("Storage", "AmazonS3"),
        ("Networking", "AmazonVPC"),
        ("Databases", "AmazonRDS"),
    ];
    for i in 0..lines {
        let (day, hour) = (i % 30 + 1, random.random_range(0..24));
        let (category, service) = services[random.random_range(0..services.len())];
        let cost: u64 = random.random_range(1..1_000_000_000);
        let (resource, quantity) =
            (random.random_range(0..5000), random.random_range(1..1_000_000));
        let cost = format!("{}.{:07}", cost / 10_000_000, cost % 10_000_000);
        writeln!(
            out,
            "100000000001,{cost},{cost},{cost}9,{cost},USD,2026-09-01T00:00:00Z,2026-10-01T00:00:00Z,\
             2026-09-{day:02}T{hour:02}:00:00Z,2026-09-{day:02}T{hour:02}:59:59Z,Usage,usage of {service},AWS,\
             {category},{service},arn:aws:{service}:eu-west-1:res/{resource},2000000000{:02},{}.{:03},Hours,\
             {}.{:03},Hours,eu-west-1,SKU{},INV-1,\"{{\"\"team\"\":\"\"team-{}\"\",\"\"env\"\":\"\"prod\"\"}}\"",
            resource % 12,
            quantity / 1000,
            quantity % 1000,
            quantity / 1000,
            quantity % 1000,
            resource % 300,
            resource % 40,
        )?;
    }
    out.flush()?;
    Ok(())
}
