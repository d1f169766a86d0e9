//! FOCUS files: all that FOCUS 1.2 and 1.3 want of a cell, every origin put together again to the last decimal, and the
//! official validator where it can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proto::line::Measure;
use proto::money::ExactSum;
use tests::focus::{Version, expected, names, origins, rows};
use tests::output::{Row, contents};
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::shared::{folder, is_there, records};
use crate::{assert_done, day};

/// The cells that a world's line has, and those that only FOCUS 1.2 knows.
fn record(number: usize, line: &Line) -> Row {
    let mut row: Row = names().iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let set = |row: &mut Row, cells: &[(&str, &str)]| {
        cells.iter().for_each(|(name, text)| {
            row.insert((*name).to_owned(), (*text).to_owned());
        })
    };
    let text = |column: &str| line.get(column).unwrap_or_default().to_owned();
    for column in world::COLUMNS {
        set(&mut row, &[(column, line.get(column).unwrap_or_default())]);
    }
    set(&mut row, &[("BillingAccountId", "acct-1"), ("BillingAccountName", "Example")]);
    let description = format!("charge, \"{}\"\nof the day", text("ChargeCategory"));
    set(&mut row, &[("ChargeDescription", &description), ("InvoiceId", "inv-1")]);
    // Absent cells are filled in some lines, and stand in others.
    if !number.is_multiple_of(3) {
        let provider = [
            ("BillingAccountType", "Payer"),
            ("InvoiceIssuerName", "AWS"),
            ("PublisherName", "Amazon"),
            ("RegionId", "eu-west-1"),
            ("RegionName", "Ireland"),
        ];
        set(&mut row, &provider);
    }
    if !text("SubAccountId").is_empty() {
        set(&mut row, &[("SubAccountId", "sub-1"), ("SubAccountType", "Linked")]);
    }
    // One category for each service.
    if text("ServiceCategory") == "Networking" {
        set(&mut row, &[("ServiceName", "Amazon Virtual Private Cloud")]);
    }
    if matches!(text("ChargeCategory").as_str(), "Usage" | "Purchase") {
        let amount = format!("{}.5", number % 11);
        let pricing = [
            ("PricingQuantity", amount.as_str()),
            ("PricingUnit", "Hours"),
            ("PricingCategory", "Standard"),
            ("SkuId", "sku"),
            ("SkuPriceId", "price"),
            ("SkuMeter", "Compute"),
            ("SkuPriceDetails", r#"{ "CoreCount":4,"x_Note":"as, it \"is\"" }"#),
            ("ListUnitPrice", "3"),
            ("ContractedUnitPrice", "2.50"),
        ];
        set(&mut row, &pricing);
    }
    // In the currency of the bill, in another one, and none.
    let effective = text("EffectiveCost");
    match number % 3 {
        0 => set(
            &mut row,
            &[("PricingCurrency", "USD"), ("PricingCurrencyEffectiveCost", &effective)],
        ),
        1 => {
            set(&mut row, &[("PricingCurrency", "JPY"), ("PricingCurrencyEffectiveCost", "-10.1")])
        }
        _ => {}
    }
    if number.is_multiple_of(4) {
        let discount = [
            ("CommitmentDiscountCategory", "Spend"),
            ("CommitmentDiscountId", "sp-1"),
            ("CommitmentDiscountType", "Savings Plan"),
            ("CommitmentDiscountQuantity", "7"),
            ("CommitmentDiscountUnit", "Hours"),
            ("CommitmentDiscountStatus", "Used"),
        ];
        set(&mut row, &discount);
    }
    // The provider's own columns, of which one is named as one of ours; and some that only FOCUS 1.3 knows.
    if number.is_multiple_of(5) {
        let contract = r#"{"Elements": [{"ContractID":"c","ContractCommitmentAppliedCost":1.50}]}"#;
        set(&mut row, &[("x_OwnerId", "theirs"), ("ContractApplied", contract)]);
        set(&mut row, &[("HostProviderName", "Host"), ("ServiceProviderName", "Seller")]);
    } else {
        let none = [("x_OwnerId", ""), ("ContractApplied", ""), ("HostProviderName", "")];
        set(&mut row, &none);
        set(&mut row, &[("ServiceProviderName", "")]);
    }
    row
}

pub(crate) fn csv(records: &[Row]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(records[0].keys()).expect("it is as the test wants it");
    records.iter().for_each(|record| {
        writer.write_record(record.values()).expect("it is as the test wants it")
    });
    writer.into_inner().expect("it is as the test wants it")
}

pub(crate) fn bill() -> Vec<Row> {
    let lines = world::bill(1, "USD", day("2026-05-30"), 3, 30);
    // A cost of 28 decimals in the sums would leave nothing to be shared in proportion.
    let tiny =
        |line: &Line| line.get("BilledCost").is_some_and(|cost| cost.starts_with("0.000000000000"));
    let lines = lines.into_iter().map(|line| if tiny(&line) { line.cost("0.00001") } else { line });
    lines.enumerate().map(|(number, line)| record(number, &line)).collect()
}

/// A stand whose tenant emits FOCUS files of both versions, and sums, beside CSV files.
fn stand(name: &str, records: &[Row]) -> Stand {
    let stand = Stand::new(name);
    let tenant = world::tenant("USD", "bills/*.csv", Measure::Effective);
    let focus = "  focus: { dir: out/focus, version: \"1.2\" }
  focus-1-3: { kind: focus, dir: out/focus-1-3, version: \"1.3\" }
  sums: { kind: csv, dir: out/sums, aggregation: daily, group_by: [service, unit, owner_id], columns: [owner_id, currency, list, amount, effective, contracted, billed, quantity, unit] }
";
    stand.write("tenants/acme.yaml", format!("{tenant}{focus}"));
    stand.write("bills/cloud.csv", csv(records));
    stand
}

fn out(stand: &Stand) -> PathBuf {
    stand.config().join("out/focus")
}

/// Records, each as often as it is there.
fn counted(records: impl IntoIterator<Item = Row>) -> BTreeMap<Row, usize> {
    let mut counts = BTreeMap::new();
    records.into_iter().for_each(|record| *counts.entry(record).or_default() += 1);
    counts
}

/// The rows of a tenant, put together, are its bill: every dimension of every line, and every sum.
fn assert_is(rows: &[Row], bill: &[Row], tenant: &str, version: Version) {
    let mine: Vec<Row> = rows.iter().filter(|row| row["x_TenantId"] == tenant).cloned().collect();
    let found = counted(origins(&mine, version).expect("it is as the test wants it"));
    let wanted = counted(bill.iter().map(|record| expected(record, tenant, "cloud", version)));
    for (origin, count) in &found {
        assert_eq!(wanted.get(origin), Some(count), "not in the bill of {tenant}: {origin:?}");
    }
    assert_eq!(found.len(), wanted.len(), "lines of {tenant}");
}

#[test]
fn a_bill_comes_back_whole_from_its_parts() {
    let bill = bill();
    let one = stand("focus", &bill);
    assert_done(&one.run_once(&[]), 3);
    let all = rows(&out(&one), Version::V1_2).expect("what the test wrote itself");
    assert_is(&all, &bill, "acme", Version::V1_2);
    let newer = rows(&one.config().join("out/focus-1-3"), Version::V1_3).expect("as FOCUS wants");
    assert_is(&newer, &bill, "acme", Version::V1_3);
    let told = |column: &str| newer.iter().filter(|row| !row[column].is_empty()).count();
    let (split, received) = (told("AllocatedMethodId"), told("AllocatedResourceId"));
    assert_eq!(all.len(), newer.len());
    assert!(received > 150 && received <= split && split < all.len(), "{received} of {split}");
    assert!(told("ContractApplied") > 10 && told("x_ProviderOwnerId") > 10, "carried along");
    assert!(all.len() > bill.len() + 50, "{} rows: lines are split", all.len());
    // Parts of a composition carry a place of their own.
    let parted = |row: &&Row| row["x_AllocationPart"] == "1" && row["PricingCurrency"] == "JPY";
    assert!(all.iter().filter(parted).count() > 2, "compositions with numbers of their own");
    let seen = |column: &str| all.iter().map(|row| row[column].as_str()).collect::<BTreeSet<_>>();
    assert!(seen("x_OwnerId").contains("UNALLOCATED") && seen("x_OwnerId").contains("checkout"));
    assert!(seen("x_AllocationMethod").contains("in_proportion_to_cost"));
    // As many rows as in the other files, with the same shares of the same lines.
    let key = |row: &Row, columns: [&str; 4]| columns.map(|column| row[column].clone());
    let focus = all
        .iter()
        .map(|row| key(row, ["x_OriginLineId", "x_OwnerId", "x_IdentityId", "x_AllocationRuleId"]));
    let csv = tests::output::rows(&one.csv()).expect("what the test wrote itself");
    let rows_of = csv.iter().map(|row| key(row, ["line_id", "owner_id", "identity_id", "rule"]));
    assert_eq!(focus.collect::<BTreeSet<_>>(), rows_of.collect::<BTreeSet<_>>());
    assert_adds_up(&one, &csv);

    // The same bytes from another process, another data folder and another order of the bill.
    let mut turned = bill.clone();
    turned.reverse();
    let other = stand("focus-turned", &turned);
    assert_done(&other.run_once(&[]), 3);
    assert_eq!(
        contents(&out(&one)).expect("what the test wrote itself"),
        contents(&out(&other)).unwrap()
    );
}

/// The file of sums of a date is the sums of its CSV file, by owner, currency and unit.
fn assert_adds_up(stand: &Stand, csv: &[Row]) {
    let sums = |rows: &[Row]| -> BTreeMap<[String; 4], ExactSum> {
        let mut sums = BTreeMap::<_, ExactSum>::new();
        for row in rows {
            for column in ["amount", "billed", "effective", "contracted", "list", "quantity"] {
                let key =
                    [column, &row["owner_id"], &row["currency"], &row["unit"]].map(str::to_owned);
                let cell = Some(&row[column]).filter(|cell| !cell.is_empty());
                let amount = cell.map(|cell| cell.parse::<ExactSum>().expect("a number"));
                sums.entry(key).or_default().merge(&amount.unwrap_or_default());
            }
        }
        sums
    };
    let mut added = Vec::<Row>::new();
    for (name, text) in contents(&stand.config().join("out/sums")).expect("what was emitted") {
        let head = "owner_id,currency,list,amount,effective,contracted,billed,quantity,unit\n";
        assert!(text.starts_with(head), "{name}: {text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        added.extend(reader.deserialize::<Row>().map(|row| row.expect("it is CSV")));
    }
    assert!(added.len() > 20 && added.len() < csv.len() / 2, "{} sums", added.len());
    assert_eq!(sums(&added), sums(csv));
}

const SHARED: [(&str, &str); 3] = [
    ("aws", "focus_1_2_cost_and_usage_aws.csv.gz"),
    ("azure", "focus_1_2_cost_and_usage_azure.csv.gz"),
    ("gcp", "focus_1_2_cost_and_usage_gcp.csv.gz"),
];

/// The shared bills, shared evenly by three teams where no tag says an owner.
fn shared_stand(name: &str, version: &str) -> Stand {
    let stand = Stand::new(name);
    for (tenant, file) in SHARED {
        let path = folder().canonicalize().expect("it is as the test wants it").join(file);
        let text = format!(
            r#"groups: {{ all: [a, b, c] }}
sources:
  cloud: {{ kind: focus, files: ["{}"], owner: [tag.owner] }}
allocation:
  - {{ id: shared, match: {{ ServiceCategory: Storage }}, chain: [{{ even: all }}] }}
emitters: {{ focus: {{ dir: out/focus, version: "{version}" }} }}
"#,
            path.display()
        );
        stand.write(&format!("tenants/{tenant}.yaml"), text);
    }
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (0, &0.into()), "{}", run.said);
    stand
}

#[test]
fn the_shared_bills_come_back_whole() {
    if !is_there() {
        return;
    }
    let stand = shared_stand("focus-shared", "1.3");
    let all = rows(&out(&stand), Version::V1_3).expect("what the test wrote itself");
    assert!(all.len() > 3_100, "{} rows", all.len());
    for (tenant, file) in SHARED {
        assert_is(&all, &records(file), tenant, Version::V1_3);
    }
}

/// A Python 3.12: one of pyenv's, or on the path.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let versions = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let is = |name: &str| name.starts_with("3.12");
    let of_pyenv = versions.filter(|entry| entry.file_name().to_str().is_some_and(is));
    let mut found =
        of_pyenv.map(|entry| entry.path().join("bin/python")).chain([PathBuf::from("python3.12")]);
    found.find(|python| {
        let version = Command::new(python).arg("--version").output();
        version.is_ok_and(|version| version.status.success())
    })
}

/// The folder of an environment with the official validator; `None`, and a word about it, where it cannot be had.
fn validator() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("focus-validator-2.2.1");
    let ready = folder.join("ready");
    if ready.exists() {
        return Some(folder);
    }
    let Some(python) = python() else {
        println!("skipped: there is no Python 3.12");
        return None;
    };
    let ran = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = ran(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))
        && ran(Command::new(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "focus-validator==2.2.1",
            "pyarrow<22",
        ]));
    if !made {
        println!("skipped: focus-validator 2.2.1 cannot be installed");
        return None;
    }
    fs::write(ready, "").expect("it is as the test wants it");
    Some(folder)
}

