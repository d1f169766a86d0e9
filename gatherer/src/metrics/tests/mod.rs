//! Prometheus' API against a scripted server.

mod answers;
mod faults;
mod speed;

use proto::config::{HttpServer, MetricsConfig};
use proto::time::UtcSeconds;

use super::prometheus::Prometheus;
use super::*;
use crate::http::tests::hasty;
use crate::http::tests::server::{Act, Server};

/// 2026-10-01T00:00:00Z.
const DAY: i64 = 1_790_812_800;

fn day() -> Window {
    Window { start: UtcSeconds(DAY), end: UtcSeconds(DAY + 86_400) }
}

fn query(expression: &str, labels: &[&str]) -> MetricQuery {
    MetricQuery {
        name: "bytes_in".into(),
        expression: expression.into(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        sampling: Sampling::Backward,
        shape: Shape::Range { step: 3_600 },
    }
}

fn prometheus(server: &HttpServer, cache_samples: u64) -> Prometheus {
    let config = MetricsConfig { cache_samples, ..MetricsConfig::prometheus(server.clone()) };
    Prometheus::with_patience(&config, hasty()).unwrap()
}

/// A source whose server is asked three times at most.
fn source(url: &str) -> Prometheus {
    let server = HttpServer { timeout_seconds: 2, attempts: 3, ..HttpServer::new(url) };
    prometheus(&server, MetricsConfig::CACHE_SAMPLES)
}

fn success(kind: &str, result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{result}]}}}}"#)
}

/// The outcome of one query against a server that always answers this.
async fn outcome(body: impl Into<String>, query: MetricQuery) -> MetricsOutcome {
    let body: String = body.into();
    let server = Server::start(move |_, _| Act::ok(body.clone())).await;
    source(&server.url).fetch(&[query], day()).await.remove(0)
}
