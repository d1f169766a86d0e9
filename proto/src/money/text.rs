//! The decimal text of an amount, on the stack.

use std::fmt;
use std::ops::Deref;

/// Longest text: sign, `0`, point, 28 decimals, or sign, 29 digits, point.
const CAPACITY: usize = 32;

/// Plain decimal text of an [`Amount`](super::Amount): no exponent, no trailing zeros, no allocation.
#[derive(Clone, Copy)]
pub struct AmountText {
    bytes: [u8; CAPACITY],
    start: usize,
}

impl AmountText {
    /// Writes `units` / 10^`scale`; `units` has 96 bits at most, `scale` is 28 at most.
    pub(super) fn new(negative: bool, units: u128, scale: u32) -> AmountText {
        let mut text = AmountText { bytes: [0; CAPACITY], start: CAPACITY };
        let mut rest = units;
        let mut written = 0;
        // Above 64 bits a division costs much more: leave that range as soon as possible.
        while rest > u128::from(u64::MAX) {
            text.push_digit((rest % 10) as u8, &mut written, scale);
            rest /= 10;
        }
        let mut rest = rest as u64;
        while rest > 0 || written <= scale {
            text.push_digit((rest % 10) as u8, &mut written, scale);
            rest /= 10;
        }
        if negative {
            text.push(b'-');
        }
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits, sign and point are ASCII")
    }

    /// The text as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn push_digit(&mut self, digit: u8, written: &mut u32, scale: u32) {
        if *written == scale && scale > 0 {
            self.push(b'.');
        }
        self.push(b'0' + digit);
        *written += 1;
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }
}

impl Deref for AmountText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for AmountText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for AmountText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AmountText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
