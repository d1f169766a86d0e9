//! A date in memory, as the allocator has it: lines and resolutions decoded, rules applied, rows encoded.

use std::sync::Arc;

use allocator::domain::{DriverWeights, Facts, Program, UnitAllocator};
use criterion::{BenchmarkId, Criterion, Throughput};
use gatherer::ports::ResolveRequest;
use gatherer::sources;
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation};
use proto::line::LineBatch;
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::row::RowBatch;
use proto::time::UnitDate;

use crate::world::World;

const ROWS: u32 = 100_000;
/// Resolutions of one message, about as many as the gatherer puts into one.
const RESOLUTIONS: usize = 100;

/// A date of a synthetic source: half of its lines are shared evenly, half by usage.
pub struct Date {
    /// Where it comes from.
    pub world: World,
    /// Which.
    pub day: UnitDate,
    /// Messages that carry its lines.
    pub lines: Vec<Vec<u8>>,
    /// Messages that carry its resolutions.
    pub resolutions: Vec<Vec<u8>>,
}

impl Date {
    /// Of about so many rows, `fanout` of each line.
    pub fn new(fanout: u32) -> Self {
        let resources = (ROWS / fanout / 10).max(1);
        let world = World::new(&format!(
            "currency: USD\nsources:\n  bench:\n    kind: synthetic\n    seed: 1\n    dates: 1\n    \
             start: 2026-01-01\n    resources: {resources}\n    products: 10\n    fanout: {fanout}\n    \
             identities: {}\n",
            fanout.max(1_000)
        ));
        let day: UnitDate = "2026-01-01".parse().expect("a date");
        let lines: Vec<_> = world.gather().iter().map(|batch| message(&world, batch)).collect();
        let config = world.config.source(world.source()).expect("the source");
        let plugin = sources::plugin(config).expect("a kind of source");
        let resolver = plugin.identity_resolver().expect("it tells who caused its costs");
        let mut found: Vec<IdentityResolution> = Vec::new();
        let mut take = |resolution| {
            found.push(resolution);
            Ok(())
        };
        resolver.resolve(&ResolveRequest::of(day), &mut take).expect("resolutions");
        let batches = found.chunks(RESOLUTIONS).map(ResolutionBatch::new);
        let resolutions = batches.map(|batch| message(&world, &batch)).collect();
        Self { world, day, lines, resolutions }
    }

    /// The messages that carry its rows, and their number.
    pub fn allocate(&self, program: &Arc<Program>) -> (Vec<Vec<u8>>, usize) {
        let mut facts = Facts::default();
        for message in &self.resolutions {
            let batch = envelope::decode::<ResolutionBatch>(message).expect("a message").1;
            facts.add(batch.open().expect("sound columns"));
        }
        let drivers = DriverWeights::awaited();
        let mut unit = UnitAllocator::new(Arc::clone(program), self.day, facts, drivers);
        let (mut messages, mut rows) = (Vec::new(), 0);
        let mut write = |batch: &RowBatch| {
            rows += batch.len();
            messages.push(message(&self.world, batch));
        };
        for message in &self.lines {
            let batch = envelope::decode::<LineBatch>(message).expect("a message").1;
            let lines = batch.open().expect("sound columns");
            let packed = unit.allocate(&lines).expect("rows that add up");
            packed.iter().for_each(|packed| write(&packed.batch));
        }
        unit.finish().0.iter().for_each(|packed| write(&packed.batch));
        (messages, rows)
    }

    /// Its rules.
    pub fn program(&self) -> Arc<Program> {
        Arc::new(Program::compile(&self.world.config, self.world.source()).expect("rules"))
    }
}

fn message<B: envelope::Body>(world: &World, body: &B) -> Vec<u8> {
    let header = Header::new::<B>(world.config.tenant.clone(), Generation(1), Attempt(1));
    envelope::encode(&header, body).expect("a message")
}

/// Dates of different fan-outs.
pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("date");
    for fanout in [1, 10, 100, 1_000] {
        let date = Date::new(fanout);
        let program = date.program();
        let rows = date.allocate(&program).1;
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("decode, allocate, encode, fan-out", fanout), |b| {
            b.iter(|| date.allocate(&program));
        });
    }
    group.finish();
}
