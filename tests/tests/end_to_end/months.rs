//! Files of a whole month, files with names of one's own, rows added up, and outputs of the newest dates only.

use std::collections::BTreeMap;

use proto::line::Measure;
use tests::output::{contents, csv_sums, files, touched};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_done, day};

const COST: Measure = Measure::Effective;
const MORE: &str = r#"  day: { kind: focus, dir: out/day }
  month: { kind: focus, dir: out/month, file: "{source}/{month}-{tenant}.csv" }
  whole: { kind: csv, dir: out/whole, file: "{tenant}_{source}_{month}.csv" }
  sums: { kind: csv, dir: out/sums, aggregation: monthly, group_by: [source, timestamp, owner_id] }
  recent: { kind: csv, dir: out/recent, lookback: 30d }
"#;

/// The files of days one after the other, by month; the header once.
fn joined(days: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut months: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in days {
        let (_, date) = name.trim_end_matches(".csv").rsplit_once('_').expect("tenant_source_date");
        let month = months.entry(date[..7].to_owned()).or_default();
        let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
        month.push_str(if month.is_empty() { text } else { rows });
    }
    months
}

/// By month, what the files of a folder hold whose names hold one.
fn by_month(folder: &std::path::Path, cut: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let found = contents(folder).expect("files").into_iter();
    found.map(|(name, text)| (cut(&name), text)).collect()
}

#[test]
fn a_month_is_one_file_that_follows_each_of_its_dates() {
    let stand = Stand::new("months");
    let mut lines = world::bill(31, "USD", day("2026-05-30"), 4, 10);
    let write = |lines: &[Line]| stand.write("bill.csv", world::csv(lines));
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", COST) + MORE);
    // A date of now is recent.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let yesterday = today.yesterday().expect("a day before").to_string();
    stand.write("tenants/nord.yaml", world::tenant("USD", "nord.csv", COST) + MORE);
    let nord = [
        world::bill(32, "USD", day("2026-05-01"), 1, 3),
        world::bill(33, "USD", day(&yesterday), 1, 3),
    ];
    stand.write("nord.csv", world::csv(&nord.concat()));
    write(&lines);
    assert_done(&stand.run_once(&[]), 6);
    let out = |name: &str| stand.config().join("out").join(name);

    let same = || {
        let days = contents(&out("day")).unwrap();
        let acme = days.into_iter().filter(|(name, _)| name.starts_with("acme")).collect();
        let months = by_month(&out("month/cloud"), |name| name.replace(".csv", ""));
        let months = months
            .into_iter()
            .filter_map(|(name, text)| Some((name.strip_suffix("-acme")?.to_owned(), text)));
        assert_eq!(months.collect::<BTreeMap<_, _>>(), joined(&acme));
        let whole = by_month(&out("whole"), |name| name.replace(".csv", ""));
        let acme = contents(&stand.csv()).unwrap().into_iter();
        let acme = acme.filter(|(name, _)| name.starts_with("acme")).collect();
        let whole = whole
            .into_iter()
            .filter_map(|(name, text)| Some((name.strip_prefix("acme_cloud_")?.to_owned(), text)));
        assert_eq!(whole.collect::<BTreeMap<_, _>>(), joined(&acme));
    };
    same();
    // Rows added up by month are the same money, line for line of owners.
    let sums = &contents(&out("sums")).unwrap()["acme_cloud_2026-05.csv"];
    let header = "source,timestamp,owner_id,currency,amount,billed,effective,contracted,list\n";
    assert!(sums.starts_with(header), "{sums}");
    assert!(
        sums.lines().skip(1).all(|row| row.starts_with("cloud,2026-05-01T00:00:00Z,")),
        "{sums}"
    );
    let mut of_month = proto::money::ExactSum::ZERO;
    for row in sums.lines().skip(1) {
        of_month.merge(&row.split(',').nth(4).unwrap().parse().unwrap());
    }
    let may = out("may");
    std::fs::create_dir_all(&may).unwrap();
    std::fs::write(
        may.join("may.csv"),
        &contents(&out("whole")).unwrap()["acme_cloud_2026-05.csv"],
    )
    .unwrap();
    let all = &csv_sums(&may).unwrap()[&("acme".into(), "cloud".into(), "USD".into())];
    assert_eq!(of_month, all.sums.amount);
    // Old dates are not carried by who looks back 30 days only, and nobody waits for them.
    let recent = contents(&out("recent")).unwrap();
    assert_eq!(recent.keys().collect::<Vec<_>>(), [&format!("nord_cloud_{yesterday}.csv")]);

    // One line of one date: its day and its month are written again, and no other.
    let before = ["day", "month/cloud", "whole", "sums"].map(|name| files(&out(name)).unwrap());
    lines[3] = lines[3].clone().cost("17.25");
    write(&lines);
    assert_done(&stand.run_once(&[]), 1);
    same();
    let after = ["day", "month/cloud", "whole", "sums"].map(|name| files(&out(name)).unwrap());
    let written: Vec<_> = before.iter().zip(&after).flat_map(|(a, b)| touched(a, b)).collect();
    let names = [
        "acme_cloud_2026-05-30.csv",
        "2026-05-acme.csv",
        "acme_cloud_2026-05.csv",
        "acme_cloud_2026-05.csv",
    ];
    assert_eq!(written, names);
    // A file that somebody removed comes back.
    std::fs::remove_file(out("month/cloud/2026-06-acme.csv")).unwrap();
    assert_done(&stand.run_once(&[]), 0);
    same();
    assert_done(&stand.run_once(&[]), 0);
    let last = ["day", "month/cloud", "whole", "sums"].map(|name| files(&out(name)).unwrap());
    let written: Vec<_> = after.iter().zip(&last).flat_map(|(a, b)| touched(a, b)).collect();
    assert_eq!(written, ["2026-06-acme.csv"]);
}
