//! A fault on purpose: one role is killed half-way through a run, so that people see what comes of it: nothing.

use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crate::store;

/// Between two looks: a short run is over in a second or two.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is to be killed, and whether it was.
#[derive(Debug)]
pub struct Drill {
    victim: &'static str,
    killed: OnceLock<()>,
}

impl Drill {
    /// Kills the role of that name, once.
    #[must_use]
    pub fn new(victim: &'static str) -> Self {
        Self { victim, killed: OnceLock::new() }
    }

    /// The role, once it was killed.
    #[must_use]
    pub fn killed(&self) -> Option<&'static str> {
        self.killed.get().map(|()| self.victim)
    }

    /// Watches `run` and asks for the kill through `kill` when half of its dates are visible. Dropping what this gives
    /// ends the watch.
    #[must_use]
    pub fn watch<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        (database_url, run): (String, String),
        kill: Sender<&'static str>,
    ) -> Watch<'scope> {
        let (stop, stopped) = channel::<()>();
        let thread = scope.spawn(move || {
            let mut client = None;
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                let connected = client.take().map_or_else(|| store::connect(&database_url), Ok);
                let Ok(mut connected) = connected else { continue };
                // A database that does not answer is asked again: a drill is never worth ending a run for.
                let Ok(progress) = store::progress(&mut connected, &run) else { continue };
                client = Some(connected);
                let (visible, all) = progress.units;
                if all > 0 && visible * 2 >= all {
                    if visible < all && kill.send(self.victim).is_ok() {
                        self.killed.get_or_init(|| ());
                    }
                    return;
                }
            }
        });
        Watch { stop: Some(stop), thread: Some(thread) }
    }
}

/// A watch under way.
pub struct Watch<'scope> {
    stop: Option<Sender<()>>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::debug!("the thread of the drill panicked");
        }
    }
}
