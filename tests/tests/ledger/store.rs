//! What lies in the tables, and for how long.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::hash::Hash128;
use proto::ids::Generation;
use proto::line::{BillingLineItem, LineBatch};
use proto::manifest::Manifest;
use proto::money::Share;
use proto::report::{FailureClass, Report};
use proto::row::RowMoney;
use proto::subject::{Stream, UnitAddress};
use proto::task::{CommitUnit, RestoreUnit};
use runtime::data::{BatchReader, DataError};

use crate::books::{amount, dimension, line, resolution, whole};
use crate::desk::{DAY, Desk, day};

const TEXTS: [&str; 12] = [
    "0",
    "1",
    "-1.5",
    "10000",
    "0.00001234",
    "12345.678",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "7.9228162514264337593543950335",
    "-0.0000000000000000000000000001",
    "9999.9999",
    "1000000000000000000000000",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_stored_to_the_digit() {
    let desk = Desk::start().await;
    let mut lines: Vec<_> = TEXTS.iter().zip(0..).map(|(text, n)| line(DAY, n, text)).collect();
    lines[2].measures =
        [Some(amount("-2.0000000001")), None, Some(amount("0")), Some(amount("1e-28"))];
    let wide = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let share = Share::from_texts("100000000000000000000000000000000000000010000", wide).unwrap();
    let rows: Vec<_> = lines
        .iter()
        .map(|line| (dimension("tag:checkout", 0, "direct"), RowMoney { share, ..whole(line) }))
        .collect();
    let manifest = desk.put_lines(DAY, 3, &lines).await;
    let rows = desk.put_rows(DAY, 7, &lines, &rows).await;
    desk.make_visible(desk.unit(DAY, 7, &manifest, rows)).await;
    let client = desk.client().await;
    for table in ["billing", "chargeback_facts"] {
        for (line, text) in lines.iter().zip(TEXTS) {
            let sql = format!("select amount::text from {table} where line = $1");
            let row = client.query_one(&sql, &[&line.id.0.0.as_slice()]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), text, "{table}");
        }
    }
    let measures =
        "select billed, effective, contracted, list from chargeback_facts where amount = -1.5";
    assert_eq!(desk.texts(measures).await, ["(-2.0000000001,,0,0.0000000000000000000000000001)"]);
    let shares = "select distinct share_num, share_den from chargeback_facts";
    assert_eq!(
        desk.texts(shares).await,
        [format!("(100000000000000000000000000000000000000010000,{wide})")]
    );
}

