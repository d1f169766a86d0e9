//! Embedded servers, for real: crashes, restarts, majors, accounts, and the death of their parent.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apportion::process::log::Log;
use apportion::servers::find::Places;
use apportion::servers::{EmbeddedNats, EmbeddedPostgres, NatsOptions, PostgresOptions, given};
use apportion::shutdown::Shutdown;
use apportion::supervise::{Backoff, Stage, Supervisor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, NoTls};

fn connect(server: &EmbeddedPostgres) -> Client {
    Client::connect(&server.url(), NoTls).expect("the server answers")
}

/// A temporary folder, open to the account that Postgres runs as when we are root.
fn temporary() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    folder
}

/// Command lines of the living processes whose working folder or command line lies in `folder`.
#[cfg(target_os = "linux")]
fn living_in(folder: &Path) -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc can be read") {
        let path = entry.expect("/proc can be read").path();
        if path.ends_with(&own) {
            continue;
        }
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

#[test]
fn servers_come_back_at_their_address_after_kill_9() {
    let folder = temporary();
    let started = Instant::now();
    let mut nats =
        EmbeddedNats::start(&folder.path().join("nats"), NatsOptions::default()).unwrap();
    let mut postgres =
        EmbeddedPostgres::start(&folder.path().join("pg"), PostgresOptions::default()).unwrap();
    println!("both up after {} ms", started.elapsed().as_millis());

    let secret = nats.url();
    let token = secret.trim_start_matches("nats://").split('@').next().unwrap();
    let settings = folder.path().join("nats/nats.conf");
    assert_eq!(fs::metadata(&settings).unwrap().mode() & 0o777, 0o600);
    #[cfg(target_os = "linux")]
    for line in living_in(&folder.path().canonicalize().unwrap()) {
        assert!(!line.contains(token), "the token stands on a command line: {line}");
    }

    connect(&postgres).batch_execute("create table t (x int); insert into t values (7)").unwrap();
    // A session that is busy when its postmaster dies must not keep the next one waiting.
    let url = postgres.url();
    let busy = std::thread::spawn(move || {
        let mut client = Client::connect(&url, NoTls).unwrap();
        client.batch_execute("do $$ begin loop perform 1; end loop; end $$")
    });
    let mut watcher = connect(&postgres);
    let running = "select 1 from pg_stat_activity where query like 'do %' and state = 'active'";
    while watcher.query_opt(running, &[]).unwrap().is_none() {
        std::thread::yield_now();
    }
    for _ in 0..2 {
        nats.kill9().unwrap();
        assert!(TcpStream::connect(nats.address()).is_err());
        nats.restart().unwrap();
        assert_eq!(nats.url(), secret);
        postgres.kill9().unwrap();
        postgres.restart().unwrap();
        let row = connect(&postgres).query_one("select x from t", &[]).unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
    }
    assert!(busy.join().unwrap().is_err());

    // Also without a restart, nothing of a killed one is left.
    let url = postgres.url();
    let mut watcher = connect(&postgres);
    let busy = std::thread::spawn(move || {
        let mut client = Client::connect(&url, NoTls).unwrap();
        client.batch_execute("do $$ begin loop perform 1; end loop; end $$")
    });
    while watcher.query_opt(running, &[]).unwrap().is_none() {
        std::thread::yield_now();
    }
    postgres.kill9().unwrap();
    postgres.stop().unwrap();
    assert!(busy.join().unwrap().is_err());
    postgres.restart().unwrap();
    let found = given::check_nats(&nats.url()).unwrap();
    assert!(found.starts_with("nats-server 2.") && !found.contains(token), "{found}");
    given::check_database(&postgres.url()).unwrap();

    nats.stop().unwrap();
    postgres.stop().unwrap();
    assert!(!folder.path().join("pg/data/postmaster.pid").exists(), "not stopped in good order");
}

