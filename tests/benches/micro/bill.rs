//! A FOCUS bill from its file to batches of lines: read, checked, sorted by date, cut.

use std::fs;
use std::io::Write;

use criterion::{Criterion, Throughput};

use crate::world::World;

const LINES: u64 = 50_000;

/// Seeded lines of 30 dates and 5,000 resources.
fn bill() -> Vec<u8> {
    let mut out = Vec::new();
    writeln!(
        out,
        "BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,\
         ChargeDescription,BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,ConsumedQuantity,\
         ConsumedUnit,ServiceName,ServiceCategory,SkuId,ResourceId,RegionId,Tags"
    )
    .expect("memory");
    for n in 0..LINES {
        let (resource, day, hour, cost) = (n * 7_919 % 5_000, n % 30 + 1, n % 24, n * 31 % 97);
        writeln!(
            out,
            "100000000001,2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,2026-05-{day:02}T{hour:02}:00:00Z,\
             2026-05-{day:02}T{hour:02}:59:59Z,Usage,Linux on-demand m6i.large,{cost}.0864{n:06},{cost}.0764{n:06},\
             {cost}.0960{n:06},{cost}.0864{n:06},USD,{}.0000,Hours,AmazonEC2,Compute,SKU-{:03},i-{resource:012x},\
             eu-west-1,\"{{\"\"CostCenter\"\":\"\"cc-{}\"\"}}\"",
            hour + 1,
            resource % 300,
            resource % 25,
        )
        .expect("memory");
    }
    out
}

/// Lines of a bill as CSV.
pub fn measure(criterion: &mut Criterion) {
    let world = World::new(
        "currency: USD\nsources:\n  bench: { kind: focus, files: [bill.csv], cost: EffectiveCost, owner: [tag.CostCenter] }\n",
    );
    fs::write(world.folder.path().join("bill.csv"), bill()).expect("a file");
    let mut group = criterion.benchmark_group("bill");
    group.throughput(Throughput::Elements(LINES));
    group.sample_size(10);
    group.bench_function("FOCUS, CSV: read, spool, cut", |b| {
        b.iter(|| {
            let lines: usize = world.gather().iter().map(proto::line::LineBatch::len).sum();
            assert_eq!(lines as u64, LINES);
        });
    });
    group.finish();
}
