//! How fast rows are written. Measures; run it by name.

use std::sync::Arc;
use std::time::Duration;

use proto::config::Aggregation;
use proto::hash::Hash128;

use super::fixture::{amount, place, row, settings};
use super::layout::{Layout, Shape};
use crate::emission::VisibleRow;
use crate::files::NewFile;

/// Time that this thread was on a processor: others may use the machine meanwhile.
pub fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

/// Prints rows per second, and returns them.
pub fn told(what: &str, rows: usize, began: Duration) -> u64 {
    let micros = (on_processor() - began).as_micros().max(1);
    let rate = rows as u128 * 1_000_000 / micros;
    println!("{what}: {rows} rows in {} ms of a processor: {rate} rows/s", micros / 1_000);
    rate as u64
}

/// Rows of 5,000 resources over a day, each with its own numbers.
fn rows(count: usize) -> Vec<VisibleRow> {
    let lines: Vec<_> = (0..5_000)
        .map(|n| {
            let mut line = (*row().of).clone();
            line.resource_id =
                Some(format!("arn:aws:ec2:eu-west-1:200000000042:instance/i-{n:012x}"));
            line.service = Some("AmazonEC2".into());
            Arc::new(line)
        })
        .collect();
    let whys: Vec<_> = (0..100)
        .map(|n| {
            let mut why = (*row().why).clone();
            (why.owner, why.identity) = (format!("team-{n}"), format!("principal-{n}"));
            Arc::new(why)
        })
        .collect();
    let made = |n: usize| {
        let mut made = row();
        made.charge_start.0 += (n * 86_400 / count) as i64;
        made.charge_end.0 = made.charge_start.0 + 3_600;
        made.line.0 = Hash128::of(&n.to_le_bytes());
        let number = |n: usize| amount(&format!("{}.{:010}", n % 50, n * 7_919 % 10_000_000_000));
        made.amount = number(n);
        made.measures = [n, n + 1, n + 2, n + 3].map(number);
        made.quantities = [Some(number(n)), None];
        (made.of, made.why) = (Arc::clone(&lines[n % 5_000]), Arc::clone(&whys[n % 100]));
        made
    };
    (0..count).map(made).collect()
}

#[test]
#[ignore = "measures: cargo test --release -p emitter speed -- --ignored --nocapture --test-threads 1"]
fn rows_are_written_fast() {
    let turns = if cfg!(debug_assertions) { 1 } else { 20 };
    let (rows, folder) = (rows(50_000), tempfile::tempdir().unwrap());
    for (what, aggregation, group) in [
        ("CSV", Aggregation::None, &[][..]),
        ("CSV, added up as by default", Aggregation::Daily, &[]),
        ("CSV, added up by owner and service", Aggregation::Daily, &["owner_id", "service"]),
    ] {
        let shape = Shape::of(&settings(aggregation, group, &[])).unwrap();
        let began = on_processor();
        let file = NewFile::create(&folder.path().join("speed.csv")).unwrap();
        let mut layout = Layout::new(file, &place(), &shape).unwrap();
        (0..turns).for_each(|_| rows.iter().for_each(|row| layout.row(row).unwrap()));
        layout.finish().unwrap();
        let rate = told(what, turns * rows.len(), began);
        assert!(rate > 500_000 || cfg!(debug_assertions), "{rate} rows/s");
    }
}
