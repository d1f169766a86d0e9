//! One exact decimal number.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::amount_error::{AmountError, explain, too_many_digits};
use super::digits::{MAX_MANTISSA, power_of_ten, strip_zeros};
use super::text::AmountText;

/// Most decimals that an amount can hold.
pub const MAX_SCALE: u32 = 28;

/// An exact decimal number: at most 28 decimals, mantissa of at most 96 bits.
///
/// Always normalised: no trailing zeros, zero is `0` and never `-0`; so equal numbers have equal
/// bits, text and hash. Ordered by value.
///
/// There is deliberately no `+`, `-`, `*` and no `Sum`: `rust_decimal`'s silently drop small terms
/// when a result does not fit 96 bits. Add with [`ExactSum`](super::ExactSum), share out with
/// [`Shares`](super::Shares).
///
/// ```compile_fail
/// use proto::money::Amount;
/// let doubled = Amount::ZERO + Amount::ZERO;
/// ```
/// ```compile_fail
/// use proto::money::Amount;
/// let total: Amount = [Amount::ZERO].into_iter().sum();
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// `0`.
    pub const ZERO: Amount = Amount(Decimal::ZERO);
    /// `1`.
    pub const ONE: Amount = Amount(Decimal::ONE);

    /// Reads a decimal number exactly, or refuses it.
    ///
    /// Takes `12.5`, `-3`, `+3`, `.5`, `5.`, `1e-7`, `35.2E-7`, with ASCII blanks around it.
    ///
    /// # Errors
    /// What is wrong and how to mend it. The text is never rounded, cut or guessed at.
    pub fn parse(text: &str) -> Result<Amount, AmountError> {
        let trimmed = text.trim_ascii();
        match scan(trimmed.as_bytes()) {
            Scan::Number(amount) => Ok(amount),
            Scan::TooManyDigits => Err(too_many_digits(trimmed)),
            Scan::Malformed => Err(explain(trimmed)),
        }
    }

    /// `mantissa` / 10^`scale`. `None` when that does not fit, trailing zeros aside.
    #[must_use]
    pub fn from_parts(mantissa: i128, scale: u32) -> Option<Amount> {
        let (units, scale) = strip_zeros(mantissa.unsigned_abs(), scale);
        (units <= MAX_MANTISSA && scale <= MAX_SCALE)
            .then(|| Amount::normalised(mantissa < 0, units, scale))
    }

    /// The same from a magnitude of at most 96 bits and a scale of at most 28: it always fits.
    pub(super) fn from_units(negative: bool, units: u128, scale: u32) -> Amount {
        let (units, scale) = strip_zeros(units, scale);
        Amount::normalised(negative, units, scale)
    }

    fn normalised(negative: bool, units: u128, scale: u32) -> Amount {
        debug_assert!(units <= MAX_MANTISSA && scale <= MAX_SCALE);
        Amount(Decimal::from_parts(
            units as u32,
            (units >> 32) as u32,
            (units >> 64) as u32,
            negative,
            scale,
        ))
    }

    /// The number without its point, with its sign: below 2^96 in magnitude.
    #[must_use]
    pub fn mantissa(self) -> i128 {
        self.0.mantissa()
    }

    /// Number of decimals, 0 to 28.
    #[must_use]
    pub fn scale(self) -> u32 {
        self.0.scale()
    }

    /// Is it 0?
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Is it below 0?
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative()
    }

    /// Is it above 0?
    #[must_use]
    pub fn is_positive(self) -> bool {
        !self.is_zero() && !self.is_negative()
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Amount {
        Amount(self.0.abs())
    }

    /// With the other sign. Zero stays `0`.
    #[must_use]
    pub fn negated(self) -> Amount {
        Amount::normalised(!self.is_negative(), self.units(), self.scale())
    }

    /// The same number, for libraries that want a `Decimal`. Never calculate with it.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        self.0
    }

    /// Plain decimal text, without allocating.
    #[must_use]
    pub fn to_text(self) -> AmountText {
        AmountText::new(self.is_negative(), self.units(), self.scale())
    }

    /// The mantissa without its sign.
    pub(super) fn units(self) -> u128 {
        self.mantissa().unsigned_abs()
    }
}

