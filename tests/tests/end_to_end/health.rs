//! What roles show of themselves: ready and alive, and the metrics of what they did.

use proto::line::Measure;
use tests::http::get;
use tests::stand::{Stand, Started};
use tests::world;

use crate::day;

#[test]
fn without_postgres_who_needs_it_is_alive_and_not_ready() {
    let mut stand = Stand::with_servers("health", None).unwrap();
    let lines = world::bill(7, "USD", day("2026-05-01"), 2, 20);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/*.csv", Measure::Effective));
    stand.write("bills/all.csv", world::csv(&lines));
    let mut up = stand.start(&["up"]);
    let listed = |up: &Started| Some(up.said()).filter(|s| s.contains("emitter-1: http://"));
    let said = up.until("addresses are listed", listed).unwrap();
    let address = |name: &str| {
        let listed = said.lines().find_map(|line| line.strip_prefix(&format!("{name}: http://")));
        listed.unwrap().strip_suffix("/metrics").unwrap().to_owned()
    };
    let names = ["coordinator", "gatherer-1", "allocator-1", "emitter-1"];
    let all = names.map(address);
    let mut until = |what: &str, holds: &dyn Fn() -> bool| {
        up.until(what, |_| holds().then_some(())).unwrap();
    };
    until("all are ready", &|| {
        all.iter().all(|at| get(at, "/health/ready").starts_with("HTTP/1.1 200"))
    });
    until("two units are visible", &|| {
        get(&all[0], "/metrics").contains("apportion_units_visible_total 2\n")
    });
    until("the sample says that nothing lags", &|| {
        get(&all[0], "/metrics").contains("apportion_lag_seconds{tenant=\"acme\"} 0")
    });
    let page = get(&all[2], "/metrics");
    let read = format!("kind=\"lines\"}} {}\n", lines.len());
    assert!(page.contains(&read), "{page}");
    assert!(page.contains("apportion_tasks_total{step=\"allocate\",outcome=\"failed\"} 0"));
    let leader = get(&all[0], "/metrics");
    assert!(leader.contains("apportion_unreconciled_amount{currency=\"USD\"} 0"), "{leader}");

    stand.postgres().unwrap().stop().unwrap();
    for at in [&all[0], &all[3]] {
        until("it is not ready", &|| {
            let ready = get(at, "/health/ready");
            ready.starts_with("HTTP/1.1 503") && ready.contains("postgres: does not answer")
        });
        assert!(get(at, "/health/live").starts_with("HTTP/1.1 200"));
    }
    stand.postgres().unwrap().restart().unwrap();
    until("all are ready again", &|| {
        all.iter().all(|at| get(at, "/health/ready").starts_with("HTTP/1.1 200"))
    });
}
