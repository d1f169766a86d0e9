//! Data batches.

use std::collections::BTreeMap;

use proto::driver::{DriverBatch, DriverWeight};
use proto::inventory::{Identity, InventoryBatch, Resource};
use proto::line::{BillingLineItem, LineBatch, LineBatchBuilder, LineId, cell};
use proto::money::Share;
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::row::{
    ALLOCATION_FAILED, CostType, Entry, RowBatch, RowDimension, RowMoney, UNALLOCATED, batch_of,
};
use proto::time::UtcSeconds;

use crate::{Case, amount, case, hash};

const START: UtcSeconds = UtcSeconds(1_727_654_400);
const END: UtcSeconds = UtcSeconds(1_727_740_800);

pub fn cases() -> Vec<Case> {
    vec![
        case("focus", 1, lines(&[plain(), rich(), bare()])),
        case("same", 1, lines(&[plain(), plain()])),
        case("empty", 1, lines(&[])),
        case("sets", 1, ResolutionBatch::new(&resolutions())),
        case("failed", 1, failed()),
        case("split", 2, rows()),
        case("empty", 2, RowBatch::default()),
        case("weights", 1, weights()),
        case("both", 1, inventory()),
    ]
}

fn lines(items: &[BillingLineItem]) -> LineBatch {
    let mut builder = LineBatchBuilder::default();
    items.iter().for_each(|item| builder.push(item));
    builder.take()
}

/// All measures equal, no quantities.
fn plain() -> BillingLineItem {
    BillingLineItem {
        id: LineId(hash("plain")),
        charge_start: START,
        charge_end: END,
        billing_period: "2024-09".parse().expect("a month"),
        currency: "USD".parse().expect("a currency"),
        amount: amount("20.52022672899"),
        measures: [None; 4],
        quantities: [None; 2],
        resolution_key: None,
        cells: vec![(cell::SERVICE.into(), "Amazon Elastic Compute Cloud".into())],
    }
}

/// Everything that a line can have.
fn rich() -> BillingLineItem {
    BillingLineItem {
        id: LineId(hash("rich")),
        charge_start: UtcSeconds(START.0 + 3600),
        charge_end: UtcSeconds(START.0 + 7200),
        billing_period: "2024-10".parse().expect("a month"),
        currency: "JPY".parse().expect("a currency"),
        amount: amount("-0.0000000000000000000000000001"),
        measures: [
            Some(amount("79228162514264337593543950335")),
            Some(amount("0")),
            None,
            Some(amount("-7.9228162514264337593543950335")),
        ],
        quantities: [Some(amount("1.5")), Some(amount("3600"))],
        resolution_key: Some("lkc-1/2024-09-30".into()),
        cells: vec![
            (cell::CHARGE_CATEGORY.into(), "Credit".into()),
            (cell::RESOURCE_ID.into(), "arn:aws:s3:::Bücher, \"x\"\n".into()),
            (cell::SERVICE.into(), "Amazon Simple Storage Service".into()),
            (cell::TAGS.into(), r#"{" team":"checkout"}"#.into()),
        ],
    }
}

/// As little as a line can have.
fn bare() -> BillingLineItem {
    BillingLineItem { id: LineId(hash("bare")), amount: amount("0"), cells: vec![], ..plain() }
}

fn resolutions() -> [IdentityResolution; 2] {
    let full = IdentityResolution {
        key: "lkc-1/2024-09-30".into(),
        window_start: START,
        window_end: END,
        resource_active: vec!["principal:User:a".into(), "service_account:sa-1".into()],
        metrics_derived: vec!["service_account:sa-1".into()],
        tenant_period: vec!["service_account:sa-1".into(), "service_account:sa-2".into()],
        usage: vec![
            ("bytes_in".into(), "service_account:sa-1".into(), amount("61.25")),
            ("bytes_out".into(), "service_account:sa-1".into(), amount("0")),
        ],
        failed_metrics: vec![],
    };
    let empty = IdentityResolution {
        key: "lkc-2/2024-09-30".into(),
        window_start: START,
        window_end: END,
        resource_active: vec![],
        metrics_derived: vec![],
        tenant_period: vec![],
        usage: vec![],
        failed_metrics: vec![],
    };
    [full, empty]
}

/// One of them lacks metrics that were asked for.
fn failed() -> ResolutionBatch {
    let [full, mut empty] = resolutions();
    empty.failed_metrics = vec!["bytes_in".into(), "bytes_out".into()];
    ResolutionBatch::new(&[full, empty])
}

fn rows() -> RowBatch {
    let shared = RowDimension {
        rule: "platform-cluster".into(),
        tier: 1,
        part: 1,
        identity: "service_account:sa-1".into(),
        owner: "checkout".into(),
        cost_type: CostType::Shared,
        method: "usage_ratio".into(),
        detail: Some("kafka_bytes".into()),
        entry: Entry::Original,
        booking_period: None,
    };
    let nobody = RowDimension {
        rule: "focus/default@1".into(),
        tier: 0,
        part: 0,
        identity: UNALLOCATED.into(),
        owner: UNALLOCATED.into(),
        cost_type: CostType::Usage,
        method: ALLOCATION_FAILED.into(),
        detail: None,
        entry: Entry::Correction,
        booking_period: Some("2024-10".parse().expect("a month")),
    };
    let wide = Share::from_texts(
        "1",
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    );
    let share = |num, den| Share::from_narrow(num, den).expect("a share");
    let money = |line: &str, share, text: &str| RowMoney {
        line: LineId(hash(line)),
        share,
        amount: amount(text),
        measures: [None; 4],
        quantities: [None; 2],
    };
    let split = RowMoney {
        measures: [Some(amount("0.1")), None, None, Some(amount("-0.0000000001"))],
        quantities: [None, Some(amount("2400"))],
        ..money("rich", share(2, 3), "0.0666666667")
    };
    let row = |dimension: &RowDimension, money| (dimension.clone(), money);
    let rows = [
        row(&shared, split),
        row(&nobody, money("rich", share(1, 3), "0.0333333333")),
        row(&nobody, money("wide", wide.expect("a share"), "0")),
        row(&nobody, money("plain", Share::ONE, "20.52022672899")),
        row(&nobody, money("more", Share::ONE, "0.5")),
    ];
    batch_of(&rows).0
}

fn weights() -> DriverBatch {
    let weight = |within: &str, party: &str, weight: &str| DriverWeight {
        window_start: START,
        window_end: END,
        within: within.into(),
        party: party.into(),
        weight: amount(weight),
        currency: None,
    };
    DriverBatch::new(&[
        weight("", "checkout", "61.2"),
        weight("111122223333\u{1f}eu-central-1", "search", "-0.5"),
    ])
}

fn inventory() -> InventoryBatch {
    let attributes = BTreeMap::from([("cloud".to_owned(), "aws".to_owned())]);
    let cluster = Resource {
        id: "lkc-1".into(),
        kind: "kafka_cluster".into(),
        display_name: Some("prod".into()),
        parent: Some("env-1".into()),
        owner: Some("service_account:sa-1".into()),
        created_at: Some(START),
        deleted_at: Some(END),
        attributes: attributes.clone(),
    };
    let bare = Resource {
        id: "lkc-2".into(),
        display_name: None,
        parent: None,
        owner: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
        ..cluster.clone()
    };
    let identity = Identity {
        id: "service_account:sa-1".into(),
        kind: "service_account".into(),
        display_name: Some("checkout".into()),
        created_at: Some(START),
        deleted_at: None,
        attributes,
    };
    InventoryBatch { resources: vec![cluster, bare], identities: vec![identity] }
}
