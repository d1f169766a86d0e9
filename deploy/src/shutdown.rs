//! The wish to stop: Ctrl-C, SIGTERM, SIGHUP, or a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Shared by all who may be asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    asked: Arc<AtomicU32>,
}

impl Shutdown {
    /// Asked for by SIGINT, SIGTERM or SIGHUP of this process, from now on.
    pub fn on_signals() -> Result<Self> {
        let shutdown = Self::default();
        let asked = shutdown.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot start the signal thread")?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            )
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    asked.request();
                }
            })
        })?;
        Ok(shutdown)
    }

    /// Asks to stop.
    pub fn request(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Was it asked for?
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 0
    }

    /// Was it asked for again, because draining takes too long?
    pub fn impatient(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 1
    }
}
