//! One party's part as a fraction.

use std::fmt;
use std::str::FromStr;

use bnum::cast::As;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Unsigned 256-bit integer: wide enough for the sum of any weights. Its `Display` is decimal.
pub type Wide = bnum::types::U256;

/// `num` / `den` of an amount: 0 to 1. Not reduced: all shares of one split have one denominator.
///
/// Text and serde form: `num/den` in decimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    num: Wide,
    den: Wide,
}

/// A text or pair of numbers that is no share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a share: write NUMERATOR/DENOMINATOR in decimal digits, at most 1, below 2^256"
)]
pub struct ShareError {
    text: String,
}

impl Share {
    /// The whole: of what was not split.
    pub const ONE: Share = Share { num: ONE, den: ONE };

    /// `num` / `den`. `None` unless `num` <= `den` and `den` > 0.
    #[must_use]
    pub fn new(num: Wide, den: Wide) -> Option<Share> {
        (!den.is_zero() && num <= den).then_some(Share { num, den })
    }

    /// `num` / `den` of 128 bits. `None` unless `num` <= `den` and `den` > 0.
    #[must_use]
    pub fn from_narrow(num: u128, den: u128) -> Option<Share> {
        Share::new(num.as_(), den.as_())
    }

    /// Numerator and denominator from their decimal texts.
    ///
    /// # Errors
    /// Not digits, above 1, or beyond 256 bits.
    pub fn from_texts(num: &str, den: &str) -> Result<Share, ShareError> {
        parse_wide(num)
            .zip(parse_wide(den))
            .and_then(|(num, den)| Share::new(num, den))
            .ok_or_else(|| ShareError { text: format!("{num}/{den}") })
    }

    /// The numerator.
    #[must_use]
    pub fn num(&self) -> Wide {
        self.num
    }

    /// The denominator; above 0.
    #[must_use]
    pub fn den(&self) -> Wide {
        self.den
    }

    /// Numerator and denominator when both fit 128 bits, as they nearly always do.
    #[must_use]
    pub fn narrow(&self) -> Option<(u128, u128)> {
        u128::try_from(self.num).ok().zip(u128::try_from(self.den).ok())
    }
}

const ONE: Wide = {
    let mut one = Wide::MIN;
    one.set_bit(0, true);
    one
};

/// Decimal digits only. Most fit 128 bits, which is much faster.
fn parse_wide(text: &str) -> Option<Wide> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.parse::<u128>() {
        Ok(narrow) => Some(narrow.as_()),
        Err(_) => Wide::from_str_radix(text, 10).ok(),
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.narrow() {
            Some((num, den)) => write!(f, "{num}/{den}"),
            None => write!(f, "{}/{}", self.num, self.den),
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Share, ShareError> {
        match text.split_once('/') {
            Some((num, den)) => Share::from_texts(num, den),
            None => Err(ShareError { text: text.to_owned() }),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
