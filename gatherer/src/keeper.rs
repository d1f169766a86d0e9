//! `SourceKeeper`: one actor per (tenant, source) that this process gathers. It owns whose turn it is.
//!
//! Two attempts at one source must not run side by side: they would read the same files and fill twice the temporary
//! space. A newer task stops an older one at its next look; the same task sent again waits for its first attempt.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{
    Actor, ActorFutureExt, Addr, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::ids::{Generation, SourceId, TenantId};
use proto::report::Report;
use runtime::keeper::{self, Gone};
use tokio::runtime::Handle;

use crate::error::GatherError;
use crate::ports::Watch;

/// Keepers that are kept between tasks. The others end: they hold nothing that cannot be forgotten.
const IDLE_MAX: usize = 32;

type Answer = Result<Vec<Report>, GatherError>;

/// A gather that wants its turn.
struct Turn {
    generation: Generation,
    watch: Watch,
    work: BoxFuture<'static, Answer>,
    /// Where the work runs: not on the keeper's thread, which only keeps.
    on: Handle,
}

impl Message for Turn {
    type Result = Answer;
}

struct SourceKeeper {
    /// The newest task that was seen.
    newest: Option<(Generation, Watch)>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Actor for SourceKeeper {
    type Context = Context<Self>;
}

impl Handler<Turn> for SourceKeeper {
    type Result = ResponseActFuture<Self, Answer>;

    fn handle(&mut self, ask: Turn, _: &mut Self::Context) -> Self::Result {
        // Plan.
        if let Some((newest, watch)) = &self.newest {
            if ask.generation < *newest {
                let (generation, newest) = (ask.generation.0, newest.0);
                tracing::debug!(
                    generation,
                    newest,
                    "a newer gather came, so nobody waits for this one"
                );
                return Box::pin(std::future::ready(Ok(Vec::new())).into_actor(self));
            }
            if ask.generation > *newest {
                watch.stop();
            }
        }
        self.newest = Some((ask.generation, ask.watch.clone()));
        let turn = Arc::clone(&self.turn);
        // Do: over owned values only.
        let work = ask.on.spawn(async move {
            let _turn = turn.lock_owned().await;
            ask.watch.tick()?;
            ask.work.await
        });
        let work =
            work.map(|ended| ended.map_err(|error| GatherError::Thread(error.to_string()))?);
        // Apply: the answer goes to the asker; whose turn it is did not change by it.
        Box::pin(work.into_actor(self).map(|answer, _, _| answer))
    }
}

type Known = HashMap<(TenantId, SourceId), (Addr<SourceKeeper>, u64)>;

/// The keepers of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keepers {
    /// With when each was last asked, counted in asks.
    known: Arc<Mutex<(Known, u64)>>,
}

impl Keepers {
    /// Does `work` when it is its turn among the gathers of this source. No reports: a newer one has come already.
    ///
    /// # Errors
    /// Those of `work`; also when it was stopped for a newer one, or the process ends.
    pub async fn in_turn(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        generation: Generation,
        watch: &Watch,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> Answer {
        let keeper = self.keeper(tenant, source);
        let ask =
            Turn { generation, watch: watch.clone(), work: work.boxed(), on: Handle::current() };
        keeper
            .send(ask)
            .await
            .map_err(|error| GatherError::Thread(Gone::from(error).to_string()))?
    }

    fn keeper(&self, tenant: &TenantId, source: &SourceId) -> Addr<SourceKeeper> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (keepers, asks) = &mut *known;
        *asks += 1;
        let start = || keeper::start(|| SourceKeeper { newest: None, turn: Arc::default() });
        let entry = keepers.entry((tenant.clone(), source.clone())).or_insert_with(|| (start(), 0));
        entry.1 = *asks;
        let keeper = entry.0.clone();
        if keepers.len() > IDLE_MAX
            && let Some(oldest) =
                keepers.iter().min_by_key(|(_, (_, asked))| *asked).map(|(key, _)| key.clone())
        {
            // Whoever still waits for an answer holds its address, so its work goes on.
            keepers.remove(&oldest);
        }
        keeper
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn ids() -> (TenantId, SourceId) {
        (TenantId::parse("acme").unwrap(), SourceId::parse("cloud").unwrap())
    }

    #[test]
    fn gathers_of_a_source_take_turns_and_idle_keepers_end() {
        // One system: the threads of keepers are the process', and end with it.
        actix::System::new().block_on(async {
            take_turns().await;
            end_when_idle().await;
        });
    }

    async fn take_turns() {
        let (keepers, (tenant, source)) = (Keepers::default(), ids());
        let ask = |generation: i64, watch: &Watch, work: BoxFuture<'static, Answer>| {
            let (keepers, tenant, source, watch) =
                (keepers.clone(), tenant.clone(), source.clone(), watch.clone());
            async move { keepers.in_turn(&tenant, &source, Generation(generation), &watch, work).await }
        };
        let (first, second) = (Watch::default(), Watch::default());
        let (begun, has_begun) = oneshot::channel();
        // The older one runs until it is told to stop.
        let older = ask(5, &first, {
            let watch = first.clone();
            async move {
                begun.send(()).unwrap();
                while watch.tick().is_ok() {
                    tokio::task::yield_now().await;
                }
                Err(GatherError::Stopped)
            }
            .boxed()
        });
        let newer = async {
            has_begun.await.unwrap();
            ask(6, &second, async { Ok(vec![Report::Quarantined(Vec::new())]) }.boxed()).await
        };
        let (older, newer) = tokio::join!(older, newer);
        assert!(matches!(older, Err(GatherError::Stopped)));
        assert_eq!(newer.unwrap().len(), 1);
        // One that comes late does nothing; the newest may come again.
        let late =
            ask(5, &Watch::default(), async { panic!("a late gather must not run") }.boxed()).await;
        assert!(late.unwrap().is_empty());
        let again =
            ask(6, &Watch::default(), async { Ok(vec![Report::Quarantined(Vec::new())]) }.boxed())
                .await;
        assert_eq!(again.unwrap().len(), 1);
    }

    async fn end_when_idle() {
        let (keepers, (tenant, _)) = (Keepers::default(), ids());
        for n in 0..2 * IDLE_MAX {
            let source = SourceId::parse(&format!("s{n}")).unwrap();
            let (one, watch) = (Generation(1), Watch::default());
            let answer =
                keepers.in_turn(&tenant, &source, one, &watch, async { Ok(Vec::new()) }).await;
            assert!(answer.unwrap().is_empty());
        }
        assert_eq!(keepers.known.lock().unwrap().0.len(), IDLE_MAX);
    }
}
