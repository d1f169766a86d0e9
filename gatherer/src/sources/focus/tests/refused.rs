//! What is quarantined, and what fails a gather; each with what a person is told.

use proto::report::QuarantinedRecord;

use super::*;

const GOOD: &str = "1.50,1.25,USD,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,Usage,r-1,Compute,2,";

/// The one quarantined record of a bill that holds a good line beside it.
fn quarantined(cells: &str) -> QuarantinedRecord {
    let found = Tenant::of(format!("{HEADER}{cells}\n{}\n", GOOD.replace("r-1", "good"))).gather();
    assert_eq!(
        (found.all().len(), found.quarantined.len(), found.records),
        (1, 1, 2),
        "{cells}: the rest goes on"
    );
    let record = found.quarantined[0].clone();
    assert_eq!((record.file.as_str(), record.line), ("bill.csv", 2));
    record
}

#[test]
fn what_cannot_be_understood_says_where_and_why() {
    let digits = "1".repeat(40);
    let cost = |text: &str| GOOD.replacen("1.50", text, 1);
    for (cells, column, reason, text) in [
        (cost(""), "BilledCost", "no cost", ""),
        (cost("NULL"), "BilledCost", "no cost", "NULL"),
        (cost("\"12,5\""), "BilledCost", "decimal comma in `12,5`: write 12.5", "12,5"),
        (cost("1e400"), "BilledCost", "too many digits", "1e400"),
        (cost(&digits), "BilledCost", "too many digits", &digits),
        (cost("twelve"), "BilledCost", "bad number", "twelve"),
        (cost("$5"), "BilledCost", "bad number", "$5"),
        (GOOD.replacen("1.25", "x", 1), "EffectiveCost", "bad number", "x"),
        (
            GOOD.replace("2024-09-18T22:00:00Z", "2024-13-01"),
            "ChargePeriodStart",
            "bad date: write YYYY-MM-DD",
            "2024-13-01",
        ),
        (GOOD.replace("2024-09-18T22:00:00Z", ""), "ChargePeriodStart", "no date", ""),
        (
            GOOD.replace("2024-09-18T22:00:00Z", "1999-12-31"),
            "ChargePeriodStart",
            "before 2000-01-01",
            "1999-12-31",
        ),
        (
            GOOD.replace("2024-09-18T22:00:00Z", "2027-07-21"),
            "ChargePeriodStart",
            "more than 400 days ahead",
            "2027-07-21",
        ),
        (
            GOOD.replace("2024-09-18T23:00:00Z", "2024-09-18"),
            "ChargePeriodEnd",
            "ends before it starts",
            "2024-09-18",
        ),
        (GOOD.replace("2024-09-18T23:00:00Z", "soon"), "ChargePeriodEnd", "bad date", "soon"),
        (
            GOOD.replace("2024-09-01T00:00:00Z", "09/2024"),
            "BillingPeriodStart",
            "bad date",
            "09/2024",
        ),
        // In UTC it lies in the year 0.
        (
            GOOD.replace("2024-09-01T00:00:00Z", "0001-01-01T00:00:00+02:00"),
            "BillingPeriodStart",
            "bad date",
            "0001-01-01T00:00:00+02:00",
        ),
        (GOOD.replace("USD", "ZZZ"), "BillingCurrency", "unknown currency code", "ZZZ"),
        (GOOD.replace("USD", "usd"), "BillingCurrency", "unknown currency code", "usd"),
        (GOOD.replace("USD", ""), "BillingCurrency", "no currency", ""),
    ] {
        let record = quarantined(&cells);
        assert_eq!(
            (record.column.as_deref(), record.text.as_str()),
            (Some(column), text),
            "{cells}"
        );
        assert!(record.reason.contains(reason), "{cells}: {}", record.reason);
        let readable =
            |column_ok: bool, got: bool| assert_eq!(got, column_ok, "{cells}: {record:?}");
        readable(column != "BilledCost" && column != "BillingCurrency", record.amount.is_some());
        readable(column != "ChargePeriodStart", record.date.is_some());
    }
}

#[test]
fn records_of_another_shape_are_quarantined_whole() {
    for (cells, reason) in [
        (format!("{GOOD},spare"), "wrong number of cells: 12, where the header has 11"),
        ("1.50,USD".to_owned(), "wrong number of cells: 2"),
        (GOOD.replace("Compute", &"x".repeat(100_000)), "too large"),
        (GOOD.replace("Compute", "a\0b"), "NUL character"),
    ] {
        let record = quarantined(&cells);
        assert!(record.column.is_none() && record.reason.contains(reason), "{}", record.reason);
        assert!(
            record.text.starts_with("1.50")
                && record.text.chars().count() <= 1_000
                && !record.text.contains('\0')
        );
    }
    let mut bytes = format!("{HEADER}{GOOD}\n").into_bytes();
    bytes.extend_from_slice(&GOOD.replace("Compute", "Comput\u{1}").into_bytes());
    let at = bytes.iter().rposition(|b| *b == 1).unwrap();
    bytes[at] = 0xe9;
    let found = Tenant::of(bytes).gather();
    assert!(
        found.all().len() == 1 && found.quarantined[0].reason.contains("not UTF-8"),
        "{:?}",
        found.quarantined
    );
}

