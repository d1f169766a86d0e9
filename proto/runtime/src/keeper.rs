//! Keepers: actors that own one thing's state. actix is used here and in each crate's `keeper.rs`, nowhere else.
//!
//! Facts about actix 0.13 that shape every keeper (measured):
//! a panic in a handler leaves a dead address and a living process, so a panic ends the process (see [`crate::process`]);
//! the mailbox bounds queued messages, not work, so the pump ([`crate::worker`]) asks, awaits the answer, then pulls more;
//! `do_send` ignores the bound and swallows errors, so a lint bans it;
//! an [`actix::Addr`] stays private behind a handle with async functions.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Context};

/// The threads that keepers live on. Made once, inside the process' actix system, which only that thread knows;
/// keepers are started from any thread.
static THREADS: OnceLock<Vec<ArbiterHandle>> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Keepers wait for the network nearly all the time, and CPU work goes through `spawn_blocking`: a few threads do.
const THREADS_COUNT: usize = 4;

/// Makes the threads that keepers live on. To be called on the thread of the actix system, before any [`start`].
pub fn prepare() {
    THREADS.get_or_init(|| (0..THREADS_COUNT).map(|_| Arbiter::new().handle()).collect());
}

/// Starts a keeper. It stays on one thread, so that its state needs no lock and never migrates.
pub fn start<A>(make: impl FnOnce() -> A + Send + 'static) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    prepare();
    let threads = THREADS.get().map_or(&[][..], Vec::as_slice);
    let thread = &threads[NEXT.fetch_add(1, Ordering::Relaxed) % threads.len()];
    A::start_in_arbiter(thread, |_| make())
}

/// Whether every thread of keepers does what it is asked, within `limit`. True where there are none yet.
pub async fn turn(limit: Duration) -> bool {
    let threads = THREADS.get().map_or(&[][..], Vec::as_slice);
    let asked = threads.iter().map(|thread| {
        let (tell, told) = tokio::sync::oneshot::channel();
        let sent = thread.spawn(async move {
            // Nobody listens any more: who asked has given up waiting.
            tell.send(()).ok();
        });
        sent.then_some(told)
    });
    let asked: Vec<_> = asked.collect();
    let all = async {
        for told in asked {
            let Some(told) = told else { return false };
            if told.await.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(limit, all).await.unwrap_or(false)
}

/// The keeper is gone: the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keeper is gone: its process is ending")]
pub struct Gone;

impl From<actix::MailboxError> for Gone {
    fn from(_: actix::MailboxError) -> Self {
        Self
    }
}
