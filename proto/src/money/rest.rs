//! What parts leave of their whole.

use super::amount::Amount;
use super::digits::power_of_ten;
use super::split::MIN_SPLIT_SCALE;
use super::sum::ExactSum;

/// What is left of a whole once its parts are taken away: 0 where nothing was lost.
pub fn rest(whole: Amount, parts: impl Iterator<Item = Amount> + Clone) -> ExactSum {
    if narrow_rest(whole, parts.clone()) == Some(0) {
        return ExactSum::ZERO;
    }
    let mut rest = ExactSum::from(whole);
    parts.for_each(|part| rest.sub(part));
    rest
}

/// The same in 128 bits, in units of the finest decimal that a split of the whole has; `None` where it does not fit.
fn narrow_rest(whole: Amount, parts: impl Iterator<Item = Amount>) -> Option<i128> {
    let scale = whole.scale().max(MIN_SPLIT_SCALE);
    let mut rest = fine(whole, scale)?;
    for part in parts {
        rest = rest.checked_sub(fine(part, scale)?)?;
    }
    Some(rest)
}

fn fine(amount: Amount, scale: u32) -> Option<i128> {
    let (mantissa, power) = (amount.mantissa(), power_of_ten(scale.checked_sub(amount.scale())?));
    match (i64::try_from(mantissa), i64::try_from(power)) {
        // Much faster, and most are.
        (Ok(mantissa), Ok(power)) => Some(i128::from(mantissa) * i128::from(power)),
        _ => mantissa.checked_mul(i128::try_from(power).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount() -> impl Strategy<Value = Amount> {
        let wide =
            -79_228_162_514_264_337_593_543_950_335_i128..79_228_162_514_264_337_593_543_950_335;
        let mantissa = prop_oneof![3 => -1_000_000..1_000_000_i128, 1 => wide];
        (mantissa, 0..29_u32).prop_map(|(mantissa, scale)| {
            Amount::from_parts(mantissa, scale).expect("28 decimals and 96 bits at most")
        })
    }

    proptest! {
        #[test]
        fn it_is_what_exact_sums_say(whole in amount(), parts in proptest::collection::vec(amount(), 0..6)) {
            let mut expected = ExactSum::from(whole);
            parts.iter().for_each(|part| expected.sub(*part));
            prop_assert_eq!(rest(whole, parts.iter().copied()), expected);
            // With the part that makes it whole, if that is one.
            if let Some(last) = expected.to_amount() {
                let parts = parts.iter().copied().chain([last]);
                prop_assert!(rest(whole, parts.clone()).is_zero());
                let smallest = Amount::from_parts(1, 28).expect("an amount");
                prop_assert!(!rest(whole, parts.chain([smallest])).is_zero());
            }
        }
    }
}
