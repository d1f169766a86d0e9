//! Keepers: actors that own one thing's state. actix is used here and in each crate's `keeper.rs`, nowhere else.
//!
//! Facts about actix 0.13 that shape every keeper (measured):
//! a panic in a handler leaves a dead address and a living process, so a panic ends the process (see [`crate::process`]);
//! the mailbox bounds queued messages, not work, so the pump ([`crate::worker`]) asks, awaits the answer, then pulls more;
//! `do_send` ignores the bound and swallows errors, so a lint bans it;
//! an [`actix::Addr`] stays private behind a handle with async functions.

use actix::{Actor, Addr, Arbiter, Context};

/// Starts a keeper on a thread of its own, so that its state needs no lock and never migrates.
pub fn start<A>(make: impl FnOnce() -> A + Send + 'static) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    A::start_in_arbiter(&Arbiter::new().handle(), |_| make())
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
