//! What Postgres can write at best: rows of a fixed shape, over one connection.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use emitter::Tuples;
use postgres::Client;
use proto::hash::Hash128;
use proto::money::Amount;
use proto::time::UnitDate;

use crate::store;

/// It is measured so often, and the best counts: it is what is compared with.
const TIMES: u32 = 3;
/// Columns of the table.
const COLUMNS: i16 = 8;
/// Pieces that wait for Postgres: some hundred kilobytes.
const WAITING: usize = 4;

/// The best of some measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// How long it took.
    pub taken: Duration,
    /// What is stored.
    pub bytes: u64,
}

/// Stores so many rows some times.
pub fn measure(client: &mut Client, rows: u64, day: UnitDate) -> Result<Wall> {
    let mut best: Option<Wall> = None;
    for _ in 0..TIMES {
        let (sender, pieces) = sync_channel(WAITING);
        // A thread of its own, so that Postgres never waits for what it is to store.
        let (taken, bytes) = std::thread::scope(|scope| {
            scope.spawn(move || send(&sender, rows, day));
            let stored = store::wall(client, rows, &pieces);
            // Whoever still sends hears that nobody listens.
            drop(pieces);
            stored
        })?;
        if best.is_none_or(|best| taken < best.taken) {
            best = Some(Wall { taken, bytes });
        }
    }
    best.context("nothing was measured")
}

/// Makes the tuples. Ends early when nobody takes them: whoever does has an error to tell.
fn send(sender: &SyncSender<Vec<u8>>, rows: u64, day: UnitDate) {
    let mut tuples = Tuples::default();
    for row in 0..rows {
        tuples.start(COLUMNS);
        tuples.text("tenant-0001");
        tuples.date(day);
        tuples.int8(1);
        tuples.bytes(&Hash128::of(&(row / 10).to_le_bytes()).0);
        tuples.int4((row % 1_000) as i32);
        // Six decimals, as most shares have.
        let units = i128::from(row.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 999_999_937);
        tuples.amount(Amount::from_parts(units, 6).unwrap_or(Amount::ZERO));
        tuples.int2(840);
        tuples.int8((row % 997) as i64);
        if let Some(piece) = tuples.piece()
            && sender.send(piece).is_err()
        {
            return;
        }
    }
    // An error says the same as above.
    _ = sender.send(tuples.end());
}