/// The rules that a file fails.
fn failed(validator: &Path, file: &Path) -> BTreeSet<String> {
    let output = Command::new(validator.join("bin/focus-validator"))
        .arg("--data-file")
        .arg(file)
        .args(["--validate-version", "1.2", "--block-download", "--show-violations"])
        // It looks for its currency codes there.
        .current_dir(validator.join("lib/python3.12/site-packages"))
        .output()
        .expect("it is as the test wants it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.matches(": PASS").count() > 100,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let fails = text.lines().filter(|line| line.contains(": FAIL"));
    fails
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|rule| rule.trim_end_matches(':').to_owned())
        .collect()
}

/// All files of a tenant as one.
fn joined(stand: &Stand, tenant: &str) -> PathBuf {
    let mut all = String::new();
    for (name, text) in contents(&out(stand)).expect("it is as the test wants it") {
        if name.starts_with(&format!("{tenant}_")) {
            let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
            all.push_str(if all.is_empty() { &text } else { rows });
        }
    }
    let path = stand.config().join(format!("{tenant}-all.csv"));
    fs::write(&path, all).expect("it is as the test wants it");
    path
}

#[test]
fn the_official_validator_finds_nothing_new() {
    let Some(validator) = validator() else { return };
    let stand = stand("focus-valid", &bill());
    assert_done(&stand.run_once(&[]), 3);
    let found = failed(&validator, &joined(&stand, "acme"));
    // Two rules of which one always fails: they are alternatives.
    let known = ["InvoiceId-C-004-C", "InvoiceId-C-005-C"].map(str::to_owned);
    assert!(found.iter().all(|rule| known.contains(rule)), "{found:?}");
    let demo = Stand::new("focus-demo");
    apportion::demo::write(&demo.config(), 7).expect("the company");
    assert_done(&demo.run_once(&[]), 120);
    for tenant in ["acme", "nordwind", "pixelforge"] {
        let found = failed(&validator, &joined(&demo, tenant));
        assert!(found.iter().all(|rule| known.contains(rule)), "{tenant}: {found:?}");
    }
    if !is_there() {
        return;
    }
    let stand = shared_stand("focus-shared-valid", "1.2");
    for (tenant, file) in SHARED {
        let bill = stand.config().join(format!("{tenant}.csv"));
        fs::write(&bill, csv(&records(file))).expect("what the test wrote itself");
        let (before, after) =
            (failed(&validator, &bill), failed(&validator, &joined(&stand, tenant)));
        assert!(after.is_subset(&before), "{tenant}: {after:?}, where the bill fails {before:?}");
    }
}
