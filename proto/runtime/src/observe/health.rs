//! Alive: the actors turn. Ready: NATS is connected, Postgres answers where it is used, and a leader is known.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::bus::Bus;
use crate::process::Shutdown;
use crate::store::Store;

/// A leader that was not heard of for so long is not known: as long as its lease.
const LEADER_LIMIT: Duration = Duration::from_secs(15);
/// How long Postgres may take to answer.
const STORE_LIMIT: Duration = Duration::from_secs(2);
/// How long each thread of actors may take to turn.
const TURN_LIMIT: Duration = Duration::from_secs(2);

/// Whether a process lives and is ready. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bus: OnceLock<Bus>,
    store: OnceLock<Store>,
    shutdown: OnceLock<Shutdown>,
    leader: Mutex<Option<Instant>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}

/// One thing that is looked at, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// `nats`, `postgres`, `leader`, `work`, `actors`.
    pub of: &'static str,
    /// `None`: nothing.
    pub problem: Option<&'static str>,
}

impl Health {
    /// NATS is connected, and stays so unless it is lost.
    pub(crate) fn bus_is(&self, bus: &Bus) {
        self.0.bus.get_or_init(|| bus.clone());
    }
    /// Postgres is used; `store` is for looking alone, so that a busy pool is not taken for a dead server.
    pub(crate) fn store_is(&self, store: Store) {
        self.0.store.get_or_init(|| store);
    }
    /// Who drains takes no more work.
    pub(crate) fn drains_by(&self, shutdown: &Shutdown) {
        self.0.shutdown.get_or_init(|| shutdown.clone());
    }
    /// A leader was heard of.
    pub(crate) fn leader_heard(&self) {
        *self.0.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// What being ready needs.
    pub async fn ready(&self) -> Vec<Check> {
        let nats = match self.0.bus.get() {
            Some(bus) if bus.is_connected() => None,
            Some(_) | None => Some("not connected"),
        };
        let mut checks = vec![Check { of: "nats", problem: nats }];
        if let Some(store) = self.0.store.get() {
            let answered = tokio::time::timeout(STORE_LIMIT, store.ping()).await;
            let problem = match answered {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::debug!(
                        error = proto::fault::chain(&error),
                        "Postgres does not answer"
                    );
                    Some("does not answer")
                }
                Err(_) => Some("does not answer in time"),
            };
            checks.push(Check { of: "postgres", problem });
        }
        let heard = *self.0.leader.lock().unwrap_or_else(PoisonError::into_inner);
        let known = heard.is_some_and(|at| at.elapsed() < LEADER_LIMIT);
        checks.push(Check { of: "leader", problem: (!known).then_some("none is known") });
        let drains = self.0.shutdown.get().is_some_and(Shutdown::is_asked);
        checks.push(Check { of: "work", problem: drains.then_some("drains") });
        checks
    }

    /// What being alive needs.
    pub async fn live(&self) -> Vec<Check> {
        let turn = crate::keeper::turn(TURN_LIMIT).await;
        vec![Check { of: "actors", problem: (!turn).then_some("do not turn") }]
    }
}
