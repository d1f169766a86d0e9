//! Emitted files that somebody removed or changed: the next run emits them again, and leaves the others alone.

use std::fs;

use proto::line::Measure;
use proto::time::UnitDate;
use tests::output::{contents, files, touched};
use tests::stand::Stand;
use tests::world;

#[test]
fn files_that_were_removed_or_changed_are_emitted_again_and_no_others() {
    let stand = Stand::new("altered");
    let first: UnitDate = "2026-05-01".parse().unwrap();
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Billed));
    stand.write("bill.csv", world::csv(&world::bill(5, "USD", first, 4, 12)));
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["units"]), (0, &4.into()), "{}", run.said);
    let (before, texts) = (files(&stand.csv()).unwrap(), contents(&stand.csv()).unwrap());

    let name = |day: u32| format!("acme_cloud_2026-05-0{day}.csv");
    let path = |day| stand.csv().join(name(day));
    fs::remove_file(path(1)).unwrap();
    // Of the same size, as a changed digit is; and longer, as an added line is.
    fs::write(path(2), texts[&name(2)].replacen("focus", "Focus", 1)).unwrap();
    fs::write(path(3), format!("{}by hand\n", texts[&name(3)])).unwrap();
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["units"]), (0, &0.into()), "{}", run.said);
    assert_eq!(run.summary["failed"], 0, "{}", run.summary);
    assert_eq!(contents(&stand.csv()).unwrap(), texts);
    assert_eq!(touched(&before, &files(&stand.csv()).unwrap()), [name(1), name(2), name(3)]);
    let log = fs::read_to_string(stand.data().join("logs/emitter-1.log")).unwrap();
    let told = log.lines().filter(|line| line.contains("is emitted again"));
    assert_eq!(told.count(), 3, "{log}");

    // And now there is nothing to do.
    let before = files(&stand.csv()).unwrap();
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["units"]), (0, &0.into()), "{}", run.said);
    assert_eq!(touched(&before, &files(&stand.csv()).unwrap()), Vec::<String>::new());
}
