//! Somebody alters what is stored: it is found by hand, shown everywhere, and gone with the next generation.

use proto::line::Measure;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;

#[test]
fn altered_facts_are_found_and_shown_until_they_are_made_anew() {
    let stand = Stand::with_servers("reconcile", None).unwrap();
    let mut lines = world::bill(71, "USD", day("2026-05-01"), 3, 10);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", COST));
    stand.write("apportion.yaml", "reconcile: { every: 12h }\n");
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 3);
    let (code, said) = stand.ask(&["reconcile"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("3 dates compared, ")
            && said.ends_with("all are stored as they were made\n"),
        "{said}"
    );

    let alter = "update apportion.chargeback_pieces set units[1] = units[1] + 1 where ctid = (
        select ctid from apportion.chargeback_pieces where units is not null and date = '2026-05-02' limit 1)";
    let altered = stand.database(|client| Ok(client.execute(alter, &[])?)).unwrap();
    assert_eq!(altered, 1);
    let (code, told) = stand.ask_json(&["reconcile", "--json"]);
    assert_eq!((code, &told["dates"]), (1, &3.into()), "{told}");
    let differing = told["differing"].as_array().unwrap();
    assert_eq!((differing.len(), &differing[0]["date"]), (1, &"2026-05-02".into()), "{told}");
    let what: Vec<&str> = differing[0]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|d| d["what"].as_str())
        .collect();
    assert!(
        what[0].starts_with("amount of the rows in USD of ") && what.contains(&"hash of the rows"),
        "{told}"
    );
    let (code, said) =
        stand.ask(&["reconcile", "--tenant", "acme", "--source", "cloud", "--to", "2026-05-01"]);
    assert_eq!((code, said.starts_with("1 dates compared, ")), (0, true), "{said}");
    assert!(
        stand
            .start(&["reconcile", "--from", "2027-01-01"])
            .end(std::time::Duration::from_secs(60))
            .unwrap()
            .code()
            == Some(64)
    );

    let (_, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!(status["findings_count"], 1, "{status}");
    assert_eq!(status["findings"][0]["unit"], "acme/cloud/2026-05-02", "{status}");
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["units"]), (1, &0.into()), "{}\n{}", run.summary, run.said);
    assert!(
        run.said.contains("visible dates are not stored as they were made (1)"),
        "{}",
        run.said
    );

    // Another bill, another generation: the finding is gone before anybody looks again.
    let changed = lines.iter_mut().find(|line| line.date == day("2026-05-02")).unwrap();
    *changed = changed.clone().cost("77.25");
    stand.write("bill.csv", world::csv(&lines));
    let run = stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let (_, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!(status["findings_count"], 0, "{status}");
    assert_eq!(stand.ask(&["reconcile"]).0, 0);
}
