//! The emitter: its ledger writes lines and rows into Postgres, its other emitters carry visible dates to the outside.
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | commit: store, verify, make visible under the fence; restore from the archive |
//! | [`emission`] | what all emitters share: the lock, the rows in order, the second look before publishing |
//! | [`files`] | what all emitters of files share: names, content that takes another's place all at once |
//! | [`csv`], [`focus`] | formats of files |
//! | [`clock`] | times as text |
//! | [`archived`] | messages of the archive, read back |
//! | [`sql`] | every statement |
//! | [`wire`] | exact values in Postgres' binary forms |
//!
//! A new kind of emitter is a folder with an [`emission::Emitter`] (or, for files, a [`files::Format`]), and a line in
//! `emission/kinds.rs`.

mod archived;
mod clock;
mod csv;
mod emission;
mod error;
mod files;
mod focus;
pub mod ledger;
mod sql;
mod ticking;
mod wire;
mod worker;

pub use wire::Tuples;

use proto::subject::Queue;
use runtime::process::{Process, ProcessError};
use runtime::worker::{Serve, serve};

use ledger::LedgerKeeper;
use worker::EmitterWorker;

/// Connections of the keeper: for dimensions and for deletions.
const KEEPER_CONNECTIONS: usize = 2;

/// The whole life of an emitter process.
///
/// # Errors
/// When its settings are wrong.
pub async fn live(process: Process) -> Result<(), ProcessError> {
    let settings = &process.settings;
    let store = process.store("work", settings.pool_max)?;
    let keeper = LedgerKeeper::start(process.store("keeper", KEEPER_CONNECTIONS)?);
    let worker = EmitterWorker { store, keeper };
    let serve_queue = |queue| Serve { queue, slots: settings.slots };
    serve(
        &process,
        worker,
        &[Queue::Commit, Queue::Emit, Queue::Restore, Queue::Driver].map(serve_queue),
    )
    .await
}
