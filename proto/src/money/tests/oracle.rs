//! Naive arithmetic to compare with, and the numbers to compare on.

use std::collections::BTreeMap;

use num_bigint::{BigInt, BigUint, Sign};
use num_rational::BigRational;
use proptest::prelude::*;

use crate::money::{Amount, MAX_SCALE};

/// Cases per property.
pub const CASES: u32 = 10_000;

pub fn config() -> ProptestConfig {
    ProptestConfig::with_cases(CASES)
}

pub fn ten_to(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

/// 2^96 - 1.
pub fn max_mantissa() -> BigInt {
    BigInt::from((1u128 << 96) - 1)
}

pub fn rational(amount: Amount) -> BigRational {
    BigRational::new(BigInt::from(amount.mantissa()), ten_to(amount.scale()))
}

/// Amount in units of 10^-28.
pub fn fine(amount: Amount) -> BigInt {
    BigInt::from(amount.mantissa()) * ten_to(MAX_SCALE - amount.scale())
}

/// Any amount: every width of mantissa, every scale, both signs.
pub fn amounts() -> impl Strategy<Value = Amount> {
    let wide = (any::<u128>(), 0u32..=96, 0..=MAX_SCALE, any::<bool>()).prop_map(
        |(bits, width, scale, negative)| {
            let units = (bits & ((1u128 << width) - 1)) as i128;
            Amount::from_parts(if negative { -units } else { units }, scale).unwrap()
        },
    );
    let bill = (-1_000_000_000i128..1_000_000_000, 0u32..=4)
        .prop_map(|(m, s)| Amount::from_parts(m, s).unwrap());
    prop_oneof![3 => wide, 1 => bill]
}

/// Weights as they come: counts, percentages, the 17 digits of a metric, anything.
pub fn weights() -> impl Strategy<Value = Amount> {
    prop_oneof![
        2 => (0i128..20).prop_map(|n| Amount::from_parts(n, 0).unwrap()),
        1 => (0i128..10_000).prop_map(|n| Amount::from_parts(n, 2).unwrap()),
        2 => (0i128..100_000_000_000_000_000, 0u32..=17).prop_map(|(n, s)| Amount::from_parts(n, s).unwrap()),
        2 => amounts().prop_map(Amount::abs),
    ]
}

/// Parties with a total above 0. Few letters: equal ids happen.
pub fn parties() -> impl Strategy<Value = Vec<(String, Amount)>> {
    let id = prop_oneof![4 => "[a-cB]{1,2}", 1 => "\\PC{0,3}"];
    proptest::collection::vec((id, weights()), 1..8)
        .prop_filter("some weight", |parties| parties.iter().any(|(_, weight)| !weight.is_zero()))
}

/// The split as its rule reads, on rationals: parts by id.
pub fn split(amount: Amount, parties: &[(String, Amount)]) -> BTreeMap<String, BigRational> {
    let mut weights: BTreeMap<String, BigRational> = BTreeMap::new();
    for (id, weight) in parties {
        *weights.entry(id.clone()).or_insert_with(|| BigRational::from(BigInt::ZERO)) +=
            rational(*weight);
    }
    let total: BigRational = weights.values().sum();
    let size = rational(amount.abs());
    let mut scale = amount.scale().max(10);
    while (&size * BigRational::from(ten_to(scale))).to_integer() > max_mantissa() {
        scale -= 1;
    }
    let units = size * BigRational::from(ten_to(scale));
    assert!(units.is_integer(), "a scale that loses digits of {amount}");
    // (id, floor, remainder)
    let mut parts: Vec<(String, BigInt, BigRational)> = Vec::new();
    for (id, weight) in weights {
        let exact = &units * weight / &total;
        parts.push((id, exact.to_integer(), exact.fract()));
    }
    let floors: BigInt = parts.iter().map(|(_, floor, _)| floor).sum();
    let left = usize::try_from(units.to_integer() - floors).unwrap();
    parts.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.as_bytes().cmp(b.0.as_bytes())));
    let sign = if amount.is_negative() { -1 } else { 1 };
    let mut result = BTreeMap::new();
    for (index, (id, floor, _)) in parts.into_iter().enumerate() {
        let units = floor + i32::from(index < left);
        result.insert(id, BigRational::new(units * sign, ten_to(scale)));
    }
    result
}

/// Plain decimal text of `units` / 10^28, the slow way.
pub fn plain_text(units: &BigInt) -> String {
    let (sign, size): (Sign, BigUint) = (units.sign(), units.magnitude().clone());
    let digits = format!("{:0>29}", size.to_string());
    let (whole, decimals) = digits.split_at(digits.len() - 28);
    let text = format!("{}{whole}.{decimals}", if sign == Sign::Minus { "-" } else { "" });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
