//! A source that no longer has many of its visible dates: what an API forgets waits, what files no longer say goes.

use proto::ids::{Attempt, Generation};
use proto::report::{GatherDone, GatheredDate, GatheredHash, Report};
use proto::time::UnitDate;

use crate::desk::{Desk, lines};
use crate::inventory::{a_day_later, decide};

const FIRST: &str = "2026-05-01";
const VISIBLE: &str = "select count(*) from pipeline_state where not withdrawn";
const WAITING: &str = "select count(*) from pipeline_state where missing_generation is not null";

fn day(n: i64) -> UnitDate {
    FIRST.parse::<UnitDate>().unwrap().plus_days(n).unwrap()
}

/// A gather that speaks for ten days and finds these; what it found becomes visible.
async fn gather(desk: &mut Desk, days: impl Iterator<Item = i64>) -> Generation {
    desk.gather_again().await;
    desk.sweep().await;
    let (generation, _) = desk.task("gather").await;
    let mut dates = Vec::new();
    for date in days.map(day) {
        let lines = lines(generation, Attempt(1), "10");
        dates.push(GatheredHash { date, hash: lines.hash, unchanged: false });
        let received = lines.totals.clone();
        let gathered = Report::GatheredDate(GatheredDate { date, lines, received });
        desk.report(generation, Attempt(1), &gathered).await;
    }
    let Report::GatherDone(done) = crate::done(&[]) else { panic!("the end of a gather") };
    let done = GatherDone { covered_from: day(0), covered_to: day(9), dates, ..done };
    desk.report(generation, Attempt(1), &Report::GatherDone(done)).await;
    desk.apply().await;
    desk.execute(
        "update pipeline_state set visible_generation = lines_generation, state = 'visible' where not withdrawn",
    )
    .await;
    generation
}

const API: &str = "{ kind: synthetic, start: 2026-05-01, dates: 10, resources: 1, products: 1, fanout: 1, identities: 1 }";

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_an_api_forgets_wait() {
    let mut desk = Desk::start().await;
    desk.run_source("api", API).await;
    gather(&mut desk, 0..10).await;
    // Two of ten are few.
    gather(&mut desk, 0..8).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (8, 0));
    gather(&mut desk, 0..10).await;
    // Three are not, and nothing at all is doubtful however few there are.
    for streak in 1..=3 {
        gather(&mut desk, 0..7).await;
        assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (10, 3));
        assert_eq!(desk.number("select streak::bigint from populations").await, streak);
    }
    // They are back.
    gather(&mut desk, 0..10).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (10, 0));
    assert_eq!(desk.number("select streak::bigint from populations").await, 0);
    // Three times and a day.
    gather(&mut desk, 0..0).await;
    gather(&mut desk, 0..0).await;
    a_day_later(&desk).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (10, 10));
    gather(&mut desk, 0..0).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (0, 0));
    let empty = "select count(*) from pipeline_state where withdrawn and lines_items = 0 and state = 'gathered'";
    assert_eq!(desk.number(empty).await, 10, "they become visible without rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_withdraws_dates_or_keeps_them() {
    let mut desk = Desk::start().await;
    desk.run_source("api", API).await;
    gather(&mut desk, 0..10).await;
    gather(&mut desk, 0..5).await;
    decide(&mut desk, "rejected").await;
    for _ in 0..4 {
        gather(&mut desk, 0..5).await;
        a_day_later(&desk).await;
    }
    assert_eq!(desk.number(VISIBLE).await, 10, "what a person keeps stays");
    // Of the five that count, one more is few.
    gather(&mut desk, 0..4).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (9, 5));
    gather(&mut desk, 0..1).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (9, 8));
    decide(&mut desk, "confirmed").await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (1, 0));
    assert_eq!(desk.number("select streak::bigint from populations").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_files_no_longer_say_goes_at_once() {
    let mut desk = Desk::start().await;
    gather(&mut desk, 0..10).await;
    gather(&mut desk, 0..1).await;
    assert_eq!((desk.number(VISIBLE).await, desk.number(WAITING).await), (1, 0));
    assert_eq!(desk.number("select count(*) from populations").await, 0);
}
