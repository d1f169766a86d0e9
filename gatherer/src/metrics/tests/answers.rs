//! What is asked, and how answers are read.

use super::*;

#[tokio::test]
async fn all_resources_are_asked_about_at_once_and_no_boundary_counts_twice() {
    let server = Server::start(|_, _| {
        // 25 samples: this one knows only closed ranges, and aligns them as it likes.
        let values = |value: &str| {
            let all: Vec<String> =
                (0..=24).map(|h| format!("[{},\"{value}\"]", DAY + h * 3_600)).collect();
            all.join(",")
        };
        let series: Vec<String> = (0..1_000)
            .rev()
            .map(|n| {
                let values = values(&format!("{n}.5"));
                format!(
                    r#"{{"metric":{{"cluster":"lkc-{n}","principal":"u-1"}},"values":[{values}]}}"#
                )
            })
            .collect();
        Act::ok(success("matrix", &series.join(",")))
    })
    .await;
    let source = source(&server.url);
    let expression = "sum by (cluster, principal) (increase(bytes_total{x=\"é\"}[1h]))";
    let query = query(expression, &["cluster", "principal"]);
    let outcomes = source.fetch(std::slice::from_ref(&query), day()).await;
    let table = outcomes[0].table().unwrap();
    assert_eq!((outcomes[0].detail(), table.series.len(), table.samples()), (None, 1_000, 24_000));
    let usage = table.usage("cluster", "principal");
    assert_eq!(usage["lkc-999"]["u-1"].to_string(), "23988");
    assert_eq!(usage["lkc-0"]["u-1"].to_string(), "12");
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].path()), (1, "/api/v1/query_range"));
    let value = |name: &str| asked[0].value(name).unwrap();
    assert_eq!((value("query"), value("step")), (expression.to_owned(), "3600".to_owned()));
    assert_eq!(value("start"), (DAY + 3_600).to_string());
    assert_eq!(value("end"), (DAY + 86_400).to_string());

    // The same again costs no question; a window that is not over for long does.
    source.fetch(&[query.clone(), query.clone()], day()).await;
    assert_eq!(server.asked().len(), 1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = UtcSeconds(i64::try_from(now.as_secs()).unwrap());
    let recent = Window { start: UtcSeconds(end.0 - 3_600), end };
    source.fetch(std::slice::from_ref(&query), recent).await;
    source.fetch(std::slice::from_ref(&query), recent).await;
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn who_asks_the_same_at_the_same_time_waits_for_one_answer() {
    let body = success("matrix", &format!(r#"{{"metric":{{}},"values":[[{},"1"]]}}"#, DAY + 3_600));
    let server = Server::start(move |_, _| Act::ok(body.clone())).await;
    let source = source(&server.url);
    let outcomes = source.fetch(&vec![query("x", &[]); 50], day()).await;
    assert!(outcomes.iter().all(|outcome| outcome.table().unwrap().samples() == 1));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let server = Server::start(|_, _| {
        let value = |n| format!(r#"{{"metric":{{"n":"{n}"}},"values":[[{},"1"]]}}"#, DAY + 3_600);
        let all: Vec<String> = (0..100).map(value).collect();
        Act::ok(success("matrix", &all.join(",")))
    })
    .await;
    // One answer weighs 901: one fits, two do not.
    let source = prometheus(&HttpServer::new(&server.url), 1_000);
    for expression in ["a", "b", "c", "a", "b", "c"] {
        assert!(source.fetch(&[query(expression, &["n"])], day()).await[0].table().is_some());
    }
    assert!(server.asked().len() >= 5, "{}", server.asked().len());
    let none = prometheus(&HttpServer::new(&server.url), 0);
    let before = server.asked().len();
    for _ in 0..3 {
        none.fetch(&[query("a", &["n"])], day()).await;
    }
    assert_eq!(server.asked().len(), before + 3);
}

#[tokio::test]
async fn values_are_the_numbers_that_are_written() {
    let texts = [
        "0.1",
        "1e-7",
        "1.7976931348623157",
        "12345678901234567890",
        "-0",
        "5E+3",
        "NaN",
        "0.30000000000000004",
        "1e28",
    ];
    let values: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| format!("[{}.000,\"{text}\"]", DAY + 3_600 * (n as i64 + 1)))
        .collect();
    let series = format!(r#"{{"metric":{{"p":"a"}},"values":[{}]}}"#, values.join(","));
    let outcome = outcome(success("matrix", &series), query("x", &["p"])).await;
    let table = outcome.table().unwrap();
    let read: Vec<String> =
        table.series[0].samples.iter().map(|sample| sample.value.to_string()).collect();
    let expected = [
        "0.1",
        "0.0000001",
        "1.7976931348623157",
        "12345678901234567890",
        "0",
        "5000",
        "0.30000000000000004",
        "10000000000000000000000000000",
    ];
    assert_eq!((read.as_slice(), table.not_numbers), (expected.map(String::from).as_slice(), 1));
}

#[tokio::test]
async fn nothing_measured_is_no_failure_and_no_zero() {
    let empty = [
        success("matrix", ""),
        success("matrix", r#"{"metric":{"p":"a"},"values":[]}"#),
        success("matrix", r#"{"metric":{"p":"a"}}"#),
        // Only what belongs to the day before, and what is no number.
        success("matrix", &format!(r#"{{"metric":{{"p":"a"}},"values":[[{DAY},"7"]]}}"#)),
        success(
            "matrix",
            &format!(r#"{{"metric":{{"p":"a"}},"values":[[{},"NaN"]]}}"#, DAY + 3_600),
        ),
    ];
    for body in empty {
        let outcome = outcome(body.clone(), query("x", &["p"])).await;
        assert!(matches!(outcome, MetricsOutcome::NoSamples(_)), "{body}: {outcome:?}");
        assert_eq!(outcome.detail(), Some("no_metrics_located"));
    }
    let nowhere =
        Prometheus::new(&MetricsConfig::prometheus(HttpServer::new("http://127.0.0.1:1")));
    let short = Window { start: UtcSeconds(DAY), end: UtcSeconds(DAY + 60) };
    let outcome = nowhere.unwrap().fetch(&[query("x", &[])], short).await.remove(0);
    assert!(matches!(outcome, MetricsOutcome::NoSamples(_)), "a window without moments");
}

#[tokio::test]
async fn an_instant_is_one_moment() {
    let server = Server::start(|_, _| {
        let one = format!(r#"{{"metric":{{"p":"a"}},"value":[{}, "42"]}}"#, DAY + 86_400);
        Act::ok(success("vector", &one))
    })
    .await;
    let query = MetricQuery { shape: Shape::Instant, ..query("x", &["p"]) };
    let outcome = source(&server.url).fetch(&[query], day()).await.remove(0);
    assert_eq!(outcome.table().unwrap().series[0].samples.len(), 1);
    let asked = server.asked();
    assert_eq!(asked[0].path(), "/api/v1/query");
    assert_eq!(asked[0].value("time").unwrap(), (DAY + 86_400).to_string());
}

/// Answers a range with one series that has every moment.
fn every_moment(asked: &crate::http::tests::server::Asked) -> Act {
    let number = |name: &str| asked.value(name).map(|text| text.parse::<i64>().unwrap());
    let (kind, at) = match number("time") {
        Some(at) => ("vector", vec![at]),
        None => {
            let (first, last) = (number("start").unwrap(), number("end").unwrap());
            ("matrix", (first..=last).step_by(number("step").unwrap() as usize).collect())
        }
    };
    let values: Vec<String> = at.iter().map(|at| format!("[{at},\"1\"]")).collect();
    let values =
        if kind == "vector" { values[0].clone() } else { format!("[{}]", values.join(",")) };
    let name = if kind == "vector" { "value" } else { "values" };
    Act::ok(success(kind, &format!(r#"{{"metric":{{"p":"a"}},"{name}":{values}}}"#)))
}

#[tokio::test]
async fn long_windows_are_asked_about_in_parts_without_loss() {
    let minutes = MetricQuery { shape: Shape::Range { step: 5 }, ..query("x", &["p"]) };
    // By number of moments, and where an answer is too large by halves.
    for (bytes_max, questions) in [(64 << 20, 2), (100_000, 6)] {
        let server = Server::start(|_, asked| every_moment(asked)).await;
        let limits = HttpServer { response_bytes_max: bytes_max, ..HttpServer::new(&server.url) };
        let outcome =
            prometheus(&limits, 0).fetch(std::slice::from_ref(&minutes), day()).await.remove(0);
        let table = outcome.table().unwrap();
        let at: Vec<i64> = table.series[0].samples.iter().map(|sample| sample.at.0).collect();
        assert_eq!((table.series.len(), at.len()), (1, 17_280));
        assert!(at.iter().zip(1..).all(|(at, n)| *at == DAY + n * 5));
        assert_eq!(server.asked().len(), questions);
    }
    // A single moment that is too large is told.
    let server = Server::start(|_, asked| every_moment(asked)).await;
    let limits = HttpServer { response_bytes_max: 10, ..HttpServer::new(&server.url) };
    let outcome = prometheus(&limits, 0).fetch(&[minutes], day()).await.remove(0);
    let error = outcome.error().unwrap().to_string();
    assert!(error.contains("larger than 10 bytes"), "{error}");
}

#[tokio::test]
async fn orders_of_arrival_make_no_difference() {
    let series =
        |p: &str, at: i64| format!(r#"{{"metric":{{"p":"{p}","z":"1"}},"values":[[{at},"1"]]}}"#);
    let (one, two, three) =
        (series("a", DAY + 7_200), series("b", DAY + 3_600), series("c", DAY + 3_600));
    let forward =
        outcome(success("matrix", &[&*one, &two, &three].join(",")), query("x", &["p"])).await;
    let backward =
        outcome(success("matrix", &[&*three, &two, &one].join(",")), query("x", &["p"])).await;
    assert_eq!(forward.table().unwrap(), backward.table().unwrap());
}
