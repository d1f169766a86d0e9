//! What reports leave to be done once their transaction has committed.

use proto::subject::Stream;
use proto::time::UnitDate;

use crate::store::Outgoing;

/// What is to be done once the transaction has committed.
#[derive(Default)]
pub struct After {
    /// To be published.
    pub tasks: Vec<Outgoing>,
    /// Subjects whose messages have served.
    pub purges: Vec<(Stream, String)>,
    /// Tasks that nobody waits for any more and no report of this group answers.
    pub superseded: Vec<String>,
    /// Dates whose month the ledger is about to meet.
    pub months: Vec<UnitDate>,
    /// Units that became visible: counted once their commit stands, for a transaction may be done anew.
    pub visible: u64,
    /// Files went: what is gone may be wanted again by now.
    pub removed: bool,
    /// Weights came.
    pub driven: bool,
    /// Units turned out to be up to date.
    pub settled: bool,
    /// A worker failed through no fault of its input: its configuration may be gone from the stream.
    pub config_doubted: bool,
}

impl After {
    pub(super) fn merge(&mut self, mut other: Self) {
        self.tasks.append(&mut other.tasks);
        self.purges.append(&mut other.purges);
        self.superseded.append(&mut other.superseded);
        self.months.append(&mut other.months);
        self.visible += other.visible;
        self.removed |= other.removed;
        self.driven |= other.driven;
        self.settled |= other.settled;
        self.config_doubted |= other.config_doubted;
    }
}
