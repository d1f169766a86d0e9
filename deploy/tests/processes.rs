//! Guard and supervisor, with small shell scripts as roles.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use apportion::process::Recipe;
use apportion::process::log::Log;
use apportion::shutdown::Shutdown;
use apportion::supervise::{Backoff, Outcome, Role, Supervisor};

const LONG: Duration = Duration::from_secs(20);

fn script(name: &str, text: &str) -> Recipe {
    Recipe::new(name, "/bin/sh").arg("-c").arg(text)
}

fn quick() -> Backoff {
    Backoff {
        start: Duration::from_millis(10),
        cap: Duration::from_millis(40),
        healthy: Duration::from_secs(30),
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_child_gets_its_environment_and_its_output_lands_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.log");
    let mut child = script("x", "echo \"got $SECRET\"; echo err >&2; exit 3")
        .env("SECRET", "a b")
        .log(Log::file(&file))
        .spawn()
        .unwrap();
    assert_eq!(child.wait(LONG).unwrap().unwrap().code(), Some(3));
    assert_eq!(child.last_words(), "got a b\nerr");
    assert_eq!(fs::read_to_string(file).unwrap(), "got a b\nerr\n");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let mut child = Recipe::new("x", "/no/such/program").spawn().unwrap();
    assert_eq!(child.wait(LONG).unwrap().unwrap().code(), Some(127));
    assert!(
        child.last_words().contains("cannot execute /no/such/program"),
        "{}",
        child.last_words()
    );
}

#[test]
fn the_guard_refuses_a_parent_that_is_not_ours() {
    let output = Command::new(env!("CARGO_BIN_EXE_apportion"))
        .args(["guard", "--parent", "1", "--death", "SIGKILL", "--", "/bin/echo", "started"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("parent 1 has died"));
}

#[test]
fn a_lock_is_held_until_the_last_descendant_ends() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    let go = folder.path().join("go");
    // The grandchild lives on, with the lock, when the child has ended.
    let text = format!(
        "(while [ ! -e '{0}' ]; do sleep 0.01; done) >/dev/null 2>&1 & exit 0",
        go.display()
    );
    let mut first = script("first", &text).lock(&lock).spawn().unwrap();
    assert!(first.wait(LONG).unwrap().unwrap().success());
    let mut second = script("second", "exit 0").lock(&lock).spawn().unwrap();
    assert!(second.wait(Duration::from_millis(300)).unwrap().is_none(), "the lock was free");
    fs::write(go, "").unwrap();
    assert!(second.wait(LONG).unwrap().unwrap().success());
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut child =
        std::thread::spawn(|| script("x", "exec sleep 30").spawn().unwrap()).join().unwrap();
    assert!(child.wait(Duration::from_millis(300)).unwrap().is_none());
    child.kill().unwrap();
}

#[test]
fn killed_roles_come_back_and_the_end_of_the_one_shot_ends_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    // Kills itself three times, as an outside kill -9 would, then waits to be drained.
    let worker = format!(
        "echo x >> '{0}'; [ $(wc -l < '{0}') -gt 3 ] && exec sleep 60; kill -9 $$",
        starts.display()
    );
    let done = format!(
        "while [ ! -e '{0}' ] || [ $(wc -l < '{0}') -lt 4 ]; do sleep 0.01; done; exit 1",
        starts.display()
    );
    let mut supervisor = Supervisor::new(quick(), Some(2));
    supervisor.add(Role::new(script("worker", &worker)), false).unwrap();
    supervisor.add(Role::new(script("coordinator", &done)), true).unwrap();
    let shutdown = Shutdown::default();
    assert_eq!(supervisor.run_until(&shutdown).unwrap(), Outcome::Finished(1));
    assert_eq!(lines(&starts), 4);
    let asked = Instant::now();
    supervisor.stop(&shutdown).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "sleep ends by SIGTERM");
}

#[test]
fn a_role_that_keeps_failing_is_given_up_with_its_last_words() {
    let mut supervisor = Supervisor::new(quick(), Some(3));
    supervisor.add(Role::new(script("worker", "echo the disk is on fire; exit 7")), false).unwrap();
    let Outcome::Failed(why) = supervisor.run_until(&Shutdown::default()).unwrap() else {
        panic!("not given up")
    };
    assert!(why.contains("worker failed 3 times in a row, last with exit code 7"), "{why}");
    assert!(why.contains("the disk is on fire"), "{why}");
}

#[test]
fn unusable_settings_are_not_tried_again() {
    let mut supervisor = Supervisor::new(Backoff::default(), None);
    supervisor.add(Role::new(script("worker", "echo no such key >&2; exit 2")), false).unwrap();
    let Outcome::Failed(why) = supervisor.run_until(&Shutdown::default()).unwrap() else {
        panic!("tried again")
    };
    assert_eq!(why, "worker cannot work with its settings:\nno such key");
}

#[test]
fn roles_are_asked_to_end_and_a_second_request_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, drained) = (folder.path().join("ready"), folder.path().join("drained"));
    let polite = format!(
        "trap 'echo bye > {1}; exit 0' TERM; echo > {0}.1; while :; do sleep 0.01; done",
        ready.display(),
        drained.display()
    );
    let stubborn =
        format!("trap '' TERM; echo > {0}.2; while :; do sleep 0.01; done", ready.display());
    let mut supervisor = Supervisor::new(quick(), None);
    supervisor.add(Role::new(script("polite", &polite)), false).unwrap();
    supervisor.add(Role::new(script("stubborn", &stubborn)), false).unwrap();
    wait_until("both run", || {
        ready.with_extension("1").exists() && ready.with_extension("2").exists()
    });
    let shutdown = Shutdown::default();
    shutdown.request();
    assert_eq!(supervisor.run_until(&shutdown).unwrap(), Outcome::Interrupted);
    let impatient = {
        let (shutdown, drained) = (shutdown.clone(), drained.clone());
        std::thread::spawn(move || {
            wait_until("drained", || drained.exists());
            shutdown.request();
        })
    };
    supervisor.stop(&shutdown).unwrap();
    impatient.join().unwrap();
    assert_eq!(fs::read_to_string(drained).unwrap(), "bye\n");
}

/// Where the system has no parent-death signal the watching process does its work; it runs on Linux too.
#[test]
fn the_watching_process_ends_its_parent_when_the_grandparent_is_gone() {
    let mut gone = Command::new("/bin/true").spawn().unwrap();
    let pid = gone.id().to_string();
    gone.wait().unwrap();
    let text = format!(
        "'{}' watch --parent {pid} --death SIGTERM & exec sleep 30",
        env!("CARGO_BIN_EXE_apportion")
    );
    let mut child = script("x", &text).spawn().unwrap();
    let status = child.wait(LONG).unwrap().expect("sleep was ended");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}
