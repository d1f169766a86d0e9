//! Every trap of bills in the wild, each with a fixture of its own.

use proto::money::ExactSum;

use super::*;

fn line(cells: &str) -> String {
    format!("{HEADER}{cells}\n")
}

const GOOD: &str = "1.50,1.25,USD,2024-09-01T00:00:00Z,2024-09-18T22:00:00Z,2024-09-18T23:00:00Z,Usage,r-1,Compute,2,";

#[test]
fn a_plain_line_is_carried_whole() {
    let found = Tenant::of(line(GOOD)).gather();
    let line = found.one();
    assert_eq!(line.charge_start.to_string(), "2024-09-18T22:00:00Z");
    assert_eq!(line.charge_end.to_string(), "2024-09-18T23:00:00Z");
    assert_eq!(
        (line.billing_period.to_string().as_str(), line.currency.as_str()),
        ("2024-09", "USD")
    );
    assert_eq!(
        (line.amount.to_string().as_str(), line.measure(Measure::Effective).to_string().as_str()),
        ("1.5", "1.25")
    );
    assert_eq!(
        line.measures[Measure::Billed as usize],
        None,
        "the measure that `cost` names is the amount"
    );
    assert_eq!(line.measure(Measure::List), line.amount, "a missing measure equals the amount");
    assert_eq!(line.quantities.map(|q| q.map(|q| q.to_string())), [Some("2".to_owned()), None]);
    let cells: Vec<(&str, &str)> =
        line.cells.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        cells,
        [("ChargeCategory", "Usage"), ("ResourceId", "r-1"), ("ServiceName", "Compute")]
    );
    assert_eq!(line.resolution_key, None);
}

#[test]
fn byte_order_marks_line_ends_and_compression_do_not_matter() {
    let plain = line(GOOD);
    let want = Tenant::of(&plain).gather();
    let marked = format!("\u{feff}{plain}");
    let windows = plain.replace('\n', "\r\n");
    let cut = plain.trim_end().to_owned();
    let members = [gzip(&plain.as_bytes()[..40]), gzip(&plain.as_bytes()[40..])].concat();
    let zstd = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    let frames = [
        zstd::encode_all(&plain.as_bytes()[..9], 1).unwrap(),
        zstd::encode_all(&plain.as_bytes()[9..], 1).unwrap(),
    ];
    let forms = [
        marked.into_bytes(),
        windows.into_bytes(),
        cut.into_bytes(),
        gzip(plain.as_bytes()),
        members,
        zstd,
        frames.concat(),
    ];
    for (n, form) in forms.into_iter().enumerate() {
        // The content tells, not the name.
        assert_eq!(Tenant::of(form).gather().batches, want.batches, "form {n}");
    }
}

#[test]
fn null_and_empty_are_no_value() {
    let columns = "BilledCost,ContractedCost,ListCost,BillingCurrency,ChargePeriodStart,ResourceId,ResourceName,RegionId,SkuId,Tags\n";
    let found =
        Tenant::of(format!("{columns}2,NULL,,USD,2024-09-18,NULL,,\"  \",null,NULL\n")).gather();
    let line = found.one();
    assert_eq!(
        line.cells,
        [("SkuId".to_owned(), "null".to_owned())],
        "only the literal NULL is no value"
    );
    assert_eq!(line.measures, [None; 4]);
    assert_eq!(
        line.billing_period.to_string(),
        "2024-09",
        "without a billing period it is the month of the charge"
    );
    assert_eq!(line.charge_end.to_string(), "2024-09-19T00:00:00Z");
    assert_eq!(found.warning("no ChargePeriodEnd"), 1);
}

