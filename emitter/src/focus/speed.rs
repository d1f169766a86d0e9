//! How fast rows are written. Measures; run it by name.

use std::sync::Arc;

use proto::hash::Hash128;
use proto::line::{BillingLineItem, LineBatchBuilder, LineId, Lines};
use proto::money::Share;
use proto::time::UtcSeconds;

use super::columns::Version;
use super::layout::Layout;
use crate::csv::fixture::{amount, place, row};
use crate::csv::speed::{on_processor, told};
use crate::emission::{Origin, VisibleRow};
use crate::files::{NewFile, csv_writer};

/// A batch in the shape of a FOCUS 1.2 bill of a cloud.
fn lines(first: usize, count: usize) -> Arc<Lines> {
    let mut builder = LineBatchBuilder::default();
    for n in first..first + count {
        let (r, cost) = (n * 7_919 % 5_000, n * 31 % 97);
        let mut cells: Vec<(String, String)> = [
            ("AvailabilityZone", "eu-west-1b".to_owned()),
            ("BillingAccountId", "100000000001".to_owned()),
            ("BillingAccountName", "ExampleCorp Master Payer".to_owned()),
            ("BillingAccountType", "Payer Account".to_owned()),
            ("BillingPeriodEnd", "2026-06-01T00:00:00Z".to_owned()),
            ("BillingPeriodStart", "2026-05-01T00:00:00Z".to_owned()),
            ("ChargeCategory", "Usage".to_owned()),
            ("ChargeDescription", "Linux on-demand m6i.large".to_owned()),
            ("ChargeFrequency", "Usage-Based".to_owned()),
            ("ConsumedUnit", "Hours".to_owned()),
            ("ContractedUnitPrice", "0.0864000000".to_owned()),
            ("InvoiceId", "INV-2026-05-0001".to_owned()),
            ("InvoiceIssuerName", "AWS".to_owned()),
            ("ListUnitPrice", "0.0960000000".to_owned()),
            ("PricingCategory", "Standard".to_owned()),
            ("PricingCurrency", "USD".to_owned()),
            ("PricingCurrencyEffectiveCost", format!("{cost}.0764{n:06}")),
            ("PricingUnit", "Hours".to_owned()),
            ("ProviderName", "AWS".to_owned()),
            ("PublisherName", "AWS".to_owned()),
            ("RegionId", "eu-west-1".to_owned()),
            ("RegionName", "EU (Ireland)".to_owned()),
            ("ResourceId", format!("arn:aws:ec2:eu-west-1:2000000000:instance/i-{r:012x}")),
            ("ResourceName", format!("i-{r:012x}")),
            ("ResourceType", "EC2 Instance".to_owned()),
            ("ServiceCategory", "Compute".to_owned()),
            ("ServiceName", "AmazonEC2".to_owned()),
            ("ServiceSubcategory", "Virtual Machines".to_owned()),
            ("SkuId", format!("SKU-ca9c2ba97f0b30fb137ef{:03}", r % 300)),
            ("SkuMeter", "Compute".to_owned()),
            ("SkuPriceDetails", r#"{"InstanceType":"m6i.large","CoreCount":2}"#.to_owned()),
            ("SkuPriceId", format!("SPRICE-d7f4030fc2a8b65799f6b{:03}", r % 700)),
            ("SubAccountId", format!("2000000000{:02}", r % 40)),
            ("SubAccountName", format!("account-{}", r % 40)),
            ("SubAccountType", "Linked Account".to_owned()),
            ("Tags", format!(r#"{{"Environment":"prod","CostCenter":"cc-{}"}}"#, r % 25)),
            ("x_Discount", "none".to_owned()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into();
        cells.sort_unstable();
        let number = |more: &str| Some(amount(&format!("{cost}.{more}{n:06}")));
        builder.push(&BillingLineItem {
            id: LineId(Hash128::of(&n.to_le_bytes())),
            charge_start: UtcSeconds(1_777_593_600 + (n % 24) as i64 * 3_600),
            charge_end: UtcSeconds(1_777_597_200 + (n % 24) as i64 * 3_600),
            billing_period: "2026-05".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            amount: amount(&format!("{cost}.0764{n:06}")),
            measures: [number("0864"), None, number("0964"), number("0990")],
            quantities: [Some(amount("5")), Some(amount("5"))],
            resolution_key: None,
            cells,
        });
    }
    Arc::new(builder.take().open().unwrap())
}

/// The rows of lines, of which every third is shared by three.
fn rows(lines: &Arc<Lines>) -> Vec<VisibleRow> {
    let mut rows = Vec::new();
    for at in 0..lines.len() {
        let parts = if at % 3 == 0 { 3 } else { 1 };
        for part in 0..parts {
            let mut row = row();
            row.line = lines.id[at];
            row.measures = [0, 1, 2, 3].map(|m| lines.measure(m, at).unwrap_or(lines.amount[at]));
            let why = Arc::make_mut(&mut row.why);
            why.owner = format!("team-{part}");
            why.method = if parts == 1 { "direct".into() } else { "even".into() };
            let share = Share::from_narrow(1, parts).unwrap();
            row.origin = Some(Origin { place: at as i64, share, lines: Arc::clone(lines), at });
            rows.push(row);
        }
    }
    rows
}

#[test]
#[ignore = "measures: cargo test --release -p emitter speed -- --ignored --nocapture --test-threads 1"]
fn rows_are_written_fast() {
    let turns = if cfg!(debug_assertions) { 1 } else { 10 };
    let batches: Vec<_> = (0..10).map(|n| rows(&lines(n * 2_000, 2_000))).collect();
    let folder = tempfile::tempdir().unwrap();
    for (what, version) in [("FOCUS 1.2", Version::V1_2), ("FOCUS 1.3", Version::V1_3)] {
        let began = on_processor();
        let file = NewFile::create(&folder.path().join("speed.csv")).unwrap();
        let mut layout = Layout::new(csv_writer(file), &place(), version);
        layout.head(&["x_Discount".to_owned()]).unwrap();
        let mut count = 0;
        for rows in (0..turns).flat_map(|_| &batches) {
            rows.chunk_by(|a, b| a.line == b.line).for_each(|rows| layout.line(rows).unwrap());
            count += rows.len();
        }
        layout.finish().unwrap();
        let rate = told(what, count, began);
        assert!(rate > 150_000 || cfg!(debug_assertions), "{rate} rows/s");
    }
}

#[cfg(feature = "parquet")]
#[test]
#[ignore = "measures: cargo test --release -p emitter --features parquet speed -- --ignored --nocapture --test-threads 1"]
fn rows_of_parquet_are_written_fast() {
    use crate::files::Parquet;

    let turns = if cfg!(debug_assertions) { 1 } else { 10 };
    let batches: Vec<_> = (0..10).map(|n| rows(&lines(n * 2_000, 2_000))).collect();
    let folder = tempfile::tempdir().unwrap();
    let began = on_processor();
    let file = NewFile::create(&folder.path().join("speed.parquet")).unwrap();
    let table = Parquet::new(file, super::kinds::kind, 18);
    let mut layout = Layout::new(table, &place(), Version::V1_2);
    let mut count = 0;
    for rows in (0..turns).flat_map(|_| &batches) {
        rows.chunk_by(|a, b| a.line == b.line).for_each(|rows| layout.line(rows).unwrap());
        count += rows.len();
    }
    layout.finish().unwrap();
    let rate = told("FOCUS 1.2 as Parquet", count, began);
    assert!(rate > 150_000 || cfg!(debug_assertions), "{rate} rows/s");
}
