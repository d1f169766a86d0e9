//! Named points at which a process can be made to fail on purpose, for tests that ask what then becomes of the money.
//! Without the feature `faults` they are nothing.
//!
//! `APPORTION_FAULT=ledger.copied` aborts the process when it comes by there, as `kill -9` at that moment would;
//! `ledger.copied:3` when it does so the third time. `ledger.copied:3:freeze` stops it there, until SIGCONT.

#[cfg(feature = "faults")]
pub use armed::crash_point;

/// Passes a point.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn crash_point(_: &str) {}

#[cfg(feature = "faults")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::signal::{Signal, raise};

    struct Fault {
        point: String,
        /// Times that it is still passed, this one included.
        left: AtomicU32,
        freezes: bool,
    }

    impl Fault {
        fn parse(text: &str) -> Self {
            let mut parts = text.split(':');
            let point = parts.next().unwrap_or_default().to_owned();
            let left = parts.next().map_or(Ok(1), str::parse);
            let left =
                left.expect("APPORTION_FAULT is written as POINT, POINT:N or POINT:N:freeze");
            Self { point, left: AtomicU32::new(left), freezes: parts.next() == Some("freeze") }
        }
    }

    /// Passes a point, or fails there.
    pub fn crash_point(name: &str) {
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        let given = || std::env::var("APPORTION_FAULT").ok().map(|text| Fault::parse(&text));
        let Some(fault) = FAULT.get_or_init(given) else { return };
        // It goes below 0 at later passes, and back to 1 after four thousand million of them.
        if fault.point != name || fault.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        if fault.freezes {
            raise(Signal::SIGSTOP).expect("a process may stop itself");
        } else {
            std::process::abort();
        }
    }
}
