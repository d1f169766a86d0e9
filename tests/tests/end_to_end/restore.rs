//! A backup is taken while everything runs, and restored elsewhere: the pipeline goes on from there, exactly.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use proto::line::Measure;
use tests::stand::{PATIENCE, Stand};
use tests::world::{self, Line};

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;
const BACKFILL: [&str; 10] = [
    "backfill",
    "--tenant",
    "acme",
    "--source",
    "cloud",
    "--from",
    "2026-05-01",
    "--to",
    "2026-05-03",
    "--detach",
];

/// A command that must fail: what it said.
fn refused(stand: &Stand, args: &[&str]) -> String {
    let mut command = stand.start(args);
    let status = command.end(PATIENCE).expect("the command ends");
    assert!(!status.success(), "{args:?} succeeded: {}", command.output());
    command.said()
}

/// The last generation that was drawn.
fn drawn(stand: &Stand) -> i64 {
    let sql = "select last_value from apportion.generation_seq";
    let drawn = stand.database(|client| Ok(client.query_one(sql, &[])?.get(0)));
    drawn.expect("the database answers")
}

fn change(stand: &Stand, lines: &mut [Line], at: usize, cost: &str) {
    lines[at] = lines[at].clone().cost(cost);
    stand.write("bill.csv", world::csv(&*lines));
}

#[test]
fn what_was_backed_up_under_traffic_goes_on_elsewhere() {
    let stand = Stand::new("backed-up");
    let mut lines = world::bill(81, "USD", day("2026-05-01"), 3, 20);
    let tenant = format!("# a comment\n{}", world::tenant("USD", "bill.csv", COST));
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bill.csv", world::csv(&lines));
    let mut up = stand.start(&["up"]);
    let visible = "select count(*) from apportion.pipeline_state where visible_generation > 0";
    let sees = |wanted: i64, sql: &str| {
        let seen: i64 = stand.database(|client| Ok(client.query_one(sql, &[])?.get(0))).ok()?;
        (seen >= wanted).then_some(())
    };
    // Until it runs there is no database to look at.
    let is_up = |up: &tests::stand::Started| up.said().contains("running; ").then_some(());
    up.until("it runs", is_up).unwrap();
    up.until("all is visible", |_| sees(3, visible)).unwrap();
    let file = stand.data().join("all.backup");
    let path = file.to_str().unwrap();
    let mut backup = stand.start(&["backup", "--to", path]);
    for round in 1..4 {
        change(&stand, &mut lines, round, &format!("{round}.5"));
        assert_eq!(stand.ask(&BACKFILL).0, 0);
    }
    assert!(backup.end(PATIENCE).unwrap().success(), "{}", backup.said());
    assert!(
        backup.output().contains("the database and 1 files of the configuration"),
        "{}",
        backup.output()
    );
    // What comes after it is in no backup.
    change(&stand, &mut lines, 0, "4711.25");
    assert_eq!(stand.ask(&BACKFILL).0, 0);
    let last = "select count(*) from apportion.billing where amount = 4711.25";
    up.until("the last change is stored", |_| sees(1, last)).unwrap();
    up.signal(Signal::SIGTERM).unwrap();
    assert!(up.end(PATIENCE).unwrap().success(), "{}", up.said());
    let before = drawn(&stand);

    let other = Stand::new("restored");
    let restore = ["restore", "--from", path];
    damaged_ones_are_refused(&other, &file);
    assert!(refused(&stand, &restore).contains("holds streams of another life"));
    let (code, said) = other.ask(&restore);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("restored 3 visible dates of ") && said.contains("incarnation 1\n"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(other.config().join("tenants/acme.yaml")).unwrap(), tenant);
    assert!(drawn(&other) > before, "{} after {before}", drawn(&other));
    other.write("bill.csv", world::csv(&lines));
    let run = other.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (0, &0.into()), "{}\n{}", run.summary, run.said);
    assert_holds(&other, &run, "acme", &lines, COST);
    let generations =
        "select min(visible_generation) from apportion.pipeline_state where date = '2026-05-01'";
    let newest: i64 =
        other.database(|client| Ok(client.query_one(generations, &[])?.get(0))).unwrap();
    assert!(newest > before, "{newest} after {before}");
    assert_eq!(other.ask(&["reconcile"]).0, 0);
    assert_done(&other.run_once(&[]), 0);
}

fn damaged_ones_are_refused(stand: &Stand, file: &Path) {
    let whole = fs::read(file).expect("the backup is there");
    let copy = file.with_extension("copy");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (bytes, word) in [(flipped.as_slice(), "damaged"), (&whole[..whole.len() / 3], "too early")]
    {
        fs::write(&copy, bytes).expect("the folder is ours");
        let said = refused(stand, &["restore", "--from", copy.to_str().expect("it is UTF-8")]);
        assert!(said.contains("cannot be restored") && said.contains(word), "{said}");
    }
    assert!(!stand.data().exists(), "nothing is made of a damaged backup");
}

#[test]
fn a_given_database_is_restored_beside_streams_that_went_on() {
    let stand = Stand::with_servers("given-back", None).unwrap();
    let mut lines = world::bill(82, "USD", day("2026-05-01"), 2, 10);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", COST));
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 2);
    let folder = stand.config().join("backups");
    fs::create_dir(&folder).unwrap();
    let (code, told) = stand.ask_json(&["backup", "--json", "--to", folder.to_str().unwrap()]);
    assert_eq!((code, &told["config_files"]), (0, &1.into()), "{told}");
    let file = told["file"].as_str().unwrap();
    change(&stand, &mut lines, 0, "17.5");
    assert_done(&stand.run_once(&[]), 1);
    let before = drawn(&stand);
    let restore = ["restore", "--json", "--from", file];
    let said = refused(&stand, &restore);
    assert!(said.contains("holds tables of Apportion already"), "{said}");
    stand.database(|client| Ok(client.batch_execute("drop schema apportion cascade")?)).unwrap();
    let (code, told) = stand.ask_json(&restore);
    assert_eq!((code, &told["dates"], &told["incarnation"]), (0, &2.into(), &1.into()), "{told}");
    let run = stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let newest = "select max(visible_generation) from apportion.pipeline_state";
    let newest: i64 = stand.database(|client| Ok(client.query_one(newest, &[])?.get(0))).unwrap();
    assert!(newest > before, "{newest} after {before}");
}
