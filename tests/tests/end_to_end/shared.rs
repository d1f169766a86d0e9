//! Bills that are not part of the project, where they are there: `../shared/data/focus`, beside the checkout.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use proto::money::Amount;
use tests::output::{Row, csv_sums, rows};
use tests::stand::Stand;

use crate::{assert_done, of};

/// Tenant, file, its BilledCost, and pairs of lines in it that agree in everything but amounts and quantities.
const BILLS: [(&str, &str, &str, usize); 4] = [
    ("sample", "focus-1.0_sample_1000.csv", "20.52022672899", 0),
    ("aws", "focus_1_2_cost_and_usage_aws.csv.gz", "25993.813466032605", 7),
    ("azure", "focus_1_2_cost_and_usage_azure.csv.gz", "38965.31479412736", 8),
    ("gcp", "focus_1_2_cost_and_usage_gcp.csv.gz", "30378.7612419533505", 5),
];

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/focus")
}

pub(crate) fn is_there() -> bool {
    let there = folder().is_dir();
    if !there {
        println!("skipped: there are no shared bills in {}", folder().display());
    }
    there
}

/// The records of a bill, by column.
pub(crate) fn records(file: &str) -> Vec<Row> {
    let bytes = fs::read(folder().join(file)).expect("it can be read");
    let mut text = Vec::new();
    if file.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("it is gzip");
    } else {
        text = bytes;
    }
    csv::Reader::from_reader(&text[..]).deserialize().collect::<Result<_, _>>().expect("it is CSV")
}

/// How often what `key` makes of the items is there.
fn counted<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    items.iter().for_each(|item| *counts.entry(key(item)).or_default() += 1);
    counts
}

fn is_amount(column: &str) -> bool {
    column.ends_with("Cost") || column.ends_with("Price") || column.ends_with("Quantity")
}

/// Pairs that agree in all columns but amounts.
fn twins(records: &[Row]) -> usize {
    let texts = |record: &Row| -> Vec<String> {
        record
            .iter()
            .filter(|(column, _)| !is_amount(column))
            .map(|(_, cell)| cell.clone())
            .collect()
    };
    counted(records, texts).values().map(|count| count * (count - 1) / 2).sum()
}

#[test]
fn the_shared_bills_come_to_their_known_totals() {
    if !is_there() {
        return;
    }
    let stand = Stand::new("shared");
    for (tenant, file, ..) in BILLS {
        let path = folder().canonicalize().unwrap().join(file);
        let source =
            format!("cloud: {{ kind: focus, files: [\"{}\"], cost: BilledCost }}", path.display());
        let text = format!("sources: {{ {source} }}\nemitters: {{ csv: {{ dir: out/csv }} }}\n");
        stand.write(&format!("tenants/{tenant}.yaml"), text);
    }
    let run = stand.run_once(&[]);
    let units: u64 =
        BILLS.iter().filter_map(|(tenant, ..)| of(&run, tenant)["dates"].as_u64()).sum();
    assert_done(&run, usize::try_from(units).unwrap());
    let csv = csv_sums(&stand.csv()).unwrap();
    let all = rows(&stand.csv()).unwrap();
    for (tenant, file, billed, pairs) in BILLS {
        let found = of(&run, tenant);
        assert_eq!((&found["lines"], &found["rows"]), (&1_000.into(), &1_000.into()), "{found}");
        let totals = &found["totals"]["USD"];
        for field in ["received", "amount"] {
            assert_eq!(totals[field], billed, "{field} of {tenant}");
        }
        assert_eq!(totals["measures"]["billed"], billed, "{tenant}");
        assert_eq!(totals["difference"], "0", "{tenant}");
        let emitted = &csv[&(tenant.to_owned(), "cloud".to_owned(), "USD".to_owned())];
        assert_eq!(emitted.sums.amount.to_string(), billed, "{tenant}");

        // Every line is there on its own: as many ids as lines, and each with its amount.
        let mine: Vec<&Row> = all.iter().filter(|row| row["tenant_id"] == tenant).collect();
        assert_eq!(counted(&mine, |row| row["line_id"].clone()).len(), 1_000, "{tenant}");
        let records = records(file);
        assert_eq!(twins(&records), pairs, "pairs in {file}");
        let read = |text: &str| Amount::parse(text).unwrap();
        let sent =
            counted(&records, |line| (line["ServiceName"].clone(), read(&line["BilledCost"])));
        let kept = counted(&mine, |row| (row["service"].clone(), read(&row["amount"])));
        assert_eq!(kept, sent, "{tenant}");
    }
    let sample = &of(&run, "sample")["totals"]["USD"]["measures"];
    assert_eq!(sample["effective"], "14.97651418586");
    assert_eq!(sample["list"], "20.39090575119");
}
