//! Ledger drivers beside each other: stages that count stages, windows that trail, currencies that do not mix; and what
//! becomes of weights that nobody uses any more, or whose makers are killed.

use std::collections::BTreeMap;

use tests::output::rows;
use tests::processes::{below, kill9};
use tests::stand::{PATIENCE, Stand};

use crate::drivers::{HEADER, Month, assert_conserved, finality, owners, shares};
use crate::{assert_done, day};

/// Support counts what the tax gave, so it comes after it.
const TENANT: &str = "drivers:
  spend: { ledger: { window: charge_period } }
  taxed: { ledger: { of: { ChargeCategory: [Usage, Tax] }, window: billing_period } }
sources:
  cloud: { kind: focus, files: [cloud.csv], owner: [tag.team] }
  other: { kind: focus, files: [other.csv], owner: [tag.team] }
allocation:
  - id: support
    match: { ServiceName: Support*, ChargeCategory: Purchase }
    chain: [ { in_proportion_to_cost: { driver: taxed } }, { unallocated: no_driver } ]
  - id: tax
    match: { ChargeCategory: Tax }
    chain: [ { in_proportion_to_cost: { driver: spend, within: [BillingAccountId] } }, { unallocated: no_driver } ]
  - id: trail
    match: { ServiceName: Trail*, ChargeCategory: Purchase }
    chain: [ { in_proportion_to_cost: { sources: all, window: trailing 2d } }, { unallocated: no_driver } ]
emitters:
  csv: { dir: out/csv }
";

const SUPPORT: (&str, &str, &str, &str) = ("Purchase", "Support (Business)", "A", "");

fn may() -> String {
    let may = Month(day("2026-05-01"));
    let lines = [may.tax("20", "B"), may.spend(0, "30", "A", "a"), may.line((2, 3), "48", SUPPORT)];
    lines.concat()
}

fn of_b(cost: &str) -> String {
    Month(day("2026-05-01")).spend(1, cost, "B", "b")
}

#[test]
fn a_stage_counts_what_the_stages_below_it_gave() {
    let stand = Stand::new("stages");
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("cloud.csv", format!("{HEADER}{}", may()));
    stand.write("other.csv", format!("{HEADER}{}", of_b("10")));
    // The date of the tax, then that of support; a's spend lies on the date of the tax.
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_conserved(&stand, &run);
    assert_eq!(owners(&stand, "tax", "2026-05"), shares([("b", "20")]));
    // With the tax b has 30, too; without it a third of a's.
    assert_eq!(owners(&stand, "support", "2026-05"), shares([("a", "24"), ("b", "24")]));
    assert_eq!(finality(&stand).keys().collect::<Vec<_>>(), ["final"]);
    assert_done(&stand.run_once(&[]), 0);

    // What the tax counts changes nothing about who pays it, but about support.
    stand.write("other.csv", format!("{HEADER}{}", of_b("70")));
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_conserved(&stand, &run);
    assert_eq!(owners(&stand, "tax", "2026-05"), shares([("b", "20")]));
    assert_eq!(owners(&stand, "support", "2026-05"), shares([("a", "12"), ("b", "36")]));
}

