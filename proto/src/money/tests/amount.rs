use std::hash::{DefaultHasher, Hash, Hasher};

use num_bigint::BigInt;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::oracle::{amounts, config, fine, max_mantissa, plain_text, rational, ten_to};
use crate::money::{Amount, AmountError};

fn parsed(text: &str) -> String {
    Amount::parse(text).unwrap().to_string()
}

#[test]
fn reads_what_bills_hold() {
    for (text, plain) in [
        ("12.5", "12.5"),
        ("-3", "-3"),
        ("+3", "3"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1e-7", "0.0000001"),
        ("35.2E-7", "0.00000352"),
        ("1E3", "1000"),
        ("1e+3", "1000"),
        ("1.50e1", "15"),
        ("12.500", "12.5"),
        ("1200", "1200"),
        ("007", "7"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0e400", "0"),
        ("0.0e-999999999999999999999999", "0"),
        (" 12.5\t", "12.5"),
        ("\r\n1 ", "1"),
        ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
        ("1e-28", "0.0000000000000000000000000001"),
        ("79228162514264337593543950335", "79228162514264337593543950335"),
        ("-7.9228162514264337593543950335", "-7.9228162514264337593543950335"),
        ("1e28", "10000000000000000000000000000"),
        ("10000000000000000000000000000000000000000e-40", "1"),
        ("0.10000000000000000000000000000000000000000", "0.1"),
        ("00000000000000000000000000000000000000000000000001", "1"),
    ] {
        assert_eq!(parsed(text), plain, "{text}");
    }
}

#[test]
fn equal_numbers_are_equal_in_every_way() {
    let hash = |amount: Amount| {
        let mut hasher = DefaultHasher::new();
        amount.hash(&mut hasher);
        hasher.finish()
    };
    let one = Amount::parse("1").unwrap();
    for same in [
        Amount::parse("1.000").unwrap(),
        Amount::parse("100e-2").unwrap(),
        Amount::from_parts(1000, 3).unwrap(),
        Amount::from(1u64),
        Amount::from(Decimal::new(10_000, 4)),
        Amount::ONE,
    ] {
        assert_eq!((same, hash(same), same.mantissa(), same.scale()), (one, hash(one), 1, 0));
    }
    let zero = Amount::from(-Decimal::new(0, 5));
    assert_eq!((zero.to_string().as_str(), zero.is_negative(), zero.scale()), ("0", false, 0));
    assert_eq!(hash(zero), hash(Amount::ZERO));
    assert_eq!(Amount::ZERO.negated().to_string(), "0");
}

#[test]
fn parts_must_fit() {
    let max = i128::try_from((1u128 << 96) - 1).unwrap();
    assert_eq!(Amount::from_parts(max, 28).map(Amount::mantissa), Some(max));
    assert_eq!(Amount::from_parts(-max, 0).map(Amount::mantissa), Some(-max));
    assert_eq!(Amount::from_parts(max + 1, 0), None);
    assert_eq!(Amount::from_parts(1, 29), None);
    assert_eq!(Amount::from_parts(10, 29).map(Amount::scale), Some(28));
    assert_eq!(Amount::from_parts(0, u32::MAX), Some(Amount::ZERO));
    assert_eq!(Amount::from_parts(1, u32::MAX), None);
    assert_eq!(Amount::from_parts(i128::MIN, 38), None);
    assert_eq!(Amount::from_parts(10i128.pow(38), 38), Some(Amount::ONE));
}

#[test]
fn sign_is_told() {
    let minus = Amount::parse("-2.5").unwrap();
    assert!(minus.is_negative() && !minus.is_positive() && !minus.is_zero());
    assert_eq!(minus.abs(), minus.negated());
    assert!(minus.abs().is_positive());
    assert!(Amount::ZERO.is_zero() && !Amount::ZERO.is_positive());
}

#[test]
fn display_pads_but_never_rounds() {
    let amount = Amount::parse("-1.25").unwrap();
    assert_eq!(
        format!("{amount:.1}|{amount:8}|{amount:08}|{:+}", amount.abs()),
        "-1.25|   -1.25|-0001.25|+1.25"
    );
    assert_eq!(format!("{amount:?}"), "-1.25");
    assert_eq!(amount.to_text().as_bytes(), b"-1.25");
}

#[test]
fn serde_form_is_text() {
    let amount = Amount::parse("1.50").unwrap();
    assert_eq!(serde_json::to_string(&amount).unwrap(), "\"1.5\"");
    assert_eq!(serde_json::from_str::<Amount>("\"1.5\"").unwrap(), amount);
    assert_eq!(
        rmp_serde::from_slice::<Amount>(&rmp_serde::to_vec_named(&amount).unwrap()).unwrap(),
        amount
    );
    let number = serde_json::from_str::<Amount>("1.5").unwrap_err().to_string();
    assert!(number.contains("a decimal number as text"), "{number}");
    let comma = serde_json::from_str::<Amount>("\"1,5\"").unwrap_err().to_string();
    assert!(comma.contains("write 1.5"), "{comma}");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn text_round_trips(amount in amounts()) {
        let text = amount.to_string();
        prop_assert_eq!(&text, &plain_text(&fine(amount)));
        prop_assert_eq!(Amount::parse(&text).unwrap(), amount);
        prop_assert_eq!(Amount::from_parts(amount.mantissa(), amount.scale()), Some(amount));
        prop_assert_eq!(Amount::from(amount.to_decimal()), amount);
        prop_assert_eq!(Amount::from(Decimal::from_str_exact(&text).unwrap()), amount);
        prop_assert!(amount.scale() == 0 || amount.mantissa() % 10 != 0);
    }

    #[test]
    fn order_is_that_of_the_numbers(a in amounts(), b in amounts()) {
        prop_assert_eq!(a.cmp(&b), rational(a).cmp(&rational(b)));
        prop_assert_eq!(a == b, rational(a) == rational(b));
    }

    #[test]
    fn exponents_are_expanded_exactly(
        sign in "[+-]?", whole in "(0{0,30}[0-9]{0,30}0{0,30})", point in any::<bool>(),
        decimals in "(0{0,30}[0-9]{0,30}0{0,30})", exponent in proptest::option::of(-70i64..70)
    ) {
        prop_assume!(!whole.is_empty() || (point && !decimals.is_empty()));
        let decimals = if point { decimals } else { String::new() };
        let mut text = format!("{sign}{whole}{}{decimals}", if point { "." } else { "" });
        if let Some(exponent) = exponent {
            text.push_str(&format!("e{exponent}"));
        }
        let mut mantissa: BigInt = format!("{whole}{decimals}").parse().unwrap();
        let mut power = exponent.unwrap_or(0) - i64::try_from(decimals.len()).unwrap();
        while mantissa != BigInt::ZERO && power < 0 && &mantissa % 10 == BigInt::ZERO {
            mantissa /= 10;
            power += 1;
        }
        if mantissa == BigInt::ZERO {
            prop_assert_eq!(Amount::parse(&text), Ok(Amount::ZERO));
            return Ok(());
        }
        if power > 0 {
            mantissa *= ten_to(u32::try_from(power).unwrap());
            power = 0;
        }
        if power < -28 || mantissa > max_mantissa() {
            prop_assert!(matches!(Amount::parse(&text), Err(AmountError::TooManyDigits { .. })), "{}", text);
        } else {
            let mantissa = i128::try_from(mantissa).unwrap() * if sign == "-" { -1 } else { 1 };
            let amount = Amount::parse(&text).unwrap();
            prop_assert_eq!((amount.mantissa(), i64::from(amount.scale())), (mantissa, -power));
        }
    }
}
