//! How fast a large bill goes through, and in how much memory. Measures; run it by name.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use super::*;
use crate::cut::{Cut, cut};

/// A month of a made-up company, in the shape of FOCUS 1.2: `lines` over 30 dates, 5,000 resources.
fn month(tenant: &Tenant, lines: u64) -> u64 {
    let file = std::fs::File::create(tenant.folder.path().join("bill.csv.gz")).unwrap();
    let mut out =
        flate2::write::GzEncoder::new(std::io::BufWriter::new(file), flate2::Compression::fast());
    writeln!(
        out,
        "ProviderName,PublisherName,InvoiceIssuerName,InvoiceId,BillingAccountId,BillingAccountName,BillingAccountType,\
         SubAccountId,SubAccountName,SubAccountType,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,\
         ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,BilledCost,EffectiveCost,ListCost,ContractedCost,\
         ListUnitPrice,ContractedUnitPrice,PricingCategory,PricingQuantity,PricingUnit,BillingCurrency,ConsumedQuantity,\
         ConsumedUnit,ServiceName,ServiceCategory,ServiceSubcategory,SkuId,SkuMeter,SkuPriceId,SkuPriceDetails,ResourceId,\
         ResourceName,ResourceType,RegionId,RegionName,AvailabilityZone,Tags"
    )
    .unwrap();
    let (mut text, mut bytes, mut state) = (String::new(), 0, 1_u64);
    for n in 0..lines {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (r, day, hour) = ((state >> 33) % 5_000, n % 30 + 1, (state >> 20) % 24);
        let (account, team, cost) = (r % 40, r % 25, state >> 44);
        text.clear();
        writeln!(
            text,
            "AWS,AWS,AWS,INV-2026-05-0001,100000000001,ExampleCorp Master Payer,Payer Account,2000000000{account:02},\
             account-{account},Linked Account,2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,2026-05-{day:02}T{hour:02}:00:00Z,\
             2026-05-{day:02}T{hour:02}:59:59Z,Usage,,Linux on-demand m6i.large,Usage-Based,{cost}.0864{n:06},{cost}.0764{n:06},\
             {cost}.0960{n:06},{cost}.0864{n:06},0.0960000000,0.0864000000,Standard,{}.0000,Hours,USD,{}.0000,Hours,AmazonEC2,\
             Compute,Virtual Machines,SKU-ca9c2ba97f0b30fb137ef{:03},Compute,SPRICE-d7f4030fc2a8b65799f6b{:03},\
             \"{{\"\"InstanceType\"\":\"\"m6i.large\"\",\"\"CoreCount\"\":2,\"\"OperatingSystem\"\":\"\"Linux\"\"}}\",\
             arn:aws:ec2:eu-west-1:2000000000{account:02}:instance/i-{r:012x},i-{r:012x},EC2 Instance,eu-west-1,EU (Ireland),\
             eu-west-1b,\"{{\"\"Environment\"\":\"\"prod\"\",\"\"CostCenter\"\":\"\"cc-{team}\"\",\"\"Owner\"\":\"\"team-{team}\"\"}}\"",
            n % 24 + 1,
            n % 24 + 1,
            r % 300,
            r % 700,
        )
        .unwrap();
        bytes += text.len() as u64;
        out.write_all(text.as_bytes()).unwrap();
    }
    out.finish().unwrap();
    tenant.age("bill.csv.gz", 3_600);
    bytes
}

/// Most memory that this process had at a time, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

#[test]
#[ignore = "measures: cargo test --release -p gatherer speed -- --ignored --nocapture"]
fn a_large_month_goes_through_fast_and_small() {
    let lines = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let tenant = Tenant::new(Measure::Billed, &["bill.csv.gz"]);
    let bytes = month(&tenant, lines);
    let begun = Instant::now();
    let request = tenant.request();
    let mut harvest = collect(&request, &tenant.settings).unwrap();
    let read = begun.elapsed();
    let (mut batches, mut published) = (0_u64, 0);
    let mut take = |cut: Cut| -> Result<(), GatherError> {
        if let Cut::Batch(batch) = cut {
            let mut out = Vec::new();
            rmp_serde::encode::write_named(&mut out, &batch.lines).unwrap();
            published += out.len();
            batches += 1;
        }
        Ok(())
    };
    let ended = cut(&mut harvest, &request.task, &request.watch, &mut take).unwrap();
    let all = begun.elapsed();
    assert_eq!((harvest.summary().records, ended.dates.len()), (lines, 30));
    println!(
        "{lines} lines, {} MB: read {:.2} s, cut {:.2} s, {} MB in {batches} batches, peak memory {} MB",
        bytes / 1_000_000,
        read.as_secs_f64(),
        (all - read).as_secs_f64(),
        published / 1_000_000,
        peak() / 1_000
    );
    assert!(peak() < 150_000, "memory is bounded");
}
