//! What is not asked again, and what is not read.

use proto::config::{HttpAuth, HttpServer, SecretPlace};

use super::super::client::HttpClient;
use super::super::error::HttpError;
use super::server::{Act, Server};
use super::{client, get, hasty};

#[tokio::test]
async fn other_refusals_are_final_and_say_what_the_server_said() {
    for status in [400, 401, 403, 404, 409, 410, 422] {
        let server = Server::start(move |_, _| {
            let body = "{\"error\":\r\n \"no\u{1} such  thing\"}".to_owned() + &"x".repeat(10_000);
            Act::Reply(status, vec![("Retry-After", "1".into())], body)
        })
        .await;
        let error = get(&server).await.unwrap_err();
        assert_eq!((error.status(), server.asked().len()), (Some(status), 1));
        let text = error.to_string();
        assert!(text.contains("GET http://127.0.0.1:") && text.contains("/v1/x"), "{text}");
        assert!(text.contains("no such thing") && text.len() < 600, "{text}");
        assert!(!text.contains("a+b"), "the query is told: {text}");
    }
}

#[tokio::test]
async fn patience_has_an_end() {
    let server = Server::start(|_, _| Act::status(503)).await;
    let error = get(&server).await.unwrap_err();
    assert_eq!((error.status(), server.asked().len()), (Some(503), 4));
    assert!(error.to_string().ends_with("(after 4 attempts)"), "{error}");
    // It asks for more than is waited for here.
    let long =
        Server::start(|_, _| Act::Reply(429, vec![("Retry-After", "3600".into())], String::new()))
            .await;
    let error = get(&long).await.unwrap_err();
    assert_eq!((error.status(), long.asked().len()), (Some(429), 1));
    assert!(error.to_string().contains("3600 s"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_run_is_told_with_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(&url);
    let error = client.ask(&client.get("x", &[])).await.unwrap_err().to_string();
    assert!(error.contains(&url) && error.contains("can be reached"), "{error}");
    assert!(error.contains("refused") && error.contains("after 4 attempts"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let server = Server::start(|_, _| Act::Hang).await;
    let settings = HttpServer { timeout_seconds: 1, attempts: 1, ..HttpServer::new(&server.url) };
    let client = HttpClient::with_patience(&settings, hasty()).unwrap();
    let error = client.ask(&client.get("x", &[])).await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { seconds: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let server = Server::start(|_, _| Act::Cut(1_000, "x".repeat(999))).await;
    let error = get(&server).await.unwrap_err();
    assert_eq!(server.asked().len(), 4);
    assert!(error.to_string().contains("no whole answer"), "{error}");
}

#[tokio::test]
async fn nothing_larger_than_the_limit_is_read() {
    let limits = |url: &str| HttpServer { response_bytes_max: 10_000, ..HttpServer::new(url) };
    let exact = Server::start(|_, _| Act::ok("x".repeat(10_000))).await;
    let client = HttpClient::with_patience(&limits(&exact.url), hasty()).unwrap();
    assert_eq!(client.ask(&client.get("x", &[])).await.unwrap().len(), 10_000);
    let declared = Server::start(|_, _| Act::ok("x".repeat(10_001))).await;
    let endless = Server::start(|_, _| Act::Endless).await;
    for server in [declared, endless] {
        let client = HttpClient::with_patience(&limits(&server.url), hasty()).unwrap();
        let error = client.ask(&client.get("x", &[])).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { max: 10_000, .. }), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn nobody_but_the_configured_server_is_asked() {
    let other = Server::start(|_, _| Act::ok("foreign")).await;
    let to = format!("{}/x?token=t0k", other.url);
    for status in [301, 302, 307, 308] {
        let to = to.clone();
        let server = Server::start(move |_, _| {
            Act::Reply(status, vec![("Location", to.clone())], String::new())
        })
        .await;
        let error = get(&server).await.unwrap_err();
        assert!(matches!(error, HttpError::Redirect { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&other.url) && !text.contains("t0k"), "{text}");
    }
    assert!(other.asked().is_empty());
}

#[test]
fn what_is_wrong_with_settings_is_said_before_anybody_is_asked() {
    for (url, part) in [
        ("prometheus:9090", "write http://HOST:PORT"),
        ("ftp://host", "write http://HOST:PORT"),
        ("http://me:pw@host", "holds credentials"),
        ("http://host/?a=b", "holds a query"),
        ("", "is no address"),
    ] {
        let error = HttpClient::new(&HttpServer::new(url)).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("pw"), "{url}: {error}");
    }
    let place = |text: &str| SecretPlace::parse(text).unwrap();
    for (token, part) in [
        (place("${APPORTION_TEST_NOT_SET}"), "APPORTION_TEST_NOT_SET is not set"),
        (place("file:/nowhere/at/all"), "cannot be read"),
        (place("file:/dev/null"), "it is empty"),
    ] {
        let auth = HttpAuth::Bearer { token };
        let server = HttpServer { auth, ..HttpServer::new("http://localhost:1") };
        let error = HttpClient::new(&server).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
