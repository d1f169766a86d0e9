//! What to do with an error: the adapter that knows decides, the bus acts, it is logged once.

use std::time::Duration;

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The world may heal: try again after a pause.
    Retry(Duration),
    /// This message or unit will never work as it is: refuse it with its reason.
    Reject,
    /// We are wrong: the process ends.
    Fatal,
}

/// The pause of an ordinary retry.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An error that knows what is to be done about it.
pub trait Faulty: std::error::Error {
    /// What is to be done.
    fn fault(&self) -> Fault;
}

/// An error with its causes, as one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// A reason of at most `max` bytes, which are not fewer than 3.
#[must_use]
pub fn shortened(reason: &str, max: usize) -> String {
    if reason.len() <= max {
        return reason.to_owned();
    }
    let end = reason.floor_char_boundary(max - '…'.len_utf8());
    format!("{}…", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(shortened("why", 4_000), "why");
        let cut = shortened(&"ä".repeat(3_000), 4_000);
        assert!(cut.len() <= 4_000 && cut.ends_with("ä…"), "{}", cut.len());
    }
}
