//! What a command answers, on stdout.

use std::io::Write;

use anyhow::{Context, Result};

/// Writes it, whole.
///
/// # Errors
/// When nobody listens on stdout.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("nobody listens on stdout")
}
