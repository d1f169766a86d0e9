//! The states of a unit and the edges between them: one enum, one exhaustive [`step`].
//!
//! `edges_are_these` prints the table below from [`step`] and compares.
//!
//! ```text
//! gathered    inputs_changed    -> gathered
//! gathered    resolve_sent      -> resolving
//! gathered    allocate_sent     -> allocating
//! gathered    quarantine        -> quarantined
//! gathered    replay_given_up   -> visible
//! resolving   inputs_changed    -> gathered
//! resolving   resolved          -> gathered
//! resolving   resolved_equal    -> visible
//! resolving   failed            -> gathered
//! resolving   quarantine        -> quarantined
//! resolving   input_missing     -> waiting
//! resolving   overdue           -> gathered
//! allocating  inputs_changed    -> gathered
//! allocating  allocated         -> committing
//! allocating  failed            -> gathered
//! allocating  quarantine        -> quarantined
//! allocating  input_missing     -> waiting
//! allocating  overdue           -> gathered
//! committing  inputs_changed    -> gathered
//! committing  committed         -> visible
//! committing  failed            -> gathered
//! committing  quarantine        -> quarantined
//! committing  input_missing     -> waiting
//! committing  overdue           -> gathered
//! visible     inputs_changed    -> gathered
//! waiting     inputs_changed    -> gathered
//! waiting     restore_sent      -> restoring
//! waiting     republished       -> gathered
//! waiting     replay_given_up   -> visible
//! restoring   inputs_changed    -> gathered
//! restoring   failed            -> waiting
//! restoring   restored          -> gathered
//! restoring   republished       -> gathered
//! restoring   overdue           -> waiting
//! quarantined inputs_changed    -> gathered
//! quarantined requeued          -> gathered
//! ```
//!
//! Every other pair is no edge: the event is late or superseded, and changes nothing.

use std::fmt;
use std::str::FromStr;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitState {
    /// Lines are in force and calculation is due (or waits for its next attempt).
    Gathered,
    /// A resolve task is out.
    Resolving,
    /// An allocate task is out.
    Allocating,
    /// Rows are published and a commit task is out.
    Committing,
    /// The visible generation was made from the inputs in force.
    Visible,
    /// A batch is gone: the ledger is to publish it again from the archive, or else the source.
    Waiting,
    /// A restore task is out.
    Restoring,
    /// Three equal data errors: a person or a change of input must help.
    Quarantined,
}

impl UnitState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Gathered,
        Self::Resolving,
        Self::Allocating,
        Self::Committing,
        Self::Visible,
        Self::Waiting,
        Self::Restoring,
        Self::Quarantined,
    ];
    /// As stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gathered => "gathered",
            Self::Resolving => "resolving",
            Self::Allocating => "allocating",
            Self::Committing => "committing",
            Self::Visible => "visible",
            Self::Waiting => "waiting",
            Self::Restoring => "restoring",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for UnitState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.word() == text)
            .ok_or_else(|| format!("{text:?} is no state of a unit"))
    }
}

/// What can happen to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitEvent {
    /// New lines, resolutions or rules are in force, which differ from those of the work under way.
    InputsChanged,
    /// A resolve task was written.
    ResolveSent,
    /// An allocate task was written.
    AllocateSent,
    /// Its resolutions are published.
    Resolved,
    /// Its resolutions are published, and with them and what else is in force the rows would be those that are visible.
    ResolvedEqual,
    /// Its rows are published.
    Allocated,
    /// The ledger made the wanted generation visible.
    Committed,
    /// The step failed and is tried again after a pause.
    Failed,
    /// The step failed with the same data error for the third time.
    Quarantine,
    /// A batch that the step needs is gone.
    InputMissing,
    /// A restore task was written.
    RestoreSent,
    /// The missing batches were published again, from the archive.
    Restored,
    /// The missing batches were published again, by the source.
    Republished,
    /// The step's hard time limit has passed.
    Overdue,
    /// A person asked for another try.
    Requeued,
    /// What it would be replayed from is not there any more.
    ReplayGivenUp,
}

