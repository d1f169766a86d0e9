//! Tests of the money vocabulary, against big integers and big rationals.

mod amount;
mod oracle;
mod refusal;
mod share;
mod split;
mod split_property;
mod sum;