#[test]
fn dates_are_read_as_the_wild_writes_them() {
    for (text, start) in [
        ("2024-09-18 22:00:00", "2024-09-18T22:00:00Z"),
        ("2024-09-18T22:00:00Z", "2024-09-18T22:00:00Z"),
        ("2024-09-18", "2024-09-18T00:00:00Z"),
        ("2024-09-18T01:30:00+02:00", "2024-09-17T23:30:00Z"),
    ] {
        let cells = GOOD.replace("2024-09-18T22:00:00Z", text);
        let found = Tenant::of(line(&cells)).gather();
        assert_eq!(found.one().charge_start.to_string(), start, "{text}");
        assert_eq!(found.one().cell("ChargePeriodStart"), None);
    }
    let cells = GOOD.replace("22:00:00Z", "22:00:00.5Z").replace("2024-09-01T", "2024-09-15T");
    let found = Tenant::of(line(&cells)).gather();
    assert_eq!(
        found.one().cell("ChargePeriodStart"),
        Some("2024-09-18T22:00:00.5Z"),
        "what the number cannot say stays"
    );
    assert_eq!(found.one().cell("BillingPeriodStart"), Some("2024-09-15T00:00:00Z"));
    assert_eq!(found.one().billing_period.to_string(), "2024-09");
}

