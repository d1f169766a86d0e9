//! Messages and the exact split.

use criterion::{BenchmarkId, Criterion, Throughput};
use proto::envelope::{self, Body};
use proto::line::LineBatch;
use proto::money::{Amount, Shares, Splitter};
use proto::row::RowBatch;

use crate::date::Date;

/// Lines and rows of a date of fan-out 10, and splits among few and many.
pub fn measure(criterion: &mut Criterion) {
    let date = Date::new(10);
    let (rows, _) = date.allocate(&date.program());
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(items::<LineBatch>(&date.lines, LineBatch::len)));
    group.bench_function("decode lines", |b| {
        b.iter(|| {
            decoded::<LineBatch>(&date.lines)
                .map(|batch| batch.open().map_or(0, |l| l.len()))
                .sum::<usize>()
        });
    });
    group.throughput(Throughput::Elements(items::<RowBatch>(&rows, RowBatch::len)));
    group.bench_function("decode rows", |b| {
        b.iter(|| {
            decoded::<RowBatch>(&rows)
                .map(|batch| batch.open().map_or(0, |r| r.pieces.len()))
                .sum::<usize>()
        });
    });
    let batches: Vec<RowBatch> = decoded(&rows).collect();
    let header = envelope::decode_header(&rows[0]).expect("a message").0;
    group.bench_function("encode rows", |b| {
        b.iter(|| {
            batches
                .iter()
                .map(|batch| envelope::encode(&header, batch).map_or(0, |m| m.len()))
                .sum::<usize>()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("split");
    for parties in [3_u32, 10, 1_000] {
        let weight = |n: u32| {
            (format!("party-{n:06}"), Amount::from_parts(i128::from(n * 7_919 % 999_983 + 1), 3))
        };
        let weights = (0..parties).map(weight).map(|(id, weight)| (id, weight.expect("a number")));
        let shares = Shares::new(weights).expect("weights");
        let amount = Amount::parse("12345.678901").expect("a number");
        let (mut splitter, mut parts) = (Splitter::default(), Vec::new());
        group.throughput(Throughput::Elements(u64::from(parties)));
        group.bench_function(BenchmarkId::new("by weight, parties", parties), |b| {
            b.iter(|| shares.split(amount, &mut splitter, &mut parts));
        });
    }
    group.finish();
}

fn decoded<B: Body>(messages: &[Vec<u8>]) -> impl Iterator<Item = B> {
    messages.iter().map(|message| envelope::decode::<B>(message).expect("a message").1)
}

fn items<B: Body>(messages: &[Vec<u8>], len: impl Fn(&B) -> usize) -> u64 {
    decoded::<B>(messages).map(|batch| len(&batch) as u64).sum()
}
