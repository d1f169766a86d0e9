//! A source that cannot be gathered, and a tenant that has nothing else, stop nobody, and recover by themselves.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use proto::line::Measure;
use tests::stand::{Stand, Started};
use tests::world;

use crate::day;

const COST: Measure = Measure::Effective;

fn visible(stand: &Stand, source: &str) -> Option<i64> {
    let (tenant, source) = source.split_once('/')?;
    let sql = "select count(*) from apportion.pipeline_state
        where tenant = $1 and source = $2 and visible_generation > 0";
    let count = stand.database(|client| Ok(client.query_one(sql, &[&tenant, &source])?.get(0)));
    // While it starts there are no tables yet.
    count.ok().filter(|count| *count > 0)
}

fn failing(stand: &Stand, tenant: &str) -> Option<i32> {
    let sql = "select attempts from apportion.source_state where tenant = $1 and source = 'broken'";
    let attempts = stand.database(|client| Ok(client.query_one(sql, &[&tenant])?.get(0)));
    attempts.ok().filter(|attempts| *attempts > 1)
}

fn until(up: &mut Started, what: &str, found: impl Fn() -> Option<i64>) -> i64 {
    up.until(what, |_| found()).expect("it comes to that")
}

#[test]
fn a_failing_source_or_tenant_stops_no_other_and_recovers_without_a_person() -> Result<()> {
    let stand = Stand::with_servers("isolation", None)?.impatient();
    let good = world::tenant("USD", "good.csv", COST);
    let both = good.replace(
        "sources:\n",
        "sources:\n  broken: { kind: focus, files: [\"late/*.csv\"], cost: EffectiveCost }\n",
    );
    assert_ne!(good, both);
    stand.write("tenants/acme.yaml", &both);
    let alone = good.replace("  cloud:", "  broken:").replace("good.csv", "alone/*.csv");
    stand.write("tenants/alone.yaml", &alone);
    stand.write("tenants/nord.yaml", &good);
    stand.write("good.csv", world::csv(&world::bill(5, "USD", day("2026-05-01"), 2, 4)));

    let mut up = stand.start(&["up"]);
    for tenant in ["acme/cloud", "nord/cloud"] {
        assert_eq!(until(&mut up, tenant, || visible(&stand, tenant)), 2);
    }
    for tenant in ["acme", "alone"] {
        until(&mut up, "it fails again and again", || failing(&stand, tenant).map(i64::from));
        assert_eq!(visible(&stand, &format!("{tenant}/broken")), None);
    }
    // One cause goes away, then the other.
    for (file, source) in [("late/may.csv", "acme/broken"), ("alone/may.csv", "alone/broken")] {
        stand.write(file, world::csv(&world::bill(6, "USD", day("2026-05-01"), 3, 4)));
        assert_eq!(
            until(&mut up, source, || visible(&stand, source).filter(|dates| *dates == 3)),
            3
        );
    }
    up.signal(Signal::SIGTERM)?;
    assert!(up.end(Duration::from_secs(30))?.success());
    Ok(())
}
