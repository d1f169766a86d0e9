//! What commands work out, without any I/O.

pub mod bridge;
