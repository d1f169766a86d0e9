//! What a command answers, on stdout.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Whether this process has answered.
static SAID: AtomicBool = AtomicBool::new(false);

/// Writes it, whole.
///
/// # Errors
/// When nobody listens on stdout.
pub fn say(text: &str) -> Result<()> {
    SAID.store(true, Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("nobody listens on stdout")
}

/// Answers with the document of a failure, where nothing was answered yet: programs always get one document.
///
/// # Errors
/// When nobody listens on stdout.
pub fn say_failure(error: &str) -> Result<()> {
    if SAID.load(Ordering::Relaxed) {
        return Ok(());
    }
    say(&format!("{}\n", serde_json::json!({ "error": error })))
}