#[test]
fn a_trailing_window_ends_with_the_date_and_currencies_do_not_mix() {
    let stand = Stand::new("trailing");
    stand.write("tenants/acme.yaml", TENANT);
    let (june, july) = (Month(day("2026-06-01")), Month(day("2026-07-01")));
    let euros = |line: String| line.replace("USD", "EUR");
    let cloud = [
        june.line((4, 5), "8", ("Purchase", "Trail of two days", "A", "")),
        june.spend(2, "100", "A", "c"),
        june.spend(5, "100", "A", "c"),
        june.spend(4, "3", "A", "b"),
        july.tax("7", "A"),
        july.tax("3", "B"),
        july.spend(1, "5", "A", "a"),
    ];
    // Of account A there is cost in two currencies, of B in euros alone.
    let other = [
        june.spend(3, "1", "A", "a"),
        euros(july.spend(1, "5", "A", "b")),
        euros(july.spend(2, "5", "B", "b")),
    ];
    stand.write("cloud.csv", format!("{HEADER}{}", cloud.concat()));
    stand.write("other.csv", format!("{HEADER}{}", other.concat()));
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_eq!(owners(&stand, "trail", "2026-06"), shares([("a", "2"), ("b", "6")]));
    assert_eq!(owners(&stand, "tax", "2026-07"), shares([("UNALLOCATED", "7"), ("b", "3")]));
    let rows = rows(&stand.csv()).unwrap();
    let lost = rows.iter().find(|row| row["rule"] == "tax" && row["owner_id"] == "UNALLOCATED");
    let detail = &lost.expect("nobody's part of the tax")["allocation_detail"];
    assert!(detail.contains("cost in several currencies"), "{detail}");
    assert!(finality(&stand).keys().eq(["final"]));
}

#[test]
fn weights_that_nobody_uses_are_removed() {
    let stand = Stand::new("unused-weights");
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("cloud.csv", format!("{HEADER}{}", may()));
    stand.write("other.csv", format!("{HEADER}{}", of_b("10")));
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    let kept = |of: &str| {
        let sql = format!("select count(*) from apportion.{of}");
        stand.database(|client| Ok(client.query_one(&sql, &[])?.get::<_, i64>(0))).unwrap()
    };
    assert_eq!(kept("drivers"), 2);
    assert!(kept("driver_weights") >= 4);
    // Rules that share no more: their dates are calculated again, and the next leader finds weights of no use.
    let shared = TENANT.split_once("allocation:").unwrap();
    let none = format!("{}emitters:\n  csv: {{ dir: out/csv }}\n", shared.0);
    stand.write("tenants/acme.yaml", none);
    assert_eq!(stand.run_once(&[]).code, 0);
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!([kept("drivers"), kept("driver_weights"), kept("unit_drivers")], [0, 0, 0]);
}

#[test]
fn whoever_is_killed_meanwhile_the_month_is_shared_all_the_same() {
    let stand = Stand::with_servers("drivers-killed", None).unwrap();
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("cloud.csv", format!("{HEADER}{}", may()));
    // How far a run is when somebody dies: dates are calculated, weights are added up, dates are to follow them.
    let adding = "select count(*) > 0 from apportion.drivers where task is not null";
    let moments = [
        ("allocator", "select count(*) > 0 from apportion.pipeline_state where state = 'allocating'"),
        ("coordinator", adding),
        ("emitter", adding),
        (
            "allocator",
            "select count(*) > 0 from apportion.unit_drivers u join apportion.drivers d
             using (tenant, driver, from_date, until_date) where d.hash is not null and u.hash is distinct from d.hash",
        ),
    ];
    let mut killed = 0;
    for (cost, (victim, moment)) in ["10", "70", "130", "20"].into_iter().zip(moments) {
        stand.write("other.csv", format!("{HEADER}{}", of_b(cost)));
        let mut run = stand.start(&["run", "--once"]);
        let hit = run.until(moment, |run| {
            let reached =
                stand.database(|client| Ok(client.query_one(moment, &[])?.get::<_, bool>(0)));
            let victim = below(run.pid()).into_iter().find(|child| child.role() == Some(victim));
            victim.filter(|_| reached.unwrap_or_default())
        });
        // It may be over before anybody looked.
        killed += usize::from(hit.is_ok_and(|victim| kill9(victim.pid)));
        run.end(PATIENCE).unwrap();
    }
    assert!(killed > 0, "every run was over before anybody looked");
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_conserved(&stand, &run);
    let wanted: BTreeMap<_, _> = shares([("a", "20.5714285714"), ("b", "27.4285714286")]);
    assert_eq!(owners(&stand, "support", "2026-05"), wanted);
    assert_eq!(finality(&stand).keys().collect::<Vec<_>>(), ["final"]);
}
