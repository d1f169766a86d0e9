//! The client against a server that misbehaves in every way that servers do.

mod refused;
pub mod server;

use std::sync::Arc;
use std::time::Duration;

use proto::config::{HttpAuth, HttpServer, SecretPlace};
use serde_json::Value;
use server::{Act, Server};
use tokio::sync::Notify;

use super::client::HttpClient;
use super::error::HttpError;
use super::pages::{self, Place};
use super::patience::Patience;

/// Pauses that a test can wait for.
pub fn hasty() -> Patience {
    Patience {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(20),
        wait_max: Duration::from_secs(2),
    }
}

/// A client of a server, with a second for every attempt.
pub fn client(url: &str) -> HttpClient {
    let server = HttpServer { timeout_seconds: 1, attempts: 4, ..HttpServer::new(url) };
    HttpClient::with_patience(&server, hasty()).unwrap()
}

async fn get(server: &Server) -> Result<Vec<u8>, HttpError> {
    let client = client(&server.url);
    client.ask(&client.get("v1/x", &[("q", "a b&c")])).await
}

#[tokio::test]
async fn a_question_reaches_the_server_as_it_is_meant() {
    let server = Server::start(|_, _| Act::ok("good")).await;
    let client = client(&format!("{}/prefix/", server.url));
    let get = client.get("/api/v1/x", &[("q", "a b&c"), ("é", "1")]);
    assert_eq!(client.ask(&get).await.unwrap(), b"good");
    let form = client.form("api/v1/x", &[("query", "sum by (p) (x{a=\"b\"}) + 1")]);
    client.ask(&form).await.unwrap();
    client.ask(&client.json("y", &serde_json::json!({"a": [1]}))).await.unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path()), ("GET", "/prefix/api/v1/x"));
    assert_eq!(asked[0].value("q").unwrap(), "a b&c");
    assert_eq!(asked[0].value("é").unwrap(), "1");
    assert_eq!((asked[1].method.as_str(), asked[1].target.as_str()), ("POST", "/prefix/api/v1/x"));
    assert_eq!(asked[1].value("query").unwrap(), "sum by (p) (x{a=\"b\"}) + 1");
    assert_eq!(asked[1].headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!((asked[2].path(), asked[2].body.as_str()), ("/prefix/y", "{\"a\":[1]}"));
    assert!(asked[0].headers["user-agent"].starts_with("apportion/"));
    assert!(!asked[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn what_passes_by_itself_is_asked_again() {
    for trouble in [408, 425, 429, 500, 502, 503, 504] {
        let server = Server::start(move |n, _| match n {
            0 | 1 => Act::status(trouble),
            _ => Act::ok("good"),
        })
        .await;
        assert_eq!(get(&server).await.unwrap(), b"good", "{trouble}");
        assert_eq!(server.asked().len(), 3, "{trouble}");
    }
    let server = Server::start(|n, _| match n {
        0 => Act::Close,
        1 => Act::Cut(100, "only so much".into()),
        2 => Act::Hang,
        _ => Act::ok("good"),
    })
    .await;
    assert_eq!(get(&server).await.unwrap(), b"good");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_server_that_says_how_long_is_left_alone_that_long() {
    let server = Server::start(|n, _| match n {
        0 => Act::Reply(429, vec![("Retry-After", "1".into())], String::new()),
        _ => Act::ok("good"),
    })
    .await;
    assert_eq!(get(&server).await.unwrap(), b"good");
    let asked = server.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn no_more_questions_are_under_way_than_allowed() {
    let go = Arc::new(Notify::new());
    let told = go.clone();
    let server = Server::start(move |_, _| Act::Wait(told.clone(), "good".into())).await;
    let limits = HttpServer { concurrency: 2, timeout_seconds: 20, ..HttpServer::new(&server.url) };
    let client = HttpClient::with_patience(&limits, hasty()).unwrap();
    let question = client.get("x", &[]);
    let questions: Vec<_> = (0..6)
        .map(|_| {
            let (client, question) = (client.clone(), question.clone());
            tokio::spawn(async move { client.ask(&question).await })
        })
        .collect();
    for done in 0..6 {
        while server.asked().len() <= done {
            tokio::task::yield_now().await;
        }
        go.notify_one();
    }
    for question in questions {
        assert_eq!(question.await.unwrap().unwrap(), b"good");
    }
    assert_eq!(server.most_at_a_time(), 2);
}

#[tokio::test]
async fn credentials_are_sent_and_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "hunter2\n").unwrap();
    let secret = SecretPlace::parse(&format!("file:{}", path.display())).unwrap();
    let basic = HttpAuth::Basic { username: "me".into(), password: secret.clone() };
    let bearer = HttpAuth::Bearer { token: secret };
    for (auth, sent) in [(basic, "Basic bWU6aHVudGVyMg=="), (bearer, "Bearer hunter2")] {
        let server = Server::start(|_, asked| {
            Act::Reply(
                401,
                Vec::new(),
                format!("not you: {}, hunter2", asked.headers["authorization"]),
            )
        })
        .await;
        let settings = HttpServer { auth, ..HttpServer::new(&server.url) };
        let client = HttpClient::with_patience(&settings, hasty()).unwrap();
        let error = client.ask(&client.get("x", &[])).await.unwrap_err();
        assert_eq!(server.asked()[0].headers["authorization"], sent);
        assert_eq!((server.asked().len(), error.status()), (1, Some(401)));
        let told = format!("{error} {error:?} {client:?} {settings:?}");
        assert!(!told.contains("hunter2") && !told.contains("bWU6"), "{told}");
        assert!(error.to_string().contains("check the credentials"), "{error}");
    }
}

/// The items of a server's pages, or why there are none.
async fn paged(server: &Server) -> Result<Vec<String>, HttpError> {
    let (client, mut items) = (client(&server.url), Vec::new());
    let mut take = |_: Place, item: Value| -> Result<(), HttpError> {
        items.push(item.to_string());
        Ok(())
    };
    pages::each(&client, client.get("v1/x", &[("page_size", "2")]), &mut take).await?;
    Ok(items)
}

#[tokio::test]
async fn all_pages_are_read_with_numbers_as_they_are_written() {
    let server = Server::start(|_, asked| match asked.value("page_token").as_deref() {
        None => Act::ok(format!(
            r#"{{"metadata":{{"next":"http://{}/v1/x?page_token=2","total_size":3}},"data":[1.50,{{"a":null}}]}}"#,
            asked.headers["host"]
        )),
        // An empty page may stand between others.
        Some("2") => Act::ok(r#"{"metadata":{"next":"?page_token=3"},"data":[]}"#),
        _ => Act::ok(r#"{"metadata":{"next":""},"data":[0.1000000000000000055511151231257827]}"#),
    })
    .await;
    let items = paged(&server).await.unwrap();
    assert_eq!(items, ["1.50", r#"{"a":null}"#, "0.1000000000000000055511151231257827"]);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn pages_that_do_not_add_up_are_no_answer() {
    let bad = |second: &'static str| async move {
        let server = Server::start(move |n, _| match n {
            0 => Act::ok(r#"{"metadata":{"next":"?page_token=2","total_size":3},"data":[1,2]}"#),
            _ => Act::ok(second),
        })
        .await;
        (paged(&server).await.unwrap_err().to_string(), server.asked().len())
    };
    let (error, _) = bad(r#"{"metadata":{},"data":[]}"#).await;
    assert!(error.contains("2 items came of the 3"), "{error}");
    let (error, asked) = bad(r#"{"metadata":{"next":"?page_token=2"},"data":[3]}"#).await;
    assert!(error.contains("links to a page that was read before") && asked == 2, "{error}");
    let (error, asked) =
        bad(r#"{"metadata":{"next":"http://127.0.0.1:9/x?token=t0k"},"data":[3]}"#).await;
    assert!(error.contains("which is not the configured server") && asked == 2, "{error}");
    assert!(!error.contains("t0k"), "{error}");
    for text in [r#"{"metadata":{}}"#, r#"{"data":{}}"#, "", "<html>", r#"{"data":[1"#] {
        let (error, _) = bad(text).await;
        assert!(error.contains("page 2 is no list"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_found_is_no_empty_page() {
    let server = Server::start(|n, _| match n {
        0 => Act::ok(r#"{"metadata":{"next":"?page_token=2"},"data":[1]}"#),
        _ => Act::status(404),
    })
    .await;
    let error = paged(&server).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(error.to_string().contains("nothing is taken to be empty"), "{error}");
    assert_eq!(server.asked().len(), 2);
}
