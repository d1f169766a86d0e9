//! The gatherer: speaks to the outside. Reads bills and publishes their lines; resolves who could have caused them.
//!
//! | module | what |
//! |---|---|
//! | [`ports`] | what a kind of source must be able to do |
//! | [`sources`] | the kinds: `focus`, `synthetic` |
//! | [`gather`], [`cut`] | one gather: collect all, publish what changed, say so |
//! | [`inventory`] | what the services of a source list, as one whole |
//! | [`resolve`] | resolutions of units |
//! | `measure` | weights of metric drivers (feature `http`) |
//! | `http` | asks servers (feature `http`) |
//! | `metrics` | who used how much (feature `http`) |
//! | [`spool`], [`quarantine`] | temporary storage that bounds memory |
//! | [`identity`], [`window`] | what makes a line that line; which dates are asked for (pure) |
//! | [`keeper`], `worker` | tasks, and whose turn it is |

pub mod cut;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod gather;
#[cfg(feature = "http")]
pub mod http;
pub mod identity;
pub mod inventory;
pub mod keeper;
#[cfg(feature = "http")]
mod measure;
#[cfg(feature = "http")]
pub mod metrics;
pub mod ports;
pub mod quarantine;
pub mod resolve;
pub mod sources;
pub mod spool;
pub mod window;
mod worker;

pub use error::GatherError;
pub use worker::live;
