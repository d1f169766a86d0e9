//! `up` and `run --once` as a whole: real servers, and small shell scripts in the place of the roles.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use apportion::cli::{Cli, Command as Subcommand};
use apportion::folder::DataFolder;
use apportion::launch::{Once, launch};
use apportion::summary::Told;
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Stands in for `apportion`: guards as the real one does, plays the roles by `role.sh`.
const STAND_IN: &str =
    "#!/bin/sh\ncase $1 in guard|watch) exec 'EXE' \"$@\" ;; *) . 'ROLE' ;; esac\n";

/// Notes the environment of each role; workers wait to be drained.
const WORKERS: &str = r#"
echo "$1 nats=${NATS_URL:-none} database=${DATABASE_URL:-none} args=$*" >> "$APPORTION_DATA_DIR/../roles"
[ "$1" = coordinator ] || exec sleep 60
"#;

struct Bench {
    root: tempfile::TempDir,
}

impl Bench {
    /// `coordinator`: what the coordinator's script does.
    fn new(coordinator: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        // Open to the account that Postgres runs as when we are root, so that all data stay in here.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let bench = Self { root };
        fs::create_dir_all(bench.at("config/tenants")).expect("writable");
        let tenant = "sources:\n  cloud: { kind: focus, files: [\"bill.csv\"] }\n";
        fs::write(bench.at("config/tenants/acme.yaml"), tenant).expect("writable");
        fs::write(bench.at("role.sh"), format!("{WORKERS}{coordinator}\n")).expect("writable");
        let role = bench.at("role.sh");
        let stand_in = STAND_IN
            .replace("EXE", env!("CARGO_BIN_EXE_apportion"))
            .replace("ROLE", &role.to_string_lossy());
        fs::write(bench.at("apportion"), stand_in).expect("writable");
        fs::set_permissions(bench.at("apportion"), fs::Permissions::from_mode(0o755))
            .expect("ours");
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn start(&self, args: &[&str]) -> Launched {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.at("stderr"))
            .expect("writable");
        let stdout = log.try_clone().expect("a second handle");
        let child = Command::new(std::env::current_exe().expect("our own path"))
            .args(["--exact", "parent", "--nocapture"])
            .env("APPORTION_TEST_ARGS", args.join(" "))
            .env("APPORTION_EXE", self.at("apportion"))
            .env_remove("NATS_URL")
            .env_remove("DATABASE_URL")
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .expect("the test program starts");
        Launched(child)
    }

    /// Where Postgres' data lie: elsewhere when root's tests run in a folder that is closed to others.
    fn database(&self) -> PathBuf {
        fs::read_to_string(self.at("data/postgres/location"))
            .map_or(self.at("data/postgres"), |text| PathBuf::from(text.trim()))
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn wait_for(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}:\n{}",
                self.text("stderr")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn roles(&self) -> usize {
        self.text("roles").lines().count()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let database = self.database();
        if !database.starts_with(self.root.path())
            && let Err(error) = fs::remove_dir_all(&database)
        {
            eprintln!("cannot remove {}: {error}", database.display());
        }
    }
}

/// A launched `up` or `run`; a test that fails must not leave it behind.
struct Launched(Child);

impl Launched {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).expect("a process id")), signal)
            .expect("it lives");
    }

    fn end(&mut self) -> ExitStatus {
        self.0.wait().expect("our child")
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // Reaped already in a test that passed.
        if let Ok(None) = self.0.try_wait() {
            self.0.kill().and_then(|()| self.0.wait()).ok();
        }
    }
}

/// Living processes whose command line names `folder`, or that work in it.
fn living_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc can be read") {
        let path = entry.expect("/proc can be read").path();
        // What is no process, or has gone meanwhile, has no command line.
        let Ok(line) = fs::read(path.join("cmdline")) else { continue };
        let cwd = fs::read_link(path.join("cwd")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*folder.to_string_lossy()) || cwd.starts_with(folder) {
            found.push(line);
        }
    }
    found
}

/// Not a test of its own: the process that launches.
#[test]
fn parent() {
    let Ok(args) = std::env::var("APPORTION_TEST_ARGS") else { return };
    let cli = Cli::parse_from(std::iter::once("apportion").chain(args.split(' ')));
    let code = match cli.command {
        Subcommand::Up(up) => launch(&up.launch(), None),
        Subcommand::Run(run) => launch(
            &run.launch,
            Some(Once { told: Told::Text, allow_quarantine: true, drill: None, then: None }),
        ),
        Subcommand::Coordinator(_)
        | Subcommand::Gatherer(_)
        | Subcommand::Allocator(_)
        | Subcommand::Emitter(_)
        | Subcommand::Guard(_)
        | Subcommand::Watch(_)
        | Subcommand::Demo(_)
        | Subcommand::Status(_)
        | Subcommand::Explain(_)
        | Subcommand::Why(_)
        | Subcommand::Unallocated(_)
        | Subcommand::Plan(_)
        | Subcommand::Try(_)
        | Subcommand::Bench(_)
        | Subcommand::Backfill(_)
        | Subcommand::Runs(_)
        | Subcommand::Compare(_)
        | Subcommand::Refused(_)
        | Subcommand::Deletions(_)
        | Subcommand::Withdrawals(_)
        | Subcommand::Config(_)
        | Subcommand::Rules(_)
        | Subcommand::Reconcile(_)
        | Subcommand::Replay(_)
        | Subcommand::Unpin(_)
        | Subcommand::Backup(_)
        | Subcommand::Restore(_)
        | Subcommand::Migrate(_) => panic!("not launched here: {args}"),
    };
    match code {
        Ok(code) => std::process::exit(i32::from(code)),
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::exit(64);
        }
    }
}

