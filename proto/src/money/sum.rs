//! Adding up without losing a term.

use std::fmt;
use std::str::FromStr;

use bnum::cast::As;
use bnum::types::{I256, U256, U512};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::amount::{Amount, MAX_SCALE};
use super::digits::{power_of_ten, strip_zeros};

/// Most digits that a text of a sum may have, decimals filled up to 28 counted: 10^68 < 2^226.
const MAX_DIGITS: usize = 68;

const OVERFLOW: &str = "an amount is below 2^190 units and a parsed sum below 2^226: 2^255 is beyond any number of them that fits a life";

/// An exact sum of amounts: a signed 256-bit integer of units of 10^-28.
///
/// **Bound.** One [`Amount`] is below 2^96 × 10^28 < 2^190 units, a parsed sum below 10^68 < 2^226.
/// Overflow at 2^255 therefore needs more than 2^65 amounts or 2^29 sums at the limit of what is
/// parsed (10^40 of a currency each). Should a defect ever get there, the call panics: a sum is
/// never wrong, and never saturated.
///
/// Text and serde form: plain decimal without trailing zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExactSum(I256);

/// A text that is no sum.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SumError {
    /// Not plain decimal notation.
    #[error("`{0}` is not a sum: write it in plain decimal notation such as -12.5")]
    Malformed(String),
    /// More than it can hold.
    #[error("sum `{0}` has too many digits: at most 28 decimals and 40 digits in front of them")]
    TooManyDigits(String),
}

impl ExactSum {
    /// `0`.
    pub const ZERO: ExactSum = ExactSum(I256::from_bytes([0; 32]));

    /// Adds an amount.
    pub fn add(&mut self, amount: Amount) {
        self.0 = self.0.checked_add(units(amount)).expect(OVERFLOW);
    }

    /// Takes an amount away.
    pub fn sub(&mut self, amount: Amount) {
        self.0 = self.0.checked_sub(units(amount)).expect(OVERFLOW);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        self.0 = self.0.checked_add(other.0).expect(OVERFLOW);
    }

    /// This sum without the other.
    #[must_use]
    pub fn difference(&self, other: &ExactSum) -> ExactSum {
        ExactSum(self.0.checked_sub(other.0).expect(OVERFLOW))
    }

    /// With the other sign.
    #[must_use]
    pub fn negated(&self) -> ExactSum {
        ExactSum(self.0.checked_neg().expect(OVERFLOW))
    }
    /// Without its sign.
    #[must_use]
    pub fn size(&self) -> ExactSum {
        if self.is_negative() { self.negated() } else { *self }
    }

    /// Is it exactly 0?
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Is it below 0?
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Without its sign, in units of 10^-28.
    pub(super) fn magnitude(&self) -> U256 {
        self.0.unsigned_abs()
    }

    /// So many units of 10^-28, with that sign.
    pub(super) fn of_units(negative: bool, units: U512) -> ExactSum {
        assert!(units.bit_width() < I256::BITS, "{OVERFLOW}");
        let sum = ExactSum(units.as_());
        if negative { sum.negated() } else { sum }
    }

    /// The same number as an amount. `None` when it has more digits than an amount holds.
    #[must_use]
    pub fn to_amount(&self) -> Option<Amount> {
        if let Ok(small) = i128::try_from(self.0) {
            return Amount::from_parts(small, MAX_SCALE);
        }
        let mut units = self.0.unsigned_abs();
        let mut scale = MAX_SCALE;
        let ten: U256 = 10u128.as_();
        while scale > 0 && units.bit_width() > 128 && (units % ten).is_zero() {
            units /= ten;
            scale -= 1;
        }
        let (units, scale) = strip_zeros(u128::try_from(units).ok()?, scale);
        let mantissa = i128::try_from(units).ok()?;
        Amount::from_parts(if self.is_negative() { -mantissa } else { mantissa }, scale)
    }

    /// Reads plain decimal notation, exactly, as Postgres writes `numeric`.
    ///
    /// # Errors
    /// Not plain decimal, or more digits than it can hold. Never rounds.
    pub fn parse(text: &str) -> Result<ExactSum, SumError> {
        let malformed = || SumError::Malformed(quote(text));
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && decimals.is_empty()) || !all_digits(whole) || !all_digits(decimals)
        {
            return Err(malformed());
        }
        let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
        let scale = MAX_SCALE as usize;
        if decimals.len() > scale || whole.len() > MAX_DIGITS - scale {
            return Err(SumError::TooManyDigits(quote(text)));
        }
        let units = format!("{whole}{decimals:0<scale$}");
        let units = I256::from_str_radix(&units, 10).map_err(|_| malformed())?;
        let sum = ExactSum(units);
        Ok(if negative { sum.negated() } else { sum })
    }
}

/// An amount in units of 10^-28: below 2^190.
fn units(amount: Amount) -> I256 {
    let factor = power_of_ten(MAX_SCALE - amount.scale());
    let mantissa = amount.mantissa();
    // Amounts of up to some 10^10 with few decimals, which is nearly all of them, stay in registers.
    match i128::try_from(factor).ok().and_then(|factor| mantissa.checked_mul(factor)) {
        Some(small) => small.as_(),
        None => mantissa.as_::<I256>().checked_mul(factor.as_()).expect(OVERFLOW),
    }
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Default for ExactSum {
    fn default() -> ExactSum {
        ExactSum::ZERO
    }
}

impl From<Amount> for ExactSum {
    fn from(amount: Amount) -> ExactSum {
        ExactSum(units(amount))
    }
}

impl FromIterator<Amount> for ExactSum {
    fn from_iter<I: IntoIterator<Item = Amount>>(amounts: I) -> ExactSum {
        let mut sum = ExactSum::ZERO;
        for amount in amounts {
            sum.add(amount);
        }
        sum
    }
}

impl fmt::Display for ExactSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(amount) = self.to_amount() {
            return fmt::Display::fmt(&amount, f);
        }
        let scale = MAX_SCALE as usize;
        let digits = format!("{:0>width$}", self.0.unsigned_abs().to_string(), width = scale + 1);
        let (whole, decimals) = digits.split_at(digits.len() - scale);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        f.pad_integral(!self.is_negative(), "", &format!("{whole}{point}{decimals}"))
    }
}

impl fmt::Debug for ExactSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ExactSum {
    type Err = SumError;

    fn from_str(text: &str) -> Result<ExactSum, SumError> {
        ExactSum::parse(text)
    }
}

impl Serialize for ExactSum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExactSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExactSum, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
