//! Postgres restored from a backup while NATS went on.

use std::process::Command;

use proto::line::Measure;
use tests::program;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success());
}

#[test]
fn a_restored_backup_waits_for_a_new_incarnation_and_then_ends_exactly() {
    let stand = Stand::new("backup");
    let mut lines = world::bill(15, "USD", day("2026-05-01"), 2, 10);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", COST));
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 2);
    let (live, backup) = (stand.data().join("postgres"), stand.data().join("backup"));
    copy(&live, &backup);
    // After the backup the bill changed twice, and generations were drawn for it.
    for cost in ["17.5", "18.25"] {
        lines[0] = lines[0].clone().cost(cost);
        stand.write("bill.csv", world::csv(&lines));
        assert_done(&stand.run_once(&[]), 1);
    }
    std::fs::remove_dir_all(&live).expect("the folder is ours");
    copy(&backup, &live);

    let refused = stand.run_once(&[]);
    assert_eq!(refused.code, 1, "{}", refused.said);
    let mend = "run `apportion migrate --raise-incarnation`";
    assert!(refused.said.contains(mend), "{}", refused.said);
    assert!(refused.summary["error"].is_string(), "{}", refused.summary);

    let raised = Command::new(program::apportion())
        .args(["migrate", "--raise-incarnation", "--data-dir"])
        .arg(stand.data())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&raised.stdout);
    assert!(raised.status.success() && said.contains("incarnation 1"), "{said}");
    let run = stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&stand, &run, "acme", &lines, COST);
    assert_done(&stand.run_once(&[]), 0);
}
