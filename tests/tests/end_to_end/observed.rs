//! The dashboard and the alert rules that are shipped: what they ask for is there, and alerts fire when they should.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proto::line::Measure;
use serde_json::Value;
use tests::http::get;
use tests::prometheus::Prometheus;
use tests::roles;
use tests::stand::Stand;
use tests::world;

use crate::day;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/observe")
}

fn promtool(args: &[&str]) {
    let done = Command::new("promtool").args(args).current_dir(folder()).output();
    let done = done.expect("promtool is on the PATH: run deploy/setup --tests");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "promtool {args:?}: {said}");
}

/// What the panels ask for.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.filter_map(|target| target["expr"].as_str().map(str::to_owned)).collect()
}

/// Names of our metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("apportion_")).map(str::to_owned).collect()
}

#[test]
fn alerts_fire_on_what_they_are_for_and_on_nothing_else() {
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}

#[test]
fn panels_and_alerts_ask_for_metrics_that_are_shown_in_words_that_prometheus_knows() {
    let dashboard = fs::read_to_string(folder().join("dashboard.json")).unwrap();
    let expressions = expressions(&serde_json::from_str(&dashboard).unwrap());
    assert!(expressions.len() > 20, "{expressions:?}");
    let prometheus = Prometheus::start("apportion_leads 1 1780000000\n").unwrap();
    let address = prometheus.url().replace("http://", "");
    for expression in &expressions {
        let asked = expression.replace("$__rate_interval", "5m");
        let escaped: String = asked.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = get(&*address, &format!("/api/v1/query?query={escaped}"));
        assert!(answer.contains("\"status\":\"success\""), "{asked}: {answer}");
    }

    let stand = Stand::with_servers("observed", None).unwrap();
    let lines = world::bill(8, "USD", day("2026-05-01"), 2, 20);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/*.csv", Measure::Effective));
    stand.write("bills/all.csv", world::csv(&lines));
    let mut up = stand.start(&["up"]);
    let all = roles::all(&mut up).unwrap();
    let alerts = fs::read_to_string(folder().join("alerts.yml")).unwrap();
    let asked = names(&(expressions.join("\n") + &alerts));
    let mut missing = asked.clone();
    let shown = up.until("all that is asked for is shown", |_| {
        let pages: String = all.iter().map(|role| get(&*role.address, "/metrics")).collect();
        missing = asked.difference(&names(&pages)).cloned().collect();
        missing.is_empty().then_some(())
    });
    assert!(shown.is_ok(), "{missing:?} are not shown: {shown:?}");
}
