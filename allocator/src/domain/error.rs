//! What can go wrong, by how much it stops: a configuration, a unit, a line.

use proto::column::ColumnError;
use proto::config::FieldError;
use proto::ids::SourceId;
use proto::line::LineId;
use proto::money::ExactSum;

/// A configuration whose rules cannot be run. `config check` finds all of these before any unit meets them.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Rules that count each other's cost.
    #[error(transparent)]
    Stages(proto::config::ledger::StageCycle),
    /// The tenant has no such source.
    #[error("the configuration has no source {0}")]
    NoSource(SourceId),
    /// A pattern that is none.
    #[error("{place}: {pattern:?} is not a regular expression")]
    Regex {
        /// Where it stands.
        place: String,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// A name that nothing bears.
    #[error("{place}: there is no {what} {name:?}; define it or correct the name")]
    Unknown {
        /// Where it is used.
        place: String,
        /// `tag`, `table`, `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A key column of a table that is looked up by a line's fields, but is none of them.
    #[error("table {table}: key column {column:?} cannot be looked up on a line")]
    KeyColumn {
        /// The table.
        table: String,
        /// Its key column.
        column: String,
        /// Why it is no field.
        source: FieldError,
    },
    /// Virtual tags and tables that look at each other in a circle.
    #[error("{0} looks at itself through other tags or tables; break the circle")]
    Circle(String),
    /// Parts that nothing can be split by.
    #[error("rule {rule}: {why}")]
    Split {
        /// The rule.
        rule: String,
        /// What is wrong.
        why: String,
    },
    /// `UNALLOCATED` where an owner is meant.
    #[error(
        "{place}: UNALLOCATED is not an owner; write a composition with a part whose chain is [unallocated]"
    )]
    NotAnOwner {
        /// Where it stands.
        place: String,
    },
}

/// A unit that cannot be allocated: its input is damaged, or we are wrong.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// A batch that cannot be read.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// Rows that do not add up to their line: a defect of ours, and nothing is published.
    #[error("the rows of line {line} miss its {what} by {difference}: a defect of the allocator")]
    Conservation {
        /// The line.
        line: LineId,
        /// `amount`, a measure or a quantity.
        what: &'static str,
        /// Line less rows.
        difference: ExactSum,
    },
}

/// Why a line's allocation failed: it becomes an `ALLOCATION_FAILED` row that says so. Free of values that differ
/// from line to line, so that such rows share a dimension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A value of a table that should be a number.
    #[error("{tier}: {value:?} of {owner:?} is not a number of 0 or more")]
    NotAWeight {
        /// The tier.
        tier: String,
        /// Whose.
        owner: String,
        /// The cell.
        value: String,
    },
    /// Percents of a table that do not add up.
    #[error("{tier}: the percents of the date add to {sum}, not 100")]
    NotHundred {
        /// The tier.
        tier: String,
        /// What they add to.
        sum: ExactSum,
    },
    /// No rule takes the line, though the default rule takes every line.
    #[error("no rule takes the line")]
    NoRule,
}
