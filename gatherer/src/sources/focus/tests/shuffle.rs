//! The order of lines, files and columns does not matter: same ids, same bytes.

use proto::ids::{SourceId, TenantId};

use super::*;
use proptest::prelude::*;

/// Values that collide often, so that lines are equal, look alike, or differ in one place.
fn record() -> impl Strategy<Value = Vec<&'static str>> {
    let of = |values: &'static [&'static str]| prop::sample::select(values);
    (
        of(&["1", "1.0", "2", "-1", "0"]),
        of(&["1", "", "NULL", "3"]),
        of(&["2024-09-01", "2024-09-01T05:00:00Z", "2024-09-02"]),
        of(&["r-1", "r-2", "", "r-10"]),
        of(&["0.1", "", "0.2"]),
        of(&["", "a", "b"]),
        of(&["", "7", "x"]),
        of(&["", "later"]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| vec![a, b, c, d, e, f, g, h])
}

const COLUMNS: [&str; 8] = [
    "BilledCost",
    "ListCost",
    "ChargePeriodStart",
    "ResourceId",
    "ListUnitPrice",
    "x_Own",
    "ConsumedQuantity",
    "Extra",
];

/// A file of records with its columns in another order.
fn file(records: &[Vec<&str>], columns: &[usize]) -> String {
    let line =
        |cells: &[&str]| columns.iter().map(|c| format!("{},", cells[*c])).collect::<String>();
    let body: String = records.iter().map(|record| line(record) + "EUR\n").collect();
    line(&COLUMNS) + "BillingCurrency\n" + &body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_order_gives_the_same_bytes(
        records in prop::collection::vec(record(), 1..40),
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
        columns in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        others in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        split in 0..40_usize,
    ) {
        let whole = Tenant::of(file(&records, &[0, 1, 2, 3, 4, 5, 6, 7])).gather();
        prop_assert_eq!(whole.all().len() + whole.quarantined.len(), records.len());
        let mixed: Vec<_> = order.into_iter().filter(|n| *n < records.len()).map(|n| records[n].clone()).collect();
        let (first, second) = mixed.split_at(split.min(mixed.len()));
        let mut tenant = Tenant::new(Measure::Billed, &["*.csv"]);
        tenant.settings.duplicates = Duplicates::Allow;
        tenant.write("1.csv", file(first, &columns));
        tenant.write("2.csv", file(second, &others));
        let parts = tenant.gather();
        prop_assert_eq!(&parts.batches, &whole.batches);
        prop_assert_eq!(&parts.dates, &whole.dates);
    }
}

#[test]
fn another_tenant_or_source_has_other_ids() {
    let ids = |tenant: &Tenant| tenant.gather().all().iter().map(|l| l.id).collect::<Vec<_>>();
    let mut tenant = Tenant::of(bill(&[("2024-09-01", "1")]));
    let first = ids(&tenant);
    tenant.config.tenant = TenantId::parse("other").unwrap();
    let second = ids(&tenant);
    tenant.config.sources[0].id = SourceId::parse("other").unwrap();
    assert!(first != second && second != ids(&tenant) && first != ids(&tenant));
}

#[test]
fn ids_of_this_build_are_ids_for_ever() {
    // Facts in the ledger carry them: a change here needs a migration of every stored line.
    let found = Tenant::of(bill(&[("2024-09-01", "1")])).gather();
    assert_eq!(found.one().id.to_string(), "3acdf6c2b5744c4459803f09b2c29398");
}
