//! Metrics from Prometheus itself.

use std::fmt::Write as _;
use std::time::Duration;

use gatherer::http::patience::Patience;
use gatherer::metrics::prometheus::Prometheus as Source;
use gatherer::metrics::{MetricQuery, MetricsOutcome, MetricsSource, Sampling, Shape, Window};
use proto::config::{HttpServer, MetricsConfig};
use proto::time::UtcSeconds;
use tests::prometheus::Prometheus;

/// 2026-10-01T00:00:00Z.
const DAY: i64 = 1_790_812_800;

fn query(expression: &str, labels: &[&str]) -> MetricQuery {
    MetricQuery {
        name: "bytes_in".into(),
        expression: expression.into(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        sampling: Sampling::Backward,
        shape: Shape::Range { step: 3_600 },
    }
}

/// A source whose server is asked twice at most.
fn source(real: &Prometheus) -> Source {
    let server = HttpServer { attempts: 2, ..HttpServer::new(real.url()) };
    let brief = Duration::from_millis(5);
    let patience = Patience { first: brief, longest: brief, wait_max: brief };
    Source::with_patience(&MetricsConfig::prometheus(server), patience).unwrap()
}

/// Two days, and an hour before, every 15 minutes: counters that grow by `rate` a quarter of an hour, a size that
/// doubles at midnight, and one that is gone at noon of the first day.
fn samples() -> String {
    let moments = || (DAY - 3_600..=DAY + 2 * 86_400).step_by(900);
    let mut text = "# TYPE bytes counter\n".to_owned();
    for (cluster, principal, rate) in
        [("c1", "alice", 7), ("c1", "bob", 11), ("c2", "alice", 13), ("c2", "carol", 1_000_000_007)]
    {
        for (n, at) in moments().enumerate() {
            let value = rate * n as u64;
            writeln!(
                text,
                "bytes_total{{cluster=\"{cluster}\",principal=\"{principal}\"}} {value} {at}"
            )
            .unwrap();
        }
    }
    text.push_str("# TYPE size gauge\n");
    for at in moments() {
        let value = if at < DAY + 86_400 { "100.1" } else { "200.2" };
        writeln!(text, "size{{cluster=\"c1\"}} {value} {at}").unwrap();
    }
    for at in moments().filter(|at| *at <= DAY + 43_200) {
        writeln!(text, "size{{cluster=\"gone\"}} 1 {at}").unwrap();
    }
    text
}

fn window(first: i64, days: i64) -> Window {
    let start = DAY + first * 86_400;
    Window { start: UtcSeconds(start), end: UtcSeconds(start + days * 86_400) }
}

const USAGE: &str = "sum by (cluster, principal) (increase(bytes_total[1h]))";

#[tokio::test]
async fn usage_comes_back_exactly_and_days_add_up() {
    let real = Prometheus::start(&samples()).unwrap();
    let source = source(&real);
    let usage = query(USAGE, &["cluster", "principal"]);
    let size = MetricQuery { sampling: Sampling::Forward, ..query("size", &["cluster"]) };
    let queries = [usage, size];
    let expected = [
        ("c1", "alice", 7),
        ("c1", "bob", 11),
        ("c2", "alice", 13),
        ("c2", "carol", 1_000_000_007),
    ];
    for (window, quarters) in [(window(0, 1), 96_u64), (window(1, 1), 96), (window(0, 2), 192)] {
        let outcomes = source.fetch(&queries, window).await;
        let table = outcomes[0].table().unwrap();
        let sums = table.usage("cluster", "principal");
        for (cluster, principal, rate) in expected {
            let sum = sums[cluster][principal].to_string();
            assert_eq!(sum, (rate * quarters).to_string(), "{cluster} {principal} {window:?}");
        }
        assert_eq!(table.samples(), quarters);
    }
    let sizes = async |window| {
        let outcome = source.fetch(&queries, window).await.remove(1);
        let table = outcome.table().unwrap();
        table
            .sums(&["cluster"])
            .into_iter()
            .map(|(key, sum)| format!("{}={sum}", key[0].unwrap()))
            .collect::<Vec<_>>()
    };
    // What is gone at noon has values at 00:00 … 12:00, and none the day after.
    assert_eq!(sizes(window(0, 1)).await, ["c1=2402.4", "gone=13"]);
    assert_eq!(sizes(window(1, 1)).await, ["c1=4804.8"]);
    assert_eq!(sizes(window(0, 2)).await, ["c1=7207.2", "gone=13"]);
}

#[tokio::test]
async fn what_prometheus_itself_says_of_queries_is_understood() {
    let real = Prometheus::start(&samples()).unwrap();
    let source = source(&real);
    let ask = async |expression: &str, labels: &[&str], shape| {
        let query = MetricQuery { shape, ..query(expression, labels) };
        source.fetch(&[query], window(0, 1)).await.remove(0)
    };
    let range = Shape::Range { step: 3_600 };
    let error =
        |outcome: MetricsOutcome| outcome.error().map(ToString::to_string).unwrap_or_default();

    let instant =
        ask("sum by (cluster) (increase(bytes_total[1d]))", &["cluster"], Shape::Instant).await;
    let sums = instant.table().unwrap().sums(&["cluster"]);
    assert_eq!(sums[&vec![Some("c1")]].to_string(), (18 * 96).to_string());

    let nothing = ask("nothing_of_that_name", &["cluster"], range).await;
    assert_eq!(nothing.detail(), Some("no_metrics_located"));
    let not_numbers = ask("size{cluster=\"c1\"} * 0 / 0", &["cluster"], range).await;
    assert_eq!(not_numbers.detail(), Some("no_metrics_located"));
    assert_eq!(not_numbers.table().unwrap().not_numbers, 24);

    let refused = error(ask("sum by (", &[], range).await);
    assert!(refused.contains("400") && refused.contains("parse error"), "{refused}");
    let infinite = error(ask("size / 0", &["cluster"], range).await);
    assert!(infinite.contains("+Inf") && infinite.contains("divides by zero"), "{infinite}");
    let tiny = error(ask("size * 1e-30", &["cluster"], range).await);
    assert!(tiny.contains("too small or too large"), "{tiny}");
    let scalar = error(ask("1", &[], Shape::Instant).await);
    assert!(scalar.contains("a scalar"), "{scalar}");
    let label = error(ask("size", &["principal"], range).await);
    assert!(label.contains("carries the label principal") && label.contains("cluster"), "{label}");
}

#[tokio::test]
async fn a_window_with_more_moments_than_prometheus_takes_is_asked_about_in_parts() {
    let real = Prometheus::start(&samples()).unwrap();
    let query = MetricQuery {
        sampling: Sampling::Forward,
        shape: Shape::Range { step: 5 },
        ..query("vector(1)", &[])
    };
    let outcome = source(&real).fetch(&[query], window(0, 1)).await.remove(0);
    let table = outcome.table().unwrap();
    assert_eq!((table.series.len(), table.samples()), (1, 17_280));
}

#[tokio::test]
async fn while_prometheus_is_away_it_is_told_and_later_made_good() {
    let mut real = Prometheus::start(&samples()).unwrap();
    let source = source(&real);
    let queries = [query(USAGE, &["cluster", "principal"])];
    real.stop().unwrap();
    let outcome = source.fetch(&queries, window(0, 1)).await.remove(0);
    assert_eq!(outcome.detail(), Some("metrics_fetch_failed"));
    real.restart().unwrap();
    let outcome = source.fetch(&queries, window(0, 1)).await.remove(0);
    assert_eq!(outcome.table().unwrap().samples(), 96);
}
