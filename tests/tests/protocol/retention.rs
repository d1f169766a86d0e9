//! Old months are removed under the leader's epoch, and only once nothing of them is to be done.

use proto::ids::Attempt;

use crate::desk::{Desk, rows};
use crate::{DAY, allocating, committed, published};

/// Emitters and what stands behind them in the tenant's file.
const OLD_GOES: &str = "csv: { dir: out }\nretention: { dates: 40d }";
const DATES: &str = "select count(*) from pipeline_state";
const REMOVED: &str = "select count(*) from removed_dates";
/// As the reports of the emitters leave it.
const EMITTED: &str = "insert into emission_records (tenant, source, date, emitter, generation, emitter_hash)
    select tenant, source, date, emitter, visible_generation, hash from pipeline_state join emitters using (tenant)";

/// One date of a month that is old enough, visible and emitted by nobody yet.
async fn visible(desk: &mut Desk) {
    let generation = allocating(desk).await;
    let made = rows(generation, Attempt(1), "10");
    desk.report(generation, Attempt(1), &published(generation, made)).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, generation).await, 1);
    desk.report(generation, Attempt(1), &committed(generation, true)).await;
    desk.apply().await;
    assert_eq!(desk.unit(DAY).await.0, "visible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_is_not_done_is_never_removed() {
    let mut desk = Desk::start().await;
    visible(&mut desk).await;
    for (run, not_done, done) in [
        ("unemitted", None, None),
        ("moving", Some("state = 'waiting'"), Some("state = 'visible'")),
        ("provisional", Some("resolve_again_at = 'infinity'"), Some("resolve_again_at = null")),
        ("pending", Some("missing_generation = 1"), Some("missing_generation = null")),
    ] {
        if let Some(change) = not_done {
            desk.execute("delete from emission_records").await;
            assert_eq!(desk.execute(EMITTED).await, 1);
            desk.execute(&format!("update pipeline_state set {change}")).await;
        }
        desk.run_with(run, OLD_GOES).await;
        desk.sweep().await;
        assert_eq!((desk.number(DATES).await, desk.number(REMOVED).await), (1, 0), "{run}");
        if let Some(change) = done {
            desk.execute(&format!("update pipeline_state set {change}")).await;
        }
    }
    // Another month's weights count it.
    let counted =
        "insert into unit_drivers (tenant, source, date, driver, from_date, until_date, sources)
        values ('acme', 'cloud', '2026-06-01', 'spend', '2026-05-01', '2026-07-01', '{cloud}')";
    desk.execute(counted).await;
    desk.execute("delete from emission_records").await;
    desk.execute(EMITTED).await;
    desk.run_with("counted", OLD_GOES).await;
    desk.sweep().await;
    assert_eq!(desk.number(DATES).await, 1);
    desk.execute("delete from unit_drivers").await;
    // All that is young stays, whatever its state.
    desk.execute("delete from emission_records").await;
    desk.execute(EMITTED).await;
    desk.run_with("young", "csv: { dir: out }\nretention: { dates: 36500d }").await;
    desk.sweep().await;
    assert_eq!(desk.number(DATES).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_leads_removes_nothing_and_who_leads_all_of_it_once() {
    let mut desk = Desk::start().await;
    visible(&mut desk).await;
    assert_eq!(desk.execute(EMITTED).await, 1);
    let bad = "insert into quarantined (tenant, source, generation, file, line, reason, text, date)
        values ('acme', 'cloud', 1, 'bill.csv', 2, 'bad', '', '2026-05-01'), ('acme', 'cloud', 1, 'bill.csv', 3, 'bad', '', '2026-06-01')";
    assert_eq!(desk.execute(bad).await, 2);
    desk.run_with("first", OLD_GOES).await;
    let lead = "update leader set epoch = epoch ";
    desk.execute(&format!("{lead} + 1")).await;
    assert!(desk.leader.sweep().await.is_err(), "another one leads");
    assert_eq!((desk.number(DATES).await, desk.number(REMOVED).await), (1, 0));
    desk.execute(&format!("{lead} - 1")).await;
    desk.sweep().await;
    assert_eq!((desk.number(DATES).await, desk.number(REMOVED).await), (0, 1));
    assert_eq!(desk.number("select count(*) from quarantined").await, 1, "that of another month");
    let kept = "select count(*) from tenants where kept_from < now() - interval '40 days'";
    assert_eq!(desk.number(kept).await, 1);
    // It starts over: there is nothing left to do.
    desk.run_with("again", OLD_GOES).await;
    desk.sweep().await;
    assert_eq!((desk.number(DATES).await, desk.number(REMOVED).await), (0, 1));
}