#[test]
fn a_run_ends_with_the_code_of_its_coordinator_and_leaves_nothing() {
    let bench = Bench::new(
        "while [ $(wc -l < \"$APPORTION_DATA_DIR/../roles\") -lt 5 ]; do sleep 0.01; done; exit 1",
    );
    let started = Instant::now();
    let args = [
        "run",
        "--once",
        "--allow-quarantine",
        "--config",
        "config",
        "--data-dir",
        "data",
        "--allocators",
        "2",
    ];
    let status = bench.start(&args).end();
    println!("whole run: {} ms", started.elapsed().as_millis());
    assert_eq!(status.code(), Some(1), "{}", bench.text("stderr"));
    let roles = bench.text("roles");
    assert_eq!(roles.lines().count(), 5, "{roles}");
    for role in roles.lines() {
        assert!(role.contains("nats=nats://"), "{role}");
        let has_database = role.contains("database=postgresql://");
        let needs_one = role.starts_with("coordinator") || role.starts_with("emitter");
        assert_eq!(has_database, needs_one, "{role}");
    }
    assert!(roles.contains("--once"), "{roles}");
    assert_eq!(living_in(bench.root.path()), Vec::<String>::new());
    assert!(!bench.at("data/run.json").exists());
    assert!(bench.text("stderr").contains("nats-server 2."), "{}", bench.text("stderr"));
}

#[test]
fn up_drains_on_sigterm_restarts_what_is_killed_and_is_alone_in_its_folder() {
    let bench = Bench::new("exec sleep 60");
    let mut up = bench.start(&["up", "--config", "config", "--data-dir", "data"]);
    bench.wait_for("all roles run", || bench.roles() == 4);
    let running = DataFolder::running(&bench.at("data")).unwrap().expect("it runs");
    assert_eq!(running.pid, up.id());

    let mut second = bench.start(&["up", "--config", "config", "--data-dir", "data"]);
    assert_eq!(second.end().code(), Some(64));
    let message = format!("is in use by pid {}", up.id());
    assert!(bench.text("stderr").contains(&message), "{}", bench.text("stderr"));

    // Servers come back at the same address, so that roles can reconnect.
    let find = |needle: &str| -> Vec<i32> {
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let Ok(line) = fs::read(path.join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(needle) && line.contains(&*bench.root.path().to_string_lossy()) {
                pids.extend(path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok()));
            }
        }
        pids
    };
    let nats = find("nats-server");
    assert_eq!(nats.len(), 1);
    kill(Pid::from_raw(nats[0]), Signal::SIGKILL).unwrap();
    bench.wait_for("NATS is back", || {
        apportion::servers::given::check_nats(&running.nats_url).is_ok()
    });
    let pid_file = bench.database().join("data/postmaster.pid");
    let postmaster = fs::read_to_string(&pid_file).unwrap();
    kill(Pid::from_raw(postmaster.lines().next().unwrap().parse().unwrap()), Signal::SIGKILL)
        .unwrap();
    bench.wait_for("Postgres is back", || {
        apportion::servers::given::check_database(&running.database_url).is_ok()
    });

    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().code(), Some(0), "{}", bench.text("stderr"));
    assert_eq!(living_in(bench.root.path()), Vec::<String>::new());
    assert!(!pid_file.exists(), "Postgres was not stopped in good order");
}

#[test]
fn a_killed_parent_takes_all_with_it_and_a_rerun_works() {
    let bench = Bench::new("[ -e \"$APPORTION_DATA_DIR/../again\" ] && exit 0; exec sleep 60");
    let args = ["run", "--once", "--config", "config", "--data-dir", "data"];
    let mut first = bench.start(&args);
    bench.wait_for("all roles run", || bench.roles() == 4);
    assert!(living_in(bench.root.path()).len() >= 4);
    first.signal(Signal::SIGKILL);
    assert_eq!(first.end().signal(), Some(9));
    let killed = Instant::now();
    bench.wait_for("all are gone", || living_in(bench.root.path()).is_empty());
    assert!(killed.elapsed() < Duration::from_secs(5));
    println!("all gone after {} ms", killed.elapsed().as_millis());
    fs::write(bench.at("again"), "").unwrap();
    assert_eq!(bench.start(&args).end().code(), Some(0), "{}", bench.text("stderr"));
}

#[test]
fn what_cannot_start_says_why() {
    let bench = Bench::new("echo 'tenants/a.yaml:3: unknown key' >&2; exit 64");
    let status = bench.start(&["run", "--once", "--config", "nowhere", "--data-dir", "data"]).end();
    assert_eq!(status.code(), Some(64));
    assert!(bench.text("stderr").contains("configuration folder nowhere cannot be found"));
    assert!(!bench.at("data").exists());

    let status = bench.start(&["up", "--config", "config", "--data-dir", "data"]).end();
    assert_eq!(status.code(), Some(64));
    let said = bench.text("stderr");
    assert!(
        said.contains("coordinator cannot work with its settings:\ntenants/a.yaml:3: unknown key"),
        "{said}"
    );
    assert_eq!(living_in(bench.root.path()), Vec::<String>::new());

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = ["up", "--config", "config", "--data-dir", "data", "--nats-port", &port];
    assert_eq!(bench.start(&args).end().code(), Some(64));
    assert!(bench.text("stderr").contains(&format!("port {port} on 127.0.0.1 is in use")));
}
