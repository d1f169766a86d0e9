//! What a second run does: nothing without a reason, and exactly what changed.

use proto::line::Measure;
use proto::money::ExactSum;
use serde_json::Value;
use tests::output::{HEADER, contents, files, touched};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_done, assert_holds, day, of};

const COST: Measure = Measure::Effective;

/// Two tenants; the first has two files under one glob, with two and one dates.
struct Scene {
    stand: Stand,
    early: Vec<Line>,
    late: Vec<Line>,
    other: Vec<Line>,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            stand: Stand::new("changes"),
            early: world::bill(11, "USD", day("2026-05-01"), 2, 10),
            late: world::bill(12, "USD", day("2026-05-03"), 1, 10),
            other: world::bill(13, "EUR", day("2026-05-02"), 1, 10),
        };
        scene.stand.write("tenants/acme.yaml", world::tenant("USD", "bills/acme-*.csv", COST));
        scene.stand.write("tenants/nord.yaml", world::tenant("EUR", "bills/nord/*.csv", COST));
        scene.write_early();
        scene.stand.write("bills/acme-late.csv", world::csv(&scene.late));
        scene.stand.write("bills/nord/all.csv", world::csv(&scene.other));
        scene
    }

    fn write_early(&self) {
        self.stand.write("bills/acme-early.csv", world::csv(&self.early));
    }

    fn all_of_acme(&self) -> Vec<Line> {
        [self.early.clone(), self.late.clone()].concat()
    }
}

/// What `status` says of dates that were calculated again, the newest first.
fn changes(stand: &Stand) -> Vec<Value> {
    let (_, status) = stand.ask_json(&["status", "--json"]);
    status["changes"].as_array().expect("a list of changes").clone()
}

/// What the lines of a date add up to.
fn total(lines: &[Line], date: &str) -> ExactSum {
    let of_date = lines.iter().filter(|line| line.date == day(date));
    world::sums(of_date, COST)["USD"].amount
}

#[test]
fn runs_do_what_changed_and_nothing_else() {
    let mut scene = Scene::new();
    let run = scene.stand.run_once(&[]);
    assert_done(&run, 4);
    assert_holds(&scene.stand, &run, "acme", &scene.all_of_acme(), COST);
    assert_holds(&scene.stand, &run, "nord", &scene.other, COST);
    let first = files(&scene.stand.csv()).unwrap();
    assert_eq!(first.len(), 4);

    // Again: no work, and every file untouched.
    let again = scene.stand.run_once(&[]);
    assert_done(&again, 0);
    assert_eq!(again.summary["tenants"], run.summary["tenants"]);
    assert_eq!(touched(&first, &files(&scene.stand.csv()).unwrap()), Vec::<String>::new());

    assert!(changes(&scene.stand).is_empty(), "a first gather changes nothing");
    let before = scene.early.clone();

    // One line of one date: that date is calculated and emitted again, and no other.
    scene.early[3] = scene.early[3].clone().cost("1234.5678901234567890123456789");
    scene.write_early();
    let run = scene.stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&scene.stand, &run, "acme", &scene.all_of_acme(), COST);
    let changed = files(&scene.stand.csv()).unwrap();
    assert_eq!(touched(&first, &changed), ["acme_cloud_2026-05-01.csv"]);

    let change = &changes(&scene.stand)[0];
    let known = ["acme/cloud/2026-05-01", "lines", "USD"];
    assert_eq!([&change["unit"], &change["cause"], &change["currency"]], known, "{change}");
    let [old, new] = [&before, &scene.early].map(|lines| total(lines, "2026-05-01"));
    assert_eq!(change["old_total"], old.to_string(), "{change}");
    assert_eq!(change["new_total"], new.to_string(), "{change}");
    assert_eq!(change["difference"], new.difference(&old).to_string(), "{change}");

    // One of two files goes: its date is withdrawn, everywhere; the others stay as they are.
    scene.stand.remove("bills/acme-late.csv");
    let run = scene.stand.run_once(&[]);
    assert_done(&run, 1);
    assert_eq!(of(&run, "acme")["lines"], scene.early.len());
    let withdrawn = files(&scene.stand.csv()).unwrap();
    assert_eq!(touched(&changed, &withdrawn), ["acme_cloud_2026-05-03.csv"]);
    let change = &changes(&scene.stand)[0];
    let old = total(&scene.late, "2026-05-03").to_string();
    let known = ["acme/cloud/2026-05-03", "withdrawn", "USD", &old, "0"];
    let fields = ["unit", "cause", "currency", "old_total", "new_total"];
    assert_eq!(fields.map(|field| &change[field]), known, "{change}");
    let texts = contents(&scene.stand.csv()).unwrap();
    assert_eq!(texts["acme_cloud_2026-05-03.csv"], format!("{HEADER}\n"));
    assert_holds(&scene.stand, &run, "nord", &scene.other, COST);

    // The last file goes, as an unmounted folder looks: nothing is withdrawn, and the run says why it failed.
    scene.stand.remove("bills/acme-early.csv");
    let run = scene.stand.run_once(&[]);
    assert_eq!(run.code, 1, "{}", run.said);
    assert_eq!(run.summary["failed"], 1, "{}", run.summary);
    assert!(run.said.contains("acme") && run.said.contains("bills/acme-*.csv"), "{}", run.said);
    assert!(run.said.contains("match"), "{}", run.said);
    assert_eq!(of(&run, "acme")["lines"], scene.early.len());
    assert_eq!(touched(&withdrawn, &files(&scene.stand.csv()).unwrap()), Vec::<String>::new());

    // Both come back: the withdrawn date has its rows again, byte for byte as before.
    scene.write_early();
    scene.stand.write("bills/acme-late.csv", world::csv(&scene.late));
    let run = scene.stand.run_once(&[]);
    assert_done(&run, 1);
    assert_holds(&scene.stand, &run, "acme", &scene.all_of_acme(), COST);
    let before = &changed["acme_cloud_2026-05-03.csv"].bytes;
    assert_eq!(files(&scene.stand.csv()).unwrap()["acme_cloud_2026-05-03.csv"].bytes, *before);
}