#[test]
fn hours_and_months_belong_to_the_day_that_they_start_in() {
    let hour = GOOD
        .replace("18T22", "18T23")
        .replace("18T23:00:00Z,2024-09-18T23", "18T23:00:00Z,2024-09-19T00");
    let month =
        GOOD.replace("2024-09-18T22:00:00Z,2024-09-18T23", "2024-09-01T00:00:00Z,2024-10-01T00");
    let found = Tenant::of(format!("{HEADER}{hour}\n{month}\n")).gather();
    let days: Vec<(String, String)> =
        found.lines.iter().map(|(d, l)| (d.to_string(), l[0].charge_end.to_string())).collect();
    let want = [("2024-09-01", "2024-10-01T00:00:00Z"), ("2024-09-18", "2024-09-19T00:00:00Z")];
    assert_eq!(days, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn unknown_columns_are_kept_and_headers_are_known_in_any_case() {
    let text = "Id,billedCost,\"BILLING CURRENCY\",charge_period_start,x_Team, resourceId ,,Überschrift\n\
                00042,\"1.5\",USD,2024-09-18,a b,r-1,spare,ä\n";
    let found = Tenant::of(text).gather();
    let cells: Vec<(&str, &str)> =
        found.one().cells.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        cells,
        [
            ("Id", "00042"),
            ("ResourceId", "r-1"),
            ("x_Column7", "spare"),
            ("x_Team", "a b"),
            ("Überschrift", "ä")
        ]
    );
    assert_eq!(found.one().amount.to_string(), "1.5");
}

#[test]
fn numbers_are_read_quoted_negative_and_in_e_notation() {
    for (text, want) in [
        ("\"0.0000004\"", "0.0000004"),
        ("-3.10", "-3.1"),
        ("35.2E-7", "0.00000352"),
        ("\" 7 \"", "7"),
        ("-0", "0"),
    ] {
        let found = Tenant::of(line(&GOOD.replacen("1.50", text, 1))).gather();
        assert_eq!(found.one().amount.to_string(), want, "{text}");
    }
}

#[test]
fn enumerations_get_their_case_and_texts_stay_raw() {
    let text = "BilledCost,BillingCurrency,ChargePeriodStart,ChargeCategory,ChargeFrequency,ServiceCategory,SubAccountId,Tags\n\
                1,USD,2024-09-18,usage,Usage-based,ai and machine learning,0012345678901234567890,\"{\"\" team\"\":\"\"a\"\",\"\"team\"\":\"\"b\"\"}\"\n";
    let found = Tenant::of(text).gather();
    let line = found.one();
    assert_eq!(line.cell("ChargeCategory"), Some("Usage"));
    assert_eq!(line.cell("ChargeFrequency"), Some("Usage-Based"));
    assert_eq!(line.cell("ServiceCategory"), Some("AI and Machine Learning"));
    assert_eq!(line.cell("SubAccountId"), Some("0012345678901234567890"), "digits are text here");
    assert_eq!(
        line.cell("Tags"),
        Some("{\" team\":\"a\",\"team\":\"b\"}"),
        "both keys stay, the blank too"
    );
    assert_eq!(found.warning("Tags"), 0);
}

#[test]
fn malformed_tags_and_quantities_are_kept_as_text_with_a_warning() {
    let good = GOOD.replace(",2,", ",2,{}");
    let broken = GOOD.replace(",2,", ",2,\"{'team': 'a'}\"").replace("r-1", "r-2");
    let list = GOOD.replace(",2,", ",2 GB,[1]").replace("r-1", "r-3");
    let found = Tenant::of(format!("{HEADER}{good}\n{broken}\n{list}\n")).gather();
    assert_eq!((found.all().len(), found.quarantined.len()), (3, 0));
    assert_eq!(found.warning("Tags are not a JSON object"), 2);
    assert_eq!(found.warning("PricingQuantity is no number"), 1);
    let by = |id: &str| {
        found.all().into_iter().find(|l| l.cell("ResourceId") == Some(id)).unwrap().clone()
    };
    assert_eq!(by("r-2").cell("Tags"), Some("{'team': 'a'}"));
    assert_eq!((by("r-3").cell("PricingQuantity"), by("r-3").quantities[0]), (Some("2 GB"), None));
}

#[test]
fn lines_in_another_currency_are_kept_and_told() {
    let mut tenant = Tenant::of(format!("{HEADER}{GOOD}\n{}\n", GOOD.replace("USD", "EUR")));
    tenant.config.currency = vec!["USD".parse().unwrap()];
    let found = tenant.gather();
    assert_eq!((found.all().len(), found.warning("currency EUR is not the tenant's")), (2, 1));
}

#[test]
fn line_breaks_in_quotes_keep_the_line_numbers_right() {
    let broken = GOOD.replace("Compute", "\"Com\npute\"");
    let bad = GOOD.replacen("1.50", "12,5", 1).replacen("12,5", "\"12,5\"", 1);
    let found = Tenant::of(format!("{HEADER}{broken}\r\n\n{bad}\n")).gather();
    assert_eq!(found.all()[0].cell("ServiceName"), Some("Com\npute"));
    assert_eq!(found.quarantined[0].line, 5);
}

#[test]
fn several_files_hold_one_date_and_one_file_many() {
    let tenant = Tenant::new(Measure::Billed, &["*.csv", "more/*"]);
    tenant.write("a.csv", bill(&[("2024-09-01", "1"), ("2024-09-02", "2")]));
    tenant.write(
        "more/b.csv.gz",
        gzip(bill(&[("2024-09-02", "40"), ("2024-09-03", "80")]).as_bytes()),
    );
    let found = tenant.gather();
    let sums: Vec<String> = found
        .lines
        .values()
        .map(|l| l.iter().map(|l| l.amount).collect::<ExactSum>().to_string())
        .collect();
    assert_eq!(sums, ["1", "42", "80"]);
    assert_eq!(found.files_read, ["a.csv", "more/b.csv.gz"]);
}

#[test]
fn equal_lines_count_both_and_get_ids_of_their_own() {
    let other = GOOD.replacen("1.50", "1.75", 1);
    let found = Tenant::of(format!("{HEADER}{GOOD}\n{other}\n{GOOD}\n")).gather();
    assert_eq!(found.sum(Measure::Billed), "4.75");
    assert_eq!(found.all().len(), 3);
}

#[test]
fn one_file_that_is_named_twice_is_read_once() {
    let tenant = Tenant::new(Measure::Billed, &["*.csv", "bill.csv", "b*"]);
    tenant.write("bill.csv", line(GOOD));
    std::os::unix::fs::symlink(
        tenant.folder.path().join("bill.csv"),
        tenant.folder.path().join("link.csv"),
    )
    .unwrap();
    assert_eq!(tenant.gather().sum(Measure::Billed), "1.5");
}

#[test]
fn large_lines_fill_batches_that_stay_small() {
    let text = |n: usize, size: usize| format!("{n:05}").repeat(size / 5);
    let mut bill = HEADER.to_owned();
    for n in 0..300 {
        let size = if n % 3 == 0 { 95_000 } else { 20_000 / (n + 1) };
        bill += &GOOD.replace("Compute", &text(n, size)).replace("r-1", &format!("r-{n}"));
        bill += "\n";
    }
    // The harness checks the size of every batch.
    let found = Tenant::of(bill).gather();
    assert_eq!((found.all().len(), found.quarantined.len()), (300, 0));
    assert!(found.batches.values().next().unwrap().len() > 50);
}
