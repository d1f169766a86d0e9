//! A Postgres that cannot come back by itself.
//!
//! Postgres 18 starts up again after one of its processes was killed. When the process that does so is killed as well,
//! the postmaster neither starts another nor ends: it answers "in recovery mode" for ever.

use std::time::{Duration, Instant};

/// For so long it has neither started up nor run: both are moments apart when it is sound.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was seen of a postmaster.
#[derive(Debug, Default)]
pub struct Stuck {
    looked: Option<Instant>,
    since: Option<Instant>,
}

impl Stuck {
    /// Whether this postmaster is beyond help. To be asked often; it looks now and then. Never where there is no
    /// `/proc`.
    pub fn is(&mut self, postmaster: u32) -> bool {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return false;
        }
        self.looked = Some(Instant::now());
        if works(postmaster) != Some(false) {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
    }
}

/// Whether it starts up (its process `startup`) or runs (its process `walwriter`); none where that cannot be seen.
#[cfg(target_os = "linux")]
fn works(postmaster: u32) -> Option<bool> {
    let mut sees = false;
    for process in procfs::process::all_processes().ok()?.filter_map(Result::ok) {
        // One that ends meanwhile cannot be read any more.
        let Ok(stat) = process.stat() else { continue };
        if matches!(stat.state, 'Z' | 'X') {
            continue;
        }
        sees |= stat.pid.unsigned_abs() == postmaster;
        if stat.ppid.unsigned_abs() != postmaster {
            continue;
        }
        let title = process.cmdline().ok().and_then(|words| words.into_iter().next());
        let title = title.unwrap_or_default();
        if title.contains(": startup") || title.contains(": walwriter") {
            return Some(true);
        }
    }
    sees.then_some(false)
}

#[cfg(not(target_os = "linux"))]
fn works(_: u32) -> Option<bool> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_children_does_not_work_and_one_that_is_gone_cannot_be_judged() {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = sleeper.id();
        assert_eq!(works(pid), Some(false));
        let mut seen = Stuck::default();
        assert!(!seen.is(pid), "not at once");
        seen.looked = None;
        seen.since = Some(Instant::now() - PATIENCE);
        assert!(seen.is(pid));
        assert!(!seen.is(pid), "it has just looked");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert_eq!(works(pid), None);
    }
}