#[test]
fn many_bad_records_are_all_told() {
    let bad = GOOD.replacen("1.50", "x", 1);
    let found = Tenant::of(format!("{HEADER}{}", format!("{bad}\n").repeat(5_000))).gather();
    assert_eq!(
        (found.quarantined.len(), found.quarantined[4_999].line, found.dates.len()),
        (5_000, 5_001, 0)
    );
}

#[test]
fn files_that_are_not_there_fail_the_gather() {
    let error = |files: &[&str]| Tenant::new(Measure::Billed, files).error();
    assert!(error(&["bill.csv"]).contains("bill.csv does not exist; nothing is withdrawn"));
    assert!(error(&["bills/*.csv.gz"]).contains("\"bills/*.csv.gz\" matches no file"));
    let mut tenant = Tenant::of(format!("{HEADER}{GOOD}\n"));
    tenant.settings.files.push("more/*.csv".to_owned());
    assert!(tenant.error().contains("more/*.csv"), "each entry must match");
}

#[test]
fn files_that_break_off_fail_the_gather() {
    let long: Vec<(String, String)> = (0..3_000)
        .map(|n| ("2024-09-01".to_owned(), format!("{n}.{}", n * 7_919 % 10_007)))
        .collect();
    let lines: Vec<(&str, &str)> = long.iter().map(|(d, c)| (d.as_str(), c.as_str())).collect();
    let text = bill(&lines);
    let packed = gzip(text.as_bytes());
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, bytes) in [
        ("gzip", packed[..packed.len() - 5].to_vec()),
        ("gzip half", packed[..packed.len() / 2].to_vec()),
        ("gzip with a tail", [packed.as_slice(), b"tail"].concat()),
        ("zstd", zstd[..zstd.len() - 5].to_vec()),
    ] {
        let error = Tenant::of(bytes).error();
        assert!(
            error.contains("bill.csv breaks off or is damaged") && error.contains("fetch it again"),
            "{name}: {error}"
        );
    }
    let error = Tenant::of(text.replace("Usage,r-9,", "\"Usage,r-9,")).error();
    assert!(error.contains("never closes") && error.contains("near its line 11"), "{error}");
}

#[test]
fn other_formats_are_named() {
    for (bytes, what) in [
        (&b"PARErest"[..], "is encrypted Parquet"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\xff\xfeB\0i\0", "UTF-16"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n\n", "is empty"),
    ] {
        let error = Tenant::of(bytes).error();
        assert!(error.contains(what) && error.contains("bill.csv"), "{error}");
    }
}

#[test]
fn columns_that_are_missing_or_twice_fail_the_gather() {
    let mut tenant = Tenant::of(format!("{HEADER}{GOOD}\n"));
    tenant.settings.cost = Measure::List;
    let error = tenant.error();
    for part in [
        "bill.csv",
        "no column ListCost, which `cost` names",
        "under `cost`",
        "its columns are BilledCost, EffectiveCost,",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let names: Vec<String> = (0..50_000).map(|n| format!("column{n}")).collect();
    let error = Tenant::of(names.join(",") + "\n").error();
    assert!(error.contains("column99, ") && error.contains(" more") && error.len() < 3_000);
    let wide: Vec<u8> = format!("{HEADER}{GOOD}\n").bytes().flat_map(|b| [b, 0]).collect();
    let error = Tenant::of(wide).error();
    assert!(error.contains("save the file as UTF-8"), "{error}");
    let without =
        |column: &str| Tenant::of(format!("{HEADER}{GOOD}\n").replacen(column, "Other", 1)).error();
    assert!(
        without("ChargePeriodStart")
            .contains("no column ChargePeriodStart, so its charges have no date")
    );
    assert!(without("BillingCurrency").contains("no column BillingCurrency"));
    let error = Tenant::of(HEADER.replace(',', ";")).error();
    assert!(error.contains("separate its columns by commas"), "{error}");
    let error = Tenant::of(HEADER.replace("ServiceName", "billed_cost")).error();
    assert!(error.contains("column BilledCost twice, as column 1 and column 9"), "{error}");
}

#[test]
fn files_with_the_same_bytes_are_told_or_counted() {
    let mut tenant = Tenant::new(Measure::Billed, &["*.csv"]);
    for name in ["b.csv", "a.csv"] {
        tenant.write(name, format!("{HEADER}{GOOD}\n"));
    }
    let error = tenant.error();
    assert!(
        error.contains("files a.csv and b.csv have the same bytes")
            && error.contains("duplicates: allow"),
        "{error}"
    );
    tenant.settings.duplicates = Duplicates::Allow;
    assert_eq!(tenant.gather().sum(Measure::Billed), "3");
}

#[test]
fn encrypted_parquet_is_called_so() {
    let error = Tenant::of(b"PARE and the rest").error();
    assert!(error.contains("bill.csv is encrypted Parquet, without its key: give it"), "{error}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_so() {
    let error = Tenant::of(b"PAR1 and the rest").error();
    assert!(error.contains("bill.csv is Parquet, which this program was built without"), "{error}");
    assert!(error.contains("feature `parquet`"), "{error}");
}
