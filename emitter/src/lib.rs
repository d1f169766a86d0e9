//! The emitter: its ledger writes lines and rows into Postgres, its other emitters carry visible dates to the outside.
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | commit: store, verify, make visible under the fence; restore from the archive |
//! | [`reconcile`] | what is stored, compared again with what it was made of |
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
pub mod reconcile;
mod sql;
mod ticking;
mod wire;
mod worker;

pub use wire::Tuples;

use std::time::Duration;

use proto::subject::Queue;
use runtime::process::{Process, ProcessError};
use runtime::worker::{Serve, serve};
use tokio::task::JoinSet;

use ledger::LedgerKeeper;
use worker::EmitterWorker;

/// Connections of the keeper: for dimensions and for deletions.
const KEEPER_CONNECTIONS: usize = 2;
/// Connections of the reconciler.
const RECONCILE_CONNECTIONS: usize = 1;

/// The whole life of an emitter process.
///
/// # Errors
/// When its settings are wrong.
pub async fn live(process: Process) -> Result<(), ProcessError> {
    let settings = &process.settings;
    let store = process.store("work", settings.pool_max)?;
    let keeper = LedgerKeeper::start(process.store("keeper", KEEPER_CONNECTIONS)?);
    let worker = EmitterWorker { store, keeper };
    // Ends with the process' work: what was not compared is still due.
    let mut watching = JoinSet::new();
    if settings.reconcile_every > 0 {
        let every = Duration::from_secs(settings.reconcile_every);
        let store = process.store("reconcile", RECONCILE_CONNECTIONS)?;
        watching.spawn(reconcile::watch(store, every, process.observe.metrics.clone()));
    }
    let serve_queue = |queue| Serve { queue, slots: settings.slots };
    let served = serve(
        &process,
        worker,
        &[Queue::Commit, Queue::Emit, Queue::Restore, Queue::Driver].map(serve_queue),
    )
    .await;
    watching.shutdown().await;
    served
}
