//! One thread that starts every child and never ends.
//!
//! On Linux the parent-death signal belongs to the *thread* that spawned: a child started from a thread that
//! ends (a test, a worker of a pool) would be killed with it.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

struct Request {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// Starts `command` from the immortal thread.
pub fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = match SPAWNER.get() {
        Some(spawner) => spawner,
        None => {
            let (sender, requests) = channel::<Request>();
            std::thread::Builder::new().name("spawner".into()).spawn(move || {
                for Request { mut command, answer } in requests {
                    if let Err(unwanted) = answer.send(command.spawn())
                        && let Ok(mut child) = unwanted.0
                    {
                        // Nobody waits for it any more; the guard would notice only when we die.
                        child.kill().and_then(|()| child.wait()).ok();
                    }
                }
            })?;
            // Two first callers at once: the loser's thread ends before it ever spawned anything.
            SPAWNER.get_or_init(|| sender)
        }
    };
    let (answer, result) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send(Request { command, answer }).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
