//! Asking servers over HTTP: one client for every source and for metrics.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | asks, with the limits of a [`proto::config::HttpServer`] |
//! | [`pages`] | follows the links of an answer in pages |
//! | [`patience`] | what is asked again, and when (pure) |
//! | [`secret`] | looks up who asks |
//!
//! What it guarantees: an answer is the whole answer or an error; nothing larger than the limit is read; nobody but
//! the configured server is asked, whatever its answers link to; no secret stands in an error or a log.

pub mod client;
pub mod error;
pub mod pages;
pub mod patience;
pub mod secret;
#[cfg(test)]
pub mod tests;

pub use client::HttpClient;
pub use error::HttpError;
