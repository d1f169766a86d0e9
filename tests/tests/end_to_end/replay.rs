//! `apportion replay`: dates that are calculated again from what was gathered, with a difference; a dry run says the same
//! before.

use proto::line::Measure;
use serde_json::Value;
use tests::output::{files, touched};
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, assert_holds, day};

const COST: Measure = Measure::Effective;
const WHAT: [&str; 7] =
    ["replay", "--tenant", "acme", "--from", "2026-05-01", "--to", "2026-05-03"];
const RULE: &str = "chain: [{ fixed: { checkout: 60, search: 39.5, data-platform: 0.5 } }]";
const OTHER: &str = "chain: [{ fixed: { checkout: 50, search: 49.5, data-platform: 0.5 } }]";

const THIRD: &str = "chain: [{ fixed: { checkout: 40, search: 59.5, data-platform: 0.5 } }]";

fn scene(name: &str) -> (Stand, Vec<world::Line>, String) {
    let stand = Stand::new(name);
    let lines = world::bill(41, "USD", day("2026-05-01"), 3, 20);
    let tenant = world::tenant("USD", "bill.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bill.csv", world::csv(&lines));
    assert_done(&stand.run_once(&[]), 3);
    (stand, lines, tenant)
}

/// Asks for it, and has the next run do it: that makes `units` dates visible. Gives the difference.
fn replayed(stand: &Stand, what: &[&str], units: usize) -> Value {
    let (code, asked) = stand.ask_json(&[what, &["--detach", "--json"]].concat());
    assert_eq!((code, asked["status"].as_str()), (0, Some("requested")), "{asked}");
    assert_done(&stand.run_once(&[]), units);
    let run = asked["run"].as_str().expect("an id");
    let (_, told) = stand.ask_json(&["runs", "difference", run, "--json"]);
    told["tenants"][0].clone()
}

fn dry(stand: &Stand) -> Value {
    let (code, told) = stand.ask_json(&[&WHAT[..], &["--dry-run", "--json"]].concat());
    assert_eq!(code, 0, "{told}");
    told["tenants"][0].clone()
}

fn stored(stand: &Stand) -> String {
    let of = |client: &mut postgres::Client| {
        let sql = "select string_agg(source || date || visible_generation || wanted_generation || state, ' ' order by date)
                     || (select count(*) from apportion.chargeback_facts) from apportion.pipeline_state";
        Ok(client.query_one(sql, &[])?.get::<_, String>(0))
    };
    stand.database(of).expect("the database")
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_a_replay_publishes() {
    let (stand, lines, tenant) = scene("replay");
    let (before, facts) = (files(&stand.csv()).unwrap(), stored(&stand));
    let same = dry(&stand);
    assert_eq!(stored(&stand), facts);
    assert_eq!(same["totals"]["USD"]["delta"], "0", "{same}");
    assert_eq!(same["differences"], Value::Array(vec![]), "the same rules over the same lines");

    // The same rules: other generations, the same rows, and the same files.
    let done = replayed(&stand, &WHAT, 3);
    assert_eq!((&done["digest"], &done["done"]), (&same["digest"], &true.into()), "{done}");
    assert_eq!(done["differences"], Value::Array(vec![]), "{done}");
    assert_eq!(done["totals"]["USD"]["before"], done["totals"]["USD"]["after"]);
    assert_ne!(stored(&stand), facts);
    assert_eq!(touched(&before, &files(&stand.csv()).unwrap()), Vec::<String>::new());

    // What if: one rule is another. What comes into force is what the dry run said.
    stand.write("tenants/acme.yaml", tenant.replace(RULE, OTHER));
    let planned = dry(&stand);
    assert_eq!(planned["totals"]["USD"]["delta"], "0");
    assert_ne!(planned["differences"], Value::Array(vec![]));
    let run = stand.run_once(&[]);
    assert_done(&run, 3);
    assert_holds(&stand, &run, "acme", &lines, COST);
    let digest = planned["digest"].as_str().expect("a digest");
    let (code, said) = stand.ask(&["plan", "--published", digest]);
    assert_eq!((code, said.as_str()), (0, "acme: 3 of 3 dates are visible as planned\n"));
    let again = replayed(&stand, &WHAT, 3);
    assert_eq!(again["digest"], planned["digest"]);
}

#[test]
fn former_rules_are_pinned_and_let_go() {
    let (stand, lines, tenant) = scene("replay-as-of");
    let first = dry(&stand);
    stand.write("tenants/acme.yaml", tenant.replace(RULE, OTHER));
    assert_done(&stand.run_once(&[]), 3);
    let second = dry(&stand);
    assert_ne!(first["digest"], second["digest"]);

    let as_of = [&WHAT[..], &["--rules", "as-of", "--at", "2026-01-01"]].concat();
    let pinned = replayed(&stand, &as_of, 3);
    assert_eq!(pinned["digest"], first["digest"], "{pinned}");
    assert_eq!(pinned["totals"]["USD"]["delta"], "0");
    let run = stand.run_once(&[]);
    assert_done(&run, 0);
    assert_holds(&stand, &run, "acme", &lines, COST);

    // Other rules leave the pinned dates alone.
    stand.write("tenants/acme.yaml", tenant.replace(RULE, THIRD));
    let (_, left) = stand.ask(&["plan"]);
    assert!(
        left.contains("none of 3 visible dates") && left.contains("3 dates are pinned"),
        "{left}"
    );
    assert_done(&stand.run_once(&[]), 0);
    let free = replayed(&stand, &["unpin", "--tenant", "acme", "--source", "cloud"], 3);
    assert_ne!(free["digest"], first["digest"]);
    let (code, said) = stand.ask(&["unpin", "--tenant", "acme", "--json"]);
    assert!(code == 1 && said.contains("no such date is pinned"), "{code} {said}");
}

#[test]
fn the_archive_serves_when_the_stream_is_gone_and_the_source_is_not_asked() {
    let (mut stand, _, _) = scene("replay-archive");
    let same = dry(&stand);
    stand.wipe_nats().unwrap();
    stand.remove("bill.csv");
    let (code, asked) = stand.ask_json(&[&WHAT[..], &["--detach", "--json"]].concat());
    assert_eq!(code, 0, "{asked}");
    // The source itself fails, the replay does not.
    let run = stand.run_once(&[]);
    assert_eq!(run.summary["units"], 3, "{}\n{}", run.summary, run.said);
    let id = asked["run"].as_str().expect("an id");
    let (_, told) = stand.ask_json(&["runs", "difference", id, "--json"]);
    let done = &told["tenants"][0];
    assert_eq!(done["digest"], same["digest"], "{done}");
    let served = "the stream holds these no more, the archive of lines served";
    let notes = done["notes"].as_array().into_iter().flatten();
    assert_eq!(
        notes.filter(|note| note.as_str().is_some_and(|n| n.starts_with(served))).count(),
        1
    );
    let (_, shown) = stand.ask_json(&["runs", "show", id, "--json"]);
    assert_eq!((&shown["status"], &shown["kind"]), (&"done".into(), &"replay".into()), "{shown}");
    let steps: Vec<_> = shown["steps"].as_array().into_iter().flatten().collect();
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["restore", "allocate", "commit", "emit"], "{shown}");
}
