//! The codec: whatever can be written comes back, and whatever arrives damaged is refused without a panic.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proto::driver::{DriverBatch, DriverWeight};
use proto::envelope::{
    self, Body, EnvelopeError, Header, MESSAGE_BYTES_MAX, decode, decode_header, encode,
};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, TenantId};
use proto::inventory::{Identity, InventoryBatch};
use proto::line::{BillingLineItem, LineBatch, LineBatchBuilder};
use proto::manifest::BatchRef;
use proto::money::Amount;
use proto::resolution::ResolutionBatch;
use proto::row::{RowBatch, RowDimension, RowMoney, Rows, batch_of};
use proto::time::UtcSeconds;
use serde::Serialize;

mod generate;
mod hostile;

use generate::{Damage, damage, lines, resolutions, rows};

fn header<B: Body>() -> Header {
    let tenant = TenantId::parse("acme").expect("an id");
    Header::new::<B>(tenant, Generation(7), Attempt(u64::MAX)).of_batch(u32::MAX)
}

fn message<B: Body>(body: &B) -> Vec<u8> {
    encode(&header::<B>(), body).expect("it can be written")
}

fn lines_batch(lines: &[BillingLineItem]) -> (LineBatch, usize) {
    let mut builder = LineBatchBuilder::default();
    lines.iter().for_each(|line| builder.push(line));
    let size = builder.size();
    (builder.take(), size)
}

/// Reads a batch as every reader does: the manifest's hash first.
fn read<B: Body>(bytes: &[u8], expected: &BatchRef) -> Option<B> {
    (Hash128::of(bytes) == expected.hash).then(|| decode::<B>(bytes).expect("what was written").1)
}

/// Whatever happens to the bytes: no panic, and under the manifest's hash nothing but what was written.
fn survives<B: Body + Clone + PartialEq + Debug>(body: &B, damages: &[Damage], open: fn(B)) {
    let whole = message(body);
    let written = BatchRef { items: 0, hash: Hash128::of(&whole) };
    assert_eq!(read::<B>(&whole, &written).as_ref(), Some(body));
    let mut bytes = whole.clone();
    damages.iter().for_each(|damage| damage.apply(&mut bytes));
    if bytes != whole {
        assert_eq!(read::<B>(&bytes, &written), None);
    }
    if let Ok((_, body)) = decode::<B>(&bytes) {
        open(body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn lines_come_back(lines in lines()) {
        let (batch, estimate) = lines_batch(&lines);
        let bytes = message(&batch);
        // Batches are cut by the estimate at 100 KiB, and must not pass 256 KiB.
        prop_assert!(bytes.len() <= estimate * 5 / 2 + 2_000, "{} bytes, {estimate} thought", bytes.len());
        let (found, decoded) = decode::<LineBatch>(&bytes).unwrap();
        prop_assert_eq!(found, header::<LineBatch>());
        prop_assert_eq!(&decoded, &batch);
        let opened = decoded.open().unwrap();
        prop_assert_eq!(opened.len(), lines.len());
        for (i, line) in lines.iter().enumerate() {
            let item = opened.item(i).unwrap();
            prop_assert_eq!(item.hash(), line.hash());
            prop_assert_eq!(&item, line);
        }
    }

    #[test]
    fn rows_come_back(rows in rows()) {
        let (batch, hashes) = batch_of(&rows);
        let (_, decoded) = decode::<RowBatch>(&message(&batch)).unwrap();
        let back: Rows = decoded.open().unwrap();
        let found: Vec<_> = back.iter().map(|(dimension, money)| (dimension.clone(), money)).collect();
        prop_assert_eq!(found, rows);
        prop_assert!(back.pieces.iter().map(|piece| piece.hash).eq(hashes.iter().map(|(hash, _)| *hash)));
    }

    #[test]
    fn whatever_changes_in_a_row_changes_its_hash(rows in rows(), other in rows()) {
        for ((dimension, money), (dimension2, money2)) in rows.iter().zip(&other) {
            let hash = |dimension: &RowDimension, money: RowMoney| batch_of(&[(dimension.clone(), money)]).1[0].0;
            let base = hash(dimension, *money);
            prop_assert_eq!(hash(dimension2, *money) == base, dimension2 == dimension);
            let changes: [fn(&mut RowMoney, &RowMoney); 5] = [
                |to, from| to.line = from.line,
                |to, from| to.share = from.share,
                |to, from| to.amount = from.amount,
                |to, from| to.measures = from.measures,
                |to, from| to.quantities = from.quantities,
            ];
            for change in changes {
                let mut changed = *money;
                change(&mut changed, money2);
                prop_assert_eq!(hash(dimension, changed) == base, changed == *money, "{:?}", changed);
            }
        }
    }

    #[test]
    fn resolutions_come_back(resolutions in resolutions()) {
        let (_, decoded) = decode::<ResolutionBatch>(&message(&ResolutionBatch::new(&resolutions))).unwrap();
        prop_assert_eq!(decoded.open().unwrap(), resolutions);
    }

    #[test]
    fn damaged_lines_are_refused_or_at_least_harmless(lines in lines(), damages in damage()) {
        survives(&lines_batch(&lines).0, &damages, |batch| {
            if let Ok(lines) = batch.open() {
                // What passed its checks can be read to its end, item by item.
                (0..lines.len()).for_each(|i| drop(lines.item(i)));
            }
        });
    }

    #[test]
    fn damaged_rows_are_refused_or_at_least_harmless(rows in rows(), damages in damage()) {
        survives(&batch_of(&rows).0, &damages, |batch| drop(batch.open()));
    }

    #[test]
    fn damaged_resolutions_are_refused_or_at_least_harmless(items in resolutions(), damages in damage()) {
        survives(&ResolutionBatch::new(&items), &damages, |batch| drop(batch.open()));
    }

    #[test]
    fn random_bytes_are_no_message(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode::<LineBatch>(&bytes).is_err());
    }

    #[test]
    fn a_part_of_a_message_is_none(rows in rows(), cut in any::<prop::sample::Index>()) {
        let bytes = message(&batch_of(&rows).0);
        prop_assert!(decode::<RowBatch>(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn nothing_may_follow(rows in rows(), more in proptest::collection::vec(any::<u8>(), 1..20)) {
        let mut bytes = message(&batch_of(&rows).0);
        bytes.extend_from_slice(&more);
        prop_assert!(matches!(decode::<RowBatch>(&bytes), Err(EnvelopeError::Trailing(n)) if n == more.len()));
    }

    #[test]
    fn the_header_is_readable_whatever_the_body_is(rows in rows(), damages in damage()) {
        let bytes = message(&batch_of(&rows).0);
        let (written, body) = decode_header(&bytes).unwrap();
        let mut body = body.to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut body));
        let mut poisoned = bytes[..bytes.len() - decode_header(&bytes).unwrap().1.len()].to_vec();
        poisoned.extend_from_slice(&body);
        let (read, rest) = decode_header(&poisoned).unwrap();
        prop_assert_eq!(read, written);
        prop_assert_eq!(rest, &body[..]);
    }
}

/// A value as a later build may write it: with fields that this one does not know.
#[derive(Serialize)]
struct Later<'a, T> {
    before: Vec<Option<f32>>,
    #[serde(flatten)]
    known: &'a T,
    future: std::collections::BTreeMap<&'static str, Vec<&'static str>>,
}

fn later<T>(known: &T) -> Later<'_, T> {
    Later { before: vec![None, Some(1.5)], known, future: [("a", vec!["b", "c"])].into() }
}

