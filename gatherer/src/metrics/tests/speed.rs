//! How fast a large answer is read. Measures; run it by name, optimised.

use std::fmt::Write as _;
use std::time::Instant;

use super::*;

#[tokio::test]
#[ignore = "measures: cargo test --release -p gatherer --features http a_million_samples -- --ignored --nocapture"]
async fn a_million_samples() {
    let mut series = String::new();
    for n in 0..41_667 {
        let comma = if n == 0 { "" } else { "," };
        write!(series, r#"{comma}{{"metric":{{"c":"lkc-{}","p":"sa-{n}"}},"values":["#, n % 100)
            .unwrap();
        for hour in 1..=24 {
            let comma = if hour == 1 { "" } else { "," };
            write!(series, "{comma}[{},\"{}.{n}{hour}\"]", DAY + hour * 3_600, n * 31).unwrap();
        }
        series.push_str("]}");
    }
    let body = success("matrix", &series);
    let bytes = body.len();
    let server = Server::start(move |_, _| Act::ok(body.clone())).await;
    let source = source(&server.url);
    let start = Instant::now();
    let outcome = source.fetch(&[query("x", &["c", "p"])], day()).await.remove(0);
    let fetched = start.elapsed();
    let table = outcome.table().unwrap();
    assert_eq!(table.samples(), 1_000_008);
    let usage = table.usage("c", "p");
    println!(
        "{bytes} bytes in {fetched:?}, sums of {} resources in {:?}",
        usage.len(),
        start.elapsed() - fetched
    );
}
