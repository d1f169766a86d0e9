//! What an emitter wrote and no emitter writes any more is taken away: it would be added up with what took its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proto::line::Measure;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;
const TEMPLATE: &str = "csv: { dir: out/csv }";

/// The files of a folder, without those of folders in it.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().expect("it is there").is_file());
    files.map(|file| file.file_name().into_string().expect("a text")).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn old_files_go_when_others_take_their_place() {
    let stand = Stand::new("old-files");
    let tenant = world::tenant("USD", "bill.csv", COST);
    let with = |emitters: &str| {
        assert!(tenant.contains(TEMPLATE), "{tenant}");
        stand.write("tenants/acme.yaml", tenant.replace(TEMPLATE, emitters));
    };
    let lines = world::bill(41, "USD", day("2026-05-30"), 3, 5);
    stand.write("bill.csv", world::csv(&lines));
    let out = |name: &str| stand.config().join("out").join(name);
    with("csv: { dir: out/csv, file: \"{tenant}_{source}_{month}.csv\" }");
    assert_done(&stand.run_once(&[]), 3);
    assert_eq!(names(&stand.csv()), set(&["acme_cloud_2026-05.csv", "acme_cloud_2026-06.csv"]));
    fs::write(out("csv/mine.csv"), "not ours").unwrap();

    // A file of a month becomes one of each day. One that somebody changed is kept, and named.
    let june = out("csv/acme_cloud_2026-06.csv");
    let changed = fs::read_to_string(&june).unwrap() + "a note\n";
    fs::write(&june, &changed).unwrap();
    with(TEMPLATE);
    assert_done(&stand.run_once(&[]), 0);
    let days =
        ["acme_cloud_2026-05-30.csv", "acme_cloud_2026-05-31.csv", "acme_cloud_2026-06-01.csv"];
    let mut left = set(&days);
    left.extend(set(&["mine.csv", "acme_cloud_2026-06.csv"]));
    assert_eq!(names(&stand.csv()), left);
    assert_eq!(fs::read_to_string(&june).unwrap(), changed);
    let (code, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!((code, &status["files_left_count"]), (1, &1.into()), "{status}");
    assert_eq!(status["files_left"][0]["file"], june.display().to_string());
    assert_eq!(status["files_left"][0]["why"], "it was changed after it was emitted");
    let (_, text) = stand.ask(&["status"]);
    assert!(text.contains(&format!("{} (acme/cloud): it was changed", june.display())), "{text}");

    // With a lookback that ends within May, the month's file is the only one with the first of its days.
    fs::remove_file(&june).unwrap();
    with("csv: { dir: out/csv, file: \"{tenant}_{source}_{month}.csv\" }");
    assert_done(&stand.run_once(&[]), 0);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let days_back = (today - jiff::civil::date(2026, 5, 31)).get_days();
    with(&format!("csv: {{ dir: out/csv, lookback: {days_back}d }}"));
    assert_done(&stand.run_once(&[]), 0);
    let mut left = set(&days[1..]);
    left.extend(set(&["mine.csv", "acme_cloud_2026-05.csv"]));
    assert_eq!(names(&stand.csv()), left);
    let (_, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!(status["files_left_count"], 1, "{status}");
    let why = "it holds dates that no other file holds: 1 of them, out of the lookback";
    assert_eq!(status["files_left"][0]["why"], why);
    with(TEMPLATE);
    assert_done(&stand.run_once(&[]), 0);
    let mut left = set(&days);
    left.extend(set(&["mine.csv"]));
    assert_eq!(names(&stand.csv()), left);

    // Nothing is left to tell. The same folder under another name is no other place.
    fs::remove_file(out("csv/mine.csv")).unwrap();
    with("csv: { dir: ./out/../out/csv }");
    let run = stand.run_once(&[]);
    assert_done(&run, 0);
    assert_eq!(names(&stand.csv()), set(&days));
    assert_holds(&stand, &run, "acme", &lines, COST);
    assert_eq!(stand.ask_json(&["status", "--json"]).1["files_left_count"], 0);

    // Another name, another folder, another emitter; the old files go each time, and no other.
    with("csv: { dir: out/csv, file: \"{date}/{source}.csv\" }");
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(names(&stand.csv()), set(&[]));
    assert_eq!(names(&out("csv/2026-06-01")), set(&["cloud.csv"]));
    with("focus: { dir: out/focus }");
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(names(&out("csv/2026-06-01")), set(&[]));
    assert_eq!(names(&out("focus")), set(&days));
    // The first one again, beside it: what it wrote is gone, so it writes.
    with("focus: { dir: out/focus }\n  csv: { dir: out/csv, file: \"{date}/{source}.csv\" }");
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(names(&out("csv/2026-06-01")), set(&["cloud.csv"]));
    assert_eq!(names(&out("focus")), set(&days));

    // A database that an earlier build made knows no files; it is looked at all the same.
    let sql = "drop view apportion.stale_files; drop table apportion.emitted_files";
    stand.database(|client| Ok(client.batch_execute(sql)?)).unwrap();
    let (_, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!(status["files_left_count"], 0, "{status}");
}
