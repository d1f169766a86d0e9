use proptest::prelude::*;

use super::oracle::config;
use crate::money::{Amount, AmountError};

fn refused(text: &str) -> String {
    match Amount::parse(text) {
        Ok(amount) => panic!("{text:?} was read as {amount}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_refusal_says_what_and_how_to_mend_it() {
    let character = |what: &str, position: usize, text: &str, hint: &str| {
        format!(
            "unexpected {what} at character {position} of `{text}`: write only digits, a sign and a point{hint}"
        )
    };
    let groups = |text: &str, mended: &str| format!("digit groups in `{text}`: write {mended}");
    let sign = |text: &str| format!("misplaced sign in `{text}`: write at most one sign, in front");
    let digits = |text: &str| {
        format!(
            "`{text}` has more digits than can be held exactly: write at most 28 decimals, and no more than 79228162514264337593543950335 without the point"
        )
    };
    let forty = "1234567890123456789012345678901234567890";
    for (text, message) in [
        ("", "amount is empty: write a number such as 12.5, or 0".to_owned()),
        ("  ", "amount is empty: write a number such as 12.5, or 0".to_owned()),
        ("12,5", "decimal comma in `12,5`: write 12.5".to_owned()),
        (" -12,50 ", "decimal comma in `-12,50`: write -12.50".to_owned()),
        ("1,234", "comma in `1,234`: write 1.234 for a fraction, 1234 for thousands".to_owned()),
        ("1,234.56", groups("1,234.56", "1234.56")),
        ("1.234,56", groups("1.234,56", "1234.56")),
        ("1.234.567,8", groups("1.234.567,8", "1234567.8")),
        ("1_000", groups("1_000", "1000")),
        ("1 000", groups("1 000", "1000")),
        ("1'000", groups("1'000", "1000")),
        ("+-1", sign("+-1")),
        ("--1", sign("--1")),
        ("5-", sign("5-")),
        ("1-2", sign("1-2")),
        ("NaN", "`NaN` is not a finite number: write digits".to_owned()),
        ("inf", "`inf` is not a finite number: write digits".to_owned()),
        ("-Infinity", "`-Infinity` is not a finite number: write digits".to_owned()),
        ("0x1F", "`0x1F` is not decimal: write decimal digits".to_owned()),
        ("-0b1", "`-0b1` is not decimal: write decimal digits".to_owned()),
        ("1e", "malformed exponent in `1e`: write digits after the e, as in 1e-7".to_owned()),
        ("1e+-1", "malformed exponent in `1e+-1`: write digits after the e, as in 1e-7".to_owned()),
        ("1e1.5", "malformed exponent in `1e1.5`: write digits after the e, as in 1e-7".to_owned()),
        ("1e1e1", "malformed exponent in `1e1e1`: write digits after the e, as in 1e-7".to_owned()),
        (
            "1.2.3",
            "more than one decimal point in `1.2.3`: write one at most, and no thousands separators".to_owned(),
        ),
        ("-", "no digits in `-`: write a number such as 12.5".to_owned()),
        (".", "no digits in `.`: write a number such as 12.5".to_owned()),
        ("e5", "no digits in `e5`: write a number such as 12.5".to_owned()),
        ("$5", character("'$'", 1, "$5", "; the currency has its own column")),
        ("5 €", character("' '", 2, "5 €", "")),
        ("12.5 USD", character("' '", 3 + 2, "12.5 USD", "")),
        ("5EUR", character("'U'", 3, "5EUR", "; a currency code has its own column")),
        ("(5.00)", character("'('", 1, "(5.00)", "; for a negative amount write - in front")),
        ("5%", character("'%'", 2, "5%", "; leave the percent sign out")),
        ("\u{2212}5", character("'−'", 1, "\u{2212}5", "; write the minus sign as -")),
        ("１２", character("'１'", 1, "１２", "")),
        ("\u{a0}5", character("'\\u{a0}'", 1, "\u{a0}5", "")),
        ("12,", "decimal comma in `12,`: write 12.".to_owned()),
        (",,", character("','", 1, ",,", "")),
        ("1e400", digits("1e400")),
        ("1e-400", digits("1e-400")),
        ("1e29", digits("1e29")),
        ("1e-29", digits("1e-29")),
        ("1e99999999999999999999", digits("1e99999999999999999999")),
        (forty, digits(forty)),
        ("79228162514264337593543950336", digits("79228162514264337593543950336")),
        ("7.92281625142643375935439503351", digits("7.92281625142643375935439503351")),
    ] {
        assert_eq!(refused(text), message, "{text:?}");
    }
}

#[test]
fn long_texts_are_cut_in_messages_and_cost_one_pass() {
    let long = "9".repeat(1_000_000);
    let message = refused(&long);
    assert!(
        message.len() < 300 && message.contains(&format!("`{}…`", "9".repeat(60))),
        "{message}"
    );
    let zeros = format!("1{}e-1000000", "0".repeat(1_000_000));
    assert_eq!(Amount::parse(&zeros), Ok(Amount::ONE));
    assert!(refused(&"é".repeat(1000)).contains('…'));
}

proptest! {
    #![proptest_config(config())]

    /// Whatever comes, nothing panics; what is read round-trips; what is proposed can be read.
    #[test]
    fn anything_is_read_or_explained(text in prop_oneof!["[-0-9eE+.,_' ]{0,9}", "[0-9.,]{0,9}", "\\PC{0,9}"]) {
        match Amount::parse(&text) {
            Ok(amount) => prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount)),
            Err(AmountError::DecimalComma { mended, .. } | AmountError::Grouped { mended, .. }) => {
                prop_assert!(Amount::parse(&mended).is_ok(), "{}: {}", text, mended);
            }
            Err(AmountError::AmbiguousComma { fraction, whole, .. }) => {
                prop_assert!(Amount::parse(&fraction).is_ok() && Amount::parse(&whole).is_ok(), "{}", text);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