#[test]
fn changed_rules_are_applied_from_the_archive_when_stream_and_source_are_gone() {
    let mut stand = Stand::new("archive");
    let lines = world::bill(14, "USD", day("2026-05-01"), 3, 20);
    let tenant = world::tenant("USD", "bills/*.csv", COST);
    stand.write("tenants/acme.yaml", &tenant);
    stand.write("bills/acme.csv", world::csv(&lines));
    let run = stand.run_once(&[]);
    assert_done(&run, 3);
    let first = files(&stand.csv()).unwrap();

    stand.wipe_nats().unwrap();
    stand.remove("bills/acme.csv");
    stand.write("tenants/acme.yaml", tenant.replace("checkout: 60, search: 39.5", "search: 99.5"));
    let run = stand.run_once(&[]);
    // The source is away, and the run says so; the dates that are visible follow the rules all the same.
    assert_eq!((run.code, &run.summary["failed"]), (1, &1.into()), "{}", run.said);
    assert_eq!(run.summary["units"], 3, "{}\n{}", run.summary, run.said);
    assert_holds(&stand, &run, "acme", &lines, COST);
    assert_eq!(touched(&first, &files(&stand.csv()).unwrap()).len(), 3);
    let changed = changes(&stand);
    let of_rules = |change: &Value| {
        (&change["cause"], &change["difference"]) == (&"rules".into(), &"0".into())
    };
    assert!(changed.len() == 3 && changed.iter().all(of_rules), "{changed:?}");
    let networking = |row: &&tests::output::Row| row["rule"] == "network";
    let rows = tests::output::rows(&stand.csv()).unwrap();
    assert!(rows.iter().filter(networking).count() > 0);
    assert!(rows.iter().filter(networking).all(|row| row["owner_id"] != "checkout"));
}

#[test]
fn defect_17_5_a_revised_date_is_emitted_again() {
    let stand = Stand::new("revised");
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", COST));
    let bill = |cost: &str| {
        let lines = vec![Line::new(day("2026-05-01"), "USD", cost).team("checkout")];
        stand.write("bill.csv", world::csv(&lines));
        lines
    };
    for cost in ["10", "25"] {
        let lines = bill(cost);
        let run = stand.run_once(&[]);
        assert_done(&run, 1);
        assert_holds(&stand, &run, "acme", &lines, COST);
    }
}
