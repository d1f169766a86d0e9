//! The state keeper: the one actor that owns the leading coordinator's [`Post`]. The life asks it one thing at a time.

use actix::prelude::*;
use proto::config::TenantConfig;
use runtime::inbox::Delivery;
use runtime::keeper::{self, Gone};

use crate::CoordinatorError;
use crate::post::Post;

/// What the state keeper can be asked to do.
pub enum Order {
    /// Apply a group of reports.
    Apply(Vec<Delivery>),
    /// Derive and send the work that is missing.
    Sweep,
    /// Send tasks again that nobody answers for.
    Resend(u64),
    /// Make streams and consumers that are missing.
    Streams,
    /// Put configurations in force; with the Git commit of their folder.
    Configs(Vec<TenantConfig>, Option<String>),
}

impl Message for Order {
    /// A count: tasks sent, units that became due; 0 where there is nothing to count.
    type Result = Result<u64, CoordinatorError>;
}

struct StateKeeper(Option<Post>);

impl Actor for StateKeeper {
    type Context = Context<Self>;
}

impl Handler<Order> for StateKeeper {
    type Result = ResponseActFuture<Self, Result<u64, CoordinatorError>>;

    fn handle(&mut self, order: Order, _: &mut Context<Self>) -> Self::Result {
        // Plan: the post leaves for the time of the work, so that no state is borrowed over an await.
        let Some(mut post) = self.0.take() else {
            return Box::pin(fut::ready(Err(CoordinatorError::Busy)));
        };
        let work = async move {
            let done = perform(&mut post, order).await;
            (post, done)
        };
        Box::pin(work.into_actor(self).map(|(post, done), keeper, _| {
            keeper.0 = Some(post);
            done
        }))
    }
}

async fn perform(post: &mut Post, order: Order) -> Result<u64, CoordinatorError> {
    match order {
        Order::Apply(reports) => post.apply(reports).await.map(|()| 0).map_err(Into::into),
        Order::Sweep => Ok(post.sweep().await? as u64),
        Order::Resend(seconds) => Ok(post.tasks_resend(seconds).await? as u64),
        Order::Streams => post.streams_ensure().await.map(|()| 0),
        Order::Configs(configs, commit) => post.configs_apply(configs, commit.as_deref()).await,
    }
}

/// The way to ask the state keeper.
#[derive(Clone)]
pub struct StateHandle(Addr<StateKeeper>);

impl StateHandle {
    /// Starts a keeper of `post`.
    #[must_use]
    pub fn start(post: Post) -> Self {
        Self(keeper::start(move || StateKeeper(Some(post))))
    }
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the order failed with.
    pub async fn ask(&self, order: Order) -> Result<u64, CoordinatorError> {
        self.0.send(order).await.map_err(Gone::from)?
    }
}
