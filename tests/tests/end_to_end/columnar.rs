//! Parquet in and out: a bill as Parquet is the bill as CSV, and a FOCUS file as Parquet is the one as CSV.

use proto::config::field::FOCUS_COLUMNS;
use proto::line::Measure;
use proto::money::Amount;
use tests::columnar;
use tests::focus::{Version, rows};
use tests::output::{Row, contents};
use tests::stand::Stand;
use tests::world;

use crate::assert_done;
use crate::focus::{bill, csv};

fn stand(name: &str) -> Stand {
    let stand = Stand::new(name);
    let tenant = world::tenant("USD", "bills/*", Measure::Effective);
    let more = "  focus: { dir: out/focus }
  parquet: { dir: out/parquet, decimals: 20 }
  focus-1-3: { kind: focus, format: parquet, version: \"1.3\", dir: out/focus-1-3, decimals: 20 }
";
    stand.write("tenants/acme.yaml", format!("{tenant}{more}"));
    stand
}

/// Numbers as they are meant, whatever zeros they are written with.
fn plain(row: &Row) -> Row {
    let number = |name: &str| {
        (FOCUS_COLUMNS.contains(&name) || name.starts_with("x_Origin"))
            && ["Cost", "Price", "Quantity"].iter().any(|end| name.ends_with(end))
    };
    let cell = |(name, text): (&String, &String)| match Amount::parse(text) {
        Ok(amount) if number(name) => (name.clone(), amount.to_text().to_string()),
        _ => (name.clone(), text.clone()),
    };
    row.iter().map(cell).collect()
}

#[test]
fn parquet_is_csv_on_both_sides() {
    let bill = bill();
    let (as_csv, as_parquet) = (stand("columnar-csv"), stand("columnar-parquet"));
    as_csv.write("bills/cloud.csv", csv(&bill));
    std::fs::create_dir_all(as_parquet.config().join("bills")).expect("the folder is ours");
    // What a file is, its content tells.
    columnar::write(&as_parquet.config().join("bills/cloud.bill"), &bill).expect("a sound bill");
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| as_csv.run_once(&[]));
        (as_parquet.run_once(&[]), first.join().expect("it does not panic"))
    });
    assert_done(&first, 3);
    assert_done(&second, 3);
    let read = |stand: &Stand, folder: &str| {
        contents(&stand.config().join(folder)).expect("what the program wrote")
    };
    let chargeback = read(&as_parquet, "out/csv");
    assert!(chargeback.len() == 3 && chargeback.values().all(|text| text.lines().count() > 50));
    assert_eq!(read(&as_csv, "out/csv"), chargeback, "ids of lines included");
    assert_eq!(read(&as_csv, "out/focus").len(), 3);

    let parquet = |folder: &str| {
        let found = columnar::rows(&as_parquet.config().join(folder)).expect("files of ours");
        assert!(found.len() == 3 && found.keys().all(|name| name.ends_with(".parquet")));
        found.into_values().flatten().collect::<Vec<Row>>()
    };
    let (wanted, found) = (
        rows(&as_parquet.config().join("out/focus"), Version::V1_2).expect("FOCUS"),
        parquet("out/parquet"),
    );
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(*found, plain(wanted));
    }
    let newer = parquet("out/focus-1-3");
    assert_eq!((newer.len(), newer[0].len()), (found.len(), found[0].len() + 8));
    for (newer, found) in newer.iter().zip(&found) {
        assert!(found.iter().all(|(name, text)| newer[name] == *text));
    }
}
