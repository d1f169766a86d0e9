//! What our processes and servers take: processor time and memory, looked at now and then (Linux; nothing elsewhere).

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// Between two looks: so much of a process' time can be missed at its end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a role took, over all of its processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in hundredths of a second.
    pub cpu_centis: u64,
    /// Peak of resident memory of its largest process, in bytes.
    pub peak_bytes: u64,
}

/// By role.
pub type Usages = BTreeMap<&'static str, Usage>;

/// Looks at what runs below this process until it is asked.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Usages>,
}

impl Watch {
    /// Starts to look.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("usage".into()).spawn(move || {
            let mut seen = seen::Seen::default();
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                seen.look();
            }
            seen.look();
            seen.usages()
        });
        Ok(Self { stop, thread: thread.context("no thread to watch processes")? })
    }

    /// What was seen; nothing, should the watching have failed.
    #[must_use]
    pub fn end(self) -> Usages {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

#[cfg(not(target_os = "linux"))]
mod seen {
    use super::Usages;

    #[derive(Default)]
    pub struct Seen;

    impl Seen {
        pub fn look(&mut self) {}
        pub fn usages(self) -> Usages {
            Usages::new()
        }
    }
}

#[cfg(target_os = "linux")]
mod seen {
    use std::path::Path;

    use procfs::process::{Process, Stat};

    use super::{BTreeMap, Usage, Usages};

    const SERVERS: [&str; 2] = ["nats-server", "postgres"];
    const ROLES: [&str; 4] = ["coordinator", "gatherer", "allocator", "emitter"];

    #[derive(Default)]
    pub struct Seen {
        processes: BTreeMap<i32, Known>,
        looks: u64,
    }

    struct Known {
        role: &'static str,
        usage: Usage,
        /// A child of one that has the same role, which bears its time once it has ended.
        child: bool,
        /// The look that saw it last.
        look: u64,
    }

    impl Seen {
        pub fn look(&mut self) {
            let Ok(all) = procfs::process::all_processes() else { return };
            // One that ends meanwhile cannot be read any more.
            let all = all.filter_map(Result::ok).filter_map(|one| Some((one.stat().ok()?, one)));
            let all: Vec<(Stat, Process)> = all.collect();
            self.looks += 1;
            let mut parents = vec![std::process::id() as i32];
            while let Some(parent) = parents.pop() {
                for (stat, process) in all.iter().filter(|(stat, _)| stat.ppid == parent) {
                    parents.push(stat.pid);
                    self.note(stat, process);
                }
            }
        }

        fn note(&mut self, stat: &Stat, process: &Process) {
            // Postgres' processes call themselves what they do.
            let parent = self.processes.get(&stat.ppid).map(|known| known.role);
            let Some(role) = parent.or_else(|| role(process)) else { return };
            let known = self.processes.entry(stat.pid).or_insert(Known {
                role,
                usage: Usage::default(),
                child: parent.is_some(),
                look: 0,
            });
            let waited = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
            let ticks = stat.utime + stat.stime + waited;
            known.usage.cpu_centis = ticks * 100 / procfs::ticks_per_second();
            let peak = process.status().ok().and_then(|status| status.vmhwm).unwrap_or(0);
            known.usage.peak_bytes = known.usage.peak_bytes.max(peak * 1024);
            known.look = self.looks;
        }

        pub fn usages(self) -> Usages {
            let mut all = Usages::new();
            for known in self.processes.into_values() {
                let sum = all.entry(known.role).or_default();
                if !known.child || known.look == self.looks {
                    sum.cpu_centis += known.usage.cpu_centis;
                }
                sum.peak_bytes = sum.peak_bytes.max(known.usage.peak_bytes);
            }
            all
        }
    }

    fn role(process: &Process) -> Option<&'static str> {
        let command = process.cmdline().ok()?;
        let program = Path::new(command.first()?).file_name()?.to_str()?;
        let server = SERVERS.into_iter().find(|name| *name == program);
        let asked = command.get(1).map_or("", String::as_str);
        server.or_else(|| ROLES.into_iter().find(|name| *name == asked))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_of_a_child_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        // A name that is looked for, and half a second of work.
        let program = folder.path().join("nats-server");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut child = std::process::Command::new(&program)
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let watch = Watch::start().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let seen = watch.end();
        child.kill().unwrap();
        child.wait().unwrap();
        let usage = seen["nats-server"];
        assert!((5..=60).contains(&usage.cpu_centis), "{usage:?}");
        assert!(usage.peak_bytes > 100_000, "{usage:?}");
    }
}
