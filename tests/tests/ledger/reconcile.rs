//! What is stored is compared again with what it was made of: every alteration is found and named.

use std::time::{Duration, Instant};

use emitter::reconcile::{Checked, Scope, check, record, units};
use proto::ids::{Generation, UnitKey};
use proto::line::BillingLineItem;
use proto::money::Share;
use proto::row::{RowDimension, RowMoney};

use crate::books::{amount, dimension, line, resolution};
use crate::desk::{DAY, Desk, day};

/// Lines with all that a line can have: two currencies, periods, measures, numbers beyond 63 bits, equal amounts.
fn bill(n: u32) -> Vec<BillingLineItem> {
    let texts = ["12.5", "12.5", "-1.5", "0", "7.9228162514264337593543950335", "100", "0.01"];
    let mut lines: Vec<_> = (0..n).map(|at| line(DAY, at, texts[at as usize % 7])).collect();
    lines[1].currency = "EUR".parse().unwrap();
    lines[2].billing_period = "2026-04".parse().unwrap();
    lines[3].measures = [Some(amount("2.25")), None, Some(amount("-4")), Some(amount("1e-28"))];
    lines[5].quantities = [Some(amount("3.5")), Some(amount("8"))];
    lines
}

/// All of each line is one owner's, and nothing of it another's.
fn parted(lines: &[BillingLineItem]) -> Vec<(RowDimension, RowMoney)> {
    let part = |line: &BillingLineItem, owner: &str, of: [u32; 2]| {
        let [num, den] = of.map(|n| n.to_string());
        let part = |whole| if of == [1, 1] { whole } else { amount("0") };
        let money = RowMoney {
            line: line.id,
            share: Share::from_texts(&num, &den).unwrap(),
            amount: part(line.amount),
            measures: line.measures.map(|measure| measure.map(part)),
            quantities: line.quantities.map(|quantity| quantity.map(part)),
        };
        (dimension(owner, 1, "even"), money)
    };
    let rows = |line| [part(line, "tag:checkout", [1, 1]), part(line, "tag:search", [0, 1])];
    lines.iter().flat_map(rows).collect()
}

struct World {
    desk: Desk,
    key: UnitKey,
    lines: Vec<BillingLineItem>,
}

/// A visible unit of generation 7.
async fn world() -> World {
    let desk = Desk::start().await;
    let lines = bill(40);
    let manifest = desk.put_lines(DAY, 3, &lines).await;
    let rows = desk.put_rows(DAY, 7, &lines, &parted(&lines)).await;
    let mut unit = desk.unit(DAY, 7, &manifest, rows);
    let resolutions = [resolution(DAY, "a"), resolution(DAY, "b")];
    unit.resolutions = Some(desk.put_resolutions(DAY, 4, &resolutions).await);
    desk.make_visible(unit).await;
    let (tenant, source) = (desk.tenant.clone(), desk.source.clone());
    World { desk, key: UnitKey { tenant, source, date: day(DAY) }, lines }
}

impl World {
    async fn check(&self) -> Checked {
        check(&self.desk.store, &self.key).await.unwrap().unwrap()
    }

    /// What differs after some statement, which must alter one tuple; then all is as before.
    async fn after(&self, sql: &str) -> Vec<String> {
        let client = self.desk.client().await;
        let tables = ["billing", "billing_dimensions", "chargeback_pieces", "chargeback_splits"];
        let more = ["chargeback_dimensions", "line_archive", "commits"];
        let all = || tables.iter().chain(&more);
        for table in all() {
            let keep = format!("create temp table kept_{table} as select * from {table}");
            client.batch_execute(&keep).await.unwrap();
        }
        assert_eq!(client.execute(sql, &[]).await.unwrap(), 1, "{sql}");
        let checked = self.check().await;
        for table in all() {
            let back = format!(
                "delete from {table}; insert into {table} select * from kept_{table};
                 drop table kept_{table}"
            );
            client.batch_execute(&back).await.unwrap();
        }
        let text = |d: &emitter::reconcile::Difference| {
            format!("{}: {} -> {}", d.what, d.expected, d.found)
        };
        checked.differences.iter().map(text).collect()
    }
}

