//! `on_bad_line: hold`: a date with a quarantined record waits until the record is mended; the others go on.

use proto::line::Measure;
use tests::output::files;
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_done, assert_holds, day, of};

const COST: Measure = Measure::Effective;

/// The bill with the cost of one line of its second day made unreadable.
fn spoilt(lines: &[Line]) -> Vec<Line> {
    let mut lines = lines.to_vec();
    let bad = lines.iter_mut().find(|line| line.date == day("2026-05-02")).expect("a second day");
    *bad = bad.clone().set("EffectiveCost", "12,5");
    lines
}

#[test]
fn a_date_with_a_bad_line_waits_until_the_line_is_mended_or_the_word_changes() {
    let stand = Stand::new("hold").impatient();
    let lines = world::bill(41, "USD", day("2026-05-01"), 2, 8);
    let plain = world::tenant("USD", "bill.csv", COST);
    let holding = format!("on_bad_line: hold\n{plain}");
    stand.write("tenants/acme.yaml", &holding);
    stand.write("bill.csv", world::csv(&spoilt(&lines)));
    let run = stand.run_once(&["--allow-quarantine"]);
    assert_eq!((run.code, &run.summary["units"]), (1, &1.into()), "{}\n{}", run.summary, run.said);
    assert!(
        run.said.contains("acme/cloud/2026-05-02 (held): on_bad_line: hold, and 1 of its records"),
        "{}",
        run.said
    );
    assert_eq!(of(&run, "acme")["dates"], 1);
    assert_eq!(files(&stand.csv()).unwrap().len(), 1);

    // The line is mended: its date comes, and everything is there.
    stand.write("bill.csv", world::csv(&lines));
    let run = stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let whole = files(&stand.csv()).unwrap();

    // Spoilt again: what is visible of the date stays as it is, to the byte.
    stand.write("bill.csv", world::csv(&spoilt(&lines)));
    let run = stand.run_once(&["--allow-quarantine"]);
    assert_eq!((run.code, &run.summary["units"]), (1, &0.into()), "{}\n{}", run.summary, run.said);
    assert_eq!(files(&stand.csv()).unwrap(), whole);

    // Without the word the date goes on without the line.
    stand.write("tenants/acme.yaml", &plain);
    let run = stand.run_once(&["--allow-quarantine"]);
    assert_eq!((run.code, &run.summary["units"]), (0, &1.into()), "{}\n{}", run.summary, run.said);
    assert_eq!(of(&run, "acme")["lines"], lines.len() - 1);
}
