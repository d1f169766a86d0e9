//! What goes wrong at the API: it is asked again, or nothing of the gather counts.

use super::*;

const DAYS: (&str, &str) = ("2026-10-01", "2026-10-02");

async fn error(script: impl Fn(usize, &Asked) -> Act + Send + Sync + 'static) -> String {
    let server = Server::start(script).await;
    Organization::new(&server.url, DAYS.0, DAYS.1).error().await
}

#[tokio::test]
async fn defect_17_17_what_passes_by_itself_is_asked_again() {
    let server = Server::start(|n, _| match n {
        0 => Act::Reply(429, vec![("Retry-After", "0".into())], String::new()),
        1 => Act::status(500),
        2 => Act::Cut(500, "{\"data\":[".into()),
        _ => page(&[row("a", "2026-10-01", "KAFKA_BASE", "1.25")], None),
    })
    .await;
    let found = Organization::new(&server.url, DAYS.0, DAYS.1).try_gather().await.unwrap();
    assert_eq!((found.sum(Measure::Effective).as_str(), server.asked().len()), ("1.25", 4));
}

#[tokio::test]
async fn a_page_that_links_to_itself_ends_the_gather() {
    let error = error(|_, asked| {
        page(&[row("a", "2026-10-01", "KAFKA_BASE", "1")], Some(link(asked, "again")))
    })
    .await;
    assert!(error.contains("came twice") || error.contains("read before"), "{error}");
}

#[tokio::test]
async fn defect_17_17_what_is_not_found_is_no_empty_bill() {
    let error = error(|_, _| Act::status(404)).await;
    assert!(error.contains("404"), "{error}");
}

#[tokio::test]
async fn fewer_rows_than_there_are_said_to_be_are_not_the_bill() {
    let error = error(|_, _| {
        let list = json!({"metadata": {"total_size": 2}, "data": []});
        Act::ok(list.to_string())
    })
    .await;
    assert!(error.contains("0 items came of the 2"), "{error}");
}

#[tokio::test]
async fn nobody_else_is_asked_whatever_a_page_links_to() {
    let error = error(|_, _| page(&[], Some("https://evil.example/costs".to_owned()))).await;
    assert!(error.contains("evil.example"), "{error}");
}

#[tokio::test]
async fn pages_that_moved_while_they_were_read_are_not_the_bill() {
    let error = error(|n, asked| {
        let rows = [row("a", "2026-10-01", "KAFKA_BASE", "1")];
        page(&rows, (n == 0).then(|| link(asked, "2")))
    })
    .await;
    assert!(error.contains("row a came twice"), "{error}");
}
