//! What becomes visible, and what does not.

use proto::ids::Generation;
use proto::report::{Committed, FailureClass, Report};

use crate::books::{direct, line};
use crate::desk::{DAY, Desk, day};

fn committed(report: Report) -> Vec<(String, i64, bool)> {
    let Report::Committed(done) = report else { panic!("{report:?}") };
    done.iter().map(|c| (c.date.to_string(), c.generation.0, c.visible)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_visible_once_however_often_it_is_sent() {
    let desk = Desk::start().await;
    let lines: Vec<_> = (0..8).map(|n| line(DAY, n, "1.25")).collect();
    let unit = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.want(DAY, 7).await;
    for _ in 0..3 {
        assert_eq!(committed(desk.commit(vec![unit.clone()]).await), [(DAY.into(), 7, true)]);
    }
    assert_eq!(desk.text("select count(*) from chargeback_facts").await, "8");
    assert_eq!(desk.text("select count(*) from billing").await, "8");
    assert_eq!(desk.text("select sum(amount) from chargebacks").await, "10.00");
    let state =
        "select visible_generation, visible_lines_generation, visible_rows from pipeline_state";
    assert_eq!(desk.texts(state).await, ["(7,3,8)"]);
    let row = "select ecosystem, tenant_id, source, date, \"timestamp\" at time zone 'UTC' as t, resource_id,
        product_type, identity_id, owner_id, amount, billed, quantity, unit, share_num, share_den, rule, booking_period
        from chargebacks where resource_id = 'r-3'";
    let expected = "(,acme,cloud,2026-05-01,\"2026-05-01 03:00:00\",r-3,=vm,tag:checkout,checkout,1.25,1.25,1,Hours,1,1,\
        by-account,2026-05)";
    assert_eq!(desk.texts(row).await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_commit_stores_nothing() {
    let desk = Desk::start().await;
    let lines = [line(DAY, 1, "5")];
    let unit = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.want(DAY, 8).await;
    assert_eq!(committed(desk.commit(vec![unit]).await), [(DAY.into(), 7, false)]);
    for table in ["billing", "chargeback_facts", "line_archive", "commits"] {
        assert_eq!(desk.text(&format!("select count(*) from {table}")).await, "0", "{table}");
    }
    assert_eq!(desk.text("select visible_generation from pipeline_state").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_lower_generation_does_not_come_back() {
    let desk = Desk::start().await;
    let old = desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await;
    let new = desk.put_direct(DAY, (8, 9), &[line(DAY, 1, "6")]).await;
    desk.make_visible(new).await;
    assert_eq!(committed(desk.commit(vec![old.clone()]).await), [(DAY.into(), 7, false)]);
    // Even if it were wanted again, by mistake: visible generations only grow.
    desk.want(DAY, 7).await;
    assert_eq!(committed(desk.commit(vec![old]).await), [(DAY.into(), 7, false)]);
    assert_eq!(desk.text("select sum(amount) from chargebacks").await, "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn wanting_a_newer_one_while_it_is_stored_rolls_back() {
    let desk = Desk::start().await;
    let unit = desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await;
    desk.want(DAY, 7).await;
    // The coordinator holds the unit's row while the ledger stores: the ledger has read 7 and waits at the fence.
    let mut client = desk.client().await;
    let coordinator = client.transaction().await.unwrap();
    coordinator.execute("update pipeline_state set wanted_generation = 8", &[]).await.unwrap();
    let waiting = async {
        let blocked = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock')";
        while desk.text(blocked).await == "false" {
            tokio::task::yield_now().await;
        }
        coordinator.commit().await.unwrap();
    };
    let (report, ()) = tokio::join!(desk.commit(vec![unit]), waiting);
    assert_eq!(committed(report), [(DAY.into(), 7, false)]);
    assert_eq!(desk.text("select count(*) from chargeback_facts").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_its_twin_overtakes_is_no_failure() {
    let mut desk = Desk::start().await;
    desk.hire();
    let unit = desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await;
    desk.want(DAY, 7).await;
    // One has stored all and waits at the fence; the other found nothing stored and waits for what the first has stored.
    let mut client = desk.client().await;
    let coordinator = client.transaction().await.unwrap();
    coordinator.execute("update pipeline_state set attempts = 1", &[]).await.unwrap();
    let waiting = async {
        let blocked = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        while desk.text(blocked).await != "2" {
            tokio::task::yield_now().await;
        }
        coordinator.commit().await.unwrap();
    };
    let both = (desk.commit(vec![unit.clone()]), desk.commit(vec![unit]));
    let (one, other, ()) = tokio::join!(both.0, both.1, waiting);
    for report in [one, other] {
        assert_eq!(committed(report), [(DAY.into(), 7, true)]);
    }
    assert_eq!(desk.text("select count(*) from chargeback_facts").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_heals_by_itself() {
    let desk = Desk::start().await;
    let unit = desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5"), line(DAY, 2, "6")]).await;
    desk.want(DAY, 7).await;
    // Held at the fence, the ledger's connection is cut; everything before it must be undone.
    let mut client = desk.client().await;
    let coordinator = client.transaction().await.unwrap();
    coordinator.execute("update pipeline_state set attempts = 1", &[]).await.unwrap();
    let cutting = async {
        let cut = "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        while desk.text(cut).await == "0" {
            tokio::task::yield_now().await;
        }
        coordinator.commit().await.unwrap();
    };
    let (report, ()) = tokio::join!(desk.commit(vec![unit]), cutting);
    assert_eq!(committed(report), [(DAY.into(), 7, true)]);
    assert_eq!(desk.text("select count(*) from chargeback_facts").await, "2");
    assert_eq!(desk.text("select count(*) from billing").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_unit_does_not_hold_the_others() {
    let desk = Desk::start().await;
    let dates = ["2026-05-01", "2026-05-02", "2026-06-03"];
    let mut units = Vec::new();
    for (date, generation) in dates.into_iter().zip(7..) {
        desk.want(date, generation).await;
        units.push(
            desk.put_direct(date, (3, generation), &[line(date, 1, "5"), line(date, 2, "-2")])
                .await,
        );
    }
    // The rows of the second add up to something else than its lines.
    let wrong = [line(dates[1], 1, "5"), line(dates[1], 2, "-2.0000000001")];
    units[1].rows = desk.put_rows(dates[1], 8, &wrong, &direct(&wrong)).await;
    assert_eq!(
        committed(desk.commit(units).await),
        [(dates[0].into(), 7, true), (dates[2].into(), 9, true)]
    );
    let Report::Failed(failed) = desk.report().await else { panic!("no failure is told") };
    assert_eq!(
        (failed.units, failed.class),
        (vec![(day(dates[1]), Generation(8))], FailureClass::Data)
    );
    let expected = "integrity: 2026-05-02: rows do not add up to lines: amount in USD of 2026-05: lines 3, \
        rows 2.9999999999, difference -0.0000000001";
    assert_eq!(failed.reason, expected);
    let visible = "select date, sum(amount) from chargebacks group by date order by date";
    assert_eq!(desk.texts(visible).await, ["(2026-05-01,3)", "(2026-06-03,3)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_batch_and_a_manifest_that_lies_are_told_apart() {
    let desk = Desk::start().await;
    let lines: Vec<_> = (0..7).map(|n| line(DAY, n, "1")).collect();
    let good = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.want(DAY, 7).await;
    let mut gone = good.clone();
    gone.rows.attempt = proto::ids::Attempt(1);
    let Report::Failed(failed) = desk.commit(vec![gone]).await else { panic!("committed") };
    assert_eq!(failed.class, FailureClass::InputMissing, "{}", failed.reason);
    let mut twice = good.clone();
    twice.rows.hash = proto::hash::Hash128::of(b"another set of rows");
    let Report::Failed(failed) = desk.commit(vec![twice]).await else { panic!("committed") };
    assert_eq!(
        failed.reason,
        "integrity: the rows of 2026-05-01, generation 7, differ from their manifest"
    );
    let mut miscounted = good.clone();
    miscounted.rows.items += 1;
    let Report::Failed(failed) = desk.commit(vec![miscounted]).await else { panic!("committed") };
    assert!(
        failed.reason.contains("7 are stored") && failed.reason.contains("manifest says 8"),
        "{}",
        failed.reason
    );
    assert_eq!(desk.text("select count(*) from chargeback_facts").await, "0");
    assert_eq!(committed(desk.commit(vec![good]).await), [(DAY.into(), 7, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_date_is_a_visible_generation_without_rows() {
    let desk = Desk::start().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    let empty = desk.put_direct(DAY, (8, 9), &[]).await;
    desk.make_visible(empty).await;
    assert_eq!(
        desk.texts("select visible_generation, visible_rows from pipeline_state").await,
        ["(9,0)"]
    );
    assert_eq!(desk.text("select count(*) from chargebacks").await, "0");
    let done = Committed { date: day(DAY), generation: Generation(9), visible: true };
    let again = desk.commit(vec![desk.put_direct(DAY, (8, 9), &[]).await]).await;
    assert_eq!(again, Report::Committed(vec![done]));
}
