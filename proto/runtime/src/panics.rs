//! Panics: each ends the process, but where somebody else's code is run on bytes that nobody vouches for.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::process::EXIT_BUG;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
}

/// A panic that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Runs `work`, whose panics on this thread do not end the process. What it worked on must be thrown away then.
///
/// Only for decoders of foreign data, which panic on damage: everywhere else a panic is a defect of ours.
///
/// # Errors
/// When it panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    CAUGHT.set(CAUGHT.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(CAUGHT.get() - 1);
    done.map_err(|_| Panicked)
}

/// From now on a panic ends the process: it would kill only its actor and leave a zombie, while redelivery and restart
/// recover.
pub(crate) fn end_process() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if CAUGHT.get() > 0 {
            tracing::debug!(panic = %info, "foreign data made its decoder panic");
            return;
        }
        default(info);
        tracing::error!(panic = %info, "a panic ends the process");
        std::process::exit(i32::from(EXIT_BUG));
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set for the process in which [`a_panic_ends_the_process_unless_it_is_caught`] does what it tells.
    const INSIDE: &str = "APPORTION_TEST_PANICS";

    #[test]
    fn a_panic_ends_the_process_unless_it_is_caught() {
        if std::env::var_os(INSIDE).is_some() {
            end_process();
            assert_eq!(caught(|| 1), Ok(1));
            assert_eq!(caught(|| -> u8 { panic!("of a decoder") }), Err(Panicked));
            let nested = caught(|| (caught(|| -> u8 { panic!("inner") }), caught(|| 2)));
            assert_eq!(nested, Ok((Err(Panicked), Ok(2))));
            println!("survived");
            // On another thread: what that one does is its own matter.
            let other = caught(|| std::thread::spawn(|| panic!("ours")).join());
            unreachable!("{other:?}");
        }
        let me = std::env::current_exe().expect("a test is a program");
        let name = "panics::tests::a_panic_ends_the_process_unless_it_is_caught";
        let run = Command::new(me).args([name, "--exact", "--nocapture"]).env(INSIDE, "1").output();
        let run = run.expect("it can be run");
        assert_eq!(run.status.code(), Some(i32::from(EXIT_BUG)), "{run:?}");
        assert!(String::from_utf8_lossy(&run.stdout).contains("survived"), "{run:?}");
    }
}
