//! Owns the compiled rules that are at hand: tasks of one configuration and source share them.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::fut::{ActorFutureExt, WrapFuture, ready};
use actix::{Actor, Addr, Context, Handler, Message, ResponseActFuture};
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use runtime::data::Configs;
use runtime::keeper::{self, Gone};
use runtime::worker::WorkError;

use crate::domain::Program;

/// Programs that are kept; the ones that were not used for longest go first.
const KEPT_MAX: usize = 32;

/// Which rules: of what a configuration's hash names, for lines of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProgramKey {
    /// Whose configuration.
    pub tenant: TenantId,
    /// Which version of it.
    pub config: Hash128,
    /// Whose lines.
    pub source: SourceId,
}

/// Gives compiled rules. Cheap to clone.
#[derive(Clone)]
pub struct Programs(Addr<ProgramKeeper>);

impl Programs {
    /// Starts the keeper.
    #[must_use]
    pub fn start(configs: Configs) -> Self {
        Self(keeper::start(move || ProgramKeeper { configs, kept: VecDeque::new() }))
    }

    /// The rules, compiled now unless they are at hand.
    ///
    /// # Errors
    /// When the configuration is gone from the stream or cannot be compiled.
    pub async fn get(&self, key: ProgramKey) -> Result<Arc<Program>, WorkError> {
        let answer = self.0.send(Get(key)).await;
        answer.map_err(|error| WorkError::transient(Gone::from(error).to_string()))?
    }
}

struct ProgramKeeper {
    configs: Configs,
    /// Last used last.
    kept: VecDeque<(ProgramKey, Arc<Program>)>,
}

impl Actor for ProgramKeeper {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "Result<Arc<Program>, WorkError>")]
struct Get(ProgramKey);

impl Handler<Get> for ProgramKeeper {
    type Result = ResponseActFuture<Self, Result<Arc<Program>, WorkError>>;

    fn handle(&mut self, Get(key): Get, _: &mut Self::Context) -> Self::Result {
        if let Some(program) = self.find(&key) {
            return Box::pin(ready(Ok(program)));
        }
        let work = compile(self.configs.clone(), key.clone()).into_actor(self);
        Box::pin(work.map(|compiled, keeper, _| {
            // Another task may have asked for the same meanwhile: then its program stays.
            let program = match keeper.find(&key) {
                Some(program) => program,
                None => compiled?,
            };
            keeper.keep(key, &program);
            Ok(program)
        }))
    }
}

impl ProgramKeeper {
    fn find(&mut self, key: &ProgramKey) -> Option<Arc<Program>> {
        let at = self.kept.iter().position(|(kept, _)| kept == key)?;
        let found = self.kept.remove(at)?;
        let program = Arc::clone(&found.1);
        self.kept.push_back(found);
        Some(program)
    }

    fn keep(&mut self, key: ProgramKey, program: &Arc<Program>) {
        if self.find(&key).is_some() {
            return;
        }
        self.kept.push_back((key, Arc::clone(program)));
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }
}

/// Large tables take a while: off the keeper's thread.
async fn compile(configs: Configs, key: ProgramKey) -> Result<Arc<Program>, WorkError> {
    let config = configs.get(&key.tenant, key.config).await?;
    let work = tokio::task::spawn_blocking(move || Program::compile(&config, &key.source));
    let compiled = work.await.map_err(|error| WorkError::transient(error.to_string()))?;
    compiled.map(Arc::new).map_err(|error| {
        WorkError::data(format!("the rules cannot be run: {}", proto::fault::chain(&error)))
    })
}
