//! `/metrics`, `/health/live` and `/health/ready` over HTTP. No credentials, no amounts of single units, no secrets: an
//! address that only those can reach who may know tenants' names and totals.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Observe;
use super::health::Check;
use crate::settings::SettingsError;

/// Connections at a time: who asks is a Prometheus and a prober or two.
const CONNECTIONS_MAX: usize = 32;
/// How long a caller may take to ask.
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// Starts serving at `address` (`host:port`; port 0: any free one) until the process ends, and says where.
///
/// # Errors
/// When nothing can listen there.
pub async fn start(address: &str, observe: Observe) -> Result<SocketAddr, SettingsError> {
    let failed = |error: std::io::Error| SettingsError::Metrics {
        address: address.to_owned(),
        error: error.to_string(),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    tokio::spawn(accept(listener, observe));
    Ok(at)
}

async fn accept(listener: TcpListener, observe: Observe) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let observe = observe.clone();
                tokio::spawn(async move {
                    talk(stream, observe).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, for example: others need them more.
                tracing::debug!(%error, "failed to accept a connection for metrics");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, observe: Observe) {
    let service = service_fn(|request: Request<Incoming>| {
        let observe = observe.clone();
        async move { Ok::<_, Infallible>(answer(&request, &observe).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a caller of metrics or health went away");
    }
}

async fn answer<B>(request: &Request<B>, observe: &Observe) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => match observe.metrics.page() {
            Ok(page) => {
                let mut response = Response::new(Full::new(Bytes::from(page)));
                let kind = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                let text = "the metrics cannot be written\n".to_owned();
                plain(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        },
        "/health/live" => checked(&observe.health.live().await),
        "/health/ready" => checked(&observe.health.ready().await),
        _ => {
            let known = "known: /metrics, /health/live, /health/ready\n".to_owned();
            plain(StatusCode::NOT_FOUND, known)
        }
    }
}

/// 200 where nothing is wrong, else 503; a line per check.
fn checked(checks: &[Check]) -> Response<Full<Bytes>> {
    let line = |check: &Check| format!("{}: {}\n", check.of, check.problem.unwrap_or("ok"));
    let fine = checks.iter().all(|check| check.problem.is_none());
    let status = if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status, checks.iter().map(line).collect())
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(at: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_are_served_and_nothing_else() {
        let at = start("127.0.0.1:0", Observe::default()).await.unwrap();
        let page = ask(at, "GET /metrics").await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("version=0.0.4"), "{page}");
        assert!(ask(at, "GET /health/live").await.contains("actors: ok"));
        let ready = ask(at, "GET /health/ready").await;
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("nats: not connected"));
        assert!(ask(at, "POST /metrics").await.starts_with("HTTP/1.1 405"));
        assert!(ask(at, "GET /").await.starts_with("HTTP/1.1 404"));
        let taken = start(&at.to_string(), Observe::default()).await.unwrap_err().to_string();
        assert!(taken.contains("--metrics") && taken.contains(&at.to_string()), "{taken}");
    }
}
