//! Powers of ten and trailing zeros of 128-bit integers.

/// Largest mantissa of an amount: 96 bits.
pub(super) const MAX_MANTISSA: u128 = (1 << 96) - 1;

/// 10^0 to 10^38: every power of ten that fits 128 bits.
const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// 10^exponent.
///
/// # Panics
/// Above 38. Callers pass a scale or the difference of two, 28 at most.
pub(super) const fn power_of_ten(exponent: u32) -> u128 {
    POWERS[exponent as usize]
}

/// Removes trailing zeros of `units`, at most `scale` of them, and lowers the scale with each.
/// Zero gets scale 0.
///
/// Takes them in runs of 32, 16, 8, 4, 2 and 1: the binary digits of their number. A multiple of
/// 10^k is one of 2^k, so many a run is told without a division.
pub(super) fn strip_zeros(mut units: u128, mut scale: u32) -> (u128, u32) {
    if let Ok(small) = u64::try_from(units) {
        return strip_zeros_64(small, scale);
    }
    for run in [32, 16, 8, 4, 2, 1] {
        let power = power_of_ten(run);
        if scale >= run && units.trailing_zeros() >= run && units.is_multiple_of(power) {
            units /= power;
            scale -= run;
        }
    }
    (units, scale)
}

/// The same where every operation is one instruction: nearly always.
fn strip_zeros_64(mut units: u64, mut scale: u32) -> (u128, u32) {
    if units == 0 {
        return (0, 0);
    }
    // Nine of ten numbers are told by one multiplication and a branch that predicts well.
    if units.is_multiple_of(10) {
        for (run, power) in
            [(16, 10_000_000_000_000_000), (8, 100_000_000), (4, 10_000), (2, 100), (1, 10)]
        {
            if scale >= run && units.trailing_zeros() >= run && units.is_multiple_of(power) {
                units /= power;
                scale -= run;
            }
        }
    }
    (u128::from(units), scale)
}
