//! What is no answer, and that it is told.

use super::*;

/// Why a query failed against a server that always answers this.
async fn failure(body: impl Into<String>) -> String {
    let outcome = outcome(body, query("x", &["p"])).await;
    assert_eq!(outcome.detail(), Some("metrics_fetch_failed"), "{outcome:?}");
    assert!(outcome.table().is_none());
    outcome.error().unwrap().to_string()
}

fn sample(value: &str) -> String {
    success(
        "matrix",
        &format!(r#"{{"metric":{{"p":"a"}},"values":[[{},"{value}"]]}}"#, DAY + 3_600),
    )
}

#[tokio::test]
async fn an_answer_in_part_is_no_answer() {
    let with = |more: &str| sample("1").replacen("{", &format!("{{{more},"), 1);
    let error = failure(with(r#""warnings":["No StoreAPIs matched for this query"]"#)).await;
    assert!(error.contains("in part only") && error.contains("No StoreAPIs"), "{error}");
    let error =
        failure(with(r#""warnings":["PromQL warning: mixed floats and histograms"]"#)).await;
    assert!(error.contains("mixed floats"), "{error}");
    let error = failure(with(r#""isPartial":true"#)).await;
    assert!(error.contains("isPartial"), "{error}");
    // These say nothing about the data's being whole.
    for more in [
        r#""infos":["PromQL info: metric might not be a counter"]"#,
        r#""warnings":["PromQL info: metric might not be a counter"]"#,
    ] {
        let outcome = outcome(with(more), query("x", &["p"])).await;
        assert_eq!(
            outcome.table().unwrap().remarks,
            ["PromQL info: metric might not be a counter"]
        );
    }
    let null = outcome(with(r#""warnings":null,"infos":null"#), query("x", &["p"])).await;
    assert!(null.table().unwrap().remarks.is_empty());
}

#[tokio::test]
async fn a_value_that_cannot_be_held_is_told_with_its_series() {
    for (value, part) in [
        ("+Inf", "divides by zero"),
        ("-Inf", "divides by zero"),
        ("1e29", "too small or too large"),
        ("1.7976931348623157e+308", "too small or too large"),
        ("5e-324", "too small or too large"),
        ("0x10", "too small or too large"),
    ] {
        let error = failure(sample(value)).await;
        assert!(error.contains(part) && error.contains(value), "{error}");
        assert!(error.contains("{p=\"a\"}") && error.contains("2026-10-01T01:00:00Z"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_list_of_series_is_told() {
    for (body, part) in [
        (String::new(), "cannot be read"),
        ("<html>".into(), "cannot be read"),
        ("{}".into(), "cannot be read"),
        (sample("1").replace("]]", ""), "cannot be read"),
        (r#"{"status":"success"}"#.into(), "no `data`"),
        (
            r#"{"status":"error","errorType":"bad_data","error":"no such thing"}"#.into(),
            "no such thing",
        ),
        (sample("1").replace(":\"a\"", ":7"), "cannot be read"),
        (sample("1").replace("\"1\"", "1"), "cannot be read"),
        (sample("1").replace("00,\"1\"", "00.5,\"1\""), "whole seconds"),
        (sample("1").replace(']', ",0]"), "cannot be read"),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#.into(),
            "vector(…)",
        ),
        (success("matrix", r#"{"metric":{},"histograms":[[1,{}]]}"#), "histogram_sum"),
        (success("vector", r#"{"metric":{},"histogram":[1,{}]}"#), "histogram_sum"),
    ] {
        let error = failure(body.clone()).await;
        assert!(error.contains(part) && error.contains("bytes_in"), "{body}: {error}");
    }
    let at = DAY + 3_600;
    let twice = format!(r#"{{"metric":{{"p":"a"}},"values":[[{at},"1"],[{at},"2"]]}}"#);
    let error = failure(success("matrix", &twice)).await;
    assert!(error.contains("two values at 2026-10-01T01:00:00Z"), "{error}");
}

#[tokio::test]
async fn a_label_that_no_series_carries_is_told_with_those_that_are_there() {
    let body = sample("1").replace("\"p\"", "\"client_id\"");
    let error = failure(body).await;
    assert!(error.contains("none of its 1 series carries the label p"), "{error}");
    assert!(error.contains("there are: client_id"), "{error}");
    let error = failure(sample("1").replace(r#"{"p":"a"}"#, "{}")).await;
    assert!(error.contains("there are: none"), "{error}");
}

#[tokio::test]
async fn a_query_that_the_server_refuses_is_asked_once_and_quoted() {
    for status in [400, 422] {
        let server = Server::start(move |_, _| {
            let body =
                r#"{"status":"error","errorType":"bad_data","error":"parse error: unclosed"}"#;
            Act::Reply(status, Vec::new(), body.into())
        })
        .await;
        let outcome = source(&server.url).fetch(&[query("sum(", &[])], day()).await.remove(0);
        let error = outcome.error().unwrap().to_string();
        assert!(error.contains("parse error: unclosed"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn trouble_of_the_server_passes_and_what_stays_is_told_and_not_remembered() {
    let server = Server::start(|n, _| match n {
        0 => Act::status(503),
        1 => Act::Cut(100, "{\"status\":\"succ".into()),
        2 => Act::ok(sample("1")),
        3..=5 => Act::status(500),
        _ => Act::ok(sample("2")),
    })
    .await;
    let source = source(&server.url);
    let one = source.fetch(&[query("one", &["p"])], day()).await.remove(0);
    assert_eq!((one.detail(), server.asked().len()), (None, 3));
    let two = source.fetch(&[query("two", &["p"])], day()).await.remove(0);
    assert_eq!((two.detail(), server.asked().len()), (Some("metrics_fetch_failed"), 6));
    let text = two.error().unwrap().to_string();
    assert!(text.contains("500") && text.contains("after 3 attempts"), "{text}");
    let again = source.fetch(&[query("two", &["p"])], day()).await.remove(0);
    assert_eq!(again.detail(), None);
}

#[tokio::test]
async fn one_query_that_fails_leaves_the_others_alone() {
    let server = Server::start(|_, asked| match asked.value("query").unwrap().as_str() {
        "bad" => Act::status(404),
        _ => Act::ok(sample("1")),
    })
    .await;
    let queries = [query("good", &["p"]), query("bad", &["p"]), query("fine", &["p"])];
    let outcomes = source(&server.url).fetch(&queries, day()).await;
    let details: Vec<_> = outcomes.iter().map(MetricsOutcome::detail).collect();
    assert_eq!(details, [None, Some("metrics_fetch_failed"), None]);
}