impl UnitEvent {
    /// All events.
    pub const ALL: [Self; 16] = [
        Self::InputsChanged,
        Self::ResolveSent,
        Self::AllocateSent,
        Self::Resolved,
        Self::ResolvedEqual,
        Self::Allocated,
        Self::Committed,
        Self::Failed,
        Self::Quarantine,
        Self::InputMissing,
        Self::RestoreSent,
        Self::Restored,
        Self::Republished,
        Self::Overdue,
        Self::Requeued,
        Self::ReplayGivenUp,
    ];
}

/// The state after an event; `None` when the pair is no edge.
#[must_use]
pub fn step(state: UnitState, event: UnitEvent) -> Option<UnitState> {
    use UnitEvent as E;
    use UnitState as S;
    match (state, event) {
        // Whatever is under way was made from old inputs: its generation is superseded by the next dispatch.
        (_, E::InputsChanged) => Some(S::Gathered),
        (S::Gathered, E::ResolveSent) => Some(S::Resolving),
        (S::Gathered, E::AllocateSent) => Some(S::Allocating),
        (S::Resolving, E::Resolved) => Some(S::Gathered),
        (S::Allocating, E::Allocated) => Some(S::Committing),
        (S::Resolving, E::ResolvedEqual)
        | (S::Committing, E::Committed)
        | (S::Gathered | S::Waiting, E::ReplayGivenUp) => Some(S::Visible),
        (S::Resolving | S::Allocating | S::Committing, E::Failed | E::Overdue) => Some(S::Gathered),
        // From `gathered` too: what no task can carry never gets on its way.
        (S::Gathered | S::Resolving | S::Allocating | S::Committing, E::Quarantine) => {
            Some(S::Quarantined)
        }
        (S::Resolving | S::Allocating | S::Committing, E::InputMissing) => Some(S::Waiting),
        (S::Waiting, E::RestoreSent) => Some(S::Restoring),
        (S::Restoring, E::Failed | E::Overdue) => Some(S::Waiting),
        (S::Restoring, E::Restored)
        | (S::Waiting | S::Restoring, E::Republished)
        | (S::Quarantined, E::Requeued) => Some(S::Gathered),
        (
            S::Gathered
            | S::Resolving
            | S::Allocating
            | S::Committing
            | S::Visible
            | S::Waiting
            | S::Restoring
            | S::Quarantined,
            E::ResolveSent
            | E::AllocateSent
            | E::Resolved
            | E::ResolvedEqual
            | E::Allocated
            | E::Committed
            | E::Failed
            | E::Quarantine
            | E::InputMissing
            | E::RestoreSent
            | E::Restored
            | E::Republished
            | E::Overdue
            | E::Requeued
            | E::ReplayGivenUp,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snake(event: UnitEvent) -> String {
        let mut out = String::new();
        for c in format!("{event:?}").chars() {
            if c.is_uppercase() && !out.is_empty() {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    }

    #[test]
    fn edges_are_these() {
        let mut edges = String::new();
        for state in UnitState::ALL {
            for event in UnitEvent::ALL {
                if let Some(next) = step(state, event) {
                    edges.push_str(&format!("//! {state:<11} {:<17} -> {next}\n", snake(event)));
                }
            }
        }
        let source = include_str!("unit.rs");
        assert!(source.contains(&edges), "the table in the module's doc should be:\n{edges}");
    }

    #[test]
    fn only_changed_inputs_or_a_person_leave_quarantine() {
        for event in UnitEvent::ALL {
            let leaves = step(UnitState::Quarantined, event).is_some();
            assert_eq!(leaves, matches!(event, UnitEvent::InputsChanged | UnitEvent::Requeued));
        }
    }
}
