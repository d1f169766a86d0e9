use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proto::money::{Amount, ExactSum};

use super::company::{self, BillFile};
use super::write;

const SEED: u64 = 7;

/// The cells of all lines of a file, by column.
fn records(file: &BillFile) -> Vec<BTreeMap<String, String>> {
    let text = file.text();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let record = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.unwrap();
        header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect()
    };
    reader.records().map(record).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_everywhere() {
    let hash = |seed| {
        let mut hasher = blake3::Hasher::new();
        for file in company::bills(seed) {
            hasher.update(file.name.as_bytes()).update(file.text().as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    };
    assert_eq!(hash(SEED), "3f6dbf040201bf34");
    assert_ne!(hash(SEED + 1), hash(SEED));
}

#[test]
fn commitments_are_spread_over_exactly_what_they_cost() {
    let mut sums: BTreeMap<(String, String), [ExactSum; 2]> = BTreeMap::new();
    let mut lines = 0;
    for file in company::bills(SEED) {
        let tenant = file.name.split('/').next().unwrap().to_owned();
        for record in records(&file) {
            lines += 1;
            let of = sums.entry((tenant.clone(), record["BillingCurrency"].clone())).or_default();
            for (sum, column) in of.iter_mut().zip(["BilledCost", "EffectiveCost"]) {
                sum.add(Amount::parse(&record[column]).unwrap());
            }
        }
    }
    assert!((4_000..12_000).contains(&lines), "{lines}");
    let places: Vec<String> =
        sums.keys().map(|(tenant, currency)| format!("{tenant} {currency}")).collect();
    assert_eq!(
        places,
        ["acme USD", "nordwind EUR", "nordwind USD", "pixelforge EUR", "pixelforge GBP"]
    );
    for (place, [billed, effective]) in sums {
        assert_eq!(billed, effective, "{place:?}");
        assert!(!billed.is_negative() && !billed.is_zero(), "{place:?}: {billed}");
    }
}

#[test]
fn everything_that_real_bills_hold_is_there() {
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut tags, mut negative, mut monthly, mut hourly) = (BTreeSet::new(), 0, 0, 0);
    let mut days = BTreeSet::new();
    for file in company::bills(SEED) {
        for record in records(&file) {
            for column in [
                "ChargeCategory",
                "ChargeClass",
                "CommitmentDiscountStatus",
                "CommitmentDiscountType",
            ] {
                seen.entry(column).or_default().insert(record[column].clone());
            }
            negative += u32::from(record["BilledCost"].starts_with('-'));
            let (start, end) = (&record["ChargePeriodStart"], &record["ChargePeriodEnd"]);
            monthly += u32::from(end == "2026-10-01T00:00:00Z" && start == "2026-09-01T00:00:00Z");
            hourly += u32::from(start[..10] == end[..10]);
            days.insert(start[..10].to_owned());
            tags.insert(record["Tags"].clone());
        }
    }
    let words = |column: &str| seen[column].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(words("ChargeCategory"), ["Adjustment", "Credit", "Purchase", "Tax", "Usage"]);
    assert_eq!(words("ChargeClass"), ["", "Correction"]);
    assert_eq!(words("CommitmentDiscountStatus"), ["", "Unused", "Used"]);
    assert_eq!(words("CommitmentDiscountType"), ["", "Reservation", "Savings Plan"]);
    assert_eq!(days.len(), 30);
    assert!(negative > 100 && monthly > 5 && hourly > 1_000, "{negative} {monthly} {hourly}");
    assert!(tags.contains(""), "untagged resources");
    for part in ["chekout", "\" team\":", "TEAM", "nw/cc-", "squad-", "growth"] {
        assert!(tags.iter().any(|tags| tags.contains(part)), "{part}: {tags:#?}");
    }
}

#[test]
fn the_configuration_is_sound_runs_today_and_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SEED).unwrap();
    let config =
        coordinator::config::load(folder.path(), &|_| None).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(config.tenants.len(), 3);
    for tenant in config.tenants.values() {
        assert_eq!(coordinator::config::refuse_unbuilt(tenant), []);
        assert!(!tenant.tests.is_empty());
        assert_eq!(coordinator::config::run_tests(tenant, allocator::domain::trial::check), []);
    }
}

#[test]
fn writing_again_touches_nothing_and_keeps_what_people_changed() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), SEED).unwrap();
    assert!(first.kept.is_empty() && first.files == 11, "{first:?}");
    let bill = folder.path().join("bills/acme/aws-2026-09-week1.csv.gz");
    let before = fs::metadata(&bill).unwrap().modified().unwrap();
    let rules = folder.path().join("tenants/acme.yaml");
    fs::write(&rules, "currency: USD\n").unwrap();
    let second = write(folder.path(), SEED).unwrap();
    assert_eq!(second.kept, ["tenants/acme.yaml"]);
    assert_eq!(fs::read_to_string(&rules).unwrap(), "currency: USD\n");
    assert_eq!(fs::metadata(&bill).unwrap().modified().unwrap(), before);
    fs::write(folder.path().join("tenants/mine.yaml"), "").unwrap();
    let message = write(folder.path(), SEED).unwrap_err().to_string();
    assert!(message.contains("holds tenants/mine.yaml, which is not the demo's"), "{message}");
}
