//! Long statements are work too.

use std::future::Future;
use std::time::Duration;

use runtime::worker::Progress;

const EVERY: Duration = Duration::from_secs(3);

/// Awaits one statement and says meanwhile that work advances. The statement must have a time limit of its own
/// (`statement_timeout`), so that this ends.
pub async fn ticking<T>(progress: &Progress, statement: impl Future<Output = T>) -> T {
    tokio::pin!(statement);
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            done = &mut statement => return done,
            _ = every.tick() => progress.tick(),
        }
    }
}