/// Whether exactly these were told, each by its start.
fn assert_told(told: &[String], starts: &[&str]) {
    let same = told.len() == starts.len() && told.iter().zip(starts).all(|(t, s)| t.starts_with(s));
    assert!(same, "told {told:#?}, expected {starts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alteration_is_found_and_named() {
    let world = world().await;
    let clean = world.check().await;
    assert_eq!(
        (clean.generation, clean.lines, clean.rows, clean.differences.as_slice()),
        (Generation(7), 40, 80, &[][..])
    );
    // Rows: the first amount is 12.5 USD, of scale 1 or more.
    let hash = "hash of the rows: ";
    let cent = "update chargeback_pieces set units[1] = units[1] + (10 ^ (scale - 2))::int8
        where ctid = (select ctid from chargeback_pieces where scale >= 2 limit 1)";
    let told = world.after(cent).await;
    assert!(told[0].starts_with("amount of the rows in "), "{told:#?}");
    assert!(told.len() == 6 && told[5].starts_with(hash), "{told:#?}");
    let sums = |text: &str| -> Vec<proto::money::ExactSum> {
        let sums = text.split(": ").nth(1).unwrap().split(" -> ");
        sums.map(|sum| proto::money::ExactSum::parse(sum).unwrap()).collect()
    };
    let by = sums(&told[0]);
    assert_eq!(by[1].difference(&by[0]).to_string(), "0.01", "{told:#?}");
    let gone = "delete from chargeback_pieces
        where ctid = (select ctid from chargeback_pieces where amount is not null limit 1)";
    assert!(world.after(gone).await[0].starts_with("rows: 80 -> 78"));
    let part = "update chargeback_pieces set units = units[2:]
        where ctid = (select ctid from chargeback_pieces where cardinality(lines) > 1 limit 1)";
    let told = world.after(part).await;
    assert!(
        told[0] == "rows: 80 -> 79" && told[1].starts_with("readable rows: all -> "),
        "{told:#?}"
    );
    // The sum is the same: two amounts of a line, and two lines.
    let swapped = "update chargeback_pieces set units = units[2:2] || units[1:1] || units[3:]
        where ctid = (select ctid from chargeback_pieces where units[1] <> units[2] limit 1)";
    assert_told(&world.after(swapped).await, &[hash]);
    let lines = "update chargeback_pieces set lines = lines[2:2] || lines[1:1] || lines[3:]
        where ctid = (select ctid from chargeback_pieces where cardinality(lines) > 1 limit 1)";
    assert_told(&world.after(lines).await, &[hash]);
    let share = "update chargeback_splits set share_num = '{0,1}'
        where ctid = (select ctid from chargeback_splits limit 1)";
    assert_told(&world.after(share).await, &[hash]);
    let split =
        "delete from chargeback_splits where ctid = (select ctid from chargeback_splits limit 1)";
    let told = world.after(split).await;
    assert!(
        told[0].starts_with("readable rows: all -> split ")
            && told[0].ends_with("it is not stored"),
        "{told:#?}"
    );
    let owner = "update chargeback_dimensions set owner_id = 'search'
        where ctid = (select ctid from chargeback_dimensions where owner_id = 'checkout' limit 1)";
    let told = world.after(owner).await;
    assert!(
        told[0].contains("was altered") && told.iter().any(|t| t.starts_with(hash)),
        "{told:#?}"
    );
    // Lines.
    let hash = "hash of the lines: ";
    let cent = "update billing set amount = 12.51
        where ctid = (select ctid from billing where amount = 12.5 limit 1)";
    let told = world.after(cent).await;
    assert!(told[0].starts_with("amount of the lines in USD of 2026-05: "), "{told:#?}");
    let swapped = "update billing set line = substr(line, 1, 15) || '\\x00'
        where ctid = (select ctid from billing where substr(line, 16) <> '\\x00' limit 1)";
    assert_told(&world.after(swapped).await, &[hash]);
    let late = "update billing set charge_end = charge_end + interval '1 second'
        where ctid = (select ctid from billing limit 1)";
    assert_told(&world.after(late).await, &[hash]);
    let gone = "delete from billing where ctid = (select ctid from billing limit 1)";
    assert!(world.after(gone).await[0].starts_with("lines: 40 -> 39"));
    let text = "update billing_dimensions set resource_id = 'other'
        where ctid = (select ctid from billing_dimensions where resource_id = 'r-7')";
    let told = world.after(text).await;
    assert!(
        told[0].starts_with("readable lines: all -> line ") && told[0].contains("was altered"),
        "{told:#?}"
    );
    let wide = "update billing set amount = 79228162514264337593543950336
        where ctid = (select ctid from billing limit 1)";
    assert!(world.after(wide).await[0].contains("more digits than an amount holds"));
    // The archive, and what a commit says.
    let batch = "delete from line_archive where kind = 'line' and batch = 2";
    let told = world.after(batch).await;
    assert_told(&told[..2], &["archived lines: 40 -> 37", "hash of the archived lines: "]);
    let damaged =
        "update line_archive set payload = substr(payload, 2) where kind = 'line' and batch = 2";
    assert_told(&world.after(damaged).await, &["archive: lines and resolutions -> "]);
    let resolutions = "delete from line_archive where kind = 'resolution' and batch = 1";
    assert_told(&world.after(resolutions).await, &["hash of the archived resolutions: "]);
    let commit = "delete from commits";
    assert_told(
        &world.after(commit).await,
        &["commit: a record of what the generation was made of -> none"],
    );
    let rows = "update commits set rows = 81";
    assert_told(&world.after(rows).await, &["visible number of rows: 81 -> 80", "rows: 81 -> 80"]);
    assert_eq!(world.check().await, clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_replaced_meanwhile_is_no_finding() {
    let world = world().await;
    let World { desk, key, lines } = &world;
    let checking = async {
        let (mut checks, mut seen) = (0, std::collections::BTreeSet::new());
        while !seen.contains(&Generation(19)) {
            let checked = world.check().await;
            assert_eq!(checked.differences, [], "generation {}", checked.generation);
            record(&desk.store, key, &checked).await.unwrap();
            seen.insert(checked.generation);
            checks += 1;
        }
        (checks, seen.len())
    };
    let replacing = async {
        for generation in 8..20 {
            let lines = &lines[..usize::try_from(generation).unwrap()];
            desk.make_visible(desk.put_direct(DAY, (generation, generation), lines).await).await;
        }
    };
    let ((checks, seen), ()) = tokio::join!(checking, replacing);
    assert!(seen > 1 && checks >= seen, "{checks} checks saw {seen} generations");
    assert_eq!(desk.text("select count(*) from reconcile_findings").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_come_by_schedule_and_go_with_a_clean_check_or_another_generation() {
    let mut world = world().await;
    let open = "select string_agg(what || ' ' || expected || ' ' || found, ';' order by what) from findings";
    let until = async |desk: &Desk, sql: &str, wanted: &str| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while desk.text(sql).await != wanted {
            let found = desk.text(sql).await;
            assert!(Instant::now() < deadline, "{sql}: {found} instead of {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(world.desk.text("select visible_checked_at from pipeline_state").await, "null");
    world.desk.fire();
    world.desk.settings.reconcile_every = 1;
    // Two of them take turns.
    world.desk.hire();
    world.desk.hire();
    let desk = &world.desk;
    until(desk, "select visible_checked_at is not null from pipeline_state", "true").await;
    assert_eq!(desk.text(open).await, "null");
    let alter = |rows: i64| format!("update commits set rows = {rows} where generation = 7");
    assert_eq!(desk.execute(&alter(81)).await, 1);
    until(desk, open, "rows 81 80;visible number of rows 81 80").await;
    let since = desk.text("select min(found_at) from findings").await;
    let again = "select visible_checked_at > found_at + interval '1 second' from findings join pipeline_state using (date) limit 1";
    until(desk, again, "true").await;
    assert_eq!(desk.text("select min(found_at) from findings").await, since, "it is the same one");
    assert_eq!(desk.execute(&alter(80)).await, 1);
    until(desk, open, "null").await;
    assert_eq!(desk.execute(&alter(81)).await, 1);
    until(desk, open, "rows 81 80;visible number of rows 81 80").await;
    let unit = desk.put_direct(DAY, (8, 9), &world.lines).await;
    desk.make_visible(unit).await;
    assert_eq!(desk.text(open).await, "null", "another generation is visible");
    until(desk, "select count(*) from reconcile_findings", "0").await;
    let scope = |to: &str| Scope {
        to: Some(day(to)),
        tenant: Some(desk.tenant.clone()),
        ..Scope::default()
    };
    let listed = units(&desk.store, &scope(DAY), None).await.unwrap();
    assert_eq!(listed, [world.key.clone()]);
    assert_eq!(units(&desk.store, &scope(DAY), Some(&world.key)).await.unwrap(), []);
    assert_eq!(units(&desk.store, &scope("2026-04-30"), None).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_without_rows_is_no_finding() {
    let desk = Desk::start().await;
    desk.make_visible(desk.put_direct(DAY, (3, 7), &[]).await).await;
    let key = UnitKey { tenant: desk.tenant.clone(), source: desk.source.clone(), date: day(DAY) };
    let checked = check(&desk.store, &key).await.unwrap().unwrap();
    assert_eq!((checked.lines, checked.rows, checked.differences), (0, 0, Vec::new()));
    let other = UnitKey { date: day("2026-05-02"), ..key };
    assert_eq!(check(&desk.store, &other).await.unwrap(), None);
}
