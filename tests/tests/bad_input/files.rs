//! Bills that cannot be read: the source fails, and neither the tenant's other sources nor other tenants do.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proto::line::Measure;
use proto::time::UnitDate;
use tests::output::{csv_sums, files, touched};
use tests::stand::{Finished, Stand};
use tests::world::{self, Line};

use crate::{assert_says, of};

const DATE: &str = "2026-05-03";

fn bill(seed: u64) -> Vec<Line> {
    world::bill(seed, "USD", DATE.parse::<UnitDate>().unwrap(), 1, 20)
}

/// The bill without the column that every tenant's `cost` names.
fn without_cost(bill: &[u8]) -> Vec<u8> {
    let mut reader = csv::Reader::from_reader(bill);
    let cut = |record: &csv::StringRecord| record.iter().skip(1).map(str::to_owned).collect();
    let header: Vec<String> = cut(reader.headers().unwrap());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).unwrap();
    for record in reader.records() {
        let cells: Vec<String> = cut(&record.unwrap());
        writer.write_record(cells).unwrap();
    }
    writer.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Tenants whose only source is named by its trouble, beside `good` without any and `mixed` with a source of each.
fn scene() -> Stand {
    let stand = Stand::new("files");
    let bytes = world::csv(&bill(1));
    let tenant = |name: &str, files: &str| {
        stand.write(&format!("tenants/{name}.yaml"), world::tenant("USD", files, Measure::Billed));
    };
    tenant("good", "bills/good.csv");
    stand.write("bills/good.csv", &bytes);
    tenant("missing", "bills/none.csv");
    tenant("closed", "bills/good.csv/more.csv");
    tenant("glob", "bills/2026-*.csv.gz");
    tenant("cut", "bills/cut.csv.gz");
    let whole = gzip(&bytes);
    stand.write("bills/cut.csv.gz", &whole[..whole.len() / 2]);
    tenant("column", "bills/column.csv");
    stand.write("bills/column.csv", without_cost(&bytes));
    tenant("twins", "bills/twin-*.csv");
    stand.write("bills/twin-1.csv", &bytes);
    stand.write("bills/twin-2.csv", &bytes);
    let mixed = world::tenant("USD", "bills/cut.csv.gz", Measure::Billed);
    let second =
        "sources:\n  whole: { kind: focus, files: [\"bills/good.csv\"], cost: BilledCost }\n";
    stand.write("tenants/mixed.yaml", mixed.replace("sources:\n", second));
    stand
}

/// The source's lines are those of [`bill`], in the summary and in its files.
fn assert_whole(stand: &Stand, run: &Finished, tenant: &str, source: &str) {
    let found = of(run, tenant, source);
    let lines = bill(1);
    let sums = &world::sums(&lines, Measure::Billed)["USD"];
    assert_eq!(found["lines"], lines.len(), "{found}");
    assert_eq!(found["totals"]["USD"]["amount"], sums.amount.to_string(), "{found}");
    assert_eq!(found["totals"]["USD"]["difference"], "0", "{found}");
    let csv = csv_sums(&stand.csv()).unwrap();
    assert_eq!(csv[&(tenant.to_owned(), source.to_owned(), "USD".to_owned())].sums, *sums);
}

#[test]
fn unreadable_files_fail_their_source_and_nothing_else() {
    let stand = scene();
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (1, &7.into()), "{}", run.said);
    assert_eq!(run.summary["units"], 2, "{}", run.summary);
    assert_whole(&stand, &run, "good", "cloud");
    assert_whole(&stand, &run, "mixed", "whole");
    let unread = ["closed", "missing", "glob", "cut", "column", "twins", "mixed"];
    for tenant in unread {
        assert_eq!(of(&run, tenant, "cloud")["dates"], 0, "{}", run.summary);
    }
    let folder = stand.config().canonicalize().unwrap();
    let columns = world::COLUMNS[1..].join(", ");
    let line = |tenant: &str| {
        let start = format!(
            "{tenant}/cloud: file bills/cut.csv.gz breaks off or is damaged near its line "
        );
        let end = " (incomplete deflate stream): fetch it again; nothing of it was published";
        let said = run.said.lines().map(str::trim);
        let mut middle = said.filter_map(|line| line.strip_prefix(&start)?.strip_suffix(end));
        let number = middle.next().unwrap_or_else(|| panic!("no {start}…{end} in:\n{}", run.said));
        number.parse::<usize>().expect("a line number")
    };
    assert!(line("cut") > 1 && line("mixed") == line("cut"), "{}", run.said);
    assert_says(
        &run.said,
        &[
            "sources could not be gathered (7):",
            "closed/cloud: the source is not available: failed to read bills/good.csv/more.csv: put a file there that \
             this user can read; visible dates stay as they are: Not a directory (os error 20)",
            "missing/cloud: the source is not available: file bills/none.csv does not exist; nothing is withdrawn: put it \
             back, or change the entry under `files`",
            &format!(
                "glob/cloud: the source is not available: files entry \"bills/2026-*.csv.gz\" matches no file in {}; nothing is withdrawn: put the \
                 files back (is the folder mounted?), or change the entry",
                folder.display()
            ),
            &format!(
                "column/cloud: file bills/column.csv has no column BilledCost, which `cost` names: write the cost \
                 column that the file has under `cost` (BilledCost, EffectiveCost, ContractedCost, ListCost), or fetch \
                 the bill with it; its columns are {columns}"
            ),
            "twins/cloud: files bills/twin-1.csv and bills/twin-2.csv have the same bytes, so their lines would count \
             twice: remove one, or write `duplicates: allow` if both are meant",
            "to mend: mend it and run again; what was gathered before stays visible",
        ],
    );

    // Each is mended as it was told, and now the good one goes: what it gave before stays.
    let (before, bytes) = (files(&stand.csv()).unwrap(), world::csv(&bill(1)));
    stand.remove("bills/good.csv");
    stand.write("bills/good.csv/more.csv", &bytes);
    stand.write("bills/none.csv", &bytes);
    stand.write("bills/2026-05.csv.gz", gzip(&bytes));
    stand.write("bills/cut.csv.gz", gzip(&bytes));
    stand.write("bills/column.csv", &bytes);
    stand.remove("bills/twin-2.csv");
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (1, &2.into()), "{}", run.said);
    assert_eq!(run.summary["units"], 7, "{}", run.summary);
    for tenant in unread {
        assert_whole(&stand, &run, tenant, "cloud");
    }
    assert_whole(&stand, &run, "good", "cloud");
    assert_whole(&stand, &run, "mixed", "whole");
    let after = files(&stand.csv()).unwrap();
    let added = unread.map(|tenant| format!("{tenant}_cloud_{DATE}.csv"));
    let touched = touched(&before, &after);
    assert!(touched.iter().all(|name| added.contains(name)) && touched.len() == 7, "{touched:?}");
}
