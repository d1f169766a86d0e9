//! Exact money: no float, no rounding, no operator that could drop a term.
//!
//! | type | what it is |
//! |---|---|
//! | [`Amount`] | one exact decimal number: an amount of money, a weight, a percentage, a quantity |
//! | [`ExactSum`] | the only way to add amounts up: a wide integer that cannot lose a term |
//! | [`Shares`], [`Splitter`] | who pays how much of an amount: parts that add up to it exactly, always |
//! | [`Share`] | one party's part as a fraction of integers, for a row that explains itself |
//!
//! An amount carries no currency: the line, row or sum beside it does.
//!
//! ```
//! use proto::money::{Amount, ExactSum, Shares, Splitter};
//!
//! let shares = Shares::new([("search", Amount::parse("2.5")?), ("checkout", Amount::parse("5")?)])?;
//! assert_eq!(shares.to_string(), "checkout 2/3, search 1/3");
//!
//! let (mut splitter, mut parts) = (Splitter::default(), Vec::new());
//! shares.split(Amount::parse("-10")?, &mut splitter, &mut parts);
//! assert_eq!(parts, [Amount::parse("-6.6666666667")?, Amount::parse("-3.3333333333")?]);
//! assert_eq!(parts.into_iter().collect::<ExactSum>().to_string(), "-10");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod amount;
mod amount_error;
mod digits;
mod quotient;
mod rest;
mod share;
mod shares;
mod split;
mod sum;
mod text;
mod working;

#[cfg(test)]
mod tests;

pub use amount::{Amount, MAX_SCALE};
pub use amount_error::AmountError;
pub use rest::rest;
pub use share::{Share, ShareError, Wide};
pub use shares::{Shares, SharesError};
pub use split::{MIN_SPLIT_SCALE, Splitter};
pub use sum::{ExactSum, SumError};
pub use text::AmountText;
pub use working::{Working, Workings};
