//! The provider's own columns: the FOCUS files of a source have the same ones for every date and month.

use std::collections::BTreeMap;

use proto::line::Measure;
use tests::columnar;
use tests::output::{Row, contents, files, touched};
use tests::stand::Stand;
use tests::world;

use crate::assert_done;
use crate::focus::{bill, csv};

/// The records of the one date that they begin with, and a column of their own.
fn of(bill: &[Row], date: &str, column: &str) -> Vec<Row> {
    let of_date = bill.iter().filter(|row| row["ChargePeriodStart"].starts_with(date));
    let with = |row: &Row| {
        let mut row = row.clone();
        row.retain(|name, _| !name.starts_with("x_"));
        row.insert(column.to_owned(), format!("of {date}"));
        row
    };
    of_date.map(with).collect()
}

/// The provider's columns of each FOCUS file, by its name; those of Parquet hold what those of CSV do.
fn columns(stand: &Stand) -> BTreeMap<String, Vec<String>> {
    let found = contents(&stand.config().join("out/focus")).expect("what the program wrote");
    let of = |text: &String| -> Vec<String> {
        let header = text.lines().next().expect("a header");
        let (_, provider) = header.split_once("x_OriginRows").expect("our last column");
        provider.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let found: BTreeMap<_, _> = found.iter().map(|(name, text)| (name.clone(), of(text))).collect();
    let parquet = columnar::rows(&stand.config().join("out/parquet")).expect("files of ours");
    assert_eq!(parquet.len(), found.len());
    for ((_, rows), columns) in parquet.iter().zip(found.values()) {
        for column in columns {
            assert!(rows.iter().all(|row| row.contains_key(column)), "{column}");
        }
    }
    found
}

#[test]
fn every_date_has_the_columns_of_all() {
    let bill = bill();
    let stand = Stand::new("provider-columns");
    let tenant = world::tenant("USD", "bills/*.csv", Measure::Effective);
    let more = "  focus: { dir: out/focus }
  months: { kind: focus, dir: out/months, file: \"{month}.csv\" }
  parquet: { dir: out/parquet, decimals: 20 }
";
    stand.write("tenants/acme.yaml", format!("{tenant}{more}"));
    stand.write("bills/a.csv", csv(&of(&bill, "2026-05-30", "x_First")));
    stand.write("bills/b.csv", csv(&of(&bill, "2026-06-01", "x_Second")));
    assert_done(&stand.run_once(&[]), 2);
    let found = columns(&stand);
    assert_eq!(found.len(), 2);
    assert!(found.values().all(|columns| *columns == ["x_First", "x_Second"]), "{found:?}");
    let header = |stand: &Stand| -> Vec<String> {
        let months = contents(&stand.config().join("out/months")).expect("what the program wrote");
        months.values().map(|text| text.lines().next().unwrap_or_default().to_owned()).collect()
    };
    let months = header(&stand);
    assert!(months.len() == 2 && months[0] == months[1] && months[0].ends_with("x_Second"));

    // A date that comes later brings a column: the files that lie there get it, and their rows stay as they were.
    let before = contents(&stand.config().join("out/focus")).expect("what the program wrote");
    let untouched = files(&stand.csv()).expect("what the program wrote");
    stand.write("bills/c.csv", csv(&of(&bill, "2026-05-31", "x_Third")));
    assert_done(&stand.run_once(&[]), 1);
    let found = columns(&stand);
    assert_eq!(found.len(), 3);
    let all = ["x_First", "x_Second", "x_Third"];
    assert!(found.values().all(|columns| *columns == all), "{found:?}");
    let months = header(&stand);
    assert!(months.len() == 2 && months[0] == months[1] && months[0].ends_with("x_Third"));
    let now = contents(&stand.config().join("out/focus")).expect("what the program wrote");
    let records = |text: &str| -> Vec<csv::StringRecord> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        reader.records().map(|record| record.expect("CSV")).collect()
    };
    for (name, text) in &before {
        for (was, is) in records(text).iter().zip(records(&now[name])) {
            assert_eq!(
                was.iter().collect::<Vec<_>>(),
                is.iter().take(was.len()).collect::<Vec<_>>()
            );
        }
    }
    let csv_now = files(&stand.csv()).expect("what the program wrote");
    let changed = touched(&untouched, &csv_now);
    assert!(changed.iter().all(|name| name.contains("2026-05-31")), "{changed:?}");

    // It stays when the date goes, and nothing is written without a reason.
    let lying = files(&stand.config().join("out/focus")).expect("what the program wrote");
    assert_done(&stand.run_once(&[]), 0);
    let after = files(&stand.config().join("out/focus")).expect("what the program wrote");
    assert_eq!(touched(&lying, &after), Vec::<String>::new());
    stand.remove("bills/c.csv");
    stand.run_once(&[]);
    let found = columns(&stand);
    assert!(found.values().all(|columns| *columns == all), "{found:?}");
}