/// What the bytes of a number turned out to be.
enum Scan {
    Number(Amount),
    TooManyDigits,
    Malformed,
}

/// Would `text` be read as it stands?
pub(super) fn is_number(text: &str) -> bool {
    matches!(scan(text.as_bytes()), Scan::Number(_))
}

/// Reads `[+-] digits [. digits] [eE [+-] digits]`. One pass, whatever the exponent says.
fn scan(text: &[u8]) -> Scan {
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut number = Significand::default();
    let mut any = false;
    let mut point = false;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                any = true;
                number.push(byte - b'0', point);
            }
            b'.' if !point => point = true,
            _ => break,
        }
        rest = tail;
    }
    let exponent = match rest {
        [] => Some(0),
        [b'e' | b'E', tail @ ..] => scan_exponent(tail),
        _ => None,
    };
    match exponent {
        Some(exponent) if any => match number.amount(negative, exponent) {
            Some(amount) => Scan::Number(amount),
            None => Scan::TooManyDigits,
        },
        Some(_) | None => Scan::Malformed,
    }
}

/// The digits after `e`. Beyond any length that matters it stays where it is.
fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0i64, |n, byte| n.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Some(if negative { -size } else { size })
}

/// Significant digits read so far: `units` × 10^-`decimals`, then `zeros` more that wait for a
/// digit other than 0 before they count.
#[derive(Default)]
struct Significand {
    units: u128,
    decimals: i64,
    zeros: u32,
    overflow: bool,
}

impl Significand {
    fn push(&mut self, digit: u8, decimal: bool) {
        self.decimals += i64::from(decimal);
        if digit == 0 {
            self.zeros = if self.units == 0 { 0 } else { self.zeros.saturating_add(1) };
            return;
        }
        let shift = self.zeros.saturating_add(1);
        self.zeros = 0;
        // Units above 0 and a shift of 29 are beyond 96 bits already: 10^29 > 2^96.
        let shifted =
            if shift > MAX_SCALE { None } else { self.units.checked_mul(power_of_ten(shift)) };
        match shifted.filter(|units| *units <= MAX_MANTISSA) {
            Some(units) => self.units = units + u128::from(digit),
            None => self.overflow = true,
        }
    }

    fn amount(&self, negative: bool, exponent: i64) -> Option<Amount> {
        if self.overflow || self.units > MAX_MANTISSA {
            return None;
        }
        if self.units == 0 {
            return Some(Amount::ZERO);
        }
        let exponent = exponent.saturating_sub(self.decimals).saturating_add(i64::from(self.zeros));
        let size = u32::try_from(exponent.unsigned_abs()).ok().filter(|size| *size <= MAX_SCALE)?;
        if exponent <= 0 {
            // No trailing zero is left in the units: as normalised as it gets.
            return Some(Amount::normalised(negative, self.units, size));
        }
        let units =
            self.units.checked_mul(power_of_ten(size)).filter(|units| *units <= MAX_MANTISSA)?;
        Some(Amount::normalised(negative, units, 0))
    }
}

impl From<Decimal> for Amount {
    /// The same number, normalised: every `Decimal` fits.
    fn from(decimal: Decimal) -> Amount {
        Amount::from_units(
            decimal.is_sign_negative(),
            decimal.mantissa().unsigned_abs(),
            decimal.scale(),
        )
    }
}

impl From<u64> for Amount {
    fn from(number: u64) -> Amount {
        Amount::normalised(false, u128::from(number), 0)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Amount, AmountError> {
        Amount::parse(text)
    }
}

impl fmt::Display for Amount {
    /// Plain notation. A width and `+` are honoured; a precision is not, for it would round.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(!self.is_negative(), "", &self.abs().to_text())
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number as text, such as \"12.5\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}
