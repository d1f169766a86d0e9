//! The rules: pure, no I/O, no clock. The same lines, resolutions, drivers and rules give the same bytes.
//!
//! | file | what it holds |
//! |---|---|
//! | `compile`, `program` | a configuration's rules for one source, compiled once |
//! | `fields`, `columns` | what rules can look at; worked out once per distinct value of a batch |
//! | `matching` | which rule takes a line |
//! | `normalise`, `lookup`, `party` | from a value to an owner: virtual tags, tables, the owner directory |
//! | `facts`, `weights`, `drivers` | resolutions; cost to share by (the first pass); weights from outside the unit |
//! | `chain`, `prepare`, `memo` | the first tier that applies; what it gives, worked out once per distinct input |
//! | `notes`, `face` | why a row is what it is |
//! | `line_money` | the exact split of everything a line has, and the proof that nothing is lost |
//! | `rows`, `warnings` | what comes out |
//! | `allocate` | all of it for one unit |
//! | `trace` | the engine's steps for one line, for who asks why |
//! | `survey`, `cover` | what rules, tables and owners do not do: with lines, and whatever the lines |
//! | `trial` | the tests that users write beside their rules |

mod allocate;
mod chain;
mod columns;
mod compile;
pub mod cover;
mod drivers;
mod error;
mod face;
mod facts;
mod fields;
mod line_money;
mod lookup;
mod matching;
mod memo;
mod normalise;
mod notes;
mod party;
mod prepare;
mod program;
mod rows;
pub mod survey;
pub mod trace;
pub mod trial;
mod warnings;
mod weights;

pub use allocate::UnitAllocator;
pub use drivers::DriverWeights;
pub use error::{CompileError, UnitError};
pub use facts::Facts;
pub use program::Program;
pub use rows::Packed;
pub use warnings::unlisted_owner;

#[cfg(test)]
mod tests;
