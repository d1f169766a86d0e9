//! The audit trail, and dates that are gathered again because a person asks for it.

use apportion::folder::DataFolder;
use proto::line::Measure;
use tests::output::{files, touched};
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, day};

const COST: Measure = Measure::Effective;
const WHAT: [&str; 5] = ["backfill", "--tenant", "acme", "--source", "cloud"];

#[test]
fn dates_out_of_the_window_are_gathered_again_when_somebody_asks() {
    let stand = Stand::new("backfill");
    let tenant = world::tenant("USD", "bill.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    let mut lines = world::bill(31, "USD", day("2025-05-01"), 3, 8);
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 3);
    stand.write("tenants/acme.yaml", format!("lookback: 30d\n{tenant}"));
    lines.iter_mut().for_each(|line| *line = line.clone().cost("2.5"));
    // Of the third date a record is bad, and nobody asks for it.
    let bad = world::Line::new(day("2025-05-03"), "USD", "no number");
    stand.write("bill.csv", world::csv(lines.iter().chain([&bad])));
    assert_done(&stand.run_once(&[]), 0);
    let before = files(&stand.csv()).unwrap();

    // Nobody leads: it is left for the next run.
    let first = ["--from", "2025-05-01", "--to", "2025-05-01"];
    let mut refused = stand.start(&[&WHAT[..], &first].concat());
    assert_eq!(refused.end(tests::stand::PATIENCE).unwrap().code(), Some(64));
    assert!(refused.said().contains("no coordinator leads"), "{}", refused.said());
    let (code, asked) =
        stand.ask_json(&[&WHAT[..], &first, &["--detach", "--json", "--by", "kim"]].concat());
    assert_eq!((code, asked["status"].as_str()), (0, Some("requested")), "{asked}");
    assert_done(&stand.run_once(&[]), 1);
    let after = files(&stand.csv()).unwrap();
    assert_eq!(touched(&before, &after), ["acme_cloud_2025-05-01.csv"]);
    let id = asked["run"].as_str().expect("an id");
    let (_, shown) = stand.ask_json(&["runs", "show", id, "--json"]);
    assert_eq!((&shown["status"], &shown["by"]), (&"done".into(), &"kim".into()), "{shown}");
    assert_eq!((&shown["units"], &shown["dates"][0]["date"]), (&1.into(), &"2025-05-01".into()));
    let steps: Vec<_> = shown["steps"].as_array().into_iter().flatten().collect();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["gather", "allocate", "commit", "emit"], "{shown}");
    assert!(steps.iter().all(|step| step["units"] == 1), "{shown}");
    let workers: Vec<_> =
        steps.iter().map(|step| step["workers"][0].as_str().unwrap_or("")).collect();
    assert_eq!(workers, ["gatherer-1", "allocator-1", "emitter-1", "emitter-1"], "{shown}");

    // While a coordinator leads, the command waits.
    let mut up = stand.start(&["up"]);
    up.until("a coordinator leads", |_| {
        // Before that, asking would start a database of its own.
        DataFolder::running(&stand.data()).ok()??;
        let leads = stand.database(|client| {
            let sql = "select count(*) from apportion.pipeline_runs
                       where kind = 'gather' and trigger = 'schedule' and status = 'done'";
            Ok(client.query_one(sql, &[])?.get::<_, i64>(0) > 0)
        });
        leads.is_ok_and(|leads| leads).then_some(())
    })
    .unwrap();
    let (code, said) =
        stand.ask(&[&WHAT[..], &["--from", "2025-05-02", "--to", "2025-05-02"]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 of 1 dates are done"), "{said}");
    let last = files(&stand.csv()).unwrap();
    assert_eq!(touched(&after, &last), ["acme_cloud_2025-05-02.csv"]);
    let (_, listed) = stand.ask(&["runs", "--tenant", "acme"]);
    assert!(listed.contains("acme/cloud 2025-05-02..2025-05-02"), "{listed}");
    assert_eq!(listed.matches("running").count(), 0, "{listed}");
    up.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    up.end(tests::stand::PATIENCE).unwrap();
}
