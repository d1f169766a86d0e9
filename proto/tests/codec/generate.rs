//! Any message that could be.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proto::hash::Hash128;
use proto::line::{BillingLineItem, LineId};
use proto::money::{Amount, MAX_SCALE, Share};
use proto::resolution::IdentityResolution;
use proto::row::{CostType, Entry, RowDimension, RowMoney};
use proto::time::{BillingPeriod, UtcSeconds};

const MANTISSA_MAX: i128 = (1 << 96) - 1;

pub fn amount() -> impl Strategy<Value = Amount> {
    let any = (-MANTISSA_MAX..=MANTISSA_MAX, 0..=MAX_SCALE);
    let usual = (-1_000_000_i128..1_000_000, 0..6_u32);
    let edge =
        (select(vec![0, 1, -1, MANTISSA_MAX, -MANTISSA_MAX]), select(vec![0, 1, 27, MAX_SCALE]));
    prop_oneof![any, usual, edge]
        .prop_map(|(mantissa, scale)| Amount::from_parts(mantissa, scale).expect("it fits"))
}

/// Texts as bills have them, and any other; some of them often, so that dictionaries repeat.
fn text() -> impl Strategy<Value = String> {
    let usual = select(vec!["", "NULL", "USD", "Amazon S3", "Bücher\u{0}\u{1f}", "x"]);
    prop_oneof![3 => usual.prop_map(str::to_owned), 2 => "[a-z]{1,3}", 1 => any::<String>()]
}

fn seconds() -> impl Strategy<Value = UtcSeconds> {
    prop_oneof![1_700_000_000..1_800_000_000_i64, any::<i64>()].prop_map(UtcSeconds)
}

fn period() -> impl Strategy<Value = BillingPeriod> {
    (1..10_000_u32, 1..13_u32)
        .prop_map(|(year, month)| format!("{year:04}-{month:02}").parse().expect("a month"))
}

fn line_id() -> impl Strategy<Value = LineId> {
    any::<[u8; 16]>().prop_map(|bytes| LineId(Hash128(bytes)))
}

pub fn line() -> impl Strategy<Value = BillingLineItem> {
    let currency = select(vec!["USD", "EUR", "JPY", "XAU"]);
    let cells = btree_map(prop_oneof!["[A-D]", text()], text(), 0..6);
    let when = (seconds(), seconds(), period());
    let numbers = (amount(), proptest::array::uniform4(of(amount())), [of(amount()), of(amount())]);
    (line_id(), when, currency, numbers, of(text()), cells).prop_map(
        |(id, (start, end, period), currency, (amount, measures, quantities), key, cells)| {
            BillingLineItem {
                id,
                charge_start: start,
                charge_end: end,
                billing_period: period,
                currency: currency.parse().expect("a currency"),
                amount,
                measures,
                quantities,
                resolution_key: key,
                cells: cells.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect(),
            }
        },
    )
}

/// Few, or so many that dictionaries need wider codes.
pub fn lines() -> impl Strategy<Value = Vec<BillingLineItem>> {
    prop_oneof![9 => vec(line(), 0..30), 1 => vec(line(), 260..300)]
}

pub fn resolutions() -> impl Strategy<Value = Vec<IdentityResolution>> {
    let set = || vec(text(), 0..5);
    let usage = vec((text(), text(), amount()), 0..20);
    let one = (text(), seconds(), seconds(), [set(), set(), set(), set()], usage).prop_map(
        |(key, window_start, window_end, [active, derived, period, failed], usage)| {
            IdentityResolution {
                key,
                window_start,
                window_end,
                resource_active: active,
                metrics_derived: derived,
                tenant_period: period,
                usage,
                failed_metrics: failed,
            }
        },
    );
    vec(one, 0..30)
}

/// Of any width, up to 256 bits.
fn share() -> impl Strategy<Value = Share> {
    let narrow = (any::<u128>(), any::<u128>())
        .prop_map(|(a, b)| Share::from_narrow(a.min(b), a.max(b)).unwrap_or(Share::ONE));
    let wide = (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(a, b)| {
        let (a, b) = (BigUint::from_bytes_be(&a), BigUint::from_bytes_be(&b));
        let (num, den) = if a < b { (a, b) } else { (b, a) };
        Share::from_texts(&num.to_string(), &den.to_string()).unwrap_or(Share::ONE)
    });
    let usual = (0..10_u128, 10..20_u128)
        .prop_map(|(num, den)| Share::from_narrow(num, den).expect("at most 1"));
    prop_oneof![Just(Share::ONE), usual, narrow, wide]
}

fn dimension() -> impl Strategy<Value = RowDimension> {
    let places = (any::<u16>(), any::<u16>());
    let kinds = (select(vec![CostType::Usage, CostType::Shared]), select(Entry::ALL.to_vec()));
    (text(), places, text(), text(), kinds, text(), of(text()), of(period())).prop_map(
        |(rule, (tier, part), identity, owner, (cost_type, entry), method, detail, period)| {
            RowDimension {
                rule,
                tier,
                part,
                identity,
                owner,
                cost_type,
                method,
                detail,
                entry,
                booking_period: period,
            }
        },
    )
}

fn money() -> impl Strategy<Value = RowMoney> {
    let numbers = (amount(), proptest::array::uniform4(of(amount())), [of(amount()), of(amount())]);
    // Few lines, so that some rows stand beside another of their line.
    let line = (0..4_u8).prop_map(|n| LineId(Hash128([n; 16])));
    (line, share(), numbers).prop_map(|(line, share, (amount, measures, quantities))| RowMoney {
        line,
        share,
        amount,
        measures,
        quantities,
    })
}

pub fn rows() -> impl Strategy<Value = Vec<(RowDimension, RowMoney)>> {
    let rows = prop_oneof![9 => vec((money(), any::<Index>()), 0..40), 1 => vec((money(), any::<Index>()), 260..300)];
    (vec(dimension(), 1..30), rows).prop_map(|(dimensions, rows)| {
        let of = |index: Index| index.get(&dimensions).clone();
        rows.into_iter().map(|(money, index)| (of(index), money)).collect()
    })
}

/// What can happen to bytes on their way.
#[derive(Debug, Clone)]
pub enum Damage {
    Flip(Index, u8),
    Overwrite(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Swap(Index, Index),
}

pub fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let bytes = || vec(any::<u8>(), 1..9);
    let one = prop_oneof![
        4 => (any::<Index>(), 1..=255_u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        1 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        1 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1..50_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ];
    vec(one, 1..5)
}

impl Damage {
    /// Does it. `bytes` is not empty before, and not after.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Flip(at, mask) => bytes[at.index(len)] ^= mask,
            Self::Overwrite(at, new) => {
                let at = at.index(len);
                bytes.iter_mut().skip(at).zip(new).for_each(|(old, new)| *old = *new);
            }
            Self::Insert(at, new) => {
                let at = at.index(len);
                bytes.splice(at..at, new.iter().copied()).for_each(drop);
            }
            Self::Remove(at, count) => {
                let at = at.index(len).max(1);
                bytes.drain(at..len.min(at + count));
            }
            Self::Swap(a, b) => bytes.swap(a.index(len), b.index(len)),
        }
    }
}
