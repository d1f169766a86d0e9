//! What `bench` asks of Postgres: when what was done, how large it is, and how fast COPY alone is.

use std::io::Write;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::error::SqlState;
use postgres::{Client, Row, Transaction};

use super::is_migrated;

/// When the phases of all sources began and ended, counted from the first task. Those of different dates overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// The first and the last gather ended.
    pub gathered: (Duration, Duration),
    /// The rows of the first and of the last date went to the ledger.
    pub allocated: (Duration, Duration),
    /// The last date became visible.
    pub visible: Duration,
}

/// Bytes in Postgres, indexes included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Rows and their dimensions.
    pub rows: u64,
    /// Lines and their dimensions.
    pub lines: u64,
    /// The archive of messages.
    pub archive: u64,
}

/// Whether anything is in force there.
pub fn is_in_use(txn: &mut Transaction<'_>) -> Result<bool> {
    if !is_migrated(txn)? {
        return Ok(false);
    }
    Ok(txn.query_one("select exists (select from source_state)", &[])?.get(0))
}

/// When what was done.
pub fn timings(txn: &mut Transaction<'_>) -> Result<Timings> {
    let sql = "with first as (select min(gather_at) as at from source_state),
        gathers as (select min(done_at) as first, max(done_at) as last from source_state),
        units as (select min(dispatched_at) as first, max(dispatched_at) as last, max(visible_at) as visible
            from pipeline_state),
        moments as (select array[gathers.first, gathers.last, units.first, units.last, units.visible] as all
            from gathers, units)
      select array(select (extract(epoch from moment - first.at) * 1000000)::int8
            from unnest(moments.all) with ordinality as u (moment, place) order by place)
      from first, moments";
    let micros: Vec<Option<i64>> = txn.query_one(sql, &[]).context("cannot read the times")?.get(0);
    let at = |place: usize| -> Result<Duration> {
        let micros = micros.get(place).copied().flatten().context("nothing was calculated")?;
        Ok(Duration::from_micros(u64::try_from(micros)?))
    };
    Ok(Timings { gathered: (at(0)?, at(1)?), allocated: (at(2)?, at(3)?), visible: at(4)? })
}

/// How large what is stored is.
pub fn sizes(txn: &mut Transaction<'_>) -> Result<Sizes> {
    let sql = "with tables as (
        select i.inhparent::regclass::text as name, i.inhrelid as id from pg_inherits i
        union all select name, name::regclass from unnest(array['billing_dimensions', 'chargeback_dimensions']) as name)
      select coalesce(sum(pg_total_relation_size(id)) filter (where name ~ 'chargeback'), 0)::int8,
        coalesce(sum(pg_total_relation_size(id)) filter (where name ~ 'billing'), 0)::int8,
        coalesce(sum(pg_total_relation_size(id)) filter (where name ~ 'line_archive'), 0)::int8
      from tables";
    let row: Row = txn.query_one(sql, &[]).context("cannot read the sizes")?;
    let bytes = |at: usize| u64::try_from(row.get::<_, i64>(at));
    Ok(Sizes { rows: bytes(0)?, lines: bytes(1)?, archive: bytes(2)? })
}

/// Stores what comes, which are `rows` tuples of a binary COPY, in a logged table without index, over one connection
/// and in one transaction. How long that took, and how many bytes it is; nothing of it stays.
pub fn wall(client: &mut Client, rows: u64, pieces: &Receiver<Vec<u8>>) -> Result<(Duration, u64)> {
    client.batch_execute(
        "drop table if exists bench_wall;
         create table bench_wall (tenant text, date date, generation int8, line bytea, identity int4, amount numeric,
             currency int2, dimension int8)",
    )?;
    // What the pipeline left to write would be written meanwhile.
    match client.batch_execute("checkpoint") {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            tracing::warn!(
                "without the right to a checkpoint, the wall bears what the pipeline left to write"
            );
        }
        done => done.context("no checkpoint")?,
    }
    let started = Instant::now();
    let mut txn = client.transaction()?;
    let mut copy = txn.copy_in("copy bench_wall from stdin (format binary)")?;
    for piece in pieces {
        copy.write_all(&piece).context("Postgres takes no more")?;
    }
    let stored = copy.finish()?;
    txn.commit()?;
    let taken = started.elapsed();
    ensure!(stored == rows, "Postgres stored {stored} rows of {rows}");
    let size = client.query_one("select pg_total_relation_size('bench_wall')", &[])?;
    let bytes = u64::try_from(size.get::<_, i64>(0))?;
    client.batch_execute("drop table bench_wall")?;
    Ok((taken, bytes))
}
