//! Rows to write.

use std::sync::Arc;

use proto::config::{Aggregation, EmitterConfig, FileFormat};
use proto::hash::Hash128;
use proto::ids::{EmitterId, SourceId, TenantId};
use proto::line::LineId;
use proto::money::Amount;
use proto::time::UtcSeconds;

use crate::emission::texts::{LineText, RowText};
use crate::emission::{Place, VisibleRow};

/// Where the rows belong.
pub fn place() -> Place {
    Place {
        tenant: TenantId::parse("acme").unwrap(),
        source: SourceId::parse("cloud").unwrap(),
        date: "2026-05-01".parse().unwrap(),
        ecosystem: Some("focus".into()),
    }
}

/// An amount.
pub fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// A row whose cells need care.
pub fn row() -> VisibleRow {
    let some = |text: &str| Some(text.to_owned());
    VisibleRow {
        charge_start: UtcSeconds(1_777_593_600),
        charge_end: UtcSeconds(1_777_597_200),
        line: LineId(Hash128([0xab; 16])),
        amount: amount("-0.0000000000000000000000000001"),
        measures: [
            amount("-12.5"),
            amount("0"),
            amount("1e-7"),
            amount("79228162514264337593543950335"),
        ],
        quantities: [Some(amount("-3")), Some(amount("4"))],
        of: Arc::new(LineText {
            currency: "USD".into(),
            billing_period: "2026-05".into(),
            invoice_id: some("-7"),
            resource_id: some("a, \"b\"\nc"),
            product_category: some("＝x"),
            product_type: None,
            provider: some("@p"),
            billing_account_id: some("0123"),
            sub_account_id: some("\tx"),
            service: some("=1+1"),
            charge_category: some("Usage"),
            charge_class: None,
            pricing_unit: some("+GB"),
            consumed_unit: some("B"),
        }),
        why: Arc::new(RowText {
            tier: 1,
            part: 0,
            identity: "principal:é".into(),
            owner: "team-a".into(),
            rule: "by-account".into(),
            cost_type: "shared".into(),
            method: "even".into(),
            detail: some("a\rb"),
            booking_period: "2026-06".into(),
            entry: "original".into(),
        }),
        origin: None,
    }
}

/// A CSV emitter.
pub fn settings(aggregation: Aggregation, group_by: &[&str], columns: &[&str]) -> EmitterConfig {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    EmitterConfig {
        id: EmitterId::parse("csv").unwrap(),
        kind: "csv".into(),
        dir: Some("out".into()),
        file: None,
        format: FileFormat::Csv,
        aggregation,
        group_by: texts(group_by),
        columns: texts(columns),
        lookback_days: None,
        version: None,
        decimals: None,
    }
}
