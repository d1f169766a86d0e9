//! Defects of the engine that these chains come from: Apportion without them. Each test bears its defect's number.

use std::collections::BTreeSet;
use std::sync::Arc;

use allocator::domain::{DriverWeights, Facts, Program, UnitAllocator};
use bytes::Bytes;
use proto::config::{
    Field, FixedShares, Match, Pattern, Reason, Receivers, ResolutionSet, Rule, Table, TableRow,
    TenantConfig, Tier, Validity,
};
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation};
use proto::line::{BillingLineItem, LineBatchBuilder};
use proto::money::Amount;
use proto::resolution::IdentityResolution;
use proto::row::RowBatch;
use proto::time::UtcSeconds;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::chains::{allocate, line, resolution, tenant};
use crate::desk;

fn product(name: &str) -> Match {
    Match::Field(Field::ProductType, Pattern::Exact(name.to_owned()))
}

fn names(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Allocates a unit, the resolutions in as many batches as there are, and gives the messages of its rows.
fn messages(
    tenant: &TenantConfig,
    lines: &[BillingLineItem],
    resolutions: Vec<IdentityResolution>,
) -> Vec<Bytes> {
    let program = Arc::new(Program::compile(tenant, &desk::source()).unwrap());
    let mut facts = Facts::default();
    resolutions.into_iter().for_each(|one| facts.add(vec![one]));
    let day = desk::day("2026-07-01");
    let mut unit = UnitAllocator::new(program, day, facts, DriverWeights::default());
    let mut batch = LineBatchBuilder::default();
    lines.iter().for_each(|line| batch.push(line));
    let mut packed = unit.allocate(&batch.take().open().unwrap()).unwrap();
    packed.extend(unit.finish().0);
    let header = Header::new::<RowBatch>(desk::tenant(), Generation(1), Attempt(1));
    let header = header.of_source(desk::source()).of_date(day);
    packed.iter().map(|p| Bytes::from(envelope::encode(&header, &p.batch).unwrap())).collect()
}

/// Both parts of a CKU end with nobody: two rows that agree in everything that can be seen of them. One of them used to
/// overwrite the other, and 30 of 100 was left.
#[test]
fn defect_17_1_rows_that_agree_are_added_and_not_overwritten() {
    let tenant = tenant("confluent_cloud");
    let (rows, _) = allocate(&tenant, &line(1, "100", "KAFKA_NUM_CKU", Some("lkc-1")), Vec::new());
    let of = |amount| {
        format!(
            "resource:lkc-1 | UNALLOCATED | {amount} | terminal | no_identities_located | shared"
        )
    };
    assert_eq!(rows, [of(70), of(30)]);
    // Two lines that agree in everything but their id.
    let lines = [1, 2].map(|n| line(n, "50", "KAFKA_NUM_CKU", Some("lkc-1")));
    let sum: usize = messages(&tenant, &lines, Vec::new())
        .iter()
        .map(|message| {
            envelope::decode::<RowBatch>(message).unwrap().1.open().unwrap().iter().count()
        })
        .sum();
    assert_eq!(sum, 4);
}

/// A resource that was there for half of the day: what the provider billed for that half is shared whole.
#[test]
fn defect_17_2_nothing_is_taken_off_for_the_time_before_a_resource_was_there() {
    let tenant = tenant("confluent_cloud");
    let noon = desk::day("2026-07-01").start().0 + 43_200;
    let known = IdentityResolution {
        resource_active: names(&["service_account:sa-1"]),
        ..resolution("lkc-1")
    };
    let whole = "service_account:sa-1 | sa-1 | 100 | even_split | no_metrics_located | shared";
    let mut line = line(1, "100", "KAFKA_BASE", Some("lkc-1"));
    line.charge_start = UtcSeconds(noon);
    assert_eq!(allocate(&tenant, &line, vec![known.clone()]).0, [whole]);
    let since_noon = IdentityResolution { window_start: UtcSeconds(noon), ..known };
    assert_eq!(allocate(&tenant, &line, vec![since_noon]).0, [whole]);
}

/// Lines below 0.00005 used to vanish, and each line could be off by as much.
#[test]
fn defect_17_3_nothing_is_rounded_away() {
    let tenant = tenant("confluent_cloud");
    let known = IdentityResolution {
        resource_active: names(&["service_account:sa-1", "service_account:sa-2", "user:u-1"]),
        ..resolution("lkc-1")
    };
    let rows = |cost| {
        allocate(&tenant, &line(1, cost, "KAFKA_BASE", Some("lkc-1")), vec![known.clone()]).0
    };
    let amounts = |cost| -> Vec<String> {
        rows(cost).iter().map(|row| row.split(" | ").nth(2).unwrap().to_owned()).collect()
    };
    assert_eq!(amounts("0.00004"), ["0.0000133334", "0.0000133333", "0.0000133333"]);
    assert_eq!(amounts("0.0000000001"), ["0.0000000001", "0", "0"]);
    assert_eq!(amounts("0.000000000000000000000007").len(), 3);
    assert_eq!(amounts("-100"), ["-33.3333333334", "-33.3333333333", "-33.3333333333"]);
}

/// A product type that no rule knows used to be skipped, and its date counted as done.
#[test]
fn defect_17_7_an_unknown_product_type_is_a_row_of_nobody_and_a_warning() {
    for kind in ["confluent_cloud", "self_managed_kafka", "generic_metrics"] {
        let (rows, warnings) =
            allocate(&tenant(kind), &line(1, "5", "NEW_THING", Some("lkc-1")), Vec::new());
        assert_eq!(
            rows,
            ["UNALLOCATED | UNALLOCATED | 5 | unallocated | no_rule | shared"],
            "{kind}"
        );
        assert_eq!(warnings, ["no rule says who pays for product type \"NEW_THING\""], "{kind}");
    }
}

/// Who came first in the metrics, or how a set was laid out in memory, used to decide who gets the remainder.
#[test]
fn defect_17_11_rows_are_the_same_bytes_whatever_the_order_of_arrival() {
    let tenant = tenant("confluent_cloud");
    let products =
        ["KAFKA_NUM_CKU", "KAFKA_NETWORK_READ", "KAFKA_BASE", "FLINK_NUM_CFU", "SUPPORT"];
    let lines: Vec<BillingLineItem> = (0..50)
        .map(|n| {
            let key = format!("lkc-{}", n % 7);
            line(n, "100.01", products[n as usize % products.len()], Some(&key))
        })
        .collect();
    let mut random = StdRng::seed_from_u64(17);
    let ids: Vec<String> = (0..40).map(|n| format!("service_account:sa-{n}")).collect();
    let mut known: Vec<IdentityResolution> =
        (0..7).map(|n| resolution(&format!("lkc-{n}"))).collect();
    for (n, of) in known.iter_mut().enumerate() {
        of.resource_active = ids[n..n + 9].to_vec();
        of.metrics_derived = ids[n + 5..n + 16].to_vec();
        of.tenant_period = ids.clone();
        for metric in ["bytes_in", "bytes_out", "stmt_owner_cfu"] {
            let mut value = || Amount::from_parts(random.random_range(1..1_000_000), 3).unwrap();
            let usage =
                of.metrics_derived.clone().into_iter().map(|id| (metric.to_owned(), id, value()));
            of.usage.extend(usage.collect::<Vec<_>>());
        }
    }
    let wanted = messages(&tenant, &lines, known.clone());
    for _ in 0..20 {
        known.shuffle(&mut random);
        for of in &mut known {
            of.resource_active.shuffle(&mut random);
            of.metrics_derived.shuffle(&mut random);
            of.tenant_period.shuffle(&mut random);
            of.usage.shuffle(&mut random);
        }
        assert_eq!(messages(&tenant, &lines, known.clone()), wanted);
    }
}

/// One line that could not be allocated used to undo its whole date.
#[test]
fn defect_17_12_one_bad_line_is_one_row_and_the_others_are_allocated() {
    let mut tenant = tenant("confluent_cloud");
    let row = |owner: &str, value: &str| TableRow {
        key: vec![owner.to_owned()],
        valid: Validity::default(),
        value: value.to_owned(),
    };
    let table = Table {
        key: names(&["owner"]),
        value: "percent".to_owned(),
        rows: vec![row("a", "60"), row("b", "30")],
        patterns: Vec::new(),
    };
    tenant.tables.insert("shares".to_owned(), table);
    let fixed = Tier::Fixed(FixedShares::Table("shares".to_owned()));
    let chain = vec![fixed, Tier::Unallocated(Reason::UnknownOwner)];
    tenant.allocation.push(desk::rule("bad", product("SUPPORT"), chain));
    let known = IdentityResolution {
        tenant_period: names(&["service_account:sa-1"]),
        ..resolution("lkc-1")
    };
    let lines = ["AUDIT_LOG_READ", "SUPPORT", "KAFKA_BASE"];
    let lines: Vec<BillingLineItem> =
        (0..).zip(lines).map(|(n, product)| line(n, "7", product, Some("lkc-1"))).collect();
    let found = messages(&tenant, &lines, vec![known]);
    let rows = envelope::decode::<RowBatch>(&found[0]).unwrap().1.open().unwrap();
    let rows: Vec<String> = rows
        .iter()
        .map(|(d, money)| format!("{} {} {}", d.owner, money.amount, d.method))
        .collect();
    assert_eq!(rows, ["sa-1 7 even_split", "UNALLOCATED 7 ALLOCATION_FAILED", "sa-1 7 even_split"]);
}

/// A rule of one's own for a product type, from a day on.
#[test]
fn chains_are_overridden_by_product_type_and_date() {
    let mut tenant = tenant("confluent_cloud");
    let own = Rule {
        valid: Validity { from: Some(desk::day("2026-07-01")), until: None },
        ..desk::rule(
            "cku-by-account",
            product("KAFKA_NUM_CKU"),
            vec![
                Tier::Even(Receivers::Set(ResolutionSet::TenantPeriod)),
                Tier::Unallocated(Reason::NoDriver),
            ],
        )
    };
    tenant.allocation.push(own);
    let start = desk::day("2026-06-30").start();
    let known = IdentityResolution {
        resource_active: names(&["service_account:sa-1"]),
        tenant_period: names(&["service_account:sa-2"]),
        window_start: start,
        ..resolution("lkc-1")
    };
    let rows = |product, at: UtcSeconds| {
        let mut line = line(1, "10", product, Some("lkc-1"));
        (line.charge_start, line.charge_end) = (at, UtcSeconds(at.0 + 86_400));
        allocate(&tenant, &line, vec![known.clone()]).0
    };
    let by_chain = [
        "service_account:sa-1 | sa-1 | 7 | even_split | no_usage_for_active_identities | shared",
        "service_account:sa-1 | sa-1 | 3 | even_split | - | usage",
    ];
    assert_eq!(rows("KAFKA_NUM_CKU", start), by_chain, "the day before");
    let first = desk::day("2026-07-01").start();
    assert_eq!(
        rows("KAFKA_NUM_CKU", first),
        ["service_account:sa-2 | sa-2 | 10 | even | - | shared"]
    );
    assert_eq!(rows("KAFKA_NUM_CKUS", first), by_chain, "another product type");
}

/// Lines of an hour, a day and a month find the resolution of their own window, in whatever order these come.
#[test]
fn lines_of_any_granularity_find_their_window() {
    let tenant = tenant("confluent_cloud");
    let start = desk::day("2026-07-01").start().0;
    let hour = 3_600;
    let windows = [
        (start, start + hour, "hour-0"),
        (start + hour, start + 2 * hour, "hour-1"),
        (start, start + 8 * hour, "shift"),
        (start, start + 24 * hour, "day"),
        (start, start + 31 * 24 * hour, "month"),
    ];
    let mut known: Vec<IdentityResolution> = windows
        .iter()
        .map(|(from, to, name)| IdentityResolution {
            window_start: UtcSeconds(*from),
            window_end: UtcSeconds(*to),
            resource_active: vec![format!("user:{name}")],
            ..resolution("lkc-1")
        })
        .collect();
    for _ in 0..windows.len() {
        known.rotate_left(1);
        let mut found = BTreeSet::new();
        for (from, to, name) in windows {
            let mut line = line(1, "1", "KAFKA_BASE", Some("lkc-1"));
            (line.charge_start, line.charge_end) = (UtcSeconds(from), UtcSeconds(to));
            let rows = allocate(&tenant, &line, known.clone()).0;
            assert!(rows.len() == 1 && rows[0].starts_with(&format!("user:{name} ")), "{rows:?}");
            found.insert(rows);
        }
        assert_eq!(found.len(), windows.len());
    }
}
