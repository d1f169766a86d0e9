//! Sums times a price or a fraction: one rounding, at the very end.

use bnum::cast::As;
use bnum::types::U512;

use super::amount::{Amount, MAX_SCALE};
use super::digits::MAX_MANTISSA;
use super::sum::ExactSum;

impl ExactSum {
    /// `self × price × times / divisor`, exactly where that has no more digits than an amount holds, else rounded to
    /// so many digits, half to even. `None`: it is too large for an amount, or the divisor is 0.
    #[must_use]
    pub fn priced(&self, price: Amount, times: u32, divisor: u128) -> Option<Amount> {
        if divisor == 0 {
            return None;
        }
        // Below 2^255 × 2^96 × 2^32, and with the largest power of ten below 2^477.
        let units: U512 = self.magnitude().as_();
        let price_units: U512 = price.mantissa().unsigned_abs().as_();
        let whole = units * price_units * times.as_::<U512>();
        // Below 2^187 × 2^128.
        let ten: U512 = 10_u128.as_();
        let below = ten.pow(MAX_SCALE + price.scale()) * divisor.as_::<U512>();
        let most: U512 = MAX_MANTISSA.as_();
        for scale in (0..=MAX_SCALE).rev() {
            let scaled = whole * ten.pow(scale);
            let (mut digits, left) = (scaled / below, scaled % below);
            if digits > most {
                continue;
            }
            let twice = left * 2_u128.as_::<U512>();
            let odd = digits.bit(0);
            if twice > below || (twice == below && odd) {
                digits += 1_u128.as_::<U512>();
            }
            if digits > most {
                continue;
            }
            let units = u128::try_from(digits).ok()?;
            return Some(Amount::from_units(
                self.is_negative() != price.is_negative(),
                units,
                scale,
            ));
        }
        None
    }

    /// `self × part / whole`, cut off behind 28 decimals. `None`: the whole is 0.
    ///
    /// # Panics
    /// When the result is beyond what a sum holds, which no part that is smaller than its whole makes.
    #[must_use]
    pub fn portion(&self, part: &ExactSum, whole: &ExactSum) -> Option<ExactSum> {
        if whole.is_zero() {
            return None;
        }
        // Below 2^255 × 2^255.
        let product = self.magnitude().as_::<U512>() * part.magnitude().as_::<U512>();
        let units = product / whole.magnitude().as_::<U512>();
        let signs = [self, part, whole].map(ExactSum::is_negative);
        Some(ExactSum::of_units(signs.iter().fold(false, |a, b| a != *b), units))
    }

    /// Rounded to so many decimals, at most 28, half away from 0.
    #[must_use]
    pub fn rounded(&self, decimals: u32) -> ExactSum {
        let ten: U512 = 10_u128.as_();
        let step = ten.pow(MAX_SCALE.saturating_sub(decimals));
        let units: U512 = self.magnitude().as_();
        let half = step / 2_u128.as_::<U512>();
        ExactSum::of_units(self.is_negative(), (units + half) / step * step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(sum: &str, price: &str, times: u32, divisor: u128) -> String {
        let price = Amount::parse(price).unwrap();
        let amount = ExactSum::parse(sum).unwrap().priced(price, times, divisor);
        amount.map_or("none".to_owned(), |amount| amount.to_string())
    }

    #[test]
    fn what_has_few_digits_is_exact() {
        // Three brokers for a day; 100 GiB for a day; 50 GiB in, and out.
        assert_eq!(priced("3", "0.50", 24, 1), "36");
        let gib = 1_u128 << 30;
        let samples = (gib * 100 * 24).to_string();
        assert_eq!(priced(&samples, "0.0001", 24, 24 * gib), "0.24");
        let moved = (gib * 50).to_string();
        assert_eq!(priced(&moved, "0.01", 1, gib), "0.5");
        assert_eq!(priced(&moved, "0.05", 1, gib), "2.5");
        assert_eq!(priced("-3", "0.5", 1, 4), "-0.375");
        assert_eq!(priced("0", "0.5", 1, 4), "0");
    }

    #[test]
    fn what_has_more_is_rounded_once() {
        assert_eq!(priced("1", "1", 1, 3), "0.3333333333333333333333333333");
        assert_eq!(priced("2", "1", 1, 3), "0.6666666666666666666666666667");
        assert_eq!(priced("200", "1", 1, 3), "66.666666666666666666666666667");
        // Half goes to the even digit.
        assert_eq!(priced("0.0000000000000000000000000001", "1", 1, 2), "0");
        assert_eq!(
            priced("0.0000000000000000000000000003", "1", 1, 2),
            "0.0000000000000000000000000002"
        );
        assert_eq!(priced("79228162514264337593543950335", "10", 1, 1), "none");
        assert_eq!(
            priced("79228162514264337593543950335", "10", 1, 10),
            "79228162514264337593543950335"
        );
        assert_eq!(priced("1", "1", 1, 0), "none");
    }

    #[test]
    fn portions_and_roundings_are_the_same_for_either_sign() {
        let sum = |text: &str| ExactSum::parse(text).unwrap();
        for (all, part, whole, portion) in [
            ("100", "1", "3", "33.3333333333333333333333333333"),
            ("-100", "2", "3", "-66.6666666666666666666666666666"),
            ("0.0000000000000000000000000003", "-1", "-2", "0.0000000000000000000000000001"),
            (
                "1234567890123456789012345678901234567890",
                "7",
                "7",
                "1234567890123456789012345678901234567890",
            ),
            ("5", "0", "9", "0"),
        ] {
            let [all, part, whole] = [all, part, whole].map(sum);
            assert_eq!(all.portion(&part, &whole), Some(sum(portion)));
            assert_eq!(all.negated().portion(&part, &whole), Some(sum(portion).negated()));
            assert_eq!(all.portion(&part, &ExactSum::ZERO), None);
        }
        for (exact, rounded) in
            [("0.00000000005", "0.0000000001"), ("12.49999999996", "12.5"), ("3.00000000004", "3")]
        {
            assert_eq!(sum(exact).rounded(10), sum(rounded));
            assert_eq!(sum(exact).negated().rounded(10), sum(rounded).negated());
            assert_eq!(sum(exact).rounded(28), sum(exact));
        }
    }
}