/// Ranges of blocks that are summarised while others fill them lose what was stored: nothing may be found by them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_found_by_trees() {
    let desk = Desk::start().await;
    desk.text("select ensure_month_partition('2026-05-01')::text").await;
    let methods = "select distinct c.relname::text, a.amname::text from pg_index i
        join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid join pg_am a on a.oid = x.relam
        where c.relname ~ '^(billing|chargeback_pieces|chargeback_splits)(_202605)?$' order by 1";
    let tables = ["billing", "chargeback_pieces", "chargeback_splits"];
    let wanted: Vec<String> = tables
        .iter()
        .flat_map(|table| [format!("({table},btree)"), format!("({table}_202605,btree)")])
        .collect();
    assert_eq!(desk.texts(methods).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn currencies_and_periods_of_one_date_stay_apart() {
    let desk = Desk::start().await;
    let mut lines: Vec<_> = (0..9).map(|n| line(DAY, n, "1.1")).collect();
    lines[1].currency = "EUR".parse().unwrap();
    lines[5].currency = "EUR".parse().unwrap();
    lines[5].billing_period = "2026-04".parse().unwrap();
    let unit = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.make_visible(unit).await;
    let sums =
        "select currency, billing_period, booking_period, sum(amount), count(distinct identity_id)
        from chargebacks group by 1, 2, 3 order by 1, 2";
    assert_eq!(
        desk.texts(sums).await,
        [
            "(EUR,2026-04,2026-04,1.1,1)",
            "(EUR,2026-05,2026-05,1.1,1)",
            "(USD,2026-05,2026-05,7.7,1)"
        ]
    );
    // Replayed under other rules: the lines are not read again, their currencies come from the database.
    let rows: Vec<_> =
        lines.iter().map(|line| (dimension("tag:search", 0, "direct"), whole(line))).collect();
    let rows = desk.put_rows(DAY, 8, &lines, &rows).await;
    let lines = desk.put_lines(DAY, 5, &lines).await;
    desk.make_visible(desk.unit(DAY, 8, &lines, rows)).await;
    assert_eq!(desk.text("select count(*) from billing").await, "9");
    let sums = "select currency, owner_id, sum(amount) from chargebacks group by 1, 2 order by 1";
    assert_eq!(desk.texts(sums).await, ["(EUR,search,2.2)", "(USD,search,7.7)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_are_kept_and_lines_are_stored_once() {
    let desk = Desk::start().await;
    let lines = [line(DAY, 1, "5"), line(DAY, 2, "6")];
    for generation in 10..15 {
        desk.make_visible(desk.put_direct(DAY, (generation - 5, generation), &lines).await).await;
    }
    let kept = "select string_agg(distinct generation::text, ',' order by generation::text) from chargeback_facts";
    let until = Instant::now() + Duration::from_secs(60);
    while desk.text(kept).await != "13,14" {
        assert!(Instant::now() < until, "kept are {}", desk.text(kept).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // All five generations were made from the same content: the lines of the first one serve.
    assert_eq!(
        desk.text("select string_agg(distinct generation::text, ',') from billing").await,
        "5"
    );
    assert_eq!(
        desk.texts("select kind, generation, count(*) from line_archive group by 1, 2").await,
        ["(line,5,1)"]
    );
    assert_eq!(desk.text("select sum(amount) from chargebacks").await, "11");
    // Other lines twice: the first ones go with the last generation that was made from them.
    for generation in 20..22 {
        let lines = [line(DAY, 1, "7")];
        desk.make_visible(desk.put_direct(DAY, (generation - 1, generation), &lines).await).await;
    }
    while desk.text("select count(*) from billing where generation = 5").await != "0" {
        assert!(Instant::now() < until, "lines of generation 5 are still there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(desk.text("select sum(amount) from chargebacks").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn dimensions_that_are_gone_are_noticed_and_stored_again() {
    let desk = Desk::start().await;
    let lines = [line(DAY, 1, "5")];
    desk.make_visible(desk.put_direct(DAY, (3, 7), &lines).await).await;
    // As after a restore from a backup that the emitter outlives.
    desk.execute("delete from chargeback_dimensions").await;
    let unit = desk.put_direct(DAY, (8, 9), &lines).await;
    desk.want(DAY, 9).await;
    let Report::Failed(failed) = desk.commit(vec![unit.clone()]).await else {
        panic!("committed without a dimension")
    };
    assert!(
        failed.class == FailureClass::Data && failed.reason.contains("0 are stored"),
        "{}",
        failed.reason
    );
    desk.make_visible(unit).await;
    assert_eq!(desk.texts("select owner_id, amount from chargebacks").await, ["(checkout,5)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colliding_dimension_is_refused() {
    let desk = Desk::start().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    desk.execute("update chargeback_dimensions set hash = '\\x00'").await;
    let mut other = desk;
    // A ledger that does not know the dimension yet.
    other.fire();
    other.hire();
    let unit = other.put_direct(DAY, (8, 9), &[line(DAY, 1, "5")]).await;
    other.want(DAY, 9).await;
    let Report::Failed(failed) = other.commit(vec![unit]).await else { panic!("committed") };
    assert!(failed.reason.contains("keys collide"), "{}", failed.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn months_are_made_beside_open_inserts() {
    let desk = Desk::start().await;
    desk.execute("select ensure_month_partition('2026-05-01')").await;
    let mut client = desk.client().await;
    let open = client.transaction().await.unwrap();
    let insert = "insert into billing (generation, dimension, charge_start, charge_end, date, tenant, line, amount)
        values (1, 1, now(), now(), '2026-05-31', 'acme', '\\x00', 1)";
    open.execute(insert, &[]).await.unwrap();
    let mut other = desk.client().await;
    let second = other.transaction().await.unwrap();
    second.batch_execute("set local lock_timeout = '5s'").await.unwrap();
    second
        .execute(
            "select ensure_month_partition(d) from unnest('{2026-06-30,2027-02-28}'::date[]) d",
            &[],
        )
        .await
        .unwrap();
    second.execute("select ensure_month_partition('2026-05-02')", &[]).await.unwrap();
    second.commit().await.unwrap();
    open.commit().await.unwrap();
    let made = "select string_agg(relname, ' ' order by relname) from pg_class
        where relispartition and relkind = 'r' and relname like 'billing%'";
    assert_eq!(desk.text(made).await, "billing_202605 billing_202606 billing_202702");
}

/// The lines of a manifest, as they lie in the stream.
async fn read(desk: &Desk, manifest: &Manifest) -> Result<Vec<BillingLineItem>, DataError> {
    let (tenant, source) = (&desk.tenant, &desk.source);
    let mut reader: BatchReader<LineBatch> =
        BatchReader::new(&desk.bus, Stream::Line, tenant, source, day(DAY), manifest);
    let mut found = Vec::new();
    while let Some(batch) = reader.next().await? {
        let lines = batch.open()?;
        for at in 0..lines.len() {
            found.push(lines.item(at)?);
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_lines_are_published_again_at_a_new_address() {
    let desk = Desk::start().await;
    let lines: Vec<_> = (0..7).map(|n| line(DAY, n, "1")).collect();
    let unit = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.make_visible(unit.clone()).await;
    desk.bus.purge(Stream::Line, &Stream::Line.wildcard()).await.unwrap();
    // Something else took the old address, which is written once.
    let address = UnitAddress::new(
        Stream::Line,
        &desk.tenant,
        &desk.source,
        day(DAY),
        unit.lines.generation,
        unit.lines.attempt,
    );
    let damage = Bytes::from_static(b"flipped bits");
    desk.bus.put(Stream::Line, &address.batch(1), damage).await.unwrap();
    assert!(read(&desk, &unit.lines).await.is_err());
    let asked = RestoreUnit { date: day(DAY), generation: Generation(9), lines: unit.lines.hash };
    let Report::Restored(done) = desk.restore(asked).await else { panic!("nothing is restored") };
    let restored = &done[0].lines;
    assert_eq!(
        (restored.items, restored.hash, &restored.totals),
        (7, unit.lines.hash, &unit.lines.totals)
    );
    assert_eq!(restored.generation, Generation(9));
    assert_eq!(read(&desk, restored).await.unwrap(), lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_other_lines_is_no_help() {
    let desk = Desk::start().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    let asked = |lines| RestoreUnit { date: day(DAY), generation: Generation(9), lines };
    let Report::Failed(failed) = desk.restore(asked(Hash128::of(b"other"))).await else {
        panic!("restored")
    };
    let class = (failed.step.as_str(), failed.class);
    assert_eq!(class, ("restore", FailureClass::Data), "{}", failed.reason);
    assert!(failed.reason.contains("not those in force"), "{}", failed.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_was_found_damaged_is_stored_again() {
    let desk = Desk::start().await;
    let lines: Vec<_> = (0..3).map(|n| line(DAY, n, "1")).collect();
    let first = desk.put_direct(DAY, (3, 7), &lines).await;
    desk.make_visible(first.clone()).await;
    let damage = "update line_archive set payload = substr(payload, 1, length(payload) - 1)";
    assert_eq!(desk.execute(damage).await, 1);
    let asked = |generation| RestoreUnit { date: day(DAY), generation, lines: first.lines.hash };
    let Report::Failed(failed) = desk.restore(asked(Generation(8))).await else {
        panic!("restored")
    };
    assert_eq!(failed.class, FailureClass::Data, "{}", failed.reason);
    // The source brings the same lines, and the commit after it keeps them anew.
    let again = desk.put_direct(DAY, (9, 10), &lines).await;
    assert_eq!(again.lines.hash, first.lines.hash);
    desk.make_visible(again).await;
    let Report::Restored(done) = desk.restore(asked(Generation(11))).await else {
        panic!("nothing is restored")
    };
    assert_eq!(read(&desk, &done[0].lines).await.unwrap(), lines);
    // From then on equal lines are stored once, as ever.
    let once = desk.put_direct(DAY, (12, 13), &lines).await;
    desk.make_visible(once).await;
    let kept = desk.text("select max(generation) from line_archive").await;
    assert_eq!(kept, "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn resolutions_that_were_found_damaged_are_stored_again() {
    let desk = Desk::start().await;
    let lines: Vec<_> = (0..3).map(|n| line(DAY, n, "1")).collect();
    let resolutions = ["a", "b"].map(|key| resolution(DAY, key));
    let made = async |lines_generation, generation| {
        let unit = desk.put_direct(DAY, (lines_generation, generation), &lines).await;
        let manifest = desk.put_resolutions(DAY, lines_generation, &resolutions).await;
        CommitUnit { resolutions: Some(manifest), ..unit }
    };
    let first = made(3, 4).await;
    desk.make_visible(first.clone()).await;
    let asked = |generation| RestoreUnit { date: day(DAY), generation, lines: first.lines.hash };
    let of =
        "where kind = 'resolution' and generation = (select max(generation) from line_archive)";
    // Cut, gone in part, gone, and one in the place of another: none of it is taken for what it was.
    let damages = [
        format!("update line_archive set payload = substr(payload, 1, length(payload) - 1) {of}"),
        format!("delete from line_archive {of} and batch = 1"),
        format!("delete from line_archive {of}"),
        format!(
            "update line_archive set payload = (select min(payload) from line_archive {of}) {of}"
        ),
    ];
    let mut generation = 10;
    for damage in damages {
        let Report::Restored(done) = desk.restore(asked(Generation(generation))).await else {
            panic!("nothing is restored")
        };
        let restored = done[0].resolutions.as_ref().expect("resolutions");
        assert_eq!(restored.hash, first.resolutions.as_ref().unwrap().hash);
        assert!(desk.execute(&damage).await > 0, "{damage}");
        let report = desk.restore(asked(Generation(generation + 1))).await;
        let Report::Failed(failed) = report else { panic!("restored after {damage}") };
        assert_eq!(failed.class, FailureClass::Data, "{damage}: {}", failed.reason);
        // The source brings the same lines and resolutions, and the commit after it keeps both anew.
        let again = made(generation + 2, generation + 3).await;
        assert_eq!(again.resolutions.as_ref().unwrap().hash, restored.hash);
        desk.make_visible(again).await;
        generation += 10;
    }
    let report = desk.restore(asked(Generation(generation))).await;
    assert!(matches!(report, Report::Restored(_)), "{report:?}");
    // From then on equal ones are stored once, as ever.
    desk.make_visible(made(generation + 1, generation + 2).await).await;
    let kept =
        desk.text("select max(generation) from line_archive where kind = 'resolution'").await;
    assert_eq!(kept, (generation - 8).to_string());
}
