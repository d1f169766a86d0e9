//! CSV files of visible dates.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use proto::hash::Hash128;
use proto::money::Share;
use proto::report::{Emitted, Report};
use proto::row::{CostType, RowDimension, RowMoney, UNALLOCATED};

use crate::books::{amount, dimension, line};
use crate::desk::{DAY, Desk};

const HEADER: &str = "ecosystem,tenant_id,source,timestamp,resource_id,product_category,product_type,identity_id,\
    cost_type,amount,currency,allocation_method,allocation_detail,line_id,rule,charge_period_end,billing_period,\
    booking_period,invoice_id,provider,billing_account_id,sub_account_id,service,charge_category,charge_class,owner_id,\
    quantity,unit,billed,effective,contracted,list,entry\n";

fn file(desk: &Desk, date: &str) -> PathBuf {
    desk.out.path().join(format!("out/csv/acme_cloud_{date}.csv"))
}

fn emitted(report: Report) -> Emitted {
    let Report::Emitted(done) = report else { panic!("{report:?}") };
    done.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_the_rows_in_their_order() {
    let desk = Desk::start().await;
    let config = desk.configure().await;
    // The later hour comes first in the bill, and its rows come unsorted.
    let lines = [line(DAY, 5, "10"), line(DAY, 2, "-0.0000000000000000000000000001")];
    let share = |num| Share::from_narrow(num, 4).unwrap();
    let part = |n: usize, num, cost| RowMoney {
        line: lines[n].id,
        share: share(num),
        amount: amount(cost),
        measures: [None, Some(amount("0")), None, None],
        quantities: [None, Some(amount("0.5"))],
    };
    let shared =
        |dimension: RowDimension| RowDimension { cost_type: CostType::Shared, ..dimension };
    let unowned = RowDimension {
        owner: UNALLOCATED.into(),
        identity: UNALLOCATED.into(),
        detail: Some("no_driver".into()),
        ..dimension(UNALLOCATED, 1, "unallocated")
    };
    let rows = [
        (unowned, part(0, 1, "2.5")),
        (shared(dimension("principal:é", 0, "even")), part(0, 2, "5")),
        (shared(dimension("principal:z", 0, "even")), part(0, 1, "2.5")),
        (
            dimension("tag:checkout", 0, "direct"),
            RowMoney { share: Share::ONE, ..part(1, 4, "-1e-28") },
        ),
    ];
    let manifest = desk.put_lines(DAY, 3, &with_zero_effective(&lines)).await;
    let rows = desk.put_rows(DAY, 7, &lines, &rows).await;
    desk.make_visible(desk.unit(DAY, 7, &manifest, rows)).await;

    let done = emitted(desk.emit(config, DAY, 7).await);
    let ids = lines.each_ref().map(|line| line.id.to_string());
    let row = |hour: &str,
               id: &str,
               n: u32,
               identity: &str,
               kind: &str,
               cost: &str,
               method: &str,
               owner: &str| {
        let next = format!("{:02}", hour.parse::<u32>().unwrap() + 1);
        format!(
            "focus,acme,cloud,2026-05-01T{hour}:00:00Z,r-{n},Compute,'=vm,{identity},{kind},{cost},USD,{method},{id},\
             by-account,2026-05-01T{next}:00:00Z,2026-05,2026-05,,,0123,,'=vm,,,{owner},0.5,,{cost},0,{cost},{cost},original\n"
        )
    };
    let expected = [
        HEADER.to_owned(),
        row(
            "02",
            &ids[1],
            2,
            "tag:checkout",
            "usage",
            "-0.0000000000000000000000000001",
            "direct,",
            "checkout",
        ),
        row("05", &ids[0], 5, "principal:z", "shared", "2.5", "even,", "z"),
        row("05", &ids[0], 5, "principal:é", "shared", "5", "even,", "é"),
        row("05", &ids[0], 5, UNALLOCATED, "usage", "2.5", "unallocated,no_driver", UNALLOCATED),
    ];
    let text = std::fs::read_to_string(file(&desk, DAY)).unwrap();
    assert_eq!(text, expected.concat());
    assert_eq!((done.rows, done.bytes, done.generation.0), (4, text.len() as u64, 7));
    assert_eq!(
        (done.hash, done.target),
        (Hash128::of(text.as_bytes()), file(&desk, DAY).display().to_string())
    );

    // Again: equal content is left as it lies, and no temporary file stays.
    let inode = std::fs::metadata(file(&desk, DAY)).unwrap().ino();
    assert_eq!(emitted(desk.emit(config, DAY, 7).await).hash, done.hash);
    assert_eq!(std::fs::metadata(file(&desk, DAY)).unwrap().ino(), inode);
    assert_eq!(std::fs::read_dir(desk.out.path().join("out/csv")).unwrap().count(), 1);
}

fn with_zero_effective(
    lines: &[proto::line::BillingLineItem],
) -> Vec<proto::line::BillingLineItem> {
    let mut lines = lines.to_vec();
    lines.iter_mut().for_each(|line| line.measures[1] = Some(amount("0")));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_visible_generation_is_emitted_and_an_empty_one_replaces() {
    let desk = Desk::start().await;
    let config = desk.configure().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    desk.make_visible(desk.put_direct(DAY, (8, 9), &[line(DAY, 1, "6")]).await).await;
    let done = emitted(desk.emit(config, DAY, 7).await);
    assert_eq!((done.generation.0, done.rows), (9, 1));
    assert!(std::fs::read_to_string(file(&desk, DAY)).unwrap().contains(",usage,6,USD,"));
    desk.make_visible(desk.put_direct(DAY, (10, 11), &[]).await).await;
    let done = emitted(desk.emit(config, DAY, 11).await);
    assert_eq!((done.generation.0, done.rows), (11, 0));
    assert_eq!(std::fs::read_to_string(file(&desk, DAY)).unwrap(), HEADER);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_is_compared_and_emitted_again_only_where_it_differs() {
    let desk = Desk::start().await;
    let config = desk.configure().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    let first = emitted(desk.emit(config, DAY, 7).await);
    let path = file(&desk, DAY);
    let (text, inode) = (std::fs::read(&path).unwrap(), || std::fs::metadata(&path).unwrap().ino());
    let same = |again: &Emitted| {
        let pick = |e: &Emitted| (e.generation, e.rows, e.bytes, e.hash, e.target.clone());
        assert_eq!(pick(again), pick(&first));
        assert_eq!(std::fs::read(&path).unwrap(), text);
    };
    // As it was left: not touched. Rows are not even read, so that comparing many dates is cheap.
    let before = inode();
    desk.execute("update pipeline_state set visible_lines_generation = 99").await;
    same(&emitted(desk.compare(config, &first).await));
    assert_eq!(inode(), before);
    desk.execute("update pipeline_state set visible_lines_generation = 3").await;
    // Gone, cut, and changed in one byte of the same size.
    std::fs::remove_file(&path).unwrap();
    same(&emitted(desk.compare(config, &first).await));
    std::fs::write(&path, &text[..text.len() - 1]).unwrap();
    same(&emitted(desk.compare(config, &first).await));
    let mut changed = text.clone();
    *changed.last_mut().unwrap() = b' ';
    std::fs::write(&path, &changed).unwrap();
    same(&emitted(desk.compare(config, &first).await));
    // A newer generation became visible meanwhile: it is what is emitted, whatever lies there.
    desk.make_visible(desk.put_direct(DAY, (8, 9), &[line(DAY, 1, "6")]).await).await;
    let newer = emitted(desk.compare(config, &first).await);
    assert_eq!(newer.generation.0, 9);
    assert!(std::fs::read_to_string(&path).unwrap().contains(",usage,6,USD,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_stream_in_order_while_several_emit_the_same_date() {
    let mut desk = Desk::start().await;
    desk.hire();
    let config = desk.configure().await;
    let lines: Vec<_> = (0..1_500).map(|n| line(DAY, n, "1")).collect();
    let identities = ["tag:b", "tag:a", "tag:c"];
    let rows: Vec<_> = lines
        .iter()
        .flat_map(|line| {
            let costs = ["0.4", "0.35", "0.25"];
            identities.iter().zip(costs).map(|(identity, cost)| {
                let share = Share::from_narrow(1, 3).unwrap();
                let money = RowMoney { share, amount: amount(cost), ..crate::books::whole(line) };
                (dimension(identity, 0, "even"), money)
            })
        })
        .collect();
    let manifest = desk.put_lines(DAY, 3, &lines).await;
    let rows = desk.put_rows(DAY, 7, &lines, &rows).await;
    desk.make_visible(desk.unit(DAY, 7, &manifest, rows)).await;
    for _ in 0..4 {
        desk.send_emit(config, DAY, 7).await;
    }
    let first = emitted(desk.report().await);
    for _ in 1..4 {
        let report = desk.report().await;
        // Busy is told once redelivery has not helped.
        if let Report::Failed(failed) = report {
            assert!(failed.reason.contains("is being emitted"), "{}", failed.reason);
        } else {
            assert_eq!(emitted(report).hash, first.hash);
        }
    }
    let mut reader = csv::Reader::from_path(file(&desk, DAY)).unwrap();
    let keys: Vec<_> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            (record[3].to_owned(), record[13].to_owned(), record[7].to_owned())
        })
        .collect();
    assert_eq!(keys.len(), 4_500);
    assert!(keys.is_sorted() && first.rows == 4_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_named() {
    let desk = Desk::start().await;
    let config = desk.configure().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[line(DAY, 1, "5")]).await).await;
    std::fs::write(desk.out.path().join("out"), "a file in the way").unwrap();
    let Report::Failed(failed) = desk.emit(config, DAY, 7).await else { panic!("emitted") };
    assert!(
        failed.reason.starts_with("failed to make folder") && failed.reason.contains("out/csv"),
        "{}",
        failed.reason
    );
    assert_eq!(failed.step, "emit-csv");
}
