//! The shared bills, where this machine has them: their totals, and their look-alike lines.

use std::collections::BTreeMap;

use proto::money::ExactSum;

use super::*;

const FILES: [(&str, &str, &str, usize); 4] = [
    ("focus-1.0_sample_1000.csv", "20.52022672899", "14.97651418586", 0),
    ("focus_1_2_cost_and_usage_aws.csv.gz", "25993.813466032605", "", 7),
    ("focus_1_2_cost_and_usage_azure.csv.gz", "38965.31479412736", "", 8),
    ("focus_1_2_cost_and_usage_gcp.csv.gz", "30378.7612419533505", "", 5),
];

#[test]
fn shared_bills_have_their_totals_and_every_look_alike() {
    let Some(folder) = shared() else { return };
    for (file, billed, effective, pairs) in FILES {
        let mut tenant = Tenant::new(Measure::Billed, &[file]);
        std::fs::copy(folder.join(file), tenant.folder.path().join(file)).unwrap();
        tenant.age(file, 3_600);
        let found = tenant.gather();
        assert_eq!(
            (found.all().len(), found.quarantined.len()),
            (1_000, 0),
            "{file}: {:?}",
            found.quarantined
        );
        assert_eq!((found.records, found.sum(Measure::Billed).as_str()), (1_000, billed), "{file}");
        // Look-alikes: equal in everything but numbers. None is lost, and each has an id of its own.
        let mut texts: BTreeMap<_, usize> = BTreeMap::new();
        for line in found.all() {
            let numeric = |name: &str| {
                super::super::columns::number(name).is_some_and(|n| {
                    super::super::columns::COLUMNS[n].kind == super::super::columns::Kind::Decimal
                })
            };
            let cells: Vec<_> =
                line.cells.iter().filter(|(name, _)| !numeric(name)).cloned().collect();
            *texts
                .entry((line.charge_start, line.charge_end, line.billing_period, cells))
                .or_default() += 1;
        }
        assert_eq!(texts.values().filter(|n| **n == 2).count(), pairs, "{file}");
        assert!(texts.values().all(|n| *n <= 2), "{file}");
        if !effective.is_empty() {
            assert_eq!(found.sum(Measure::Effective), effective);
            assert_eq!(found.sum(Measure::List), "20.39090575119");
            let missing = found
                .all()
                .iter()
                .filter(|l| l.measures[Measure::Contracted as usize].is_none())
                .count();
            assert!(missing >= 7, "a missing ContractedCost is the amount");
            assert!(
                found.all().iter().any(|l| l.cell("Id").is_some())
                    && found.all().iter().all(|l| l.cell("Tags") != Some("NULL"))
            );
            tenant.settings.cost = Measure::Effective;
            let amount: ExactSum = tenant.gather().all().iter().map(|l| l.amount).collect();
            assert_eq!(amount.to_string(), effective);
        }
    }
}

#[test]
fn a_shared_bill_gives_the_same_bytes_however_it_is_shuffled_and_split() {
    let Some(folder) = shared() else { return };
    let text = std::fs::read_to_string(folder.join(FILES[0].0)).unwrap();
    let whole = Tenant::of(&text).gather();
    let (header, rest) = text.split_once('\n').unwrap();
    // No cell of this bill holds a line break, so its lines are its records.
    let mut lines: Vec<&str> = rest.lines().collect();
    lines.reverse();
    lines.sort_by_key(|line| line.len() % 7);
    let tenant = Tenant::new(Measure::Billed, &["part*.csv"]);
    for (n, part) in lines.chunks(301).enumerate() {
        tenant.write(&format!("part{n}.csv"), format!("{header}\r\n{}\r\n", part.join("\r\n")));
    }
    let parts = tenant.gather();
    assert_eq!(parts.batches, whole.batches);
    assert_eq!(parts.dates, whole.dates);
}