#[test]
fn a_database_that_is_not_utf8_is_refused() {
    let folder = temporary();
    let postgres =
        EmbeddedPostgres::start(&folder.path().join("pg"), PostgresOptions::default()).unwrap();
    connect(&postgres)
        .batch_execute("create database odd encoding 'SQL_ASCII' locale 'C' template template0")
        .unwrap();
    let message = format!("{:#}", given::check_database(&postgres.url_of("odd")).unwrap_err());
    assert!(message.contains("database odd is not UTF8 but SQL_ASCII: make another"), "{message}");
    let url = postgres.ensure_database("other").unwrap();
    assert!(given::check_database(&url).unwrap().ends_with("database other"));
}

#[test]
fn ports_in_use_and_given_ports() {
    let folder = temporary();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = NatsOptions { port: Some(port), ..NatsOptions::default() };
    let message =
        format!("{:#}", EmbeddedNats::start(&folder.path().join("nats"), options).unwrap_err());
    assert!(message.contains(&format!("port {port} on 127.0.0.1 is in use")), "{message}");
    let options = PostgresOptions { port: Some(port), ..PostgresOptions::default() };
    let dir = folder.path().join("pg");
    let message = format!("{:#}", EmbeddedPostgres::start(&dir, options.clone()).unwrap_err());
    assert!(message.contains("--postgres-port"), "{message}");

    drop(taken);
    let postgres = EmbeddedPostgres::start(&dir, options).unwrap();
    let password = fs::read_to_string(postgres.home().join("password")).unwrap();
    let tcp = |password: &str| {
        Client::connect(
            &format!("postgresql://apportion:{password}@127.0.0.1:{port}/apportion"),
            NoTls,
        )
    };
    tcp(&password).unwrap();
    assert!(tcp("wrong").is_err(), "TCP must ask for the password");
}

#[test]
fn a_database_keeps_the_major_that_made_it() {
    let folder = temporary();
    let places = Places::of_system().unwrap();
    let account =
        apportion::process::account::Account::unprivileged(&folder.path().join("none")).unwrap();
    let newest = places.postgres(None, account.as_ref()).unwrap().version.0;
    let Some(older) =
        (14..newest).rev().find(|major| places.postgres(Some(*major), account.as_ref()).is_ok())
    else {
        println!("skipped: PostgreSQL {newest} is the only major here");
        return;
    };
    let dir = folder.path().join("pg");
    let options = PostgresOptions { major: Some(older), ..PostgresOptions::default() };
    drop(EmbeddedPostgres::start(&dir, options).unwrap());
    let again = EmbeddedPostgres::start(&dir, PostgresOptions::default()).unwrap();
    assert_eq!(again.program().version.0, older);
    drop(again);
    let options = PostgresOptions { major: Some(newest), ..PostgresOptions::default() };
    let message = format!("{:#}", EmbeddedPostgres::start(&dir, options).unwrap_err());
    assert!(
        message.contains(&format!("was made by PostgreSQL {older}, not {newest}")),
        "{message}"
    );
}

#[test]
fn as_root_postgres_is_somebody_else_and_a_closed_folder_does_not_matter() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let folder = temporary();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let dir = folder.path().join("pg");
    let log = Log::file(folder.path().join("pg.log"));
    let start = || {
        EmbeddedPostgres::start(&dir, PostgresOptions { log: log.clone(), ..Default::default() })
            .unwrap()
    };
    let postgres = start();
    let home = postgres.home().to_owned();
    assert!(!home.starts_with(folder.path()), "{}", home.display());
    let found = fs::metadata(&home).unwrap();
    assert_eq!(found.mode() & 0o777, 0o700);
    assert_ne!(found.uid(), 0);
    connect(&postgres).batch_execute("create table here ()").unwrap();
    drop(postgres);
    // The folder that was given remembers where its database lies, also after a move; a copy may not share it.
    let moved = folder.path().join("moved");
    fs::rename(&dir, &moved).unwrap();
    let postgres = EmbeddedPostgres::start(&moved, PostgresOptions::default()).unwrap();
    assert_eq!(postgres.home(), home);
    connect(&postgres).batch_execute("select from here").unwrap();
    drop(postgres);
    fs::create_dir(&dir).unwrap();
    fs::copy(moved.join("location"), dir.join("location")).unwrap();
    let message =
        format!("{:#}", EmbeddedPostgres::start(&dir, PostgresOptions::default()).unwrap_err());
    assert!(message.contains("is a copy of"), "{message}");
    fs::remove_dir_all(home).unwrap();
}

