use num_bigint::BigInt;
use proptest::prelude::*;

use super::oracle::{amounts, config, fine, plain_text};
use crate::money::{Amount, ExactSum};

fn sum(text: &str) -> ExactSum {
    ExactSum::parse(text).unwrap()
}

#[test]
fn small_terms_are_not_lost() {
    let mut total = ExactSum::ZERO;
    total.add(Amount::parse("79228162514264337593543950335").unwrap());
    total.add(Amount::parse("0.0000000000000000000000000001").unwrap());
    assert_eq!(total.to_string(), "79228162514264337593543950335.0000000000000000000000000001");
    assert_eq!(total.to_amount(), None);
    total.sub(Amount::parse("79228162514264337593543950335").unwrap());
    assert_eq!(total.to_amount(), Amount::parse("1e-28").ok());
}

#[test]
fn reads_what_postgres_writes() {
    for (text, plain) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("0.0000000000", "0"),
        ("12.3000000000", "12.3"),
        ("-12.30", "-12.3"),
        (".5", "0.5"),
        ("0012", "12"),
        ("1.00000000000000000000000000000000000000000", "1"),
        (
            "1234567890123456789012345678901234567890.1",
            "1234567890123456789012345678901234567890.1",
        ),
        ("-100000000000000000000000000000000000000", "-100000000000000000000000000000000000000"),
    ] {
        assert_eq!(sum(text).to_string(), plain, "{text}");
    }
}

#[test]
fn refuses_what_is_no_sum() {
    for text in ["", "-", ".", "+1", "NaN", "1e5", "1,5", "1.2.3", " 1", "--1", "１"] {
        let message = ExactSum::parse(text).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("`{text}` is not a sum: write it in plain decimal notation such as -12.5")
        );
    }
    for text in ["0.00000000000000000000000000001", &"9".repeat(41), &"9".repeat(1000)] {
        let message = ExactSum::parse(text).unwrap_err().to_string();
        assert!(
            message.ends_with(
                "has too many digits: at most 28 decimals and 40 digits in front of them"
            ),
            "{message}"
        );
        assert!(message.len() < 250, "{message}");
    }
}

#[test]
fn serde_form_is_text_and_default_is_zero() {
    let total = sum("-12.5");
    assert_eq!(serde_json::to_string(&total).unwrap(), "\"-12.5\"");
    assert_eq!(serde_json::from_str::<ExactSum>("\"-12.50\"").unwrap(), total);
    assert_eq!(
        rmp_serde::from_slice::<ExactSum>(&rmp_serde::to_vec_named(&total).unwrap()).unwrap(),
        total
    );
    assert!(
        serde_json::from_str::<ExactSum>("\"x\"").unwrap_err().to_string().contains("not a sum")
    );
    assert!(ExactSum::default().is_zero() && !ExactSum::default().is_negative());
    assert_eq!(
        format!("{total:?}|{total:8}|{:45}", sum(&"9".repeat(40))),
        format!("-12.5|   -12.5|{:>45}", "9".repeat(40))
    );
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn equals_big_integers(
        added in proptest::collection::vec(amounts(), 0..6), taken in proptest::collection::vec(amounts(), 0..6)
    ) {
        let plus: BigInt = added.iter().map(|amount| fine(*amount)).sum();
        let minus: BigInt = taken.iter().map(|amount| fine(*amount)).sum();
        let mut total: ExactSum = added.iter().copied().collect();
        let before = total;
        taken.iter().for_each(|amount| total.sub(*amount));
        let expected = &plus - &minus;
        let text = plain_text(&expected);
        prop_assert_eq!(&total.to_string(), &text);
        prop_assert_eq!(ExactSum::parse(&text).unwrap(), total);
        prop_assert_eq!(total.is_negative(), expected < BigInt::ZERO);
        prop_assert_eq!(total.is_zero(), expected == BigInt::ZERO);
        prop_assert_eq!(total.to_amount(), Amount::parse(&text).ok());
        prop_assert_eq!(&total.negated().to_string(), &plain_text(&-&expected));

        let other: ExactSum = taken.iter().copied().collect();
        prop_assert_eq!(before.difference(&other), total);
        prop_assert_eq!(before.cmp(&other), plus.cmp(&minus));
        let mut merged = before;
        merged.merge(&other.negated());
        prop_assert_eq!(merged, total);
    }
}
