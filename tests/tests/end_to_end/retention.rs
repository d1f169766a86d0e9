//! Old months go, whole, once nothing of them is to be done; what they cost is remembered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use proto::line::Measure;
use proto::time::UtcSeconds;
use tests::stand::Stand;
use tests::world;

use crate::{assert_done, day};

const VISIBLE: &str = "select string_agg(date::text, ' ' order by date) from apportion.units where visible_generation > 0";
const ROWS: &str =
    "select string_agg(distinct date::text, ' ' order by date::text) from apportion.chargebacks";
const BILL: &str =
    "select trim_scale(sum(amount))::text from apportion.chargebacks where date < '2026-06-01'";
const REMOVED: &str =
    "select trim_scale(sum(a))::text from apportion.removed_dates, unnest(amounts) a";
/// Lines, pieces, splits and archived messages of the removed dates, and of those that stay.
const STORED: &str = "select string_agg(count || ' ' || kept, ', ' order by name) from (
    select name, count(*) filter (where date < '2026-06-01') as count, count(*) filter (where date >= '2026-06-01') > 0 as kept
    from (select 'billing' as name, date from apportion.billing
      union all select 'pieces', date from apportion.chargeback_pieces
      union all select 'splits', date from apportion.chargeback_splits
      union all select 'archive', date from apportion.line_archive) stored group by name) tables";

fn text(stand: &Stand, sql: &str) -> Option<String> {
    stand.database(|client| Ok(client.query_one(sql, &[])?)).expect("an answer").get(0)
}

#[test]
fn an_old_month_is_removed_whole_and_comes_back_when_it_is_kept_again() {
    let stand = Stand::with_servers("retention", None).expect("servers");
    let tenant = world::tenant("USD", "bill.csv", Measure::Effective);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs();
    let today = UtcSeconds(now as i64).date().expect("today is a date");
    // Back into the June of the bill, which stays.
    let days = today.epoch_days() - day("2026-06-15").epoch_days();
    let kept = format!("{tenant}retention: {{ dates: {days}d }}\n");
    let lines = world::bill(41, "USD", day("2026-05-30"), 3, 5);
    stand.write("bill.csv", world::csv(&lines));
    stand.write("tenants/acme.yaml", &tenant);
    assert_done(&stand.run_once(&[]), 3);
    let all = Some("2026-05-30 2026-05-31 2026-06-01".to_owned());
    assert_eq!((text(&stand, VISIBLE), text(&stand, ROWS)), (all.clone(), all.clone()));
    let bill = text(&stand, BILL);

    // A date that waits for a person keeps its month.
    let pending =
        "update apportion.pipeline_state set missing_generation = $1 where date = '2026-05-31'";
    let mark = |value: Option<i64>| {
        stand.database(|client| Ok(client.execute(pending, &[&value])?)).expect("it is marked")
    };
    assert_eq!(mark(Some(1)), 1);
    stand.write("tenants/acme.yaml", &kept);
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(text(&stand, VISIBLE), all);
    assert_eq!(mark(None), 1);

    let files = std::fs::read_dir(stand.csv()).expect("it is there").count();
    assert_done(&stand.run_once(&[]), 0);
    let june = Some("2026-06-01".to_owned());
    assert_eq!((text(&stand, VISIBLE), text(&stand, ROWS)), (june.clone(), june.clone()));
    assert_eq!(text(&stand, REMOVED), bill);
    assert_eq!(std::fs::read_dir(stand.csv()).expect("it is there").count(), files);
    let asked = ["explain", "--tenant", "acme", "--date", "2026-05-31", "--line", "00", "--json"];
    let (code, said) = stand.ask_json(&asked);
    let said = said["error"].as_str().unwrap_or_default();
    assert!(code == 1 && said.contains("2026-05-31 of acme was removed on"), "{said}");
    let (_, status) = stand.ask_json(&["status", "--json"]);
    assert_eq!(status["retention"][0]["kept_from"], "2026-06-01", "{status}");
    assert_eq!(status["retention"][0]["removed"], 2, "{status}");

    // The same bill again: what is older is not read.
    assert_done(&stand.run_once(&[]), 0);
    assert_eq!(text(&stand, VISIBLE), june);
    // What is stored of removed dates goes a little later; of those that stay nothing does.
    let mut up = stand.start(&["up"]);
    let gone = Some("0 true, 0 true, 0 true, 0 true".to_owned());
    up.until("it is deleted", |_| (text(&stand, STORED) == gone).then_some(())).expect("it goes");
    up.signal(Signal::SIGTERM).expect("it runs");
    assert!(up.end(Duration::from_secs(30)).expect("it ends").success());
    assert_eq!((text(&stand, VISIBLE), text(&stand, ROWS)), (june.clone(), june));
    // It is kept for ever now.
    stand.write("tenants/acme.yaml", &tenant);
    assert_done(&stand.run_once(&[]), 2);
    assert_eq!((text(&stand, VISIBLE), text(&stand, BILL)), (all, bill));
    assert_eq!(
        text(&stand, "select count(*)::text from apportion.removed_dates").as_deref(),
        Some("0")
    );
}
