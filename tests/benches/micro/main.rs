//! `cargo bench -p tests --bench micro [-- PART OF A NAME]`: what one core does of each step that every line or row
//! goes through, in memory: the codec, the exact split, the rules, reading a bill.

mod bill;
mod codec;
mod date;
mod world;

use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    codec::measure(criterion);
    date::measure(criterion);
    bill::measure(criterion);
}

criterion_group! {
    name = micro;
    config = Criterion::default().sample_size(20);
    targets = all
}
criterion_main!(micro);
