//! Pieces of lines: several in a tuple, read as they came, and none that is stored otherwise becomes visible.

use std::collections::BTreeSet;

use proto::line::BillingLineItem;
use proto::money::{Amount, Share};
use proto::report::{FailureClass, Report};
use proto::row::{RowDimension, RowMoney};
use proto::task::CommitUnit;

use crate::books::{amount, dimension, line};
use crate::desk::{DAY, Desk};

/// Parts of each line, in quarters of it.
const QUARTERS: [i128; 3] = [2, 1, 1];
const LINES: u32 = 60;

/// Quarters, as so many units of a scale.
fn quarters(count: i128, units: i128, scale: u32) -> Amount {
    amount(&format!("{}e-{scale}", count * units))
}

/// A line and its rows. Lines differ in their decimals; some are too large for whole numbers of 63 bits, some have
/// measures of their own in all parts or but one, some a second quantity.
fn booked(n: u32) -> (BillingLineItem, Vec<(RowDimension, RowMoney)>) {
    let (scale, units) = (n % 11, i128::from(n) * 977 - 20_000);
    let units = if n % 13 == 5 { units * 1_000_000_000_000_000 + 7 } else { units };
    let money = |quarters: &dyn Fn(i128, u32) -> Amount, quarter: i128, first: bool| {
        let billed = n.is_multiple_of(3).then(|| quarters(quarter * 3, scale + 2));
        let list = (n.is_multiple_of(5) && first).then(|| quarters(quarter + 1, scale));
        let consumed = n.is_multiple_of(4).then(|| quarters(quarter, 12));
        (
            quarters(quarter, scale),
            [billed, None, None, list],
            [Some(quarters(quarter, 1)), consumed],
        )
    };
    let of = |count, scale| quarters(count, units, scale);
    let mut item = line(DAY, n, "0");
    (item.amount, item.measures, item.quantities) = money(&of, 4, true);
    // A part's list price that is not its own is its amount: only the first has another, by one quarter.
    let part = |(at, quarter): (usize, &i128)| {
        let (amount, measures, quantities) = money(&of, *quarter, at == 0);
        let share = Share::from_texts(&quarter.to_string(), "4").unwrap();
        let who = dimension(&format!("tag:team-{at}"), 0, "by-quarters");
        (who, RowMoney { line: item.id, share, amount, measures, quantities })
    };
    let rows = QUARTERS.iter().enumerate().map(part).collect();
    (item, rows)
}

async fn put(desk: &Desk, generation: i64) -> (CommitUnit, Vec<(RowDimension, RowMoney)>) {
    let (lines, rows): (Vec<_>, Vec<_>) = (0..LINES).map(booked).unzip();
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    let manifest = desk.put_lines(DAY, generation - 1, &lines).await;
    let stored = desk.put_rows(DAY, generation, &lines, &rows).await;
    (desk.unit(DAY, generation, &manifest, stored), rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_share_a_split_share_tuples_and_read_as_they_came() {
    let desk = Desk::start().await;
    let (unit, rows) = put(&desk, 7).await;
    desk.make_visible(unit).await;
    let text = |amount: Option<Amount>| amount.map_or("-".into(), |amount| amount.to_string());
    let expected = rows.iter().map(|(dimension, money)| {
        let RowMoney { line, share, amount, measures: m, quantities: q } = money;
        let numbers = [Some(*amount), m[0], m[1], m[2], m[3], q[0], q[1]].map(text).join(" ");
        format!("{} {} {}/{} {numbers}", line.0, dimension.identity, share.num(), share.den())
    });
    let sql = "select concat_ws(' ', encode(f.line, 'hex'), d.identity_id, f.share_num || '/' || f.share_den, f.amount,
            coalesce(f.billed::text, '-'), coalesce(f.effective::text, '-'), coalesce(f.contracted::text, '-'),
            coalesce(f.list::text, '-'), coalesce(f.pricing_quantity::text, '-'),
            coalesce(f.consumed_quantity::text, '-'))
        from chargeback_facts f join chargeback_dimensions d on d.tenant = f.tenant and d.id = f.dimension";
    let client = desk.client().await;
    let found = client.query(sql, &[]).await.unwrap();
    assert_eq!(found.len(), rows.len());
    let found: BTreeSet<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, expected.collect::<BTreeSet<_>>());
    let tuples = "select (count(*) filter (where units is not null), max(cardinality(lines)) > 5,
            count(*) filter (where amount is not null))::text
        from chargeback_pieces";
    assert_eq!(desk.text(tuples).await, "(11,t,5)");
    // What is read for the outputs is the same.
    let visible = "select count(*)::text from chargebacks c join chargeback_facts f on c.line_id = encode(f.line, 'hex')
        and c.share_num / c.share_den = f.share_num / f.share_den and c.amount = f.amount
        and c.billed = coalesce(f.billed, f.amount) and c.list = coalesce(f.list, f.amount)
        join chargeback_dimensions d on d.id = f.dimension and d.identity_id = c.identity_id";
    assert_eq!(desk.text(visible).await, rows.len().to_string());
}

/// Whatever goes wrong between what was sent and what is stored: it is noticed before anybody can see it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_otherwise_than_it_was_sent_does_not_become_visible() {
    let desk = Desk::start().await;
    let (unit, _) = put(&desk, 7).await;
    desk.want(DAY, 7).await;
    for change in [
        "new.units[1] := new.units[1] + 1;",
        "new.units[1] := null;",
        "new.units := new.units[2:];",
        "new.lines := new.lines[2:];",
        "new.lines := new.lines || new.lines; new.units := new.units || new.units;",
        "new.billed_units[1] := new.billed_units[1] + 1;",
        "new.list_units[1] := new.list_units[1] - 1;",
        "new.scale := new.scale + 1;",
        "new.split := new.split + 1;",
        "new.tenant := 'another';",
        "new.amount[2] := new.amount[2] * 2;",
        "new.amount := new.amount || new.amount;",
        "return null;",
    ] {
        let form = if change.contains("new.amount") { "amount" } else { "units" };
        let function = format!(
            "create or replace function change() returns trigger language plpgsql as
            $$ begin if new.{form} is not null then {change} end if; return new; end $$;
            create or replace trigger change before insert on chargeback_pieces
            for each row execute function change()"
        );
        desk.client().await.batch_execute(&function).await.unwrap();
        let Report::Failed(failed) = desk.commit(vec![unit.clone()]).await else {
            panic!("visible in spite of {change}")
        };
        assert_eq!(failed.class, FailureClass::Data, "{change}: {}", failed.reason);
        assert!(
            failed.reason.contains("integrity: rows of 2026-05-01"),
            "{change}: {}",
            failed.reason
        );
    }
    desk.execute("drop trigger change on chargeback_pieces").await;
    desk.make_visible(unit).await;
}
