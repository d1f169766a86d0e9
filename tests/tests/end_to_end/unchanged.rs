//! A window that is gathered again and says the same costs nothing.

use std::time::Instant;

use proto::line::Measure;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, day};

const DATES: u32 = 200;
const GENERATIONS: &str = "select date::text || ' ' || lines_generation || ' ' || visible_generation || ' ' || wanted_generation
    from apportion.pipeline_state order by date";
const COMMITS: &str = "select count(*)::text from apportion.commits";

fn texts(stand: &Stand, sql: &str) -> Vec<String> {
    let rows = stand.database(|client| Ok(client.query(sql, &[])?)).expect("an answer");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Messages of the streams that carry lines and rows, and the tasks that are out.
fn published(stand: &Stand) -> (String, String) {
    let (_, status) = stand.ask_json(&["status", "--json"]);
    let streams = status["streams"].as_array().expect("NATS answers");
    let lines = streams.iter().filter(|stream| stream["stream"].as_str() == Some("APPORTION_LINE"));
    let lines: Vec<String> = lines.map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{status}");
    (lines.concat(), status["tasks"].to_string())
}

#[test]
fn defect_17_10_an_unchanged_window_of_200_days_is_neither_published_nor_calculated_again() {
    let stand = Stand::with_servers("unchanged", None).expect("servers");
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Effective));
    let lines = world::bill(77, "USD", day("2026-01-01"), DATES, 8);
    stand.write("bill.csv", world::csv(&lines));
    let began = Instant::now();
    assert_done(&stand.run_once(&[]), DATES as usize);
    let first = began.elapsed();
    let (generations, commits) = (texts(&stand, GENERATIONS), texts(&stand, COMMITS));
    let before = published(&stand);
    assert_eq!(generations.len(), DATES as usize);
    // Another file with other bytes: it is read, and its lines say the same.
    stand.write("bill.csv", world::csv(&world::shuffled(&lines, 5)));
    let began = Instant::now();
    assert_done(&stand.run_once(&[]), 0);
    println!("{DATES} dates took {first:?}, the same again {:?}", began.elapsed());
    assert_eq!((texts(&stand, GENERATIONS), texts(&stand, COMMITS)), (generations, commits));
    assert_eq!(published(&stand), before);
}
