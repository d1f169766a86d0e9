//! Bytes that claim much and hold little, or nest without end.

use std::collections::BTreeMap;

use proto::config::{
    Field, Guards, Match, OnBadLine, Pattern, Reason, Rule, SourceConfig, SourceSettings,
    TenantConfig, Tier, Timing, Validity,
};
use proto::envelope::{Body, Header, decode, decode_header, encode};
use proto::ids::{SourceId, TenantId};
use proto::line::LineBatch;
use proto::row::RowBatch;
use proto::task::Task;

use crate::{header, message};

/// A header of `B`, then these bytes.
fn with_body<B: Body>(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp_serde::encode::write_named(&mut bytes, &header::<B>()).expect("it can be written");
    let _: (Header, &[u8]) = decode_header(&bytes).expect("a header");
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn lengths_that_cannot_be_are_refused_before_anything_is_allocated() {
    // Arrays, maps, texts and bytes of 2^32 - 1, wherever a body may start or hold one.
    for marker in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let claim = [&[marker][..], &[0xff; 4]].concat();
        for name in ["ids", "cells", "amount", "billing_period", "unknown"] {
            let mut body = vec![0x81, 0xa0 | u8::try_from(name.len()).expect("short")];
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&claim);
            assert!(decode::<LineBatch>(&with_body::<LineBatch>(&body)).is_err());
        }
        assert!(decode::<LineBatch>(&with_body::<LineBatch>(&claim)).is_err());
        assert!(decode::<Task>(&with_body::<Task>(&claim)).is_err());
    }
    // A batch that claims 2^32 - 1 items of which it holds none.
    let body = [&[0x81, 0xa3][..], b"len", &[0xce, 0xff, 0xff, 0xff, 0xff]].concat();
    let (_, lines) = decode::<LineBatch>(&with_body::<LineBatch>(&body)).unwrap();
    assert!(lines.open().unwrap_err().to_string().contains("4294967295 items"));
    let (_, rows) = decode::<RowBatch>(&with_body::<RowBatch>(&body)).unwrap();
    assert!(rows.open().unwrap_err().to_string().contains("4294967295 items"));
}

#[test]
fn endless_nesting_is_refused_before_the_stack_ends() {
    // In a field that nobody knows, and where a configuration really nests.
    let unknown = [&[0x81, 0xa1, b'x'][..], &[0x91; 200_000]].concat();
    assert!(decode::<LineBatch>(&with_body::<LineBatch>(&unknown)).is_err());
    let nested: Vec<u8> = b"\x81\xa3all\x91".repeat(30_000);
    let rule = [&b"\x81\xaaallocation\x91\x81\xa7matcher"[..], &nested].concat();
    assert!(decode::<TenantConfig>(&with_body::<TenantConfig>(&rule)).is_err());
    let not: Vec<u8> = b"\x81\xa3not".repeat(30_000);
    let field = b"\x81\xaaallocation\x91\x81\xa7matcher\x81\xa5field\x92\xa6source";
    assert!(
        decode::<TenantConfig>(&with_body::<TenantConfig>(&[&field[..], &not].concat())).is_err()
    );
}

#[test]
fn a_configuration_may_nest_as_deep_as_people_write() {
    let nested =
        |depth| (0..depth).fold(Pattern::Present, |inner, _| Pattern::Not(Box::new(inner)));
    let config = |depth| TenantConfig { allocation: vec![rule(nested(depth))], ..config() };
    let deep = config(100);
    let bytes = encode(&header::<TenantConfig>(), &deep).unwrap();
    assert_eq!(decode::<TenantConfig>(&bytes).unwrap().1, deep);
    let refused = encode(&header::<TenantConfig>(), &config(200)).unwrap_err().to_string();
    assert!(refused.contains("nests too deep"), "{refused}");
}

fn rule(pattern: Pattern) -> Rule {
    Rule {
        id: "r".into(),
        sources: vec![],
        matcher: Match::Field(Field::Source, pattern),
        valid: Validity::default(),
        chain: vec![Tier::Unallocated(Reason::NoRule)],
    }
}

fn config() -> TenantConfig {
    let kind = SourceSettings::Unbuilt { kind: "x".into(), settings: None };
    let source = SourceConfig {
        metrics: None,
        timing: Timing::default(),
        id: SourceId::parse("cloud").expect("an id"),
        settings: kind,
        built_in_rules: vec![],
        default_rule: rule(Pattern::Present),
    };
    TenantConfig {
        tenant: TenantId::parse("acme").expect("an id"),
        currency: vec![],
        lookback_days: None,
        cutoff_days: None,
        retention_days: None,
        final_after_days: None,
        on_bad_line: OnBadLine::Quarantine,
        sources: vec![source],
        owners: None,
        tags: BTreeMap::new(),
        tables: BTreeMap::new(),
        groups: BTreeMap::new(),
        drivers: BTreeMap::new(),
        allocation: vec![],
        tests: vec![],
        emitters: vec![],
        guards: Guards::default(),
    }
}

#[test]
fn a_body_of_another_shape_is_refused() {
    for body in [&[0xc0][..], &[0x90], &[0x01], &[0xa1, b'x'], &[0xc1], &[]] {
        assert!(decode::<Task>(&with_body::<Task>(body)).is_err(), "{body:x?}");
    }
    assert!(decode_header(&[]).is_err() && decode_header(&[0x80]).is_err());
    assert!(decode::<LineBatch>(&message(&LineBatch::default())).is_ok());
}
