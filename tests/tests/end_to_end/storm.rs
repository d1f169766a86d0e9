//! Any process but the supervising parent is killed at random moments: every run still ends by itself, exactly.

use std::time::Duration;

use proto::line::Measure;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tests::output::contents;
use tests::processes::{below, kill9};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_holds, day};

const KILLS: usize = 30;
/// More than this in one run only makes it longer.
const KILLS_OF_A_RUN: usize = 4;
const PATIENCE: Duration = Duration::from_secs(180);
const TENANTS: [&str; 3] = ["acme", "nord", "zeta"];
const SYNTHETIC: &str = "currency: USD
sources:
  s: { kind: synthetic, seed: 5, start: 2026-05-01, dates: 6, resources: 10, products: 4, fanout: 5, identities: 20 }
emitters:
  csv: { dir: out/csv }
";

fn bill(tenant: usize) -> Vec<Line> {
    world::bill(40 + tenant as u64, "USD", day("2026-05-20"), 20, 25)
}

fn set_up(name: &str) -> Stand {
    let stand = Stand::new(name);
    for (number, tenant) in TENANTS.iter().enumerate() {
        let files = format!("bills/{tenant}.csv");
        stand.write(
            &format!("tenants/{tenant}.yaml"),
            world::tenant("USD", &files, Measure::Billed),
        );
        stand.write(&files, world::csv(&bill(number)));
    }
    stand.write("tenants/syn.yaml", SYNTHETIC);
    stand
}

#[test]
fn thirty_kills_cost_time_and_never_a_cent() {
    let quiet = set_up("quiet");
    let run = quiet.run_once(&[]);
    assert_eq!(run.code, 0, "{}", run.said);
    let expected = contents(&quiet.csv()).unwrap();
    assert_eq!(expected.len(), TENANTS.len() * 20 + 6);

    // Not a seed for repeating: moments are the machine's. It only spreads them.
    let mut random = SmallRng::seed_from_u64(11);
    let mut killed: Vec<String> = Vec::new();
    while killed.len() < KILLS {
        let stand = set_up("storm");
        let mut run = stand.start(&["run", "--once", "--json"]);
        // From the first role on, everything is supervised; what makes a new database's folder comes before.
        run.until("the first role runs", |up| {
            below(up.pid())
                .iter()
                .any(|process| process.role() == Some("coordinator"))
                .then_some(())
        })
        .unwrap();
        let before = killed.len();
        while killed.len() < KILLS && killed.len() - before < KILLS_OF_A_RUN {
            // The random moment.
            if run.end(Duration::from_millis(random.random_range(50..1500))).is_ok() {
                break;
            }
            let processes = below(run.pid());
            let Some(victim) = processes.get(random.random_range(0..processes.len().max(1))) else {
                continue;
            };
            if kill9(victim.pid) {
                killed.push(victim.command.clone());
            }
        }
        let told = format!("killed {:?}\nit said:\n{}", &killed[before..], run.said());
        let status = run.end(PATIENCE).unwrap_or_else(|error| panic!("{error:#}\n{told}"));
        assert_eq!(status.code(), Some(0), "{told}");
        let summary = serde_json::from_str(&run.output()).expect("a summary");
        let finished =
            tests::stand::Finished { code: 0, summary, said: told, took: Duration::ZERO };
        for (number, tenant) in TENANTS.iter().enumerate() {
            assert_holds(&stand, &finished, tenant, &bill(number), Measure::Billed);
        }
        assert!(contents(&stand.csv()).unwrap() == expected, "{}", finished.said);
        let doubled = stand.database(|client| {
            let sql = "select count(*) from (select 1 from apportion.chargeback_facts
                         group by generation, line, dimension, share_num having count(*) > 1) doubled";
            Ok(client.query_one(sql, &[])?.get::<_, i64>(0))
        });
        assert_eq!(doubled.unwrap(), 0, "{}", finished.said);
    }
    println!("killed: {killed:#?}");
}
