//! How a role is started, and what it does then.

use std::collections::VecDeque;

use apportion::process::Process;

/// How a role is started.
#[derive(Debug, Clone, Default)]
pub struct With {
    /// Where it fails, one after the other: each start is armed with the next.
    pub faults: VecDeque<String>,
    /// Another way to NATS.
    pub nats: Option<String>,
    /// Another way to Postgres.
    pub database: Option<String>,
    /// What the command line says besides.
    pub args: Vec<&'static str>,
    /// Settings besides.
    pub env: Vec<(&'static str, String)>,
    /// A coordinator that ends when all is done.
    pub once: bool,
    /// Once it has died it stays dead.
    pub mortal: bool,
}

impl With {
    /// Armed with these faults.
    #[must_use]
    pub fn faults<T: Into<String>>(faults: impl IntoIterator<Item = T>) -> Self {
        Self { faults: faults.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// A role of a case.
pub(super) struct Role {
    pub name: String,
    pub kind: &'static str,
    pub with: With,
    /// What it is armed with since its last start.
    pub armed: Option<String>,
    pub process: Option<Process>,
}