/// Not a test of its own: the parent that the test below kills.
#[test]
fn parent() {
    let Some(folder) = std::env::var_os("APPORTION_TEST_PARENT") else { return };
    let folder = Path::new(&folder);
    let _nats = EmbeddedNats::start(&folder.join("nats"), NatsOptions::default()).unwrap();
    let postgres = EmbeddedPostgres::start(&folder.join("pg"), PostgresOptions::default()).unwrap();
    let mut client = connect(&postgres);
    fs::write(folder.join("ready"), "").unwrap();
    client.batch_execute("do $$ begin loop perform 1; end loop; end $$").unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_outlives_a_killed_parent_and_a_rerun_works() {
    let folder = temporary();
    let path = folder.path().canonicalize().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent"])
        .env("APPORTION_TEST_PARENT", &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !path.join("ready").exists() {
        assert!(
            parent.try_wait().unwrap().is_none() && Instant::now() < deadline,
            "the parent did not start"
        );
        std::thread::yield_now();
    }
    assert!(living_in(&path).len() >= 3, "{:?}", living_in(&path));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let killed = Instant::now();
    while !living_in(&path).is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(5), "still there: {:?}", living_in(&path));
        std::thread::yield_now();
    }
    println!("all gone after {} ms", killed.elapsed().as_millis());
    EmbeddedNats::start(&path.join("nats"), NatsOptions::default()).unwrap();
    EmbeddedPostgres::start(&path.join("pg"), PostgresOptions::default()).unwrap();
}

/// Children of a postmaster by what they call themselves.
#[cfg(target_os = "linux")]
fn child_of(postmaster: u32, title: &str) -> Option<Pid> {
    let processes = fs::read_dir("/proc").expect("/proc can be read");
    processes.filter_map(Result::ok).find_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        let parent: u32 = fields.split(' ').nth(1)?.parse().ok()?;
        let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (parent == postmaster && command.contains(title)).then(|| Pid::from_raw(pid))
    })
}

/// Postgres 18 waits for ever when the process that brings it back is killed, too.
#[test]
#[cfg(target_os = "linux")]
fn postgres_comes_back_when_it_is_killed_while_it_comes_back() {
    let folder = temporary();
    let server = EmbeddedPostgres::start(folder.path(), PostgresOptions::default()).unwrap();
    let (url, postmaster) = (server.url(), server.pid().unwrap());
    connect(&server).batch_execute("create table t as select 7 as x").unwrap();
    let mut supervisor = Supervisor::new(Backoff::default(), None);
    supervisor.adopt(Stage::Store, server);
    supervisor
        .during(|| {
            kill(child_of(postmaster, ": walwriter").unwrap(), Signal::SIGKILL)?;
            let limit = Instant::now() + Duration::from_secs(60);
            // Lost, when it is back before we see how: then there is nothing to wait for either.
            while Instant::now() < limit && child_of(postmaster, ": walwriter").is_none() {
                if let Some(startup) = child_of(postmaster, ": startup") {
                    // It may have ended by itself meanwhile.
                    _ = kill(startup, Signal::SIGKILL);
                    break;
                }
            }
            let answer = loop {
                let client = Client::connect(&url, NoTls);
                match client.and_then(|mut client| client.query_one("select x from t", &[])) {
                    Err(error) if Instant::now() > limit => return Err(error.into()),
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                    Ok(row) => break row.get::<_, i32>(0),
                }
            };
            assert_eq!(answer, 7);
            Ok(())
        })
        .unwrap();
    supervisor.stop(&Shutdown::default()).unwrap();
}