#[test]
fn unknown_fields_are_ignored() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let value = batch_of(&rows().new_tree(&mut runner).unwrap().current()).0;
    let mut bytes = Vec::new();
    rmp_serde::encode::write_named(&mut bytes, &later(&header::<RowBatch>())).unwrap();
    rmp_serde::encode::write_named(&mut bytes, &later(&value)).unwrap();
    let (read, body) = decode::<RowBatch>(&bytes).unwrap();
    assert_eq!((read, body), (header::<RowBatch>(), value));
}

#[test]
fn rows_of_an_older_build_are_to_be_made_again() {
    let mut header = header::<RowBatch>();
    header.schema = 1;
    let refused = decode::<RowBatch>(&encode(&header, &RowBatch::default()).unwrap());
    assert!(matches!(refused, Err(EnvelopeError::Old { schema: 1, .. })), "{refused:?}");
}

#[test]
fn newer_and_impossible_schemas_are_refused_with_a_readable_header() {
    let body = DriverBatch::new(&[]);
    for schema in [0, 2, u16::MAX] {
        let mut header = header::<DriverBatch>();
        header.schema = schema;
        let bytes = encode(&header, &body).unwrap();
        assert_eq!(decode_header(&bytes).unwrap().0, header);
        let refused = decode::<DriverBatch>(&bytes);
        assert!(matches!(refused, Err(EnvelopeError::Schema { schema: s, .. }) if s == schema));
    }
    let bytes = message(&body);
    assert!(matches!(decode::<LineBatch>(&bytes), Err(EnvelopeError::Kind { .. })));
}

#[test]
fn oversized_messages_are_refused_on_both_sides() {
    let identity = |size: usize| Identity {
        id: "x".repeat(size),
        kind: String::new(),
        display_name: None,
        created_at: None,
        deleted_at: None,
        attributes: Default::default(),
    };
    let batch = |size| InventoryBatch { resources: vec![], identities: vec![identity(size)] };
    let overhead = message(&batch(100_000)).len() - 100_000;
    let largest = batch(MESSAGE_BYTES_MAX - overhead);
    let bytes = message(&largest);
    assert_eq!(bytes.len(), MESSAGE_BYTES_MAX);
    assert_eq!(decode::<InventoryBatch>(&bytes).unwrap().1, largest);
    let above = batch(MESSAGE_BYTES_MAX - overhead + 1);
    let refused = encode(&header::<InventoryBatch>(), &above);
    assert!(matches!(refused, Err(EnvelopeError::TooLarge(n)) if n == MESSAGE_BYTES_MAX + 1));
    let bytes = [bytes, vec![0]].concat();
    assert!(matches!(envelope::decode_header(&bytes), Err(EnvelopeError::TooLarge(_))));
    assert!(matches!(decode::<InventoryBatch>(&bytes), Err(EnvelopeError::TooLarge(_))));
}

#[test]
fn a_full_batch_of_distinct_texts_comes_back_and_one_more_is_refused() {
    let weight = |n: usize| DriverWeight {
        window_start: UtcSeconds(0),
        window_end: UtcSeconds(1),
        within: String::new(),
        party: n.to_string(),
        weight: Amount::ONE,
        currency: None,
    };
    let weights: Vec<_> = (0..=65_536).map(weight).collect();
    let (full, all) = (&weights[..65_536], &weights[..]);
    // Wider than any message: only the columns are tried here.
    let bytes = rmp_serde::to_vec_named(&DriverBatch::new(full)).unwrap();
    let back: DriverBatch = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(back.open().unwrap(), full);
    let refused = DriverBatch::new(all).open().unwrap_err().to_string();
    assert!(refused.contains("65537 items"), "{refused}");
}
